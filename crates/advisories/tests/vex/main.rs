//! Claims about findings, written, checked against official schemas, read back and applied.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]

mod csaf;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use advisories::heat::{Role, UsedFile};
use advisories::matching::{self, Finding};
use advisories::scan::SymbolPresence;
use advisories::vex::{self, Coverage, Format, Ground, Header, Remains, Status, Subject, Wishes};
use advisories::{Advisory, Affected, Database, DatabaseBuilder, FixState, Heat, PackageUse, Range};
use careen_advisories as advisories;
use image::{Digest, ImagePath};
use jsonschema::Registry;
use packages::{Ecosystem, FileList, InstallState, Origin, OsRelease, Package, PackageDatabase};
use profile::{AccessKind, Process};
use serde_json::{Value, json};

const IMAGE: &str = "pkg:oci/shop@sha256:5e4f0f3ae2ec5e3a8fd6bb0fdfc0e4d9b6f17b9ee0b0f5d2d6a1d0a4c3b2a190?arch=amd64&repository_url=ghcr.io%2Facme%2Fshop";
const DIGEST: &str = "sha256:5e4f0f3ae2ec5e3a8fd6bb0fdfc0e4d9b6f17b9ee0b0f5d2d6a1d0a4c3b2a190";
const NAMES: [&str; 5] = ["gone", "partly", "cold", "hot", "warm"];

fn data(name: &str) -> Vec<u8> {
    let bytes =
        fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/vex").join(name)).unwrap();
    if name.ends_with(".zst") { zstd::decode_all(&bytes[..]).unwrap() } else { bytes }
}

fn path(text: &str) -> ImagePath {
    ImagePath::from_absolute(text.as_bytes()).unwrap()
}

fn package(name: &str) -> Package {
    Package {
        ecosystem: Ecosystem::Dpkg,
        name: name.into(),
        version: "1:1.0-1".into(),
        architecture: "amd64".into(),
        source_name: name.into(),
        source_version: "1:1.0-1".into(),
        licence: None,
        maintainer: None,
        state: InstallState::Installed,
        purl: format!("pkg:deb/debian/{name}@1:1.0-1?arch=amd64&distro=debian-12"),
        file_list: FileList::Complete,
        files: BTreeSet::new(),
        origin: Origin::Embedded { file: path("/var/lib/dpkg/status"), within: Vec::new() },
    }
}

fn packages() -> PackageDatabase {
    let os = OsRelease::parse(b"ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n");
    PackageDatabase::listed(NAMES.map(package).to_vec(), Some(os), Vec::new())
}

/// `CVE-2024-000N` in each package, N its place; hot's is fixed, cold's never will be.
fn findings(packages: &PackageDatabase) -> Vec<Finding> {
    let mut builder = DatabaseBuilder::new();
    for package in &packages.packages {
        let number = NAMES.iter().position(|name| *name == package.name).unwrap();
        let fixed = (package.name == "hot").then(|| "1:1.0-2".to_owned());
        builder.advisory(Advisory {
            id: format!("CVE-2024-{number:04}"),
            source: "debian/tracker".into(),
            aliases: [format!("GHSA-{number:04}")].into(),
            affected: vec![Affected {
                ecosystem: "Debian:12".into(),
                package: package.name.clone(),
                ranges: vec![Range { fixed, ..Range::default() }],
                state: if package.name == "cold" { FixState::Ignored } else { FixState::Affected },
                ..Affected::default()
            }],
            ..Advisory::default()
        });
    }
    let database = Database::from_bytes(builder.finish().unwrap()).unwrap();
    matching::find(packages, &database).unwrap()
}

fn usage(heat: Heat, before: u64, left: u64) -> PackageUse {
    let partial = left > 0 && left < before;
    PackageUse { heat, was: None, partial, files_left: left, files_before: before, used: Vec::new() }
}

fn grounds(packages: &PackageDatabase) -> Vec<Ground> {
    let removed = |name: &str| BTreeMap::from([(path(name), Some(Digest::of(b"x")))]);
    let remains = Remains { known: true, ..Remains::default() };
    let one = |name: &str| match name {
        "gone" => Ground {
            usage: usage(Heat::Gone, 3, 0),
            remains: Remains { removed_code: removed("/usr/bin/gone"), removed_other: 2, ..remains.clone() },
            symbols: BTreeMap::new(),
        },
        "partly" => Ground {
            usage: usage(Heat::Warm, 2, 1),
            remains: Remains { removed_code: removed("/usr/bin/partly"), kept_other: 1, ..remains.clone() },
            symbols: BTreeMap::new(),
        },
        "cold" => Ground {
            usage: usage(Heat::Cold, 2, 2),
            remains: Remains { kept_code: 2, ..remains.clone() },
            symbols: BTreeMap::new(),
        },
        "hot" => {
            let process = Process { exe: "/usr/bin/hot".into(), argv0: "hot".into() };
            let used = UsedFile {
                role: Role::Code,
                path: path("/usr/bin/hot"),
                kinds: [AccessKind::Exec].into(),
                processes: [process].into(),
                coverage: "shop".into(),
                step: "start".into(),
            };
            Ground {
                usage: PackageUse { used: vec![used], ..usage(Heat::Hot, 1, 1) },
                remains: Remains { kept_code: 1, ..remains.clone() },
                symbols: BTreeMap::new(),
            }
        }
        _ => Ground {
            usage: usage(Heat::Warm, 2, 1),
            remains: Remains { removed_code: removed("/usr/bin/warm"), kept_code: 1, ..remains.clone() },
            symbols: BTreeMap::new(),
        },
    };
    packages.packages.iter().map(|package| one(&package.name)).collect()
}

fn coverage() -> Coverage {
    Coverage { names: vec!["shop".into()], runs: 1, steps: 9, last_new: 4, paths: 321, complete: true }
}

fn statements(wishes: Wishes) -> Vec<vex::Statement> {
    let packages = packages();
    vex::claims(&findings(&packages), &grounds(&packages), &coverage(), &[IMAGE.into()], wishes)
}

fn header() -> Header {
    Header {
        author: "Acme <security@acme.example>".into(),
        author_url: "https://acme.example".into(),
        created: "2026-11-22T13:30:00Z".into(),
        tool_version: "1.2.3".into(),
        image: "ghcr.io/acme/shop:1".into(),
        image_purl: IMAGE.into(),
        sbom_uuid: Some("01234567-89ab-8def-8123-456789abcdef".into()),
        references: BTreeMap::from([(
            "pkg:deb/debian/hot@1:1.0-1".to_owned(),
            BTreeSet::from(["pkg:deb/debian/hot@1:1.0-1?arch=amd64&distro=debian-12".to_owned()]),
        )]),
    }
}

fn written(wishes: Wishes, format: Format) -> Value {
    serde_json::from_slice(&vex::write(&header(), &statements(wishes), format)).unwrap()
}

fn conforms(schema: &jsonschema::Validator, document: &Value) {
    let errors: Vec<_> =
        schema.iter_errors(document).take(5).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn only_what_was_removed_is_not_affected_by_default() {
    let said: Vec<_> = statements(Wishes::default())
        .into_iter()
        .map(|one| (one.status.name(), one.justification.map(vex::Justification::name)))
        .collect();
    assert_eq!(
        said,
        [
            ("not_affected", Some("component_not_present")),
            ("not_affected", Some("vulnerable_code_not_present")),
            ("under_investigation", None),
            ("affected", None),
            ("under_investigation", None),
        ]
    );
}

#[test]
fn code_that_never_ran_is_claimed_only_when_asked_and_with_what_the_runs_covered() {
    let wishes = Wishes { claim_not_executed: true, ..Wishes::default() };
    let all = statements(wishes);
    assert_eq!(all[2].status, Status::NotAffected);
    assert_eq!(all[2].justification.unwrap().name(), "vulnerable_code_not_in_execute_path");
    let stated =
        "Coverage shop: 1 run, 9 steps, 321 paths used, nothing new after step 4, recorded without loss.";
    assert!(all[2].impact.contains(stated), "{}", all[2].impact);
    // Data of it was read: it is not unused.
    assert_eq!(all[4].status, Status::UnderInvestigation);
    let packages = packages();
    let gaps = Coverage { complete: false, ..coverage() };
    let with_gaps = vex::claims(&findings(&packages), &grounds(&packages), &gaps, &[IMAGE.into()], wishes);
    assert_eq!(with_gaps[2].status, Status::UnderInvestigation);
}

#[test]
fn what_is_not_in_the_program_is_not_affected_unless_another_program_has_it() {
    let mut packages = packages();
    let mut findings = findings(&packages);
    let mut grounds = grounds(&packages);
    let hot = packages.packages.iter().position(|package| package.name == "hot").unwrap();
    let place = findings.iter().position(|finding| finding.package.0 == hot).unwrap();
    let absent = SymbolPresence::NotInBinary {
        file: path("/usr/bin/hot"),
        table: "pclntab of Go 1.20".into(),
        looked_for: vec!["a/b.F".into()],
    };
    grounds[hot].symbols = [(findings[place].vulnerability.clone(), absent)].into();
    let said = |findings: &[Finding], grounds: &[Ground]| {
        let all = vex::claims(findings, grounds, &coverage(), &[IMAGE.into()], Wishes::default());
        let hot = all.into_iter().filter(|one| one.vulnerability == findings[place].vulnerability);
        hot.map(|one| (one.status, one.impact)).collect::<Vec<_>>()
    };
    let one = said(&findings, &grounds);
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].0, Status::NotAffected);
    assert!(one[0].1.contains("/usr/bin/hot") && one[0].1.contains("a/b.F"), "{}", one[0].1);

    // The same package in a second program, of which nothing is known.
    packages.packages.push(packages.packages[hot].clone());
    grounds.push(Ground { symbols: BTreeMap::new(), ..grounds[hot].clone() });
    let mut second = findings[place].clone();
    second.package.0 = grounds.len() - 1;
    findings.push(second);
    let both = said(&findings, &grounds);
    assert_eq!(both.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [Status::Affected]);
}

#[test]
fn without_a_ledger_nothing_is_claimed_to_be_gone() {
    let packages = packages();
    let mut grounds = grounds(&packages);
    grounds.iter_mut().for_each(|ground| ground.remains = Remains::default());
    let all = vex::claims(&findings(&packages), &grounds, &coverage(), &[IMAGE.into()], Wishes::default());
    assert!(all.iter().all(|one| one.status != Status::NotAffected), "{all:#?}");
}

#[test]
fn statements_name_their_evidence_and_what_to_do() {
    let all = statements(Wishes::default());
    let digest = Digest::of(b"x").to_string();
    assert!(all[0].impact.contains(&format!("/usr/bin/gone ({digest})")), "{}", all[0].impact);
    assert!(all[0].impact.contains("and 2 more"), "{}", all[0].impact);
    let hot = "/usr/bin/hot (exec) by /usr/bin/hot in step start of coverage shop";
    assert!(all[3].impact.contains(hot), "{}", all[3].impact);
    assert_eq!(all[3].action, "Update hot to 1:1.0-2 or later.");
}

#[test]
fn openvex_conforms_to_the_official_schema() {
    let schema: Value = serde_json::from_slice(&data("openvex-0.2.0.schema.json.zst")).unwrap();
    let schema = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    for wishes in [Wishes::default(), Wishes { claim_not_executed: true, bare_packages: true }] {
        let mut document = written(wishes, Format::OpenVex);
        conforms(&schema, &document);
        document["statements"][3].as_object_mut().unwrap().remove("action_statement");
        assert!(!schema.is_valid(&document));
    }
}

#[test]
fn cyclonedx_conforms_to_the_official_schema() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../sbom/tests/data/cyclonedx");
    let read = |name: &str| -> Value {
        let bytes = fs::read(dir.join(format!("{name}.schema.json.zst"))).unwrap();
        serde_json::from_slice(&zstd::decode_all(&bytes[..]).unwrap()).unwrap()
    };
    let mut registry = Registry::new();
    for name in ["jsf-0.82", "spdx"] {
        registry =
            registry.add(format!("http://cyclonedx.org/schema/{name}.schema.json"), read(name)).unwrap();
    }
    let registry = registry.prepare().unwrap();
    let schema = jsonschema::options().with_registry(&registry).build(&read("bom-1.6")).unwrap();
    let mut document = written(Wishes::default(), Format::CycloneDx);
    conforms(&schema, &document);
    let hot = &document["vulnerabilities"][3]["affects"];
    let link = "urn:cdx:01234567-89ab-8def-8123-456789abcdef/1#pkg:deb/debian/hot@1:1.0-1?arch=amd64&distro=debian-12";
    assert!(hot.as_array().unwrap().contains(&json!({"ref": link})), "{hot}");
    document["vulnerabilities"][0]["analysis"]["state"] = json!("fine");
    assert!(!schema.is_valid(&document));
}

#[test]
fn a_version_with_an_epoch_is_named_as_each_scanner_writes_it() {
    let all = statements(Wishes { bare_packages: true, ..Wishes::default() });
    let names = ["pkg:deb/debian/hot@1:1.0-1", "pkg:deb/debian/hot@1.0-1?epoch=1"];
    assert_eq!(all[3].products[0].subcomponents, names);
    assert_eq!(all[3].products[1].names, names[..1]);
    assert_eq!(all[3].products[2].names, names[1..]);
}

#[test]
fn a_package_by_itself_is_a_part_of_itself_so_that_nothing_it_depends_on_is_settled_with_it() {
    // Trivy takes a product without parts for all that lies beneath it in the tree of dependencies.
    let all = statements(Wishes { bare_packages: true, ..Wishes::default() });
    let by_itself =
        all.iter().flat_map(|one| &one.products).filter(|product| product.names[0].contains("/debian/"));
    let parts: Vec<_> = by_itself.map(|product| (&product.names, &product.subcomponents)).collect();
    assert!(parts.len() >= 5 && parts.iter().all(|(names, parts)| names == parts), "{parts:?}");
    // In CSAF a relation of a package to itself would say nothing.
    let csaf: Value = serde_json::from_slice(&vex::write(&header(), &all, Format::Csaf)).unwrap();
    for relation in csaf["product_tree"]["relationships"].as_array().unwrap() {
        assert_ne!(relation["product_reference"], relation["relates_to_product_reference"], "{relation}");
    }
}

#[test]
fn cyclonedx_has_one_entry_for_each_status_of_a_vulnerability() {
    let mut all = statements(Wishes::default());
    all.iter_mut().for_each(|one| one.vulnerability = "CVE-2024-1".into());
    let document: Value = serde_json::from_slice(&vex::write(&header(), &all, Format::CycloneDx)).unwrap();
    let entries = document["vulnerabilities"].as_array().unwrap();
    let states: Vec<_> = entries.iter().map(|entry| entry["analysis"]["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["in_triage", "exploitable", "not_affected"]);
    assert_eq!(entries[2]["affects"].as_array().unwrap().len(), 2);
}

#[test]
fn csaf_passes_the_mandatory_tests_of_the_standard() {
    for wishes in [Wishes::default(), Wishes { claim_not_executed: true, bare_packages: true }] {
        let document = written(wishes, Format::Csaf);
        assert_eq!(csaf::violations(&document), Vec::<String>::new());
    }
}

/// The checks themselves: each break of a document is seen, by the number of the test that it fails.
#[test]
fn csaf_that_breaks_a_mandatory_test_is_seen() {
    type Break = fn(&mut Value);
    let breaks: [(&str, Break); 10] = [
        ("6.1.1 nobody", |one| one["vulnerabilities"][0]["product_status"] = json!({"fixed": ["nobody"]})),
        ("6.1.2 ", |one| {
            let first = one["product_tree"]["full_product_names"][0].clone();
            one["product_tree"]["full_product_names"].as_array_mut().unwrap().push(first);
        }),
        ("6.1.6 ", |one| {
            let ids = one["vulnerabilities"][0]["product_status"]["known_not_affected"].clone();
            one["vulnerabilities"][0]["product_status"]["fixed"] = ids;
        }),
        ("6.1.13 ", |one| {
            one["product_tree"]["full_product_names"][0]["product_identification_helper"]["purl"] =
                json!("x");
        }),
        ("6.1.16 ", |one| one["document"]["tracking"]["version"] = json!("2")),
        ("6.1.23 ", |one| {
            let first = one["vulnerabilities"][0].clone();
            one["vulnerabilities"].as_array_mut().unwrap().push(first);
        }),
        ("6.1.27.9 ", |one| {
            one["vulnerabilities"][0].as_object_mut().unwrap().remove("threats");
            one["vulnerabilities"][0].as_object_mut().unwrap().remove("flags");
        }),
        ("6.1.27.10 ", |one| drop(one["vulnerabilities"][3].as_object_mut().unwrap().remove("remediations"))),
        ("6.1.33 ", |one| {
            let flag = one["vulnerabilities"][0]["flags"][0].clone();
            one["vulnerabilities"][0]["flags"].as_array_mut().unwrap().push(flag);
        }),
        ("3.2 document has x", |one| one["document"]["x"] = json!(1)),
    ];
    for (expected, change) in breaks {
        let mut document = written(Wishes::default(), Format::Csaf);
        change(&mut document);
        let found = csaf::violations(&document);
        assert!(found.iter().any(|one| one.starts_with(expected)), "{expected}: {found:?}");
    }
}

/// One package version that lies in two places, as those of npm do: the worst that is known of one holds for both.
#[test]
fn what_is_said_of_one_package_never_contradicts_itself() {
    let mut packages = packages();
    packages.packages.iter_mut().for_each(|package| package.purl = "pkg:npm/c@1.0".into());
    let mut findings = findings(&packages);
    findings.iter_mut().for_each(|finding| {
        finding.vulnerability = "CVE-2024-1".into();
        finding.purl = "pkg:npm/c@1.0".into();
    });
    let grounds = grounds(&packages);
    let claimed = |names: &[&str]| {
        let some: Vec<_> =
            findings.iter().filter(|finding| names.contains(&&*finding.name)).cloned().collect();
        let all = vex::claims(&some, &grounds, &coverage(), &[IMAGE.into()], Wishes::default());
        assert_eq!(all.len(), 1, "{all:#?}");
        let document = serde_json::from_slice(&vex::write(&header(), &all, Format::Csaf)).unwrap();
        assert_eq!(csaf::violations(&document), Vec::<String>::new());
        all.into_iter().next().unwrap()
    };
    assert_eq!(claimed(&["gone", "cold", "hot"]).status, Status::Affected);
    assert_eq!(claimed(&["gone", "cold"]).status, Status::UnderInvestigation);
    let both = claimed(&["gone", "partly"]);
    assert_eq!(both.justification, Some(vex::Justification::VulnerableCodeNotPresent));
    // Alike, and on two grounds.
    let both = claimed(&["cold", "warm"]);
    assert!(both.impact.contains("cold 1:1.0-1") && both.impact.contains("warm 1:1.0-1"), "{}", both.impact);
}

/// What scanners look for: the whole repository, the digest alone, and an index only with the architecture.
#[test]
fn openvex_names_images_by_digest_too_and_an_index_of_several_by_architecture() {
    let packages = packages();
    let index = IMAGE.replace("5e4f", "5e40");
    let alone = IMAGE.replace("arch=amd64&", "");
    let names = [alone, index];
    let statements =
        vex::claims(&findings(&packages), &grounds(&packages), &coverage(), &names, Wishes::default());
    let document: Value =
        serde_json::from_slice(&vex::write(&header(), &statements, Format::OpenVex)).unwrap();
    let products = document["statements"][0]["products"].as_array().unwrap();
    assert_eq!(products[0]["hashes"]["sha-256"], DIGEST.trim_start_matches("sha256:"));
    assert_eq!(products[1]["hashes"], Value::Null, "{products:#?}");
    assert_eq!(products.len(), 2);
}

#[test]
fn what_we_write_we_read_and_it_settles_exactly_what_it_names() {
    let packages = packages();
    let findings = findings(&packages);
    let subject =
        Subject { names: vec!["ghcr.io/acme/shop:1".into()], digests: vec![DIGEST.parse().unwrap()] };
    let other = Subject { names: vec!["ghcr.io/acme/other:1".into()], digests: vec![Digest::of(b"other")] };
    for format in [Format::OpenVex, Format::Csaf, Format::CycloneDx] {
        let bytes = vex::write(&header(), &statements(Wishes::default()), format);
        assert_eq!(bytes, vex::write(&header(), &statements(Wishes::default()), format));
        let document = vex::read(&bytes).unwrap();
        assert_eq!(document.skipped, 0, "{format:?}");
        let said = vex::apply(&findings, &packages, std::slice::from_ref(&document), &subject);
        let said: Vec<_> = said.iter().map(|one| one.as_ref().unwrap().status.name()).collect();
        // In the order of the packages: cold, gone, hot, partly, warm.
        let expected =
            ["under_investigation", "not_affected", "affected", "not_affected", "under_investigation"];
        assert_eq!(said, expected, "{format:?}");
        let elsewhere = vex::apply(&findings, &packages, &[document], &other);
        assert!(elsewhere.iter().all(Option::is_none), "{format:?}");
    }
    let bare = Wishes { bare_packages: true, ..Wishes::default() };
    let document = vex::read(&vex::write(&header(), &statements(bare), Format::OpenVex)).unwrap();
    let elsewhere = vex::apply(&findings, &packages, &[document], &other);
    assert!(elsewhere.iter().all(Option::is_some));
}

#[test]
fn documents_of_others_are_read() {
    for (name, statements, first, status) in [
        ("v0.0.1.json", 1, "CVE-2023-12345", Status::Fixed),
        ("v0.0.1-noversion.json", 1, "CVE-2023-12345", Status::Fixed),
        ("v0.2.0.json", 5, "CVE-2023-1255", Status::Fixed),
        ("v020-1.vex.json", 1, "CVE-9876-54321", Status::UnderInvestigation),
        ("vexhub.json", 1, "CVE-2025-54388", Status::NotAffected),
        ("csaf-1.json", 1, "CVE-2009-4487", Status::NotAffected),
    ] {
        let document = vex::read(&data(name)).unwrap();
        let one = &document.statements[0];
        assert_eq!((&*one.vulnerability, one.status), (first, status), "{name}");
        assert_eq!(document.statements.len(), statements, "{name}");
        assert!(!one.products.is_empty(), "{name}");
    }
    let node = vex::read(&data("nodejs.openvex.json.zst")).unwrap();
    assert_eq!(node.skipped, 0);
    assert!(node.statements.len() > 100, "{}", node.statements.len());
    // It lists a product that its tree does not have.
    let csaf = vex::read(&data("csaf-2.json")).unwrap();
    assert!(csaf.skipped > 0);
    assert!(csaf.statements.iter().any(|one| one.impact.contains("was removed before shipping")));
}

#[test]
fn products_match_as_other_scanners_match_them() {
    let packages = packages();
    let findings = findings(&packages);
    let subject =
        Subject { names: vec!["ghcr.io/acme/shop:1".into()], digests: vec![DIGEST.parse().unwrap()] };
    let settled = |product: Value| {
        let document = json!({
            "@context": "https://openvex.dev/ns/v0.2.0", "@id": "x", "author": "a", "timestamp": "2026-01-01T00:00:00Z",
            "statements": [{"vulnerability": {"name": "CVE-2024-0003"}, "products": [product], "status": "fixed"}],
        });
        let document = vex::read(document.to_string().as_bytes()).unwrap();
        vex::apply(&findings, &packages, &[document], &subject)[2].is_some()
    };
    let digest = DIGEST.replace(':', "%3A");
    for (product, expected) in [
        (json!({"@id": "pkg:deb/debian/hot"}), true),
        (json!("pkg:deb/debian/hot@1:1.0-1"), true),
        (json!({"@id": "pkg:deb/debian/hot@1%3A1.0-1?arch=amd64"}), true),
        (json!({"@id": "pkg:deb/debian/hot@1:1.0-1?distro=debian-12.5"}), true),
        // As Trivy writes an epoch.
        (json!({"@id": "pkg:deb/debian/hot@1.0-1?epoch=1"}), true),
        (json!({"@id": "pkg:deb/debian/hot@1.0-1?epoch=2"}), false),
        (json!({"@id": "pkg:deb/debian/hot@1:1.0-1?arch=arm64"}), false),
        (json!({"@id": "pkg:deb/debian/hot@2"}), false),
        (json!({"@id": "pkg:deb/ubuntu/hot"}), false),
        (json!({"@id": format!("pkg:oci/shop@{digest}")}), true),
        (json!({"@id": "pkg:oci/shop?repository_url=ghcr.io/acme/shop"}), true),
        (json!({"@id": "pkg:oci/shop?repository_url=ghcr.io/acme"}), true),
        (json!({"@id": "pkg:oci/shop?repository_url=ghcr.io/other/shop"}), false),
        (json!({"@id": "pkg:oci/shop?tag=2"}), false),
        (json!({"@id": format!("ghcr.io/acme/shop@{DIGEST}")}), true),
        (json!({"@id": "ghcr.io/acme/shop"}), true),
        (
            json!({"@id": "x", "identifiers": {"purl": "pkg:oci/shop"}, "subcomponents": [{"@id": "pkg:deb/debian/hot"}]}),
            true,
        ),
        (json!({"@id": "pkg:oci/shop", "subcomponents": [{"@id": "pkg:deb/debian/cold"}]}), false),
        (json!({"@id": "pkg:oci/other", "subcomponents": [{"@id": "pkg:deb/debian/hot"}]}), false),
        // Both came with one file.
        (json!({"@id": "pkg:deb/debian/cold", "subcomponents": [{"@id": "pkg:deb/debian/hot"}]}), true),
    ] {
        assert_eq!(settled(product.clone()), expected, "{product}");
    }
}

#[test]
fn the_latest_statement_holds_under_any_name_of_the_vulnerability() {
    let packages = packages();
    let findings = findings(&packages);
    let document = |name: &str, time: &str, status: &str| {
        let document = json!({
            "@context": "https://openvex.dev/ns/v0.2.0", "@id": name, "author": "a", "timestamp": time,
            "statements": [{"vulnerability": {"name": name}, "products": [{"@id": "pkg:deb/debian/hot"}], "status": status}],
        });
        vex::read(document.to_string().as_bytes()).unwrap()
    };
    let newer = document("GHSA-0003", "2026-02-01T00:00:00Z", "fixed");
    let older = document("CVE-2024-0003", "2026-01-01T00:00:00Z", "affected");
    let subject = Subject::default();
    for documents in [[newer.clone(), older.clone()], [older, newer]] {
        let said = vex::apply(&findings, &packages, &documents, &subject);
        assert_eq!(said[2].as_ref().unwrap().status, Status::Fixed);
        assert_eq!(said[0], None);
    }
}

#[test]
fn what_is_no_such_document_is_refused_and_what_is_not_understood_settles_nothing() {
    for text in ["", "[]", "{}", "null", "{\"@context\": 3}", "\u{0}", &"[".repeat(10_000)] {
        assert!(vex::read(text.as_bytes()).is_err(), "{:?}", text.get(..20));
    }
    let odd = json!({"@context": "https://openvex.dev/ns", "statements": [
        3, {}, {"vulnerability": "CVE-1", "status": "fine"}, {"status": "fixed"}, {"vulnerability": [], "status": "fixed"},
    ]});
    let document = vex::read(odd.to_string().as_bytes()).unwrap();
    assert_eq!((document.statements.len(), document.skipped), (0, 5));
    let csaf = json!({"document": {"csaf_version": "2.0"}, "product_tree": {"branches": [{"branches": 1}]},
        "vulnerabilities": [{"cve": "CVE-1", "product_status": {"fixed": ["nothing"]}}, {}]});
    assert_eq!(vex::read(csaf.to_string().as_bytes()).unwrap().statements, []);
}
