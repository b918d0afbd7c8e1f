//! Leave-one-out: how the steps of a coverage fare on an image that was hardened without them.
//!
//! A coverage never runs everything. How a hardened image behaves on the step that nobody wrote is measured by
//! pretending: the plan is made from a recording without one step, and then that step is run on it. This module judges
//! such runs; what runs them is the command.

use image::ImagePath;
use profile::{ImageIdentity, Profile, StepOutcome};
use serde::{Deserialize, Serialize};

use crate::verify::outputs::OutputDifference;
use crate::{Generalize, Ledger, MissingLookup, Total, VerificationFailure, verify};

/// The version of the document that this build writes.
pub const FORMAT_VERSION: u32 = 1;

/// How the steps of one coverage fare on an image that was hardened without them, under each policy.
///
/// Schema: `docs/formats/evaluation.schema.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluation {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The image.
    pub image: ImageIdentity,
    /// Name of the coverage.
    pub coverage: String,
    /// All that the image holds.
    pub original: Total,
    /// The policies that were tried, least generous first, with what each costs and brings.
    pub policies: Vec<PolicyFigures>,
    /// The steps, in the order of the coverage.
    pub steps: Vec<StepEvaluation>,
}

/// What one policy costs and brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFigures {
    /// The policy.
    pub generalize: Generalize,
    /// What stays under it when no step is left out.
    pub kept: Total,
    /// Left-out steps that did as on the original, and so did all others, and nothing was missed.
    pub works: u64,
    /// Left-out steps that ended as on the original, while something was missed or another step ended otherwise.
    pub lacks: u64,
    /// Left-out steps that ended otherwise.
    pub broken: u64,
}

/// One step that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEvaluation {
    /// Its name in the coverage.
    pub name: String,
    /// Why it could not be left out; none if it was.
    pub cannot: Option<String>,
    /// How it fared under each policy, in the order of [`Evaluation::policies`]; empty if it could not be left out.
    pub trials: Vec<Trial>,
}

/// One left-out step under one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The policy.
    pub generalize: Generalize,
    /// What stayed of the image without the step.
    pub kept: Total,
    /// How it came out.
    pub verdict: TrialVerdict,
    /// How the step ended on the original.
    pub original: Option<StepOutcome>,
    /// How it ended on the hardened image; none if the run never came to it.
    pub hardened: Option<StepOutcome>,
    /// Where its outputs differ, also where that does not count.
    pub differences: Vec<OutputDifference>,
    /// Lookups of the run that failed only because something was removed: those in this step first, then the others,
    /// each by path.
    pub missing_lookups: Vec<MissingLookup>,
    /// Other steps of the run that ended otherwise than on the original.
    pub others: Vec<String>,
    /// Why the run as a whole proves less than it should: its record is incomplete, or it broke off.
    pub failures: Vec<VerificationFailure>,
}

/// How a left-out step fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialVerdict {
    /// It did as on the original, as did all other steps, and nothing was missed.
    Works,
    /// It ended as on the original, but something that was removed was looked for, or another step ended otherwise.
    Lacks,
    /// It ended otherwise, or was never reached.
    Broken,
}

impl Evaluation {
    /// Sums up trials. `kept` is what stays under each policy when no step is left out; each step's trials have the
    /// same order.
    pub fn new(
        image: ImageIdentity,
        coverage: &str,
        original: Total,
        kept: &[(Generalize, Total)],
        steps: Vec<StepEvaluation>,
    ) -> Self {
        let count = |generalize, verdict| {
            let trials = steps.iter().flat_map(|step| &step.trials);
            trials.filter(|trial| trial.generalize == generalize && trial.verdict == verdict).count() as u64
        };
        let policies = kept
            .iter()
            .map(|&(generalize, kept)| PolicyFigures {
                generalize,
                kept,
                works: count(generalize, TrialVerdict::Works),
                lacks: count(generalize, TrialVerdict::Lacks),
                broken: count(generalize, TrialVerdict::Broken),
            })
            .collect();
        let coverage = coverage.to_owned();
        Self { format_version: FORMAT_VERSION, image, coverage, original, policies, steps }
    }
}

impl PolicyFigures {
    /// How many steps were left out.
    pub fn tried(&self) -> u64 {
        self.works + self.lacks + self.broken
    }
}

impl Trial {
    /// The removed path to name: the first that the step itself asked for, else the first of the run.
    pub fn first_missing(&self) -> Option<&ImagePath> {
        self.missing_lookups.first().map(|lookup| &lookup.path)
    }
}

/// Judges the run of a whole coverage on the plan of `ledger`, which was made without `step`. Pure.
///
/// `original` is a profile of the original with all steps. The other steps were recorded for the plan, so what they
/// miss or do otherwise comes of what the left-out step did before them (or of chance): it counts, though less than
/// the end of the step itself. A run that never came to the step has broken it: the way to a step is part of it.
pub fn judge(step: &str, ledger: &Ledger, original: &Profile, hardened: &Profile) -> Trial {
    let verification = verify(ledger, original, hardened);
    let result = verification.steps.iter().find(|result| result.name == step);
    let others: Vec<_> = verification
        .steps
        .iter()
        .filter(|other| !other.passed && other.name != step)
        .map(|other| other.name.clone())
        .collect();
    let mut missing_lookups = verification.missing_lookups;
    missing_lookups.sort_by_key(|lookup| lookup.step != step);
    let verdict = match result {
        Some(result) if !result.passed => TrialVerdict::Broken,
        None => TrialVerdict::Broken,
        Some(_) if missing_lookups.is_empty() && others.is_empty() => TrialVerdict::Works,
        Some(_) => TrialVerdict::Lacks,
    };
    Trial {
        generalize: ledger.policy.generalize,
        kept: ledger.total(crate::Decision::Keep),
        verdict,
        original: original
            .runs
            .iter()
            .rev()
            .find_map(|run| run.steps.iter().find(|result| result.name == step))
            .map(|result| result.outcome),
        hardened: result.map(|result| result.hardened),
        differences: result.map(|result| result.differences.clone()).unwrap_or_default(),
        missing_lookups,
        others,
        failures: verification.failures,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use image::ImagePath;
    use profile::{
        AccessKind, Compare, Counters, Observation, Process, Run, SensorReport, Step, StepResult, Verdict,
    };

    use super::*;
    use crate::fixture::{self, Fixture};

    /// An image of a program with two files, a coverage of three steps of which the second alone uses `/opt/b`.
    fn fixture() -> Fixture {
        fixture::image("bin/app@755 opt/a opt/b opt/dir/ opt/dir/c").uses("exec:/bin/app /opt/a")
    }

    fn run(codes: &[(&str, i32, &str)]) -> Run {
        let steps = codes
            .iter()
            .map(|&(name, code, stdout)| StepResult {
                name: name.into(),
                outcome: StepOutcome::Exited { code },
                allow_failure: true,
                unmet: None,
                compare: Compare::Exact,
                stdout: stdout.into(),
                stderr: String::new(),
                duration_ms: 1,
            })
            .collect();
        let counters = Counters { canaries_expected: 2, canaries_seen: 2, ..Counters::default() };
        Run {
            coverage: "fixture".into(),
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

    fn profile(fixture: &Fixture, run: Run, missing: &[(&str, u32)]) -> Profile {
        let observations = missing
            .iter()
            .map(|&(path, step)| Observation {
                path: ImagePath::from_text(path).unwrap(),
                kind: AccessKind::Missing,
                errno: 2,
                process: Process { exe: "/bin/app".into(), argv0: "app".into() }.into(),
                step: Step(step),
            })
            .collect();
        Profile::from_run(fixture::identity(&fixture.image), run, &observations)
    }

    fn trial(codes: &[(&str, i32, &str)], missing: &[(&str, u32)]) -> Trial {
        let fixture = fixture();
        let original = profile(&fixture, run(&[("one", 0, ""), ("two", 0, "b"), ("three", 1, "")]), &[]);
        judge("two", &fixture.plan().ledger, &original, &profile(&fixture, run(codes), missing))
    }

    #[test]
    fn a_step_is_judged_by_its_own_result_and_its_own_lookups() {
        let same = [("one", 0, ""), ("two", 0, "b"), ("three", 1, "")];
        let cases: [(&[_], &[_], _, Option<&str>, &[&str]); 9] = [
            (&same, &[], TrialVerdict::Works, None, &[]),
            (&same, &[("/opt/b", 2)], TrialVerdict::Lacks, Some("/opt/b"), &[]),
            (&same, &[("/opt/dir/c", 2)], TrialVerdict::Lacks, Some("/opt/dir/c"), &[]),
            (&same, &[("/opt/a", 3), ("/opt/b", 3)], TrialVerdict::Lacks, Some("/opt/b"), &[]),
            (&same, &[("/opt/b", 3), ("/opt/dir/c", 2)], TrialVerdict::Lacks, Some("/opt/dir/c"), &[]),
            (&same, &[("/not/in/the/image", 2)], TrialVerdict::Works, None, &[]),
            (&[("one", 2, ""), ("two", 0, "b"), ("three", 1, "")], &[], TrialVerdict::Lacks, None, &["one"]),
            (
                &[("one", 0, ""), ("two", 1, "b"), ("three", 0, "")],
                &[("/opt/b", 2)],
                TrialVerdict::Broken,
                Some("/opt/b"),
                &["three"],
            ),
            (&[("one", 2, ""), ("two", 0, "a"), ("three", 1, "")], &[], TrialVerdict::Broken, None, &["one"]),
        ];
        for (codes, missing, verdict, first, others) in cases {
            let trial = trial(codes, missing);
            assert_eq!(trial.verdict, verdict, "{codes:?} {missing:?}");
            assert_eq!(trial.first_missing().map(ImagePath::to_text).as_deref(), first);
            assert_eq!(trial.others, others, "{codes:?} {missing:?}");
            assert_eq!(trial.original, Some(StepOutcome::Exited { code: 0 }));
        }
    }

    #[test]
    fn a_run_that_never_came_to_the_step_has_broken_it_and_every_lookup_may_be_the_reason() {
        let trial = trial(&[("one", 0, "")], &[("/opt/b", 1)]);
        assert_eq!((trial.verdict, trial.hardened), (TrialVerdict::Broken, None));
        assert_eq!(trial.first_missing().unwrap().to_text(), "/opt/b");
        assert!(trial.failures.iter().any(|failure| failure.to_string().starts_with("step two")));
    }

    #[test]
    fn trials_are_summed_up_by_policy_and_steps_that_could_not_be_left_out_count_nowhere() {
        let same = [("one", 0, ""), ("two", 0, "b"), ("three", 1, "")];
        let lacks = trial(&same, &[("/opt/b", 2)]);
        let works = Trial { generalize: Generalize::Package, ..trial(&same, &[]) };
        assert_eq!(lacks.generalize, Generalize::default());
        let steps = vec![
            StepEvaluation { name: "two".into(), cannot: None, trials: vec![lacks.clone(), works.clone()] },
            StepEvaluation { name: "again".into(), cannot: None, trials: vec![lacks, works] },
            StepEvaluation { name: "one".into(), cannot: Some("then two fails".into()), trials: Vec::new() },
        ];
        let total = |bytes| Total { files: 1, directories: 1, bytes };
        let kept = [(Generalize::default(), total(5)), (Generalize::Package, total(7))];
        let identity = fixture::identity(&fixture().image);
        let evaluation = Evaluation::new(identity, "fixture", total(9), &kept, steps);
        let figures: Vec<_> = evaluation
            .policies
            .iter()
            .map(|p| (p.generalize, p.kept.bytes, p.works, p.lacks, p.broken, p.tried()))
            .collect();
        assert_eq!(figures, [(Generalize::default(), 5, 0, 2, 0, 2), (Generalize::Package, 7, 2, 0, 0, 2)]);
    }
}
