//! Everything that takes root elsewhere, as an ordinary user.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{CAREEN, can_run, document, image, skip};

const UID: u32 = 65534;

/// A home for an ordinary user: the program, an image, room for data.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    /// `None`, after a skip, where ordinary users cannot make user namespaces.
    fn with(name: &str) -> Option<Self> {
        if !can_run() {
            return None;
        }
        let layout = image(name)?;
        let dir = tempfile::Builder::new().prefix("careen-rootless-").tempdir_in("/var/tmp").unwrap();
        let this = Self { dir };
        fs::copy(CAREEN, this.path("careen")).unwrap();
        let copied = Command::new("cp").args(["-rL"]).arg(layout).arg(this.path("image")).status().unwrap();
        assert!(copied.success());
        fs::create_dir(this.path("data")).unwrap();
        let owned = Command::new("chown").args(["-R", "65534:65534"]).arg(this.dir.path()).status().unwrap();
        assert!(owned.success());
        fs::set_permissions(this.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut trial = this.ordinary("unshare");
        if !trial.args(["-Ur", "true"]).output().unwrap().status.success() {
            skip("ordinary users cannot make user namespaces");
            return None;
        }
        Some(this)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The coverage of the image.
    fn coverage(&self) -> String {
        let coverage = self.path("coverage.yaml");
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images/busybox/coverage.yaml");
        fs::copy(own, &coverage).unwrap();
        coverage.display().to_string()
    }

    /// A command without any privilege.
    fn ordinary(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args([
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                "--inh-caps=-all",
                "--bounding-set=-all",
            ])
            .arg(program.as_ref())
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    fn careen(&self, args: &[&str]) -> Command {
        let mut command = self.ordinary(self.path("careen"));
        command.args(args).env("CAREEN_DATA_DIR", self.path("data")).env_remove("CAREEN_LOG");
        command
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = self.careen(&[args, &["--output", "json"]].concat()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[test]
fn hard_24_an_ordinary_user_hardens_an_image() {
    let Some(home) = Home::with("busybox") else { return };
    let coverage = home.coverage();
    home.json(&["harden", "oci:image", "--coverage", &coverage, "-o", "oci:hardened"]);
    let made = fs::metadata(home.path("hardened/index.json")).unwrap();
    assert_eq!((made.uid(), made.gid()), (UID, UID));
    let profile = home.path("hardened.careen/original.profile");
    let profile = document(&profile);
    let sensor = &profile["runs"][0]["sensor"];
    assert_eq!(sensor["backend"], "seccomp-notify", "{sensor}");
    assert_eq!(sensor["verdict"], "complete", "{sensor}");
    let listed = |dir: &Path| -> u64 {
        fs::read_dir(dir.join("blobs/sha256")).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum()
    };
    let (before, after) = (listed(&home.path("image")), listed(&home.path("hardened")));
    assert!(after < before, "{before} to {after} bytes");
    home.json(&["verify", "oci:hardened", "--coverage", &coverage]);
    assert_eq!(fs::read_dir(home.path("data/run")).unwrap().count(), 0, "no container is left");
}

#[test]
fn what_watches_can_be_chosen_and_both_see_the_same_programs() {
    let Some(home) = Home::with("busybox") else { return };
    let coverage = &*home.coverage();
    let used = |json: &Path| -> Vec<String> {
        let profile = document(json);
        profile["paths"].as_object().unwrap().keys().cloned().collect()
    };
    home.json(&["record", "oci:image", "--coverage", coverage, "-o", "own.profile"]);
    let data = home.path("root-data");
    let image = format!("oci:{}", home.path("image").display());
    let by_root = |sensor: &str| {
        let file = home.path(&format!("{sensor}.profile"));
        let output = Command::new(CAREEN)
            .args(["record", &image, "--coverage", coverage, "--sensor", sensor, "-o"])
            .arg(&file)
            .env("CAREEN_DATA_DIR", &data)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        file
    };
    let (ebpf, notify) = (used(&by_root("ebpf")), used(&by_root("notify")));
    assert!(ebpf.iter().any(|path| path == "/bin/busybox"), "{ebpf:?}");
    assert_eq!(ebpf, notify);
    // busybox reads its settings only for a user who is not root, and where there is one user that one is root.
    let settings = |path: &String| path != "/etc/busybox.conf";
    let own = used(&home.path("own.profile"));
    assert!(
        own.iter().filter(|path| settings(path)).eq(notify.iter().filter(|path| settings(path))),
        "{own:?}"
    );
}

#[test]
fn a_killed_run_without_root_leaves_no_process() {
    let Some(home) = Home::with("busybox") else { return };
    let mut child = home
        .careen(&["run", "oci:image", "--entrypoint", "sleep", "--", "98765"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let sleeps = || {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.filter(|line| line.ends_with(b"sleep\x0098765\0")).count()
    };
    let wait_for = |wanted: usize| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while sleeps() != wanted {
            assert!(Instant::now() < deadline, "{} processes, not {wanted}", sleeps());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    wait_for(1);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for(0);
    home.json(&["inspect", "oci:image"]);
    let doctor = home.careen(&["doctor"]).output().unwrap();
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
    assert_eq!(fs::read_dir(home.path("data/run")).unwrap().count(), 0, "the next start sweeps up");
}
