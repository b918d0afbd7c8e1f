//! OpenVEX: written as 0.2.0, read from 0.0.1 on.
//!
//! Source: openvex/spec, `OPENVEX-SPEC.md`.

use std::collections::BTreeSet;

use image::Digest;
use packages::purl::Purl;
use serde_json::{Value, json};

use super::{Document, Fix, Header, Justification, Product, Statement, Status};

/// The document; its name follows from what it says.
pub(super) fn document(header: &Header, statements: &[Statement]) -> Value {
    let statements: Vec<Value> = statements.iter().map(statement).collect();
    let said = json!([header.author, header.created, header.image_purl, statements]);
    json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": format!("https://openvex.dev/docs/public/vex-{}", Digest::of(said.to_string().as_bytes()).hex()),
        "author": header.author,
        "timestamp": header.created,
        "version": 1,
        "tooling": format!("careen {}", header.tool_version),
        "statements": statements,
    })
}

fn statement(statement: &Statement) -> Value {
    let mut vulnerability = json!({"name": statement.vulnerability});
    if !statement.aliases.is_empty() {
        vulnerability["aliases"] = json!(statement.aliases);
    }
    let products: Vec<Value> = statement.products.iter().map(product).collect();
    let mut value = json!({"vulnerability": vulnerability, "products": products, "status": statement.status});
    if let Some(justification) = statement.justification {
        value["justification"] = json!(justification);
    }
    // Only of what is not affected the standard speaks of an impact.
    let evidence = if statement.status == Status::NotAffected { "impact_statement" } else { "status_notes" };
    if !statement.impact.is_empty() {
        value[evidence] = json!(statement.impact);
    }
    if !statement.action.is_empty() {
        value["action_statement"] = json!(statement.action);
    }
    value
}

fn product(product: &Product) -> Value {
    let mut value = component(product.names.first().map_or("", String::as_str));
    if !product.subcomponents.is_empty() {
        value["subcomponents"] = product.subcomponents.iter().map(|name| component(name)).collect();
    }
    value
}

fn component(name: &str) -> Value {
    let mut value = json!({"@id": name});
    if name.starts_with("pkg:") {
        value["identifiers"] = json!({"purl": name});
    }
    // By its digest alone others know an image too. Not with an architecture: the digest is then that of an index, which
    // leads to other images as well.
    let image = Purl::parse(name).filter(|purl| purl.kind == "oci" && purl.qualifier("arch").is_none());
    if let Some(hex) = image.as_ref().and_then(|purl| purl.version.strip_prefix("sha256:")) {
        value["hashes"] = json!({"sha-256": hex});
    }
    value
}

/// Reads a document leniently: numbers that are text, names instead of objects, the single product of 0.0.1.
pub(super) fn read(document: &Value) -> Document {
    let mut out = Document {
        id: text(&document["@id"]),
        author: text(&document["author"]),
        timestamp: text(&document["timestamp"]),
        ..Document::default()
    };
    for value in document["statements"].as_array().into_iter().flatten() {
        match read_statement(value) {
            Some(statement) => out.statements.push(statement),
            None => out.skipped += 1,
        }
    }
    out
}

fn read_statement(value: &Value) -> Option<Statement> {
    let vulnerability = &value["vulnerability"];
    let names = [vulnerability, &vulnerability["name"], &vulnerability["@id"], &value["vuln"]];
    let name = names.into_iter().map(text).find(|name| !name.is_empty())?;
    // A name may be an address that ends in it.
    let name = name.rsplit(['/', '=']).next().unwrap_or(&name).to_owned();
    let aliases: BTreeSet<String> = strings(&vulnerability["aliases"]).into_iter().collect();
    let outer = strings(&value["subcomponents"]);
    let mut products: Vec<Product> = value["products"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|product| Product {
            names: component_names(product),
            subcomponents: product["subcomponents"]
                .as_array()
                .into_iter()
                .flatten()
                .flat_map(component_names)
                .chain(outer.iter().cloned())
                .collect(),
        })
        .collect();
    products.retain(|product| !product.names.is_empty());
    Some(Statement {
        vulnerability: name,
        aliases,
        products,
        status: Status::parse(&text(&value["status"]))?,
        justification: Justification::parse(&text(&value["justification"])),
        impact: [&value["impact_statement"], &value["status_notes"], &value["statement"]]
            .into_iter()
            .map(text)
            .find(|text| !text.is_empty())
            .unwrap_or_default(),
        action: text(&value["action_statement"]),
        fix: Fix::default(),
        timestamp: text(&value["timestamp"]),
    })
}

fn component_names(value: &Value) -> Vec<String> {
    let identifiers = &value["identifiers"];
    let all = [value, &value["@id"], &identifiers["purl"], &identifiers["cpe23"], &identifiers["cpe22"]];
    let mut names: Vec<String> = Vec::new();
    for name in all.into_iter().map(text).filter(|name| !name.is_empty()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The texts of a list, or of objects with an `@id` in it.
fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.flat_map(component_names).collect()
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().trim().to_owned()
}
