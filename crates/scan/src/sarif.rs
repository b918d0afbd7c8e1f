//! SARIF 2.1.0: what code hosts show beside code.
//!
//! Source: OASIS, Static Analysis Results Interchange Format 2.1.0.

use std::collections::BTreeMap;

use advisories::ScanReport;
use advisories::matching::Rank;
use advisories::scan::ScannedFinding;
use serde_json::{Value, json};

use crate::words::{explain, fingerprint};

/// One run a report.
pub(crate) fn document(reports: &[ScanReport]) -> Value {
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": reports.iter().map(run).collect::<Vec<_>>(),
    })
}

fn run(report: &ScanReport) -> Value {
    let present = || report.findings.iter().filter(|found| found.heat != advisories::Heat::Gone);
    let mut rules: BTreeMap<&str, &ScannedFinding> = BTreeMap::new();
    for found in present() {
        let rule = rules.entry(&found.finding.vulnerability).or_insert(found);
        if found.finding.severity > rule.finding.severity {
            *rule = found;
        }
    }
    let places: BTreeMap<&str, usize> = rules.keys().enumerate().map(|(place, id)| (*id, place)).collect();
    json!({
        "tool": {"driver": {
            "name": "Careen",
            "semanticVersion": report.careen_version,
            "rules": rules.values().map(|found| rule(found)).collect::<Vec<_>>(),
        }},
        "automationDetails": {"id": format!("careen/{}", report.subject.reference)},
        "results": present().map(|found| result(report, found, &places)).collect::<Vec<_>>(),
        "columnKind": "unicodeCodePoints",
    })
}

fn rule(found: &ScannedFinding) -> Value {
    let finding = &found.finding;
    let summary = match finding.summary.is_empty() {
        true => finding.vulnerability.clone(),
        false => finding.summary.clone(),
    };
    json!({
        "id": finding.vulnerability,
        "shortDescription": {"text": summary},
        "helpUri": found.url(),
        "defaultConfiguration": {"level": level(finding.severity)},
        "properties": {
            "tags": ["security", "vulnerability", finding.severity.name()],
            "security-severity": format!("{:.1}", score(found)),
        },
    })
}

fn result(report: &ScanReport, found: &ScannedFinding, rules: &BTreeMap<&str, usize>) -> Value {
    let finding = &found.finding;
    let mut properties = json!({
        "purl": finding.purl,
        "heat": found.heat,
        "partial": found.partial,
        "severity": finding.severity,
    });
    if let Some(epss) = finding.epss {
        properties["epss"] = json!(epss.score);
    }
    if let Some(contextual) = &found.contextual {
        properties["contextual"] = json!(contextual);
    }
    if let Some(weak) = &found.weak {
        properties["weak"] = json!(weak);
    }
    let mut result = json!({
        "ruleId": finding.vulnerability,
        "ruleIndex": rules.get(finding.vulnerability.as_str()),
        "level": level(finding.severity),
        "message": {"text": explain(found)},
        "locations": [{
            "physicalLocation": {"artifactLocation": {"uri": uri(&finding.found_in.file.to_absolute())}},
            "logicalLocations": [{
                "name": finding.name,
                "fullyQualifiedName": format!("{}: {}", report.subject.reference, finding.purl),
                "kind": "package",
            }],
        }],
        "partialFingerprints": {"careen/v1": fingerprint(&[&finding.vulnerability, &finding.name])},
        "properties": properties,
    });
    if let Some(settled) = &found.settled {
        result["suppressions"] = json!([{
            "kind": "external",
            "status": "accepted",
            "justification": format!("{} ({}, {})", settled.reason, settled.status, settled.by),
        }]);
    }
    result
}

/// A path of the image as a relative reference: code hosts take absolute ones for the machine's.
fn uri(path: &[u8]) -> String {
    let mut out = String::new();
    for byte in path.iter().skip_while(|byte| **byte == b'/') {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'+' | b'@' => {
                out.push(char::from(*byte));
            }
            _ => out += &format!("%{byte:02X}"),
        }
    }
    if out.is_empty() { "image".to_owned() } else { out }
}

fn level(severity: Rank) -> &'static str {
    match severity {
        Rank::Critical | Rank::High => "error",
        Rank::Medium => "warning",
        Rank::Low | Rank::Negligible | Rank::Unknown => "note",
    }
}

/// The score that code hosts sort by: in context, else the worst base score, else the middle of the severity's range.
fn score(found: &ScannedFinding) -> f64 {
    let base = || found.finding.ratings.iter().filter_map(|rated| rated.score).max_by(f64::total_cmp);
    let of_word = || match found.finding.severity {
        Rank::Critical => 9.5,
        Rank::High => 8.0,
        Rank::Medium => 5.5,
        Rank::Low => 2.0,
        Rank::Negligible | Rank::Unknown => 0.0,
    };
    found.contextual.as_ref().map(|contextual| contextual.score).or_else(base).unwrap_or_else(of_word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::tests::report;

    #[test]
    fn what_is_gone_is_left_out_and_what_is_settled_is_suppressed() {
        let document = document(&[report()]);
        let results = document["runs"][0]["results"].as_array().unwrap();
        let ids: Vec<_> = results.iter().map(|result| result["ruleId"].as_str().unwrap()).collect();
        assert_eq!(ids, ["CVE-2026-1", "CVE-2026-2", "CVE-2026-3", "CVE-2026-5"]);
        let suppressed = results.iter().map(|result| result.get("suppressions").is_some());
        assert_eq!(suppressed.collect::<Vec<_>>(), [false, false, false, true]);
        for result in results {
            let index = result["ruleIndex"].as_u64().unwrap() as usize;
            assert_eq!(document["runs"][0]["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        }
    }

    #[test]
    fn paths_are_relative_references() {
        assert_eq!(uri(b"/var/lib/dpkg/status"), "var/lib/dpkg/status");
        assert_eq!(uri(b"/a b/\xffc:d"), "a%20b/%FFc%3Ad");
        assert_eq!(uri(b"/"), "image");
    }

    #[test]
    fn a_word_that_is_no_level_is_never_written() {
        for rank in crate::words::SEVERITIES {
            assert!(["error", "warning", "note"].contains(&level(rank)));
        }
    }
}
