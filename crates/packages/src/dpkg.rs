//! dpkg: the package manager of Debian, Ubuntu and their kin, and the `status.d` of distroless images.
//!
//! Below `/var/lib/dpkg`: `status` says which packages there are, `info/NAME.list` (or `NAME:ARCH.list`) what each
//! owns, `diversions` which of those paths are elsewhere, `alternatives/` which links nobody owns. Distroless images
//! have only `status.d/NAME`, and beside it `NAME.md5sums` with the regular files.
//!
//! `statoverride` is not read: it says with which modes dpkg would unpack files the next time, and the layers say
//! which they have. Journals in `updates/` are not merged: no image is built with dpkg still running.
//!
//! Source: `dpkg(1)`, `deb822(5)`, `dpkg-divert(1)`, `update-alternatives(1)`, Debian wiki "Teams/Dpkg/Spec/InfoDB".

mod alternatives;
mod deb822;
mod diversions;
pub(crate) mod filter;
mod lists;
mod locate;
mod status;

pub use status::{ParsedStatus, StatusEntry, parse_status};

use std::collections::{BTreeMap, BTreeSet};

use image::{Image, ImagePath, NodeKind};

use crate::read::{self, Limits, Problems, ReadPackagesError};
use crate::{FileList, Origin, OsRelease, Package, purl};
use locate::Locator;

const ADMIN_DIRECTORY: &[u8] = b"/var/lib/dpkg";

/// What dpkg's database says.
#[derive(Debug, Default)]
pub(crate) struct DpkgDatabase {
    pub(crate) packages: Vec<Package>,
    pub(crate) alternatives: BTreeMap<ImagePath, String>,
}

/// Reads the whole database; an empty one if there is none.
pub(crate) fn read(
    image: &Image,
    os_release: Option<&OsRelease>,
    limits: &Limits,
    problems: &mut Problems,
) -> Result<DpkgDatabase, ReadPackagesError> {
    let mut found = DpkgDatabase::default();
    let Some(admin) = read::directory(image, ADMIN_DIRECTORY) else { return Ok(found) };
    let mut locator = Locator::new(image.tree());
    for (from, diversion) in diversions::read(image, &admin, limits, problems)? {
        locator.divert(&from, diversion);
    }
    let mut listed_paths = 0_usize;
    for file in status_files(image, &admin) {
        let bytes = read::file(image, &file, limits.status_bytes)?;
        let parsed = parse_status(&bytes);
        problems.extend(&file, parsed.problems);
        if found.packages.len() + parsed.entries.len() > limits.packages {
            return Err(ReadPackagesError::Packages { limit: limits.packages });
        }
        for entry in parsed.entries {
            let info = InfoFiles::of(image, &admin, &file, &entry);
            let (file_list, listed) = listed(image, &info, &entry, limits, problems)?;
            listed_paths = listed_paths.saturating_add(listed.len());
            if listed_paths > limits.files {
                return Err(ReadPackagesError::Files { limit: limits.files });
            }
            let files = locator.owned(&entry.name, &listed);
            found.packages.push(package(entry, &file, info, file_list, files, os_release));
        }
    }
    found.alternatives = alternatives::read(image, &admin, &mut locator, limits, problems)?;
    Ok(found)
}

/// `status`, then the files of `status.d` in order, as far as they exist.
fn status_files(image: &Image, admin: &ImagePath) -> Vec<ImagePath> {
    let mut files: Vec<_> = read::regular(image, &below(admin, b"status")).into_iter().collect();
    let directory = below(admin, b"status.d");
    let is_status = |path: &ImagePath| !path.name().ends_with(b".md5sums");
    let regular =
        image.tree().children(&directory).filter(|(_, node)| matches!(node.kind, NodeKind::File { .. }));
    files.extend(regular.map(|(path, _)| path.clone()).filter(is_status));
    files
}

/// The paths that a package owns as its lists have them.
fn listed(
    image: &Image,
    info: &InfoFiles,
    entry: &StatusEntry,
    limits: &Limits,
    problems: &mut Problems,
) -> Result<(FileList, Vec<Vec<u8>>), ReadPackagesError> {
    if let Some(list) = &info.list {
        return Ok((FileList::Complete, lists::parse_list(&read::file(image, list, limits.list_bytes)?)));
    }
    let mut listed: Vec<_> = entry.conffiles.iter().map(|conffile| conffile.path.clone()).collect();
    let Some(md5sums) = &info.md5sums else { return Ok((FileList::Absent, listed)) };
    let (paths, broken) = lists::parse_md5sums(&read::file(image, md5sums, limits.list_bytes)?);
    problems.extend(md5sums, broken);
    listed.extend(paths);
    Ok((FileList::Checksums, listed))
}

fn package(
    entry: StatusEntry,
    file: &ImagePath,
    info: InfoFiles,
    file_list: FileList,
    files: BTreeSet<ImagePath>,
    os_release: Option<&OsRelease>,
) -> Package {
    let namespace = os_release.map_or("debian", |os| os.id.as_str());
    let distro = os_release.map(OsRelease::distro).unwrap_or_default();
    let purl = purl::deb(
        namespace,
        (&entry.name, &entry.version),
        &entry.architecture,
        &distro,
        (&entry.source_name, &entry.source_version),
    );
    Package {
        name: entry.name,
        version: entry.version,
        architecture: entry.architecture,
        source_name: entry.source_name,
        source_version: entry.source_version,
        state: entry.state,
        purl,
        file_list,
        files,
        origin: Origin::Dpkg {
            file: file.clone(),
            bytes: entry.bytes,
            list: info.list,
            md5sums: info.md5sums,
        },
    }
}

/// The files that list what one package owns.
#[derive(Debug, Clone, PartialEq, Eq)]
struct InfoFiles {
    list: Option<ImagePath>,
    md5sums: Option<ImagePath>,
}

impl InfoFiles {
    /// Looks in `info/` for packages of `status`, and beside the stanza for those of `status.d`. An empty list is
    /// taken for none: dpkg writes at least `/.`, and a package must not vanish because a list was emptied.
    fn of(image: &Image, admin: &ImagePath, status_file: &ImagePath, entry: &StatusEntry) -> Self {
        let directory = status_file.parent().unwrap_or_default();
        if directory.name() == b"status.d" {
            let md5sums = below(&directory, &[status_file.name(), b".md5sums"].concat());
            return Self { list: None, md5sums: not_empty(image, &md5sums) };
        }
        let info = below(admin, b"info");
        let find = |suffix: &str| {
            [format!("{}:{}{suffix}", entry.name, entry.architecture), format!("{}{suffix}", entry.name)]
                .iter()
                .find_map(|name| not_empty(image, &below(&info, name.as_bytes())))
        };
        Self { list: find(".list"), md5sums: find(".md5sums") }
    }
}

fn not_empty(image: &Image, path: &ImagePath) -> Option<ImagePath> {
    match image.tree().get(path)?.kind {
        NodeKind::File { size_bytes: 1.., .. } => Some(path.clone()),
        _ => None,
    }
}

/// A name in a directory; the directory itself where the name is too long for a path.
fn below(directory: &ImagePath, name: &[u8]) -> ImagePath {
    directory.join(name).unwrap_or_else(|_| directory.clone())
}
