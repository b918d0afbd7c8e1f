//! A profile of one version of a real image hardens the next one; tags select runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{can_run, careen, careen_json, document, hardened, image, workdir};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", text(&output.stderr));
}

/// Another version of an image, made with umoci: what `change` does to its files becomes a layer on top.
fn next_version(work: &Path, source: &Path, change: impl FnOnce(&Path)) -> PathBuf {
    let (layout, bundle) = (work.join("next"), work.join("bundle"));
    run("cp", &["-a", &source.display().to_string(), &layout.display().to_string()]);
    let name = format!("{}:latest", layout.display());
    run("umoci", &["unpack", "--image", &name, &bundle.display().to_string()]);
    change(&bundle.join("rootfs"));
    run("umoci", &["repack", "--image", &name, &bundle.display().to_string()]);
    fs::remove_dir_all(&bundle).unwrap();
    layout
}

/// Gives a library of a package another version: its file, the link to it and the package's list.
fn upgrade(rootfs: &Path, package: &str, library: &str, old: &str, new: &str) {
    let directory = rootfs.join("usr/lib/x86_64-linux-gnu");
    let (before, after) = (format!("{library}.{old}"), format!("{library}.{new}"));
    fs::rename(directory.join(&before), directory.join(&after)).unwrap();
    let major = directory.join(format!("{library}.{}", old.split('.').next().unwrap()));
    fs::remove_file(&major).unwrap();
    std::os::unix::fs::symlink(&after, &major).unwrap();
    let list = rootfs.join(format!("var/lib/dpkg/info/{package}.list"));
    let lines = fs::read_to_string(&list).unwrap();
    assert!(lines.contains(&before), "{package} owns {before}");
    fs::write(&list, lines.replace(&before, &after)).unwrap();
}

/// The version of a library, such as `5.4.1` of liblzma.so.5.4.1.
fn version_of(rootfs: &Path, library: &str) -> String {
    let directory = fs::read_dir(rootfs.join("usr/lib/x86_64-linux-gnu")).unwrap();
    let names = directory.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let versions = names.filter_map(|name| name.strip_prefix(&format!("{library}."))?.to_owned().into());
    versions.into_iter().max_by_key(String::len).unwrap()
}

#[test]
fn hard_69_a_profile_of_one_redis_hardens_the_next() {
    if !can_run() {
        return;
    }
    let (Some(source), Some(dir)) = (image("redis"), hardened("redis")) else { return };
    let work = workdir();
    let mut old_version = String::new();
    let next = next_version(work.path(), &source, |rootfs| {
        old_version = version_of(rootfs, "liblzma.so");
        upgrade(rootfs, "liblzma5:amd64", "liblzma.so", &old_version, "5.99.7");
        // What the new version of the server ships beside what was used.
        fs::write(rootfs.join("usr/share/redis-new"), "new").unwrap();
        let list = rootfs.join("var/lib/dpkg/info/redis-server.list");
        let lines = fs::read_to_string(&list).unwrap();
        fs::write(&list, lines + "/usr/share/redis-new\n").unwrap();
    });
    let profile = dir.join("redis.careen/original.profile").display().to_string();
    let next = format!("oci:{}", next.display());
    let target = work.path().join("hardened");
    let name = format!("oci:{}", target.display());
    let result = careen_json(&["harden", &next, "-p", &profile, "-c", "redis", "-o", &name, "-q"]);

    // The coverage passes on what was hardened without a run of its own.
    assert_eq!(result["verification"]["verdict"], "passed");
    assert_eq!(result["healed"], 0);
    let carry = &result["carry"][0];
    let library = "/usr/lib/x86_64-linux-gnu/liblzma.so";
    assert_eq!(carry["carried"][0]["from"], format!("{library}.{old_version}"), "{carry}");
    assert_eq!(carry["carried"][0]["to"], serde_json::json!([format!("{library}.5.99.7")]));
    assert_eq!(carry["carried"][0]["why"], "same-package");
    assert_eq!(
        (carry["uncertain"].clone(), carry["dropped"].clone()),
        (Value::Array(vec![]), Value::Array(vec![]))
    );
    let new: Vec<_> = carry["new"].as_array().unwrap().iter().map(|new| &new["path"]).collect();
    assert_eq!(new, ["/usr/share/redis-new"]);

    let ledger = document(&work.path().join("hardened.careen/ledger.json.zst"));
    let entry = &ledger["entries"][format!("{library}.5.99.7")];
    assert_eq!(entry["rule"], "carried");
    assert_eq!(entry["evidence"]["carried_from"], format!("{library}.{old_version}"));
    assert_eq!(ledger["entries"]["/usr/bin/redis-server"]["rule"], "carried");
    let page = fs::read_to_string(work.path().join("hardened.careen/report.html")).unwrap();
    assert!(page.contains("Carried over from") && page.contains("liblzma.so.5.99.7"));
    // The sizes are those of the first version's hardening.
    let first = document(&dir.join("redis.careen/result.json"));
    let files = |result: &Value| result["hardened"]["metrics"]["files"].as_u64().unwrap();
    assert_eq!(files(&result), files(&first));

    // The carried profile is a profile of the new version, and says where it is from.
    let carried = work.path().join("hardened.careen/original.profile").display().to_string();
    let shown = careen(&["profile", "show", &carried]);
    assert!(text(&shown.stdout).contains("carried over from"), "{}", text(&shown.stdout));
    let report = careen(&["profile", "carry", &carried, &next, "-q"]);
    assert!(text(&report.stdout).contains("of this very image"), "{}", text(&report.stdout));
}

/// Hardens the image of one Debian release with the profile of the same service on the release before it, and gives the
/// result. All that the coverage asks of it must work.
fn across_releases(name: &str, coverage: &str) -> Option<Value> {
    let (source, next) = (image(name)?, image(&format!("{name}-trixie"))?);
    let work = workdir();
    let profile = work.path().join("old.profile").display().to_string();
    let oci = |layout: &Path| format!("oci:{}", layout.display());
    careen_json(&["record", &oci(&source), "-c", coverage, "-o", &profile, "-q"]);
    let target = oci(&work.path().join("hardened"));
    let result = careen_json(&["harden", &oci(&next), "-p", &profile, "-c", coverage, "-o", &target, "-q"]);
    assert_eq!(result["verification"]["verdict"], "passed");
    Some(result)
}

/// How many entries a list of the report has.
fn count(carry: &Value, list: &str) -> usize {
    carry[list].as_array().unwrap().len()
}

#[test]
#[ignore = "only with --all-images"]
fn hard_69_a_profile_of_redis_is_carried_to_the_next_debian_release() {
    if !can_run() {
        return;
    }
    let Some(result) = across_releases("redis", "redis") else { return };
    let carry = &result["carry"][0];
    // Libraries have new versions, and the server is another one; nothing is guessed.
    assert!(count(carry, "carried") >= 5, "{carry}");
    assert_eq!(count(carry, "uncertain"), 0, "{carry}");
    assert_eq!(result["healed"], 0);
}

#[test]
#[ignore = "only with --all-images"]
fn hard_69_a_profile_of_one_python_is_carried_to_another() {
    if !can_run() {
        return;
    }
    let coverage = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images/python-flask/coverage.yaml");
    let Some(result) = across_releases("python-flask", &coverage.display().to_string()) else { return };
    let carry = &result["carry"][0];
    let carried = carry["carried"].as_array().unwrap();
    let of_library = carried.iter().filter(|path| {
        path["from"].as_str().unwrap().starts_with("/usr/lib/python3.11/")
            && path["to"][0].as_str().unwrap().starts_with("/usr/lib/python3.13/")
    });
    assert!(of_library.count() > 100, "{carry}");
    assert!(count(carry, "uncertain") + count(carry, "dropped") < 30, "{carry}");
}

#[test]
fn what_is_lost_is_refused_above_the_threshold_and_another_image_always() {
    if !can_run() {
        return;
    }
    let (Some(source), Some(dir), Some(nginx)) = (image("redis"), hardened("redis"), image("nginx")) else {
        return;
    };
    let work = workdir();
    let next = next_version(work.path(), &source, |rootfs| {
        for name in ["redis-benchmark", "redis-check-rdb", "redis-check-aof", "find", "id"] {
            fs::remove_file(rootfs.join("usr/bin").join(name)).unwrap();
        }
    });
    let profile = dir.join("redis.careen/original.profile").display().to_string();
    let next = format!("oci:{}", next.display());
    let out = work.path().join("next.profile").display().to_string();
    let carry = |percent: &str| {
        careen(&[
            "profile",
            "carry",
            &profile,
            &next,
            "-q",
            "-o",
            &out,
            "--force",
            "--max-uncertain",
            percent,
        ])
    };
    let refused = carry("2");
    let (stdout, stderr) = (text(&refused.stdout), text(&refused.stderr));
    assert_eq!(refused.status.code(), Some(7), "{stderr}");
    assert!(
        stdout.contains("/usr/bin/find of findutils (its package has nothing like it any more, and it ran)"),
        "{stdout}"
    );
    assert!(
        stderr.contains("more than 2 %") && stderr.contains("hint: record the coverage on this image"),
        "{stderr}"
    );
    assert!(!Path::new(&out).exists());
    let accepted = carry("50");
    assert!(accepted.status.success(), "{}", text(&accepted.stderr));
    assert!(Path::new(&out).exists());
    let planned = careen_json(&["plan", &next, "-p", &profile, "-q", "--max-uncertain", "50"]);
    assert!(
        planned["warnings"].to_string().contains("programs or libraries that ran"),
        "{}",
        planned["warnings"]
    );

    let other = careen(&["plan", &format!("oci:{}", nginx.display()), "-p", &profile, "-q"]);
    assert_eq!(other.status.code(), Some(7));
    assert!(
        text(&other.stderr).contains("hint: record the coverage on this image"),
        "{}",
        text(&other.stderr)
    );
}

const PING: &str = "\
version: 1
name: small
wait_for:
  - tcp: 6379
steps:
  - name: ask
    exec: [COMMAND]
    expect: PONG
";

#[test]
fn tags_select_runs_of_joined_profiles() {
    if !can_run() {
        return;
    }
    let Some(source) = image("redis") else { return };
    let source = format!("oci:{}", source.display());
    let work = workdir();
    let mut profiles = Vec::new();
    for (tag, command) in [("ci", "redis-cli, PING"), ("night", "sh, -c, 'date; redis-cli PING'")] {
        let coverage = work.path().join(format!("{tag}.yaml")).display().to_string();
        fs::write(&coverage, PING.replace("COMMAND", command)).unwrap();
        let profile = work.path().join(format!("{tag}.profile")).display().to_string();
        careen_json(&[
            "record", &source, "-c", &coverage, "-o", &profile, "--tag", tag, "--tag", "all", "-q",
        ]);
        profiles.push(profile);
    }
    let joined = work.path().join("joined.profile").display().to_string();
    careen_json(&["profile", "merge", &profiles[0], &profiles[1], "-o", &joined]);
    let show = |tags: &[&str]| {
        let tags: Vec<_> = tags.iter().flat_map(|tag| ["--tag", tag]).collect();
        careen_json(&[&["profile", "show", &joined], &tags[..]].concat())
    };
    let uses = |profile: &Value, path: &str| profile["paths"][path].is_object();
    let (all, ci, night) = (show(&[]), show(&["ci"]), show(&["night"]));
    assert_eq!(all, show(&["all"]));
    assert!(uses(&all, "/usr/bin/date") && uses(&night, "/usr/bin/date") && !uses(&ci, "/usr/bin/date"));
    for profile in [&all, &ci, &night] {
        assert!(uses(profile, "/usr/bin/redis-cli"), "what both used belongs to each");
    }
    // Taken apart again, the parts are what was recorded, whoever used it.
    let paths = |profile: &Value| profile["paths"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for (part, file) in [(&ci, &profiles[0]), (&night, &profiles[1])] {
        assert_eq!(paths(part), paths(&document(Path::new(file))));
    }
    let planned = |tag: &str| {
        careen_json(&["plan", &source, "-p", &joined, "--tag", tag, "-q"])["kept"]["files"].clone()
    };
    assert!(planned("night").as_u64() > planned("ci").as_u64());
    let typo = careen(&["plan", &source, "-p", &joined, "--tag", "nihgt", "-q"]);
    assert_eq!(typo.status.code(), Some(7));
    assert!(text(&typo.stderr).contains("there are all, ci, night"), "{}", text(&typo.stderr));
    // What another version is recognised by is in every recorded profile.
    let packages = all["surroundings"]["packages"].as_array().unwrap();
    let server = packages.iter().find(|package| package["name"] == "redis-server").unwrap();
    assert!(server["files"].as_array().unwrap().contains(&"/usr/bin/redis-server".into()));
    assert!(all["surroundings"]["files"]["/usr/bin/redis-check-rdb"]["digest"].is_string());
}
