//! Looking at images, plans and the host without changing anything: `plan`, `diff` and `doctor`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{can_run, careen, careen_json, hardened, image, workdir};

#[test]
fn a_plan_adds_up_and_writes_nothing_but_its_ledger() {
    let (true, Some(layout), Some(dir)) = (can_run(), image("redis"), hardened("redis")) else { return };
    let work = workdir();
    let ledger = work.path().join("ledger");
    let source = format!("oci:{}", layout.display());
    let profile = dir.join("redis.careen/original.profile");
    let planned = careen_json(&[
        "plan",
        &source,
        "--profile",
        profile.to_str().unwrap(),
        "--ledger",
        ledger.to_str().unwrap(),
    ]);
    let sum = |list: &str, part: &str, field: &str| -> u64 {
        planned[list].as_array().unwrap().iter().map(|share| share[part][field].as_u64().unwrap()).sum()
    };
    for field in ["bytes", "files"] {
        let removed = planned["removed"][field].as_u64().unwrap();
        assert!(removed > 0);
        assert_eq!(sum("packages", "removed", field), removed, "{field}");
        assert_eq!(sum("directories", "removed", field), removed, "{field}");
        let all = removed + planned["kept"][field].as_u64().unwrap();
        assert_eq!(sum("rules", "total", field), all, "{field}");
    }
    let largest = planned["packages"][0]["removed"]["bytes"].as_u64().unwrap();
    assert!(
        planned["packages"]
            .as_array()
            .unwrap()
            .iter()
            .all(|p| p["removed"]["bytes"].as_u64().unwrap() <= largest)
    );
    // The plan is that of the hardening: what it says stays is what the hardened image holds.
    let result = careen_json(&["inspect", &format!("oci:{}", dir.join("redis").display())]);
    let kept = planned["kept"]["files"].as_u64().unwrap();
    assert!(result["metrics"]["files"].as_u64().unwrap() <= kept, "links count among the kept");
    let explained = careen(&["explain", &source, "/usr/bin/perl", "--ledger", ledger.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&explained.stdout).contains("/usr/bin/perl"));
    assert_eq!(fs::read_dir(work.path()).unwrap().count(), 1);
}

#[test]
fn a_plan_in_text_names_packages_directories_and_rules() {
    let (true, Some(layout), Some(dir)) = (can_run(), image("redis"), hardened("redis")) else { return };
    let source = format!("oci:{}", layout.display());
    let profile = dir.join("redis.careen/original.profile");
    let text = careen(&["plan", &source, "--profile", profile.to_str().unwrap(), "--top", "5"]).stdout;
    let text = String::from_utf8(text).unwrap();
    for part in
        ["by package", "perl-base", "by directory", "perl-base/ ", "by rule", "observed", "more packages"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn original_and_hardened_differ_by_removals_alone() {
    let (true, Some(layout), Some(dir)) = (can_run(), image("redis"), hardened("redis")) else { return };
    let (a, b) = (format!("oci:{}", layout.display()), format!("oci:{}", dir.join("redis").display()));
    let diff = careen_json(&["diff", &a, &b]);
    let paths = diff["paths"].as_object().unwrap();
    let of = |kind: &str| -> Vec<String> {
        paths.iter().filter(|(_, path)| path["change"] == kind).map(|(path, _)| path.clone()).collect()
    };
    assert_eq!(of("added").len(), 0);
    assert!(of("removed").len() > 2000);
    for path in of("changed") {
        assert!(path.starts_with("/var/lib/dpkg/"), "only the package database changes: {path}");
    }
    let packages = diff["packages"].as_array().unwrap();
    assert!(packages.iter().any(|p| p["name"] == "perl-base" && p["after"].is_null()));
    assert_eq!(diff["settings"].as_array().unwrap().len(), 0);
    let text = String::from_utf8(careen(&["diff", &a, &b]).stdout).unwrap();
    assert!(text.contains("Only in A") && text.contains("/usr/bin/perl"), "{text}");

    assert_eq!(careen(&["diff", &a, &b, "--exit-code"]).status.code(), Some(1));
    let same = careen(&["diff", &a, &a, "--exit-code"]);
    assert_eq!(same.status.code(), Some(0));
    assert!(String::from_utf8(same.stdout).unwrap().contains("hold the same"));
}

#[test]
fn doctor_agrees_with_what_a_recording_does_and_says_what_is_missing() {
    if !can_run() {
        return;
    }
    let examined = careen_json(&["doctor"]);
    assert_eq!(examined["can_record"], true, "{examined}");
    for check in examined["checks"].as_array().unwrap() {
        assert_ne!(check["state"], "bad", "{check}");
        assert!(!check["finding"].as_str().unwrap().is_empty());
    }
    // Without rights the same host can, in another way, and says what that way does not see.
    let place = tempfile::Builder::new()
        .prefix("careen-doctor-")
        .permissions(fs::Permissions::from_mode(0o777))
        .tempdir_in("/var/tmp")
        .unwrap();
    std::os::unix::fs::chown(place.path(), Some(65534), Some(65534)).unwrap();
    let program = place.path().join("careen");
    fs::copy(crate::support::CAREEN, &program).unwrap();
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(&program)
        .args(["doctor", "--output", "json", "--data-dir"])
        .arg(place.path().join("data"))
        .output()
        .unwrap();
    let examined: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let check = |name: &str| {
        let checks = examined["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).cloned().unwrap()
    };
    if check("user")["state"] == "bad" {
        // No user namespaces here.
        assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(examined["can_record"], false);
        assert!(String::from_utf8_lossy(&output.stderr).contains("hint: record the profile on another host"));
        return;
    }
    assert_eq!(examined["can_record"], true, "{examined}");
    let sensor = check("sensor");
    assert!(sensor["finding"].as_str().unwrap().contains("seccomp-notify"), "{sensor}");
    assert!(sensor["hint"].as_str().unwrap().contains("io_uring"), "{sensor}");
}
