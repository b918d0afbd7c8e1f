//! The evaluation of a coverage as the page shows it.

use harden::{Evaluation, Generalize, Ledger, Trial, TrialVerdict};

use crate::text::{bytes_text, count_text};

/// A table of steps by policies.
pub(crate) struct Unseen {
    pub(crate) policies: Vec<PolicyText>,
    pub(crate) steps: Vec<StepText>,
    /// Why steps came out badly, or could not be left out.
    pub(crate) reasons: Vec<String>,
}

/// A column: what a policy costs and brings.
pub(crate) struct PolicyText {
    pub(crate) name: String,
    pub(crate) works: String,
    pub(crate) bytes: String,
    pub(crate) files: String,
}

/// A row.
pub(crate) struct StepText {
    pub(crate) name: String,
    pub(crate) cells: Vec<&'static str>,
    /// Whether it came out badly under the policy that this image was hardened with.
    pub(crate) failed: bool,
}

/// Lays out an evaluation; `ledger` tells which policy the image at hand was hardened with.
pub(crate) fn unseen(evaluation: &Evaluation, ledger: &Ledger) -> Unseen {
    let ours = ledger.policy.generalize;
    let policies = evaluation
        .policies
        .iter()
        .map(|policy| PolicyText {
            name: match policy.generalize == ours {
                true => format!("{} (this image)", name(policy.generalize)),
                false => name(policy.generalize).to_owned(),
            },
            works: format!("{} of {}", policy.works, policy.tried()),
            bytes: bytes_text(policy.kept.bytes),
            files: count_text(policy.kept.files),
        })
        .collect();
    let steps = evaluation
        .steps
        .iter()
        .map(|step| StepText {
            name: step.name.clone(),
            cells: match step.trials.is_empty() {
                true => vec!["–"; evaluation.policies.len()],
                false => step.trials.iter().map(|trial| word(trial.verdict)).collect(),
            },
            failed: step.trials.iter().any(|t| t.generalize == ours && t.verdict != TrialVerdict::Works),
        })
        .collect();
    let failed = evaluation.steps.iter().flat_map(|step| {
        let trial = step.trials.iter().find(|t| t.generalize == ours && t.verdict != TrialVerdict::Works);
        trial.map(|trial| reason(&step.name, trial))
    });
    let impossible = evaluation
        .steps
        .iter()
        .filter_map(|step| Some(format!("{} could not be left out: {}", step.name, step.cannot.as_ref()?)));
    Unseen { policies, steps, reasons: failed.chain(impossible).collect() }
}

fn name(generalize: Generalize) -> &'static str {
    match generalize {
        Generalize::None => "none",
        Generalize::References => "references",
        Generalize::Package => "package",
    }
}

fn word(verdict: TrialVerdict) -> &'static str {
    match verdict {
        TrialVerdict::Works => "ok",
        TrialVerdict::Lacks => "lacks",
        TrialVerdict::Broken => "broken",
    }
}

fn reason(step: &str, trial: &Trial) -> String {
    let mut text = match trial.verdict {
        TrialVerdict::Broken => format!("{step} ended otherwise when it was left out"),
        TrialVerdict::Lacks | TrialVerdict::Works => format!("{step} ended as before when it was left out"),
    };
    if let Some(path) = trial.first_missing() {
        text += &format!("; {path} was missed");
        if trial.missing_lookups.len() > 1 {
            text += &format!(" and {} more", trial.missing_lookups.len() - 1);
        }
    }
    if !trial.others.is_empty() {
        text += &format!("; otherwise then: {}", trial.others.join(", "));
    }
    text
}
