//! Further names of kept files.

use std::collections::BTreeSet;

use image::ImagePath;

use crate::Rule;
use crate::draft::Draft;
use crate::scene::Scene;

/// Keeps the other names of a newly kept file, which cost no bytes, so that its link count stays.
///
/// Not those of programs: there each name is a command of its own (the applets of a BusyBox made of hard links), and
/// one that nobody used is what hardening is to remove.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>, fresh: &BTreeSet<ImagePath>) {
    for path in fresh.iter().filter(|path| !scene.is_executable(path)) {
        for sibling in scene.tree().hardlinks(path) {
            draft.keep(&sibling, Rule::Hardlink, Some(path));
        }
    }
}
