//! The documents against their schemas.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use advisories::ScanReport;
use careen_scan::Format;
use jsonschema::{Registry, Validator};
use serde_json::Value;

fn read(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()
}

fn report() -> ScanReport {
    serde_json::from_value(read("tests/data/report.json")).unwrap()
}

fn assert_conforms(schema: &Validator, document: &Value) {
    let errors: Vec<String> =
        schema.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn our_document_conforms_to_its_schema_and_a_misspelt_one_does_not() {
    let schema = jsonschema::validator_for(&read("../../docs/formats/scan.schema.json")).unwrap();
    let mut document = serde_json::to_value(report()).unwrap();
    assert_conforms(&schema, &document);
    document["findings"][0]["heat"] = "boiling".into();
    assert!(!schema.is_valid(&document));
}

#[test]
fn cyclonedx_conforms_to_the_official_schema() {
    let read = |name: &str| -> Value {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sbom/tests/data/cyclonedx");
        let bytes = std::fs::read(dir.join(format!("{name}.schema.json.zst"))).unwrap();
        serde_json::from_slice(&zstd::decode_all(&bytes[..]).unwrap()).unwrap()
    };
    let mut registry = Registry::new();
    for name in ["jsf-0.82", "spdx"] {
        registry =
            registry.add(format!("http://cyclonedx.org/schema/{name}.schema.json"), read(name)).unwrap();
    }
    let registry = registry.prepare().unwrap();
    let schema = jsonschema::options().with_registry(&registry).build(&read("bom-1.6"));
    let text = careen_scan::write(&[report()], Format::CycloneDx, "2026-11-22T10:11:12Z").unwrap();
    assert_conforms(&schema.unwrap(), &serde_json::from_str(&text).unwrap());
}

#[test]
fn sarif_conforms_to_the_schema_of_oasis() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sarif-2.1.0.schema.json.zst");
    let schema: Value =
        serde_json::from_slice(&zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let text = careen_scan::write(&[report(), report()], Format::Sarif, "").unwrap();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    assert_conforms(&schema, &document);
    document["runs"][0]["results"][0]["level"] = "dreadful".into();
    assert!(!schema.is_valid(&document));
}
