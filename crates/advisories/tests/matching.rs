//! Matching on real data and real images.
//!
//! The data are those that `CAREEN_VULNDATA` names, else the excerpts beside these tests; images are declared ones, built before (`cargo xtask images`).
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "what cannot be read fails its test")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use careen_advisories::import::{Import, Limits};
use careen_advisories::matching::find;
use careen_advisories::{Advisory, Affected, Database, DatabaseBuilder, Range};
use image::{Image, ImagePath, ImageSource, OpenOptions};
use packages::{Ecosystem, FileList, InstallState, Origin, OsRelease, Package, PackageDatabase};

/// The directory of all data.
fn all_data() -> Option<PathBuf> {
    std::env::var_os("CAREEN_VULNDATA").map(PathBuf::from)
}

/// A database of all data in a directory.
fn database(dir: &Path) -> Database {
    let mut import = Import::new("2026-11-22T00:00:00Z", Limits::default());
    import.path(dir, &mut |_| true).unwrap();
    Database::from_bytes(import.finish().finish().unwrap()).unwrap()
}

fn source_package(name: &str, version: &str) -> Package {
    Package {
        ecosystem: Ecosystem::Dpkg,
        name: name.into(),
        version: version.into(),
        architecture: "amd64".into(),
        source_name: name.into(),
        source_version: version.into(),
        licence: None,
        maintainer: None,
        state: InstallState::Installed,
        purl: String::new(),
        file_list: FileList::Complete,
        files: BTreeSet::new(),
        origin: Origin::Embedded { file: ImagePath::root(), within: Vec::new() },
    }
}

#[derive(serde::Deserialize)]
struct Reference {
    cve: String,
    source: String,
    debian: String,
    range: String,
    fixed: String,
}

/// Another scanner's word on vulnerabilities in Debian, as published with reports. Just below its fixed version we must
/// find each, at that version none; what it has as open we must find where the data at hand speak of it at all: they
/// hold a sample of Debian's list.
#[test]
fn debian_packages_are_hit_where_another_scanner_found_them_to_be() {
    let Some(dir) = all_data() else {
        eprintln!("SKIP CAREEN_VULNDATA names no directory of vulnerability data");
        return;
    };
    let database = database(&dir);
    let mut text = String::new();
    let file = std::fs::File::open(dir.join("debian/reference-affected.jsonl.zst")).unwrap();
    let mut decoder = zstd::stream::read::Decoder::new(file).unwrap();
    decoder.window_log_max(27).unwrap();
    decoder.read_to_string(&mut text).unwrap();
    let (mut wrong, mut counts) = (Vec::new(), BTreeMap::<&str, usize>::new());
    for line in text.lines() {
        let reference: Reference = serde_json::from_str(line).unwrap();
        let is_hit = |version: &str| {
            let mut image = PackageDatabase::default();
            image.packages.push(source_package(&reference.source, version));
            let os = format!("ID=debian\nVERSION_ID={}\n", reference.debian);
            image.os_release = Some(OsRelease::parse(os.as_bytes()));
            find(&image, &database).unwrap().iter().any(|found| found.vulnerability == reference.cve)
        };
        let ecosystem = format!("Debian:{}", reference.debian);
        let answers = database.affected(&ecosystem, &reference.source).unwrap();
        let fixes: Vec<bool> = answers
            .iter()
            .filter(|answer| answer.vulnerability == reference.cve)
            .map(|answer| answer.affected.ranges.iter().all(|range| range.fixed.is_some()))
            .collect();
        let verdict = match reference.fixed.as_str() {
            "Not Fixed" => {
                let version = reference.range.split_once(">=").map_or("0.1", |(_, version)| version);
                match (is_hit(version), fixes.as_slice()) {
                    (true, _) => "open",
                    (false, []) => "open, not in the data",
                    // Debian's changelog knows better.
                    (false, fixes) if fixes.iter().all(|is_fixed| *is_fixed) => "open, fixed in the data",
                    (false, _) => "open, but not found",
                }
            }
            fixed if !is_hit(&format!("{fixed}~")) => "fixed, but not found below",
            fixed if is_hit(fixed) => "fixed, but still found",
            _ => "fixed",
        };
        *counts.entry(verdict).or_default() += 1;
        if verdict.contains("but") {
            wrong.push(format!("{verdict}: {line}"));
        }
    }
    eprintln!("{counts:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(counts["fixed"] > 100 && counts["open"] > 100, "{counts:?}");
}

/// The packages of a declared image that was built before.
fn packages_of(name: &str) -> Option<PackageDatabase> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
    let dir = cache.join("careen/images").join(name);
    if !dir.join("index.json").exists() {
        assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "the image {name} is not built");
        eprintln!("SKIP the image {name} is not built");
        return None;
    }
    let scratch = tempfile::tempdir().unwrap();
    let source = ImageSource::OciLayout { dir, tag: Some("latest".into()) };
    let options = OpenOptions { scratch_dir: scratch.path().to_owned(), ..OpenOptions::default() };
    Some(packages::catalog(&Image::open(&source, &options).unwrap()).unwrap())
}

const IMAGES: [&str; 3] = ["redis", "nginx", "node-express"];

#[test]
fn every_binary_package_of_a_real_image_is_hit_below_the_fixed_version_of_its_source_only() {
    for name in IMAGES {
        let Some(packages) = packages_of(name) else { continue };
        let mut builder = DatabaseBuilder::new();
        let mut expected = 0;
        for package in packages.installed_system() {
            expected += 1;
            for (id, fixed) in [
                ("CVE-1", format!("{}+0", package.source_version)),
                ("CVE-2", package.source_version.clone()),
            ] {
                let range = Range { fixed: Some(fixed), ..Range::default() };
                let affected = Affected {
                    ecosystem: "Debian:12".into(),
                    package: package.source_name.clone(),
                    ranges: vec![range],
                    ..Affected::default()
                };
                let (id, source) = (format!("{id}-{}", package.source_name), "test".to_owned());
                builder.advisory(Advisory { id, source, affected: vec![affected], ..Advisory::default() });
            }
        }
        let findings = find(&packages, &Database::from_bytes(builder.finish().unwrap()).unwrap()).unwrap();
        assert!(expected > 50, "{name}");
        assert_eq!(findings.len(), expected, "{name}");
        for finding in &findings {
            let source = &packages.package(finding.package).unwrap().source_name;
            assert_eq!(finding.vulnerability, format!("CVE-1-{source}"), "{name}");
        }
    }
}

#[test]
fn findings_of_real_images_hold_before_dpkg() {
    let excerpts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/upstream");
    let at_least = if all_data().is_some() { 50 } else { 5 };
    let database = database(&all_data().unwrap_or(excerpts));
    for name in IMAGES {
        let Some(packages) = packages_of(name) else { continue };
        let begun = Instant::now();
        let findings = find(&packages, &database).unwrap();
        eprintln!(
            "{name}: {} packages, {} findings in {:?}",
            packages.packages.len(),
            findings.len(),
            begun.elapsed()
        );
        assert!(findings.len() > at_least, "{name}: {}", findings.len());
        let rows: BTreeSet<_> = findings.iter().map(|found| (found.package, &found.vulnerability)).collect();
        assert_eq!(rows.len(), findings.len(), "one row for each vulnerability of a package");
        for finding in &findings {
            let package = packages.package(finding.package).unwrap();
            if package.ecosystem != Ecosystem::Dpkg {
                continue;
            }
            for evidence in &finding.evidence {
                assert_eq!(
                    (&evidence.package, &evidence.version),
                    (&package.source_name, &package.source_version)
                );
                assert!(evidence.ecosystem.starts_with("Debian"), "{finding:?}");
            }
            for fixed in &finding.fixed {
                let status = Command::new("dpkg")
                    .args(["--compare-versions", &package.source_version, "lt", fixed])
                    .status();
                assert!(status.unwrap().success(), "{finding:?}");
            }
        }
    }
}
