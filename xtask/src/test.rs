//! `cargo xtask test`: everything that must hold before a change lands, from a bare machine on.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::bench::peers;
use crate::{apt, command, images, results, vm, workspace};

/// Packages that tests call, beside those that build images.
const TO_TEST: [&str; 17] = [
    "git",
    "curl",
    "busybox-static",
    "redis-tools",
    "iproute2",
    "docker.io",
    "chromium",
    "chromium-driver",
    "skopeo",
    "zstd",
    "zsh",
    "fish",
    "rpm",
    "db5.3-util",
    "minisign",
    "docker-registry",
    "golang-go",
];
/// Images that tests run or list.
const IMAGES: [&str; 7] =
    ["redis", "nginx", "perl-mojolicious", "python-lazy", "ruby-sinatra", "python-flask", "node-express"];

/// With `--all-images`: every declared image, or those named, hardened and checked.
/// Without a filter: formatting, lints, dependencies, documentation, all tests, and in CI the virtual machines. With one:
/// the tests that match it.
pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let in_ci = std::env::var_os("CI").is_some();
    apt::ensure(&workspace::TO_BUILD)?;
    apt::ensure(&TO_TEST)?;
    for (program, package) in [("pip", "python3-pip"), ("npm", "npm")] {
        if !command::is_installed(program) {
            apt::ensure(&[package])?;
        }
    }
    if let Some((_, names)) = arguments.split_first().filter(|(first, _)| *first == "--all-images") {
        ensure_nextest()?;
        return results::main(names);
    }
    images::build(&IMAGES.map(str::to_owned), false)?;
    if in_ci {
        peers::syft()?;
    }
    ensure_nextest()?;
    if arguments.is_empty() {
        step("formatting", cargo(&["fmt", "--all", "--check"]))?;
        step(
            "lints",
            cargo(&["clippy", "--release", "--locked", "--workspace", "--all-targets", "--", "-Dwarnings"]),
        )?;
        if command::is_installed("cargo-deny") {
            // Advisories need a database from elsewhere: that check is its own command, `cargo deny check`.
            step(
                "licences and sources",
                cargo(&["deny", "--locked", "check", "bans", "licenses", "sources"]),
            )?;
        }
        step(
            "examples in the documentation",
            cargo(&["test", "--release", "--locked", "--workspace", "--doc", "--quiet"]),
        )?;
    }
    if in_ci && arguments.is_empty() {
        eprintln!("--- the sensor on other kernels");
        vm::main(&[vm::OR_SKIP.to_owned()]).context("the sensor on other kernels: not in order")?;
    }
    let mut nextest = nextest();
    nextest.arg("--workspace").args(arguments);
    if in_ci {
        nextest.env("CAREEN_NO_SKIP", "1");
    }
    // The runner's own summary is the last thing to be read, unless there are skips to tell of.
    let result = step("tests", nextest);
    show_skips(&workspace::target_dir()?.join("nextest/default/junit.xml"));
    result
}

/// nextest, built once where it is missing.
fn ensure_nextest() -> Result<()> {
    if !command::is_installed("cargo-nextest") {
        step("installing cargo-nextest", cargo(&["install", "--locked", "cargo-nextest"]))?;
    }
    Ok(())
}

/// The test runner, for tests as they are built for CI.
pub(crate) fn nextest() -> Command {
    cargo(&["nextest", "run", "--release", "--locked"])
}

pub(crate) fn step(name: &str, mut cargo: Command) -> Result<()> {
    eprintln!("--- {name}");
    command::run(&mut cargo).with_context(|| format!("{name}: not in order"))
}

fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace::root()).args(arguments);
    cargo
}

/// A test that lacks something says so on a line that starts with `SKIP`, and passes: those lines are repeated here,
/// since nobody reads the output of tests that pass.
fn show_skips(report: &Path) {
    let Ok(text) = fs::read_to_string(report) else { return };
    let skips = skips(&text);
    if !skips.is_empty() {
        eprintln!("--- {} skipped for lack of something", skips.len());
        for skip in skips {
            eprintln!("{skip}");
        }
    }
}

/// The texts that start with `SKIP`: at the start of a line or an element, or after the name that libtest prints.
fn skips(report: &str) -> Vec<&str> {
    report
        .lines()
        .filter_map(|line| {
            let line = line.strip_suffix("</testcase>").unwrap_or(line);
            let line =
                line.strip_suffix("</system-err>").or(line.strip_suffix("</system-out>")).unwrap_or(line);
            let text = line.rsplit_once('>').map_or(line, |(_tag, text)| text);
            if text.starts_with("SKIP") {
                return Some(text);
            }
            text.split_once(" ... ").map(|(_test, text)| text).filter(|text| text.starts_with("SKIP"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_found_wherever_a_test_says_so() {
        let report = "<testcase name=\"a\"><system-err>SKIP no cgroup2 here</system-err></testcase>\n\
             <system-err>running\nSKIP no docker\nnot a SKIP</system-err>\n\
             <system-out>running 1 test\ntest it::works ... SKIP not root\nok</system-out>\n";
        assert_eq!(skips(report), ["SKIP no cgroup2 here", "SKIP no docker", "SKIP not root"]);
    }
}
