//! `cargo xtask fuzz`: lets libFuzzer try to break what reads foreign bytes.
//!
//! Built by the stable compiler: the flags below are what `cargo fuzz` gives, without a sanitizer, which safe Rust has
//! little use for. Corpora lie in `fuzz/corpus`; what breaks something is left in `fuzz/crashes`, to become a test.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{apt, command, workspace};

/// What there is to fuzz; `fuzz/src/main.rs` says what each reads.
const TARGETS: [&str; 11] = [
    "dpkg",
    "apk",
    "rpmdb",
    "archive",
    "program",
    "manifest",
    "upstream",
    "database",
    "sealed-database",
    "sbom",
    "vex",
];
const SECONDS: u32 = 60;
/// Longer inputs find nothing that shorter ones do not, and take longer.
const MAX_BYTES: u32 = 16_384;
/// An input that takes longer, in seconds, or more memory, in megabytes, has broken something.
const TIMEOUT_SECONDS: u32 = 10;
const MEMORY_MB: u32 = 1_024;
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// Runs the named targets, all if none is named, `--seconds N` each.
pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let (targets, seconds) = parse(arguments)?;
    apt::ensure(&workspace::TO_BUILD)?;
    apt::ensure(&["g++"])?;
    let program = build()?;
    let home = workspace::root().join("fuzz");
    let crashes = home.join("crashes");
    std::fs::create_dir_all(&crashes).with_context(|| format!("cannot make {}", crashes.display()))?;
    let mut broken = Vec::new();
    for target in targets {
        // What this run finds is kept apart: the corpus in the repository stays small.
        let found = workspace::target_dir()?.join("fuzz-corpus").join(target);
        std::fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
        eprintln!("{target}: {seconds} seconds");
        let mut run = Command::new(&program);
        run.env("CAREEN_FUZZ", target).arg(&found).arg(home.join("corpus").join(target));
        run.args([
            format!("-max_total_time={seconds}"),
            format!("-max_len={MAX_BYTES}"),
            format!("-timeout={TIMEOUT_SECONDS}"),
            format!("-rss_limit_mb={MEMORY_MB}"),
            format!("-artifact_prefix={}/{target}-", crashes.display()),
            "-print_final_stats=1".to_owned(),
            "-verbosity=0".to_owned(),
        ]);
        if let Err(error) = command::run(&mut run) {
            eprintln!("{target}: {error:#}");
            broken.push(target);
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    bail!("broken: {}; the inputs are in {}", broken.join(", "), crashes.display())
}

fn parse(arguments: &[String]) -> Result<(Vec<&'static str>, u32)> {
    let (mut targets, mut seconds) = (Vec::new(), SECONDS);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--seconds" {
            let number = rest.next().and_then(|number| number.parse().ok());
            seconds = number.filter(|number| *number > 0).context("--seconds takes a number")?;
        } else {
            match TARGETS.iter().find(|target| *target == argument) {
                Some(target) => targets.push(*target),
                None => bail!("there is no target {argument:?}: {}", TARGETS.join(", ")),
            }
        }
    }
    Ok((if targets.is_empty() { TARGETS.to_vec() } else { targets }, seconds))
}

fn build() -> Result<PathBuf> {
    let target_dir = workspace::target_dir()?.join("fuzz");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root().join("fuzz")).env("RUSTFLAGS", FLAGS);
    cargo.env("CARGO_TARGET_DIR", &target_dir);
    cargo.args(["build", "--release", "--locked", "--target", TRIPLE]);
    command::run(&mut cargo).context("cannot build the fuzzer")?;
    Ok(target_dir.join(TRIPLE).join("release/careen-fuzz"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn targets_and_seconds_are_read_and_others_refused() {
        let parsed = |words: &str| {
            let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            parse(&words)
        };
        assert_eq!(parsed("").unwrap(), (TARGETS.to_vec(), SECONDS));
        assert_eq!(parsed("sbom --seconds 5 apk").unwrap(), (vec!["sbom", "apk"], 5));
        for wrong in ["other", "--seconds", "--seconds 0", "--seconds x"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_target_has_a_corpus_and_the_fuzzer_knows_it() {
        let home = workspace::root().join("fuzz");
        let program = std::fs::read_to_string(home.join("src/main.rs")).unwrap();
        for target in TARGETS {
            let corpus = std::fs::read_dir(home.join("corpus").join(target)).unwrap();
            assert!(corpus.count() > 0, "{target}");
            assert!(program.contains(&format!("(\"{target}\", ")), "{target}");
        }
    }

    /// The names of a manifest's or a lock file's dependencies; renamed ones by the name of their package.
    fn dependencies(manifest: &toml::Table, renamed: &toml::Table) -> BTreeSet<String> {
        let sections =
            ["dependencies", "build-dependencies"].iter().filter_map(|name| manifest.get(*name)?.as_table());
        let name = |name: &String| {
            let package = renamed.get(name).and_then(|entry| entry.get("package")?.as_str());
            package.unwrap_or(name).to_owned()
        };
        sections.flat_map(toml::Table::keys).map(name).collect()
    }

    #[test]
    fn the_fuzzers_lock_file_knows_what_our_crates_depend_on() {
        let read = |path: &str| -> toml::Table {
            std::fs::read_to_string(workspace::root().join(path)).unwrap().parse().unwrap()
        };
        let (lock, root) = (read("fuzz/Cargo.lock"), read("Cargo.toml"));
        let renamed = root["workspace"]["dependencies"].as_table().unwrap();
        let mut ours = 0;
        for package in lock["package"].as_array().unwrap() {
            let name = package["name"].as_str().unwrap();
            let Some(short) = name.strip_prefix("careen-").filter(|short| *short != "fuzz") else { continue };
            let locked = package.get("dependencies").and_then(toml::Value::as_array).into_iter().flatten();
            // With a version behind it where there are several.
            let locked = locked.map(|entry| entry.as_str().unwrap().split(' ').next().unwrap().to_owned());
            let wanted = dependencies(&read(&format!("crates/{short}/Cargo.toml")), renamed);
            assert_eq!(locked.collect::<BTreeSet<_>>(), wanted, "{name}: run cargo metadata in fuzz/");
            ours += 1;
        }
        assert!(ours >= 4, "{ours}");
    }
}
