//! Hosts that lack something: a test runs again beneath commands that change what it sees.

use std::process::Command;

/// Runs an ignored test of the calling test program beneath these commands, the last of which executes what follows
/// its own arguments. Without root there is nothing to change: then it says that it skips.
pub fn in_changed_host(commands: &[&str], test: &str) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let is_root =
        status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    if !is_root {
        eprintln!("SKIP: namespaces need root");
        assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here");
        return;
    }
    let output = Command::new(commands[0])
        .args(&commands[1..])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
