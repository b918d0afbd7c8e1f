//! The package database of a hardened image.

use std::collections::{BTreeMap, BTreeSet};

use image::tree::ResolutionEnd;
use image::{Image, ImagePath, NodeKind};

use crate::{PackageDatabase, ReadPackagesError, dpkg};

/// What the database of the hardened image consists of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilteredDatabase {
    /// Paths to keep, with the reason, as a sentence for people. Links on the way are among them; directories are
    /// the caller's to add.
    pub keep: BTreeMap<ImagePath, String>,
    /// New content for some of them. A file that filtering leaves as it was is not here.
    pub replace: BTreeMap<ImagePath, Vec<u8>>,
}

/// Files by which people, scanners and package managers recognise a distribution.
const IDENTITY_FILES: [&str; 9] = [
    "/etc/os-release",
    "/usr/lib/os-release",
    "/etc/debian_version",
    "/etc/lsb-release",
    "/etc/alpine-release",
    "/etc/redhat-release",
    "/etc/system-release",
    "/etc/system-release-cpe",
    "/etc/centos-release",
];

const IDENTITY: &str = "scanners recognise the distribution by it";

/// Makes the database that lists exactly the packages which still own a path in `kept`, other than licences,
/// documents and directories.
///
/// `kept` holds everything that stays: what the workload needs and the [`crate::licences()`]. The files by which
/// scanners recognise the distribution are kept too, whatever `kept` says, and count for the package that owns them.
///
/// A package whose files the database never listed stays in it, since nobody can tell that it is gone. One that owns
/// nothing but documents and directories (a meta package) goes: there is nothing left of it that a finding could be
/// about. A stanza that could not be read is of no package, and goes too; [`PackageDatabase::problems`] names it.
///
/// # Errors
/// [`ReadPackagesError`], as [`crate::read()`].
pub fn filter(
    database: &PackageDatabase,
    image: &Image,
    kept: &BTreeSet<ImagePath>,
) -> Result<FilteredDatabase, ReadPackagesError> {
    let mut filtered = FilteredDatabase::default();
    filtered.keep.extend(identity(image).into_iter().map(|path| (path, IDENTITY.into())));
    let present: Vec<_> = present(database, image, kept);
    dpkg::filter::filter(database, image, kept, &present, &mut filtered)?;
    Ok(filtered)
}

/// For each package, whether the hardened database lists it.
pub(crate) fn present(database: &PackageDatabase, image: &Image, kept: &BTreeSet<ImagePath>) -> Vec<bool> {
    let identity = identity(image);
    let stays = |path: &ImagePath| kept.contains(path) || identity.contains(path);
    database.presence(&stays).iter().map(crate::Presence::is_present).collect()
}

/// The files of [`IDENTITY_FILES`] that exist, and the links that lead to them.
fn identity(image: &Image) -> BTreeSet<ImagePath> {
    let mut found = BTreeSet::new();
    for path in IDENTITY_FILES {
        let resolution = image.tree().resolve(&ImagePath::root(), path.as_bytes(), true);
        if let ResolutionEnd::Found(end) = resolution.end
            && image.tree().get(&end).is_some_and(|node| matches!(node.kind, NodeKind::File { .. }))
        {
            found.extend(resolution.symlinks);
            found.insert(end);
        }
    }
    found
}
