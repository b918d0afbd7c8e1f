//! CycloneDX 1.4 to 1.7.

use packages::OsRelease;
use serde_json::Value;

use super::{Listed, MAX_PACKAGES, PackageList, ReadSbomError, trivy_source, word};
use crate::peers::TRIVY;

/// Components may hold components; deeper ones are passed over. (The JSON reader stops at 128.)
const MAX_DEPTH: usize = 32;
/// Owned files that are read of one component.
const MAX_FILES: usize = 1_000_000;

pub(super) fn list(document: &Value) -> Result<PackageList, ReadSbomError> {
    let subject = &document["metadata"]["component"];
    let mut list =
        PackageList { name: word(&subject["name"]), digest: digest(subject), ..PackageList::default() };
    let mut components = 0;
    let mut queue: Vec<(&Value, usize)> = vec![(&document["components"], 0), (&subject["components"], 0)];
    while let Some((items, depth)) = queue.pop() {
        for item in items.as_array().into_iter().flatten() {
            components += 1;
            if components > MAX_PACKAGES * 10 {
                return Err(ReadSbomError::Packages { limit: MAX_PACKAGES });
            }
            component(&mut list, item)?;
            if depth < MAX_DEPTH && item["components"].is_array() {
                queue.push((&item["components"], depth + 1));
            }
        }
    }
    Ok(list)
}

/// The image's own digest: its version, or its purl's.
fn digest(subject: &Value) -> Option<String> {
    let purl =
        word(&subject["purl"]).and_then(|purl| super::Purl::parse(&purl)).filter(|purl| purl.kind == "oci");
    let version = purl.map(|purl| purl.version).or_else(|| word(&subject["version"]))?;
    version.starts_with("sha256:").then_some(version)
}

fn component(list: &mut PackageList, item: &Value) -> Result<(), ReadSbomError> {
    let name = word(&item["name"]).unwrap_or_default();
    let version = word(&item["version"]).unwrap_or_default();
    match item["type"].as_str().unwrap_or_default() {
        "operating-system" => {
            if list.os.is_none() && !name.is_empty() {
                list.os = Some(OsRelease {
                    id: property(item, "syft:distro:id").unwrap_or(name).to_ascii_lowercase(),
                    version_id: Some(version).filter(|version| !version.is_empty()),
                    codename: property(item, "syft:distro:versionCodename"),
                    pretty_name: word(&item["description"]),
                });
            }
            return Ok(());
        }
        "file" | "device" | "firmware" | "data" | "machine-learning-model" | "cryptographic-asset" => {
            return Ok(());
        }
        // A lock file or the like: a place, and not a package.
        _ if item["purl"].is_null() && property(item, "aquasecurity:trivy:Class").is_some() => return Ok(()),
        _ => {}
    }
    let occurrences = item["evidence"]["occurrences"].as_array().into_iter().flatten();
    let files = occurrences.filter_map(|occurrence| word(&occurrence["location"])).take(MAX_FILES);
    let supplier = &item["supplier"];
    let mail = word(&supplier["contact"][0]["email"]);
    let supplier = word(&supplier["name"]).or_else(|| word(&item["publisher"]));
    list.add(Listed {
        reference: word(&item["bom-ref"]).unwrap_or_default(),
        name,
        version,
        purl: word(&item["purl"]).unwrap_or_default(),
        licence: licence(&item["licenses"]),
        supplier: supplier.map(|name| mail.map_or(name.clone(), |mail| format!("{name} <{mail}>"))),
        source: source(item),
        files: files.collect(),
    })
}

fn property(item: &Value, name: &str) -> Option<String> {
    let mut all = item["properties"].as_array().into_iter().flatten();
    all.find(|property| property["name"] == name).and_then(|property| word(&property["value"]))
}

fn source(item: &Value) -> Option<(String, String)> {
    let pair = |name: &str, version: &str| {
        Some((property(item, name)?, property(item, version).unwrap_or_default()))
    };
    pair("careen:source:name", "careen:source:version")
        .or_else(|| trivy_source(|name| property(item, &format!("{TRIVY}{name}"))))
        .or_else(|| pair("syft:metadata:source", "syft:metadata:sourceVersion"))
        .or_else(|| pair("syft:metadata:originPackage", ""))
}

fn licence(licences: &Value) -> Option<String> {
    let texts: Vec<String> = licences
        .as_array()?
        .iter()
        .filter_map(|one| {
            let expression = word(&one["expression"]);
            expression.or_else(|| word(&one["license"]["id"])).or_else(|| word(&one["license"]["name"]))
        })
        .take(64)
        .collect();
    (!texts.is_empty()).then(|| texts.join(" AND "))
}
