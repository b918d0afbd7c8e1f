//! SPDX 2.3 in JSON.
//!
//! SPDX 2.3 wants a SHA-1 of every file that it lists, so that all of the image has to be read again: files stand there
//! only where somebody asks for their checksums. Trivy's own facts stand in annotations, as Trivy writes them.
//!
//! Source: SPDX specification 2.3.

use std::collections::{BTreeMap, BTreeSet};

use image::ImagePath;
use packages::Ecosystem;
use serde_json::{Value, json};

use crate::bill::{Bill, Component};
use crate::checksums;
use crate::licence;
use crate::peers;
use crate::supplier::Supplier;
use crate::write::{Document, Part, compact};

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";
const OS: &str = "SPDXRef-OperatingSystem";
const NO_ASSERTION: &str = "NOASSERTION";

pub(crate) fn document<'b>(bill: &'b Bill<'b>) -> Document<'b> {
    let packages = std::iter::once(image(bill)).chain(bill.os.map(|_| os(bill)));
    let components = bill.components.iter().enumerate().map(|(at, one)| package(bill, at, one));
    let mut parts = vec![
        ("spdxVersion", Part::Value(json!("SPDX-2.3"))),
        ("dataLicense", Part::Value(json!("CC0-1.0"))),
        ("SPDXID", Part::Value(json!(DOCUMENT))),
        ("name", Part::Value(json!(bill.name))),
        ("documentNamespace", Part::Value(json!(namespace(bill)))),
        (
            "creationInfo",
            Part::Value(json!({
                "creators": ["Organization: Careen", format!("Tool: careen-{}", bill.tool_version)],
                "created": bill.created,
                "licenseListVersion": list_version(),
            })),
        ),
        ("packages", Part::list(packages.chain(components))),
        ("relationships", Part::list(relationships(bill).into_iter())),
        ("hasExtractedLicensingInfos", Part::list(licences(bill).into_iter())),
    ];
    if !bill.checksums.is_empty() {
        parts.push(("files", Part::list(files(bill))));
    }
    Document(parts)
}

/// The name of the document: with those of its elements behind a `#`, nothing else in the world has them.
pub(crate) fn namespace(bill: &Bill<'_>) -> String {
    format!("urn:uuid:{}", bill.uuid)
}

/// The release of SPDX's licence list: two numbers.
fn list_version() -> String {
    spdx::license_version().split('.').take(2).collect::<Vec<_>>().join(".")
}

fn id(at: usize) -> String {
    format!("SPDXRef-Package-{at}")
}

/// An external reference to a purl or a CPE.
fn reference(category: &str, kind: &str, locator: &str) -> Value {
    json!({"referenceCategory": category, "referenceType": kind, "referenceLocator": locator})
}

/// Annotations as Trivy writes and reads them.
fn annotations(bill: &Bill<'_>, pairs: &[(&str, String)]) -> Value {
    let annotation = |(name, value): &(&str, String)| {
        json!({
            "annotator": format!("Tool: careen-{}", bill.tool_version),
            "annotationDate": bill.created,
            "annotationType": "OTHER",
            "comment": format!("{name}: {value}"),
        })
    };
    pairs.iter().map(annotation).collect()
}

fn image(bill: &Bill<'_>) -> Value {
    let image = bill.image;
    let mut pairs = vec![("ImageID", image.image_id().to_string()), ("SchemaVersion", "2".to_owned())];
    pairs.extend(image.layers().iter().map(|layer| ("DiffID", layer.diff_id.to_string())));
    json!({
        "SPDXID": IMAGE,
        "name": bill.name,
        "versionInfo": image.manifest_digest(),
        "supplier": Supplier::of_image(bill).map_or_else(|| NO_ASSERTION.to_owned(), |known| known.spdx()),
        "downloadLocation": NO_ASSERTION,
        "filesAnalyzed": false,
        "checksums": [{"algorithm": "SHA256", "checksumValue": image.manifest_digest().hex()}],
        "licenseConcluded": NO_ASSERTION,
        "licenseDeclared": NO_ASSERTION,
        "copyrightText": NO_ASSERTION,
        "primaryPackagePurpose": "CONTAINER",
        "externalRefs": [reference("PACKAGE-MANAGER", "purl", &bill.purl)],
        "annotations": annotations(bill, &pairs),
    })
}

fn os(bill: &Bill<'_>) -> Value {
    let Some(os) = bill.os else { return Value::Null };
    compact(json!({
        "SPDXID": OS,
        "name": os.id,
        "versionInfo": os.version_id.as_ref().or(os.codename.as_ref()),
        "supplier": Supplier::of_distribution(bill).spdx(),
        "downloadLocation": NO_ASSERTION,
        "filesAnalyzed": false,
        "licenseConcluded": NO_ASSERTION,
        "licenseDeclared": NO_ASSERTION,
        "copyrightText": NO_ASSERTION,
        "primaryPackagePurpose": "OPERATING-SYSTEM",
        "annotations": annotations(bill, &[("Class", "os-pkgs".into()), ("Type", os.id.clone())]),
    }))
}

fn package(bill: &Bill<'_>, at: usize, component: &Component<'_>) -> Value {
    let package = component.package;
    let declared = component.licence.expression(licence::reference);
    let declared = declared.unwrap_or_else(|| NO_ASSERTION.to_owned());
    let mut references = vec![reference("PACKAGE-MANAGER", "purl", &package.purl)];
    references.extend(component.cpes.iter().map(|cpe| reference("SECURITY", "cpe23Type", cpe)));
    let mut pairs = peers::trivy(bill, component);
    if let Some(lost) = component.lost {
        pairs.push(("careen:partial", format!("{} files kept, {} removed", lost.kept, lost.removed)));
    }
    let is_program = package.ecosystem == Ecosystem::Generic;
    let owned = || package.files.iter().filter_map(|path| bill.checksums.get(path));
    let is_analyzed = owned().next().is_some();
    let code =
        is_analyzed.then(|| json!({"packageVerificationCodeValue": checksums::verification_code(owned())}));
    compact(json!({
        "SPDXID": id(at),
        "name": package.name,
        "versionInfo": package.version,
        "supplier": Supplier::of(bill, package).spdx(),
        "downloadLocation": NO_ASSERTION,
        "filesAnalyzed": is_analyzed,
        "packageVerificationCode": code,
        "sourceInfo": source_info(component),
        "licenseConcluded": NO_ASSERTION,
        "licenseDeclared": declared,
        "copyrightText": NO_ASSERTION,
        "primaryPackagePurpose": if is_program { "APPLICATION" } else { "LIBRARY" },
        "externalRefs": references,
        "annotations": annotations(bill, &pairs),
    }))
}

/// The files whose digests are known, each once, by path.
fn files<'b>(bill: &'b Bill<'b>) -> impl Iterator<Item = Value> + 'b {
    bill.checksums.iter().enumerate().map(|(at, (path, checksums))| {
        json!({
            "SPDXID": file_id(at),
            "fileName": format!(".{}", path.to_text()),
            "checksums": [
                {"algorithm": "SHA1", "checksumValue": checksums.sha1},
                {"algorithm": "SHA256", "checksumValue": checksums.sha256},
            ],
            "licenseConcluded": NO_ASSERTION,
            "licenseInfoInFiles": [NO_ASSERTION],
            "copyrightText": NO_ASSERTION,
        })
    })
}

fn file_id(at: usize) -> String {
    format!("SPDXRef-File-{at}")
}

/// The source package, in the words in which Trivy looks for it; else where the package was found.
fn source_info(component: &Component<'_>) -> Option<String> {
    let package = component.package;
    if package.ecosystem.is_system() && !package.source_version.contains(' ') {
        return Some(format!("built package from: {} {}", package.source_name, package.source_version));
    }
    component.evidence.first().map(|(file, _)| format!("acquired package info from: {file}"))
}

fn relationships(bill: &Bill<'_>) -> Vec<Value> {
    let relation = |from: &str, kind: &str, to: &str| json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to});
    let (system, languages) = bill.split();
    let places: BTreeMap<&ImagePath, usize> =
        bill.checksums.keys().enumerate().map(|(place, path)| (path, place)).collect();
    let mut out = vec![relation(DOCUMENT, "DESCRIBES", IMAGE)];
    let holder = if bill.os.is_some() {
        out.push(relation(IMAGE, "CONTAINS", OS));
        OS
    } else {
        IMAGE
    };
    out.extend(system.iter().map(|at| relation(holder, "CONTAINS", &id(*at))));
    out.extend(languages.iter().map(|at| relation(IMAGE, "CONTAINS", &id(*at))));
    for (at, component) in bill.components.iter().enumerate() {
        out.extend(component.needs.iter().map(|need| relation(&id(at), "DEPENDS_ON", &id(*need))));
        let owned = component.package.files.iter().filter_map(|path| places.get(path));
        out.extend(owned.map(|place| relation(&id(at), "CONTAINS", &file_id(*place))));
    }
    out
}

/// The licences that SPDX does not know, each once, by ID.
fn licences(bill: &Bill<'_>) -> Vec<Value> {
    let named: BTreeSet<(String, &str)> = bill
        .components
        .iter()
        .flat_map(|component| component.licence.named())
        .map(|name| (licence::reference(name), name))
        .collect();
    let text = |name: &str| format!("The package calls its licence \"{name}\"; its text lies in the image.");
    named
        .into_iter()
        .map(|(id, name)| json!({"licenseId": id, "name": name, "extractedText": text(name)}))
        .collect()
}
