//! The runs and their steps, as the page shows them.

use profile::{Run, StepOutcome, StepResult, Verdict};

use crate::Hardening;
use crate::saturation::Brought;
use crate::text::count_text;

/// One run.
pub(crate) struct RunText {
    pub(crate) coverage: String,
    pub(crate) started_at: String,
    pub(crate) backend: String,
    pub(crate) kernel: String,
    pub(crate) account: String,
}

impl From<&Run> for RunText {
    fn from(run: &Run) -> Self {
        let counters = &run.sensor.counters;
        let account = match &run.sensor.verdict {
            Verdict::Complete => format!(
                "Complete: {} uses seen, of which {} were known already and {} were recorded; none was lost.",
                count_text(counters.seen),
                count_text(counters.duplicate),
                count_text(counters.received)
            ),
            Verdict::Incomplete { reasons } => {
                let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
                format!("Incomplete: {}.", reasons.join("; "))
            }
        };
        Self {
            coverage: run.coverage.clone(),
            started_at: run.started_at.clone(),
            backend: run.sensor.backend.clone(),
            kernel: run.sensor.kernel.clone(),
            account,
        }
    }
}

/// One step.
pub(crate) struct StepText {
    pub(crate) coverage: String,
    pub(crate) name: String,
    pub(crate) original: String,
    pub(crate) hardened: String,
    pub(crate) passed: bool,
    pub(crate) duration: String,
    pub(crate) output: String,
    /// How many files it was the first to use; empty where the profile is not at hand.
    pub(crate) new_files: String,
}

/// The steps of all runs, in order, with the start of each run before them where the profile is at hand.
pub(crate) fn steps(result: &Hardening, brought: Option<&Brought>) -> Vec<StepText> {
    let mut rows = Vec::new();
    for (nth, run) in result.runs.iter().enumerate() {
        let new_files = |step: usize| {
            brought.map(|brought| {
                brought.get(&(nth, step)).map_or_else(|| "–".to_owned(), |count| count_text(*count))
            })
        };
        if let Some(new_files) = new_files(0) {
            rows.push(StepText::start(run, new_files));
        }
        for (position, step) in run.steps.iter().enumerate() {
            let verified = result.verification.as_ref().and_then(|verification| {
                verification.steps.iter().find(|v| v.name == step.name && v.coverage == run.coverage)
            });
            rows.push(StepText {
                coverage: run.coverage.clone(),
                name: step.name.clone(),
                original: outcome_text(step.outcome),
                hardened: verified.map_or_else(|| "–".to_owned(), |v| outcome_text(v.hardened)),
                passed: verified.is_none_or(|v| v.passed),
                duration: duration_text(step.duration_ms),
                output: output_text(step),
                new_files: new_files(position + 1).unwrap_or_default(),
            });
        }
    }
    rows
}

impl StepText {
    /// All before the first step.
    fn start(run: &Run, new_files: String) -> Self {
        let none = || "–".to_owned();
        Self {
            coverage: run.coverage.clone(),
            name: profile::START.to_owned(),
            original: none(),
            hardened: none(),
            passed: true,
            duration: none(),
            output: String::new(),
            new_files,
        }
    }
}

fn duration_text(milliseconds: u64) -> String {
    match milliseconds {
        0..1000 => format!("{milliseconds} ms"),
        _ => format!("{:.1} s", milliseconds as f64 / 1000.0),
    }
}

/// The first lines of what a step printed.
fn output_text(step: &StepResult) -> String {
    const MOST: usize = 4000;
    let whole = [step.stdout.as_str(), step.stderr.as_str()]
        .iter()
        .filter(|s| !s.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join("\n");
    match whole.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}\n…", &whole[..cut]),
        None => whole,
    }
}

fn outcome_text(outcome: StepOutcome) -> String {
    match outcome {
        StepOutcome::Exited { code: 0 } => "ok".to_owned(),
        StepOutcome::Exited { code } => format!("exit {code}"),
        StepOutcome::Signalled { signal } => format!("signal {signal}"),
        StepOutcome::TimedOut => "timed out".to_owned(),
    }
}

/// What the verification found wrong.
pub(crate) fn problems(result: &Hardening) -> Vec<String> {
    let Some(verification) = &result.verification else { return Vec::new() };
    let failures = verification.failures.iter().map(ToString::to_string);
    let missing = verification
        .missing_lookups
        .iter()
        .map(|lookup| format!("{} was looked up in step {} and had been removed", lookup.path, lookup.step));
    failures.chain(missing).collect()
}
