//! CycloneDX 1.6 in JSON.
//!
//! Source: CycloneDX specification 1.6 (ECMA-424), `bom-1.6.schema.json`.

use serde_json::{Value, json};

use crate::bill::{Bill, Component};
use crate::licence::{Licence, Term};
use crate::peers;
use crate::supplier::Supplier;
use crate::write::{Document, Part, compact};

/// How the document calls the distribution.
const OS_REFERENCE: &str = "os";

/// The document: its components are made one at a time.
pub(crate) fn document<'b>(bill: &'b Bill<'b>) -> Document<'b> {
    let components = bill.os.map(|_| os(bill)).into_iter();
    let components = components.chain(bill.components.iter().map(|one| component(bill, one)));
    Document(vec![
        ("$schema", Part::Value(json!("http://cyclonedx.org/schema/bom-1.6.schema.json"))),
        ("bomFormat", Part::Value(json!("CycloneDX"))),
        ("specVersion", Part::Value(json!("1.6"))),
        ("serialNumber", Part::Value(json!(format!("urn:uuid:{}", bill.uuid)))),
        ("version", Part::Value(json!(1))),
        ("metadata", Part::Value(metadata(bill))),
        ("components", Part::list(components)),
        ("dependencies", Part::list(dependencies(bill).into_iter())),
    ])
}

fn properties(pairs: impl IntoIterator<Item = (String, String)>) -> Value {
    pairs.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

fn metadata(bill: &Bill<'_>) -> Value {
    let image = bill.image;
    let trivy = |name: &str, value: String| (format!("{}{name}", peers::TRIVY), value);
    let mut pairs = vec![trivy("ImageID", image.image_id().to_string()), trivy("SchemaVersion", "2".into())];
    pairs.push(("careen:platform".to_owned(), image.platform().to_string()));
    for (number, layer) in image.layers().iter().enumerate() {
        pairs.push(trivy("DiffID", layer.diff_id.to_string()));
        pairs.push((format!("careen:layer:{number}:digest"), layer.descriptor.digest.to_string()));
        pairs.push((format!("careen:layer:{number}:diffID"), layer.diff_id.to_string()));
    }
    if let Some(name) = image.name().filter(|name| name.contains(':')) {
        pairs.push(trivy("RepoTag", name.to_owned()));
    }
    for (name, value) in &image.config().config.labels {
        pairs.push((format!("{}Labels:{name}", peers::TRIVY), value.clone()));
    }
    for problem in bill.problems.iter().take(100) {
        pairs.push(("careen:problem".to_owned(), problem.to_string()));
    }
    pairs.sort();
    let digest = image.manifest_digest();
    json!({
        "timestamp": bill.created,
        "lifecycles": [{"phase": "post-build"}],
        "tools": {"components": [{"type": "application", "name": "careen", "version": bill.tool_version}]},
        "component": compact(json!({
            "bom-ref": bill.purl,
            "type": "container",
            "supplier": Supplier::of_image(bill).map(|known| known.cyclonedx()),
            "name": bill.name,
            "version": digest.to_string(),
            "hashes": [{"alg": "SHA-256", "content": digest.hex()}],
            "purl": bill.purl,
            "properties": properties(pairs),
        })),
    })
}

/// The distribution. Trivy and Grype take the release that advisories are for from its name and version.
fn os(bill: &Bill<'_>) -> Value {
    let Some(os) = bill.os else { return Value::Null };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut pairs = vec![
        pair("aquasecurity:trivy:Class", "os-pkgs"),
        pair("aquasecurity:trivy:Type", &os.id),
        pair("syft:distro:id", &os.id),
    ];
    let known = [
        ("syft:distro:prettyName", &os.pretty_name),
        ("syft:distro:versionCodename", &os.codename),
        ("syft:distro:versionID", &os.version_id),
    ];
    pairs.extend(known.into_iter().filter_map(|(name, value)| Some(pair(name, value.as_ref()?))));
    compact(json!({
        "bom-ref": OS_REFERENCE,
        "type": "operating-system",
        "name": os.id,
        "version": os.version_id.as_ref().or(os.codename.as_ref()),
        "description": os.pretty_name,
        "properties": properties(pairs),
    }))
}

fn component(bill: &Bill<'_>, component: &Component<'_>) -> Value {
    let package = component.package;
    let is_program = package.ecosystem == packages::Ecosystem::Generic;
    let (group, name) = match package.name.strip_prefix('@').and_then(|rest| rest.split_once('/')) {
        Some((scope, name)) => (Some(format!("@{scope}")), name),
        None => (None, package.name.as_str()),
    };
    let occurrence = |file: &image::ImagePath| json!({"location": file.to_text()});
    let owned = package.files.iter().filter(|_| bill.files).map(occurrence);
    let occurrences: Vec<Value> = if bill.files && !package.files.is_empty() {
        owned.collect()
    } else {
        component.evidence.iter().map(|(file, _)| occurrence(file)).collect()
    };
    compact(json!({
        "bom-ref": component.reference,
        "type": if is_program { "application" } else { "library" },
        "supplier": Supplier::of(bill, package).cyclonedx(),
        "group": group,
        "name": name,
        "version": package.version,
        "licenses": licences(&component.licence),
        "cpe": component.cpes.first(),
        "purl": package.purl,
        // No `identity`: version 1.6 has a list there and 1.5 had an object, and readers of either fail at the other.
        "evidence": compact(json!({"occurrences": occurrences})),
        "properties": properties(peers::properties(bill, component)),
    }))
}

/// One expression where SPDX knows all licences, else a list with the names of those that it does not.
fn licences(licence: &Licence) -> Value {
    let named = |name: &str| json!({"license": {"name": name}});
    match (&licence.terms[..], licence.standard_expression()) {
        ([Term::Expression(id)], _) if spdx::license_id(id).is_some_and(|known| known.name == *id) => {
            json!([{"license": {"id": id}}])
        }
        (_, Some(expression)) => json!([{"expression": expression}]),
        (terms, None) => terms
            .iter()
            .map(|term| match term {
                Term::Expression(id) if spdx::license_id(id).is_some_and(|known| known.name == *id) => {
                    json!({"license": {"id": id}})
                }
                // A list has no room for expressions.
                Term::Expression(name) | Term::Named(name) => named(name),
            })
            .collect(),
    }
}

/// The image has the distribution and the packages of languages, the distribution its packages, each package what it
/// needs.
fn dependencies(bill: &Bill<'_>) -> Vec<Value> {
    let (system, languages) = bill.split();
    let reference = |at: &usize| bill.components[*at].reference.as_str();
    let entry = |from: &str, mut to: Vec<&str>| {
        to.sort_unstable();
        to.dedup();
        json!({"ref": from, "dependsOn": to})
    };
    let mut top: Vec<&str> = languages.iter().map(reference).collect();
    let distribution: Vec<&str> = system.iter().map(reference).collect();
    let mut out = Vec::new();
    if bill.os.is_some() {
        top.push(OS_REFERENCE);
        out.push(entry(&bill.purl, top));
        out.push(entry(OS_REFERENCE, distribution));
    } else {
        top.extend(distribution);
        out.push(entry(&bill.purl, top));
    }
    out.extend(
        bill.components.iter().map(|one| entry(&one.reference, one.needs.iter().map(reference).collect())),
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_are_ids_expressions_or_names() {
        for (text, expected) in [
            ("MIT", json!([{"license": {"id": "MIT"}}])),
            ("MIT or Apache-2.0", json!([{"expression": "MIT OR Apache-2.0"}])),
            ("odd one", json!([{"license": {"name": "odd one"}}])),
        ] {
            assert_eq!(licences(&Licence::of([text])), expected);
        }
    }
}
