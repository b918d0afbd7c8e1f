//! rpm: the package manager of Fedora, Red Hat, SUSE and their kin.
//!
//! Its database is a table of package headers in one of three forms: `rpmdb.sqlite` (SQLite), `Packages.db` (rpm's own
//! "ndb") or `Packages` (a Berkeley DB hash), in `/usr/lib/sysimage/rpm` or `/var/lib/rpm`. All three are read; only
//! SQLite's can be filtered (`docs/adr/0013-…`), the others stay whole, with a warning.
//!
//! `gpg-pubkey` headers are keys, and no packages: they stay.
//!
//! Source: rpm documentation, "RPM Package format", "Header regions", "Database"; `lib/rpmtag.h` for the tags.

mod bdb;
pub(crate) mod filter;
mod header;
mod ndb;
mod sqlite;
mod wal;

use std::collections::BTreeSet;

use image::{Image, ImagePath};

use crate::dependencies::Needs;
use crate::locate::Locator;
use crate::read::{self, Place, ReadPackagesError, Reading};
use crate::{Ecosystem, FileList, InstallState, Origin, OsRelease, Package, purl};
use header::{Header, tag};

/// Where rpm has had its database.
const DIRECTORIES: [&[u8]; 2] = [b"/usr/lib/sysimage/rpm", b"/var/lib/rpm"];

/// What a file of headers is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Sqlite,
    Ndb,
    Bdb,
}

const FORMS: [(Form, &[u8]); 3] =
    [(Form::Sqlite, b"rpmdb.sqlite"), (Form::Ndb, b"Packages.db"), (Form::Bdb, b"Packages")];

/// Why a database cannot be used, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Broken {
    #[error("the file ends within {0}")]
    CutOff(&'static str),
    #[error("{0}")]
    Wrong(&'static str),
    #[error("SQLite says: {0}")]
    Sqlite(String),
}

/// A header with its number.
type Numbered = (u32, Vec<u8>);

/// A database in an image.
struct Found {
    directory: Place,
    file: ImagePath,
    form: Form,
}

/// Where the database lies.
pub(crate) fn places(image: &Image) -> Vec<Place> {
    found(image).into_iter().map(|found| found.directory).collect()
}

/// The databases of an image, one by two names once.
fn found(image: &Image) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    for directory in DIRECTORIES.into_iter().filter_map(|directory| read::place(image, directory)) {
        if let Some(known) = all.iter_mut().find(|known| known.directory.path == directory.path) {
            known.directory.symlinks.extend(directory.symlinks);
            continue;
        }
        for (form, name) in FORMS {
            let file = directory.path.join(name).ok().and_then(|file| read::regular(image, &file));
            if let Some(file) = file {
                all.push(Found { directory: directory.clone(), file, form });
            }
        }
    }
    all
}

/// Reads every database. One that is broken is a problem, and its packages are unknown.
pub(crate) fn read(reading: &mut Reading<'_>) -> Result<Vec<Package>, ReadPackagesError> {
    let mut packages = Vec::new();
    let mut locator = Locator::new(reading.image.tree());
    for found in found(reading.image) {
        let headers = match headers(reading.image, &found, reading.limits)? {
            Ok(headers) => headers,
            Err(broken) => {
                reading.problem(&found.file, format!("this rpm database cannot be read: {broken}"));
                continue;
            }
        };
        for (number, blob) in headers {
            let header = match Header::parse(&blob) {
                Ok(header) => header,
                Err(broken) => {
                    reading.problem(&found.file, format!("header {number} cannot be read: {broken}"));
                    continue;
                }
            };
            let Some(name) = header.text(tag::NAME) else {
                reading.problem(&found.file, format!("header {number} has no usable name"));
                continue;
            };
            if name == "gpg-pubkey" {
                continue;
            }
            let files = header.files();
            reading.count(1, files.len())?;
            let listed: Vec<_> =
                files.into_iter().filter(header::File::is_installed).map(|file| file.path).collect();
            let files = locator.owned(&name, &listed);
            packages.push(package(
                name,
                &header,
                files,
                Origin::Rpm { file: found.file.clone(), number },
                reading.os,
            ));
        }
    }
    Ok(packages)
}

/// What each package needs and provides.
pub(crate) fn dependencies(image: &Image, limits: &read::Limits) -> Result<Vec<Needs>, ReadPackagesError> {
    let mut all = Vec::new();
    for found in found(image) {
        // What is broken was told when the packages were read.
        let Ok(headers) = headers(image, &found, limits)? else { continue };
        let headers: Vec<_> = headers.iter().filter_map(|(_, blob)| Header::parse(blob).ok()).collect();
        all.extend(needs(&headers));
    }
    Ok(all)
}

/// A need may be a path: the package that owns it provides it.
fn needs(headers: &[Header<'_>]) -> Vec<Needs> {
    let required = headers.iter().flat_map(|header| header.names(tag::REQUIRE_NAME));
    let wanted: BTreeSet<String> = required.filter(|name| name.starts_with('/')).collect();
    let mut all = Vec::new();
    for header in headers {
        let Some(name) = header.text(tag::NAME) else { continue };
        let mut provides: BTreeSet<String> = header.names(tag::PROVIDE_NAME).into_iter().collect();
        if !wanted.is_empty() {
            let paths = header.files().into_iter().filter_map(|file| String::from_utf8(file.path).ok());
            provides.extend(paths.filter(|path| wanted.contains(path)));
        }
        let needs = header.names(tag::REQUIRE_NAME).into_iter().map(|name| vec![name]).collect();
        let architecture = header.text(tag::ARCH).unwrap_or_default();
        all.push(Needs { name, architecture, provides, needs });
    }
    all
}

/// The headers of a database, by number.
fn headers(
    image: &Image,
    found: &Found,
    limits: &read::Limits,
) -> Result<Result<Vec<Numbered>, Broken>, ReadPackagesError> {
    let bytes = read::file(image, &found.file, limits.rpm_bytes)?;
    Ok(match found.form {
        Form::Sqlite => {
            let log = write_ahead_log(image, &found.file, limits)?;
            sqlite::Database::open(bytes, &log).and_then(|database| database.headers(limits.packages))
        }
        Form::Ndb => ndb::headers(&bytes, limits.packages),
        Form::Bdb => bdb::headers(&bytes, limits.packages),
    })
}

/// What SQLite wrote beside the database and did not move into it; empty where there is nothing.
fn write_ahead_log(
    image: &Image,
    file: &ImagePath,
    limits: &read::Limits,
) -> Result<Vec<u8>, ReadPackagesError> {
    match beside(file, b"-wal").and_then(|log| read::regular(image, &log)) {
        Some(log) => read::file(image, &log, limits.rpm_bytes),
        None => Ok(Vec::new()),
    }
}

fn beside(file: &ImagePath, suffix: &[u8]) -> Option<ImagePath> {
    file.parent()?.join(&[file.name(), suffix].concat()).ok()
}

fn package(
    name: String,
    header: &Header<'_>,
    files: BTreeSet<ImagePath>,
    origin: Origin,
    os: Option<&OsRelease>,
) -> Package {
    let text = |tag| header.text(tag).unwrap_or_default();
    let release = text(tag::RELEASE);
    let upstream_version = text(tag::VERSION);
    let plain = if release.is_empty() { upstream_version } else { format!("{upstream_version}-{release}") };
    let epoch = header.number(tag::EPOCH).map(|epoch| epoch.to_string()).unwrap_or_default();
    let architecture = text(tag::ARCH);
    let source = text(tag::SOURCERPM);
    let (source_name, source_version) =
        source_package(&source).unwrap_or_else(|| (name.clone(), plain.clone()));
    let namespace = os.map_or("rpm", |os| if os.id == "rhel" { "redhat" } else { &os.id });
    let distro = os.map(OsRelease::distro).unwrap_or_default();
    let qualifiers =
        [("arch", architecture.as_str()), ("distro", &distro), ("epoch", &epoch), ("upstream", &source)];
    let purl = purl::of("rpm", &[namespace, &name], &plain, &qualifiers);
    Package {
        ecosystem: Ecosystem::Rpm,
        name,
        version: if epoch.is_empty() { plain } else { format!("{epoch}:{plain}") },
        architecture,
        source_name,
        source_version,
        licence: header.text(tag::LICENSE),
        maintainer: header.text(tag::VENDOR),
        state: InstallState::Installed,
        purl,
        file_list: FileList::Complete,
        files,
        origin,
    }
}

/// Name and version of `bash-5.2.15-1.fc38.src.rpm`.
fn source_package(file: &str) -> Option<(String, String)> {
    let stem = file.strip_suffix(".src.rpm").or_else(|| file.strip_suffix(".nosrc.rpm"))?;
    let (rest, release) = stem.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    Some((name.to_owned(), format!("{version}-{release}")))
}

/// A big-endian number at this offset.
fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(field.try_into().ok()?))
}

/// A little-endian number at this offset.
fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    be32(bytes, at).map(u32::swap_bytes)
}

/// A database in any form, with its headers, for the fuzzer.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz(bytes: &[u8]) {
    const LIMIT: usize = 1_000;
    let mut headers = ndb::headers(bytes, LIMIT).unwrap_or_default();
    headers.extend(bdb::headers(bytes, LIMIT).unwrap_or_default());
    // The log is what stands after the first page.
    let log = bytes.get(4096..).unwrap_or_default();
    if let Ok(database) = sqlite::Database::open(bytes.to_vec(), log) {
        headers.extend(database.headers(LIMIT).unwrap_or_default());
    }
    headers.push((0, bytes.to_vec()));
    for (_, blob) in &headers {
        if let Ok(header) = Header::parse(blob) {
            let _ = header.text(tag::NAME);
            let _ = header.files().iter().filter(|file| file.is_installed()).count();
            let _ = header.file_states();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_provide_the_paths_that_others_need() {
        const STRING: u32 = 6;
        const STRINGS: u32 = 8;
        let shell = header::tests::blob(&[
            (tag::NAME, STRING, 1, b"bash\0"),
            (tag::ARCH, STRING, 1, b"x86_64\0"),
            (tag::PROVIDE_NAME, STRINGS, 1, b"bash(x86-64)\0"),
            (tag::BASE_NAMES, STRINGS, 2, b"sh\0bash\0"),
            (tag::DIR_INDEXES, 4, 2, &[0; 8]),
            (tag::DIR_NAMES, STRINGS, 1, b"/bin/\0"),
        ]);
        let script = header::tests::blob(&[
            (tag::NAME, STRING, 1, b"script\0"),
            (tag::REQUIRE_NAME, STRINGS, 2, b"/bin/sh\0bash(x86-64)\0"),
        ]);
        let headers = [Header::parse(&shell).unwrap(), Header::parse(&script).unwrap()];
        let all = needs(&headers);
        assert_eq!((all[0].name.as_str(), all[0].architecture.as_str()), ("bash", "x86_64"));
        assert_eq!(all[0].provides, ["/bin/sh", "bash(x86-64)"].map(str::to_owned).into());
        assert_eq!(all[1].needs, [["/bin/sh".to_owned()], ["bash(x86-64)".to_owned()]]);
    }

    #[test]
    fn source_packages_are_split_at_the_last_dashes() {
        let found = source_package("python-pip-23.2-1.fc39.src.rpm").unwrap();
        assert_eq!(found, ("python-pip".to_owned(), "23.2-1.fc39".to_owned()));
        for other in ["", "(none)", "a-1.src.rpm", "a-1-2.rpm"] {
            assert_eq!(source_package(other), None, "{other}");
        }
    }
}
