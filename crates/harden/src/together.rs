//! Planning several images that share layers: each path of a shared layer stays if any of them keeps it.

use std::collections::BTreeSet;

use image::{Image, ImagePath, NodeKind};
use packages::PackageDatabase;
use profile::Profile;

use crate::plan::plan_beside;
use crate::{Plan, PlanError, Policy};

/// One of several images that are hardened together.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The image.
    pub image: &'a Image,
    /// Its packages.
    pub packages: &'a PackageDatabase,
    /// What was used of it.
    pub profile: &'a Profile,
    /// What else is wanted.
    pub policy: &'a Policy,
}

/// Plans all images, in their order, for [`image::write_shared`].
///
/// Images share their lowest layers as far as they are the same. What one keeps there the others keep too, where they
/// show it; where they have something else in its place, that stays, or the layer's file would show. All rules that
/// follow run again until nothing is added, so package databases count what is there in the end.
///
/// # Errors
/// As [`plan`](crate::plan), with the position of the image.
pub fn plan_together(subjects: &[Subject<'_>]) -> Result<Vec<Plan>, (usize, PlanError)> {
    let mut shared = vec![BTreeSet::new(); subjects.len()];
    loop {
        let plans: Vec<Plan> = subjects
            .iter()
            .zip(&shared)
            .enumerate()
            .map(|(nth, (subject, shared))| {
                plan_beside(subject.image, subject.packages, subject.profile, subject.policy, shared)
                    .map_err(|error| (nth, error))
            })
            .collect::<Result<_, _>>()?;
        let mut is_closed = true;
        for (nth, subject) in subjects.iter().enumerate() {
            for (other, plan) in subjects.iter().zip(&plans) {
                let wanted = wanted_of(subject.image, other.image, &plan.edits.keep);
                for path in wanted.filter(|path| !plans[nth].edits.keep.contains(path)) {
                    // What the policy removes stays removed; it was asked for then already.
                    is_closed &= !shared[nth].insert(path);
                }
            }
        }
        if is_closed {
            return Ok(plans);
        }
    }
}

/// What `image` must have because another one keeps these paths in layers that both share.
fn wanted_of<'a>(
    image: &'a Image,
    other: &'a Image,
    kept: &'a BTreeSet<ImagePath>,
) -> impl Iterator<Item = ImagePath> + use<'a> {
    let layers = image::shared_layers(image, other);
    let in_shared_layer =
        move |path: &&ImagePath| other.tree().get(path).is_some_and(|node| node.layer < layers);
    kept.iter().filter(in_shared_layer).filter_map(|path| in_its_place(image, path))
}

/// What this image has at a path of a lower layer: the same, something that hides it, or nothing, by a whiteout.
fn in_its_place(image: &Image, path: &ImagePath) -> Option<ImagePath> {
    if image.tree().get(path).is_some() {
        return Some(path.clone());
    }
    let above = path.ancestors().find(|above| image.tree().get(above).is_some())?;
    let is_directory = image.tree().get(&above).is_some_and(|node| node.kind == NodeKind::Directory);
    (!is_directory).then_some(above)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, image, open, path};
    use crate::{Decision, Rule};

    fn plan(fixtures: &[&Fixture]) -> Vec<Plan> {
        let profiles: Vec<_> = fixtures.iter().map(|fixture| fixture.profile()).collect();
        let subjects: Vec<_> = fixtures
            .iter()
            .zip(&profiles)
            .map(|(fixture, profile)| Subject {
                image: &fixture.image,
                packages: &fixture.packages,
                profile,
                policy: &fixture.policy,
            })
            .collect();
        plan_together(&subjects).unwrap()
    }

    #[test]
    fn a_path_of_a_shared_layer_stays_for_the_sake_of_another_image() {
        let base = "bin/a:1 bin/b:2 bin/c:3 etc/d:4";
        let one = open(&testkit::image(&[base, "own/x:1 etc/d:mine"])).uses("/bin/a /own/x");
        let two = open(&testkit::image(&[base, "own/y:1"])).uses("/bin/b /etc/d");
        let plans = plan(&[&one, &two]);
        let rule = |nth: usize, text: &str| {
            let entry = &plans[nth].ledger.entries[&path(text)];
            (entry.decision, entry.rule)
        };
        for (nth, text, expected) in [
            (0, "/bin/a", (Decision::Keep, Rule::Observed)),
            (0, "/bin/b", (Decision::Keep, Rule::SharedLayer)),
            (1, "/bin/a", (Decision::Keep, Rule::SharedLayer)),
            (0, "/bin/c", (Decision::Remove, Rule::Unused)),
            (1, "/bin/c", (Decision::Remove, Rule::Unused)),
            // What hides a file that the other one keeps.
            (0, "/etc/d", (Decision::Keep, Rule::SharedLayer)),
            (1, "/own/y", (Decision::Remove, Rule::Unused)),
        ] {
            assert_eq!(rule(nth, text), expected, "{text} of {nth}");
        }
    }

    #[test]
    fn images_without_a_common_layer_are_planned_as_alone() {
        let one = image("bin/a:1 bin/b:2").uses("/bin/a");
        let two = image("bin/a:1 bin/c:2").uses("/bin/c");
        assert_eq!(plan(&[&one, &two]), [one.plan(), two.plan()]);
    }
}
