//! The report as one HTML file that needs nothing else.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use harden::{Decision, HealCause, HealedPath, Ledger, LedgerEntry, PathKind};
use profile::{Run, StepOutcome, StepResult, Verdict};
use serde::Serialize;

use crate::carry_text::CarryText;
use crate::text::{bytes_text, count_text};
use crate::unseen::{Unseen, unseen};
use crate::{Change, Hardening};

/// Why a page could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The ledger could not be written as JSON.
    #[error("cannot put the ledger into the page")]
    Data(#[from] serde_json::Error),
    /// The page could not be filled in.
    #[error("cannot fill in the page")]
    Template(#[from] askama::Error),
}

/// Makes the page: one HTML file with the figures, the steps, the rules, the packages and a searchable ledger.
///
/// Names from the image are text in it, never markup: the template escapes them, and the script sets text only.
///
/// # Errors
/// [`RenderError`] if a value cannot be written.
pub fn render(result: &Hardening, ledger: &Ledger) -> Result<String, RenderError> {
    let packages = packages(ledger);
    let page = Page {
        result,
        style: include_str!("../templates/report.css"),
        script: include_str!("../templates/report.js"),
        complete: result.runs.iter().all(|run| run.sensor.verdict == Verdict::Complete),
        figures: result.changes().iter().map(Figure::from).collect(),
        runs: result.runs.iter().map(RunText::from).collect(),
        steps: steps(result),
        problems: problems(result),
        healed: result.healed_paths.iter().map(HealedText::from).collect(),
        evaluation: result.evaluation.as_ref().map(|evaluation| unseen(evaluation, ledger)),
        notes: result.verification.as_ref().map(|v| v.notes.clone()).unwrap_or_default(),
        carries: result.carry.iter().map(CarryText::from).collect(),
        rules: rules(ledger),
        packages_summary: packages_summary(&packages),
        packages,
        data: script_json(&Data::from(ledger))?,
    };
    Ok(page.render()?)
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    result: &'a Hardening,
    style: &'static str,
    script: &'static str,
    complete: bool,
    figures: Vec<Figure>,
    runs: Vec<RunText>,
    steps: Vec<StepText>,
    problems: Vec<String>,
    healed: Vec<HealedText>,
    evaluation: Option<Unseen>,
    notes: Vec<String>,
    carries: Vec<CarryText>,
    rules: Vec<RuleText>,
    packages: Vec<PackageText>,
    packages_summary: String,
    data: String,
}

struct HealedText {
    path: String,
    round: u32,
    how: String,
}

impl From<&HealedPath> for HealedText {
    fn from(healed: &HealedPath) -> Self {
        let by = healed.processes.first().map(|process| format!(" by {}", process.exe)).unwrap_or_default();
        let how = match healed.cause {
            HealCause::LookedUp => format!("looked up{by} in step {}", healed.step),
            HealCause::Listed => format!("missing in a listing{by} in step {}", healed.step),
            HealCause::Used => format!("used on the original{by} in step {}, which failed", healed.step),
        };
        Self { path: healed.path.to_string(), round: healed.round, how }
    }
}

struct Figure {
    name: &'static str,
    before: String,
    after: String,
    change: String,
    remains: u64,
}

impl From<&Change> for Figure {
    fn from(change: &Change) -> Self {
        let show = if change.is_bytes { bytes_text } else { count_text };
        Self {
            name: change.name,
            before: show(change.before),
            after: show(change.after),
            change: change.percent_text(),
            remains: change.after.saturating_mul(100).checked_div(change.before).unwrap_or(0).min(100),
        }
    }
}

struct RunText {
    coverage: String,
    started_at: String,
    backend: String,
    kernel: String,
    account: String,
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

struct StepText {
    name: String,
    original: String,
    hardened: String,
    passed: bool,
    duration: String,
    output: String,
}

fn steps(result: &Hardening) -> Vec<StepText> {
    result
        .runs
        .iter()
        .flat_map(|run| run.steps.iter().map(move |step| (run, step)))
        .map(|(run, step)| {
            let verified = result.verification.as_ref().and_then(|verification| {
                verification.steps.iter().find(|v| v.name == step.name && v.coverage == run.coverage)
            });
            StepText {
                name: step.name.clone(),
                original: outcome_text(step.outcome),
                hardened: verified.map_or_else(|| "–".to_owned(), |v| outcome_text(v.hardened)),
                passed: verified.is_none_or(|v| v.passed),
                duration: duration_text(step.duration_ms),
                output: output_text(step),
            }
        })
        .collect()
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

fn problems(result: &Hardening) -> Vec<String> {
    let Some(verification) = &result.verification else { return Vec::new() };
    let failures = verification.failures.iter().map(ToString::to_string);
    let missing = verification
        .missing_lookups
        .iter()
        .map(|lookup| format!("{} was looked up in step {} and had been removed", lookup.path, lookup.step));
    failures.chain(missing).collect()
}

struct RuleText {
    name: &'static str,
    files: String,
    directories: String,
    bytes: String,
    description: &'static str,
}

fn rules(ledger: &Ledger) -> Vec<RuleText> {
    ledger
        .totals()
        .into_iter()
        .map(|(rule, total)| RuleText {
            name: rule.name(),
            files: count_text(total.files),
            directories: count_text(total.directories),
            bytes: bytes_text(total.bytes),
            description: rule.describe(),
        })
        .collect()
}

struct PackageText {
    name: String,
    state: &'static str,
    kept: u64,
    removed: u64,
    bytes_kept: String,
    bytes_removed: String,
}

fn packages(ledger: &Ledger) -> Vec<PackageText> {
    #[derive(Default)]
    struct Tally {
        kept: u64,
        removed: u64,
        bytes_kept: u64,
        bytes_removed: u64,
        essential: u64,
    }
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for (path, entry) in ledger.entries.iter().filter(|(_, entry)| entry.kind != PathKind::Directory) {
        for name in &entry.packages {
            let tally = tallies.entry(name).or_default();
            if entry.decision == Decision::Keep {
                tally.kept += 1;
                tally.bytes_kept = tally.bytes_kept.saturating_add(entry.size_bytes);
                // A licence does not make a package present, nor does any other document.
                tally.essential += u64::from(!packages::is_licence(path) && !packages::is_document(path));
            } else {
                tally.removed += 1;
                tally.bytes_removed = tally.bytes_removed.saturating_add(entry.size_bytes);
            }
        }
    }
    tallies
        .into_iter()
        .map(|(name, tally)| PackageText {
            name: name.to_owned(),
            state: match (tally.essential, tally.removed) {
                (0, _) => "gone",
                (_, 0) => "whole",
                _ => "partial",
            },
            kept: tally.kept,
            removed: tally.removed,
            bytes_kept: bytes_text(tally.bytes_kept),
            bytes_removed: bytes_text(tally.bytes_removed),
        })
        .collect()
}

fn packages_summary(packages: &[PackageText]) -> String {
    let count = |state: &str| packages.iter().filter(|package| package.state == state).count();
    format!(
        "{} gone, {} of which only a part stays, {} whole.",
        count("gone"),
        count("partial"),
        count("whole")
    )
}

/// What the page's script works on.
#[derive(Serialize)]
struct Data<'a> {
    rules: BTreeMap<&'static str, &'static str>,
    entries: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    path: String,
    keep: bool,
    rule: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    kind: PathKind,
    size: u64,
    packages: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
}

impl<'a> From<&'a Ledger> for Data<'a> {
    fn from(ledger: &'a Ledger) -> Self {
        let used: BTreeSet<_> = ledger.entries.values().map(|entry| entry.rule).collect();
        Self {
            rules: used.into_iter().map(|rule| (rule.name(), rule.describe())).collect(),
            entries: ledger
                .entries
                .iter()
                .map(|(path, entry)| Row {
                    path: path.to_string(),
                    keep: entry.decision == Decision::Keep,
                    rule: entry.rule.name(),
                    because: entry.because.as_ref().map(ToString::to_string),
                    kind: entry.kind,
                    size: entry.size_bytes,
                    packages: &entry.packages,
                    evidence: evidence_text(entry),
                })
                .collect(),
        }
    }
}

fn evidence_text(entry: &LedgerEntry) -> Option<String> {
    let evidence = entry.evidence.as_ref()?;
    let kinds: Vec<_> = evidence.kinds.iter().map(|kind| kind.name()).collect();
    let by = evidence.processes.first().map(|process| format!(" by {}", process.exe)).unwrap_or_default();
    Some(format!("{}{by} in step {}", kinds.join(", "), evidence.step))
}

/// JSON that can stand inside a script element: `<` cannot begin a closing tag there, nor a comment.
fn script_json<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string(value)?
        .replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_close_the_script_element() {
        let json = script_json(&["</script><!--"]).unwrap();
        assert!(!json.contains('<'));
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), ["</script><!--"]);
    }
}
