//! SPDX 3.0 as JSON-LD: a graph of elements that name each other.
//!
//! Source: SPDX specification 3.0.1, its model and `spdx-context.jsonld`.

use std::collections::BTreeMap;

use packages::OsRelease;
use serde_json::Value;

use super::{Listed, MAX_PACKAGES, PackageList, ReadSbomError, word};

const CONTEXT: &str = "https://spdx.org/rdf/";

/// The version of SPDX that the document's context names; none of other JSON-LD.
pub(super) fn version(document: &Value) -> Option<String> {
    let context = &document["@context"];
    let all = std::iter::once(context).chain(context.as_array().into_iter().flatten());
    let place = all.filter_map(Value::as_str).find_map(|place| place.strip_prefix(CONTEXT))?;
    Some(place.split('/').next().unwrap_or_default().to_owned())
}

pub(super) fn list(document: &Value) -> Result<PackageList, ReadSbomError> {
    let elements = || document["@graph"].as_array().into_iter().flatten();
    if elements().count() > MAX_PACKAGES * 20 {
        return Err(ReadSbomError::Packages { limit: MAX_PACKAGES });
    }
    let graph = Graph::of(elements());
    let of_kind = |kind: &'static str| elements().filter(move |element| element["type"] == kind);
    let name = of_kind("SpdxDocument").find_map(|element| word(&element["name"]));
    let mut list = PackageList { name, ..PackageList::default() };
    for element in of_kind("software_Package") {
        package(&mut list, element, &graph)?;
    }
    Ok(list)
}

/// What elements say of others.
#[derive(Default)]
struct Graph<'d> {
    /// Files by their IRI.
    files: BTreeMap<&'d str, &'d str>,
    /// Expressions by their IRI.
    licences: BTreeMap<&'d str, &'d str>,
    /// From whom to whom.
    contains: BTreeMap<&'d str, Vec<&'d str>>,
    declared: BTreeMap<&'d str, &'d str>,
}

impl<'d> Graph<'d> {
    fn of(elements: impl Iterator<Item = &'d Value>) -> Self {
        let mut graph = Self::default();
        for element in elements {
            let id = iri(element).unwrap_or_default();
            match element["type"].as_str().unwrap_or_default() {
                "software_File" => {
                    graph.files.extend(element["name"].as_str().map(|name| (id, name)));
                }
                "simplelicensing_LicenseExpression" => {
                    let text = element["simplelicensing_licenseExpression"].as_str();
                    graph.licences.extend(text.map(|text| (id, text)));
                }
                "Relationship" | "LifecycleScopedRelationship" => graph.relation(element),
                _ => {}
            }
        }
        graph
    }

    fn relation(&mut self, element: &'d Value) {
        let Some(from) = element["from"].as_str() else { return };
        let to = element["to"].as_array().into_iter().flatten().filter_map(Value::as_str);
        match element["relationshipType"].as_str().unwrap_or_default() {
            "contains" => self.contains.entry(from).or_default().extend(to),
            "hasDeclaredLicense" => self.declared.extend(to.take(1).map(|to| (from, to))),
            _ => {}
        }
    }

    fn files_of(&self, id: &str) -> Vec<String> {
        let inside = self.contains.get(id).into_iter().flatten();
        inside.filter_map(|inner| self.files.get(inner)).map(|name| (*name).to_owned()).collect()
    }

    fn licence_of(&self, id: &str) -> Option<String> {
        self.licences.get(self.declared.get(id)?).map(|text| (*text).to_owned())
    }
}

fn iri(element: &Value) -> Option<&str> {
    element["spdxId"].as_str().or_else(|| element["@id"].as_str())
}

fn package(list: &mut PackageList, element: &Value, graph: &Graph<'_>) -> Result<(), ReadSbomError> {
    let name = word(&element["name"]).unwrap_or_default();
    let version = word(&element["software_packageVersion"]).unwrap_or_default();
    let purl = word(&element["software_packageUrl"]).or_else(|| identifier(element));
    match element["software_primaryPurpose"].as_str().unwrap_or_default() {
        "operatingSystem" => {
            if list.os.is_none() && !name.is_empty() {
                let version_id = Some(version).filter(|version| !version.is_empty());
                list.os =
                    Some(OsRelease { id: name.to_ascii_lowercase(), version_id, ..OsRelease::default() });
            }
            return Ok(());
        }
        "container" => {
            list.digest = Some(version).filter(|version| version.starts_with("sha256:"));
            return Ok(());
        }
        _ => {}
    }
    let id = iri(element).unwrap_or_default();
    // What the document is about, or a place: listed without being a package.
    let Some(purl) = purl.filter(|purl| !purl.starts_with("pkg:oci/")) else { return Ok(()) };
    list.add(Listed {
        reference: id.to_owned(),
        name,
        version,
        purl,
        licence: graph.licence_of(id),
        supplier: None,
        source: word(&element["software_sourceInfo"]).and_then(|text| super::spdx::source_info(&text)),
        files: graph.files_of(id),
    })
}

fn identifier(element: &Value) -> Option<String> {
    let mut all = element["externalIdentifier"].as_array().into_iter().flatten();
    all.find(|one| one["externalIdentifierType"] == "packageUrl").and_then(|one| word(&one["identifier"]))
}
