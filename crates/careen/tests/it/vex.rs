//! `careen vex` on a real image and on what a hardening made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{can_run, careen, careen_json, database, document, hardened, image, schema, workdir};

#[path = "../../../advisories/tests/vex/csaf.rs"]
mod csaf;

/// A Redis image, hardened so that of one package nothing but data is left, and a database that knows a hole in each of
/// five of its source packages.
struct Case {
    dir: tempfile::TempDir,
    original: String,
    hardened: String,
    profile: String,
    database: String,
}

impl Case {
    fn new() -> Option<Self> {
        if !can_run() {
            return None;
        }
        let original = format!("oci:{}", image("redis")?.display());
        let profile = hardened("redis")?.join("redis.careen/original.profile").display().to_string();
        let dir = workdir();
        let hardened = format!("oci:{}", dir.path().join("redis").display());
        // Of login only what configures it stays, and one program that nobody ran.
        let keep = ["--keep", "/etc/login.defs", "--keep", "/usr/bin/gpgv", "--no-verify"];
        let args = ["harden", &original, "--profile", &profile, "-o", &hardened];
        careen_json(&[&args[..], &keep[..]].concat());
        let advisories = testkit::Advisories::new()
            .debian("CVE-2026-1", "perl", None, "high")
            .debian("CVE-2026-2", "shadow", None, "low")
            .debian("CVE-2026-3", "gnupg2", None, "low")
            .debian("CVE-2026-4", "redis", Some("9:1-1"), "high")
            .debian("CVE-2026-5", "tzdata", None, "low");
        let database = database(dir.path(), &advisories);
        Some(Self { dir, original, hardened, profile, database })
    }

    /// Writes a document about the hardened image.
    fn write(&self, name: &str, more: &[&str]) -> PathBuf {
        let file = self.dir.path().join(name);
        let text = file.display().to_string();
        let args = ["vex", &self.original, "--hardened", &self.hardened, "--db", &self.database];
        let output = careen(&[&args[..], &["-o", &text, "--author", "Shop", "--force"], more].concat());
        assert!(output.status.success(), "{more:?}: {}", String::from_utf8_lossy(&output.stderr));
        file
    }
}

/// Status, justification and evidence of each statement, by vulnerability and name of the package.
fn statements(document: &Value) -> BTreeMap<(String, String), Value> {
    let name = |purl: &str| purl.split('@').next().unwrap().rsplit('/').next().unwrap().to_owned();
    let all = document["statements"].as_array().unwrap().iter();
    all.map(|one| {
        let package = one["products"][0]["subcomponents"][0]["@id"].as_str().unwrap();
        ((one["vulnerability"]["name"].as_str().unwrap().to_owned(), name(package)), one.clone())
    })
    .collect()
}

#[test]
fn a_document_about_a_hardened_image_claims_what_is_gone_and_no_more() {
    let Some(case) = Case::new() else { return };
    let found = document(&case.write("open.json", &[]));
    schema("../advisories/tests/data/vex/openvex-0.2.0.schema.json.zst", &[]).conforms(&found);
    let said = statements(&found);
    let one = |id: &str, package: &str| &said[&(id.to_owned(), package.to_owned())];

    let gone = one("CVE-2026-1", "perl-base");
    assert_eq!(
        (&gone["status"], &gone["justification"]),
        (&json!("not_affected"), &json!("component_not_present"))
    );
    let impact = gone["impact_statement"].as_str().unwrap();
    assert!(impact.contains("/usr/bin/perl (sha256:") && impact.contains(" more."), "{impact}");

    let data = one("CVE-2026-2", "login");
    assert_eq!(data["justification"], "vulnerable_code_not_present", "{data:#}");
    let impact = data["impact_statement"].as_str().unwrap();
    assert!(impact.contains("/usr/bin/login (sha256:") && impact.contains("1 file"), "{impact}");

    let unused = one("CVE-2026-3", "gpgv");
    assert_eq!((&unused["status"], &unused["justification"]), (&json!("under_investigation"), &Value::Null));
    let read = one("CVE-2026-5", "tzdata");
    assert_eq!(read["status"], "under_investigation");
    assert!(read["status_notes"].as_str().unwrap().contains("data of it was read"), "{read:#}");

    let hot = one("CVE-2026-4", "redis-tools");
    assert_eq!(hot["status"], "affected");
    assert_eq!(hot["action_statement"], "Update redis to 9:1-1 or later.");
    let notes = hot["status_notes"].as_str().unwrap();
    assert!(notes.contains("/usr/bin/redis-") && notes.contains("of coverage redis"), "{notes}");

    // Taken upon the author: with what the runs covered.
    let claimed = document(&case.write("claimed.json", &["--claim-not-executed"]));
    let said = statements(&claimed);
    let unused = &said[&("CVE-2026-3".to_owned(), "gpgv".to_owned())];
    assert_eq!(unused["justification"], "vulnerable_code_not_in_execute_path");
    let impact = unused["impact_statement"].as_str().unwrap();
    assert!(
        impact.contains("Coverage redis: 1 run, ") && impact.contains("recorded without loss"),
        "{impact}"
    );
    assert_eq!(said[&("CVE-2026-5".to_owned(), "tzdata".to_owned())]["status"], "under_investigation");
}

#[test]
fn every_form_settles_exactly_what_it_says_is_not_affected() {
    let Some(case) = Case::new() else { return };
    let settled = |report: &Value| -> BTreeSet<(String, String)> {
        let all =
            report["findings"].as_array().unwrap().iter().filter(|found| found.get("settled").is_some());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        all.map(|found| (text(&found["vulnerability"]), text(&found["name"]))).collect()
    };
    let scan = ["scan", &case.original, "--hardened", &case.hardened, "--db", &case.database];
    let before = careen_json(&scan);
    assert!(settled(&before).is_empty());
    let open = document(&case.write("open.json", &[]));
    let said = statements(&open);
    let expected: BTreeSet<_> =
        said.into_iter().filter(|(_, one)| one["status"] == "not_affected").map(|(key, _)| key).collect();
    assert!(expected.len() >= 2, "{expected:?}");
    for format in ["openvex", "csaf", "cyclonedx"] {
        let more = ["--format", format, "--author-url", "https://shop.example"];
        let file = case.write(format, &more);
        let bytes = fs::read(&file).unwrap();
        assert_eq!(bytes, fs::read(case.write("again", &more)).unwrap(), "{format}: the same every time");
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        match format {
            "csaf" => assert_eq!(csaf::violations(&document), Vec::<String>::new()),
            "cyclonedx" => crate::support::cyclonedx().conforms(&document),
            _ => {}
        }
        let file = file.display().to_string();
        let report = careen_json(&[&scan[..], &["--vex", &file]].concat());
        assert_eq!(settled(&report), expected, "{format}");
    }
}

#[test]
fn an_image_is_named_as_scanners_find_it_in_its_registry() {
    let Some(case) = Case::new() else { return };
    let digest = careen_json(&["inspect", &case.hardened])["manifest_digest"].as_str().unwrap().to_owned();
    let names = |file: &Path| -> BTreeSet<String> {
        let products = document(file)["statements"][0]["products"].as_array().unwrap().clone();
        products.iter().map(|one| one["@id"].as_str().unwrap().replace("%2F", "/")).collect()
    };
    let named = case.write("named.json", &["--name", "registry.example/acme/shop:1.4"]);
    let expected = format!("pkg:oci/shop@{digest}?repository_url=registry.example/acme/shop");
    assert_eq!(names(&named), [expected].into());
    let hub = names(&case.write("hub.json", &["--name", "docker.io/redis"]));
    assert!(
        hub.contains(&format!("pkg:oci/redis@{digest}?repository_url=index.docker.io/library/redis")),
        "{hub:?}"
    );
    // Whoever compares digests finds it under any name.
    let product = &document(&named)["statements"][0]["products"][0];
    assert_eq!(product["hashes"]["sha-256"], digest.trim_start_matches("sha256:"));

    let output = careen(&["vex", &case.original, "--db", &case.database, "--name", "two words/x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("hint: name its repository"));
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let Some(case) = Case::new() else { return };
    let failed = |args: &[&str], code: i32, part: &str| {
        let output = careen(&[&["vex"], args, &["--db", &case.database]].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(part) && text.contains("hint:"), "{args:?}: {text}");
    };
    failed(&[&case.original, "--format", "csaf"], 2, "--author-url");
    failed(&[&case.hardened, "--profile", &case.profile], 7, "the profile is of image");
    failed(&[&case.original, "--claim-not-executed"], 7, "nothing can be claimed");
}
