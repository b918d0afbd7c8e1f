//! What programs and libraries in machine code name literally.

use std::collections::BTreeSet;

use image::ImagePath;

use super::reference::Reference;
use crate::scene::Scene;

/// What the strings of an ELF file name; `None` for what is no ELF file.
pub(crate) fn references(
    _scene: &Scene<'_>,
    _path: &ImagePath,
    _content: &[u8],
) -> Option<BTreeSet<Reference>> {
    None
}
