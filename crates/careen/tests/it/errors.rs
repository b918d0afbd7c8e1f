//! What can go wrong: a clear message with a hint, the documented exit code, and nothing left behind.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::support::{CAREEN, can_run, careen_command, image, skip, traces_of_ours, workdir};

/// What must hold of a failed command.
#[track_caller]
fn assert_fails(output: &Output, code: i32, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(output.stdout.is_empty(), "a failure prints no result");
    for word in words.iter().chain(&["error: "]) {
        assert!(text.contains(word), "no {word:?} in:\n{text}");
    }
}

/// A data directory and an output of this test alone.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: workdir() }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn careen(&self, args: &[&str]) -> Command {
        let mut command = careen_command(args);
        command.env("CAREEN_DATA_DIR", self.path("data"));
        command
    }

    #[track_caller]
    fn nothing_remains(&self) {
        let data = self.dir.path().join("data");
        if data.exists() {
            assert_eq!(traces_of_ours(&data), Vec::<String>::new());
        }
        assert!(!self.dir.path().join("out").exists(), "no half-written image");
        let partial: Vec<_> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name.to_string_lossy().starts_with(".careen-"))
            .collect();
        assert!(partial.is_empty(), "{partial:?}");
    }
}

#[test]
fn an_image_that_is_not_there() {
    let place = Place::new();
    let directory = workdir();
    let out = format!("oci:{}/out", directory.path().display());
    let output = place.careen(&["harden", "oci:/nowhere/redis", "-c", "redis", "-o", &out]).output().unwrap();
    assert_fails(&output, 3, &["/nowhere/redis", "hint: "]);
    let nobody = "localhost:1/redis:7";
    let output = place.careen(&["harden", nobody, "-c", "redis", "-o", &out]).output().unwrap();
    assert_fails(&output, 3, &["registry localhost:1", "hint: "]);
}

#[test]
fn an_output_that_exists() {
    let Some(source) = image("redis") else { return };
    let place = Place::new();
    fs::create_dir(place.path("exists")).unwrap();
    fs::write(place.path("exists/precious"), "data").unwrap();
    let target = format!("oci:{}", place.path("exists"));
    let output =
        place.careen(&["harden", source.to_str().unwrap(), "-c", "redis", "-o", &target]).output().unwrap();
    assert_fails(&output, 9, &["exists already", "--force"]);
    let output = place
        .careen(&["harden", source.to_str().unwrap(), "-c", "redis", "-o", &target, "--force"])
        .output()
        .unwrap();
    assert_fails(&output, 9, &["not an image that could be replaced"]);
    assert!(Path::new(&place.path("exists/precious")).exists());
    let missing = format!("oci:{}", place.path("no/such/out"));
    let output =
        place.careen(&["harden", source.to_str().unwrap(), "-c", "redis", "-o", &missing]).output().unwrap();
    assert_fails(&output, 9, &["there is no directory", "mkdir -p"]);
    let same = format!("oci:{}", source.display());
    let output = place.careen(&["harden", &same, "-c", "redis", "-o", &same, "--force"]).output().unwrap();
    assert_fails(&output, 9, &["read from"]);
}

#[test]
fn a_coverage_with_a_typo_names_line_and_column() {
    let Some(source) = image("redis") else { return };
    let place = Place::new();
    fs::write(
        place.path("typo.yaml"),
        "version: 1\nname: x\nsteps:\n  - name: a\n    exce: [redis-cli, PING]\n",
    )
    .unwrap();
    let target = format!("oci:{}", place.path("out"));
    let coverage = place.path("typo.yaml");
    let output =
        place.careen(&["harden", source.to_str().unwrap(), "-c", &coverage, "-o", &target]).output().unwrap();
    assert_fails(&output, 5, &["typo.yaml:5:5", "exce", "exec"]);
    place.nothing_remains();
}

#[test]
fn a_workload_that_is_never_ready() {
    let Some(source) = image("redis").filter(|_| can_run()) else { return };
    let place = Place::new();
    let text = "version: 1\nname: x\nwait_for:\n  - tcp: 1234\n    timeout: 2s\nsteps:\n  - name: a\n    exec: [redis-cli, PING]\n";
    fs::write(place.path("never.yaml"), text).unwrap();
    let target = format!("oci:{}", place.path("out"));
    let coverage = place.path("never.yaml");
    let output =
        place.careen(&["harden", source.to_str().unwrap(), "-c", &coverage, "-o", &target]).output().unwrap();
    // The log's tail is what tells the user why.
    assert_fails(&output, 6, &["1234", "Ready to accept connections", "hint: "]);
    place.nothing_remains();
}

#[test]
fn a_step_that_fails_shows_its_output() {
    let Some(source) = image("redis").filter(|_| can_run()) else { return };
    let place = Place::new();
    let text = "version: 1\nname: x\nwait_for:\n  - tcp: 6379\nsteps:\n  - name: wrong option\n    exec: [redis-cli, --no-such-option]\n";
    fs::write(place.path("fails.yaml"), text).unwrap();
    let target = format!("oci:{}", place.path("out"));
    let coverage = place.path("fails.yaml");
    let output =
        place.careen(&["harden", source.to_str().unwrap(), "-c", &coverage, "-o", &target]).output().unwrap();
    assert_fails(&output, 6, &["wrong option", "--no-such-option"]);
    place.nothing_remains();
}

#[test]
fn not_root_and_ebpf_asked_for() {
    let Some(source) = image("redis").filter(|_| can_run()) else { return };
    // The binary and the image must be readable for anyone.
    let open = tempfile::Builder::new().prefix("careen-it-").tempdir_in("/tmp").unwrap();
    let everyone = |path: &Path| {
        let status = Command::new("chmod").args(["-R", "a+rX"]).arg(path).status().unwrap();
        assert!(status.success());
    };
    fs::copy(CAREEN, open.path().join("careen")).unwrap();
    let copied =
        Command::new("cp").args(["-rL"]).arg(&source).arg(open.path().join("redis")).status().unwrap();
    assert!(copied.success());
    everyone(open.path());
    fs::create_dir(open.path().join("mine")).unwrap();
    std::os::unix::fs::chown(open.path().join("mine"), Some(65534), Some(65534)).unwrap();
    let output = Command::new(open.path().join("careen"))
        .args(["harden", "oci:redis", "-c", "redis", "-o", "oci:mine/out", "--sensor", "ebpf"])
        .env("CAREEN_DATA_DIR", open.path().join("mine/data"))
        .current_dir(open.path())
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    assert_fails(&output, 4, &["root", "hint: "]);
    assert!(!open.path().join("mine/out").exists());
}

#[test]
fn no_bpf_and_ebpf_asked_for() {
    let Some(source) = image("redis").filter(|_| can_run()) else { return };
    let place = Place::new();
    let target = format!("oci:{}", place.path("out"));
    // In a user namespace root may mount overlays, but the kernel refuses it BPF. Owners other than root cannot be
    // given there, so the layers are unpacked before.
    let unpacked =
        place.careen(&["run", "-q", source.to_str().unwrap(), "--", "redis-server", "--version"]).output();
    assert!(unpacked.unwrap().status.success());
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", CAREEN, "harden"])
        .args([source.to_str().unwrap(), "-c", "redis", "-o", &target, "--sensor", "ebpf"])
        .env("CAREEN_DATA_DIR", place.path("data"))
        .output()
        .unwrap();
    assert_fails(&output, 4, &["BPF", "hint: "]);
    place.nothing_remains();
}

/// A mount of the test, undone with it.
struct Mount(std::path::PathBuf);

impl Mount {
    fn new(args: &[&str], at: &Path) -> Self {
        fs::create_dir_all(at).unwrap();
        let output = Command::new("mount").args(args).arg(at).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(at.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn no_overlayfs_where_the_data_lies() {
    let Some(source) = image("redis").filter(|_| can_run()) else { return };
    let place = Place::new();
    for dir in ["lower", "upper", "work", "data"] {
        fs::create_dir(place.path(dir)).unwrap();
    }
    // An overlay cannot serve as the upper directory of another one.
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        place.path("lower"),
        place.path("upper"),
        place.path("work")
    );
    let mount = Mount::new(&["-t", "overlay", "overlay", "-o", &options], Path::new(&place.path("data")));
    let target = format!("oci:{}", place.path("out"));
    let output =
        place.careen(&["harden", source.to_str().unwrap(), "-c", "redis", "-o", &target]).output().unwrap();
    assert_fails(&output, 4, &["writable layer", "hint: "]);
    drop(mount);
    place.nothing_remains();
}

#[test]
fn a_full_disk() {
    let Some(source) = image("redis").filter(|_| can_run()) else { return };
    let place = Place::new();
    // Too small for the layers, then large enough for them but not for the image.
    let data = Mount::new(&["-t", "tmpfs", "-o", "size=8m", "tmpfs"], Path::new(&place.path("data")));
    let target = format!("oci:{}", place.path("out"));
    let output =
        place.careen(&["harden", source.to_str().unwrap(), "-c", "redis", "-o", &target]).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left on device"));
    drop(data);
    place.nothing_remains();

    let small = Mount::new(&["-t", "tmpfs", "-o", "size=2m", "tmpfs"], Path::new(&place.path("small")));
    let target = format!("oci:{}/out", place.path("small"));
    let output =
        careen_command(&["harden", source.to_str().unwrap(), "-c", "redis", "-o", &target]).output().unwrap();
    assert_fails(&output, 9, &["No space left on device", "hint: "]);
    assert_eq!(fs::read_dir(place.path("small")).unwrap().count(), 0, "nothing half-written remains");
    drop(small);
}

#[test]
fn ctrl_c_undoes_everything() {
    let Some(source) = image("redis").filter(|_| can_run()) else { return };
    let place = Place::new();
    let text = "version: 1\nname: x\nwait_for:\n  - tcp: 6379\nsteps:\n  - name: long\n    exec: [sleep, '60']\n    timeout: 90s\n";
    fs::write(place.path("long.yaml"), text).unwrap();
    let target = format!("oci:{}", place.path("out"));
    let coverage = place.path("long.yaml");
    for signal in ["INT", "TERM", "KILL"] {
        let started = place
            .careen(&["harden", source.to_str().unwrap(), "-c", &coverage, "-o", &target])
            .stderr(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        wait_for_sleep(&place);
        let pid = started.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        let output = started.wait_with_output().unwrap();
        if signal == "KILL" {
            // Nobody was there to clean up but the helper; what it cannot do, the next start does.
            let deadline = Instant::now() + Duration::from_secs(10);
            let run = place.dir.path().join("data/run");
            while fs::read_dir(&run).is_ok_and(|dir| dir.count() > 0) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(100));
            }
            let again = place
                .careen(&["run", "-q", source.to_str().unwrap(), "--", "redis-server", "--version"])
                .output()
                .unwrap();
            assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
        } else {
            assert_fails(&output, 130, &["interrupted"]);
        }
        place.nothing_remains();
    }
}

/// Waits until the long step runs: only then is everything up that must come down.
fn wait_for_sleep(place: &Place) {
    let run = place.dir.path().join("data/run");
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        let running = fs::read_dir("/proc")
            .unwrap()
            .filter_map(Result::ok)
            .any(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == b"sleep\x0060\0"));
        if running && run.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    skip("the long step did not begin within a minute");
}
