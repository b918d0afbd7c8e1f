//! Each upstream's format on an excerpt of it, which lies in the repository. `all_data.rs` does the same with all data.
#![expect(clippy::unwrap_used, reason = "what cannot be read fails its test")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use careen_advisories::import::{Import, Limits};
use careen_advisories::{Database, FixState};

fn database() -> Database {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/upstream");
    let mut import = Import::new("2026-11-22T00:00:00Z", Limits::default());
    import.path(&dir, &mut |_| true).unwrap();
    let bytes = import.finish().finish().unwrap();
    let database = Database::from_bytes(bytes).unwrap();
    database.check().unwrap();
    database
}

#[test]
fn every_format_is_told_and_its_records_are_read() {
    let mut table = String::new();
    for source in database().sources() {
        let newest = source.newest.as_deref().unwrap_or("-");
        let (name, records, location) = (&source.name, source.records, &source.location);
        table += &format!("{name:18} {records:4} {newest:10} {location}\n");
        for problem in source.problems.iter().chain(&source.unused) {
            table += &format!("    {problem}\n");
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn each_upstream_says_what_its_excerpt_says() {
    let database = database();
    // Ecosystem, package, vulnerability, and the version that fixes it.
    for (ecosystem, package, id, fixed) in [
        ("Alpine:v3.15", "zlib", "CVE-2022-37434", Some("1.2.12-r2")),
        ("Debian:12", "redis", "CVE-2024-46981", Some("5:7.0.15-1~deb12u3")),
        ("Debian:11", "redis", "CVE-2024-46981", Some("5:6.0.16-1+deb11u5")),
        ("Debian:12", "tar", "CVE-2005-2541", None),
        ("CPE", "themeisle:wp_maintenance_mode_&_coming_soon", "CVE-2022-1576", Some("2.4.5")),
        ("CPE", "apache:http_server", "CVE-1999-1412", None),
        ("npm", "jquery", "CVE-2011-4969", Some("1.6.3")),
    ] {
        let rows = database.affected(ecosystem, package).unwrap();
        let row = rows.iter().find(|row| row.vulnerability == id);
        let found = row.map(|row| row.affected.ranges.iter().find_map(|range| range.fixed.as_deref()));
        // What holds on macOS alone is nothing that a container has.
        let expected = (id != "CVE-1999-1412").then_some(fixed);
        assert_eq!(found, expected, "{ecosystem} {package} {id}: {rows:#?}");
    }
    let known = |id: &str| database.vulnerability(id).unwrap().unwrap();
    assert!(known("CVE-2022-0543").exploited.is_some(), "KEV");
    assert!(known("CVE-2023-4911").epss.is_some_and(|epss| epss.score > 0.01), "EPSS");
    assert_eq!(known("CVE-2024-6387").ssvc.unwrap().exploitation, "poc", "vulnrichment");
    assert!(known("CVE-2024-46981").weaknesses.contains("CWE-416"), "CVE records");
    assert!(known("CVE-2022-1576").severities.len() >= 2, "NVD");
    assert_eq!(database.release("Debian:12").unwrap().codename, "bookworm");
}

#[test]
fn what_rustsec_does_not_call_a_vulnerability_has_a_state_of_its_own() {
    let database = database();
    let packages = database.packages().unwrap();
    let crates = packages.iter().filter(|(ecosystem, _)| ecosystem == "crates.io");
    let mut states = BTreeSet::new();
    for (ecosystem, package) in crates {
        for row in database.affected(ecosystem, package).unwrap() {
            states.insert((row.affected.state, row.affected.severity.unwrap_or_default()));
        }
    }
    let notices: Vec<&str> = states
        .iter()
        .filter(|(state, _)| *state == FixState::Informational)
        .map(|(_, word)| word.as_str())
        .collect();
    assert_eq!(notices, ["notice", "unmaintained", "unsound"]);
    assert!(states.iter().any(|(state, _)| *state == FixState::Affected));
}
