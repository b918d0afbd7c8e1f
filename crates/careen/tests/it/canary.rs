//! A hardened image in staging: what it looks for and had been removed is told, and can be merged.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{
    can_run, careen, careen_command, careen_json, document, hardened, image, traces_of_ours, workdir,
};

#[test]
fn what_a_canary_misses_is_kept_by_the_next_hardening() {
    if !can_run() {
        return;
    }
    let (Some(source), Some(dir)) = (image("redis"), hardened("redis")) else { return };
    let work = workdir();
    let path = |name: &str| work.path().join(name).display().to_string();
    let ledger = document(&dir.join("redis.careen/ledger.json.zst"));
    let removed = removed_from_etc(&ledger);
    let script = format!("read line < {removed}; read line < /etc/never-there; echo \"it said: $line\"");
    let run = |image: &str, profile: &str, format: &str| {
        let args = ["run", "-q", "--canary", image, "-o", profile, "--output", format];
        careen(&[&args, &["--entrypoint", "sh", "--", "-c", &script][..]].concat())
    };

    let stage = dir.join("redis").display().to_string();
    let output = run(&stage, &path("canary"), "text");
    let (told, said) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.status.code(), Some(8), "{told}");
    assert!(said.contains("it said:"), "the container's own output: {said}");
    assert!(
        told.contains("1 removed path was looked up")
            && told.contains(&format!("{removed} by /usr/bin/dash"))
    );
    assert!(!told.contains("never-there"), "{told}");
    let again = run(&stage, &path("canary"), "text");
    assert_eq!(again.status.code(), Some(9), "a profile is not replaced unasked");

    let canary = document(Path::new(&path("canary")));
    assert_eq!(canary["image"], ledger["image"], "it speaks of the original");
    assert_eq!(
        (&canary["runs"][0]["coverage"], &canary["runs"][0]["tags"][0]),
        (&"canary".into(), &"canary".into())
    );
    let paths: Vec<_> = canary["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, [&removed]);

    let original = dir.join("redis.careen/original.profile").display().to_string();
    careen_json(&["profile", "merge", &original, &path("canary"), "-o", &path("merged")]);
    let target = format!("oci:{}", path("again"));
    let result = careen_json(&[
        "harden",
        "-q",
        source.to_str().unwrap(),
        "-p",
        &path("merged"),
        "-c",
        "redis",
        "-o",
        &target,
    ]);
    assert_eq!(result["verification"]["verdict"], "passed");
    let ledger = document(Path::new(&path("again.careen/ledger.json.zst")));
    assert_eq!(ledger["entries"][&removed]["rule"], "observed");

    let output = run(&path("again"), &path("second"), "json");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("it said:"), "with JSON the container's output stands on standard error");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["missing_lookups"], serde_json::json!([]));
    assert_eq!(told["verdict"]["verdict"], "complete");
}

#[test]
fn an_interrupted_canary_has_written_its_profile() {
    if !can_run() {
        return;
    }
    let Some(dir) = hardened("redis") else { return };
    let work = workdir();
    let data = work.path().join("data");
    let profile = work.path().join("canary");
    let ledger = dir.join("redis.careen/ledger.json.zst");
    let mut started = careen_command(&[
        "run",
        "-q",
        "--canary",
        dir.join("redis").to_str().unwrap(),
        "-o",
        profile.to_str().unwrap(),
        "--ledger",
        ledger.to_str().unwrap(),
    ])
    .env("CAREEN_DATA_DIR", &data)
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut lines = BufReader::new(started.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("Ready to accept connections")));
    assert!(Command::new("kill").args(["-s", "INT", &started.id().to_string()]).status().unwrap().success());
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    let mut told = String::new();
    started.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(started.wait().unwrap().success(), "it was stopped in peace: {told}");
    assert!(rest.iter().any(|line| line.contains("ready to exit")), "{rest:?}");
    assert!(told.contains("nothing was looked up that hardening had removed"), "{told}");
    assert_eq!(document(&profile)["runs"][0]["sensor"]["verdict"], "complete");
    assert_eq!(traces_of_ours(&data), Vec::<String>::new());
}

#[test]
fn hard_68_a_killed_canary_leaves_a_profile_that_can_be_recovered() {
    if !can_run() {
        return;
    }
    let Some(dir) = hardened("redis") else { return };
    let work = workdir();
    let data = work.path().join("data");
    let path = |name: &str| work.path().join(name).display().to_string();
    let ledger = document(&dir.join("redis.careen/ledger.json.zst"));
    let removed = removed_from_etc(&ledger);
    let script = format!("read line < {removed}; echo it looked; exec redis-server");
    let mut started = careen_command(&["run", "-q", "--canary", dir.join("redis").to_str().unwrap()])
        .args(["-o", &path("canary"), "--entrypoint", "sh", "--", "-c", &script])
        .env("CAREEN_DATA_DIR", &data)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(started.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "it looked"));
    std::thread::sleep(Duration::from_millis(500));
    started.kill().unwrap();
    started.wait().unwrap();
    assert!(!fs::exists(path("canary")).unwrap());

    let run = |args: &[&str]| {
        let output = careen_command(args).env("CAREEN_DATA_DIR", &data).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    };
    let left = run(&["profile", "recover", "--output", "json"]).stdout;
    let left: serde_json::Value = serde_json::from_slice(&left).unwrap();
    assert_eq!(left[0]["coverage"], "canary", "{left}");
    let id = left[0]["id"].as_str().unwrap();
    run(&["profile", "recover", id, "-o", &path("canary")]);
    let canary = document(Path::new(&path("canary")));
    assert_eq!(canary["image"], ledger["image"], "it speaks of the original");
    assert_eq!(canary["paths"].as_object().unwrap().keys().collect::<Vec<_>>(), [&removed]);
    let reasons = &canary["runs"][0]["sensor"]["reasons"];
    assert!(reasons.as_array().unwrap().contains(&serde_json::json!({ "reason": "cut-off" })), "{reasons}");
    // The next start that runs containers cleans up.
    run(&["doctor"]);
    assert_eq!(traces_of_ours(&data), Vec::<String>::new());
}

/// A file of the original in `/etc` that hardening removed.
fn removed_from_etc(ledger: &serde_json::Value) -> String {
    let removed = ledger["entries"].as_object().unwrap().iter().find(|(path, entry)| {
        let name = path.strip_prefix("/etc/").unwrap_or_default();
        name.ends_with(".conf")
            && !name.contains('/')
            && entry["decision"] == "remove"
            && entry["kind"] == "file"
    });
    removed.unwrap().0.clone()
}

#[test]
fn a_canary_needs_a_hardened_image_and_its_ledger() {
    if !can_run() {
        return;
    }
    let (Some(source), Some(dir)) = (image("redis"), hardened("redis")) else { return };
    let work = workdir();
    let profile = work.path().join("canary").display().to_string();
    let ledger = dir.join("redis.careen/ledger.json.zst").display().to_string();
    let fails = |args: &[&str], code: i32, words: &[&str]| {
        let mut command = careen_command(&[&["run", "-q", "--canary", "-o", &profile], args].concat());
        let output = command.env("CAREEN_DATA_DIR", work.path().join("data")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}");
        words.iter().for_each(|word| assert!(text.contains(word), "no {word:?} in:\n{text}"));
    };
    let source = source.to_str().unwrap();
    fails(&[source, "--ledger", &ledger], 2, &["is the original of its ledger", "name the hardened image"]);
    fails(&[source], 5, &["cannot find the ledger", "--ledger FILE"]);
    assert!(!fs::exists(&profile).unwrap());
}
