//! Every declared image, hardened with its own coverage and then put through checks that this coverage does not have.
//!
//! `images/NAME/coverage.yaml` is what a user would write (Redis and nginx have a built-in one), `checks.yaml` beside
//! it is new ground. The checks must pass on the original, else they are wrong, and then on the hardened image.
//!
//! The quick images run always; the others are ignored unless asked for, as `cargo xtask test --all-images` does.
//! With `CAREEN_IMAGE_RESULTS` set to a directory, each test leaves its figures there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{can_run, careen, careen_json, image, umoci, workdir};

/// At least so many steps of the checks are not in the coverage.
const NEW_STEPS: usize = 5;

#[test]
fn redis_does_what_its_coverage_never_tried() {
    passes_its_checks("redis", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn nginx_does_what_its_coverage_never_tried() {
    passes_its_checks("nginx", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn go_static_does_what_its_coverage_never_tried() {
    passes_its_checks("go-static", 100);
}

#[test]
#[ignore = "only with --all-images"]
fn haproxy_does_what_its_coverage_never_tried() {
    passes_its_checks("haproxy", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn java_jar_does_what_its_coverage_never_tried() {
    passes_its_checks("java-jar", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn mariadb_does_what_its_coverage_never_tried() {
    passes_its_checks("mariadb", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn memcached_does_what_its_coverage_never_tried() {
    passes_its_checks("memcached", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn mosquitto_does_what_its_coverage_never_tried() {
    passes_its_checks("mosquitto", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn php_apache_does_what_its_coverage_never_tried() {
    passes_its_checks("php-apache", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn postgres_does_what_its_coverage_never_tried() {
    passes_its_checks("postgres", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn varnish_does_what_its_coverage_never_tried() {
    passes_its_checks("varnish", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn perl_mojolicious_does_what_its_coverage_never_tried() {
    passes_its_checks("perl-mojolicious", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn python_lazy_does_what_its_coverage_never_tried() {
    passes_its_checks("python-lazy", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn ruby_sinatra_does_what_its_coverage_never_tried() {
    passes_its_checks("ruby-sinatra", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn rabbitmq_does_what_its_coverage_never_tried() {
    passes_its_checks("rabbitmq", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn busybox_does_what_its_coverage_never_tried() {
    passes_its_checks("busybox", 100);
}

#[test]
#[ignore = "only with --all-images"]
fn node_express_does_what_its_coverage_never_tried() {
    passes_its_checks("node-express", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn python_flask_does_what_its_coverage_never_tried() {
    passes_its_checks("python-flask", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn tomcat_does_what_its_coverage_never_tried() {
    passes_its_checks("tomcat", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn django_does_what_its_coverage_never_tried() {
    passes_its_checks("django", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn httpd_tls_does_what_its_coverage_never_tried() {
    passes_its_checks("httpd-tls", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn mail_does_what_its_coverage_never_tried() {
    passes_its_checks("mail", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn r_plumber_does_what_its_coverage_never_tried() {
    passes_its_checks("r-plumber", 67);
}

#[test]
#[ignore = "only with --all-images"]
fn supervisord_does_what_its_coverage_never_tried() {
    passes_its_checks("supervisord", 67);
}

#[test]
fn every_declared_image_has_a_test_here() {
    let mut declared = BTreeSet::new();
    for entry in fs::read_dir(images_dir()).unwrap() {
        let path = entry.unwrap().path();
        // A variant of another image has that one's files, and its test.
        if path.extension().is_some_and(|end| end == "toml")
            && !fs::read_to_string(&path).unwrap().lines().any(|line| line.starts_with("like = "))
        {
            declared.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    let tests: BTreeSet<String> = include_str!("images.rs")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("passes_its_checks(\"")?.split('"').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(declared, tests);
}

/// Hardens an image, runs its checks on the original and on the result, and holds the two against each other.
///
/// Of the bytes in the original's files, at most `percent` may remain: 100 for what is next to nothing but a workload.
fn passes_its_checks(name: &str, percent: u64) {
    if !can_run() {
        return;
    }
    let Some(source) = image(name) else { return };
    let dir = workdir();
    let original = format!("oci:{}", source.display());
    let hardened = format!("oci:{}", dir.path().join(name).display());
    let own = images_dir().join(name).join("coverage.yaml");
    let coverage = if own.is_file() { own.display().to_string() } else { name.to_owned() };
    let checks = images_dir().join(name).join("checks.yaml").display().to_string();
    let profile = dir.path().join("checks.profile").display().to_string();

    let started = Instant::now();
    let result = careen_json(&["harden", &original, "-c", &coverage, "-o", &hardened, "-q"]);
    let seconds = started.elapsed().as_secs_f64();
    careen_json(&["record", &original, "-c", &checks, "-o", &profile, "-q"]);
    let verified = careen(&["verify", &hardened, "-c", &checks, "-p", &profile, "-q", "--output", "json"]);
    let verification: Value = serde_json::from_slice(&verified.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&verified.stderr)));
    leave(name, &figures(name, &result, &verification, seconds));

    let steps = |runs: &Value| -> BTreeSet<String> {
        runs.as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap().to_owned()).collect()
    };
    let known = steps(&result["runs"][0]["steps"]);
    let new = steps(&verification["steps"]).difference(&known).count();
    assert!(new >= NEW_STEPS, "only {new} checks are not in the coverage");
    assert_eq!(result["verification"]["verdict"], "passed");
    assert_eq!(failed(&verification), Vec::<String>::new(), "checks that fail on the hardened image");
    assert_sound(&source, &dir.path().join(name), percent);
}

/// Size, metadata and package list of the result, by umoci and dpkg.
fn assert_sound(original: &Path, hardened: &Path, percent: u64) {
    let (before, after) = (umoci(original), umoci(hardened));
    let ((files_before, bytes_before), (files_after, bytes_after)) = (before.files(), after.files());
    assert!(files_after.is_subset(&files_before), "nothing may be in the result that was not in the image");
    assert!(bytes_after * 100 <= bytes_before * percent, "{bytes_after} of {bytes_before} bytes remain");
    assert!(stored(hardened) <= stored(original), "the blobs grew");
    for file in &files_after {
        let (old, new) = (metadata(&before.rootfs.join(file)), metadata(&after.rootfs.join(file)));
        // Package databases and other lists are filtered: their size may differ, nothing else.
        assert_eq!(old, new, "mode, owner and time of {}", file.display());
    }
    if before.rootfs.join("var/lib/dpkg/status").is_file() {
        let (listed, all) = (after.dpkg_packages(), before.dpkg_packages());
        assert!(listed.is_subset(&all) && listed.len() < all.len() && !listed.is_empty());
        let lists_of = |package: &str| {
            let info = after.rootfs.join("var/lib/dpkg/info");
            fs::read_dir(&info).unwrap().any(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                name.strip_suffix(".list").is_some_and(|of| of.split(':').next() == Some(package))
            })
        };
        for package in &listed {
            assert!(lists_of(package), "{package} is listed as installed, but its list of files is gone");
        }
    }
}

fn metadata(path: &Path) -> (u32, u32, u32, i64) {
    use std::os::unix::fs::MetadataExt as _;
    let meta = fs::symlink_metadata(path).unwrap();
    (meta.mode(), meta.uid(), meta.gid(), meta.mtime())
}

/// The bytes of all blobs of a layout.
fn stored(layout: &Path) -> u64 {
    fs::read_dir(layout.join("blobs/sha256"))
        .unwrap()
        .map(|blob| blob.unwrap().metadata().unwrap().len())
        .sum()
}

/// What did not go as on the original, in words.
fn failed(verification: &Value) -> Vec<String> {
    let ended = |end: &Value| match &end["outcome"] {
        Value::String(outcome) => {
            format!("{outcome} {}", end["code"].as_i64().map_or(String::new(), |code| code.to_string()))
        }
        _ => "not run".to_owned(),
    };
    let texts = |of: &Value, text: &dyn Fn(&Value) -> String| -> Vec<String> {
        of.as_array().unwrap().iter().map(text).collect()
    };
    let steps: Vec<&Value> =
        verification["steps"].as_array().unwrap().iter().filter(|step| step["passed"] != true).collect();
    let mut found: Vec<String> = steps
        .iter()
        .map(|step| {
            let (before, after) = (ended(&step["original"]), ended(&step["hardened"]));
            let change =
                if before == after { "other output".to_owned() } else { format!("{before} became {after}") };
            format!("{}: {}", step["name"].as_str().unwrap(), change.trim_end())
        })
        .collect();
    if verification["verdict"] != "missed" {
        found.extend(gone(verification));
    }
    found.extend(texts(&verification["failures"], &Value::to_string));
    // Only whoever looks into a failure needs the outputs.
    for step in steps {
        println!("{}: {}", step["name"], step["differences"]);
    }
    found
}

/// What was looked for and had been removed.
fn gone(verification: &Value) -> Vec<String> {
    let lookups = verification["missing_lookups"].as_array().unwrap().iter();
    let text = |lookup: &Value| {
        format!("{}: {} is gone", lookup["step"].as_str().unwrap(), lookup["removed"].as_str().unwrap())
    };
    lookups.map(text).collect()
}

/// One row of the table in `docs/results.md`.
fn figures(name: &str, result: &Value, verification: &Value, seconds: f64) -> Value {
    let steps = verification["steps"].as_array().unwrap();
    json!({
        "image": name,
        "original": result["original"]["metrics"],
        "hardened": result["hardened"]["metrics"],
        "coverage_steps": result["runs"][0]["steps"].as_array().unwrap().len(),
        "checks": steps.len(),
        "checks_passed": steps.iter().filter(|step| step["passed"] == true).count(),
        "failed": failed(verification),
        "missed": if verification["verdict"] == "missed" { gone(verification) } else { Vec::new() },
        "seconds": seconds,
    })
}

fn leave(name: &str, figures: &Value) {
    if let Some(dir) = std::env::var_os("CAREEN_IMAGE_RESULTS") {
        let file = PathBuf::from(dir).join(format!("{name}.json"));
        fs::write(file, serde_json::to_vec_pretty(figures).unwrap()).unwrap();
    }
}

fn images_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images").canonicalize().unwrap()
}
