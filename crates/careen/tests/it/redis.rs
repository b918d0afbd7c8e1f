//! The main job, on Redis.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::support::{can_run, careen, careen_json, document, hardened, image, umoci, workdir};

/// Bytes of the regular files that the profile shows in use, by an independent count over the original.
fn used_bytes(profile: &Value, original: &crate::support::Unpacked) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let mut inodes = BTreeSet::new();
    let mut bytes = 0;
    for (path, usage) in profile["paths"].as_object().unwrap() {
        if usage.as_object().unwrap().keys().all(|kind| kind == "missing") {
            continue;
        }
        if let Ok(meta) = fs::symlink_metadata(original.rootfs.join(path.trim_start_matches('/')))
            && meta.is_file()
            && inodes.insert(meta.ino())
        {
            bytes += meta.len();
        }
    }
    bytes
}

#[test]
fn redis_keeps_what_it_uses_and_little_else() {
    if !can_run() {
        return;
    }
    let (Some(source), Some(dir)) = (image("redis"), hardened("redis")) else { return };
    let (before, after) = (umoci(&source), umoci(&dir.join("redis")));
    let ((files_before, bytes_before), (files_after, bytes_after)) = (before.files(), after.files());
    let (packages_before, packages_after) = (before.dpkg_packages(), after.dpkg_packages());
    let used = used_bytes(&document(&dir.join("redis.careen/original.profile")), &before);
    println!(
        "bytes {bytes_before} -> {bytes_after} (used {used}), files {} -> {}, packages {} -> {}",
        files_before.len(),
        files_after.len(),
        packages_before.len(),
        packages_after.len()
    );
    assert!(bytes_after * 100 <= used * 110, "{bytes_after} bytes kept, {used} used");
    assert!(bytes_after * 100 <= bytes_before * 27, "{bytes_after} of {bytes_before} bytes remain");
    assert!(
        files_after.len() * 10 <= files_before.len(),
        "{} of {} files",
        files_after.len(),
        files_before.len()
    );
    assert!(packages_after.len() * 10 <= packages_before.len() * 3);
    assert!(files_after.is_subset(&files_before), "nothing may be in the result that was not in the image");
    assert!(packages_after.is_subset(&packages_before));
}

#[test]
fn what_the_result_document_says_is_what_an_independent_count_finds() {
    if !can_run() {
        return;
    }
    let Some(dir) = hardened("redis") else { return };
    let result = document(&dir.join("redis.careen/result.json"));
    let metrics = &result["hardened"]["metrics"];
    let unpacked = umoci(&dir.join("redis"));
    let (files, bytes) = unpacked.files();
    assert_eq!(metrics["files"], files.len());
    assert_eq!(metrics["uncompressed_bytes"], bytes);
    assert_eq!(metrics["packages"], unpacked.dpkg_packages().len());
    assert_eq!(result["verification"]["verdict"], "passed");
}

#[test]
fn what_the_engine_itself_does_is_not_in_the_profile() {
    if !can_run() {
        return;
    }
    let Some(dir) = hardened("redis") else { return };
    let profile = document(&dir.join("redis.careen/original.profile"));
    let processes: Vec<_> =
        profile["processes"].as_array().unwrap().iter().map(|p| p["exe"].as_str().unwrap()).collect();
    assert!(processes.iter().all(|exe| exe.starts_with("/usr/")), "{processes:?}");
    assert!(processes.contains(&"/usr/sbin/gosu"), "PID 1's first program but one: {processes:?}");
}

#[test]
fn hard_61_hardening_twice_gives_the_same_digest() {
    if !can_run() {
        return;
    }
    let (Some(source), Some(dir)) = (image("redis"), hardened("redis")) else { return };
    let again = workdir();
    let target = format!("oci:{}", again.path().join("redis").display());
    // A run of its own, not the same profile again: what was recorded must not depend on chance either.
    let result = careen_json(&[
        "harden",
        &format!("oci:{}", source.display()),
        "--coverage",
        "redis",
        "-o",
        &target,
        "-q",
    ]);
    let first = document(&dir.join("redis.careen/result.json"));
    assert_eq!(result["hardened"]["manifest_digest"], first["hardened"]["manifest_digest"]);
}

#[test]
fn every_path_of_the_image_has_a_reason() {
    if !can_run() {
        return;
    }
    let (Some(source), Some(dir)) = (image("redis"), hardened("redis")) else { return };
    let ledger = document(&dir.join("redis.careen/ledger.json.zst"));
    let original = umoci(&source);
    for path in original.files().0 {
        let path = format!("/{}", path.display()).replace('\\', "\\\\");
        assert!(ledger["entries"][&path]["rule"].is_string(), "no reason for {path}");
    }
    for (path, decision) in [("/usr/bin/redis-server", "kept"), ("/usr/bin/perl", "removed")] {
        let output = careen(&["explain", &format!("oci:{}", dir.join("redis").display()), path]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && text.contains(decision),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn hard_75_nothing_written_at_run_time_is_in_the_result() {
    if !can_run() {
        return;
    }
    let Some(dir) = hardened("redis") else { return };
    let unpacked = umoci(&dir.join("redis"));
    let data: Vec<_> = fs::read_dir(unpacked.rootfs.join("data")).unwrap().collect();
    assert!(data.is_empty(), "/data must be there and empty, as in the original: {data:?}");
    assert!(!unpacked.rootfs.join("var/lib/redis/dump.rdb").exists());
}

#[test]
fn hard_63_the_result_runs_read_only_as_another_user_and_without_capabilities() {
    if !can_run() {
        return;
    }
    let (Some(source), Some(dir)) = (image("redis"), hardened("redis")) else { return };
    let ledger = dir.join("redis.careen/ledger.json.zst").display().to_string();
    let ways: [&[&str]; 4] = [
        &["--read-only"],
        &["--user", "12345"],
        &["--user", "redis", "--cap-drop", "ALL"],
        &["--read-only", "--user", "redis", "--cap-drop", "ALL"],
    ];
    let work = workdir();
    let coverage = work.path().join("small.yaml");
    fs::write(&coverage, SMALL).unwrap();
    let coverage = coverage.display().to_string();
    for (number, way) in ways.iter().enumerate() {
        // The original in the same straits says what there is to expect, and verify holds the result against it.
        let profile = work.path().join(format!("{number}.profile")).display().to_string();
        let original = format!("oci:{}", source.display());
        let hardened = format!("oci:{}", dir.join("redis").display());
        careen_json(&[&["record", &original, "-c", &coverage, "-o", &profile, "-q"], *way].concat());
        let result = careen_json(
            &[&["verify", &hardened, "-c", &coverage, "-p", &profile, "--ledger", &ledger, "-q"], *way]
                .concat(),
        );
        assert_eq!(result["verdict"], "passed", "{way:?}");
        let steps = document(std::path::Path::new(&profile))["runs"][0]["steps"].clone();
        assert_eq!(steps[0]["code"], 0, "the original answers {way:?}: {steps}");
    }
    // Without any capability root cannot become another user: both images say so, in the same words.
    let says = |image: &str| {
        let output = careen(&[
            "record",
            image,
            "-c",
            &coverage,
            "-o",
            &format!("{coverage}.profile"),
            "-q",
            "--cap-drop",
            "ALL",
        ]);
        assert_eq!(output.status.code(), Some(6));
        String::from_utf8_lossy(&output.stderr)
            .contains("failed switching to \"redis\": operation not permitted")
    };
    assert!(
        says(&format!("oci:{}", source.display())) && says(&format!("oci:{}", dir.join("redis").display()))
    );
}

const SMALL: &str = "\
version: 1
name: small
wait_for:
  - tcp: 6379
steps:
  - name: ping
    exec: [redis-cli, PING]
    expect: PONG
  - name: set and get
    exec: [redis-cli]
    stdin_text: |
      SET greeting hello
      GET greeting
    expect: hello
  - name: who am I
    exec: [id]
    allow_failure: true
  - name: save
    exec: [redis-cli, SAVE]
    allow_failure: true
";
