//! GitLab's container scanning report, version 15.
//!
//! Source: GitLab, security report schemas, `container-scanning-report-format.json` 15.0.0.

use advisories::matching::Rank;
use advisories::scan::{ScanReport, ScannedFinding};
use serde_json::{Value, json};

use crate::words::{explain, fingerprint};

/// The document: what is open. `now` is RFC 3339; GitLab wants it without a zone.
pub(crate) fn document(report: &ScanReport, now: &str) -> Value {
    let time = now.trim_end_matches('Z').split('.').next().unwrap_or_default();
    let tool = json!({
        "id": "careen",
        "name": "Careen",
        "vendor": {"name": "Careen"},
        "version": report.careen_version,
    });
    let open: Vec<&ScannedFinding> = report.open().collect();
    json!({
        "version": "15.0.0",
        "scan": {
            "type": "container_scanning",
            "status": "success",
            "start_time": time,
            "end_time": time,
            "analyzer": tool,
            "scanner": tool,
        },
        "vulnerabilities": open.iter().map(|found| vulnerability(report, found)).collect::<Vec<_>>(),
        "remediations": [],
    })
}

fn vulnerability(report: &ScanReport, found: &ScannedFinding) -> Value {
    let finding = &found.finding;
    let subject = report.hardened.as_ref().unwrap_or(&report.subject);
    let mut identifiers = vec![identifier(&finding.vulnerability, &found.url())];
    identifiers.extend(
        finding
            .aliases
            .iter()
            .map(|alias| identifier(alias, &format!("https://osv.dev/vulnerability/{alias}"))),
    );
    let name = format!("{} in {}-{}", finding.vulnerability, finding.name, finding.installed);
    let mut entry = json!({
        "id": fingerprint(&[&finding.vulnerability, &finding.purl, &subject.reference]),
        "name": name.chars().take(255).collect::<String>(),
        "description": explain(found),
        "severity": severity(finding.severity),
        "location": {
            "dependency": {"package": {"name": finding.name}, "version": finding.installed},
            "operating_system": report.subject.distribution.as_deref().unwrap_or("Unknown"),
            "image": subject.reference,
        },
        "identifiers": identifiers,
        "links": [{"url": found.url()}],
    });
    if !finding.fixed.is_empty() {
        let fixed = finding.fixed.join(", ");
        entry["solution"] = json!(format!("Upgrade {} from {} to {fixed}", finding.name, finding.installed));
    }
    entry
}

fn identifier(name: &str, url: &str) -> Value {
    let kind = name.split('-').next().unwrap_or_default().to_ascii_lowercase();
    let kind = if matches!(kind.as_str(), "cve" | "ghsa") { kind } else { "careen".to_owned() };
    json!({"type": kind, "name": name, "value": name, "url": url})
}

fn severity(severity: Rank) -> &'static str {
    match severity {
        Rank::Critical => "Critical",
        Rank::High => "High",
        Rank::Medium => "Medium",
        Rank::Low => "Low",
        Rank::Negligible => "Info",
        Rank::Unknown => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::tests::report;

    #[test]
    fn every_open_finding_has_the_fields_that_the_schema_requires() {
        let document = document(&report(), "2026-11-22T10:11:12.5Z");
        let scan = &document["scan"];
        assert_eq!(
            (&scan["start_time"], &scan["type"]),
            (&json!("2026-11-22T10:11:12"), &json!("container_scanning"))
        );
        for part in ["analyzer", "scanner"] {
            assert!(["id", "name", "version"].iter().all(|key| scan[part][*key].is_string()), "{part}");
            assert!(scan[part]["vendor"]["name"].is_string());
        }
        let found = document["vulnerabilities"].as_array().unwrap();
        assert_eq!(found.len(), 3);
        for entry in found {
            assert!(
                ["id", "severity", "name", "description"].iter().all(|key| entry[*key].is_string()),
                "{entry}"
            );
            assert!(!entry["identifiers"].as_array().unwrap().is_empty());
            let location = &entry["location"];
            assert!(["operating_system", "image"].iter().all(|key| location[*key].is_string()), "{entry}");
            assert!(
                location["dependency"]["package"]["name"].is_string()
                    && location["dependency"]["version"].is_string()
            );
        }
    }
}
