//! The report as one HTML file that needs nothing else.

use askama::Template;
use harden::{HealCause, HealedPath};
use profile::Verdict;
use serde::Serialize;

use crate::carry_text::CarryText;
use crate::directories::{DirectoryText, directories};
use crate::figures::{Figure, figures};
use crate::findings::{FindingsText, Packed as PackedFindings};
use crate::ledger_data::LedgerData;
use crate::package_rows::{PackageText, packages, summary};
use crate::rules::{RuleText, rules};
use crate::saturation::{Saturation, brought, saturation};
use crate::shown::{script_json, source_hash};
use crate::steps::{RunText, StepText, problems, steps};
use crate::unseen::{Unseen, unseen};
use crate::used::{Used, used};
use crate::{Hardening, Parts};

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

const STYLE: &str =
    concat!(include_str!("../templates/report.css"), include_str!("../templates/treemap.css"));
const SCRIPT: &str = concat!(
    include_str!("../templates/data.js"),
    include_str!("../templates/list.js"),
    include_str!("../templates/treemap.js"),
    include_str!("../templates/ledger.js"),
    include_str!("../templates/findings.js"),
    include_str!("../templates/page.js"),
);

/// Makes the page: one HTML file with the figures, the findings, the map of the image, the steps and what each brought,
/// the rules, the packages, the used files and a searchable ledger.
///
/// Names from the image are text in it, never markup: the template escapes them, and the script sets text only. The
/// page forbids itself everything but its own style and script, by their hashes. Without its script the figures and
/// tables are still there.
///
/// # Errors
/// [`RenderError`] if a value cannot be written.
pub fn render(parts: &Parts<'_>) -> Result<String, RenderError> {
    let Parts { result, ledger, profile, findings } = *parts;
    let packages = packages(ledger);
    let brought = profile.map(|profile| brought(profile, ledger));
    let page = Page {
        result,
        style: STYLE,
        style_hash: source_hash(STYLE),
        script: SCRIPT,
        script_hash: source_hash(SCRIPT),
        complete: result.runs.iter().all(|run| run.sensor.verdict == Verdict::Complete),
        figures: figures(result, findings),
        findings: findings.map(FindingsText::from),
        directories: directories(ledger),
        runs: result.runs.iter().map(RunText::from).collect(),
        steps: steps(result, brought.as_ref()),
        saturation: brought.as_ref().and_then(|brought| saturation(result, brought)),
        problems: problems(result),
        healed: result.healed_paths.iter().map(HealedText::from).collect(),
        evaluation: result.evaluation.as_ref().map(|evaluation| unseen(evaluation, ledger)),
        notes: result.verification.as_ref().map(|v| v.notes.clone()).unwrap_or_default(),
        carries: result.carry.iter().map(CarryText::from).collect(),
        rules: rules(ledger),
        packages_summary: summary(&packages),
        packages,
        used: used(ledger),
        data: script_json(&Data {
            ledger: LedgerData::from(ledger),
            findings: findings.map(PackedFindings::from),
        })?,
    };
    Ok(page.render()?)
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    result: &'a Hardening,
    style: &'static str,
    style_hash: String,
    script: &'static str,
    script_hash: String,
    complete: bool,
    figures: Vec<Figure>,
    findings: Option<FindingsText>,
    directories: Vec<DirectoryText>,
    runs: Vec<RunText>,
    steps: Vec<StepText>,
    saturation: Option<Saturation>,
    problems: Vec<String>,
    healed: Vec<HealedText>,
    evaluation: Option<Unseen>,
    notes: Vec<String>,
    carries: Vec<CarryText>,
    rules: Vec<RuleText>,
    packages: Vec<PackageText>,
    packages_summary: String,
    used: Used,
    data: String,
}

/// What the page's script works on.
#[derive(Serialize)]
struct Data {
    ledger: LedgerData,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<PackedFindings>,
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
