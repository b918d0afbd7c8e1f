//! `careen report`: the page again from its documents, with the findings.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{can_run, careen, careen_json, database, hardened, image, skip, workdir};

/// What a browser makes of a page: its document after all scripts ran.
fn rendered(page: &Path) -> Option<String> {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--dump-dom",
        ])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", page.canonicalize().unwrap().display()))
        .output();
    match output {
        Ok(output) if output.status.success() => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        _ => {
            skip("chromium is not installed: apt-get install chromium");
            None
        }
    }
}

#[test]
fn the_page_has_the_findings_by_itself_once_there_is_a_database() {
    let (true, Some(layout), Some(dir)) = (can_run(), image("redis"), hardened("redis")) else { return };
    let work = workdir();
    let advisories = testkit::Advisories::new().debian("CVE-2026-7001", "perl", None, "high").debian(
        "CVE-2026-7002",
        "redis",
        Some("9:1-1"),
        "high",
    );
    let file = database(work.path(), &advisories);
    let source = format!("oci:{}", layout.display());
    let profile = dir.join("redis.careen/original.profile").display().to_string();
    let target = work.path().join("redis");
    let output = format!("oci:{}", target.display());
    careen_json(&["harden", &source, "--profile", &profile, "--no-verify", "-o", &output]);

    // Hardened without a database: the page has no findings, and gets them with one.
    let page = |more: &[&str]| -> String {
        let page = work.path().join("page.html");
        let made = careen_json(&[&["report", &output, "-o", page.to_str().unwrap()], more].concat());
        assert_eq!(made["size_bytes"], fs::metadata(&page).unwrap().len());
        fs::read_to_string(page).unwrap()
    };
    let none = work.path().join("none.db").display().to_string();
    assert!(!page(&[]).contains("CVE-2026-7001"));
    let found = page(&["--db", &file]);
    assert!(found.contains("CVE-2026-7001") && found.contains("CVE-2026-7002"));
    assert!(!careen(&["report", &output, "--db", &none, "-o", "-"]).status.success(), "one that was named");

    // Hardened with one: its scan lies beside the result, and the page needs no database any more.
    careen_json(&[
        "harden",
        &source,
        "--profile",
        &profile,
        "--no-verify",
        "-o",
        &output,
        "--db",
        &file,
        "--force",
    ]);
    assert!(page(&[]).contains("CVE-2026-7001"));
    fs::remove_dir_all(work.path().join("redis.careen")).unwrap();
    let from_store = page(&[]);
    assert!(from_store.contains("CVE-2026-7001"), "its documents are remembered by its digest");

    let Some(dom) = rendered(&work.path().join("page.html")) else { return };
    for part in ["perl-base", "redis-tools", "CVE-2026-7002", "gone"] {
        assert!(dom.contains(part), "{part}");
    }
    assert!(dom.contains("class=\"tile"), "the map was drawn");
}

#[test]
fn the_scan_of_another_image_has_no_place_on_the_page() {
    let (true, Some(dir), Some(nginx)) = (can_run(), hardened("redis"), image("nginx")) else { return };
    let work = workdir();
    let file =
        database(work.path(), &testkit::Advisories::new().debian("CVE-2026-7003", "perl", None, "low"));
    let scan = careen(&["scan", &format!("oci:{}", nginx.display()), "--db", &file, "--format", "json"]);
    let scan: Value = serde_json::from_slice(&scan.stdout).unwrap();
    let other = work.path().join("scan.json");
    fs::write(&other, scan.to_string()).unwrap();
    let result = dir.join("redis.careen/result.json").display().to_string();
    let output = careen(&["report", &result, "--scan", other.to_str().unwrap(), "-o", "-"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(5), "{text}");
    assert!(text.contains("is the scan of another image") && text.contains("hint:"), "{text}");
}

#[test]
fn the_page_on_standard_output_is_that_in_the_file() {
    let (true, Some(dir)) = (can_run(), hardened("redis")) else { return };
    let result = dir.join("redis.careen/result.json").display().to_string();
    let output = careen(&["report", &result, "-o", "-"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("<!DOCTYPE html>") || text.starts_with("<!doctype html>"));
    for outside in ["src=\"http", "href=\"http://", "@import", "url(http"] {
        assert!(!text.contains(outside), "the page needs nothing else: {outside}");
    }
}
