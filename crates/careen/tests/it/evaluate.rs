//! Leave-one-out: steps on images that were hardened without them.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{ImageBuilder, Layout, TarBuilder, TarEntry};

use crate::support::{can_run, careen_command, document, image, skip, traces_of_ours, workdir};

const BUSYBOX: &str = "/bin/busybox";

/// A tool with an option that a thin coverage does not try, a directory of plug-ins, and what it takes to run them.
pub(crate) fn toolbox() -> Option<Layout> {
    let config = json!({ "Cmd": ["sleep", "600"], "Env": ["PATH=/usr/bin:/bin"], "StopSignal": "SIGKILL" });
    Some(ImageBuilder::new().layer(toolbox_layer()?).container_config(config).oci_layout())
}

/// Its only layer.
pub(crate) fn toolbox_layer() -> Option<TarBuilder> {
    if !Path::new(BUSYBOX).exists() {
        skip("no /bin/busybox (install busybox-static)");
        return None;
    }
    let mut tar = TarBuilder::new();
    for dir in ["bin", "dev", "etc", "proc", "sys", "tmp", "opt", "opt/plugins", "usr", "usr/bin"] {
        tar = tar.entry(TarEntry::dir(dir));
    }
    tar = tar.entry(TarEntry::file("bin/busybox", fs::read(BUSYBOX).unwrap()).mode(0o755));
    for applet in ["cat", "ls", "sh", "sleep", "touch"] {
        tar = tar.entry(TarEntry::symlink(format!("bin/{applet}"), "busybox"));
    }
    for plugin in ["one", "two"] {
        tar = tar.entry(TarEntry::file(format!("opt/plugins/{plugin}"), plugin));
    }
    let script =
        "#!/bin/sh\ncase \"$1\" in\n  daily) echo daily ;;\n  weekly) . /usr/share/tool/weekly.sh ;;\nesac\n";
    tar = tar
        .entry(TarEntry::file("etc/passwd", "root:x:0:0::/:/bin/sh\n"))
        .entry(TarEntry::file("usr/bin/tool", script).mode(0o755))
        .entry(TarEntry::dir("usr/share"))
        .entry(TarEntry::dir("usr/share/tool"))
        .entry(TarEntry::file("usr/share/tool/weekly.sh", "echo weekly\n"))
        .entry(TarEntry::file("usr/share/tool/manual", vec![b'm'; 100_000]));
    Some(tar)
}

const TOOLBOX: &str = "\
version: 1
name: toolbox
steps:
  - name: daily
    exec: [tool, daily]
    expect: daily
  - name: weekly
    exec: [tool, weekly]
    expect: weekly
  - name: make
    exec: [touch, /tmp/made]
  - name: needs it
    exec: [cat, /tmp/made]
  - name: breathe
    wait: 10ms
  - name: plug-ins
    exec: [ls, /opt/plugins]
    compare: exact
stop: { grace: 1s }
";

fn step<'v>(evaluation: &'v Value, name: &str) -> &'v Value {
    let steps = evaluation["steps"].as_array().unwrap();
    steps.iter().find(|step| step["name"] == name).unwrap()
}

fn verdicts(evaluation: &Value, name: &str) -> Vec<String> {
    let trials = step(evaluation, name)["trials"].as_array().unwrap();
    trials.iter().map(|trial| trial["verdict"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_step_that_breaks_on_what_was_seen_alone_works_with_references() {
    if !can_run() {
        return;
    }
    let Some(layout) = toolbox() else { return };
    let work = workdir();
    let data = work.path().join("data");
    let coverage = work.path().join("toolbox.yaml");
    fs::write(&coverage, TOOLBOX).unwrap();
    let run = |args: &[&str]| {
        let mut all = vec!["evaluate", layout.source().leak(), "-q", "-c", coverage.to_str().unwrap()];
        all.extend(args.iter().copied());
        careen_command(&all).env("CAREEN_DATA_DIR", &data).output().unwrap()
    };
    let output = run(&["--output", "json"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let evaluation: Value = serde_json::from_slice(&output.stdout).unwrap();
    let policies: Vec<_> = evaluation["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["generalize"].as_str().unwrap())
        .collect();
    assert_eq!(policies, ["none", "references", "package"]);

    assert_eq!(verdicts(&evaluation, "weekly"), ["broken", "works", "works"]);
    let broken = &step(&evaluation, "weekly")["trials"][0];
    assert_eq!((&broken["original"]["code"], &broken["others"]), (&json!(0), &json!([])));
    let missed = broken["missing_lookups"][0]["path"].as_str().unwrap();
    assert!("/usr/share/tool/weekly.sh".starts_with(missed) && missed.starts_with("/usr/share"), "{missed}");
    assert_eq!(verdicts(&evaluation, "daily")[..2], ["works", "works"], "the other option keeps the tool");
    assert_eq!(verdicts(&evaluation, "plug-ins")[0], "broken");
    for (name, reason) in [("make", "step \"needs it\" failed: exit code 1"), ("breathe", "it only waits")] {
        let cannot = step(&evaluation, name)["cannot"].as_str().unwrap();
        assert!(cannot.contains(reason), "{name}: {cannot}");
        assert_eq!(verdicts(&evaluation, name), Vec::<String>::new());
    }
    let figures = |policy: usize, name: &str| evaluation["policies"][policy][name].as_u64().unwrap();
    let tried = |policy| figures(policy, "works") + figures(policy, "lacks") + figures(policy, "broken");
    assert_eq!((tried(0), tried(1), tried(2)), (4, 4, 4));
    assert_eq!(figures(1, "works"), figures(0, "works") + 1);
    let kept = |policy: usize| evaluation["policies"][policy]["kept"]["bytes"].as_u64().unwrap();
    assert!(
        kept(0) <= kept(1)
            && kept(1) <= kept(2)
            && kept(2) < evaluation["original"]["bytes"].as_u64().unwrap()
    );

    let table = run(&["--generalize", "none", "--step", "weekly", "--step", "make"]);
    let table = String::from_utf8(table.stdout).unwrap();
    for words in ["step left out", "weekly", "broken", "0 of 1", "Could not be left out:\n  make:"] {
        assert!(table.contains(words), "no {words:?} in:\n{table}");
    }
    assert!(!table.contains("references") && !table.contains("daily"), "{table}");

    let unknown = run(&["--step", "yearly"]);
    assert_eq!(unknown.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&unknown.stderr);
    assert!(errors.contains("no step named \"yearly\"") && errors.contains("daily, weekly"), "{errors}");
    assert_eq!(traces_of_ours(&data), Vec::<String>::new());
    let layers = fs::read_dir(data.join("store/layers")).unwrap().count();
    assert_eq!(layers, 1, "no plan that was tried is left unpacked");
}

#[test]
fn a_hardening_shows_how_unseen_steps_fare() {
    if !can_run() {
        return;
    }
    let Some(layout) = toolbox() else { return };
    let work = workdir();
    let coverage = work.path().join("toolbox.yaml");
    fs::write(&coverage, TOOLBOX).unwrap();
    let target = format!("oci:{}", work.path().join("out").display());
    let args =
        ["harden", &layout.source(), "-q", "-c", coverage.to_str().unwrap(), "-o", &target, "--evaluate"];
    let output = careen_command(&args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("steps work when nobody recorded them, with --generalize references"), "{text}");
    let result = document(&work.path().join("out.careen/result.json"));
    assert_eq!(verdicts(&result["evaluation"], "weekly")[..2], ["broken", "works"]);
    assert_eq!(result["healed_paths"], json!([]));
    let report = fs::read_to_string(work.path().join("out.careen/report.html")).unwrap();
    assert!(report.contains("Steps that nobody recorded") && report.contains("references (this image)"));
}

#[test]
fn redis_lacks_a_program_that_only_the_left_out_step_ran() {
    let Some(source) = image("redis").filter(|_| can_run()) else { return };
    let args = [
        "evaluate",
        source.to_str().unwrap(),
        "-q",
        "-c",
        "redis",
        "--step",
        "redis-benchmark --help",
        "--step",
        "administration",
        "--generalize",
        "none",
        "--output",
        "json",
    ];
    let output = careen_command(&args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let evaluation: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(evaluation["policies"][0]["works"], 1, "{evaluation:#}");
    let trial = &step(&evaluation, "redis-benchmark --help")["trials"][0];
    assert_eq!((&trial["verdict"], &trial["hardened"]["code"]), (&json!("broken"), &json!(127)));
    let missed: Vec<_> =
        trial["missing_lookups"].as_array().unwrap().iter().map(|lookup| &lookup["path"]).collect();
    assert_eq!(missed, ["/usr/bin/redis-benchmark"]);
    assert_eq!(evaluation["original"]["bytes"], {
        let inspected = careen_command(&["inspect", source.to_str().unwrap(), "-q", "--output", "json"]);
        let output = { inspected }.output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["metrics"]["uncompressed_bytes"].clone()
    });
}

/// An evaluation that hangs in the step that it had left out, on what was kept without it.
struct Evaluating {
    work: tempfile::TempDir,
    _layout: Layout,
    running: Child,
    /// The container's name.
    id: String,
}

impl Evaluating {
    fn start() -> Option<Self> {
        let layout = toolbox()?;
        let work = workdir();
        let steps = "version: 1\nname: hangs\nsteps:\n  - name: daily\n    exec: [tool, daily]\n  - name: weekly\n    \
                     exec: [sh, -c, 'tool weekly || sleep 100']\n    timeout: 200s\nstop: { grace: 1s }\n";
        let coverage = work.path().join("hangs.yaml");
        fs::write(&coverage, steps).unwrap();
        let args =
            ["evaluate", "-q", "--step", "weekly", "--generalize", "none", "-c", coverage.to_str().unwrap()];
        let mut command = careen_command(&[&args[..], &[&layout.source()]].concat());
        command.env("CAREEN_DATA_DIR", work.path().join("data")).stderr(Stdio::piped());
        let mut running = command.spawn().unwrap();
        let began = Instant::now();
        let names = || -> Vec<String> {
            let entries = fs::read_dir(work.path().join("data/run")).into_iter().flatten().flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        };
        let id = loop {
            assert!(running.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(120));
            let is_container =
                |name: &&String| name.len() == 12 && name.bytes().all(|b| b.is_ascii_hexdigit());
            let names = names();
            if names.iter().any(|name| name.starts_with("edits-"))
                && let Some(id) = names.iter().find(is_container)
            {
                break id.clone();
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        // It comes to the step in which it hangs.
        std::thread::sleep(Duration::from_secs(3));
        Some(Self { work, _layout: layout, running, id })
    }

    fn data(&self) -> PathBuf {
        self.work.path().join("data")
    }

    fn careen(&self, args: &[&str]) -> Output {
        careen_command(args).env("CAREEN_DATA_DIR", self.data()).output().unwrap()
    }

    fn recordings(&self) -> Value {
        serde_json::from_slice(&self.careen(&["profile", "recover", "--output", "json"]).stdout).unwrap()
    }

    fn assert_nothing_remains(&self) {
        assert_eq!(traces_of_ours(&self.data()), Vec::<String>::new());
        let find = Command::new("find").args(["/sys/fs/cgroup", "-name", &format!("*{}*", self.id)]).output();
        assert_eq!(String::from_utf8_lossy(&find.unwrap().stdout), "", "cgroups");
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let mounts = processes.filter_map(|entry| fs::read_to_string(entry.path().join("mountinfo")).ok());
        assert!(!mounts.into_iter().any(|mounts| mounts.contains(&self.id)), "somebody has it mounted");
    }
}

#[test]
fn hard_68_a_killed_evaluation_leaves_its_first_recording_and_nothing_else() {
    if !can_run() {
        return;
    }
    let Some(mut evaluating) = Evaluating::start() else { return };
    evaluating.running.kill().unwrap();
    evaluating.running.wait().unwrap();
    // Its supervisor takes a moment to notice; the next start removes the files.
    let began = Instant::now();
    loop {
        assert!(evaluating.careen(&["doctor"]).status.success());
        if traces_of_ours(&evaluating.data()).is_empty() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", traces_of_ours(&evaluating.data()));
    }
    evaluating.assert_nothing_remains();
    let left = evaluating.recordings();
    // All steps of the recording that everything is compared with: two and the stop.
    assert_eq!((left.as_array().unwrap().len(), &left[0]["steps_done"]), (1, &json!(3)), "{left}");
    let file = evaluating.work.path().join("left.profile").display().to_string();
    let saved = evaluating.careen(&["profile", "recover", left[0]["id"].as_str().unwrap(), "-o", &file]);
    assert!(saved.status.success(), "{}", String::from_utf8_lossy(&saved.stderr));
    let profile = document(Path::new(&file));
    assert!(profile["paths"]["/usr/share/tool/weekly.sh"].is_object(), "{}", profile["paths"]);
    assert_eq!(profile["runs"][0]["sensor"]["verdict"], "incomplete");
    assert_eq!(evaluating.recordings(), json!([]));
}

#[test]
fn an_interrupted_evaluation_undoes_everything() {
    if !can_run() {
        return;
    }
    let Some(mut evaluating) = Evaluating::start() else { return };
    let kill = Command::new("kill").args(["-s", "INT", &evaluating.running.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let began = Instant::now();
    let mut told = String::new();
    evaluating.running.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(evaluating.running.wait().unwrap().code(), Some(130), "{told}");
    assert!(began.elapsed() < Duration::from_secs(30));
    evaluating.assert_nothing_remains();
    assert_eq!(evaluating.recordings(), json!([]));
}
