//! An evaluation as people read it.

use harden::{Evaluation, Generalize, StepEvaluation, Trial, TrialVerdict};

use crate::{output, verdict};

/// A policy as it is typed.
pub(crate) fn policy_name(generalize: Generalize) -> &'static str {
    match generalize {
        Generalize::None => "none",
        Generalize::References => "references",
        Generalize::Package => "package",
    }
}

/// The table of steps and policies, what each policy costs, and where each failure came from.
pub(crate) fn text(evaluation: &Evaluation) -> String {
    let names = evaluation.policies.iter().map(|policy| policy_name(policy.generalize));
    let header: Vec<_> = std::iter::once("step left out").chain(names).collect();
    let mut rows: Vec<_> = evaluation.steps.iter().map(|step| row(evaluation, step)).collect();
    rows.push(Vec::new());
    let mut figures = |name: &str, figure: &dyn Fn(&harden::PolicyFigures) -> String| {
        let cells = evaluation.policies.iter().map(figure);
        rows.push(std::iter::once(name.to_owned()).chain(cells).collect());
    };
    figures("still work", &|policy| format!("{} of {}", policy.works, policy.tried()));
    if evaluation.policies.iter().any(|policy| policy.lacks > 0) {
        figures("ended as before", &|policy| {
            format!("{} of {}", policy.works + policy.lacks, policy.tried())
        });
    }
    figures("size", &|policy| output::bytes_text(policy.kept.bytes));
    figures("files", &|policy| output::count_text(policy.kept.files));

    let mut out = format!("\n{}\n", output::table(&header, &rows));
    out += &format!(
        "  original  {}, {}\n",
        output::bytes_text(evaluation.original.bytes),
        output::counted(evaluation.original.files, "file", "files")
    );
    let failed: Vec<_> = evaluation.steps.iter().flat_map(reasons).collect();
    if !failed.is_empty() {
        out += "\nWhat went wrong:\n";
        failed.iter().for_each(|line| out += &format!("  {line}\n"));
    }
    let impossible: Vec<_> =
        evaluation.steps.iter().filter_map(|step| Some((&step.name, step.cannot.as_ref()?))).collect();
    if !impossible.is_empty() {
        out += "\nCould not be left out:\n";
        impossible.iter().for_each(|(name, reason)| out += &format!("  {name}: {reason}\n"));
    }
    out
}

fn row(evaluation: &Evaluation, step: &StepEvaluation) -> Vec<String> {
    let cells = evaluation.policies.iter().enumerate().map(|(index, _)| match step.trials.get(index) {
        Some(trial) => word(trial.verdict).to_owned(),
        None => "–".to_owned(),
    });
    std::iter::once(step.name.clone()).chain(cells).collect()
}

/// A verdict in a word.
pub(super) fn word(verdict: TrialVerdict) -> &'static str {
    match verdict {
        TrialVerdict::Works => "ok",
        TrialVerdict::Lacks => "lacks",
        TrialVerdict::Broken => "broken",
    }
}

/// One line for each way in which a step came out badly, with the policies of which that is true.
fn reasons(step: &StepEvaluation) -> Vec<String> {
    let mut by_reason: Vec<(String, Vec<&str>)> = Vec::new();
    for trial in step.trials.iter().filter(|trial| trial.verdict != TrialVerdict::Works) {
        let reason = reason(trial);
        let policy = policy_name(trial.generalize);
        match by_reason.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, policies)) => policies.push(policy),
            None => by_reason.push((reason, vec![policy])),
        }
    }
    by_reason
        .into_iter()
        .map(|(reason, policies)| format!("{} ({}): {reason}", step.name, policies.join(", ")))
        .collect()
}

fn reason(trial: &Trial) -> String {
    let mut parts = Vec::new();
    match (trial.verdict, trial.original, trial.hardened) {
        (TrialVerdict::Broken, Some(original), Some(hardened)) if original != hardened => {
            parts.push(format!(
                "{} instead of {}",
                verdict::outcome_text(hardened),
                verdict::outcome_text(original)
            ));
        }
        (TrialVerdict::Broken, _, Some(_)) => parts.push("its output differs".to_owned()),
        (TrialVerdict::Broken, _, None) => parts.push("the run broke off before it".to_owned()),
        _ => {}
    }
    if let Some(lookup) = trial.missing_lookups.first() {
        let by = verdict::by(lookup);
        let more = match trial.missing_lookups.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        parts.push(format!("{} was missed{by} in step {}{more}", lookup.path, lookup.step));
    }
    if !trial.others.is_empty() {
        parts.push(format!("then otherwise: {}", trial.others.join(", ")));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use image::{Digest, ImagePath, Platform};
    use profile::{ImageIdentity, Process, StepOutcome};

    use super::*;

    fn trial(generalize: Generalize, verdict: TrialVerdict, missing: &[&str]) -> Trial {
        let missing_lookups = missing
            .iter()
            .map(|path| harden::MissingLookup {
                path: ImagePath::from_text(path).unwrap(),
                removed: ImagePath::from_text(path).unwrap(),
                errnos: vec![2],
                processes: vec![Process { exe: "/usr/bin/dash".into(), argv0: "sh".into() }],
                coverage: "shop".into(),
                step: "report".into(),
            })
            .collect();
        let code = if verdict == TrialVerdict::Broken { 127 } else { 0 };
        Trial {
            generalize,
            kept: harden::Total { files: 10, directories: 2, bytes: 1000 },
            verdict,
            original: Some(StepOutcome::Exited { code: 0 }),
            hardened: Some(StepOutcome::Exited { code }),
            differences: Vec::new(),
            missing_lookups,
            others: if code == 0 { Vec::new() } else { vec!["mail".into()] },
            failures: Vec::new(),
        }
    }

    #[test]
    fn the_table_shows_steps_costs_and_reasons() {
        use TrialVerdict::{Broken, Lacks, Works};
        let total = |bytes| harden::Total { files: bytes / 1000, directories: 3, bytes };
        let kept = [
            (Generalize::None, total(20_000_000)),
            (Generalize::References, total(21_500_000)),
            (Generalize::Package, total(30_000_000)),
        ];
        let verdicts = |verdicts: [TrialVerdict; 3], missing: &[&str]| -> Vec<Trial> {
            kept.iter()
                .zip(verdicts)
                .map(|(&(generalize, _), verdict)| {
                    let missing = if verdict == Works { &[] } else { missing };
                    trial(generalize, verdict, missing)
                })
                .collect()
        };
        let step = |name: &str, trials| StepEvaluation { name: name.into(), cannot: None, trials };
        let steps = vec![
            step("set and get", verdicts([Works, Works, Works], &[])),
            step("report", verdicts([Broken, Broken, Works], &["/usr/bin/awk", "/usr/share/fonts"])),
            step("status page", verdicts([Lacks, Works, Works], &["/srv/status.html"])),
            StepEvaluation {
                name: "login".into(),
                cannot: Some("without it the original fails: step \"order\" failed: exit code 1".into()),
                trials: Vec::new(),
            },
        ];
        let digest = Digest::of(b"shop");
        let image = ImageIdentity {
            reference: "oci:shop".into(),
            manifest_digest: digest,
            image_id: digest,
            platform: Platform::host(),
        };
        let evaluation = Evaluation::new(image, "shop", total(90_000_000), &kept, steps);
        insta::assert_snapshot!(text(&evaluation));
    }
}
