//! SPDX 2.2 and 2.3.

use packages::OsRelease;
use serde_json::Value;

use super::{Listed, PackageList, ReadSbomError, trivy_source, word};

pub(super) fn list(document: &Value) -> Result<PackageList, ReadSbomError> {
    let mut list = PackageList { name: word(&document["name"]), ..PackageList::default() };
    for item in document["packages"].as_array().into_iter().flatten() {
        package(&mut list, item)?;
    }
    Ok(list)
}

fn package(list: &mut PackageList, item: &Value) -> Result<(), ReadSbomError> {
    let name = word(&item["name"]).unwrap_or_default();
    let version = word(&item["versionInfo"]).unwrap_or_default();
    let purl = reference(item, "purl");
    let is_image = purl.as_deref().is_some_and(|purl| purl.starts_with("pkg:oci/"));
    match item["primaryPackagePurpose"].as_str().unwrap_or_default() {
        "OPERATING-SYSTEM" | "OPERATING_SYSTEM" => {
            if list.os.is_none() && !name.is_empty() {
                let version_id = Some(version).filter(|version| !version.is_empty());
                list.os =
                    Some(OsRelease { id: name.to_ascii_lowercase(), version_id, ..OsRelease::default() });
            }
            return Ok(());
        }
        "CONTAINER" => {
            list.digest = Some(version).filter(|version| version.starts_with("sha256:"));
            return Ok(());
        }
        _ if is_image => return Ok(()),
        // What the document is about, or a place: listed without being a package.
        _ if purl.is_none() && item["sourceInfo"].is_null() => return Ok(()),
        _ => {}
    }
    let annotation = |name: &str| {
        let all = item["annotations"].as_array().into_iter().flatten();
        all.filter_map(|annotation| annotation["comment"].as_str())
            .find_map(|comment| comment.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
    };
    let declared = word(&item["licenseDeclared"]).filter(|text| !matches!(&**text, "NOASSERTION" | "NONE"));
    list.add(Listed {
        reference: word(&item["SPDXID"]).unwrap_or_default(),
        name,
        version,
        purl: purl.unwrap_or_default(),
        licence: declared,
        supplier: word(&item["supplier"]).and_then(|text| supplier(&text)),
        source: trivy_source(annotation).or_else(|| source_info(&word(&item["sourceInfo"])?)),
        files: Vec::new(),
    })
}

fn reference(item: &Value, kind: &str) -> Option<String> {
    let mut all = item["externalRefs"].as_array().into_iter().flatten();
    all.find(|reference| reference["referenceType"] == kind)
        .and_then(|found| word(&found["referenceLocator"]))
}

/// `built package from: NAME VERSION`, as Trivy writes it.
pub(super) fn source_info(text: &str) -> Option<(String, String)> {
    let (name, version) = text.strip_prefix("built package from: ")?.split_once(' ')?;
    Some((name.to_owned(), version.to_owned()))
}

/// `Organization: NAME (MAIL)` as `NAME <MAIL>`.
fn supplier(text: &str) -> Option<String> {
    let (_, name) = text.split_once(": ")?;
    Some(match name.strip_suffix(')').and_then(|name| name.rsplit_once(" (")) {
        Some((name, mail)) => format!("{name} <{mail}>"),
        None => name.to_owned(),
    })
}
