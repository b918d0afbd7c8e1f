//! SASL modules.

use crate::PlanError;
use crate::draft::Draft;
use crate::rules::elf::Programs;
use crate::scene::Scene;

/// Keeps it for the programs in use that load it by name.
pub(crate) fn apply(
    _scene: &Scene<'_>,
    _draft: &mut Draft<'_>,
    _programs: &Programs<'_>,
) -> Result<(), PlanError> {
    Ok(())
}
