//! Images that make their data at the first start: what a run leaves behind, and what another start meets.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Unpacked, can_run, careen_json, document, hardened, image, umoci, workdir};

/// Records a coverage on the original in some way, and holds the hardened image to it. Returns the exit codes of the
/// original's steps.
fn compare(name: &str, coverage: &str, way: &[&str]) -> Option<Vec<i64>> {
    let (source, dir) = (image(name)?, hardened(name)?);
    let work = workdir();
    let file = work.path().join("coverage.yaml");
    fs::write(&file, coverage).unwrap();
    let (file, profile) =
        (file.display().to_string(), work.path().join("original.profile").display().to_string());
    let original = format!("oci:{}", source.display());
    let hardened = format!("oci:{}", dir.join(name).display());
    let ledger = dir.join(format!("{name}.careen/ledger.json.zst")).display().to_string();
    careen_json(&[&["record", &original, "-c", &file, "-o", &profile, "-q"], way].concat());
    let result = careen_json(
        &[&["verify", &hardened, "-c", &file, "-p", &profile, "--ledger", &ledger, "-q"], way].concat(),
    );
    assert_eq!(result["verdict"], "passed", "{way:?}: {result:#}");
    let steps = document(Path::new(&profile))["runs"][0]["steps"].clone();
    Some(steps.as_array().unwrap().iter().map(|step| step["code"].as_i64().unwrap_or(-1)).collect())
}

const POSTGRES: &str = "\
version: 1
name: small
container:
  env: { POSTGRES_PASSWORD: s3cret, PGDATA: /var/lib/postgresql/data/own }
wait_for:
  - log: database system is ready to accept connections
    timeout: 60s
  - tcp: 5432
steps:
  - name: write
    exec: [psql, -h, 127.0.0.1, -U, postgres, -c, CREATE TABLE t AS SELECT 1 AS i]
  - name: restart
    restart: true
  - name: read
    exec: [psql, -h, 127.0.0.1, -U, postgres, -At, -c, SELECT i FROM t]
    expect: ^1$
";

#[test]
#[ignore = "only with --all-images"]
fn hard_65_a_database_starts_a_first_and_a_second_time_and_with_data_of_others() {
    if !can_run() {
        return;
    }
    let Some(codes) = compare("postgres", POSTGRES, &[]) else { return };
    assert_eq!(&codes[..3], [0, 0, 0]);

    // Data that the original made are what the hardened image starts with.
    let (source, dir) = (image("postgres").unwrap(), hardened("postgres").unwrap());
    let work = workdir();
    let data = work.path().join("data");
    fs::create_dir(&data).unwrap();
    let (first, second) = (work.path().join("first.yaml"), work.path().join("second.yaml"));
    let bound = POSTGRES.replace(
        "container:",
        &format!("container:\n  binds: [\"{}:/var/lib/postgresql/data\"]", data.display()),
    );
    fs::write(&first, &bound).unwrap();
    let no_password = bound.replace("POSTGRES_PASSWORD: s3cret, ", "");
    let at = |step: &str| no_password.find(step).unwrap();
    let (write, read) = (at("  - name: write"), at("  - name: read"));
    fs::write(&second, [&no_password[..write], &no_password[read..]].concat()).unwrap();
    for (image, coverage) in [(source, first), (dir.join("postgres"), second)] {
        let profile = coverage.with_extension("profile").display().to_string();
        let image = format!("oci:{}", image.display());
        careen_json(&["record", &image, "-c", &coverage.display().to_string(), "-o", &profile, "-q"]);
    }
}

#[test]
#[ignore = "only with --all-images"]
fn hard_63_a_database_runs_read_only_and_as_another_user() {
    if !can_run() {
        return;
    }
    let ways: [&[&str]; 3] = [
        &["--user", "12345"],
        &["--read-only", "--tmpfs", "/run/postgresql", "--tmpfs", "/tmp"],
        &[
            "--read-only",
            "--tmpfs",
            "/run/postgresql",
            "--tmpfs",
            "/tmp",
            "--user",
            "postgres",
            "--cap-drop",
            "ALL",
        ],
    ];
    for way in ways {
        let Some(codes) = compare("postgres", POSTGRES, way) else { return };
        assert_eq!(&codes[..3], [0, 0, 0], "the original, {way:?}");
    }
}

#[test]
#[ignore = "only with --all-images"]
fn hard_75_a_database_that_ran_leaves_no_trace_in_the_hardened_image() {
    if !can_run() {
        return;
    }
    for (name, empty) in [
        ("postgres", ["var/lib/postgresql/data", "run/postgresql"]),
        ("mariadb", ["var/lib/mysql", "run/mysqld"]),
    ] {
        let (Some(source), Some(dir)) = (image(name), hardened(name)) else { return };
        let (before, after) = (umoci(&source), umoci(&dir.join(name)));
        for directory in empty {
            let content: Vec<_> = fs::read_dir(after.rootfs.join(directory)).unwrap().collect();
            assert!(content.is_empty(), "{name}: {directory} must be there and empty: {content:?}");
        }
        let (old, new) = (paths(&before), paths(&after));
        let added: Vec<_> = new.difference(&old).collect();
        assert!(added.is_empty(), "{name}: {added:?} were not in the image");
        let changed: Vec<_> = new.iter().filter(|path| !is_same(&before, &after, path)).collect();
        let is_list = |path: &Path| path.starts_with("var/lib/dpkg");
        assert!(changed.iter().all(|path| is_list(path)), "{name}: {changed:?} have another content");
        assert!(!changed.is_empty(), "the list of packages is cut down, and this test would see it");
    }
}

fn is_same(before: &Unpacked, after: &Unpacked, path: &Path) -> bool {
    let (old, new) = (before.rootfs.join(path), after.rootfs.join(path));
    match fs::symlink_metadata(&new).unwrap() {
        meta if meta.is_symlink() => fs::read_link(old).unwrap() == fs::read_link(new).unwrap(),
        meta if meta.is_file() => fs::read(old).unwrap() == fs::read(new).unwrap(),
        meta => fs::symlink_metadata(old).unwrap().file_type() == meta.file_type(),
    }
}

/// All paths of an image, of whatever kind.
fn paths(image: &Unpacked) -> BTreeSet<PathBuf> {
    let (mut paths, mut pending) = (BTreeSet::new(), vec![image.rootfs.clone()]);
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
            }
            paths.insert(entry.path().strip_prefix(&image.rootfs).unwrap().to_owned());
        }
    }
    paths
}
