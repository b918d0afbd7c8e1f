//! Package databases of hardened images, as the package managers themselves and people see them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{
    Unpacked, can_run, careen, careen_json, document, hardened, image, skip, umoci, workdir,
};

/// Runs a program of the host; it must succeed.
fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).env("LC_ALL", "C").output().unwrap();
    let said = [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{program} {args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// dpkg on the root of an unpacked image.
fn dpkg(root: &Unpacked, args: &[&str]) -> String {
    run("dpkg", &[&["--root", root.rootfs.to_str().unwrap()], args].concat())
}

fn names(result: &Value, ecosystem: &str) -> BTreeSet<String> {
    let left = result["packages"]["left"].as_array().unwrap().iter();
    let left = left.filter(|package| package["ecosystem"] == ecosystem);
    left.map(|package| package["name"].as_str().unwrap().to_owned()).collect()
}

/// Hardens with the profile of the shared hardening, without running anything.
fn harden_again(work: &Path, dir: &Path, layout: &Path, package_db: &str) -> (Unpacked, Value) {
    let target = work.join(package_db);
    let result = careen_json(&[
        "harden",
        &format!("oci:{}", layout.display()),
        "--profile",
        dir.join("redis.careen/original.profile").to_str().unwrap(),
        "--no-verify",
        "--package-db",
        package_db,
        "-o",
        &format!("oci:{}", target.display()),
    ]);
    (umoci(&target), result)
}

#[test]
fn hard_71_dpkg_is_content_with_the_hardened_image() {
    let (true, Some(layout), Some(dir)) = (can_run(), image("redis"), hardened("redis")) else { return };
    let root = umoci(&dir.join("redis"));
    // No file is missing or changed by the checksums that was not so before, and no list names what is not there.
    let before = dpkg(&umoci(&layout), &["--verify"]);
    let after = dpkg(&root, &["--verify"]);
    let new: Vec<&str> = after.lines().filter(|line| before.lines().all(|known| known != *line)).collect();
    assert_eq!(new, [""; 0]);
    let packages = root.dpkg_packages();
    let listed = dpkg(&root, &["-l"]);
    assert_eq!(listed.lines().filter(|line| line.starts_with("ii ")).count(), packages.len(), "{listed}");
    for package in &packages {
        for path in dpkg(&root, &["-L", package]).lines().filter(|line| line.starts_with('/')) {
            let place = root.rootfs.join(path.trim_start_matches('/'));
            assert!(place.symlink_metadata().is_ok(), "{package} lists {path}");
        }
    }
    assert_eq!(dpkg(&root, &["-S", "/usr/bin/redis-server"]), "redis-server: /usr/bin/redis-server\n");
    let result = document(&dir.join("redis.careen/result.json"));
    assert_eq!(names(&result, "dpkg"), packages);
    let count = &result["packages"]["counts"]["dpkg"];
    assert_eq!(count["after"], packages.len());
    assert_eq!(count["after"], result["hardened"]["metrics"]["packages"]);
    assert_eq!(count["before"], result["original"]["metrics"]["packages"]);
}

#[test]
fn hard_73_a_package_of_which_a_part_is_left_is_marked() {
    let (true, Some(layout), Some(dir)) = (can_run(), image("redis"), hardened("redis")) else { return };
    let result = document(&dir.join("redis.careen/result.json"));
    let partial = |packages: &Value, is_partial: fn(&Value) -> bool| -> BTreeSet<String> {
        let packages = packages.as_array().unwrap().iter().filter(|package| is_partial(package));
        packages.map(|package| package["name"].as_str().unwrap().to_owned()).collect()
    };
    let told = partial(&result["packages"]["left"], |package| package["presence"] == "partial");
    assert!(told.contains("libc6") && told.len() > 5, "{told:?}");
    let inspect = |layout: &Path| careen_json(&["inspect", &format!("oci:{}", layout.display())]);
    let hardened = inspect(&dir.join("redis"));
    assert_eq!(partial(&hardened["packages"], |package| package["partial"] == true), told);
    let original = inspect(&layout);
    assert_eq!(partial(&original["packages"], |package| package["partial"] == true), BTreeSet::new());
    let text = careen(&["inspect", &format!("oci:{}", dir.join("redis").display())]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains(&format!("in part only  {} packages", told.len())), "{text}");
}

#[test]
fn hard_72_no_policy_on_the_databases_changes_a_count() {
    let (true, Some(layout), Some(dir)) = (can_run(), image("redis"), hardened("redis")) else { return };
    let work = workdir();
    let before = umoci(&layout);
    let admin = |root: &Unpacked| root.rootfs.join("var/lib/dpkg").display().to_string();

    let (kept, with_kept) = harden_again(work.path(), &dir, &layout, "keep");
    assert_eq!(run("diff", &["-r", &admin(&before), &admin(&kept)]), "");
    let (dropped, with_dropped) = harden_again(work.path(), &dir, &layout, "drop");
    let remains =
        run("find", &[dropped.rootfs.join("var/lib").to_str().unwrap(), "-path", "*dpkg*", "-type", "f"]);
    assert_eq!(remains, "");
    let warnings = with_dropped["warnings"].to_string();
    assert!(warnings.contains("scanners will not see"), "{warnings}");

    let (_, filtered) = harden_again(work.path(), &dir, &layout, "filter");
    for result in [&with_kept, &with_dropped] {
        assert_eq!(result["packages"], filtered["packages"]);
        assert_eq!(result["hardened"]["metrics"]["packages"], filtered["hardened"]["metrics"]["packages"]);
    }
    // Twice the same policy, the same image.
    let result = document(&dir.join("redis.careen/result.json"));
    assert_eq!(result["hardened"]["manifest_digest"], filtered["hardened"]["manifest_digest"]);
}

#[test]
#[ignore = "only with --all-images"]
fn hard_71_pip_lists_what_is_left_of_a_python_image() {
    let name = "python-flask";
    let (true, Some(layout)) = (can_run(), image(name)) else { return };
    let coverage =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images").join(name).join("coverage.yaml");
    if Command::new("pip").arg("--version").output().is_err() || !coverage.is_file() {
        return skip("no pip, or no coverage of the image");
    }
    let work = workdir();
    let target = work.path().join("hardened");
    let result = careen_json(&[
        "harden",
        &format!("oci:{}", layout.display()),
        "--coverage",
        coverage.to_str().unwrap(),
        "-o",
        &format!("oci:{}", target.display()),
    ]);
    let root = umoci(&target);
    let sites = run("find", &[root.rootfs.to_str().unwrap(), "-name", "*.dist-info", "-printf", "%h\\n"]);
    let sites: BTreeSet<_> = sites.lines().collect();
    assert!(!sites.is_empty());
    let listed: BTreeSet<String> = sites
        .iter()
        .flat_map(|site| {
            let list =
                run("pip", &["list", "--path", site, "--format", "json", "--disable-pip-version-check"]);
            let list: Value = serde_json::from_str(&list).unwrap();
            let names =
                list.as_array().unwrap().iter().map(|package| package["name"].as_str().unwrap().to_owned());
            names.collect::<Vec<_>>()
        })
        .collect();
    let told = names(&result, "python");
    let lower = |names: &BTreeSet<String>| names.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>();
    assert_eq!(lower(&told), lower(&listed));
    // Every file that a RECORD names is there.
    let script = "\
import importlib.metadata as m, sys
for d in m.distributions(path=sys.argv[1:]):
    for f in d.files or []:
        assert f.locate().exists(), (d.name, str(f))
";
    run("python3", &[&["-c", script], &sites.iter().copied().collect::<Vec<_>>()[..]].concat());
    assert_eq!(dpkg(&root, &["--verify"]), "");
}
