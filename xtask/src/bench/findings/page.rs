//! `docs/findings.md`, from what was measured.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::seen::{Finding, Report, ScannedFinding};
use super::{Row, Scanners, counting, peers};

/// Percent fewer findings that are aimed at for Redis without security updates.
pub(super) const AIM_PERCENT: usize = 77;

const HEAD: &str = "\
# Findings before and after

Written by `cargo xtask bench findings`; do not edit.

Look-alikes of Redis and nginx on bookworm, each hardened with its built-in coverage and verified. *Release* images have
their packages from the point release alone, as of the day they were built, without security updates; the others have
the updates of that day. The original is scanned; a finding is gone when no file of its package is left but documents
and licences, and a package of which a part is left keeps all its findings.

";

pub(super) fn render(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    text += "| image | packages | findings before | after | fewer | distinct vulnerabilities | that an update fixes | without weak evidence |\n\
             | --- | --- | --: | --: | --: | --- | --- | --- |\n";
    for row in rows {
        let all = |_: &ScannedFinding| true;
        let fixable = |found: &ScannedFinding| !found.fixed.is_empty();
        let strong = |found: &ScannedFinding| found.weak.is_none();
        let (before, after) = counts(&row.report, all);
        let _ = writeln!(
            text,
            "| {} | {} to {} | {before} | {after} | {} | {} to {} | {} | {} |",
            row.image,
            row.before.ours.packages.len(),
            row.after.ours.packages.len(),
            fewer(before, after),
            distinct(&row.before.ours.findings),
            distinct(&row.after.ours.findings),
            change(counts(&row.report, fixable)),
            change(counts(&row.report, strong)),
        );
    }
    text += "\nA finding is one vulnerability in one binary package, whatever its severity. *Weak evidence*: only changelogs of\n\
             other releases name the vulnerability. ";
    if let Some(row) = rows.first() {
        let (before, after) = counts(&row.report, |_| true);
        let _ = writeln!(
            text,
            "The aim for {} was {AIM_PERCENT} % fewer: {}.",
            row.image,
            if (before - after) * 100 >= before * AIM_PERCENT { "reached" } else { "not reached" }
        );
    }
    text += "The counts depend on how much the database holds of what Debian's tracker knows.\n";
    text += &counting::render(rows);
    text += &what_is_left(rows);
    text += &peers_table(rows);
    text
}

/// The packages that keep findings.
fn what_is_left(rows: &[Row]) -> String {
    let mut text = "\n## What keeps findings\n\nThe packages of the hardened images that still have findings; *files* are those that count, of those that\n\
                    there were.\n\n| image | package | used | findings | files |\n| --- | --- | --- | --: | --: |\n"
        .to_owned();
    for row in rows {
        let mut left: Vec<_> = row
            .report
            .packages
            .iter()
            .filter(|package| package.heat != "gone" && package.findings > 0)
            .collect();
        left.sort_by_key(|package| (std::cmp::Reverse(package.findings), &package.name));
        for package in left {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} of {} |",
                row.image,
                package.name,
                package.heat,
                package.findings,
                package.files_left,
                package.files_before
            );
        }
    }
    text
}

fn peers_table(rows: &[Row]) -> String {
    let mut text = format!(
        "\n## Other scanners\n\nSyft {} and Trivy {} on the same images, the hardened ones as they are shipped. Trivy has a database made of the\n\
         same advisories; what Syft lists is matched by Careen. Our own figures here come from the image alone, not from the\n\
         comparison with its original. *VEX*: what Trivy still finds when it is given our document, which claims only what it can\n\
         show to be removed.\n\n\
         | image | state | packages: Careen, Syft, Trivy | findings: Careen | Syft's list | Trivy | Trivy with VEX |\n\
         | --- | --- | --- | --: | --: | --: | --: |\n",
        peers::SYFT,
        peers::TRIVY
    );
    for row in rows {
        for (state, scanners, vex) in
            [("original", &row.before, None), ("hardened", &row.after, Some(row.trivy_with_vex.len()))]
        {
            let Scanners { ours, syft, trivy } = scanners;
            let _ = writeln!(
                text,
                "| {} | {state} | {}, {}, {} | {} | {} | {} | {} |",
                row.image,
                ours.packages.len(),
                syft.packages.len(),
                trivy.packages.len(),
                ours.findings.len(),
                syft.findings.len(),
                trivy.findings.len(),
                vex.map_or_else(|| "-".to_owned(), |count| count.to_string())
            );
        }
    }
    text += "\n";
    let faults: Vec<String> = rows.iter().flat_map(Row::faults).collect();
    if faults.is_empty() {
        text += "Checked in the same run: all three list the same packages with the same versions; Trivy and Syft's list have every\n\
                 finding of ours, or our VEX names it; with our VEX, Trivy drops exactly what it claims.\n";
    } else {
        text += "**Not as it should be:**\n\n";
        faults.iter().for_each(|fault| text += &format!("- {fault}\n"));
    }
    let extra: BTreeSet<&Finding> = rows
        .iter()
        .flat_map(|row| [&row.before, &row.after])
        .flat_map(|scanners| scanners.trivy.findings.difference(&scanners.ours.findings))
        .collect();
    if !extra.is_empty() {
        let _ = writeln!(
            text,
            "\nTrivy alone finds {} (see [matching](matching.md)): {}.",
            extra.len(),
            named(&extra)
        );
    }
    text
}

fn named(findings: &BTreeSet<&Finding>) -> String {
    let names: Vec<String> =
        findings.iter().take(20).map(|(id, package)| format!("{id} in {package}")).collect();
    let more = findings.len() - names.len();
    names.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

fn counts(report: &Report, of: impl Fn(&ScannedFinding) -> bool) -> (usize, usize) {
    let chosen = || report.findings.iter().filter(|found| of(found));
    (chosen().count(), chosen().filter(|found| found.is_left()).count())
}

fn change((before, after): (usize, usize)) -> String {
    format!("{before} to {after} ({})", fewer(before, after))
}

/// How many percent fewer; rounded down, so that no aim is reached by rounding.
pub(super) fn fewer(before: usize, after: usize) -> String {
    match before {
        0 => "-".to_owned(),
        _ => format!("{} %", (before - after) * 100 / before),
    }
}

fn distinct(findings: &BTreeSet<Finding>) -> usize {
    findings.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_rounded_against_us() {
        assert_eq!(fewer(1000, 231), "76 %");
        assert_eq!(fewer(100, 23), "77 %");
        assert_eq!(change((0, 0)), "0 to 0 (-)");
    }
}
