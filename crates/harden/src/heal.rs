//! What to keep after a verification that failed.

use std::collections::BTreeMap;

use image::ImagePath;
use profile::{AccessKind, Process, Profile, START};
use serde::{Deserialize, Serialize};

use crate::{Decision, Ledger, PathKind, Rule, Verification};

/// A path that is kept because a verification showed that it is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealedPath {
    /// The path.
    pub path: ImagePath,
    /// After which verification, counted from 1.
    pub round: u32,
    /// Why this path.
    pub cause: HealCause,
    /// Name of the coverage that asked for it.
    pub coverage: String,
    /// The step that asked for it, `start` for all before the first.
    pub step: String,
    /// Who asked for it.
    pub processes: Vec<Process>,
}

/// Why a path is healed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealCause {
    /// It was looked up and had been removed, or is on the way to such a path.
    LookedUp,
    /// It was missing in the listing of its directory, in a step that then failed.
    Listed,
    /// The original used it, at the start or in a step that failed on the hardened image.
    Used,
}

/// What to keep so that the next verification may pass; empty if there is nothing to try.
///
/// First all that was looked up in vain, with the removed directory or link on the way. Where a step failed, also what
/// the original is known to have used in it, and what was removed from directories that it listed here: nobody looks
/// up a name that is not listed. What the policy removes stays removed. Pure.
///
/// `original` is what the verification held the hardened run against: it may know more uses than the plan was made of.
pub fn heal(
    ledger: &Ledger,
    verification: &Verification,
    original: &Profile,
    hardened: &Profile,
    round: u32,
) -> BTreeMap<ImagePath, HealedPath> {
    let is_ours = |path: &ImagePath| {
        let entry = ledger.entries.get(path);
        entry.is_some_and(|e| e.decision == Decision::Remove && e.rule != Rule::PolicyRemove)
    };
    let mut healed = BTreeMap::new();
    for lookup in &verification.missing_lookups {
        for path in [&lookup.removed, &lookup.path] {
            if is_ours(path) {
                healed.entry(path.clone()).or_insert_with(|| HealedPath {
                    path: path.clone(),
                    round,
                    cause: HealCause::LookedUp,
                    coverage: lookup.coverage.clone(),
                    step: lookup.step.clone(),
                    processes: lookup.processes.clone(),
                });
            }
        }
    }
    let any_failed = |coverage: &str| verification.steps.iter().any(|s| !s.passed && s.coverage == coverage);
    let failed = |coverage: &str, step: &str| {
        verification.steps.iter().any(|s| !s.passed && s.coverage == coverage && s.name == step)
    };
    for (path, usages) in original.used().filter(|(path, _)| is_ours(path)) {
        for usage in usages.0.values() {
            let runs = usage.runs().into_iter().filter_map(|(run, step)| Some((original.run(run)?, step)));
            let in_failed = runs
                .filter_map(|(run, step)| Some((&run.coverage, run.step_name(step)?)))
                .find(|(coverage, step)| failed(coverage, step) || (*step == START && any_failed(coverage)));
            if let Some((coverage, step)) = in_failed {
                healed.entry(path.clone()).or_insert_with(|| HealedPath {
                    path: path.clone(),
                    round,
                    cause: HealCause::Used,
                    coverage: coverage.clone(),
                    step: step.to_owned(),
                    processes: original.processes_of(usage).cloned().collect(),
                });
            }
        }
    }
    for (dir, usage) in &hardened.paths {
        let Some(listing) = usage.0.get(&AccessKind::Readdir) else { continue };
        let coverage = hardened.run(listing.first_run).map(|run| run.coverage.as_str()).unwrap_or_default();
        let step = hardened.first_step_name(listing);
        if !failed(coverage, step) || ledger.entries.get(dir).is_none_or(|e| e.kind != PathKind::Directory) {
            continue;
        }
        let beneath = ledger.entries.range(dir..).skip(1).take_while(|(path, _)| path.is_within(dir));
        for (path, _) in beneath.filter(|(path, _)| path.parent().as_ref() == Some(dir) && is_ours(path)) {
            healed.entry(path.clone()).or_insert_with(|| HealedPath {
                path: path.clone(),
                round,
                cause: HealCause::Listed,
                coverage: coverage.to_owned(),
                step: step.to_owned(),
                processes: hardened.processes_of(listing).cloned().collect(),
            });
        }
    }
    healed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use profile::{Observation, Step, StepOutcome};

    use super::*;
    use crate::fixture::{self, Elf, Fixture, LOADER, MERGED};
    use crate::verify;

    fn observation(path: &str, kind: AccessKind) -> Observation {
        Observation {
            path: fixture::path(path),
            kind,
            errno: if kind == AccessKind::Missing { 2 } else { 0 },
            process: Process { exe: "/usr/bin/app".into(), argv0: "app".into() }.into(),
            step: Step(1),
        }
    }

    /// A run on the hardened image that did these things and whose step ended with this code.
    fn healed(fixture: &Fixture, code: i32, seen: &[(&str, AccessKind)]) -> Vec<String> {
        healed_knowing(fixture, code, seen, &[])
    }

    /// The same, where a second run of the original did these things.
    fn healed_knowing(
        fixture: &Fixture,
        code: i32,
        seen: &[(&str, AccessKind)],
        known: &[(&str, AccessKind)],
    ) -> Vec<String> {
        let mut run = fixture::run();
        run.steps[0].outcome = StepOutcome::Exited { code };
        let seen: BTreeSet<_> = seen.iter().map(|(path, kind)| observation(path, *kind)).collect();
        let hardened = Profile::from_run(fixture::identity(&fixture.image), run, &seen);
        let plan = fixture.plan();
        let original = Profile::from_run(
            fixture::identity(&fixture.image),
            fixture::run(),
            &known.iter().map(|(path, kind)| observation(path, *kind)).collect(),
        );
        let original = profile::merge(&[fixture.profile(), original]).unwrap();
        let verification = verify(&plan.ledger, &original, &hardened);
        let healed = heal(&plan.ledger, &verification, &original, &hardened, 2);
        assert!(healed.values().all(|h| h.round == 2 && h.processes[0].exe == "/usr/bin/app"));
        healed.values().map(|h| format!("{} {:?} {}", h.path, h.cause, h.step)).collect()
    }

    #[test]
    fn what_was_looked_up_is_healed_with_what_is_on_the_way_and_never_what_the_policy_removes() {
        use AccessKind::Missing;
        let fixture = fixture::image("bin/app@755 opt/dir/sub/a opt/other secret/key link->opt/dir")
            .uses("exec:/bin/app")
            .policy(|policy| policy.remove = vec!["/secret".into()]);
        let step = fixture::run().steps[0].name.clone();
        for (seen, expected) in [
            ("/opt/dir/sub/a", &["/opt/dir/sub/a"][..]),
            ("/opt/dir/sub/made-later", &["/opt/dir/sub"]),
            ("/opt/dir", &["/opt/dir"]),
            ("/link", &["/link"]),
            ("/link/by-way", &["/link"]),
            ("/secret/key", &[]),
            ("/nowhere", &[]),
        ] {
            let expected: Vec<_> = expected.iter().map(|path| format!("{path} LookedUp {step}")).collect();
            assert_eq!(healed(&fixture, 0, &[(seen, Missing)]), expected, "{seen}");
        }
    }

    #[test]
    fn names_that_a_failed_step_did_not_find_in_a_listing_are_healed() {
        use AccessKind::Readdir;
        let fixture = fixture::image("bin/app@755 opt/on/a opt/on/sub/b opt/on/secret opt/off/c")
            .uses("exec:/bin/app /opt/on readdir:/opt/off /opt/off/c")
            .policy(|policy| policy.remove = vec!["/opt/on/secret".into()]);
        let step = fixture::run().steps[0].name.clone();
        assert_eq!(healed(&fixture, 0, &[("/opt/on", Readdir)]), Vec::<String>::new(), "it did as before");
        let expected = ["/opt/on/a", "/opt/on/sub"].map(|path| format!("{path} Listed {step}"));
        assert_eq!(healed(&fixture, 1, &[("/opt/on", Readdir), ("/opt/off", Readdir)]), expected);
    }

    #[test]
    fn what_the_original_used_in_a_failed_step_is_healed_and_a_directory_is_no_excuse_for_what_was_in_it() {
        use AccessKind::{Missing, OpenRead};
        let fixture = fixture::image("bin/app@755 opt/lib/module opt/lib/other").uses("exec:/bin/app");
        let step = fixture::run().steps[0].name.clone();
        let known = [("/opt/lib/module", OpenRead), ("/opt/lib/module.cache", Missing)];
        assert_eq!(
            healed_knowing(&fixture, 1, &[("/opt/lib", Missing)], &known),
            [format!("/opt/lib LookedUp {step}"), format!("/opt/lib/module Used {step}")]
        );
        assert_eq!(
            healed_knowing(&fixture, 0, &[("/opt/lib", Missing)], &known),
            [format!("/opt/lib LookedUp {step}")]
        );
        let only_missed = [("/opt/lib/module.cache", Missing)];
        assert_eq!(
            healed_knowing(&fixture, 0, &[("/opt/lib", Missing)], &only_missed),
            Vec::<String>::new(),
            "the original's program found nothing there either"
        );
    }

    #[test]
    fn the_next_plan_keeps_what_healed_paths_need() {
        let [ld, c] = fixture::libc();
        let tool = Elf { interpreter: LOADER, needed: &["libc.so.6", "libextra.so.1"], ..Elf::default() };
        let library = Elf { needed: &["libc.so.6"], ..Elf::default() };
        let files = [ld, c, ("usr/bin/tool-1", tool), ("usr/lib/libextra.so.1.0", library)];
        let words = MERGED.to_owned()
            + "usr/bin/app@755 usr/bin/tool->/etc/alternatives/tool etc/alternatives/tool->/usr/bin/tool-1 \
               usr/lib/libextra.so.1->libextra.so.1.0 ";
        let fixture = fixture::image(fixture::layer(&words, &files)).uses("exec:/usr/bin/app");
        assert!(!fixture.plan().edits.keep.contains(&fixture::path("/usr/lib/libextra.so.1.0")));
        let fixture = fixture.policy(|policy| policy.heal = [fixture::path("/usr/bin/tool")].into());
        let keep = fixture.plan().edits.keep;
        for path in [
            "/etc/alternatives/tool",
            "/usr/bin/tool-1",
            "/usr/lib/libextra.so.1",
            "/usr/lib/libextra.so.1.0",
        ] {
            assert!(keep.contains(&fixture::path(path)), "{path}");
        }
    }
}
