//! A recording whose careen was killed, and what a profile tells beyond files.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{can_run, careen_command, image, traces_of_ours, workdir};

/// A directory with a coverage whose second step is long, and what runs there.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let this = Self { dir: workdir() };
        let coverage = "version: 1\nname: cut\nwait_for:\n  - exec: [redis-cli, PING]\n    timeout: 60s\n\
                        steps:\n  - name: ping\n    exec: [redis-cli, ping]\n  - name: long\n    exec: [sleep, \"100\"]\n";
        fs::write(this.path("cut.yaml"), coverage).unwrap();
        fs::write(this.path("short.yaml"), coverage.replace("100", "0")).unwrap();
        this
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn careen(&self, args: &[&str]) -> Command {
        let mut command = careen_command(args);
        command.env("CAREEN_DATA_DIR", self.path("data"));
        command
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = self.careen(&[args, &["--output", "json"]].concat()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn journal(&self) -> Option<fs::DirEntry> {
        let mut entries = fs::read_dir(self.path("data/journal")).into_iter().flatten().flatten();
        entries.find(|entry| entry.path().extension().is_some_and(|suffix| suffix == "journal"))
    }

    /// Runs careen and kills it so long after its journal has this text; false if it had ended in order by then.
    fn kill_after(&self, args: &[&str], text: &str, pause: Duration) -> bool {
        let mut running = self.careen(args).spawn().unwrap();
        let began = Instant::now();
        let is_due = || {
            let journal =
                self.journal().and_then(|journal| fs::read(journal.path()).ok()).unwrap_or_default();
            journal.windows(text.len()).any(|window| window == text.as_bytes())
        };
        while !is_due() {
            if let Some(status) = running.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return false;
            }
            assert!(began.elapsed() < Duration::from_secs(120));
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(pause);
        running.kill().unwrap();
        !running.wait().unwrap().success()
    }

    /// Runs careen and kills it in the long step; gives the name of the recording.
    fn kill_in_the_long_step(&self, args: &[&str]) -> String {
        assert!(
            self.kill_after(args, "\"name\": \"ping\"", Duration::from_millis(300)),
            "it ended by itself"
        );
        let left = self.json(&["profile", "recover"]);
        assert_eq!((&left[0]["coverage"], &left[0]["steps_done"]), (&"cut".into(), &1.into()));
        left[0]["id"].as_str().unwrap().to_owned()
    }

    /// Saves a recording as a profile and shows it.
    fn recovered(&self, id: &str) -> Value {
        self.json(&["profile", "recover", id, "-o", &self.path("left.profile"), "--force"]);
        assert_eq!(self.json(&["profile", "recover"]), serde_json::json!([]));
        let profile = self.json(&["profile", "show", &self.path("left.profile")]);
        let sensor = &profile["runs"][0]["sensor"];
        assert_eq!(sensor["verdict"], "incomplete");
        assert!(sensor["reasons"].as_array().unwrap().contains(&serde_json::json!({ "reason": "cut-off" })));
        let steps: Vec<_> =
            profile["runs"][0]["steps"].as_array().unwrap().iter().map(|s| &s["name"]).collect();
        assert_eq!(steps, ["ping", "(cut off)"]);
        // In this image redis-server is a link to it.
        let used = &profile["paths"]["/usr/bin/redis-check-rdb"];
        assert_eq!(used["exec"]["first_step"], 0, "{used}");
        profile
    }
}

#[test]
fn hard_68_a_killed_careen_leaves_a_profile_that_can_be_recovered() {
    let (Some(source), true) = (image("redis"), can_run()) else { return };
    let place = Place::new();
    let source = source.to_str().unwrap();
    let coverage = place.path("cut.yaml");
    let record = ["record", source, "-c", &coverage, "-o", &place.path("cut.profile"), "--sensor", "ebpf"];
    let id = place.kill_in_the_long_step(&record);
    assert!(!fs::exists(place.path("cut.profile")).unwrap());
    // The next start cleans up and tells of it.
    let output = place.careen(&["doctor"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains(&format!("careen profile recover {id}")), "{text}");
    assert_eq!(traces_of_ours(place.dir.path().join("data").as_path()), Vec::<String>::new());

    let profile = place.recovered(&id);
    let activity = &profile["runs"][0]["activity"];
    assert_eq!(activity["cut"], serde_json::json!(["activity"]));
    let listening = activity["listening"].as_array().unwrap();
    assert!(listening.iter().any(|socket| socket["port"] == 6379), "{listening:?}");
    // A profile that tells the truth about itself is refused.
    let target = format!("oci:{}", place.path("out"));
    let harden = ["harden", source, "--profile", &place.path("left.profile"), "-o", &target];
    let refused = place.careen(&harden).output().unwrap();
    assert_eq!(refused.status.code(), Some(7), "{}", String::from_utf8_lossy(&refused.stderr));
    assert!(place.journal().is_none());
}

#[test]
fn a_kill_at_any_moment_leaves_a_profile_or_a_recording_that_can_be_recovered() {
    let (Some(source), true) = (image("redis"), can_run()) else { return };
    let place = Place::new();
    let (coverage, file, other) =
        (place.path("short.yaml"), place.path("short.profile"), place.path("left.profile"));
    let record = ["record", source.to_str().unwrap(), "-c", &coverage, "-o", &file, "--sensor", "ebpf"];
    // The journal is made; the container is; a step has ended; all have, and the recording is finished.
    let moments =
        [("careen journal", 0), ("\"coverage\"", 0), ("\"name\": \"ping\"", 1), ("\"name\": \"long\"", 2)];
    for (text, steps) in moments {
        for pause in [0, 50].map(Duration::from_millis) {
            let moment = format!("{pause:?} after {text}");
            let was_killed = place.kill_after(&record, text, pause);
            assert!(place.careen(&["doctor"]).output().is_ok(), "{moment}");
            let traces = traces_of_ours(place.dir.path().join("data").as_path());
            assert_eq!(traces, Vec::<String>::new(), "{moment}");
            let left = place.json(&["profile", "recover"]);
            let left = left.as_array().unwrap();
            match &left[..] {
                [] => assert!(fs::exists(&file).unwrap(), "{moment}: all is lost"),
                [left] => {
                    assert!(was_killed && left["steps_done"].as_u64().unwrap() >= steps, "{moment}: {left}");
                    let id = left["id"].as_str().unwrap();
                    // Nothing was recorded before the journal says of what.
                    if left["image"] == "unknown" {
                        assert_eq!(steps, 0, "{moment}: {left}");
                        place.json(&["profile", "recover", id, "--discard"]);
                    } else {
                        place.json(&["profile", "recover", id, "-o", &other, "--force"]);
                        let profile = place.json(&["profile", "show", &other]);
                        assert_eq!(profile["runs"][0]["sensor"]["verdict"], "incomplete", "{moment}");
                    }
                }
                more => panic!("{moment}: {more:?}"),
            }
            assert!(place.journal().is_none(), "{moment}");
            if fs::exists(&file).unwrap() {
                let profile = place.json(&["profile", "show", &file]);
                assert_eq!(profile["runs"][0]["sensor"]["verdict"], "complete", "{moment}");
                fs::remove_file(&file).unwrap();
            }
        }
    }
}

#[test]
fn hard_68_a_recording_by_notification_is_recovered_too() {
    let (Some(source), true) = (image("redis"), can_run()) else { return };
    let place = Place::new();
    let (coverage, file) = (place.path("cut.yaml"), place.path("cut.profile"));
    let record = ["record", source.to_str().unwrap(), "-c", &coverage, "-o", &file, "--sensor", "notify"];
    let id = place.kill_in_the_long_step(&record);
    let profile = place.recovered(&id);
    let run = &profile["runs"][0];
    assert_eq!(run["sensor"]["backend"], "seccomp-notify");
    assert!(run["sensor"]["not_seen"][0].as_str().unwrap().starts_with("io_uring"), "{}", run["sensor"]);
    assert!(run["activity"].is_null());
    let text = place.careen(&["profile", "show", &place.path("left.profile")]).output().unwrap();
    assert!(String::from_utf8_lossy(&text.stdout).contains("not seen: io_uring"));
}

#[test]
fn hard_68_what_a_killed_verification_saw_is_recovered_too() {
    let (Some(source), true) = (image("redis"), can_run()) else { return };
    let place = Place::new();
    let target = format!("oci:{}", place.path("out"));
    place.json(&["harden", source.to_str().unwrap(), "-c", &place.path("short.yaml"), "-o", &target]);
    assert!(place.journal().is_none(), "what is written needs no journal");
    let id = place.kill_in_the_long_step(&["verify", &target, "-c", &place.path("cut.yaml")]);
    let profile = place.recovered(&id);
    assert_eq!(profile["image"]["reference"], target.as_str());
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
