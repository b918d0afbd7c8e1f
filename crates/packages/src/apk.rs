//! apk: the package manager of Alpine, Wolfi and their kin.
//!
//! `lib/apk/db/installed` (`usr/lib/apk/db/installed` in newer releases) says which packages there are and what each
//! owns, with checksums; `scripts.tar` and `triggers` beside it are for installing and removing, and
//! `/etc/apk/world` names what the administrator asked for.
//!
//! Source: Alpine wiki "Apk spec", `apk-package(5)`, `apk-world(5)`.

mod depends;
pub(crate) mod filter;
mod installed;

pub(crate) use depends::dependencies;

use image::Image;

use crate::locate::Locator;
use crate::read::{self, Place, ReadPackagesError, Reading};
use crate::{Ecosystem, FileList, InstallState, Origin, OsRelease, Package, purl};
use installed::Stanza;

/// Where apk has had its database, and what its administrator wants.
const DIRECTORIES: [&[u8]; 2] = [b"/lib/apk/db", b"/usr/lib/apk/db"];
const WORLD: &[u8] = b"/etc/apk/world";

/// Where the database lies.
pub(crate) fn places(image: &Image) -> Vec<Place> {
    let mut places = directories(image);
    if !places.is_empty() {
        places.extend(read::place(image, WORLD));
    }
    places
}

/// The directories of the database, one by two names once.
fn directories(image: &Image) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for place in DIRECTORIES.into_iter().filter_map(|directory| read::place(image, directory)) {
        match places.iter_mut().find(|known| known.path == place.path) {
            Some(known) => known.symlinks.extend(place.symlinks),
            None => places.push(place),
        }
    }
    places
}

/// Reads the whole database.
pub(crate) fn read(reading: &mut Reading<'_>) -> Result<Vec<Package>, ReadPackagesError> {
    let mut packages = Vec::new();
    let mut locator = Locator::new(reading.image.tree());
    for place in directories(reading.image) {
        let file = place.path.join(b"installed").ok().and_then(|file| read::regular(reading.image, &file));
        let Some(file) = file else { continue };
        let bytes = read::file(reading.image, &file, reading.limits.status_bytes)?;
        let (stanzas, problems) = installed::parse(&bytes);
        reading.problems.extend(&file, problems);
        for stanza in stanzas {
            let listed = stanza.files(&bytes);
            reading.count(1, listed.len())?;
            let files = locator.owned(&stanza.name, &listed);
            let purl = purl(&stanza, reading.os);
            packages.push(Package {
                ecosystem: Ecosystem::Apk,
                source_name: stanza.origin.unwrap_or_else(|| stanza.name.clone()),
                source_version: stanza.version.clone(),
                name: stanza.name,
                version: stanza.version,
                architecture: stanza.architecture,
                licence: stanza.licence,
                maintainer: stanza.maintainer,
                state: InstallState::Installed,
                purl,
                file_list: FileList::Complete,
                files,
                origin: Origin::Apk { file: file.clone(), bytes: stanza.bytes },
            });
        }
    }
    Ok(packages)
}

fn purl(stanza: &Stanza, os: Option<&OsRelease>) -> String {
    let namespace = os.map_or("alpine", |os| os.id.as_str());
    let distro = os.map(OsRelease::distro).unwrap_or_default();
    let origin = stanza.origin.as_deref().filter(|origin| *origin != stanza.name).unwrap_or_default();
    let qualifiers = [("arch", stanza.architecture.as_str()), ("distro", &distro), ("upstream", origin)];
    purl::of("apk", &[namespace, &stanza.name], &stanza.version, &qualifiers)
}

/// The installed database, read and filtered, for the fuzzer.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let (stanzas, _) = installed::parse(bytes);
    for stanza in stanzas {
        let _ = stanza.files(bytes);
        let _ = stanza.values(bytes, b'D').count();
        let _ = stanza.checksum(bytes);
        let _ = stanza.only(bytes, |path| path.len() % 2 == 0);
    }
}
