//! `careen db`: built from small documents of our own, looked at, and refused when it is not what was written.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{careen, careen_json, database};

fn advisories() -> testkit::Advisories {
    testkit::Advisories::new()
        .debian("CVE-2026-1001", "openssl", Some("3.0.15-1"), "high")
        .debian("CVE-2026-1002", "tar", None, "unimportant")
        .language("GHSA-aaaa-bbbb-cccc", "PyPI", "flask", Some("2.0"))
        .exploited("CVE-2026-1001")
        .epss("CVE-2026-1001", 0.42, 0.97)
}

fn build(from: &Path, file: &str, more: &[&str]) -> std::process::Output {
    careen(&[&["db", "build", "--from", &from.display().to_string(), "-o", file], more].concat())
}

#[test]
fn what_was_built_says_from_what_and_of_when() {
    let dir = tempfile::tempdir().unwrap();
    let file = database(dir.path(), &advisories());
    let status = careen_json(&["db", "status", "--db", &file, "--check"]);
    assert_eq!((&status["vulnerabilities"], &status["packages"]), (&json!(3), &json!(3)), "{status:#}");
    assert_eq!(
        (&status["scores"], &status["checked"], &status["is_old"]),
        (&json!(1), &json!(true), &json!(false))
    );
    let sources = status["sources"].as_array().unwrap();
    let source = |name: &str| sources.iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(source("ghsa/PyPI")["records"], 1);
    assert_eq!(source("cisa/kev")["newest"], "2026-11-02");
    assert_eq!(source("first/epss")["newest"], "2026-11-02");
    assert_eq!(source("first/epss")["licence"], "free with attribution to FIRST, first.org/epss");

    let shown = careen_json(&["db", "show", "cve-2026-1001", "--db", &file]);
    let one = &shown["vulnerabilities"][0];
    assert_eq!((&one["id"], &one["epss"]["score"]), (&json!("CVE-2026-1001"), &json!(0.42)), "{one:#}");
    assert_eq!(one["exploited"]["added"], "2026-11-02");
    let text = String::from_utf8(careen(&["db", "show", "CVE-2026-1001", "--db", &file]).stdout).unwrap();
    assert!(text.contains("42.00 % within 30 days") && text.contains("known since 2026-11-02"), "{text}");
    let output = careen(&["db", "show", "CVE-1999-1", "--db", &file]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("knows nothing of CVE-1999-1"));
}

#[test]
fn the_same_documents_give_the_same_file() {
    let dir = tempfile::tempdir().unwrap();
    let from = advisories().write(dir.path());
    let built = |name: &str| {
        let file = dir.path().join(name).display().to_string();
        assert!(build(&from, &file, &["--date", "2026-11-22"]).status.success());
        fs::read(file).unwrap()
    };
    assert_eq!(built("one"), built("other"));
}

#[test]
fn an_old_database_warns_wherever_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let from = advisories().write(dir.path());
    let file = dir.path().join("old.db").display().to_string();
    assert!(build(&from, &file, &["--date", "2020-01-01"]).status.success());
    let status = careen(&["db", "status", "--db", &file]);
    assert!(String::from_utf8_lossy(&status.stdout).contains("more than a week old"));
    let image = testkit::image(&["etc/os-release:ID=debian"]);
    let report = careen_json(&["scan", &image.source(), "--db", &file]);
    let warnings = report["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|warning| warning.as_str().unwrap().contains("old")), "{warnings:?}");
}

#[test]
fn what_is_no_database_any_more_is_refused_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = database(dir.path(), &advisories());
    let good = fs::read(&file).unwrap();
    let fails = |args: &[&str]| {
        let output = careen(&[args, &["--db", &file]].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(5), "{args:?}: {text}");
        assert!(text.contains("advisories.db") && text.contains("hint:"), "{args:?}: {text}");
    };
    for broken in [&b"SQLite format 3\0"[..], b"", &good[..good.len() / 2]] {
        fs::write(&file, broken).unwrap();
        fails(&["db", "status"]);
    }
    // One byte within: seen by whoever asks for a check.
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    fs::write(&file, flipped).unwrap();
    fails(&["db", "status", "--check"]);
}

#[test]
fn a_build_that_understands_nothing_leaves_the_old_database() {
    let dir = tempfile::tempdir().unwrap();
    let file = database(dir.path(), &advisories());
    let before = fs::read(&file).unwrap();
    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("letter.txt"), "Dear all,\n").unwrap();
    let output = build(&other, &file, &[]);
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read(&file).unwrap(), before);
    // What is broken is counted, and the rest is there.
    fs::write(other.join("a.json"), json!({"id": "CVE-2026-9", "modified": 3, "affected": 7}).to_string())
        .unwrap();
    let from = testkit::Advisories::new().debian("CVE-2026-8", "tar", None, "low").write(&other);
    let output = build(&from.join(".."), &file, &["--output", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let built: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&built["broken"], &built["vulnerabilities"]), (&json!(1), &json!(1)), "{built:#}");
}
