//! SPDX 3.0.1 as JSON-LD: a graph of elements.
//!
//! Source: SPDX specification 3.0.1, its model and `spdx-context.jsonld`.

use std::collections::BTreeSet;

use packages::Ecosystem;
use serde_json::{Value, json};

use crate::bill::{Bill, Component};
use crate::licence;
use crate::spdx2::namespace;
use crate::write::{Document, Part, compact};

const CREATION: &str = "_:creationinfo";

pub(crate) fn document<'b>(bill: &'b Bill<'b>) -> Document<'b> {
    let head = [creation(bill), organisation(bill), tool(bill), spdx_document(bill), sbom(bill), image(bill)];
    let elements = head.into_iter().chain(bill.os.map(|_| os(bill)));
    let components = bill.components.iter().enumerate().flat_map(|(at, one)| component(bill, at, one));
    let elements = elements.chain(components).chain(contains(bill));
    let elements = elements.chain(files(bill)).chain(licences(bill));
    Document(vec![
        ("@context", Part::Value(json!("https://spdx.org/rdf/3.0.1/spdx-context.jsonld"))),
        ("@graph", Part::list(elements)),
    ])
}

fn iri(bill: &Bill<'_>, element: &str) -> String {
    format!("{}#{element}", namespace(bill))
}

fn package_iri(bill: &Bill<'_>, at: usize) -> String {
    iri(bill, &format!("package-{at}"))
}

fn creation(bill: &Bill<'_>) -> Value {
    json!({
        "type": "CreationInfo",
        "@id": CREATION,
        "specVersion": "3.0.1",
        "created": bill.created,
        "createdBy": [iri(bill, "careen")],
        "createdUsing": [iri(bill, "tool")],
    })
}

/// An element: its type, the last part of its IRI, what is said of it.
fn element(bill: &Bill<'_>, kind: &str, name: &str, members: Value) -> Value {
    let mut element = json!({"type": kind, "spdxId": iri(bill, name), "creationInfo": CREATION});
    if let (Value::Object(element), Value::Object(members)) = (&mut element, compact(members)) {
        element.extend(members);
    }
    element
}

fn organisation(bill: &Bill<'_>) -> Value {
    element(bill, "Organization", "careen", json!({"name": "Careen"}))
}

fn tool(bill: &Bill<'_>) -> Value {
    element(bill, "Tool", "tool", json!({"name": format!("careen-{}", bill.tool_version)}))
}

fn spdx_document(bill: &Bill<'_>) -> Value {
    element(
        bill,
        "SpdxDocument",
        "document",
        json!({
            "name": bill.name,
            "profileConformance": ["core", "software", "simpleLicensing"],
            "rootElement": [iri(bill, "sbom")],
        }),
    )
}

fn sbom(bill: &Bill<'_>) -> Value {
    let root = [iri(bill, "image")];
    element(
        bill,
        "software_Sbom",
        "sbom",
        json!({"name": bill.name, "software_sbomType": ["analyzed"], "rootElement": root}),
    )
}

fn identifier(kind: &str, value: &str) -> Value {
    json!({"type": "ExternalIdentifier", "externalIdentifierType": kind, "identifier": value})
}

fn image(bill: &Bill<'_>) -> Value {
    let digest = bill.image.manifest_digest();
    element(
        bill,
        "software_Package",
        "image",
        json!({
            "name": bill.name,
            "software_packageVersion": digest,
            "software_packageUrl": bill.purl,
            "software_primaryPurpose": "container",
            "verifiedUsing": [{"type": "Hash", "algorithm": "sha256", "hashValue": digest.hex()}],
        }),
    )
}

fn os(bill: &Bill<'_>) -> Value {
    let Some(os) = bill.os else { return Value::Null };
    element(
        bill,
        "software_Package",
        "os",
        json!({
            "name": os.id,
            "software_packageVersion": os.version_id.as_ref().or(os.codename.as_ref()),
            "description": os.pretty_name,
            "software_primaryPurpose": "operatingSystem",
        }),
    )
}

/// A package, its licence, what it needs.
fn component(bill: &Bill<'_>, at: usize, component: &Component<'_>) -> Vec<Value> {
    let package = component.package;
    let mut identifiers = vec![identifier("packageUrl", &package.purl)];
    identifiers.extend(component.cpes.iter().map(|cpe| identifier("cpe23", cpe)));
    let source = package
        .ecosystem
        .is_system()
        .then(|| format!("built package from: {} {}", package.source_name, package.source_version));
    let lost = component
        .lost
        .map(|lost| format!("partial: {} files kept, {} removed by hardening", lost.kept, lost.removed));
    let is_program = package.ecosystem == Ecosystem::Generic;
    let mut out = vec![element(
        bill,
        "software_Package",
        &format!("package-{at}"),
        json!({
            "name": package.name,
            "software_packageVersion": package.version,
            "software_packageUrl": package.purl,
            "software_primaryPurpose": if is_program { "application" } else { "library" },
            "software_sourceInfo": source,
            "comment": lost,
            "externalIdentifier": identifiers,
        }),
    )];
    if let Some(expression) = component.licence.expression(licence::reference) {
        out.push(relation(
            bill,
            &format!("licence-of-{at}"),
            "hasDeclaredLicense",
            &package_iri(bill, at),
            &[iri(bill, &licence_name(&expression))],
        ));
    }
    if !component.needs.is_empty() {
        let to: Vec<_> = component.needs.iter().map(|need| package_iri(bill, *need)).collect();
        out.push(relation(bill, &format!("needs-of-{at}"), "dependsOn", &package_iri(bill, at), &to));
    }
    out
}

fn relation(bill: &Bill<'_>, name: &str, kind: &str, from: &str, to: &[String]) -> Value {
    element(bill, "Relationship", name, json!({"from": from, "relationshipType": kind, "to": to}))
}

fn contains(bill: &Bill<'_>) -> Vec<Value> {
    let (system, languages) = bill.split();
    let packages = |all: &[usize]| all.iter().map(|at| package_iri(bill, *at)).collect::<Vec<_>>();
    let (mut top, system) = (packages(&languages), packages(&system));
    let mut out = Vec::new();
    if bill.os.is_some() {
        top.insert(0, iri(bill, "os"));
        if !system.is_empty() {
            out.push(relation(bill, "contained-in-os", "contains", &iri(bill, "os"), &system));
        }
    } else {
        top.extend(system);
    }
    if !top.is_empty() {
        out.insert(0, relation(bill, "contained-in-image", "contains", &iri(bill, "image"), &top));
    }
    out
}

/// The files that packages own, each once, and which package contains which.
fn files<'b>(bill: &'b Bill<'b>) -> impl Iterator<Item = Value> + 'b {
    let own = |at: usize| &bill.components[at].package.files;
    let with_files = (0..bill.components.len()).filter(move |at| bill.files && !own(*at).is_empty());
    let file_iri = |path: &image::ImagePath| format!("file-{}", image::Digest::of(path.as_bytes()).hex());
    let all: BTreeSet<&image::ImagePath> = with_files.clone().flat_map(own).collect();
    let elements = all
        .into_iter()
        .map(move |path| element(bill, "software_File", &file_iri(path), json!({"name": path.to_text()})));
    elements.chain(with_files.map(move |at| {
        let to: Vec<_> = own(at).iter().map(|path| iri(bill, &file_iri(path))).collect();
        relation(bill, &format!("files-of-{at}"), "contains", &package_iri(bill, at), &to)
    }))
}

fn licence_name(expression: &str) -> String {
    format!("licence-{}", &image::Digest::of(expression.as_bytes()).hex()[..16])
}

/// Each expression once, and the licences in it that SPDX does not know.
fn licences(bill: &Bill<'_>) -> Vec<Value> {
    let expressions: BTreeSet<(String, BTreeSet<&str>)> = bill
        .components
        .iter()
        .filter_map(|one| {
            Some((one.licence.expression(licence::reference)?, one.licence.named().collect::<BTreeSet<_>>()))
        })
        .collect();
    let named: BTreeSet<&str> = expressions.iter().flat_map(|(_, named)| named.iter().copied()).collect();
    let custom_name = |name: &str| format!("custom-{}", licence::reference(name));
    let entry = |name: &&str| json!({"type": "DictionaryEntry", "key": licence::reference(name), "value": iri(bill, &custom_name(name))});
    let expression = |(text, named): &(String, BTreeSet<&str>)| {
        let custom: Vec<Value> = named.iter().map(entry).collect();
        element(
            bill,
            "simplelicensing_LicenseExpression",
            &licence_name(text),
            json!({"simplelicensing_licenseExpression": text, "simplelicensing_customIdToUri": custom}),
        )
    };
    let custom = |name: &&str| {
        let text = format!("The package calls its licence \"{name}\"; its text lies in the image.");
        element(
            bill,
            "simplelicensing_SimpleLicensingText",
            &custom_name(name),
            json!({"name": name, "simplelicensing_licenseText": text}),
        )
    };
    expressions.iter().map(expression).chain(named.iter().map(custom)).collect()
}
