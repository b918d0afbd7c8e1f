//! What `careen harden` ends with.

use report::{FindingsSummary, Hardening};

use crate::{evaluation, output, verdict};

/// The table and where everything lies.
pub(crate) fn text(result: &Hardening) -> String {
    let mut out = String::new();
    if result.unchanged {
        out += "\nHardening would not shrink this image: the result is the original.\n";
    }
    out += "\n";
    out += &output::table(&["", "before", "after", "change"], &rows(result));
    out += "\n";
    out += &match &result.verification {
        Some(verification) => format!("  verified  {}\n", verdict::summary(verification)),
        None => "  verified  no: run `careen verify` with a coverage\n".to_owned(),
    };
    for report in &result.carry {
        out += &format!("  profile   {}\n", crate::carrying::summary(report));
    }
    if let Some(last) = result.healed_paths.iter().map(|path| path.round).max() {
        let count = result.healed_paths.len();
        let paths = if count == 1 { "path" } else { "paths" };
        let rounds = if last == 1 { "1 round".to_owned() } else { format!("{last} rounds") };
        out += &format!("  healed    {count} {paths} in {rounds}, after verifications that failed:\n");
        out += &verdict::healed_text(&result.healed_paths);
    }
    for policy in result.evaluation.iter().flat_map(|evaluation| &evaluation.policies) {
        let name = evaluation::policy_name(policy.generalize);
        out += &format!(
            "  unseen    {} of {} steps work when nobody recorded them, with --generalize {name} ({})\n",
            policy.works,
            policy.tried(),
            output::bytes_text(policy.kept.bytes)
        );
    }
    let partial: u64 = result.packages.counts.values().map(|count| count.partial).sum();
    if partial > 0 && !result.unchanged {
        out +=
            &format!("  packages  of {} only a part is left: see the report\n", output::count_text(partial));
    }
    out += &match &result.findings {
        Some(findings) => findings_text(findings),
        None => "  findings  not looked for: `careen db update` makes the database\n".to_owned(),
    };
    for warning in &result.warnings {
        out += &format!("  warning   {warning}\n");
    }
    out += &format!("  image     {}\n", result.hardened.reference);
    out += &format!("  digest    {}\n", result.hardened.manifest_digest);
    out += &format!("  report    {}\n", result.report.display());
    for file in &result.attestations {
        out += &format!("  attested  {}\n", file.display());
    }
    out
}

/// Vulnerabilities before and after, by the files that are left of the original's packages.
fn findings_text(findings: &FindingsSummary) -> String {
    let (change, heat) = (&findings.change, &findings.counts.by_heat);
    let fewer = change.percent_fewer().map(|fewer| format!(" (−{fewer:.0} %)")).unwrap_or_default();
    let mut out = format!(
        "  findings  {} before, {} after{fewer}: {} hot, {} warm, {} cold; {} gone\n",
        output::count_text(change.before),
        output::count_text(change.after),
        heat.hot,
        heat.warm,
        heat.cold,
        heat.gone
    );
    for (severity, count) in change.by_severity.iter().rev() {
        out += &format!("            {:10}  {} -> {}\n", severity.name(), count.before, count.after);
    }
    out
}

fn rows(result: &Hardening) -> Vec<Vec<String>> {
    result
        .changes()
        .into_iter()
        .map(|change| {
            let show =
                |value| if change.is_bytes { output::bytes_text(value) } else { output::count_text(value) };
            vec![change.name.to_owned(), show(change.before), show(change.after), change.percent_text()]
        })
        .collect()
}
