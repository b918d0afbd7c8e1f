//! What breaks while a profile is made: it says what it is worth, or the message says where it is.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use engine::{Engine, EngineOptions};
use image::{Image, OpenOptions};
use profile::{Incomplete, Verdict};
use sensor::SensorOptions;
use serde_json::Value;

use crate::support::{CAREEN, can_run, careen_command, image, workdir};

const COVERAGE: &str =
    "version: 1\nname: list\nwait_for:\n  - tcp: 6379\nsteps:\n  - name: list\n    exec: [ls, -lR, /usr]\n";

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn show(file: &str) -> Value {
    let output = careen_command(&["profile", "show", file, "--output", "json"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_profile_made_with_a_ring_too_small_is_refused() {
    let (Some(source), true) = (image("redis"), can_run()) else { return };
    let dir = workdir();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("list.yaml"), COVERAGE).unwrap();
    let options = OpenOptions { scratch_dir: dir.path().to_owned(), ..OpenOptions::new() };
    let opened = Image::open(&format!("oci:{}", source.display()).parse().unwrap(), &options).unwrap();
    let interrupt = Arc::default();
    let helper = engine::Helper { program: CAREEN.into(), leading_args: vec!["__engine".into()] };
    let options =
        EngineOptions { data_dir: dir.path().join("data"), helper, interrupt: Arc::clone(&interrupt) };
    let engine = Engine::open(options).unwrap();
    let unpacked = engine.unpack(&opened, &|_| {}).unwrap();
    let helper = sensor::Helper { program: CAREEN.into(), args: vec!["__canary".into()] };
    let options = coverage::RecordOptions {
        sensor: SensorOptions { ring_bytes: 4096, ..SensorOptions::new(helper) },
        reference: None,
        started_at: SystemTime::now(),
        interrupt,
        keep_going: false,
        journal: None,
    };
    let list = coverage::load(&path("list.yaml")).unwrap();
    let profile = coverage::record(&engine, &opened, &unpacked, &list, &options, &coverage::Silent).unwrap();
    let Verdict::Incomplete { reasons } = profile.verdict() else { panic!("nothing was lost") };
    assert!(reasons.iter().any(|reason| matches!(reason, Incomplete::Dropped { .. })), "{reasons:?}");
    fs::write(path("lossy.profile"), profile.to_bytes().unwrap()).unwrap();

    let target = format!("oci:{}", path("out"));
    let harden = ["harden", source.to_str().unwrap(), "--profile", &path("lossy.profile"), "-o", &target];
    let output = careen_command(&harden).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", text(&output));
    for word in ["events were dropped", "hint: "] {
        assert!(text(&output).contains(word), "{}", text(&output));
    }
    assert!(!Path::new(&path("out")).exists());
    let output = careen_command(&[&harden[..], &["--accept-incomplete", "--no-verify"]].concat()).output();
    assert!(output.as_ref().unwrap().status.success(), "{}", text(output.as_ref().unwrap()));
}

#[test]
fn a_profile_that_finds_no_room_is_kept_in_the_data_directory() {
    let (Some(source), true) = (image("redis"), can_run()) else { return };
    let dir = workdir();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("list.yaml"), COVERAGE).unwrap();
    fs::create_dir(path("small")).unwrap();
    let script = "mount -t tmpfs -o size=4k none small && \"$0\" \"$@\"; code=$?; echo \"left: $(ls -A small)\" >&2; exit $code";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, CAREEN])
        .args(["record", source.to_str().unwrap(), "-c", "list.yaml", "-o", "small/list.profile"])
        .env("CAREEN_DATA_DIR", path("data"))
        .current_dir(dir.path())
        .output()
        .unwrap();
    let told = text(&output);
    assert_eq!(output.status.code(), Some(9), "{told}");
    assert!(output.stdout.is_empty() && told.contains("No space left on device"), "{told}");
    assert_eq!(told.lines().last(), Some("left: "), "nothing half-written: {told}");
    let kept: Vec<_> = fs::read_dir(path("data/unsaved")).unwrap().map(|e| e.unwrap().path()).collect();
    let [kept] = &kept[..] else { panic!("{kept:?}") };
    assert!(told.contains(&kept.display().to_string()), "{told}");
    let profile = show(kept.to_str().unwrap());
    assert_eq!(profile["runs"][0]["sensor"]["verdict"], "complete");
    assert!(fs::read_dir(path("data/journal")).unwrap().next().is_none());
}

#[test]
fn a_recording_that_lost_something_is_written_and_ends_with_a_code_of_its_own() {
    let (Some(source), true) = (image("busybox"), can_run()) else { return };
    let dir = workdir();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir(path("shared")).unwrap();
    // More than the ring holds, while nobody reads it.
    let storm = "touch /shared/ready; while [ ! -e /shared/go ]; do sleep 0.1; done; i=0; \
                 while [ $i -lt 600000 ]; do [ -e /none-$i/a-name-that-takes-some-room-in-the-ring ]; i=$((i+1)); done; \
                 touch /shared/done";
    let coverage = serde_json::json!({
        "version": 1,
        "name": "storm",
        "container": { "user": "0", "entrypoint": ["sh", "-c", storm], "binds": ["./shared:/shared"] },
        "steps": [{ "name": "over", "wait": { "exit": 0, "timeout": "300s" } }],
    });
    fs::write(path("storm.yaml"), coverage.to_string()).unwrap();
    let record =
        ["record", source.to_str().unwrap(), "-c", &path("storm.yaml"), "-o", &path("storm.profile")];
    let mut command = careen_command(&[&record[..], &["--sensor", "ebpf"]].concat());
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let wait_for = |name: &str| {
        let began = Instant::now();
        while !Path::new(&path(name)).exists() {
            assert!(began.elapsed() < Duration::from_secs(300), "{name} does not come");
            sleep(Duration::from_millis(20));
        }
    };
    let signal = |signal: &str| {
        let status = Command::new("kill").args([signal, &running.id().to_string()]).status().unwrap();
        assert!(status.success());
    };
    wait_for("shared/ready");
    signal("-STOP");
    fs::write(path("shared/go"), "").unwrap();
    wait_for("shared/done");
    signal("-CONT");
    let output = running.wait_with_output().unwrap();
    let told = text(&output);
    assert_eq!(output.status.code(), Some(12), "{told}");
    for word in ["storm.profile is incomplete", "dropped", "hint: ", "--accept-incomplete"] {
        assert!(told.contains(word), "{told}");
    }
    assert!(String::from_utf8_lossy(&output.stdout).contains("INCOMPLETE"), "the result is told");
    assert_eq!(show(&path("storm.profile"))["runs"][0]["sensor"]["verdict"], "incomplete");
}

#[test]
fn a_data_disk_that_runs_full_in_a_step_is_named() {
    let (Some(source), true) = (image("busybox"), can_run()) else { return };
    let dir = workdir();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir(path("small")).unwrap();
    let record = |fill: &str, next: &str| {
        let coverage = serde_json::json!({
            "version": 1,
            "name": "fill",
            "container": { "user": "0", "entrypoint": ["sleep", "1000"] },
            "steps": [{ "exec": ["sh", "-c", fill] }, { "exec": ["sh", "-c", next] }],
            "stop": { "grace": "100ms" },
        });
        fs::write(path("fill.yaml"), coverage.to_string()).unwrap();
        let script = "mount -t tmpfs -o size=24m none small && exec \"$0\" \"$@\"";
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", script, CAREEN])
            .args(["record", source.to_str().unwrap(), "-c", "fill.yaml", "-o", "fill.profile"])
            .env("CAREEN_DATA_DIR", path("small/data"))
            .current_dir(dir.path())
            .output()
            .unwrap();
        (output.status.code(), text(&output))
    };
    // A command of the workload that fails, the engine itself, and what would be held against the image otherwise.
    for (fill, next) in
        [("cat /dev/zero > /fill", "true"), ("cat /dev/zero > /fill; true", "echo x > /other")]
    {
        let (code, told) = record(fill, next);
        assert_eq!(code, Some(4), "{told}");
        let named = format!(
            "the file system of the data directory {} is full: tmpfs of 25.2 MB, mounted at {}",
            path("small/data"),
            path("small")
        );
        for word in [&*named, "No space left on device", "hint: make room there", "--data-dir"] {
            assert!(told.contains(word), "no {word:?} in {told}");
        }
        assert!(!Path::new(&path("fill.profile")).exists());
    }
    let (code, told) = record("true", "no-such-program");
    assert_eq!(code, Some(6), "{told}");
    assert!(!told.contains("is full"), "{told}");
}

#[test]
fn containers_run_whatever_the_data_directory_is_called() {
    let (Some(source), true) = (image("busybox"), can_run()) else { return };
    let dir = workdir();
    let coverage = dir.path().join("list.yaml");
    let list = "version: 1\nname: list\ncontainer: { entrypoint: [sleep, \"100\"] }\nsteps:\n  - exec: [ls, /]\nstop: { grace: 1ms }\n";
    fs::write(&coverage, list).unwrap();
    for name in ["back\\slash", "com,ma", "co:lon", "white space", "tab\tline\nend", "last\\"] {
        let output = careen_command(&["record", source.to_str().unwrap(), "--force"])
            .arg("--coverage")
            .arg(&coverage)
            .arg("-o")
            .arg(dir.path().join("list.profile"))
            .env("CAREEN_DATA_DIR", dir.path().join(name))
            .output()
            .unwrap();
        assert!(output.status.success(), "{name:?}: {}", text(&output));
    }
}

#[test]
fn without_type_information_ebpf_is_refused_and_notification_watches() {
    let (Some(source), true) = (image("redis"), can_run()) else { return };
    let dir = workdir();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let run = |args: &[&str]| {
        let script = "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, CAREEN]).args(args);
        command.env("CAREEN_DATA_DIR", path("data")).output().unwrap()
    };
    let record = ["record", source.to_str().unwrap(), "-c", "redis", "-o", &path("redis.profile")];
    let output = run(&[&record[..], &["--sensor", "ebpf"]].concat());
    let told = text(&output);
    assert_eq!(output.status.code(), Some(4), "{told}");
    for word in ["type information (BTF)", "CONFIG_DEBUG_INFO_BTF", "without --sensor ebpf"] {
        assert!(told.contains(word), "{told}");
    }
    assert!(!Path::new(&path("redis.profile")).exists());
    let output = run(&record);
    assert!(output.status.success(), "{}", text(&output));
    let sensor = &show(&path("redis.profile"))["runs"][0]["sensor"];
    assert_eq!((&sensor["backend"], &sensor["verdict"]), (&"seccomp-notify".into(), &"complete".into()));
    let passed_over = sensor["passed_over"].as_array().unwrap();
    let names: Vec<_> = passed_over.iter().map(|other| &other["backend"]).collect();
    assert_eq!(names, ["ebpf-lsm", "ebpf-fentry", "ebpf-base"]);
    assert!(passed_over[2]["reason"].as_str().unwrap().contains("(BTF)"), "{passed_over:?}");
    let shown = careen_command(&["profile", "show", &path("redis.profile")]).output().unwrap().stdout;
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("    not ebpf-lsm, ebpf-fentry, ebpf-base: the kernel has no type"), "{shown}");
    assert_eq!(sensor["not_seen"].as_array().map(Vec::len), Some(sensor::notify::NOT_SEEN.len()));
}
