//! Markdown for pull requests.

use advisories::ScanReport;
use advisories::scan::ScannedFinding;

use crate::words::{self, SEVERITIES, percent};

/// A summary, and the findings to look at first: at most `rows`.
pub(crate) fn text(report: &ScanReport, rows: usize) -> String {
    let subject = report.hardened.as_ref().unwrap_or(&report.subject);
    let mut out = format!("### Vulnerabilities of {}\n\n", code(&subject.reference));
    if let Some(change) = &report.change {
        let fewer = change.percent_fewer().map(|fewer| format!(" ({fewer:.0} % fewer)")).unwrap_or_default();
        out += &format!("**{} before hardening, {} after{fewer}**\n\n", change.before, change.after);
    } else {
        out += &format!("**{} found**\n\n", report.counts.total);
    }
    out += "| severity | hot | warm | cold | not recorded | gone |\n| --- | ---: | ---: | ---: | ---: | ---: |\n";
    for severity in SEVERITIES {
        if let Some(count) = report.counts.by_severity.get(&severity) {
            out += &format!(
                "| {} | {} | {} | {} | {} | {} |\n",
                severity.name(),
                count.hot,
                count.warm,
                count.cold,
                count.not_recorded,
                count.gone
            );
        }
    }
    let open: Vec<&ScannedFinding> = report.open().collect();
    if !open.is_empty() {
        out += "\n| vulnerability | severity | in context | EPSS | heat | package | installed | fixed | notes |\n";
        out += "| --- | --- | ---: | ---: | --- | --- | --- | --- | --- |\n";
        open.iter().take(rows).for_each(|found| out += &row(found));
        if open.len() > rows {
            out += &format!("\n… and {} more.\n", open.len() - rows);
        }
    }
    if report.counts.settled > 0 {
        out += &format!("\n{} more are settled by a list or a VEX document.\n", report.counts.settled);
    }
    for warning in &report.warnings {
        out += &format!("\n> **Warning:** {}\n", cell(warning));
    }
    out
}

fn row(found: &ScannedFinding) -> String {
    let finding = &found.finding;
    let context = found.contextual.as_ref();
    format!(
        "| [{}]({}) | {} | {} | {} | {} | {} | {} | {} | {} |\n",
        cell(&finding.vulnerability),
        url(&found.url()),
        finding.severity.name(),
        context.map(|context| format!("{:.1} (of {:.1})", context.score, context.base)).unwrap_or_default(),
        finding.epss.map(|epss| percent(epss.score)).unwrap_or_default(),
        words::heat(found.heat),
        code(&finding.name),
        code(&finding.installed),
        finding.fixed.first().map(|fixed| code(fixed)).unwrap_or_default(),
        cell(&words::notes(found).join(", ")),
    )
}

/// Foreign text in a cell: no markup, no line break, nobody mentioned.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in words::plain(text).chars() {
        match c {
            '|' | '*' | '_' | '[' | ']' | '`' | '\\' | '~' | '#' => {
                out.push('\\');
                out.push(c);
            }
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '@' => out += "&#64;",
            c => out.push(c),
        }
    }
    out
}

fn code(text: &str) -> String {
    format!("`{}`", words::plain(text).replace('`', "'").replace('|', "\\|"))
}

fn url(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() && !"()<>|`\\".contains(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::tests::report;

    #[test]
    fn a_row_for_each_open_finding_up_to_the_limit() {
        let all = text(&report(), 100);
        assert_eq!(all.matches("\n| [CVE").count(), 3, "{all}");
        let two = text(&report(), 2);
        assert!(two.contains("… and 1 more."), "{two}");
    }

    #[test]
    fn foreign_text_makes_no_markup() {
        let mut report = report();
        report.findings[0].finding.name = "a`|<b>\n@all".into();
        report.warnings = vec!["<script>|*x* @team".into()];
        let text = text(&report, 100);
        assert!(text.contains("`a'\\|<b>\u{fffd}@all`"), "{text}");
        assert!(text.contains("&lt;script&gt;\\|\\*x\\* &#64;team"), "{text}");
    }
}
