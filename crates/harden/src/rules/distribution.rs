//! The files that say which distribution this is.

use image::ImagePath;

use crate::Rule;
use crate::draft::Draft;

const FILES: [&str; 11] = [
    "/etc/os-release",
    "/etc/debian_version",
    "/etc/lsb-release",
    "/etc/alpine-release",
    "/etc/redhat-release",
    "/etc/centos-release",
    "/etc/fedora-release",
    "/etc/system-release",
    "/etc/SuSE-release",
    "/etc/arch-release",
    "/usr/lib/os-release",
];

/// Keeps the files by which scanners recognise the distribution, with the links to them.
pub(crate) fn apply(draft: &mut Draft<'_>) {
    for file in FILES {
        draft.keep_way(&ImagePath::root(), file.as_bytes(), Rule::Distribution, None);
    }
}
