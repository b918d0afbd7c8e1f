//! Scanning: a made-up image with a made-up database, and real ones where they are at hand.

use std::fs;
use std::path::Path;
use std::process::Command;

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
    let copied = Command::new("cp").arg("-r").arg(layout.dir()).arg(&target).status();
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
fn a_directory_is_scanned_as_the_image_that_it_was_unpacked_from() {
    let dir = tempfile::tempdir().unwrap();
    let (image, database) = (image(dir.path()), database(dir.path()));
    let root = dir.path().join("root");
    for (path, content) in [
        ("etc/os-release", "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian 12\"\n"),
        ("var/lib/dpkg/info/tool.list", "/usr/bin/tool\n"),
        ("var/lib/dpkg/info/other.list", "/usr/bin/other\n"),
        ("usr/bin/tool", "x"),
        ("usr/bin/other", "x"),
        (
            "var/lib/dpkg/status",
            "Package: tool\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0-1\n\n\
             Package: other\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0-1\n",
        ),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let of_image = careen_json(&["scan", &image, "--db", &database]);
    let of_directory = careen_json(&["scan", &format!("dir:{}", root.display()), "--db", &database]);
    assert_eq!(of_image["counts"]["total"], 2);
    assert_eq!(of_directory["counts"], of_image["counts"], "{of_directory:#}");
    assert_eq!(of_directory["findings"], of_image["findings"]);
    assert_eq!(of_directory["subject"]["distribution"], "Debian 12");
    // Another state of the directory is another image: nothing of before is believed.
    fs::write(
        root.join("var/lib/dpkg/status"),
        "Package: tool\nStatus: install ok installed\nVersion: 1.0-1\n",
    )
    .unwrap();
    let changed = careen_json(&["scan", &format!("dir:{}", root.display()), "--db", &database]);
    assert_eq!(changed["counts"]["total"], 1, "{changed:#}");
}

#[test]
fn a_vulnerable_function_that_is_not_in_a_program_is_told_as_not_in_binary() {
    if Command::new("go").arg("version").output().is_err() {
        return crate::support::skip("go is not installed: apt-get install golang-go");
    }
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("shop");
    fs::create_dir_all(source.join("dep")).unwrap();
    for (name, text) in [
        (
            "go.mod",
            "module example.com/shop\n\ngo 1.18\n\nrequire example.com/dep v1.0.0\n\n\
             replace example.com/dep => ./dep\n",
        ),
        ("main.go", "package main\n\nimport \"example.com/dep\"\n\nfunc main() { println(dep.Used(3)) }\n"),
        ("dep/go.mod", "module example.com/dep\n\ngo 1.18\n"),
        (
            "dep/dep.go",
            "package dep\n\n//go:noinline\nfunc Used(n int) int { return n * 7 }\n\n\
             //go:noinline\nfunc Unused(n int) int { return n * 9 }\n",
        ),
    ] {
        fs::write(source.join(name), text).unwrap();
    }
    let built = Command::new("go")
        .args(["build", "-buildvcs=false", "-ldflags=-s -w", "-o", "program", "."])
        .current_dir(&source)
        .env("GOCACHE", dir.path().join("cache"))
        .env("GOFLAGS", "-mod=mod")
        .env("CGO_ENABLED", "0")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let program =
        testkit::TarEntry::file("app/program", fs::read(source.join("program")).unwrap()).mode(0o755);
    let layout = testkit::ImageBuilder::new().layer(testkit::TarBuilder::new().entry(program)).oci_layout();
    let image = layout.dir().display().to_string();
    let module = "example.com/dep";
    let advisories = testkit::Advisories::new()
        .go_functions("GO-2026-0001", module, module, &["Used"])
        .go_functions("GO-2026-0002", module, module, &["Unused"]);
    let database = crate::support::database(dir.path(), &advisories);
    // The second time the answers are those that the first one kept.
    for round in ["looked at", "kept"] {
        let report = careen_json(&["scan", &image, "--db", &database]);
        let told: Vec<_> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|found| (found["vulnerability"].as_str().unwrap(), found["symbols_in_binary"].to_string()))
            .collect();
        let of = |id: &str| &told.iter().find(|(known, _)| *known == id).unwrap().1;
        assert!(
            of("GO-2026-0001").contains("in-binary") && !of("GO-2026-0001").contains("not-in-binary"),
            "{round}: {told:?}"
        );
        assert!(of("GO-2026-0002").contains("not-in-binary"), "{round}: {told:?}");
    }
    let output = careen(&["scan", &image, "--db", &database]);
    let table = String::from_utf8(output.stdout).unwrap();
    let line = table.lines().find(|line| line.contains("GO-2026-0002")).unwrap();
    assert!(table.contains("not in binary"), "{table}");
    assert!(
        !table.lines().any(|other| other.contains("GO-2026-0001") && other.contains("not in binary")),
        "{line}"
    );
    // And a statement may say so.
    let vex = careen(&["vex", &image, "--db", &database]);
    let text = String::from_utf8(vex.stdout).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let of = |id: &str| {
        let all = document["statements"].as_array().unwrap();
        all.iter().find(|one| one["vulnerability"]["name"] == id).unwrap().clone()
    };
    assert_eq!(of("GO-2026-0002")["justification"], "vulnerable_code_not_present");
    assert_eq!(of("GO-2026-0001")["status"], "under_investigation");
}

#[test]
fn a_library_for_browsers_is_found_where_no_package_manager_put_it() {
    let dir = tempfile::tempdir().unwrap();
    let layer = testkit::TarBuilder::new()
        .entry(testkit::TarEntry::file("srv/static/app.js", "/*! jQuery v3.4.1 | (c) somebody */\nvar a;"))
        .entry(testkit::TarEntry::file("srv/static/bootstrap-4.0.0.min.js", "var b;"))
        .entry(testkit::TarEntry::file("srv/node_modules/x/jquery-1.0.0.js", "/*! jQuery v1.0.0 */"));
    let layout = testkit::ImageBuilder::new().layer(layer).oci_layout();
    let from = dir.path().join("from");
    fs::create_dir(&from).unwrap();
    let entry = |below: &str, id: &str| json!({"below": below, "severity": "medium", "identifiers": {"CVE": [id], "summary": "A hole"}, "info": []});
    let repository = json!({
        "jquery": {"npmname": "jquery", "vulnerabilities": [entry("3.5.0", "CVE-2026-1")], "extractors": {}},
        "bootstrap": {"vulnerabilities": [entry("4.1.2", "CVE-2026-2"), entry("3.0.0", "CVE-2026-3")], "extractors": {}},
    });
    fs::write(from.join("jsrepository.json"), repository.to_string()).unwrap();
    let database = dir.path().join("advisories.db").display().to_string();
    let built = careen(&["db", "build", "--from", &from.display().to_string(), "-o", &database]);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let report = careen_json(&["scan", &layout.dir().display().to_string(), "--db", &database]);
    let found: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&found["vulnerability"]), text(&found["purl"]), text(&found["found_in"]["file"]))
        })
        .collect();
    let expected = [
        ("CVE-2026-1", "pkg:npm/jquery@3.4.1", "/srv/static/app.js"),
        ("CVE-2026-2", "pkg:npm/bootstrap@4.0.0", "/srv/static/bootstrap-4.0.0.min.js"),
    ]
    .map(|(id, purl, file)| (id.to_owned(), purl.to_owned(), file.to_owned()));
    assert_eq!(found, expected, "{report:#}");
    assert_eq!(report["packages"][0]["ecosystem"], "javascript");
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
