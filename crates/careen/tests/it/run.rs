//! `careen run` as people use it: into a pipe that closes, and with options that cannot be used.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::evaluate::toolbox;
use crate::support::{can_run, careen_command, traces_of_ours, workdir};

#[test]
fn a_container_whose_output_nobody_reads_any_more_is_stopped_in_peace() {
    if !can_run() {
        return;
    }
    let Some(layout) = toolbox() else { return };
    let work = workdir();
    let data = work.path().join("data");
    // One that falls silent, and one that never does.
    for script in ["echo one; sleep 600", "while echo one; do :; done"] {
        let args = ["run", "-q", &layout.source(), "--", "sh", "-c", script];
        let mut running = careen_command(&args)
            .env("CAREEN_DATA_DIR", &data)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(running.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "one\n");
        // The pipe is closed by now.
        let began = Instant::now();
        let mut told = String::new();
        running.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert!(running.wait().unwrap().success(), "{told}");
        assert_eq!(told, "");
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        assert_eq!(traces_of_ours(&data), Vec::<String>::new());
    }
}

#[test]
fn options_that_cannot_be_used_are_errors_of_the_command_line_and_nothing_is_made() {
    if !can_run() {
        return;
    }
    let Some(layout) = toolbox() else { return };
    let work = workdir();
    let path = |name: &str| work.path().join(name).display().to_string();
    fs::write(path("plain.yaml"), "version: 1\nname: plain\nsteps:\n  - name: a\n    exec: [ls]\n").unwrap();
    let source = layout.source();
    let run: &[&str] = &["run", "-q", &source];
    let (coverage, profile) = (path("plain.yaml"), path("profile"));
    let record: &[&str] = &["record", "-q", &source, "-c", &coverage, "-o", &profile];
    let fails = |args: &[&str], code: i32, word: &str| {
        let output = careen_command(args).env("CAREEN_DATA_DIR", path("data")).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {told}");
        assert!(told.contains(word), "no {word:?} in: {told}");
        assert!(!work.path().join("data/store").exists(), "{args:?} unpacked something");
        assert!(!work.path().join("profile").exists());
    };
    for (option, value, problem) in [
        ("--user", "nobody", "cannot use --user nobody"),
        ("--user", "root:nogroup", "is not known in the image"),
        ("--cap-add", "FLY", "cannot use --cap-add FLY"),
        ("--cap-drop", "SWIM", "is not a capability"),
        ("--tmpfs", "tmp", "is not an absolute path"),
        ("--tmpfs", "/tmp:size=banana", "does not take: size=banana"),
        ("--env", "PLAIN", "write NAME=VALUE"),
    ] {
        for command in [run, record] {
            fails(&[command, &[option, value]].concat(), 2, problem);
        }
    }
    // What a coverage says is an error of the coverage.
    for (setting, problem) in [("cap_add: [FLY]", "cap_add \"FLY\""), ("user: nobody", "user \"nobody\"")] {
        let text = fs::read_to_string(path("plain.yaml")).unwrap();
        fs::write(path("bad.yaml"), text + "container:\n  " + setting + "\n").unwrap();
        fails(&["record", "-q", &source, "-c", &path("bad.yaml"), "-o", &profile], 5, problem);
    }
}
