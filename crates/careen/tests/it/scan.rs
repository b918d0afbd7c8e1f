//! Scanning: a made-up image with a made-up database, and real ones where they are at hand.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{careen, careen_json};

/// An image of two Debian packages, `tool` with files and `meta` with none.
pub(crate) fn image(dir: &Path) -> String {
    let stanza = |name: &str| {
        format!(
            "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0-1\nDescription: x\n\n"
        )
    };
    let status = stanza("tool") + &stanza("other");
    let layer = testkit::TarBuilder::new()
        .entry(testkit::TarEntry::file(
            "etc/os-release",
            "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian 12\"\n",
        ))
        .entry(testkit::TarEntry::file("var/lib/dpkg/status", &*status))
        .entry(testkit::TarEntry::file("var/lib/dpkg/info/tool.list", "/usr/bin/tool\n"))
        .entry(testkit::TarEntry::file("var/lib/dpkg/info/other.list", "/usr/bin/other\n"))
        .entry(testkit::TarEntry::file("usr/bin/tool", "x"))
        .entry(testkit::TarEntry::file("usr/bin/other", "x"));
    let layout = testkit::ImageBuilder::new().layer(layer).oci_layout();
    let target = dir.join("image");
    let copied = std::process::Command::new("cp").arg("-r").arg(layout.dir()).arg(&target).status();
    assert!(copied.unwrap().success());
    target.display().to_string()
}

/// A database of one finding in each package.
pub(crate) fn database(dir: &Path) -> String {
    let advisories = testkit::Advisories::new().debian("CVE-2026-1", "tool", Some("2.0-1"), "high").debian(
        "CVE-2026-2",
        "other",
        Some("2.0-1"),
        "low",
    );
    crate::support::database(dir, &advisories)
}

#[test]
fn a_scan_finds_counts_and_fails_on_what_it_was_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let (image, database) = (image(dir.path()), database(dir.path()));
    let scan = |more: &[&str]| careen(&[&["scan", &image, "--db", &database], more].concat());
    for round in ["opened", "from the cache"] {
        let report = careen_json(&["scan", &image, "--db", &database]);
        assert_eq!(report["counts"]["total"], 2, "{round}: {report:#}");
        assert_eq!(report["findings"][0]["heat"], "not-recorded", "{round}");
        assert_eq!(report["subject"]["distribution"], "Debian 12", "{round}");
    }
    for (gate, code) in [("kev", 0), ("critical", 0), ("any", 11), ("kev,low", 11), ("nonsense", 2)] {
        let output = scan(&["--fail-on", gate]);
        assert_eq!(output.status.code(), Some(code), "{gate}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let list = dir.path().join("accepted.toml");
    fs::write(&list, "version = 1\n[[ignore]]\nvulnerability = 'CVE-2026-1'\nreason = 'never run'\n")
        .unwrap();
    let report = careen_json(&["scan", &image, "--db", &database, "--ignore", &list.display().to_string()]);
    assert_eq!((&report["counts"]["total"], &report["counts"]["settled"]), (&json!(1), &json!(1)));
    // What a VEX document says does not touch the package is settled; what it says touches it is not.
    let statement = |id: &str, status: &str| {
        json!({
            "vulnerability": {"name": id},
            "products": [{"@id": "pkg:deb/debian/tool"}, {"@id": "pkg:deb/debian/other"}],
            "status": status,
            "justification": if status == "not_affected" { json!("component_not_present") } else { Value::Null },
        })
    };
    let document = json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.com/vex", "author": "we",
        "timestamp": "2026-11-22T00:00:00Z", "version": 1,
        "statements": [statement("CVE-2026-1", "not_affected"), statement("CVE-2026-2", "affected")],
    });
    let vex = dir.path().join("vex");
    fs::create_dir(&vex).unwrap();
    fs::write(vex.join("tool.json"), document.to_string()).unwrap();
    for place in [vex.clone(), vex.join("tool.json")] {
        let place = place.display().to_string();
        let report = careen_json(&["scan", &image, "--db", &database, "--vex", &place]);
        assert_eq!(
            (&report["counts"]["total"], &report["counts"]["settled"]),
            (&json!(1), &json!(1)),
            "{report:#}"
        );
        assert_eq!(report["findings"][0]["vulnerability"], "CVE-2026-2");
        assert_eq!(report["findings"][1]["settled"]["by"], "https://example.com/vex");
    }
    for format in ["table", "json", "sarif", "cyclonedx", "junit", "markdown", "gitlab"] {
        let output = scan(&["--format", format]);
        assert!(output.status.success(), "{format}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("CVE-2026-2") && !text.contains('\u{1b}'), "{format}: {text}");
        if ["json", "sarif", "cyclonedx", "gitlab"].contains(&format) {
            serde_json::from_str::<Value>(&text).unwrap();
        }
    }
}

#[test]
fn a_bill_of_materials_gives_the_findings_of_its_image() {
    let dir = tempfile::tempdir().unwrap();
    let (image, database) = (image(dir.path()), database(dir.path()));
    let ids = |report: &Value| -> Vec<String> {
        let findings = report["findings"].as_array().unwrap();
        findings.iter().map(|found| found["vulnerability"].as_str().unwrap().to_owned()).collect()
    };
    let of_image = ids(&careen_json(&["scan", &image, "--db", &database]));
    for format in ["cyclonedx", "spdx"] {
        let file = dir.path().join(format).display().to_string();
        assert!(careen(&["sbom", &image, "--format", format, "-o", &file]).status.success());
        assert_eq!(ids(&careen_json(&["scan", &file, "--db", &database])), of_image, "{format}");
    }
}

#[test]
fn an_image_compared_with_its_original_has_lost_what_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let (original, database) = (image(dir.path()), database(dir.path()));
    // Without a package database, and without one of the programs: what a database does not list is not gone for that.
    let layer = testkit::TarBuilder::new().entry(testkit::TarEntry::file("usr/bin/tool", "x"));
    let layout = testkit::ImageBuilder::new().layer(layer).oci_layout();
    let hardened = layout.dir().display().to_string();
    let report = careen_json(&["scan", &original, "--hardened", &hardened, "--db", &database]);
    assert_eq!(
        (&report["change"]["before"], &report["change"]["after"]),
        (&json!(2), &json!(1)),
        "{report:#}"
    );
    assert_eq!(report["findings"][0]["vulnerability"], "CVE-2026-1");
    assert_eq!(report["findings"][1]["heat"], "gone");
}

#[test]
fn without_a_database_the_user_is_told_how_to_get_one() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let missing = dir.path().join("no.db").display().to_string();
    let output = careen(&["scan", &image, "--db", &missing]);
    assert_eq!(output.status.code(), Some(5));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("hint:") && text.contains("careen db build"), "{text}");
}

#[test]
fn presets_let_go_unused_packages_with_findings_and_nothing_else() {
    if !crate::support::can_run() {
        return;
    }
    let Some(hardened) = crate::support::hardened("redis") else { return };
    let profile = hardened.join("redis.careen/original.profile").display().to_string();
    let redis = crate::support::image("redis").unwrap().display().to_string();
    let dir = crate::support::workdir();
    // One negligible finding in a package that Redis does not use.
    let advisories = testkit::Advisories::new().debian("CVE-2026-3", "tar", None, "low");
    let database = crate::support::database(dir.path(), &advisories);
    for (preset, after) in [("light", 1), ("standard", 0), ("aggressive", 0)] {
        let output = format!("oci:{}", dir.path().join(preset).display());
        let result = careen_json(&[
            "harden",
            &redis,
            "--profile",
            &profile,
            "--preset",
            preset,
            "--db",
            &database,
            "-o",
            &output,
        ]);
        let change = &result["findings"]["change"];
        assert_eq!((&change["before"], &change["after"]), (&json!(1), &json!(after)), "{preset}: {result:#}");
        let explained = |path: &str| {
            let output = careen(&["explain", &output, path]);
            String::from_utf8(output.stdout).unwrap()
        };
        let is_kept = |path: &str| explained(path).contains(" kept: ");
        assert_eq!(is_kept("/usr/bin/tar"), preset == "light", "{preset}: {}", explained("/usr/bin/tar"));
        assert_eq!(
            is_kept("/usr/bin/perl"),
            preset != "aggressive",
            "{preset}: {}",
            explained("/usr/bin/perl")
        );
    }
    // The same by a scan of the result alone: the original is found by its ledger.
    let report =
        careen_json(&["scan", &dir.path().join("standard").display().to_string(), "--db", &database]);
    assert_eq!((&report["change"]["after"], &report["counts"]["gone"]), (&json!(0), &json!(1)), "{report:#}");
}
