//! What a person reads: help, completions, manual pages.

use std::process::Command;

use crate::support::{CAREEN, careen, skip, workdir};

#[test]
fn help_of_each_command_has_not_changed_unseen() {
    for command in [
        "",
        "harden",
        "record",
        "verify",
        "evaluate",
        "profile",
        "profile show",
        "profile carry",
        "policy",
        "policy check",
        "explain",
        "plan",
        "diff",
        "coverage",
        "db",
        "db build",
        "db update",
        "run",
        "clean",
        "profile recover",
        "inspect",
        "sbom",
        "report",
        "scan",
        "rbom",
        "vex",
        "attest",
        "registry",
        "registry scan",
    ] {
        let args: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let output = Command::new(CAREEN)
            .args(&args)
            .env("COLUMNS", "100")
            .env_remove("CAREEN_DATA_DIR")
            .output()
            .unwrap();
        assert!(output.status.success());
        let name =
            format!("help-{}", if command.is_empty() { "careen".into() } else { command.replace(' ', "-") });
        insta::assert_snapshot!(name, String::from_utf8(output.stdout).unwrap());
    }
}

#[test]
fn counts_are_of_one_or_of_several() {
    let dir = workdir();
    let file = dir.path().join("some.yaml");
    for (steps, words) in [("[{wait: 1s}]", "1 step:"), ("[{wait: 1s}, {wait: 2s}]", "2 steps:")] {
        std::fs::write(&file, format!("version: 1\nname: some\nsteps: {steps}\n")).unwrap();
        let output = careen(&["coverage", "check", file.to_str().unwrap()]);
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.contains(&format!("some.yaml is a coverage of {words}")), "{told}");
    }
}

#[test]
fn completions_are_accepted_by_the_shells_themselves() {
    for shell in ["bash", "zsh", "fish"] {
        let script = careen(&["completions", shell]).stdout;
        assert!(String::from_utf8_lossy(&script).contains("harden"));
        let dir = workdir();
        let file = dir.path().join("script");
        std::fs::write(&file, script).unwrap();
        match Command::new(shell).arg("-n").arg(&file).output() {
            Ok(output) => {
                assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
            }
            Err(_) => skip(&format!("{shell} is not installed, so its script was not parsed")),
        }
    }
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let dir = workdir();
    assert!(careen(&["man", dir.path().to_str().unwrap()]).status.success());
    for page in ["careen.1", "careen-harden.1", "careen-profile-merge.1"] {
        let text = std::fs::read_to_string(dir.path().join(page)).unwrap();
        assert!(text.contains(".SH NAME") && text.contains(".SH OPTIONS"), "{page}");
    }
}
