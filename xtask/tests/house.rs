//! Rules of the house that a compiler does not check: who may depend on whom, and what must not be in the repository.
#![expect(clippy::unwrap_used, reason = "what cannot be read fails its test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// A crate may depend on crates of a lower rank only.
const RANKS: [(&str, u32); 16] = [
    ("careen-sys", 0),
    ("careen-settings", 0),
    ("careen-image", 1),
    ("careen-profile", 2),
    ("careen-registry", 2),
    ("careen-engine", 3),
    ("careen-sensor", 3),
    ("careen-packages", 3),
    ("careen-coverage", 4),
    ("careen-harden", 4),
    ("careen-advisories", 4),
    ("careen-sbom", 4),
    ("careen-attest", 5),
    ("careen-report", 5),
    ("careen-scan", 5),
    ("careen", 6),
];
/// For tests: depends on none of ours, and nothing that ships depends on it.
const TESTKIT: &str = "careen-testkit";
const XTASK: &str = "xtask";
/// Crates that bring the text of a licence without naming it, and what the text is.
const LICENCE_FILES: [(&str, &str); 1] = [("rust-criu", "MIT")];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    description: Option<String>,
    source: Option<String>,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    src_path: PathBuf,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for one of the product, else `dev` or `build`.
    kind: Option<String>,
    path: Option<PathBuf>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn metadata(arguments: &[&str]) -> Metadata {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root())
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn ours() -> Vec<Package> {
    let metadata = metadata(&["--no-deps"]);
    metadata.packages.into_iter().filter(|package| metadata.workspace_members.contains(&package.id)).collect()
}

/// Every file in the repository.
fn tracked() -> Vec<String> {
    let listing = Command::new("git").current_dir(root()).args(["ls-files", "-z"]).output().unwrap();
    assert!(listing.status.success(), "{}", String::from_utf8_lossy(&listing.stderr));
    String::from_utf8(listing.stdout).unwrap().split_terminator('\0').map(str::to_owned).collect()
}

/// The file that a crate's documentation starts in.
fn entry(package: &Package) -> PathBuf {
    let src = package.manifest_path.parent().unwrap().join("src");
    [src.join("lib.rs"), src.join("main.rs")].into_iter().find(|file| file.is_file()).unwrap()
}

#[test]
fn dependencies_point_to_lower_ranks_only() {
    let ranks = BTreeMap::from(RANKS);
    let mut wrong = Vec::new();
    for package in ours() {
        let rank = ranks.get(package.name.as_str());
        if rank.is_none() && package.name != TESTKIT && package.name != XTASK {
            wrong.push(format!("{} has no rank", package.name));
        }
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            let is_allowed = if dependency.name == TESTKIT {
                dependency.kind.as_deref() == Some("dev")
            } else {
                matches!((rank, ranks.get(dependency.name.as_str())), (Some(rank), Some(lower)) if lower < rank)
            };
            if !is_allowed {
                wrong.push(format!("{} must not depend on {}", package.name, dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_the_binary_knows_the_command_line_parser() {
    let users: Vec<String> = ours()
        .into_iter()
        .filter(|package| package.dependencies.iter().any(|dependency| dependency.name.starts_with("clap")))
        .map(|package| package.name)
        .collect();
    assert!(users.iter().all(|name| name == "careen"), "{users:?}");
}

#[test]
fn every_crate_but_sys_forbids_unsafe_code() {
    for package in ours().iter().filter(|package| package.name != "careen-sys") {
        for target in package
            .targets
            .iter()
            .filter(|target| target.kind.iter().any(|kind| kind == "lib" || kind == "bin"))
        {
            let text = fs::read_to_string(&target.src_path).unwrap();
            assert!(text.contains("#![forbid(unsafe_code)]"), "{}", target.src_path.display());
        }
    }
}

#[test]
fn unsafe_code_stands_in_sys_only() {
    // Tests and build scripts are crates of their own, whose roots forbid nothing.
    let forms = ["{", "fn", "impl", "extern", "trait"].map(|rest| format!("{} {rest}", "unsafe"));
    let mut found = Vec::new();
    for file in tracked().into_iter().filter(|file| file.ends_with(".rs") && !file.starts_with("crates/sys/"))
    {
        let Ok(text) = fs::read_to_string(root().join(&file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if forms.iter().any(|form| code.contains(form.as_str())) {
                found.push(format!("{file}:{}", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_crate_says_what_it_is() {
    for package in ours() {
        assert!(
            package.description.as_deref().is_some_and(|text| text.len() > 10),
            "{} has no description",
            package.name
        );
        let entry = entry(&package);
        let text = fs::read_to_string(&entry).unwrap();
        assert!(text.starts_with("//! "), "{} does not start with its documentation", entry.display());
    }
}

/// Hosts of the package archives that this machine uses.
fn apt_hosts() -> Vec<String> {
    let mut files = vec![Path::new("/etc/apt/sources.list").to_owned()];
    files.extend(fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|e| e.path()));
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    let hosts = texts.flat_map(|text| {
        let after = text.split("://").skip(1).map(str::to_owned).collect::<Vec<_>>();
        after.into_iter().filter_map(|rest| rest.split(['/', ' ', '\n']).next().map(str::to_owned))
    });
    hosts.filter(|host| host.contains('.')).collect::<BTreeSet<_>>().into_iter().collect()
}

#[test]
fn the_repository_names_no_mirrors_and_no_machine() {
    let mut forbidden = apt_hosts();
    // Where this checkout and this user's home lie. A short path would be found in any text.
    let home = std::env::var("HOME").unwrap_or_default() + "/.c";
    forbidden.extend([root().display().to_string(), home].into_iter().filter(|path| path.len() > 5));

    let mut found = Vec::new();
    for file in tracked() {
        // A file that is deleted but not committed so.
        let Ok(bytes) = fs::read(root().join(&file)) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = forbidden.iter().find(|word| line.contains(word.as_str())) {
                found.push(format!("{file}:{}: {word}", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_dependency_has_a_licence_and_a_source_that_are_allowed() {
    #[derive(Deserialize)]
    struct Deny {
        licenses: Licenses,
        bans: Bans,
    }
    #[derive(Deserialize)]
    struct Licenses {
        allow: Vec<String>,
        exceptions: Vec<Exception>,
    }
    #[derive(Deserialize)]
    struct Exception {
        #[serde(rename = "crate")]
        name: String,
        allow: Vec<String>,
    }
    #[derive(Deserialize)]
    struct Bans {
        deny: Vec<Ban>,
    }
    #[derive(Deserialize)]
    struct Ban {
        #[serde(rename = "crate")]
        name: String,
    }
    let deny: Deny = toml::from_str(&fs::read_to_string(root().join("deny.toml")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    let metadata = metadata(&["--filter-platform=x86_64-unknown-linux-gnu"]);
    for package in &metadata.packages {
        let name = format!("{} {}", package.name, package.version);
        let licence = match &package.license {
            Some(expression) => expression,
            None => LICENCE_FILES
                .iter()
                .find(|(name, _)| *name == package.name)
                .map_or("", |(_, licence)| licence),
        };
        let mut allowed = deny.licenses.allow.clone();
        for exception in deny.licenses.exceptions.iter().filter(|exception| exception.name == package.name) {
            allowed.extend_from_slice(&exception.allow);
        }
        if !is_allowed(licence, &allowed) {
            wrong.push(format!("{name}: licence {licence:?}"));
        }
        if !package.source.as_deref().is_none_or(|source| source.starts_with("registry+")) {
            wrong.push(format!("{name}: not from the registry"));
        }
        if deny.bans.deny.iter().any(|ban| ban.name == package.name) {
            wrong.push(format!("{name}: banned"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether one can choose among the `OR`s of an SPDX expression so that every licence is in the list. `/` is an old
/// way to write `OR`.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = expression.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest, allowed) && rest.is_empty()
}

fn any_of(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut result = all_of(words, allowed);
    while words.first() == Some(&"OR") {
        *words = &words[1..];
        result |= all_of(words, allowed);
    }
    result
}

fn all_of(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut result = one(words, allowed);
    while words.first() == Some(&"AND") {
        *words = &words[1..];
        result &= one(words, allowed);
    }
    result
}

fn one(words: &mut &[&str], allowed: &[String]) -> bool {
    let Some((first, rest)) = words.split_first() else { return false };
    *words = rest;
    if *first == "(" {
        let result = any_of(words, allowed);
        *words = words.get(1..).unwrap_or_default();
        return result;
    }
    let mut licence = (*first).to_owned();
    if let ["WITH", exception, rest @ ..] = *words {
        licence = format!("{licence} WITH {exception}");
        *words = rest;
    }
    allowed.contains(&licence)
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"].map(str::to_owned);
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("MIT/GPL-3.0", true),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("GPL-3.0 OR Apache-2.0 WITH LLVM-exception", true),
        ("GPL-3.0 WITH LLVM-exception", false),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}
