//! The mandatory tests of CSAF 2.0 (section 6.1) that a document of ours can fail, and the shape of what its schema
//! demands. Written from the standard: the tests on scores, CWE, translations, groups of products, hashes and
//! involvements speak of what we never write, and the keys below are all that we may.

use std::collections::{BTreeMap, BTreeSet};

use packages::purl::Purl;
use serde_json::Value;

/// All that is wrong with a document, each with the number of the test or the section.
pub(crate) fn violations(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    shape(document, &mut found);
    tracking(&document["document"]["tracking"], &mut found);
    let products = products(&document["product_tree"], &mut found);
    let vulnerabilities = list(document, "vulnerabilities");
    check(&mut found, !vulnerabilities.is_empty(), "6.1.27.11 no vulnerabilities");
    let mut names = BTreeSet::new();
    for one in vulnerabilities {
        if let Some(cve) = one["cve"].as_str() {
            check(&mut found, names.insert(cve), &format!("6.1.23 {cve} twice"));
        }
        vulnerability(one, &products, &mut found);
    }
    found
}

fn check(found: &mut Vec<String>, holds: bool, what: &str) {
    if !holds {
        found.push(what.to_owned());
    }
}

fn list<'d>(value: &'d Value, key: &str) -> &'d [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// Only these keys; those in capitals must be there.
fn keys(value: &Value, allowed: &str, what: &str, found: &mut Vec<String>) {
    let Some(object) = value.as_object() else { return found.push(format!("3.2 {what} is no object")) };
    for word in allowed.split(' ') {
        let key = word.to_lowercase();
        check(found, word == key || object.contains_key(&key), &format!("3.2 {what} lacks {key}"));
    }
    let known: BTreeSet<String> = allowed.split(' ').map(str::to_lowercase).collect();
    for key in object.keys() {
        check(found, known.contains(key), &format!("3.2 {what} has {key}"));
    }
    for text in object.values().filter_map(Value::as_str) {
        check(found, !text.trim().is_empty(), &format!("3.2 empty text in {what}"));
    }
}

fn shape(document: &Value, found: &mut Vec<String>) {
    keys(document, "DOCUMENT PRODUCT_TREE VULNERABILITIES", "the document", found);
    let about = &document["document"];
    keys(about, "CATEGORY CSAF_VERSION PUBLISHER TITLE TRACKING", "document", found);
    check(found, about["csaf_version"] == "2.0", "3.2.1.2 version");
    check(found, about["category"] == "csaf_vex", "4.5 category");
    keys(&about["publisher"], "CATEGORY NAME NAMESPACE", "publisher", found);
    let categories = ["coordinator", "discoverer", "other", "translator", "user", "vendor"];
    let category = about["publisher"]["category"].as_str().unwrap_or_default();
    check(found, categories.contains(&category), "3.2.1.8.1 publisher");
    let namespace = about["publisher"]["namespace"].as_str().unwrap_or_default();
    check(found, namespace.contains("://"), "3.2.1.8.5 namespace is no URI");
}

fn tracking(tracking: &Value, found: &mut Vec<String>) {
    let allowed = "CURRENT_RELEASE_DATE GENERATOR ID INITIAL_RELEASE_DATE REVISION_HISTORY STATUS VERSION";
    keys(tracking, allowed, "tracking", found);
    let id = tracking["id"].as_str().unwrap_or_default();
    check(found, id == id.trim() && !id.is_empty(), "3.2.1.12.4 id");
    for key in ["current_release_date", "initial_release_date"] {
        check(found, is_time(&tracking[key]), &format!("3.2.1.12 {key} is no time"));
    }
    let version = tracking["version"].as_str().unwrap_or_default();
    let is_whole = |version: &str| version.parse::<u32>().is_ok();
    check(found, is_whole(version), "3.1.11 version is no whole number");
    check(found, tracking["status"] == "final" && version != "0", "6.1.17, 6.1.20 a draft");
    let history = list(tracking, "revision_history");
    let mut numbers = Vec::new();
    let mut dates = Vec::new();
    for revision in history {
        keys(revision, "DATE NUMBER SUMMARY", "revision", found);
        check(found, is_time(&revision["date"]), "3.2.1.12.6 date");
        let number = revision["number"].as_str().unwrap_or_default();
        check(found, is_whole(number), "6.1.30 mixed versions");
        check(found, number != "0", "6.1.18 a revision 0");
        numbers.push(number.parse::<u32>().unwrap_or(0));
        dates.push(revision["date"].as_str().unwrap_or_default());
    }
    check(found, numbers.last().map(u32::to_string).as_deref() == Some(version), "6.1.16 latest version");
    check(found, numbers.iter().zip(1..).all(|(number, place)| *number == place), "6.1.14, 21, 22 history");
    check(found, dates.is_sorted(), "6.1.14 dates of the history");
}

fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default().as_bytes();
    text.len() == 20 && text[10] == b'T' && text[19] == b'Z'
}

/// The identifiers that are defined.
fn products<'d>(tree: &'d Value, found: &mut Vec<String>) -> BTreeSet<&'d str> {
    keys(tree, "FULL_PRODUCT_NAMES relationships", "product_tree", found);
    let mut defined = BTreeSet::new();
    for product in list(tree, "full_product_names") {
        keys(product, "NAME PRODUCT_ID product_identification_helper", "a product", found);
        let id = product["product_id"].as_str().unwrap_or_default();
        check(found, defined.insert(id), &format!("6.1.2 {id} twice"));
        let purl = product["product_identification_helper"]["purl"].as_str();
        check(found, purl.is_none_or(|purl| Purl::parse(purl).is_some()), "6.1.13 a broken purl");
    }
    for relation in list(tree, "relationships") {
        let allowed = "CATEGORY FULL_PRODUCT_NAME PRODUCT_REFERENCE RELATES_TO_PRODUCT_REFERENCE";
        keys(relation, allowed, "a relationship", found);
        check(found, relation["category"] == "default_component_of", "3.2.2.4 category");
        keys(&relation["full_product_name"], "NAME PRODUCT_ID", "a related product", found);
        let id = relation["full_product_name"]["product_id"].as_str().unwrap_or_default();
        // Whatever a relation refers to stands above it: that leaves no circle.
        for key in ["product_reference", "relates_to_product_reference"] {
            let reference = relation[key].as_str().unwrap_or_default();
            check(found, defined.contains(reference), &format!("6.1.1, 6.1.3 {reference}"));
        }
        check(found, defined.insert(id), &format!("6.1.2 {id} twice"));
    }
    defined
}

fn vulnerability(one: &Value, products: &BTreeSet<&str>, found: &mut Vec<String>) {
    let allowed = "cve flags ids NOTES PRODUCT_STATUS remediations threats";
    keys(one, allowed, "a vulnerability", found);
    let ids = list(one, "ids");
    check(found, one["cve"].is_string() || !ids.is_empty(), "6.1.27.8 no name");
    ids.iter().for_each(|id| keys(id, "SYSTEM_NAME TEXT", "an id", found));
    check(
        found,
        ids.iter().map(Value::to_string).collect::<BTreeSet<_>>().len() == ids.len(),
        "3.2.3.6 an id twice",
    );
    check(found, !list(one, "notes").is_empty(), "6.1.27.5 no notes");
    for note in list(one, "notes") {
        keys(note, "CATEGORY TEXT title", "a note", found);
        let category = note["category"].as_str().unwrap_or_default();
        check(found, ["details", "summary", "description", "general"].contains(&category), "3.1.5.1 note");
    }

    let allowed = "fixed known_affected known_not_affected under_investigation";
    keys(&one["product_status"], allowed, "product_status", found);
    let mut statuses: BTreeMap<&str, &str> = BTreeMap::new();
    for (status, ids) in one["product_status"].as_object().into_iter().flatten() {
        check(found, ids.as_array().is_some_and(|ids| !ids.is_empty()), "3.2.3.9 an empty list");
        for id in ids.as_array().into_iter().flatten().filter_map(Value::as_str) {
            check(found, products.contains(id), &format!("6.1.1 {id}"));
            check(found, statuses.insert(id, status).is_none(), &format!("6.1.6 {id} has two"));
        }
    }
    check(found, !statuses.is_empty(), "6.1.27.7 no status");

    let mut stated: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (entries, allowed, number) in [
        ("flags", "DATE LABEL PRODUCT_IDS", "6.1.32"),
        ("remediations", "CATEGORY DETAILS PRODUCT_IDS", "6.1.29"),
        ("threats", "CATEGORY DETAILS PRODUCT_IDS", "6.1.27.9"),
    ] {
        for entry in list(one, entries) {
            keys(entry, allowed, entries, found);
            let ids = list(entry, "product_ids");
            check(found, !ids.is_empty(), &format!("{number} {entries} without a product"));
            for id in ids.iter().filter_map(Value::as_str) {
                check(found, products.contains(id), &format!("6.1.1 {id}"));
                let is_new = stated.entry(entries).or_default().insert(id);
                check(found, is_new || entries != "flags", &format!("6.1.33 {id} has two flags"));
            }
        }
    }
    for entry in list(one, "threats") {
        check(found, entry["category"] == "impact", "3.2.3.14 category");
    }
    let says = |entries: &str, id: &str| stated.get(entries).is_some_and(|ids| ids.contains(id));
    for (id, status) in statuses {
        let (impact, action) = (says("threats", id) || says("flags", id), says("remediations", id));
        check(found, status != "known_not_affected" || impact, &format!("6.1.27.9 {id}"));
        check(found, status != "known_affected" || action, &format!("6.1.27.10 {id}"));
    }
}
