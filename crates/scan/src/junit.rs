//! JUnit XML: each finding is a failed test, so that every build server can show it.

use advisories::ScanReport;
use advisories::scan::ScannedFinding;

use crate::words::explain;

/// One suite a report. A settled finding is a skipped test; an image without findings is a test that passed.
pub(crate) fn document(reports: &[ScanReport]) -> String {
    let mut out =
        String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"careen scan\">\n");
    for report in reports {
        out += &suite(report);
    }
    out + "</testsuites>\n"
}

fn suite(report: &ScanReport) -> String {
    let there: Vec<_> = report.findings.iter().filter(|found| found.heat != advisories::Heat::Gone).collect();
    let failures = there.iter().filter(|found| found.settled.is_none()).count();
    let subject = report.hardened.as_ref().unwrap_or(&report.subject);
    let mut out = format!(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" skipped=\"{}\" errors=\"0\">\n",
        escape(&subject.reference),
        there.len().max(1),
        there.len() - failures
    );
    if there.is_empty() {
        out += "    <testcase classname=\"careen\" name=\"no known vulnerabilities\"/>\n";
    }
    there.iter().for_each(|found| out += &case(found));
    out + "  </testsuite>\n"
}

fn case(found: &ScannedFinding) -> String {
    let finding = &found.finding;
    let name = format!(
        "[{}] {} in {} {}",
        finding.severity.name(),
        finding.vulnerability,
        finding.name,
        finding.installed
    );
    let inner = match &found.settled {
        Some(settled) => {
            format!("<skipped message=\"{}\"/>", escape(&format!("{}: {}", settled.status, settled.reason)))
        }
        None => format!(
            "<failure message=\"{}\" type=\"{}\">{}</failure>",
            escape(&format!("{} ({})", finding.vulnerability, finding.severity.name())),
            crate::words::heat(found.heat),
            escape(&format!("{}\n{}", explain(found), found.url()))
        ),
    };
    format!(
        "    <testcase classname=\"{}\" name=\"{}\">{inner}</testcase>\n",
        escape(&finding.purl),
        escape(&name)
    )
}

/// Text for XML 1.0, which has no way to write most control characters.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&apos;",
            '\n' => out += "&#10;",
            '\t' => out += "&#9;",
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::tests::report;

    #[test]
    fn a_suite_counts_what_it_holds() {
        let text = document(&[report()]);
        assert!(text.contains("tests=\"4\" failures=\"3\" skipped=\"1\""), "{text}");
        assert_eq!(text.matches("<failure ").count(), 3);
        assert_eq!(text.matches("<skipped ").count(), 1);
    }

    #[test]
    fn foreign_text_stays_text() {
        let mut report = report();
        report.findings[0].finding.summary = "</failure><x a='\"'>&\u{0}\u{1b}[31m\u{ffff}".into();
        let text = document(&[report]);
        assert!(
            text.contains("&lt;/failure&gt;&lt;x a=&apos;&quot;&apos;&gt;&amp;\u{fffd}\u{fffd}[31m\u{fffd}"),
            "{text}"
        );
    }
}
