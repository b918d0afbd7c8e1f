//! The package databases of a hardened image.

use std::collections::BTreeSet;

use image::tree::ResolutionEnd;
use image::{Image, ImagePath, NodeKind};

use crate::cut::Cut;
use crate::documents::counts;
use crate::read::Limits;
use crate::{FileList, FilteredDatabase, PackageDatabase, ReadPackagesError, apk, dpkg, npm, python, rpm};

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

/// Makes the databases that list exactly the packages which still own a path in `kept`, other than licences,
/// documents and directories.
///
/// `kept` holds everything that stays: what the workload needs and the [`crate::licences()`]. The files by which
/// scanners recognise the distribution are kept too, whatever `kept` says, and count for the package that owns them.
///
/// A package whose files the database never listed stays in it, since nobody can tell that it is gone. One that owns
/// nothing but documents and directories (a meta package) goes: there is nothing left of it that a finding could be
/// about. What could not be read stays as it is; [`PackageDatabase::problems`] names it.
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
    let present = present(database, image, kept);
    let cut = Cut { database, image, kept, present: &present, limits: Limits::default() };
    dpkg::filter::filter(&cut, &mut filtered)?;
    apk::filter::filter(&cut, &mut filtered)?;
    rpm::filter::filter(&cut, &mut filtered)?;
    python::filter::filter(&cut, &mut filtered)?;
    npm::filter::filter(&cut, &mut filtered)?;
    Ok(filtered)
}

/// Every path of the image's package databases, as far as there are any: what stays where they stay as they are.
pub fn database_files(database: &PackageDatabase, image: &Image) -> BTreeSet<ImagePath> {
    let mut files = BTreeSet::new();
    for part in [dpkg::places(image), apk::places(image), rpm::places(image)].into_iter().flatten() {
        files.extend(part.symlinks);
        files.extend(image.tree().within(&part.path).map(|(path, _)| path.clone()));
    }
    for place in python::places(database).chain(npm::places(database, image)) {
        files.extend(image.tree().within(&place).map(|(path, _)| path.clone()));
    }
    files
}

/// For each package, whether the hardened database lists it.
pub(crate) fn present(database: &PackageDatabase, image: &Image, kept: &BTreeSet<ImagePath>) -> Vec<bool> {
    let packages = database.packages.iter();
    let mut present: Vec<bool> = packages
        .map(|package| package.file_list == FileList::Absent && package.state.is_installed())
        .collect();
    for path in kept.union(&identity(image)) {
        let owners = database.owners(path);
        if !owners.iter().all(|owner| present[owner.0]) && counts(path) {
            owners.iter().for_each(|owner| present[owner.0] = true);
        }
    }
    present
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
