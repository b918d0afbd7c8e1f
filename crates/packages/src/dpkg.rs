//! dpkg: the package manager of Debian, Ubuntu and their kin, and the `status.d` of distroless images.
//!
//! Below `/var/lib/dpkg`: `status` says which packages there are, `info/NAME.list` (or `NAME:ARCH.list`) what each
//! owns, `diversions` which of those paths are elsewhere, `alternatives/` which links nobody owns. Distroless images
//! have only `status.d/NAME`, and beside it `NAME.md5sums` with the regular files.
//!
//! Journals in `updates/`, which an interrupted dpkg leaves, are merged into `status` as dpkg would at its next start.
//! `statoverride` says with which modes dpkg would unpack files the next time: the layers say which they have, so it
//! is only filtered.
//!
//! Source: `dpkg(1)`, `deb822(5)`, `dpkg-divert(1)`, `update-alternatives(1)`, Debian wiki "Teams/Dpkg/Spec/InfoDB".

mod alternatives;
mod deb822;
mod depends;
mod diversions;
pub(crate) mod filter;
mod lists;
mod overrides;
mod status;
mod triggers;

pub(crate) use depends::dependencies;
pub use status::{ParsedStatus, StatusEntry, parse_status};

use std::collections::{BTreeMap, BTreeSet};

use image::{Image, ImagePath, NodeKind};

use crate::locate::Locator;
use crate::read::{self, Limits, Problems, ReadPackagesError, Reading};
use crate::{Ecosystem, FileList, Origin, OsRelease, Package, purl};

const ADMIN_DIRECTORY: &[u8] = b"/var/lib/dpkg";

/// What dpkg's database says.
#[derive(Debug, Default)]
pub(crate) struct DpkgDatabase {
    pub(crate) packages: Vec<Package>,
    pub(crate) alternatives: BTreeMap<ImagePath, String>,
}

/// Reads the whole database; an empty one if there is none.
pub(crate) fn read(reading: &mut Reading<'_>) -> Result<DpkgDatabase, ReadPackagesError> {
    let mut found = DpkgDatabase::default();
    let (image, limits) = (reading.image, reading.limits);
    let Some(admin) = read::directory(image, ADMIN_DIRECTORY) else { return Ok(found) };
    let mut locator = Locator::new(image.tree());
    for (from, diversion) in diversions::read(image, &admin, limits, reading.problems)? {
        locator.divert(&from, diversion);
    }
    for file in status_files(image, &admin) {
        let bytes = merged(image, &admin, &file, limits)?;
        let parsed = parse_status(&bytes);
        reading.problems.extend(&file, parsed.problems);
        reading.count(parsed.entries.len(), 0)?;
        for entry in parsed.entries {
            let info = InfoFiles::of(image, &admin, &file, &entry);
            let (file_list, listed) = listed(image, &info, &entry, limits, reading.problems)?;
            reading.count(0, listed.len())?;
            let files = locator.owned(&entry.name, &listed);
            found.packages.push(package(entry, &file, info, file_list, files, reading.os));
        }
    }
    found.alternatives = alternatives::read(image, &admin, &mut locator, limits, reading.problems)?;
    Ok(found)
}

/// Where the database lies.
pub(crate) fn places(image: &Image) -> Vec<read::Place> {
    read::place(image, ADMIN_DIRECTORY).into_iter().collect()
}

/// The journals of `updates/`, in the order in which they were written.
fn journals(image: &Image, admin: &ImagePath) -> Vec<ImagePath> {
    let updates = below(admin, b"updates");
    let journal = |path: &ImagePath| !path.name().is_empty() && path.name().iter().all(u8::is_ascii_digit);
    let files = image.tree().children(&updates);
    files
        .filter(|(path, node)| matches!(node.kind, NodeKind::File { .. }) && journal(path))
        .map(|(path, _)| path.clone())
        .collect()
}

/// The content of a status file; of `status` itself, with the stanzas of the journals in place of its own.
fn merged(
    image: &Image,
    admin: &ImagePath,
    file: &ImagePath,
    limits: &Limits,
) -> Result<Vec<u8>, ReadPackagesError> {
    let bytes = read::file(image, file, limits.status_bytes)?;
    let journals = if file.name() == b"status" { journals(image, admin) } else { Vec::new() };
    if journals.is_empty() {
        return Ok(bytes);
    }
    let mut newer: BTreeMap<(String, String), Vec<u8>> = BTreeMap::new();
    let mut total_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    for journal in journals {
        let room_bytes = limits.status_bytes.saturating_sub(total_bytes);
        let text = read::file(image, &journal, room_bytes)?;
        total_bytes = total_bytes.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
        for entry in parse_status(&text).entries {
            newer.insert((entry.name, entry.architecture), text[entry.bytes].to_vec());
        }
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut push = |stanza: &[u8]| {
        out.extend_from_slice(stanza.trim_ascii_end());
        out.extend_from_slice(b"\n\n");
    };
    let mut position = 0;
    for entry in parse_status(&bytes).entries {
        if !bytes[position..entry.bytes.start].trim_ascii().is_empty() {
            push(&bytes[position..entry.bytes.start]);
        }
        position = entry.bytes.end;
        match newer.remove(&(entry.name, entry.architecture)) {
            Some(stanza) => push(&stanza),
            None => push(&bytes[entry.bytes]),
        }
    }
    newer.values().for_each(|stanza| push(stanza));
    Ok(out)
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
        ecosystem: Ecosystem::Dpkg,
        name: entry.name,
        version: entry.version,
        architecture: entry.architecture,
        source_name: entry.source_name,
        source_version: entry.source_version,
        licence: None,
        maintainer: entry.maintainer,
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

/// Everything beside the status that is parsed or filtered, for the fuzzer.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let _ = lists::parse_list(bytes);
    let _ = lists::parse_md5sums(bytes);
    let mut has = |path: &[u8]| path.len() % 2 == 0;
    let _ = diversions::filter(bytes, &mut has);
    let _ = alternatives::filter(b"editor", bytes, &mut has);
    let _ = triggers::filter(b"File", bytes, &BTreeSet::from(["a", "libc-bin"]));
}
