//! CSAF 2.0, profile "VEX".
//!
//! Source: OASIS Common Security Advisory Framework 2.0, sections 3 and 4.5.

use std::collections::{BTreeMap, BTreeSet};

use image::Digest;
use serde_json::{Map, Value, json};

use super::openvex::text;
use super::{Document, Fix, Header, Justification, Product, Statement, Status};

const STATUSES: [(&str, Status); 7] = [
    ("fixed", Status::Fixed),
    ("first_fixed", Status::Fixed),
    ("known_affected", Status::Affected),
    ("first_affected", Status::Affected),
    ("last_affected", Status::Affected),
    ("known_not_affected", Status::NotAffected),
    ("under_investigation", Status::UnderInvestigation),
];

/// Numbers products and writes them down once.
#[derive(Default)]
struct Tree {
    names: BTreeMap<String, Value>,
    relations: BTreeMap<String, Value>,
}

impl Tree {
    fn product(&mut self, name: &str) -> String {
        let mut value = json!({"product_id": name, "name": name});
        if name.starts_with("pkg:") {
            value["product_identification_helper"] = json!({"purl": name});
        }
        self.names.insert(name.to_owned(), value);
        name.to_owned()
    }

    /// The identifiers of a product: one for each of its parts, or its own.
    fn of(&mut self, product: &Product) -> Vec<String> {
        let Some(name) = product.names.first() else { return Vec::new() };
        let whole = self.product(name);
        let mut ids = Vec::new();
        // A package as a part of itself is plain here: Trivy 0.68 breaks down at such a relation.
        for part in product.subcomponents.iter().filter(|part| *part != name) {
            let part = self.product(part);
            let id = format!("{whole}:{part}");
            let relation = json!({
                "category": "default_component_of",
                "product_reference": part,
                "relates_to_product_reference": whole,
                "full_product_name": {"product_id": id, "name": format!("{part} as a part of {whole}")},
            });
            self.relations.insert(id.clone(), relation);
            ids.push(id);
        }
        if ids.is_empty() { vec![whole] } else { ids }
    }
}

/// The document: one entry for each vulnerability.
pub(super) fn document(header: &Header, statements: &[Statement]) -> Value {
    let mut tree = Tree::default();
    let mut grouped: BTreeMap<&str, Vec<(&Statement, Vec<String>)>> = BTreeMap::new();
    for statement in statements {
        let mut ids = Vec::new();
        for product in &statement.products {
            ids.extend(tree.of(product));
        }
        ids.dedup();
        grouped.entry(&statement.vulnerability).or_default().push((statement, ids));
    }
    let vulnerabilities: Vec<Value> =
        grouped.iter().map(|(name, said)| vulnerability(name, said, &header.created)).collect();
    tree.product(&header.image_purl);
    let mut products = json!({"full_product_names": tree.names.into_values().collect::<Vec<_>>()});
    if !tree.relations.is_empty() {
        products["relationships"] = tree.relations.into_values().collect();
    }
    let said = json!([header.author, header.created, vulnerabilities]);
    let id = format!("careen-vex-{}", &Digest::of(said.to_string().as_bytes()).hex()[..16]);
    let mut document = json!({
        "document": {
            "category": "csaf_vex",
            "csaf_version": "2.0",
            "title": format!("Exploitability of known vulnerabilities in {}", header.image),
            "publisher": {"category": "vendor", "name": header.author, "namespace": header.author_url},
            "tracking": {
                "id": id,
                "status": "final",
                "version": "1",
                "initial_release_date": header.created,
                "current_release_date": header.created,
                "revision_history": [{"number": "1", "date": header.created, "summary": "First version."}],
                "generator": {"engine": {"name": "careen", "version": header.tool_version}},
            },
        },
        "product_tree": products,
    });
    if !vulnerabilities.is_empty() {
        document["vulnerabilities"] = json!(vulnerabilities);
    }
    document
}

fn vulnerability(name: &str, said: &[(&Statement, Vec<String>)], created: &str) -> Value {
    let mut status: BTreeMap<&str, BTreeSet<&String>> = BTreeMap::new();
    let mut flags: BTreeMap<&str, BTreeSet<&String>> = BTreeMap::new();
    let (mut threats, mut remediations, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for (statement, ids) in said {
        let list = match statement.status {
            Status::NotAffected => "known_not_affected",
            Status::Affected => "known_affected",
            Status::Fixed => "fixed",
            Status::UnderInvestigation => "under_investigation",
        };
        status.entry(list).or_default().extend(ids);
        if let Some(justification) = statement.justification {
            flags.entry(justification.name()).or_default().extend(ids);
        }
        if statement.status == Status::NotAffected {
            threats.push(json!({"category": "impact", "details": statement.impact, "product_ids": ids}));
        } else if !statement.impact.is_empty() {
            notes.push(json!({
                "category": "details",
                "title": format!("Evidence for {}", ids.join(", ")),
                "text": statement.impact,
            }));
        }
        if !statement.action.is_empty() {
            let category = match statement.fix {
                Fix::Known => "vendor_fix",
                Fix::None => "none_available",
                Fix::Refused => "no_fix_planned",
            };
            remediations.push(json!({"category": category, "details": statement.action, "product_ids": ids}));
        }
    }
    if notes.is_empty() {
        let text = "What is said of each product stands with the threats.";
        notes.push(json!({"category": "summary", "title": "Where the evidence stands", "text": text}));
    }
    let mut value = Map::new();
    let aliases: BTreeSet<&String> = said.iter().flat_map(|(statement, _)| &statement.aliases).collect();
    let mut ids: Vec<Value> =
        aliases.iter().map(|alias| json!({"system_name": system(alias), "text": alias})).collect();
    if is_cve(name) {
        value.insert("cve".into(), json!(name));
    } else {
        ids.insert(0, json!({"system_name": system(name), "text": name}));
    }
    if !ids.is_empty() {
        value.insert("ids".into(), json!(ids));
    }
    let flags: Vec<Value> = flags
        .iter()
        .map(|(label, ids)| json!({"label": label, "date": created, "product_ids": ids}))
        .collect();
    let lists = [("flags", flags), ("notes", notes), ("remediations", remediations), ("threats", threats)];
    value.insert("product_status".into(), json!(status));
    for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        value.insert(key.into(), json!(list));
    }
    value.into()
}

/// Who gives names of this sort.
fn system(name: &str) -> &str {
    name.split_once('-').map_or("other", |(system, _)| system)
}

fn is_cve(name: &str) -> bool {
    let mut parts = name.split('-');
    let digits = |part: Option<&str>, least: usize| {
        part.is_some_and(|part| part.len() >= least && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    parts.next() == Some("CVE")
        && digits(parts.next(), 4)
        && digits(parts.next(), 4)
        && parts.next().is_none()
}

/// Reads a document: a statement for each status and justification of each vulnerability.
pub(super) fn read(document: &Value) -> Document {
    let about = &document["document"];
    let products = products(&document["product_tree"]);
    let mut out = Document {
        id: text(&about["tracking"]["id"]),
        author: text(&about["publisher"]["name"]),
        timestamp: text(&about["tracking"]["current_release_date"]),
        ..Document::default()
    };
    for value in document["vulnerabilities"].as_array().into_iter().flatten() {
        let mut names = vec![text(&value["cve"])];
        names.extend(list(&value["ids"]).map(|id| text(&id["text"])));
        names.retain(|name| !name.is_empty());
        let Some((name, aliases)) = names.split_first() else {
            out.skipped += 1;
            continue;
        };
        for (key, status) in STATUSES {
            for id in list(&value["product_status"][key]).map(text) {
                let about = |entries: &str, key: &str| {
                    let found = list(&value[entries]).find(|entry| {
                        list(&entry["product_ids"]).any(|product| product.as_str() == Some(&id))
                    });
                    found.map(|entry| text(&entry[key])).unwrap_or_default()
                };
                let Some(product) = products.get(&id) else {
                    out.skipped += 1;
                    continue;
                };
                out.statements.push(Statement {
                    vulnerability: name.clone(),
                    aliases: aliases.iter().cloned().collect(),
                    products: vec![product.clone()],
                    status,
                    justification: Justification::parse(&about("flags", "label")),
                    impact: about("threats", "details"),
                    action: about("remediations", "details"),
                    fix: Fix::default(),
                    timestamp: String::new(),
                });
            }
        }
    }
    out
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The products of a tree by their identifiers, those within others with the names of both.
fn products(tree: &Value) -> BTreeMap<String, Product> {
    let mut found = BTreeMap::new();
    let mut note = |product: &Value| {
        let id = text(&product["product_id"]);
        if id.is_empty() {
            return;
        }
        let helper = &product["product_identification_helper"];
        let mut names = vec![text(&helper["purl"]), text(&helper["cpe"])];
        names.extend(list(&helper["purls"]).map(text));
        names.push(text(&product["name"]));
        names.retain(|name| !name.is_empty());
        found.insert(id, Product { names, subcomponents: Vec::new() });
    };
    list(&tree["full_product_names"]).for_each(&mut note);
    // The depth of the tree is that of the JSON, which its parser limits.
    let mut open: Vec<&Value> = list(&tree["branches"]).collect();
    while let Some(branch) = open.pop() {
        note(&branch["product"]);
        open.extend(list(&branch["branches"]));
    }
    for relation in list(&tree["relationships"]) {
        let id = text(&relation["full_product_name"]["product_id"]);
        let part = found.get(&text(&relation["product_reference"]));
        let whole = found.get(&text(&relation["relates_to_product_reference"]));
        if let (Some(part), Some(whole)) = (part, whole)
            && !id.is_empty()
        {
            let product = Product { names: whole.names.clone(), subcomponents: part.names.clone() };
            found.insert(id, product);
        }
    }
    found
}
