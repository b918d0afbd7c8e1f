//! A recording whose careen was killed, and what a profile tells beyond files.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{can_run, careen_command, image, traces_of_ours, workdir};

#[test]
fn hard_68_a_killed_careen_leaves_a_profile_that_can_be_recovered() {
    let (Some(source), true) = (image("redis"), can_run()) else { return };
    let dir = workdir();
    let data = dir.path().join("data");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let coverage = "version: 1\nname: cut\nwait_for:\n  - exec: [redis-cli, PING]\n    timeout: 60s\n\
                    steps:\n  - name: ping\n    exec: [redis-cli, ping]\n  - name: long\n    exec: [sleep, \"100\"]\n";
    fs::write(path("cut.yaml"), coverage).unwrap();
    let careen = |args: &[&str]| -> Command {
        let mut command = careen_command(args);
        command.env("CAREEN_DATA_DIR", &data);
        command
    };
    let source = source.to_str().unwrap();
    let record = ["record", source, "-c", &path("cut.yaml"), "-o", &path("cut.profile")];
    let mut running = careen(&record).spawn().unwrap();
    let began = Instant::now();
    let journal = || fs::read_dir(data.join("journal")).into_iter().flatten().flatten().next();
    let is_in_long_step = || {
        let Some(journal) = journal() else { return false };
        let bytes = fs::read(journal.path()).unwrap_or_default();
        let needle = b"\"name\": \"ping\"";
        bytes.windows(needle.len()).any(|window| window == needle)
    };
    while !is_in_long_step() {
        assert!(running.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(120));
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_millis(300));
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(!fs::exists(path("cut.profile")).unwrap());

    let json = |args: &[&str]| -> Value {
        let output = careen(&[args, &["--output", "json"]].concat()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let left = json(&["profile", "recover"]);
    assert_eq!((&left[0]["coverage"], &left[0]["steps_done"]), (&"cut".into(), &1.into()));
    let id = left[0]["id"].as_str().unwrap();
    // The next start cleans up and tells of it.
    let output = careen(&["doctor"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains(&format!("careen profile recover {id}")), "{text}");
    assert_eq!(traces_of_ours(&data), Vec::<String>::new());

    json(&["profile", "recover", id, "-o", &path("left.profile")]);
    assert_eq!(json(&["profile", "recover"]), serde_json::json!([]));
    let profile = json(&["profile", "show", &path("left.profile")]);
    let sensor = &profile["runs"][0]["sensor"];
    assert_eq!(sensor["verdict"], "incomplete");
    assert!(sensor["reasons"].as_array().unwrap().contains(&serde_json::json!({ "reason": "cut-off" })));
    // In this image redis-server is a link to it.
    let used = &profile["paths"]["/usr/bin/redis-check-rdb"];
    assert_eq!(used["exec"]["first_step"], 0, "{used}");
    let steps: Vec<_> = profile["runs"][0]["steps"].as_array().unwrap().iter().map(|s| &s["name"]).collect();
    assert_eq!(steps, ["ping", "(cut off)"]);
    // A profile that tells the truth about itself is refused.
    let target = format!("oci:{}", path("out"));
    let refused =
        careen(&["harden", source, "--profile", &path("left.profile"), "-o", &target]).output().unwrap();
    assert_eq!(refused.status.code(), Some(7), "{}", String::from_utf8_lossy(&refused.stderr));
    assert!(journal().is_none());
}

#[test]
fn a_profile_tells_of_calls_capabilities_sockets_and_processes() {
    let (Some(source), true) = (image("redis"), can_run()) else { return };
    let dir = workdir();
    let file = dir.path().join("redis.profile").display().to_string();
    let run = |args: &[&str]| {
        let output = careen_command(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["record", source.to_str().unwrap(), "-c", "redis", "-o", &file]);
    let text = run(&["profile", "show", &file, "--system-calls", "--processes", "--network"]);
    for word in ["epoll_wait", "tcp 0.0.0.0:6379", "[redis-server --protected-mode no]", "exit_group"] {
        assert!(text.contains(word), "no {word} in:\n{text}");
    }
    let profile: Value = serde_json::from_str(&run(&["profile", "show", &file, "--output", "json"])).unwrap();
    let activity = &profile["runs"][0]["activity"];
    assert!(activity["cut"].is_null(), "{}", activity["cut"]);
    let calls = activity["system_calls"]["x86_64"].as_array().unwrap();
    // What the engine does to set the container up is not the workload's.
    for name in ["pivot_root", "mount", "setns", "unshare", "sethostname"] {
        assert!(!calls.contains(&name.into()), "{name} in {calls:?}");
    }
}
