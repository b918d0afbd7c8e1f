use proptest::prelude::*;
use serde_json::json;

use super::*;

fn listed(component: &Value) -> Package {
    let document = json!({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [component]});
    let mut list = read(document.to_string().as_bytes()).unwrap();
    assert_eq!((list.packages.len(), &list.problems[..]), (1, &[][..]));
    list.packages.remove(0)
}

#[test]
fn the_source_package_is_found_wherever_others_write_it() {
    let property = |name: &str, value: &str| json!({"name": name, "value": value});
    let plain = "pkg:deb/debian/login@1:4.13-1%2Bb1?arch=amd64&distro=debian-12";
    for (purl, properties, source) in [
        (plain.to_owned(), json!([]), ("login", "1:4.13-1+b1")),
        (format!("{plain}&upstream=shadow%401:4.13-1"), json!([]), ("shadow", "1:4.13-1")),
        (format!("{plain}&upstream=shadow"), json!([]), ("shadow", "1:4.13-1+b1")),
        (
            plain.to_owned(),
            json!([
                property("aquasecurity:trivy:SrcName", "shadow"),
                property("aquasecurity:trivy:SrcVersion", "4.13"),
                property("aquasecurity:trivy:SrcRelease", "1"),
                property("aquasecurity:trivy:SrcEpoch", "1"),
            ]),
            ("shadow", "1:4.13-1"),
        ),
        (
            plain.to_owned(),
            json!([
                property("syft:metadata:source", "shadow"),
                property("syft:metadata:sourceVersion", "1:4.13-1"),
            ]),
            ("shadow", "1:4.13-1"),
        ),
        (
            "pkg:rpm/redhat/bash@5.1.8-6.el9?upstream=bash-completion-2-1.src.rpm&epoch=3".to_owned(),
            json!([]),
            ("bash-completion", "2-1"),
        ),
    ] {
        let component = json!({"type": "library", "name": "login", "purl": purl, "properties": properties});
        let package = listed(&component);
        assert_eq!((&*package.source_name, &*package.source_version), source, "{component}");
    }
}

#[test]
fn names_are_those_of_the_ecosystem() {
    for (purl, ecosystem, name) in [
        ("pkg:npm/%40babel/core@7", Ecosystem::Npm, "@babel/core"),
        ("pkg:maven/org.apache/log4j@2", Ecosystem::Maven, "org.apache:log4j"),
        ("pkg:golang/golang.org/x/net@v0.1.0", Ecosystem::Go, "golang.org/x/net"),
        ("pkg:pypi/flask@3", Ecosystem::Python, "flask"),
        ("pkg:rpm/rocky/a@1-2?epoch=1", Ecosystem::Rpm, "a"),
    ] {
        let package = listed(&json!({"type": "library", "name": "x", "purl": purl}));
        assert_eq!((package.ecosystem, &*package.name), (ecosystem, name), "{purl}");
    }
}

#[test]
fn the_distribution_comes_from_packages_where_no_component_says_it() {
    let purl = "pkg:deb/ubuntu/a@1?distro=ubuntu-24.04";
    let document = json!({
        "spdxVersion": "SPDX-2.3",
        "packages": [{
            "name": "a",
            "sourceInfo": "built package from: b 2",
            "externalRefs": [{"referenceType": "purl", "referenceLocator": purl}],
        }],
    });
    let list = read(document.to_string().as_bytes()).unwrap();
    assert_eq!(list.os.unwrap().distro(), "ubuntu-24.04");
    assert_eq!((&*list.packages[0].source_name, &*list.packages[0].source_version), ("b", "2"));
}

#[test]
fn what_is_no_bill_is_refused_and_what_is_odd_is_told() {
    for text in
        ["", "[]", "{}", "{\"bomFormat\": \"CycloneDX\"}", "{\"spdxVersion\": \"SPDX-1.0\"}", "<xml/>"]
    {
        assert!(read(text.as_bytes()).unwrap_err().hint().is_some(), "{text}");
    }
    let text = r#"{"bomFormat": "CycloneDX", "specVersion": "1.4", "components": [1, {"name": "a"},
        {"name": "b", "purl": "pkg:strange/b@1"}, {"name": "c", "purl": "pkg:npm/c@1", "licenses": {}}]}"#;
    let list = read(text.as_bytes()).unwrap();
    assert_eq!((list.packages.len(), list.problems.len()), (1, 3));
}

#[test]
fn a_graph_of_spdx_3_gives_packages_with_their_files_and_licences() {
    let document = json!({
        "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
        "@graph": [
            {"type": "SpdxDocument", "spdxId": "urn:d", "name": "shop"},
            {"type": "software_Package", "spdxId": "urn:image", "name": "shop",
             "software_primaryPurpose": "container", "software_packageVersion": "sha256:00"},
            {"type": "software_Package", "spdxId": "urn:os", "name": "debian",
             "software_primaryPurpose": "operatingSystem", "software_packageVersion": "12"},
            {"type": "software_Package", "spdxId": "urn:a", "name": "login",
             "software_packageUrl": "pkg:deb/debian/login@1:4.13-1%2Bb1?arch=amd64",
             "software_sourceInfo": "built package from: shadow 1:4.13-1"},
            {"type": "software_Package", "spdxId": "urn:b", "name": "flask", "externalIdentifier": [
                {"type": "ExternalIdentifier", "externalIdentifierType": "packageUrl",
                 "identifier": "pkg:pypi/flask@3.0"}]},
            {"type": "software_Package", "spdxId": "urn:c", "name": "no package"},
            {"type": "software_File", "spdxId": "urn:f", "name": "/bin/login"},
            {"type": "simplelicensing_LicenseExpression", "spdxId": "urn:l",
             "simplelicensing_licenseExpression": "MIT"},
            {"type": "Relationship", "from": "urn:a", "relationshipType": "contains", "to": ["urn:f", "urn:x"]},
            {"type": "Relationship", "from": "urn:b", "relationshipType": "hasDeclaredLicense", "to": ["urn:l"]},
        ],
    });
    let list = read(document.to_string().as_bytes()).unwrap();
    assert_eq!((list.name.as_deref(), list.digest.as_deref()), (Some("shop"), Some("sha256:00")));
    assert_eq!(list.os.unwrap().distro(), "debian-12");
    let [login, flask] = list.packages.as_slice() else { panic!("{:?}", list.packages) };
    assert_eq!((&*login.source_name, &*login.source_version), ("shadow", "1:4.13-1"));
    assert_eq!(login.files.iter().map(ToString::to_string).collect::<Vec<_>>(), ["/bin/login"]);
    assert_eq!((&*flask.name, flask.licence.as_deref()), ("flask", Some("MIT")));
    let later = json!({"@context": ["https://spdx.org/rdf/4.0/spdx-context.jsonld"], "@graph": []});
    assert!(matches!(read(later.to_string().as_bytes()), Err(ReadSbomError::Version { .. })));
}

#[test]
fn what_is_taken_for_a_bill_is_told_by_its_name() {
    for (document, expected) in [
        (json!({"artifacts": [], "source": {}, "descriptor": {}}), OtherDocument::Syft),
        (json!({"SchemaVersion": 2, "ArtifactName": "shop"}), OtherDocument::Trivy),
        (json!({"format_version": 1, "careen": "0.1", "image": {}, "packages": []}), OtherDocument::Careen),
        (json!({"format_version": 1, "careen_version": "0.1", "findings": []}), OtherDocument::Scan),
    ] {
        let error = read(document.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, ReadSbomError::Kind(Some(other)) if other == expected), "{error}");
        assert!(error.to_string().contains(expected.name()) && error.hint().is_some(), "{error}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    #[test]
    fn any_shape_is_read(
        keys in proptest::collection::vec("components|packages|purl|evidence|name|type|properties|externalRefs", 1..8),
        leaf in "pkg:deb/a@1|1|operating-system|OPERATING-SYSTEM|\u{fc}",
    ) {
        let mut value = json!(leaf);
        for key in keys.iter().rev() {
            value = json!({key.as_str(): [value.clone()], "name": value, "purl": leaf});
        }
        for (format, version) in [("bomFormat", "specVersion"), ("spdxVersion", "x")] {
            value[format] = json!(if format == "bomFormat" { "CycloneDX" } else { "SPDX-2.3" });
            value[version] = json!("1.6");
        }
        let _ = read(value.to_string().as_bytes());
        let graph = json!({"@context": "https://spdx.org/rdf/3.0.1/x", "@graph": [value, {"type": leaf, "from": leaf}]});
        let _ = read(graph.to_string().as_bytes());
    }
}
