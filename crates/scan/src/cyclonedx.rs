//! CycloneDX 1.6: the packages that are there, and their vulnerabilities.
//!
//! Source: CycloneDX 1.6, "vulnerabilities".

use std::collections::{BTreeMap, BTreeSet};

use advisories::scan::{ScanReport, ScannedFinding, SymbolPresence};
use advisories::{Heat, Severity};
use serde_json::{Value, json};

use crate::words::{self, fingerprint};

/// The document. It is about the hardened image, where one is spoken of.
pub(crate) fn document(report: &ScanReport, now: &str) -> Value {
    let subject = report.hardened.as_ref().unwrap_or(&report.subject);
    let digest = subject.manifest_digest.map(|digest| digest.to_string()).unwrap_or_default();
    let serial = fingerprint(&["careen scan", &subject.reference, &digest, &report.database.built]);
    let there: BTreeSet<usize> =
        (0..report.packages.len()).filter(|index| report.packages[*index].usage.heat != Heat::Gone).collect();
    let components = there.iter().map(|&index| {
        let package = &report.packages[index];
        json!({
            "type": "library",
            "bom-ref": reference(index),
            "name": package.name,
            "version": package.version,
            "purl": package.purl,
            "properties": [
                {"name": "careen:heat", "value": words::heat(package.usage.heat)},
                {"name": "careen:partial", "value": package.usage.partial.to_string()},
            ],
        })
    });
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid(&serial),
        "version": 1,
        "metadata": {
            "timestamp": now,
            "tools": {"components": [
                {"type": "application", "name": "careen", "version": report.careen_version},
            ]},
            "component": {
                "type": "container",
                "bom-ref": "image",
                "name": subject.reference,
                "version": digest,
            },
        },
        "components": components.collect::<Vec<_>>(),
        "vulnerabilities": vulnerabilities(report, &there),
    })
}

fn reference(index: usize) -> String {
    format!("package-{index}")
}

/// A UUID of version 8 (RFC 9562) from a digest.
fn uuid(hex: &str) -> String {
    format!("urn:uuid:{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

/// One entry for each vulnerability and each opinion on it: what is settled stands apart.
fn vulnerabilities(report: &ScanReport, there: &BTreeSet<usize>) -> Vec<Value> {
    let mut groups: Vec<Vec<&ScannedFinding>> = Vec::new();
    let mut places = BTreeMap::new();
    for found in report.findings.iter().filter(|found| there.contains(&found.finding.package.0)) {
        let key = (&found.finding.vulnerability, &found.settled, absent(found));
        let place = *places.entry(key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(found),
            None => groups.push(vec![found]),
        }
    }
    groups.iter().filter_map(|group| Some(vulnerability(group, group.first()?))).collect()
}

fn vulnerability(group: &[&ScannedFinding], first: &ScannedFinding) -> Value {
    let finding = &first.finding;
    let mut ratings: Vec<Value> = Vec::new();
    if let Some(contextual) = &first.contextual {
        ratings.push(json!({
            "source": {"name": "Careen, in context"},
            "score": contextual.score,
            "severity": severity(contextual.severity.name()),
            "method": method(&contextual.vector),
            "vector": contextual.vector,
        }));
    }
    for rated in &finding.ratings {
        let mut rating =
            json!({"source": {"name": rated.by}, "severity": severity(rated.rank.name()), "method": "other"});
        if let (Severity::Cvss(vector), Some(score)) = (&rated.severity, rated.score) {
            rating["score"] = json!(score);
            rating["vector"] = json!(vector);
            rating["method"] = json!(method(vector));
        }
        ratings.push(rating);
    }
    let mut properties = vec![
        json!({"name": "careen:heat", "value": words::heat(first.heat)}),
        json!({"name": "careen:severity", "value": finding.severity.name()}),
    ];
    if let Some(epss) = finding.epss {
        properties.push(json!({"name": "careen:epss", "value": epss.score.to_string()}));
    }
    for note in words::notes(first) {
        properties.push(json!({"name": "careen:note", "value": note}));
    }
    let mut entry = json!({
        "bom-ref": format!("{}/{}", finding.vulnerability, fingerprint(&[&distinction(first)]).split_at(8).0),
        "id": finding.vulnerability,
        "source": {"url": first.url()},
        "references": finding.aliases.iter().map(|alias| json!({
            "id": alias,
            "source": {"url": format!("https://osv.dev/vulnerability/{alias}")},
        })).collect::<Vec<_>>(),
        "ratings": ratings,
        "affects": group.iter().map(|found| found.finding.package.0).collect::<BTreeSet<_>>().into_iter()
            .map(|index| json!({"ref": reference(index)})).collect::<Vec<_>>(),
        "properties": properties,
    });
    if !finding.summary.is_empty() {
        entry["description"] = json!(finding.summary);
    }
    if !finding.fixed.is_empty() {
        entry["recommendation"] = json!(format!("Fixed in {}.", finding.fixed.join(", ")));
    }
    if let Some(settled) = &first.settled {
        let state = match settled.status.as_str() {
            "fixed" => "resolved",
            _ => "not_affected",
        };
        entry["analysis"] = json!({"state": state, "detail": format!("{} ({})", settled.reason, settled.by)});
    } else if let Some(absent) = absent(first) {
        let detail = absent.text();
        entry["analysis"] =
            json!({"state": "not_affected", "justification": "code_not_present", "detail": detail});
    }
    entry
}

/// That the vulnerable functions are not in the program, if so.
fn absent(found: &ScannedFinding) -> Option<&SymbolPresence> {
    found.symbols_in_binary.as_ref().filter(|found| matches!(found, SymbolPresence::NotInBinary { .. }))
}

/// What tells entries of one vulnerability apart.
fn distinction(found: &ScannedFinding) -> String {
    let settled = found.settled.as_ref().map(|settled| format!("{settled:?}")).unwrap_or_default();
    settled + &absent(found).map(SymbolPresence::text).unwrap_or_default()
}

fn severity(name: &str) -> &str {
    match name {
        "negligible" => "info",
        other => other,
    }
}

fn method(vector: &str) -> &'static str {
    match vector.get(..8) {
        Some("CVSS:4.0") => "CVSSv4",
        Some("CVSS:3.1") => "CVSSv31",
        Some("CVSS:3.0") => "CVSSv3",
        _ => "CVSSv2",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::tests::report;

    #[test]
    fn a_package_that_is_gone_is_no_component_and_has_no_vulnerability() {
        let document = document(&report(), "2026-11-22T00:00:00Z");
        let names = |key: &str, name: &str| -> Vec<String> {
            let list = document[key].as_array().unwrap();
            list.iter().map(|entry| entry[name].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("components", "name"), ["hot", "warm", "cold"]);
        assert_eq!(names("vulnerabilities", "id"), ["CVE-2026-1", "CVE-2026-2", "CVE-2026-3", "CVE-2026-5"]);
        assert_eq!(document["vulnerabilities"][3]["analysis"]["state"], "not_affected");
        assert_eq!(document["vulnerabilities"][0]["affects"][0]["ref"], "package-0");
    }
}
