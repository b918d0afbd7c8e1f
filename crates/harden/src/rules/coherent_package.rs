//! Packages that stay whole once an executable of theirs was used.

use crate::PlanError;
use crate::draft::Draft;
use crate::scene::Scene;

/// Keeps them where the policy says so.
pub(crate) fn apply(_scene: &Scene<'_>, _draft: &mut Draft<'_>) -> Result<(), PlanError> {
    Ok(())
}
