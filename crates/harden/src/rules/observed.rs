//! What the workload used.

use crate::Rule;
use crate::draft::Draft;
use crate::scene::Scene;

/// Keeps every path of the image that the profile names, however it was used: a file that was only looked at is kept
/// whole.
///
/// A lookup that failed counts too when the image has the path: the workload had removed it by then or had no
/// permission, and it must find the same again.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) {
    for path in scene.profile.paths.keys() {
        draft.keep(path, Rule::Observed, None);
    }
}
