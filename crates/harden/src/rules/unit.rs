//! Units of a language that stay whole: a Python package, a Node.js package, a Perl distribution.

use std::collections::BTreeSet;

use image::ImagePath;

use super::{erlang, java, node, perl, php, python, reference, ruby};
use crate::draft::Draft;
use crate::scene::Scene;
use crate::{Generalize, PlanError, Rule};

/// Keeps the rest of each unit of which the workload used code, where the policy says so.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) -> Result<(), PlanError> {
    if scene.policy.generalize < Generalize::Package {
        return Ok(());
    }
    for path in reference::used_code(scene, draft) {
        if let Some(unit) = unit_of(scene, &path) {
            for part in unit {
                draft.keep(&part, Rule::Unit, Some(&path));
            }
        }
    }
    Ok(())
}

/// The rest of the unit that this file belongs to, if a language knows it.
fn unit_of(scene: &Scene<'_>, path: &ImagePath) -> Option<BTreeSet<ImagePath>> {
    [python::unit, node::unit, java::unit, php::unit, perl::unit, ruby::unit, erlang::unit]
        .iter()
        .find_map(|unit| unit(scene, path))
}
