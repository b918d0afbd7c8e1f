//! A verification as people read it.

use harden::{HealCause, HealedPath, MissingLookup, Verification, VerificationVerdict};
use profile::StepOutcome;

/// How many missing lookups are listed; the JSON has all.
const MOST_LISTED: usize = 20;

/// Whether the image did all that the original did.
pub(crate) fn passed(verification: &Verification) -> bool {
    verification.verdict == VerificationVerdict::Passed
}

/// One line: what was compared, and how it came out.
pub(crate) fn summary(verification: &Verification) -> String {
    let steps = verification.steps.len();
    let same = verification.steps.iter().filter(|step| step.passed).count();
    let missing = verification.missing_lookups.len();
    let begin = match verification.verdict {
        VerificationVerdict::Passed => "yes",
        VerificationVerdict::Missed => "works, but asked for what was removed",
        VerificationVerdict::Failed => "NO",
    };
    let steps = crate::output::counted(steps as u64, "step", "steps");
    let missing = crate::output::counted(missing as u64, "lookup", "lookups");
    format!("{begin}: {same} of {steps} as before, {missing} of removed files")
}

/// All that a person needs to see what differs.
pub(crate) fn text(verification: &Verification) -> String {
    let mut out = format!("verified: {}\n", summary(verification));
    for failure in &verification.failures {
        out += &format!("  {failure}\n");
    }
    for step in verification.steps.iter().filter(|step| !step.passed) {
        let original = step.original.map_or_else(|| "not run".to_owned(), outcome_text);
        out += &format!("  step {}: {original} before, {} now\n", step.name, outcome_text(step.hardened));
        if let Some(unmet) = &step.unmet {
            out += &format!("    the output is not as the coverage asks: {unmet}\n");
        }
        for difference in &step.differences {
            difference
                .original
                .iter()
                .for_each(|line| out += &format!("    {} - {line}\n", difference.stream));
            difference
                .hardened
                .iter()
                .for_each(|line| out += &format!("    {} + {line}\n", difference.stream));
        }
    }
    for lookup in verification.missing_lookups.iter().take(MOST_LISTED) {
        let by = by(lookup);
        out += &format!("  removed, but looked up{by} in step {}: {}\n", lookup.step, lookup.path);
    }
    if verification.missing_lookups.len() > MOST_LISTED {
        out += &format!("  and {} more\n", verification.missing_lookups.len() - MOST_LISTED);
    }
    for note in &verification.notes {
        out += &format!("  note: {note}\n");
    }
    out
}

/// What healing kept, a line each.
pub(crate) fn healed_text(healed: &[HealedPath]) -> String {
    let mut out = String::new();
    for path in healed.iter().take(MOST_LISTED) {
        let by = path.processes.iter().find(|process| process.exe.starts_with('/'));
        let by = by.map(|process| format!(" by {}", process.exe)).unwrap_or_default();
        let how = match path.cause {
            HealCause::LookedUp => "looked up",
            HealCause::Listed => "missing in a listing",
            HealCause::Used => "used on the original",
        };
        out += &format!("    {}: {how}{by} in step {}\n", path.path, path.step);
    }
    if healed.len() > MOST_LISTED {
        out += &format!("    and {} more\n", healed.len() - MOST_LISTED);
    }
    out
}

/// Who looked, for the end of a sentence; nothing where the coverage itself asked for the program.
pub(crate) fn by(lookup: &MissingLookup) -> String {
    let image_path = |process: &&profile::Process| process.exe.starts_with('/');
    let first = lookup.processes.iter().find(image_path);
    first.map(|process| format!(" by {}", process.exe)).unwrap_or_default()
}

/// How a step ended, in a word or two.
pub(crate) fn outcome_text(outcome: StepOutcome) -> String {
    match outcome {
        StepOutcome::Exited { code: 0 } => "ok".to_owned(),
        StepOutcome::Exited { code } => format!("exit {code}"),
        StepOutcome::Signalled { signal } => format!("signal {signal}"),
        StepOutcome::TimedOut => "timed out".to_owned(),
    }
}
