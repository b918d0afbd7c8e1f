//! Images in registries: opened like others, walked, remembered. Against Debian's `docker-registry` on this machine.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::scan::{database, image};
use crate::support::{careen_command, schema, skip, workdir};

/// A registry, a database, and a data directory of one test.
struct Place {
    registry: testkit::Registry,
    dir: tempfile::TempDir,
    database: String,
}

impl Place {
    fn new() -> Option<Self> {
        let Some(registry) = testkit::Registry::start(&testkit::Auth::None, None) else {
            skip("docker-registry or skopeo is not installed: apt-get install docker-registry skopeo");
            return None;
        };
        let dir = workdir();
        let database = database(dir.path());
        Some(Self { registry, dir, database })
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = careen_command(args);
        command.env("CAREEN_DATA_DIR", self.dir.path().join("data")).env("CAREEN_DB", &self.database);
        command.env_remove("REGISTRY_AUTH_FILE").env("HOME", self.dir.path());
        command
    }

    fn json(&self, args: &[&str], code: i32) -> Value {
        let output = self.command(&[args, &["--output", "json"]].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn fails(&self, args: &[&str], code: i32) -> String {
        let Output { status, stderr, .. } = self.command(args).output().unwrap();
        let text = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(code), "{args:?}: {text}");
        text
    }

    fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.registry.host)
    }

    /// How many layers lie in the data directory.
    fn large_blobs(&self) -> usize {
        fs::read_dir(self.dir.path().join("data/blobs/sha256")).map_or(0, Iterator::count)
    }
}

#[test]
fn an_image_of_a_registry_is_opened_like_any_other() {
    let Some(place) = Place::new() else { return };
    let local = image(place.dir.path());
    place.registry.push(Path::new(&local), "shop/app:1.4", None);
    let name = place.name("shop/app:1.4");
    let here = place.json(&["scan", &local], 0);
    for typed in [name.clone(), format!("docker://{name}")] {
        let there = place.json(&["scan", &typed], 0);
        assert_eq!(there["subject"]["reference"], name.as_str());
        assert_eq!(there["subject"]["manifest_digest"], here["subject"]["manifest_digest"]);
        assert_eq!(there["counts"], here["counts"]);
    }
    // The scan of the same layers needed none of them.
    let documents = place.large_blobs();
    place.json(&["inspect", &name], 0);
    assert!(place.large_blobs() > documents);
    let validated = place.json(&["validate", &name], 0);
    assert_eq!(validated["manifests"][0], here["subject"]["manifest_digest"]);
    // By digest nobody is asked.
    let digest = here["subject"]["manifest_digest"].as_str().unwrap();
    let pinned = format!("{}@{digest}", place.name("shop/app"));
    place.json(&["inspect", &pinned], 0);
    let Place { registry, dir, database } = place;
    drop(registry);
    let mut command = careen_command(&["inspect", &pinned]);
    let output = command.env("CAREEN_DATA_DIR", dir.path().join("data")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    drop(database);
}

#[test]
fn what_a_registry_does_not_have_is_told_with_a_hint() {
    let Some(place) = Place::new() else { return };
    for (name, words) in [
        (place.name("nothing:1"), "hint: is the name spelled right"),
        ("localhost:1/a".to_owned(), "hint: is the registry running"),
        ("Shop:1".to_owned(), "lower case letters only"),
        ("./shop.tar".to_owned(), "there is no file or directory"),
    ] {
        let text = place.fails(&["inspect", &name], 3);
        assert!(text.contains(words), "{name}: {text}");
    }
}

#[test]
fn a_walk_scans_what_changed_and_goes_past_what_is_broken() {
    let Some(place) = Place::new() else { return };
    let local = image(place.dir.path());
    for name in ["shop/app:1.9", "shop/app:1.10", "shop/app:latest", "base:1"] {
        place.registry.push(Path::new(&local), name, None);
    }
    let other = testkit::image(&["etc/os-release:ID=debian"]);
    place.registry.push(other.dir(), "plain:1", None);
    let state = place.dir.path().join("state").display().to_string();
    let walk = |more: &[&str], code| {
        place.json(
            &[&["registry", "scan", &place.registry.host, "--state", &state, "--jobs", "3"], more].concat(),
            code,
        )
    };
    let statuses = |result: &Value| -> Vec<String> {
        let images = result["images"].as_array().unwrap();
        let line = |row: &Value| {
            let repository = row["repository"].as_str().unwrap().split_once('/').unwrap().1.to_owned();
            format!("{repository}:{} {}", row["tag"].as_str().unwrap(), row["status"].as_str().unwrap())
        };
        images.iter().map(line).collect()
    };
    let first = walk(&[], 0);
    let names = ["base:1", "plain:1", "shop/app:latest", "shop/app:1.9", "shop/app:1.10"];
    assert_eq!(statuses(&first), names.map(|name| format!("{name} scanned")), "{first:#}");
    assert_eq!(first["totals"]["findings"], 8);
    assert_eq!(first["images"][0]["found"]["by_severity"], json!({"high": 1, "low": 1}));
    assert_eq!(place.large_blobs(), 0, "layers are gone when nobody needs them");
    assert_eq!(statuses(&walk(&[], 0)), names.map(|name| format!("{name} unchanged")));
    // Another image under a tag is scanned, and only that.
    place.registry.push(other.dir(), "base:1", None);
    let third = walk(&[], 0);
    assert_eq!(statuses(&third)[..2], ["base:1 scanned", "plain:1 unchanged"]);
    // Other conditions are other questions.
    let output =
        place.fails(&["registry", "scan", &place.registry.host, "--fail-on", "high", "--state", &state], 11);
    assert!(output.contains("3 high"), "{output}");

    let schema = schema("../../docs/formats/registry-scan.schema.json", &[]);
    schema.conforms(&first);
    schema.conforms(&third);
    schema.conforms(&crate::support::document(Path::new(&state)));

    let newest = place.json(&["registry", "scan", &place.name("shop/app"), "--newest", "1"], 0);
    assert_eq!(statuses(&newest), ["shop/app:1.10 scanned"]);
    let pattern = place.json(&["registry", "scan", &place.name("shop/*"), "--tags", "1.*"], 0);
    assert_eq!(statuses(&pattern), ["shop/app:1.9 scanned", "shop/app:1.10 scanned"]);
    // A tag that is not there fails alone.
    let broken = place.json(&["registry", "scan", &place.name("base:1"), &place.name("base:none")], 3);
    assert_eq!(statuses(&broken), ["base:1 scanned", "base:none failed"]);
    schema.conforms(&broken);
    for (format, part) in [("table", "1 high"), ("csv", ",scanned,"), ("markdown", "| `")] {
        let _ = part;
        let output =
            place.command(&["registry", "scan", &place.name("shop/app:1.9"), "--format", format]).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        assert!(text.contains("shop/app") && (format == "table" || text.contains(part)), "{format}: {text}");
    }
    let reports = place.dir.path().join("reports");
    place.json(&["registry", "scan", &place.name("base:1"), "--reports", &reports.display().to_string()], 0);
    assert!(reports.join(&place.registry.host).join("base/1.json").is_file());
}

#[test]
fn a_layer_that_an_earlier_walk_kept_is_not_fetched_again_for_a_new_image() {
    let Some(place) = Place::new() else { return };
    let base = || testkit::TarBuilder::from_text("etc/os-release:ID=debian usr/bin/base:x");
    let push = |tag: &str, top: &str| {
        let layers = testkit::ImageBuilder::new().layer(base()).layer(testkit::TarBuilder::from_text(top));
        place.registry.push(layers.oci_layout().dir(), &format!("shop/app:{tag}"), None);
    };
    push("1", "usr/bin/one:1");
    let walk = |more: &[&str]| {
        place.json(&[&["registry", "scan", &place.name("shop/app"), "--keep-layers"], more].concat(), 0)
    };
    assert_eq!(walk(&[])["totals"]["scanned"], 1);
    let before = place.large_blobs();
    push("2", "usr/bin/two:22");
    assert_eq!(walk(&["--tags", "2"])["totals"]["scanned"], 1);
    // Manifest, config and the one layer that is new.
    assert_eq!(place.large_blobs() - before, 3);
    // What nobody read for a month makes room.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(40 * 24 * 3600);
    let times = fs::FileTimes::new().set_accessed(old).set_modified(old);
    for blob in fs::read_dir(place.dir.path().join("data/blobs/sha256")).unwrap() {
        fs::File::options().write(true).open(blob.unwrap().path()).unwrap().set_times(times).unwrap();
    }
    push("3", "usr/bin/three:333");
    walk(&["--tags", "3"]);
    // The new image's three, the base where times of access are kept, and none of the others' own.
    assert!((3..=4).contains(&place.large_blobs()), "{}", place.large_blobs());
}

#[test]
fn statements_attached_to_an_image_settle_its_findings() {
    let Some(place) = Place::new() else { return };
    let local = image(place.dir.path());
    let predicate = place.dir.path().join("vex.json");
    let document = json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.com/vex", "author": "we",
        "timestamp": "2026-11-22T00:00:00Z", "version": 1,
        "statements": [{
            "vulnerability": {"name": "CVE-2026-1"}, "products": [{"@id": "pkg:deb/debian/tool"}],
            "status": "not_affected", "justification": "component_not_present",
        }],
    });
    fs::write(&predicate, document.to_string()).unwrap();
    let settled = |report: &Value| report["counts"]["settled"].as_u64().unwrap();
    let (key, public) = (place.dir.path().join("key.pem"), place.dir.path().join("key.pub"));
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", key.to_str().unwrap()]);
    openssl(&["pkey", "-in", key.to_str().unwrap(), "-pubout", "-out", public.to_str().unwrap()]);
    let kind = "https://openvex.dev/ns/v0.2.0";
    let attest = |more: &[&str]| {
        let predicate = predicate.display().to_string();
        let args = ["attest", &local, "--predicate", &predicate, "--type", kind, "--attach"];
        place.json(&[&args[..], more].concat(), 0);
    };
    let scan = |more: &[&str]| place.json(&[&["scan", &local, "--vex", "referrers"], more].concat(), 0);
    assert_eq!(settled(&scan(&[])), 0);
    attest(&[]);
    let unverified = scan(&[]);
    assert_eq!(settled(&unverified), 1, "{unverified:#}");
    assert!(unverified["warnings"].to_string().contains("nobody verified"), "{}", unverified["warnings"]);
    let by =
        unverified["findings"].as_array().unwrap().iter().find_map(|found| found["settled"]["by"].as_str());
    assert_eq!(by, Some("https://example.com/vex (attached, not verified)"));
    let public = public.display().to_string();
    // Whom to believe is said, and nobody signed.
    let refused = scan(&["--vex-key", &public]);
    assert_eq!(settled(&refused), 0);
    assert!(refused["warnings"].to_string().contains("it is not signed"), "{}", refused["warnings"]);
    attest(&["--key", key.to_str().unwrap()]);
    let verified = scan(&["--vex-key", &public]);
    assert_eq!(settled(&verified), 1, "{verified:#}");

    // The same from a registry: the image, and what lies under its tags.
    let index: Value =
        serde_json::from_slice(&fs::read(Path::new(&local).join("index.json")).unwrap()).unwrap();
    for entry in index["manifests"].as_array().unwrap() {
        // What refers to the image without a tag lies under none in a registry that lists no referrers.
        let Some(tag) = entry["annotations"]["org.opencontainers.image.ref.name"].as_str() else { continue };
        place.registry.push_tag(Path::new(&local), tag, "shop/app", if tag == "latest" { "1" } else { tag });
    }
    let name = place.name("shop/app:1");
    for more in [&[][..], &["--vex-key", &public]] {
        let report = place.json(&[&["scan", &name, "--vex", "referrers"], more].concat(), 0);
        assert_eq!(settled(&report), 1, "{more:?}: {report:#}");
    }
    let walked = place.json(&["registry", "scan", &place.name("shop/app"), "--vex", "referrers"], 0);
    assert_eq!(
        walked["images"].as_array().unwrap().len(),
        1,
        "tags of attachments are no images: {walked:#}"
    );
    assert_eq!(walked["images"][0]["found"]["settled"], 1, "{walked:#}");
}

fn openssl(args: &[&str]) {
    let output = Command::new("openssl").args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
