//! Modules and included settings of Apache and nginx.

use std::collections::BTreeSet;

use image::ImagePath;

use crate::PlanError;
use crate::draft::Draft;
use crate::scene::Scene;

/// Keeps what the kept configuration of a kept server names.
pub(crate) fn apply(
    _scene: &Scene<'_>,
    _draft: &mut Draft<'_>,
    _fresh: &BTreeSet<ImagePath>,
) -> Result<(), PlanError> {
    Ok(())
}
