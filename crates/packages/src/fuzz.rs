//! What reads foreign bytes, for the fuzzer: each function takes any bytes and must come back.

use image::ImagePath;

use crate::catalog::fuzz as files;
use crate::{Limits, OsRelease, apk, dpkg, rpm};

/// Small enough that a run is over in no time, large enough that every bound is met.
fn limits() -> Limits {
    Limits { archive_bytes: 4 << 20, manifest_bytes: 1 << 20, program_bytes: 1 << 20, ..Limits::default() }
}

/// dpkg's status and what stands beside it.
pub fn dpkg(bytes: &[u8]) {
    let _ = dpkg::parse_status(bytes);
    dpkg::fuzz(bytes);
    let _ = OsRelease::parse(bytes);
}

/// apk's installed database.
pub fn apk(bytes: &[u8]) {
    apk::fuzz(bytes);
}

/// An rpm database in any of its forms, and one header.
pub fn rpmdb(bytes: &[u8]) {
    rpm::fuzz(bytes);
}

/// An archive of Java's or Python's.
pub fn archive(bytes: &[u8]) {
    files::archive(&path(b"/srv/app-1.0.jar"), bytes, &limits());
}

/// A program: ELF, Go's build information, the list of crates, versions.
pub fn program(bytes: &[u8]) {
    files::program(bytes, &limits());
}

/// A manifest; the first byte picks which.
pub fn manifest(bytes: &[u8]) {
    if let Some((first, bytes)) = bytes.split_first() {
        files::manifest(usize::from(*first), &path(b"/srv/vendor/composer/x"), bytes);
    }
}

fn path(bytes: &[u8]) -> ImagePath {
    ImagePath::from_absolute(bytes).unwrap_or_default()
}
