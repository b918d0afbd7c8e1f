//! `careen rbom` on a real image: what ran, in both forms.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{can_run, careen, hardened, image, umoci, workdir};

fn documents(format: &str) -> Option<(Value, Vec<u8>)> {
    if !can_run() {
        return None;
    }
    let original = format!("oci:{}", image("redis")?.display());
    let profile = hardened("redis")?.join("redis.careen/original.profile").display().to_string();
    let run = || {
        let output = careen(&["rbom", &original, "--profile", &profile, "--format", format]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let bytes = run();
    assert_eq!(bytes, run(), "the same every time");
    Some((serde_json::from_slice(&bytes).unwrap(), bytes))
}

fn properties(component: &Value) -> BTreeMap<&str, Vec<&str>> {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for property in component["properties"].as_array().into_iter().flatten() {
        found
            .entry(property["name"].as_str().unwrap())
            .or_default()
            .push(property["value"].as_str().unwrap());
    }
    found
}

#[test]
fn what_ran_is_an_operations_bill_with_processes_files_and_steps() {
    let Some((document, _)) = documents("cyclonedx") else { return };
    crate::support::cyclonedx().conforms(&document);
    assert_eq!(document["metadata"]["lifecycles"][0]["phase"], "operations");
    let components = document["components"].as_array().unwrap();
    let named = |name: &str| components.iter().find(|one| one["name"] == name);
    assert!(named("perl-base").is_none() && named("apt").is_none(), "they never ran");

    let server = named("redis-tools").unwrap();
    let facts = properties(server);
    assert_eq!(facts["careen:heat"], ["hot"]);
    assert_eq!(facts["careen:first-coverage"], ["redis"]);
    assert!(facts["careen:process"].iter().any(|process| process.contains("redis")), "{facts:?}");
    let occurrences = server["evidence"]["occurrences"].as_array().unwrap();
    let program =
        occurrences.iter().find(|one| one["location"].as_str().unwrap().contains("/usr/bin/redis-"));
    let context = program.unwrap()["additionalContext"].as_str().unwrap();
    assert!(context.contains("exec"), "{context}");
    assert!(named("libssl3").is_some_and(|one| properties(one)["careen:heat"] == ["hot"]));

    // A program depends on what it loaded.
    let edges = document["dependencies"].as_array().unwrap();
    let of = edges.iter().find(|one| one["ref"] == server["bom-ref"]).unwrap();
    let needs: BTreeSet<_> = of["dependsOn"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert!(needs.iter().any(|need| need.contains("/libssl3@")), "{needs:?}");
    assert_eq!(properties(&document["metadata"]["component"])["careen:complete"], ["true"]);
}

#[test]
fn the_runtime_trace_has_the_digests_of_the_files_in_the_image() {
    let Some((document, _)) = documents("runtime-trace") else { return };
    assert_eq!(document["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(document["predicateType"], "https://in-toto.io/attestation/runtime-trace/v0.1");
    let layout = image("redis").unwrap();
    let manifest = careen(&["inspect", &format!("oci:{}", layout.display()), "--output", "json"]);
    let manifest: Value = serde_json::from_slice(&manifest.stdout).unwrap();
    let subject = document["subject"][0]["digest"]["sha256"].as_str().unwrap();
    assert_eq!(format!("sha256:{subject}"), manifest["manifest_digest"].as_str().unwrap());

    let log = &document["predicate"]["monitorLog"];
    let programs: Vec<_> = log["process"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert!(programs.iter().any(|one| one.contains("/usr/bin/redis-")), "{programs:?}");
    let unpacked = umoci(&layout);
    let mut compared = 0;
    for file in log["fileAccess"].as_array().unwrap() {
        let name = file["name"].as_str().unwrap();
        let bytes = fs::read(unpacked.rootfs.join(name.trim_start_matches('/'))).unwrap();
        let sum = Command::new("sha256sum").arg(unpacked.rootfs.join(name.trim_start_matches('/'))).output();
        let sum = String::from_utf8(sum.unwrap().stdout).unwrap();
        assert_eq!(file["digest"]["sha256"].as_str(), sum.split(' ').next(), "{name}, {} bytes", bytes.len());
        assert!(file["annotations"]["step"].is_string(), "{file}");
        compared += 1;
    }
    assert!(compared > 20, "{compared}");
}

#[test]
fn a_profile_of_another_image_says_nothing_of_this_one() {
    let (true, Some(layout), Some(dir)) = (can_run(), image("nginx"), hardened("redis")) else { return };
    let profile = dir.join("redis.careen/original.profile").display().to_string();
    let output = careen(&["rbom", &format!("oci:{}", layout.display()), "--profile", &profile]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(7), "{text}");
    assert!(text.contains("the profile is of image") && text.contains("hint:"), "{text}");
}

#[test]
fn a_file_that_is_there_is_not_overwritten_unasked() {
    let (true, Some(layout), Some(dir)) = (can_run(), image("redis"), hardened("redis")) else { return };
    let work = workdir();
    let file = work.path().join("ran.json");
    fs::write(&file, "mine").unwrap();
    let profile = dir.join("redis.careen/original.profile").display().to_string();
    let source = format!("oci:{}", layout.display());
    let args = ["rbom", &source, "--profile", &profile, "-o", file.to_str().unwrap()];
    assert!(!careen(&args).status.success());
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert!(careen(&[&args[..], &["--force"]].concat()).status.success());
    assert!(fs::read_to_string(&file).unwrap().contains("CycloneDX"));
}
