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
    }
}
