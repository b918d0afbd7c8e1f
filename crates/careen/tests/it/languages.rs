//! What used code of Python, Perl and Ruby needs later, on real images with a coverage of two or three requests.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{can_run, careen_json, document, image, workdir};

/// Hardens a declared image with its own coverage; gives the ledger's entries.
fn hardened(name: &str) -> Option<BTreeMap<String, Value>> {
    if !can_run() {
        return None;
    }
    let source = image(name)?;
    let dir = workdir();
    let coverage = format!("{}/../../images/{name}/coverage.yaml", env!("CARGO_MANIFEST_DIR"));
    let target = format!("oci:{}", dir.path().join("hardened").display());
    careen_json(&["harden", &format!("oci:{}", source.display()), "--coverage", &coverage, "-o", &target]);
    let artifacts = dir.path().join("hardened.careen");
    let ledger = std::fs::read_dir(&artifacts)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("ledger"))
        .unwrap();
    serde_json::from_value(document(&ledger)["entries"].clone()).unwrap()
}

/// The rule that keeps a path, or `None` for what is removed.
fn rule<'a>(entries: &'a BTreeMap<String, Value>, path: &str) -> Option<&'a str> {
    let entry = entries.get(path).unwrap_or_else(|| panic!("{path} is not in the image"));
    (entry["decision"] == "keep").then(|| entry["rule"].as_str().unwrap())
}

/// Bytes that are kept, of a hundred.
fn share(entries: &BTreeMap<String, Value>) -> u64 {
    let bytes = |kept: bool| {
        let entries = entries.values().filter(|entry| !kept || entry["decision"] == "keep");
        entries.map(|entry| entry["size_bytes"].as_u64().unwrap()).sum::<u64>()
    };
    bytes(true) * 100 / bytes(false)
}

#[test]
fn hard_41_a_thin_coverage_leaves_python_what_its_handlers_import() {
    let Some(entries) = hardened("python-lazy") else { return };
    let stdlib = "/usr/lib/python3.11";
    for kept in [
        "sqlite3/__init__.py",
        "subprocess.py",
        "zoneinfo/_common.py",
        "encodings/cp1252.py",
        "encodings/idna.py",
    ] {
        assert!(rule(&entries, &format!("{stdlib}/{kept}")).is_some(), "{kept}");
    }
    for removed in ["pydoc_data/topics.py", "encodings/cp932.py", "lib2to3/main.py"] {
        assert_eq!(rule(&entries, &format!("{stdlib}/{removed}")), None, "{removed}");
    }
    assert_eq!(rule(&entries, &format!("{stdlib}/__pycache__/subprocess.cpython-311.pyc")), Some("python"));
    let metadata =
        entries.keys().find(|path| path.contains("/requests-") && path.ends_with("/PKG-INFO")).unwrap();
    assert_eq!(rule(&entries, metadata), Some("python"));
    assert_eq!(rule(&entries, "/usr/share/zoneinfo/Europe/Paris"), Some("reference"));
    assert_eq!(rule(&entries, "/usr/share/zoneinfo/right/Asia/Tokyo"), None);
    assert!(share(&entries) <= 30, "{} % remain", share(&entries));
}

#[test]
fn hard_45_a_thin_coverage_leaves_perl_what_its_handlers_load() {
    let Some(entries) = hardened("perl-mojolicious") else { return };
    let of = |ending: &str| {
        let path =
            entries.keys().find(|path| path.ends_with(ending)).unwrap_or_else(|| panic!("no {ending}"));
        rule(&entries, path)
    };
    for kept in
        ["/JSON/PP.pm", "/auto/Encode/Byte/Byte.so", "/unicore/Name.pl", "/Mojolicious/Command/get.pm"]
    {
        assert!(of(kept).is_some(), "{kept}");
    }
    for removed in ["/auto/Encode/JP/JP.so", "/CPAN.pm", "/Pod/Man.pm"] {
        assert_eq!(of(removed), None, "{removed}");
    }
    assert!(share(&entries) <= 30, "{} % remain", share(&entries));
}

#[test]
fn hard_45_a_thin_coverage_leaves_ruby_what_its_handlers_load() {
    let Some(entries) = hardened("ruby-sinatra") else { return };
    let of = |ending: &str| {
        let path =
            entries.keys().find(|path| path.ends_with(ending)).unwrap_or_else(|| panic!("no {ending}"));
        rule(&entries, path)
    };
    for kept in [
        "/3.1.0/psych.rb",
        "/date_core.so",
        "/3.1.0/digest/sha2.rb",
        "/enc/windows_1252.so",
        "/sinatra-3.0.5.gemspec",
    ] {
        assert!(of(kept).is_some(), "{kept}");
    }
    for removed in ["/enc/trans/big5.so", "/3.1.0/irb.rb"] {
        assert_eq!(of(removed), None, "{removed}");
    }
    assert!(share(&entries) <= 35, "{} % remain", share(&entries));
}
