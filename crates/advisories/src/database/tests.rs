use super::*;
use crate::{Advisory, Affected, Range, Severity};
use proptest::prelude::*;

fn affected(ecosystem: &str, package: &str, fixed: &str) -> Affected {
    Affected {
        ecosystem: ecosystem.into(),
        package: package.into(),
        ranges: vec![Range { fixed: Some(fixed.into()), ..Range::default() }],
        ..Affected::default()
    }
}

fn sample() -> DatabaseBuilder {
    let mut builder = DatabaseBuilder::new();
    builder
        .advisory(Advisory {
            id: "GHSA-aaaa-bbbb-cccc".into(),
            source: "osv/PyPI".into(),
            aliases: ["CVE-2024-1".to_owned()].into(),
            summary: "template escape".into(),
            severities: vec![Severity::Word("high".into())],
            affected: vec![affected("PyPI", "jinja2", "3.1.3")],
            ..Advisory::default()
        })
        .advisory(Advisory {
            id: "DSA-1-1".into(),
            source: "debian/dsa".into(),
            fixes: ["CVE-2024-1".to_owned(), "CVE-2024-2".to_owned()].into(),
            affected: vec![affected("Debian:12", "jinja2", "3.1.2-1+deb12u1")],
            ..Advisory::default()
        })
        .advisory(Advisory {
            id: "CVE-2024-3".into(),
            source: "osv/PyPI".into(),
            withdrawn: Some("2024-02-01T00:00:00Z".into()),
            affected: vec![affected("PyPI", "jinja2", "9")],
            ..Advisory::default()
        })
        .epss("CVE-2024-1", Epss { score: 0.25, percentile: 0.9 })
        .epss("CVE-1999-1", Epss { score: 0.5, percentile: 0.95 })
        .exploited(Kev { cve: "CVE-2024-2".into(), added: "2024-03-01".into(), ..Kev::default() })
        .source(Source { name: "osv/PyPI".into(), records: 2, ..Source::default() })
        .built("2026-01-01T00:00:00Z");
    builder
}

fn open(builder: DatabaseBuilder) -> Database {
    Database::from_bytes(builder.finish().unwrap()).unwrap()
}

#[test]
fn an_advisory_that_fixes_two_makes_a_row_for_each() {
    let database = open(sample());
    let rows = database.affected("Debian:12", "jinja2").unwrap();
    let names: Vec<_> = rows.iter().map(|row| (row.vulnerability.as_str(), row.advisory.as_str())).collect();
    assert_eq!(names, [("CVE-2024-1", "DSA-1-1"), ("CVE-2024-2", "DSA-1-1")]);
    assert_eq!(database.resolve("DSA-1-1").unwrap(), ["CVE-2024-1", "CVE-2024-2"]);
    assert_eq!(database.vulnerability("DSA-1-1").unwrap(), None);
}

#[test]
fn a_vulnerability_is_found_by_each_of_its_names_and_tells_what_all_sources_say() {
    let database = open(sample());
    let by_alias = database.vulnerability("GHSA-aaaa-bbbb-cccc").unwrap().unwrap();
    assert_eq!(by_alias, database.vulnerability("CVE-2024-1").unwrap().unwrap());
    assert_eq!(by_alias.id, "CVE-2024-1");
    assert_eq!(by_alias.epss, Some(Epss { score: 0.25, percentile: 0.9 }));
    assert_eq!(by_alias.summary, "template escape");
    let advisories: Vec<_> = by_alias.advisories.iter().map(|name| name.id.as_str()).collect();
    assert_eq!(advisories, ["DSA-1-1", "GHSA-aaaa-bbbb-cccc"]);
    assert!(database.vulnerability("CVE-2024-2").unwrap().unwrap().exploited.is_some());
    assert!(database.vulnerability("CVE-1999-1").unwrap().unwrap().epss.is_some(), "only a score is known");
    assert_eq!(database.vulnerability("CVE-1999-2").unwrap(), None);
}

#[test]
fn a_withdrawn_advisory_hits_nothing_and_can_still_be_looked_up() {
    let database = open(sample());
    let rows = database.affected("PyPI", "jinja2").unwrap();
    assert_eq!(rows.iter().map(|row| row.vulnerability.as_str()).collect::<Vec<_>>(), ["CVE-2024-1"]);
    assert!(database.vulnerability("CVE-2024-3").unwrap().unwrap().withdrawn.is_some());
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(sample().finish().unwrap(), sample().finish().unwrap());
}

#[test]
fn every_flipped_byte_is_found_and_none_panics() {
    let good = sample().finish().unwrap();
    for at in 0..good.len() {
        for bit in [0x01, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= bit;
            let Ok(database) = Database::from_bytes(bad) else { continue };
            assert!(database.check().is_err(), "byte {at} is flipped and nobody saw it");
            let _ = database.affected("PyPI", "jinja2");
            let _ = database.vulnerability("CVE-2024-1");
            let _ = database.packages();
        }
    }
    for length in 0..good.len() {
        assert!(Database::from_bytes(good[..length].to_vec()).is_err(), "cut to {length} bytes");
    }
}

#[test]
fn another_file_another_version_and_no_file_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("advisories.db");
    assert!(matches!(Database::open(&path), Err(DatabaseError::Missing { .. })));
    std::fs::write(&path, b"SQLite format 3\0 and some more bytes").unwrap();
    assert!(matches!(Database::open(&path), Err(DatabaseError::Foreign)));
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(Database::open(&path), Err(DatabaseError::Foreign)));
    assert!(matches!(Database::open(dir.path()), Err(DatabaseError::Foreign)));
    let mut bytes = sample().finish().unwrap();
    bytes[8] = 99;
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(Database::open(&path), Err(DatabaseError::Version { found: 99, .. })));
}

#[test]
fn writing_replaces_the_file_as_a_whole_and_leaves_nothing_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/advisories.db");
    write(&path, &DatabaseBuilder::new().finish().unwrap()).unwrap();
    let old = Database::open(&path).unwrap();
    write(&path, &sample().finish().unwrap()).unwrap();
    old.check().unwrap();
    assert_eq!(old.counts().packages, 0, "who had the old one open still reads it");
    assert_eq!(Database::open(&path).unwrap().counts().packages, 2);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(rows in proptest::collection::btree_map(
        ("[a-z:0-9]{1,8}", "\\PC{0,12}"), ("CVE-20[0-9]{2}-[0-9]{4}", "\\PC{1,10}"), 0..200)) {
        let mut builder = DatabaseBuilder::new();
        for ((ecosystem, package), (cve, fixed)) in &rows {
            builder.advisory(Advisory {
                id: cve.clone(),
                source: "test".into(),
                affected: vec![affected(ecosystem, package, fixed)],
                ..Advisory::default()
            });
        }
        let database = open(builder);
        database.check().unwrap();
        prop_assert_eq!(database.packages().unwrap(), rows.keys().cloned().collect::<Vec<_>>());
        for ((ecosystem, package), (cve, fixed)) in &rows {
            let found = database.affected(ecosystem, package).unwrap();
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(&found[0].vulnerability, cve);
            prop_assert_eq!(&found[0].affected, &affected(ecosystem, package, fixed));
        }
    }
}
