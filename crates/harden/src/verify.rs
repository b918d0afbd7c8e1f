//! Holding a run on the hardened image against a run on the original.
//!
//! Three things must hold: each step of the coverage ended as before, with the outputs that it asks to compare; the
//! sensor's record of the hardened run is complete; and no lookup failed only because we removed what it was for.
//! How outputs are compared is in [`outputs`].

pub mod outputs;

use std::collections::{BTreeMap, BTreeSet};

use image::ImagePath;
use profile::{AccessKind, Compare, Incomplete, Process, Profile, Run, StepOutcome, StepResult, Usage};
use serde::{Deserialize, Serialize};

use crate::{Ledger, PathKind};
use outputs::OutputDifference;

/// What a comparison of two runs found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Whether the hardened image did all that the original did.
    pub verdict: VerificationVerdict,
    /// Reasons for a failed verdict that are neither a step's nor a lookup's.
    pub failures: Vec<VerificationFailure>,
    /// Every step, in the order of the hardened run.
    pub steps: Vec<StepVerification>,
    /// Lookups that failed only because we removed something, by path.
    pub missing_lookups: Vec<MissingLookup>,
    /// What is worth knowing and changes nothing, for people.
    pub notes: Vec<String>,
}

/// Whether an image passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerificationVerdict {
    /// All steps came out as on the original, the record is complete, and no removed path was looked up.
    Passed,
    /// All steps came out as on the original and the record is complete, but something removed was looked up: a program
    /// tried it, did without, and nobody could tell. A hardening heals that; who verifies new ground has to judge it.
    Missed,
    /// Anything else.
    Failed,
}

/// Why runs as a whole could not be taken as a proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", tag = "failure")]
pub enum VerificationFailure {
    /// The hardened image was not run at all.
    #[error("no run of the hardened image was recorded")]
    NoRun,
    /// The plan and the profile of the original speak of different images.
    #[error("the plan is for another image than the profile")]
    OtherImage,
    /// A coverage was run on the hardened image only.
    #[error("coverage {coverage} was not run on the original image")]
    NoOriginal {
        /// Its name.
        coverage: String,
    },
    /// A step of the original's run was not run on the hardened image.
    #[error("step {step} of coverage {coverage} was not run on the hardened image")]
    StepNotRun {
        /// Name of the coverage.
        coverage: String,
        /// Name of the step.
        step: String,
    },
    /// The sensor's record of the hardened run may lack something.
    #[error("the record of coverage {coverage} on the hardened image is incomplete: {reason}")]
    Incomplete {
        /// Name of the coverage.
        coverage: String,
        /// Why.
        reason: Incomplete,
    },
}

/// One step, on both images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepVerification {
    /// Name of the coverage.
    pub coverage: String,
    /// Name of the step.
    pub name: String,
    /// Whether this step fails the verification.
    pub passed: bool,
    /// How it ended on the original; none if it was not run there.
    pub original: Option<StepOutcome>,
    /// How it ended on the hardened image.
    pub hardened: StepOutcome,
    /// What the coverage asks of the output, if the output on the hardened image is otherwise and that on the original was
    /// not, or the other way round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmet: Option<String>,
    /// Where the outputs differ, also when the coverage says that they do not count.
    pub differences: Vec<OutputDifference>,
}

/// A lookup on the hardened image that failed because of a removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingLookup {
    /// The path that was looked up.
    pub path: ImagePath,
    /// What was removed: the path itself, or the directory or link on the way to it. To heal, keep this and, where
    /// the original image has it, `path`.
    pub removed: ImagePath,
    /// The errnos that the lookups gave.
    pub errnos: Vec<i32>,
    /// Who looked.
    pub processes: Vec<Process>,
    /// Name of the coverage in which it was first seen.
    pub coverage: String,
    /// Name of the step in which it was first seen, `start` for all before the first.
    pub step: String,
}

/// Holds the recorded runs of the hardened image against those of the original. Pure.
///
/// Runs are paired by the name of their coverage, the last run of the original counting; steps by their name, and
/// where a name stands there several times, by its order. A step has to end exactly as it did on the original, also
/// one that may fail: `command not found` is no replacement for `no such key`. A coverage of the original that was
/// not run on the hardened image is noted, so that one can verify with a part of what was recorded.
pub fn verify(ledger: &Ledger, original: &Profile, hardened: &Profile) -> Verification {
    let mut failures = Vec::new();
    let mut steps = Vec::new();
    let mut notes = Vec::new();
    if ledger.image.image_id != original.image.image_id {
        failures.push(VerificationFailure::OtherImage);
    }
    if hardened.runs.is_empty() {
        failures.push(VerificationFailure::NoRun);
    }
    for run in &hardened.runs {
        let coverage = &run.coverage;
        let reasons = run.verdict().reasons().to_vec();
        let incomplete = |reason| VerificationFailure::Incomplete { coverage: coverage.clone(), reason };
        // Who accepts an incomplete profile accepts an incomplete verification as well, and is told of it.
        if ledger.policy.accept_incomplete {
            notes.extend(reasons.into_iter().map(|reason| incomplete(reason).to_string()));
        } else {
            failures.extend(reasons.into_iter().map(incomplete));
        }
        match original.runs.iter().rev().find(|other| other.coverage == *coverage) {
            Some(other) => compare_steps(other, run, &mut steps, &mut failures),
            None => failures.push(VerificationFailure::NoOriginal { coverage: coverage.clone() }),
        }
    }
    let ran: BTreeSet<_> = hardened.runs.iter().map(|run| &run.coverage).collect();
    let recorded: BTreeSet<_> = original.runs.iter().map(|run| &run.coverage).collect();
    notes.extend(
        recorded.difference(&ran).map(|name| format!("coverage {name} was not run on the hardened image")),
    );
    for reason in original.verdict().reasons() {
        notes.push(format!("the profile of the original is incomplete: {reason}"));
    }
    let missing_lookups = missing_lookups(ledger, original, hardened);
    let did_the_same = failures.is_empty() && steps.iter().all(|step| step.passed);
    let verdict = match (did_the_same, missing_lookups.is_empty()) {
        (true, true) => VerificationVerdict::Passed,
        (true, false) => VerificationVerdict::Missed,
        (false, _) => VerificationVerdict::Failed,
    };
    Verification { verdict, failures, steps, missing_lookups, notes }
}

/// Lookups in the runs of the hardened image that failed only because something was removed, by path. Pure.
pub fn missing_lookups(ledger: &Ledger, original: &Profile, hardened: &Profile) -> Vec<MissingLookup> {
    hardened
        .missing()
        .filter_map(|(path, usage)| missing_lookup(ledger, original, hardened, path, usage))
        .collect()
}

/// Pairs the steps of two runs of one coverage.
fn compare_steps(
    original: &Run,
    hardened: &Run,
    steps: &mut Vec<StepVerification>,
    failures: &mut Vec<VerificationFailure>,
) {
    let mut by_name: BTreeMap<&str, Vec<&StepResult>> = BTreeMap::new();
    for step in original.steps.iter().rev() {
        by_name.entry(&step.name).or_default().push(step);
    }
    for step in &hardened.steps {
        let other = by_name.get_mut(step.name.as_str()).and_then(Vec::pop);
        steps.push(compare_step(&hardened.coverage, other, step));
    }
    for step in &original.steps {
        if by_name.get_mut(step.name.as_str()).and_then(Vec::pop).is_some() {
            let (coverage, step) = (hardened.coverage.clone(), step.name.clone());
            failures.push(VerificationFailure::StepNotRun { coverage, step });
        }
    }
}

fn compare_step(coverage: &str, original: Option<&StepResult>, hardened: &StepResult) -> StepVerification {
    let mut differences = Vec::new();
    let mut passed = false;
    let mut unmet = None;
    if let Some(original) = original {
        if original.unmet != hardened.unmet {
            unmet = hardened.unmet.clone().or_else(|| original.unmet.clone());
        }
        for (stream, before, after) in
            [("stdout", &original.stdout, &hardened.stdout), ("stderr", &original.stderr, &hardened.stderr)]
        {
            differences.extend(outputs::difference(hardened.compare, stream, before, after));
        }
        let outputs_count = hardened.compare != Compare::Outcome;
        passed = original.outcome == hardened.outcome
            && original.unmet == hardened.unmet
            && (differences.is_empty() || !outputs_count);
    }
    StepVerification {
        coverage: coverage.to_owned(),
        name: hardened.name.clone(),
        passed,
        original: original.map(|step| step.outcome),
        hardened: hardened.outcome,
        unmet,
        differences,
    }
}

/// Judges one failed lookup on the hardened image; none if it would have failed on the original just so.
fn missing_lookup(
    ledger: &Ledger,
    original: &Profile,
    hardened: &Profile,
    path: &ImagePath,
    usage: &Usage,
) -> Option<MissingLookup> {
    let on_the_way = std::iter::once(path.clone()).chain(path.ancestors());
    let removed = on_the_way.into_iter().find(|path| ledger.entries.contains_key(path))?;
    if !ledger.removes(&removed) {
        return None;
    }
    let processes: Vec<_> = hardened.processes_of(usage).cloned().collect();
    if was_searched_in_vain(ledger, path, &processes) {
        return None;
    }
    let missed_before = original
        .usage(path)
        .and_then(|usages| usages.0.get(&AccessKind::Missing))
        .is_some_and(|before| usage.errnos.is_subset(&before.errnos));
    if missed_before || missed_beneath(ledger, original, path, &processes) {
        return None;
    }
    Some(MissingLookup {
        path: path.clone(),
        removed,
        errnos: usage.errnos.iter().copied().collect(),
        processes,
        coverage: hardened.run(usage.first_run).map(|run| run.coverage.clone()).unwrap_or_default(),
        step: hardened.first_step_name(usage).to_owned(),
    })
}

/// Whether this is a directory of `PATH` in which the engine looked for a program of the coverage and would not have
/// found it on the original either, where it looked on and told nobody.
fn was_searched_in_vain(ledger: &Ledger, path: &ImagePath, processes: &[Process]) -> bool {
    let is_link =
        |dir: ImagePath| ledger.entries.get(&dir).is_some_and(|entry| entry.kind == PathKind::Symlink);
    let by_name = processes.iter().all(|process| process.exe.as_bytes() == path.name());
    by_name && !ledger.entries.contains_key(path) && !path.ancestors().any(is_link)
}

/// Whether a lookup of a removed directory is the same programs' lookup of something that was never in it: a lookup
/// is told where it fails, and without the directory that is one step earlier.
fn missed_beneath(ledger: &Ledger, original: &Profile, path: &ImagePath, processes: &[Process]) -> bool {
    if ledger.entries.get(path).is_none_or(|entry| entry.kind != PathKind::Directory) {
        return false;
    }
    let beneath = original.paths.range(path..).skip_while(|(other, _)| *other == path);
    let (mut missed, mut found) = (BTreeSet::new(), BTreeSet::new());
    for (_, usages) in beneath.take_while(|(other, _)| other.is_within(path)) {
        for (kind, usage) in usages.0.iter() {
            let set = if kind.is_use() { &mut found } else { &mut missed };
            set.extend(original.processes_of(usage).map(|process| &process.exe));
        }
    }
    let in_vain = |process: &Process| missed.contains(&process.exe) && !found.contains(&process.exe);
    !processes.is_empty() && processes.iter().all(in_vain)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use image::{Digest, Platform};
    use profile::{Counters, ImageIdentity, Observation, SensorReport, Step, Verdict};

    use super::*;
    use crate::{Decision, LedgerEntry, Policy, Rule, ledger};

    fn identity(name: &str) -> ImageIdentity {
        let digest = Digest::of(name.as_bytes());
        ImageIdentity {
            reference: name.into(),
            manifest_digest: digest,
            image_id: digest,
            platform: Platform::from_str("linux/amd64").unwrap(),
        }
    }

    /// A plan that removes these paths (a directory ends with `/`) and keeps their parents.
    fn ledger(removed: &[&str]) -> Ledger {
        let entry = |decision, kind| LedgerEntry {
            decision,
            rule: if decision == Decision::Keep { Rule::Ancestor } else { Rule::Unused },
            because: None,
            evidence: None,
            packages: Vec::new(),
            kind,
            size_bytes: 0,
            layer: 0,
        };
        let mut entries = BTreeMap::new();
        for text in removed {
            let path = ImagePath::from_text(text).unwrap();
            for parent in path.ancestors() {
                entries.entry(parent).or_insert_with(|| entry(Decision::Keep, PathKind::Directory));
            }
            let kind = if text.ends_with('/') { PathKind::Directory } else { PathKind::File };
            entries.insert(path, entry(Decision::Remove, kind));
        }
        let policy = Policy::default();
        Ledger { format_version: ledger::FORMAT_VERSION, image: identity("original"), policy, entries }
    }

    fn step(name: &str, code: i32, compare: Compare, stdout: &str) -> StepResult {
        StepResult {
            name: name.into(),
            outcome: StepOutcome::Exited { code },
            allow_failure: true,
            unmet: None,
            compare,
            stdout: stdout.into(),
            stderr: String::new(),
            duration_ms: 1,
        }
    }

    fn run(coverage: &str, steps: Vec<StepResult>) -> Run {
        let counters = Counters { canaries_expected: 2, canaries_seen: 2, ..Counters::default() };
        Run {
            coverage: coverage.into(),
            started_at: "2026-11-22T13:51:22Z".into(),
            sensor: SensorReport {
                backend: "ebpf-base".into(),
                kernel: "6".into(),
                passed_over: Vec::new(),
                counters,
                verdict: Verdict::Complete,
                not_seen: Vec::new(),
            },
            steps,
            tags: BTreeSet::new(),
            carried_from: None,
            activity: None,
        }
    }

    /// A profile of one run with these failed lookups (path, program).
    fn profile(image: &str, run: Run, missing: &[(&str, &str)]) -> Profile {
        let observations = missing
            .iter()
            .map(|(path, exe)| Observation {
                path: ImagePath::from_text(path).unwrap(),
                kind: AccessKind::Missing,
                errno: 2,
                process: Process { exe: (*exe).into(), argv0: (*exe).into() }.into(),
                step: Step(0),
            })
            .collect();
        Profile::from_run(identity(image), run, &observations)
    }

    fn verify_steps(original: Vec<StepResult>, hardened: Vec<StepResult>) -> Verification {
        let original = profile("original", run("c", original), &[]);
        let hardened = profile("hardened", run("c", hardened), &[]);
        verify(&ledger(&[]), &original, &hardened)
    }

    #[test]
    fn steps_must_end_as_before_and_say_what_they_are_asked_to() {
        use Compare::{Exact, Normalised, Outcome};
        for (compare, before, after, passed, differs) in [
            (Outcome, (0, "a"), (0, "b"), true, true),
            (Outcome, (0, "a"), (1, "a"), false, false),
            (Outcome, (1, "a"), (127, "a"), false, false),
            (Normalised, (0, "took 1 ms"), (0, "took 2 ms"), true, false),
            (Normalised, (0, "PONG"), (0, "ERR"), false, true),
            (Exact, (0, "took 1 ms"), (0, "took 2 ms"), false, true),
        ] {
            let found = verify_steps(
                vec![step("s", before.0, compare, before.1)],
                vec![step("s", after.0, compare, after.1)],
            );
            let judged = (found.steps[0].passed, !found.steps[0].differences.is_empty());
            assert_eq!(judged, (passed, differs), "{compare:?} {before:?} {after:?}");
            assert_eq!(found.verdict == VerificationVerdict::Passed, passed);
        }
    }

    #[test]
    fn an_output_that_is_not_what_the_coverage_expects_fails_a_step_that_ends_as_before() {
        let asked = "expect: ^PONG$".to_owned();
        let unmet = |unmet: Option<&String>| {
            vec![StepResult { unmet: unmet.cloned(), ..step("s", 0, Compare::Outcome, "") }]
        };
        for (before, after, passed) in
            [(None, Some(&asked), false), (Some(&asked), None, false), (Some(&asked), Some(&asked), true)]
        {
            let found = verify_steps(unmet(before), unmet(after));
            assert_eq!(found.steps[0].passed, passed, "{before:?} {after:?}");
            assert_eq!(found.steps[0].unmet.as_ref(), Some(&asked).filter(|_| !passed));
            assert_eq!(found.verdict == VerificationVerdict::Passed, passed);
        }
    }

    #[test]
    fn every_step_of_the_original_has_to_run() {
        let make =
            |names: &[&str]| names.iter().map(|name| step(name, 0, Compare::Outcome, "")).collect::<Vec<_>>();
        for (before, after, not_run, failed) in [
            (&["a", "a", "b"][..], &["a", "a", "b"][..], 0, 0),
            (&["a", "a", "b"], &["a", "b"], 1, 0),
            (&["a"], &["a", "b"], 0, 1),
        ] {
            let found = verify_steps(make(before), make(after));
            let counts = (found.failures.len(), found.steps.iter().filter(|step| !step.passed).count());
            assert_eq!(counts, (not_run, failed), "{before:?} {after:?}");
        }
    }

    #[test]
    fn hard_32_a_lookup_fails_the_verification_only_if_we_removed_its_path() {
        let removes = ["/usr/lib/plugin.so", "/usr/share/data/", "/usr/share/data/x"];
        for (before, after, removed) in [
            (&[][..], &[("/usr/lib/plugin.so", "app")][..], &["/usr/lib/plugin.so"][..]),
            (&[], &[("/usr/share/data/sub/new", "app")], &["/usr/share/data"]),
            (&[], &[("/usr/share/data", "app")], &["/usr/share/data"]),
            (&[], &[("/usr/lib/never", "app"), ("/opt/never", "app")], &[]),
            // Missed on the original just so.
            (&[("/usr/lib/plugin.so", "app")], &[("/usr/lib/plugin.so", "app")], &[]),
            // The same lookup, told one step earlier because the directory is gone.
            (&[("/usr/share/data/sub", "app")], &[("/usr/share/data", "app")], &[]),
            (&[("/usr/share/data/sub", "other")], &[("/usr/share/data", "app")], &["/usr/share/data"]),
            // The engine's search for a program, in a directory of `PATH` that had it and in one that never did.
            (&[], &[("/usr/share/data/x", "x")], &["/usr/share/data/x"]),
            (&[], &[("/usr/share/data/y", "y")], &[]),
        ] {
            let original = profile("original", run("c", vec![]), before);
            let hardened = profile("hardened", run("c", vec![]), after);
            let found = verify(&ledger(&removes), &original, &hardened);
            let paths: Vec<_> =
                found.missing_lookups.iter().map(|missing| missing.removed.to_text()).collect();
            assert_eq!(paths, removed, "{before:?} {after:?}");
            let expected = match removed.is_empty() {
                true => VerificationVerdict::Passed,
                false => VerificationVerdict::Missed,
            };
            assert_eq!(found.verdict, expected);
        }
    }

    #[test]
    fn a_lookup_that_a_step_got_over_is_told_from_one_that_broke_it() {
        let steps = |code| run("c", vec![step("s", code, Compare::Outcome, "")]);
        let original = profile("original", steps(0), &[]);
        let verdict = |code, missing: &[(&str, &str)]| {
            verify(&ledger(&["/usr/lib/plugin.so"]), &original, &profile("hardened", steps(code), missing))
                .verdict
        };
        let missing = [("/usr/lib/plugin.so", "app")];
        assert_eq!(verdict(0, &[]), VerificationVerdict::Passed);
        assert_eq!(verdict(0, &missing), VerificationVerdict::Missed);
        assert_eq!(verdict(1, &missing), VerificationVerdict::Failed);
        assert_eq!(verdict(1, &[]), VerificationVerdict::Failed);
        let mut lossy = profile("hardened", steps(0), &missing);
        lossy.runs[0].sensor.counters.dropped = 1;
        let found = verify(&ledger(&["/usr/lib/plugin.so"]), &original, &lossy);
        assert_eq!(found.verdict, VerificationVerdict::Failed);
    }

    #[test]
    fn another_errno_is_another_failure() {
        let original = profile("original", run("c", vec![]), &[("/usr/lib/plugin.so", "app")]);
        let mut hardened = profile("hardened", run("c", vec![]), &[("/usr/lib/plugin.so", "app")]);
        for usage in hardened.paths.values_mut().flat_map(|usages| usages.0.values_mut()) {
            usage.errnos = [13].into();
        }
        assert_eq!(verify(&ledger(&["/usr/lib/plugin.so"]), &original, &hardened).missing_lookups.len(), 1);
    }

    #[test]
    fn runs_that_prove_nothing_fail() {
        let original = profile("original", run("c", vec![]), &[]);
        let good = profile("hardened", run("c", vec![]), &[]);
        let mut lossy = good.clone();
        lossy.runs[0].sensor.counters.dropped = 1;
        let mut none = good.clone();
        none.runs.clear();
        let other = profile("hardened", run("d", vec![]), &[]);
        let reasons = |hardened: &Profile| {
            let found = verify(&ledger(&[]), &original, hardened);
            assert_eq!(found.verdict == VerificationVerdict::Passed, found.failures.is_empty());
            found.failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!([&good, &lossy, &none, &other].map(reasons).join("\n---\n"), @r"

        ---
        the record of coverage c on the hardened image is incomplete: 1 event was dropped
        the record of coverage c on the hardened image is incomplete: the counters do not add up: 0 seen, 1 accounted for
        ---
        no run of the hardened image was recorded
        ---
        coverage d was not run on the original image
        ");
        let mut plan = ledger(&[]);
        plan.image = identity("another");
        assert_eq!(verify(&plan, &original, &good).failures, [VerificationFailure::OtherImage]);
    }

    #[test]
    fn a_coverage_that_was_left_out_is_noted() {
        let mut original = profile("original", run("c", vec![]), &[]);
        original.runs.push(run("d", vec![]));
        let found = verify(&ledger(&[]), &original, &profile("hardened", run("c", vec![]), &[]));
        assert_eq!(found.verdict, VerificationVerdict::Passed);
        assert_eq!(found.notes, ["coverage d was not run on the hardened image"]);
    }

    #[test]
    fn a_verification_reads_back() {
        let original = profile("original", run("c", vec![step("s", 0, Compare::Exact, "a")]), &[]);
        let hardened =
            profile("hardened", run("c", vec![step("s", 1, Compare::Exact, "b")]), &[("/x", "app")]);
        let mut found = verify(&ledger(&["/x"]), &original, &hardened);
        let reason = Incomplete::Dropped { count: 3 };
        found.failures.push(VerificationFailure::Incomplete { coverage: "c".into(), reason });
        let text = serde_json::to_string_pretty(&found).unwrap();
        insta::assert_snapshot!(text);
        assert_eq!(serde_json::from_str::<Verification>(&text).unwrap(), found);
    }
}
