//! CycloneDX 1.6 with `vulnerabilities[].analysis`.
//!
//! Source: CycloneDX specification 1.6 (ECMA-424), "Vulnerability Exploitability".

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use image::Digest;
use serde_json::{Value, json};

use super::openvex::text;
use super::{Document, Fix, Header, Justification, Product, Statement, Status};

/// The document. Of a package it speaks by the reference of its own component, and by a BOM-Link into the list of
/// components where that is known.
pub(super) fn document(header: &Header, statements: &[Statement]) -> Value {
    let mut components: BTreeSet<&str> = BTreeSet::new();
    for product in statements.iter().flat_map(|statement| &statement.products) {
        let parts = product.subcomponents.iter().chain(&product.names).map(String::as_str);
        components.extend(parts.filter(|name| *name != header.image_purl && !is_other_spelling(name)));
    }
    let components: Vec<Value> = components.into_iter().map(component).collect();
    // Trivy takes the last entry of a vulnerability and no other: one for each status, what is settled last.
    let mut grouped: BTreeMap<(&str, Reverse<Status>), Vec<&Statement>> = BTreeMap::new();
    for statement in statements {
        grouped.entry((&statement.vulnerability, Reverse(statement.status))).or_default().push(statement);
    }
    let vulnerabilities: Vec<Value> = grouped.values().map(|group| vulnerability(header, group)).collect();
    let said = json!([header.author, header.created, vulnerabilities]);
    let hex = Digest::of(said.to_string().as_bytes()).hex();
    // Version 8 of RFC 9562: what is left is ours.
    let serial =
        format!("{}-{}-8{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]);
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{serial}"),
        "version": 1,
        "metadata": {
            "timestamp": header.created,
            "tools": {"components": [{"type": "application", "name": "careen", "version": header.tool_version}]},
            "authors": [{"name": header.author}],
            "component": {
                "bom-ref": header.image_purl,
                "type": "container",
                "name": header.image,
                "purl": header.image_purl,
            },
        },
        "components": components,
        "vulnerabilities": vulnerabilities,
    })
}

fn component(purl: &str) -> Value {
    let parsed = packages::purl::Purl::parse(purl);
    let (name, version) = parsed.map_or((purl.to_owned(), String::new()), |purl| (purl.name, purl.version));
    json!({"bom-ref": purl, "type": "library", "name": name, "version": version, "purl": purl})
}

/// Whether a package URL is another spelling of one that stands beside it.
fn is_other_spelling(name: &str) -> bool {
    name.contains("?epoch=")
}

/// One entry for statements of one status; each says of which package it speaks.
fn vulnerability(header: &Header, group: &[&Statement]) -> Value {
    let Some(first) = group.first() else { return Value::Null };
    let state = match first.status {
        Status::NotAffected => "not_affected",
        Status::Affected => "exploitable",
        Status::Fixed => "resolved",
        Status::UnderInvestigation => "in_triage",
    };
    // The weakest of several holds for all of them.
    let justification = group.iter().filter_map(|one| one.justification).max().map(|one| match one {
        Justification::ComponentNotPresent | Justification::VulnerableCodeNotPresent => "code_not_present",
        Justification::VulnerableCodeNotInExecutePath => "code_not_reachable",
        Justification::VulnerableCodeCannotBeControlledByAdversary => "requires_environment",
        Justification::InlineMitigationsAlreadyExist => "protected_by_mitigating_control",
    });
    let mut analysis = json!({"state": state});
    if let Some(justification) = justification {
        analysis["justification"] = json!(justification);
    }
    let has = |fix| first.status == Status::Affected && group.iter().any(|one| one.fix == fix);
    if has(Fix::Known) {
        analysis["response"] = json!(["update"]);
    } else if has(Fix::Refused) {
        analysis["response"] = json!(["will_not_fix"]);
    }
    let detail = |one: &&Statement| match one.justification {
        Some(justification) => format!("{justification}: {}", one.impact),
        None => one.impact.clone(),
    };
    analysis["detail"] = json!(lines(group.iter().map(detail)));
    let mut references: BTreeSet<String> = BTreeSet::new();
    for product in group.iter().flat_map(|one| &one.products) {
        let parts = if product.subcomponents.is_empty() { &product.names } else { &product.subcomponents };
        for part in parts.iter().filter(|part| !is_other_spelling(part)) {
            references.insert(part.clone());
            if let Some(uuid) = &header.sbom_uuid {
                let known = header.references.get(part).into_iter().flatten();
                // In a fragment a `%` of the reference itself is a code too.
                let link = |known: &String| format!("urn:cdx:{uuid}/1#{}", known.replace('%', "%25"));
                references.extend(known.map(link));
            }
        }
    }
    let affects: Vec<Value> = references.iter().map(|reference| json!({"ref": reference})).collect();
    let mut value = json!({"id": first.vulnerability});
    if !first.aliases.is_empty() {
        let source = |alias: &String| json!({"id": alias, "source": {"name": "alias"}});
        value["references"] = first.aliases.iter().map(source).collect();
    }
    value["affects"] = json!(affects);
    let action = lines(group.iter().map(|one| one.action.clone()));
    if !action.is_empty() {
        value["recommendation"] = json!(action);
    }
    value["analysis"] = analysis;
    value
}

/// Texts on a line each, without empty ones and without saying one twice in a row.
fn lines(texts: impl Iterator<Item = String>) -> String {
    let mut texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
    texts.dedup();
    texts.join("\n")
}

/// Reads a document. References lead to components of it, or are package URLs themselves, also behind a BOM-Link.
pub(super) fn read(document: &Value) -> Document {
    let metadata = &document["metadata"];
    let mut out = Document {
        id: text(&document["serialNumber"]),
        author: text(&metadata["authors"][0]["name"]),
        timestamp: text(&metadata["timestamp"]),
        ..Document::default()
    };
    let mut purls: BTreeMap<String, String> = BTreeMap::new();
    let mut open: Vec<&Value> = document["components"].as_array().into_iter().flatten().collect();
    open.push(&metadata["component"]);
    while let Some(component) = open.pop() {
        purls.insert(text(&component["bom-ref"]), text(&component["purl"]));
        open.extend(component["components"].as_array().into_iter().flatten());
    }
    let image = text(&metadata["component"]["purl"]);
    for value in document["vulnerabilities"].as_array().into_iter().flatten() {
        let (name, analysis) = (text(&value["id"]), &value["analysis"]);
        let status = match analysis["state"].as_str() {
            Some("not_affected" | "false_positive") => Status::NotAffected,
            Some("exploitable") => Status::Affected,
            Some("resolved" | "resolved_with_pedigree") => Status::Fixed,
            Some("in_triage") => Status::UnderInvestigation,
            _ => {
                out.skipped += 1;
                continue;
            }
        };
        let detail = text(&analysis["detail"]);
        let stated = detail.split_once(": ").and_then(|(word, _)| Justification::parse(word));
        let justification = stated.or(match analysis["justification"].as_str() {
            Some("code_not_present") => Some(Justification::VulnerableCodeNotPresent),
            Some("code_not_reachable") => Some(Justification::VulnerableCodeNotInExecutePath),
            Some(word) if word.starts_with("requires_") => {
                Some(Justification::VulnerableCodeCannotBeControlledByAdversary)
            }
            Some(word) if word.starts_with("protected_") => {
                Some(Justification::InlineMitigationsAlreadyExist)
            }
            _ => None,
        });
        let mut products = Vec::new();
        for affected in value["affects"].as_array().into_iter().flatten() {
            let reference = text(&affected["ref"]);
            let local = reference.split_once('#').filter(|(link, _)| link.starts_with("urn:cdx:"));
            let local = local.map_or(reference.clone(), |(_, local)| local.replace("%25", "%"));
            let known = purls.get(&local).filter(|purl| !purl.is_empty());
            let purl = known.cloned().unwrap_or(local);
            // A package of the image that the document is about, or a thing of its own.
            let product = if image.starts_with("pkg:oci/") && purl != image {
                Product { names: vec![image.clone()], subcomponents: vec![purl] }
            } else {
                Product { names: vec![purl], subcomponents: Vec::new() }
            };
            if !products.contains(&product) {
                products.push(product);
            }
        }
        if name.is_empty() || products.is_empty() {
            out.skipped += 1;
            continue;
        }
        out.statements.push(Statement {
            vulnerability: name,
            aliases: value["references"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|one| text(&one["id"]))
                .collect(),
            products,
            status,
            justification,
            impact: detail,
            action: text(&value["recommendation"]),
            fix: Fix::default(),
            timestamp: text(&value["updated"]),
        });
    }
    out
}
