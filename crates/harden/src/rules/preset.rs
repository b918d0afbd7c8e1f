//! What a careful preset does not touch.
//!
//! `light` and `standard` take away unused packages with findings, and nothing else. What stays for a preset is just
//! there: it needs nothing, since nobody uses it, or a library with findings would stay for every unused program that
//! is linked against it.

use image::ImagePath;

use crate::draft::Draft;
use crate::policy::Preset;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// Keeps all that belongs to no package that the preset lets go.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) -> Result<(), PlanError> {
    if scene.policy.preset == Preset::Aggressive {
        return Ok(());
    }
    let removable = &scene.policy.removable;
    let stays: Vec<ImagePath> = scene
        .tree()
        .iter()
        .filter(|(path, _)| !path.is_root() && !removable.contains(path))
        .map(|(path, _)| path.clone())
        .collect();
    // A directory that only packages that go have files in goes with them.
    let files = stays.iter().filter(|path| !scene.is_directory(path) || is_empty(scene, path));
    for path in files {
        if draft.keep(path, Rule::Preset, None) {
            for directory in path.ancestors() {
                draft.keep(&directory, Rule::Ancestor, Some(path));
            }
        }
    }
    // No other rule follows from these.
    draft.take_fresh();
    Ok(())
}

/// Whether a directory has nothing in it in the original.
fn is_empty(scene: &Scene<'_>, directory: &ImagePath) -> bool {
    scene.tree().within(directory).all(|(path, _)| path == directory)
}

#[cfg(test)]
mod tests {
    use crate::fixture::{debian, image, path};
    use crate::{Decision, Preset, Rule};

    #[test]
    fn only_files_of_packages_that_may_go_go() {
        let layer = debian(&[
            ("curl", "/usr/bin/curl /usr/share/curl/data"),
            ("perl", "/usr/bin/perl"),
            ("app", "/usr/bin/app"),
        ]);
        let with = |preset| {
            image(layer.clone()).uses("exec:/usr/bin/app").policy(|policy| {
                policy.preset = preset;
                policy.removable = ["/usr/bin/curl", "/usr/share/curl/data"].map(path).into();
            })
        };
        let removed = |preset| -> Vec<String> {
            let ledger = with(preset).plan().ledger;
            let removed = ledger.entries.iter().filter(|(_, entry)| entry.decision == Decision::Remove);
            removed.map(|(path, _)| path.to_string()).filter(|path| !path.contains("dpkg")).collect()
        };
        let gone = ["/usr/bin/curl", "/usr/share/curl", "/usr/share/curl/data"];
        for preset in [Preset::Light, Preset::Standard] {
            let removed = removed(preset);
            assert!(gone.iter().all(|path| removed.iter().any(|removed| removed == path)), "{removed:?}");
            assert!(!removed.iter().any(|path| path.contains("perl")), "{removed:?}");
            assert!(with(preset).by(Rule::Preset).contains(&"/usr/bin/perl".to_owned()));
        }
        assert!(removed(Preset::Aggressive).contains(&"/usr/bin/perl".to_owned()));
        assert!(with(Preset::Aggressive).by(Rule::Preset).is_empty());
    }
}
