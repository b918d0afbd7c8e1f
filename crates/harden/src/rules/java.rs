//! What a used Java run time needs beside it.

use std::collections::BTreeSet;

use image::ImagePath;

use super::reference::Reference;
use crate::PlanError;
use crate::draft::Draft;
use crate::scene::Scene;

/// Keeps what newly kept files need beside them.
pub(crate) fn apply(
    _scene: &Scene<'_>,
    _draft: &mut Draft<'_>,
    _fresh: &BTreeSet<ImagePath>,
) -> Result<(), PlanError> {
    Ok(())
}

/// What a file of this language names literally; `None` for what is no file of this language.
pub(crate) fn references(
    _scene: &Scene<'_>,
    _path: &ImagePath,
    _content: &[u8],
) -> Option<BTreeSet<Reference>> {
    None
}

/// The rest of the unit that a file of this language belongs to; `None` for what is no file of this language.
pub(crate) fn unit(_scene: &Scene<'_>, _path: &ImagePath) -> Option<BTreeSet<ImagePath>> {
    None
}
