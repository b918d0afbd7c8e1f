//! Policy files, as a user writes them, on a real image.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{can_run, careen, careen_json, hardened, image, umoci, workdir};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Plans the redis image with the profile of its coverage and these arguments, and gives the ledger.
fn ledger(work: &Path, args: &[&str]) -> Option<(Value, Value)> {
    let (source, dir) = (image("redis")?, hardened("redis")?);
    let profile = dir.join("redis.careen/original.profile").display().to_string();
    let file = work.join(format!("{}.ledger", fs::read_dir(work).unwrap().count())).display().to_string();
    let source = format!("oci:{}", source.display());
    let planned =
        careen_json(&[&["plan", &source, "--profile", &profile, "--ledger", &file, "-q"], args].concat());
    Some((crate::support::document(Path::new(&file)), planned["warnings"].clone()))
}

fn by<'a>(ledger: &'a Value, rule: &str) -> Vec<&'a str> {
    let entries = ledger["entries"].as_object().unwrap();
    entries.iter().filter(|(_, entry)| entry["rule"] == rule).map(|(path, _)| path.as_str()).collect()
}

#[test]
fn mistakes_in_a_policy_file_are_told_with_line_column_and_the_nearest_key() {
    let work = workdir();
    let file = work.path().join("shop.toml");
    fs::write(&file, "version = 1\nkeeep = [\"/srv\"]\nkits = [\"shel\"]\n").unwrap();
    let file = file.display().to_string();
    for args in [
        &["policy", "check", &file][..],
        &["harden", "oci:/nowhere", "--coverage", "redis", "-o", "oci:/nowhere-hardened", "--policy", &file],
    ] {
        let output = careen(args);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{stderr}");
        for line in [
            format!("{file}:2:1: keeep: unknown key, did you mean keep?"),
            format!(
                "{file}:3:9: kits[0]: \"shel\" is none of common-commands, shell, debug, did you mean shell?"
            ),
            "hint: careen policy example prints a policy with every key".to_owned(),
        ] {
            assert!(stderr.contains(&line), "{line}\n{stderr}");
        }
    }
    let missing = careen(&["policy", "check", "/nowhere.toml"]);
    assert_eq!(missing.status.code(), Some(5));
    let relative = careen(&["plan", "oci:/nowhere", "-c", "redis", "--keep", "usr/lib"]);
    assert_eq!(relative.status.code(), Some(2), "{}", text(&relative.stderr));
    assert!(text(&relative.stderr).contains("write it with a leading slash"));
}

#[test]
fn the_example_is_a_policy_and_check_tells_what_it_says() {
    let work = workdir();
    let example = work.path().join("example");
    fs::write(&example, careen(&["policy", "example"]).stdout).unwrap();
    let list = work.path().join(".rfignore");
    fs::write(&list, "# ours\nbash\n!/usr/bin/perl*\n").unwrap();
    let (example, list) = (example.display().to_string(), list.display().to_string());
    let checked = careen_json(&["policy", "check", &example, &list]);
    assert_eq!(checked["policy"]["keep"], serde_json::json!(["bash"]));
    assert_eq!(checked["policy"]["remove"], serde_json::json!(["/usr/bin/perl*"]));
    assert_eq!(checked["policy"]["generalize"], "references");
    let Some(source) = image("redis") else { return };
    let source = source.display().to_string();
    let output = careen(&["policy", "check", &list, "--image", &format!("oci:{source}"), "-q"]);
    let stdout = text(&output.stdout);
    assert!(stdout.contains("keep bash") && stdout.contains("remove /usr/bin/perl*"), "{stdout}");
    assert!(!stdout.contains("matches nothing"), "{stdout}");
}

#[test]
fn a_policy_file_and_options_decide_together_and_idle_rules_are_told_with_their_place() {
    if !can_run() {
        return;
    }
    let work = workdir();
    let toml = work.path().join("shop.toml");
    let lines = [
        "version = 1",
        "keep = ['/usr/share/zoneinfo/Europe/B*', '/no/such/path', 'libz*']",
        "remove = ['/usr/bin/redis-benchmark']",
        "keep-packages = ['debianutils', 'no-such-package']",
        "keep-licenses = false",
    ];
    fs::write(&toml, lines.join("\n")).unwrap();
    let name = toml.display().to_string();
    let Some((ledger, warnings)) = ledger(work.path(), &["--policy", &name, "--keep", "/etc/debian_version"])
    else {
        return;
    };
    let kept = by(&ledger, "policy-keep");
    for path in ["/usr/share/zoneinfo/Europe/Berlin", "/etc/debian_version", "/usr/bin/which.debianutils"] {
        assert!(kept.contains(&path), "{path}: {kept:?}");
    }
    assert!(!kept.contains(&"/usr/share/zoneinfo/Europe/Paris"));
    assert_eq!(by(&ledger, "policy-remove"), ["/usr/bin/redis-benchmark"]);
    assert!(by(&ledger, "licence").is_empty());
    let warnings: Vec<&str> = warnings.as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    for expected in [
        format!("{name}:2:42: /no/such/path matches nothing in the image"),
        format!("{name}:4:33: the image has no package no-such-package"),
    ] {
        assert!(warnings.contains(&expected.as_str()), "{expected}: {warnings:?}");
    }
    assert_eq!(ledger["policy"]["keep"][3], "/etc/debian_version", "options come after the file");
}

#[test]
fn kits_work_in_the_hardened_image() {
    if !can_run() {
        return;
    }
    let work = workdir();
    let (Some(source), Some(dir)) = (image("redis"), hardened("redis")) else { return };
    let profile = dir.join("redis.careen/original.profile").display().to_string();
    let source = format!("oci:{}", source.display());
    let target = format!("oci:{}", work.path().join("kit").display());
    let args = ["harden", &source, "--profile", &profile, "--no-verify", "-o", &target, "-q"];
    careen_json(&[&args[..], &["--kit", "common-commands", "--kit", "shell"]].concat());
    // Each common utility does its work, in the container, on the result.
    let script = "set -e; cd /tmp; mkdir d; echo b > d/x; echo a >> d/x; cp d/x d/y; ln -s y d/z; chmod 600 d/y; \
                  mv d/y d/w; sort d/x | head -n1 | tr a A | grep A; sed s/b/c/ d/w | wc -l; tar cf t.tar d; \
                  tar tf t.tar | tail -n1; ls -l d | wc -l; cat d/x | cut -c1 | uniq | xargs echo; date +%Y; \
                  find d -name w; rm -r d t.tar; test ! -e d; bash -c 'echo bash too'; id -u; du -s /etc > /dev/null; \
                  awk 'BEGIN { print 6 * 7 }'; sha256sum /etc/passwd | cut -c1-2 > /dev/null; stat -c %a /tmp";
    let runs = |image: &str| careen(&["run", image, "-q", "--entrypoint", "sh", "--", "-c", script]);
    let output = runs(&target);
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", text(&output.stderr));
    assert!(stdout.contains("bash too") && stdout.contains("42") && stdout.contains("1777"), "{stdout}");
    assert_eq!(stdout, text(&runs(&source).stdout), "as in the original");
    let plain = format!("oci:{}", dir.join("redis").display());
    assert!(!runs(&plain).status.success(), "without the kits the result has no such commands");
}

#[test]
fn coherent_packages_are_whole_by_dpkgs_own_list() {
    if !can_run() {
        return;
    }
    let work = workdir();
    let Some((ledger, _)) = ledger(work.path(), &["--keep-packages-coherent"]) else { return };
    let Some(source) = image("redis") else { return };
    let unpacked = umoci(&source);
    for package in ["redis-server", "redis-tools", "findutils"] {
        let list = unpacked.rootfs.join(format!("var/lib/dpkg/info/{package}.list"));
        for line in fs::read_to_string(list).unwrap().lines() {
            let file = unpacked.rootfs.join(line.trim_start_matches('/'));
            let documents = ["doc/", "doc-base/", "info/", "man/", "lintian/", "bug/"];
            let is_document =
                documents.iter().any(|directory| line.starts_with(&format!("/usr/share/{directory}")));
            if is_document || fs::symlink_metadata(&file).is_ok_and(|meta| meta.is_dir()) {
                continue;
            }
            // The list has names as the package was built, before /bin became a link.
            let entry = [line.to_owned(), format!("/usr{line}")]
                .iter()
                .find_map(|path| ledger["entries"].get(path).cloned());
            if let Some(entry) = entry {
                assert_eq!(entry["decision"], "keep", "{package}: {line}: {entry}");
            }
        }
    }
    assert!(!by(&ledger, "coherent-package").is_empty());
}

#[test]
fn data_files_of_packages_that_stay_are_kept_and_no_code() {
    if !can_run() {
        return;
    }
    let work = workdir();
    let Some((ledger, _)) = ledger(work.path(), &["--keep-data-files"]) else { return };
    let Some(source) = image("redis") else { return };
    let unpacked = umoci(&source);
    let kept = by(&ledger, "data-file");
    assert!(kept.contains(&"/etc/redis/redis.conf"), "{kept:?}");
    for path in kept {
        let file = unpacked.rootfs.join(path.trim_start_matches('/'));
        if fs::symlink_metadata(&file).is_ok_and(|meta| meta.is_file()) {
            let bytes = fs::read(&file).unwrap();
            assert!(!bytes.starts_with(b"\x7fELF") && !bytes.starts_with(b"#!"), "{path} is code");
        }
        assert!(!path.starts_with("/usr/share/doc/") && !path.starts_with("/usr/share/man/"), "{path}");
    }
}
