//! A small image of busybox, an engine over it, and what must be as before afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use careen_engine::*;
use image::ContainerConfig;

/// Why containers cannot run here, if they cannot. Printed, so that no skipped test looks like a passed one.
pub fn skip() -> bool {
    let reason = if !rustix::process::geteuid().is_root() {
        "not root"
    } else if !Path::new("/bin/busybox").exists() {
        "no /bin/busybox (install busybox-static)"
    } else {
        return false;
    };
    eprintln!("SKIP: {reason}");
    true
}

pub struct Bench {
    pub dir: tempfile::TempDir,
    pub engine: Engine,
    pub interrupt: Arc<AtomicBool>,
    cgroups: BTreeSet<PathBuf>,
}

pub fn options(data_dir: &Path, interrupt: &Arc<AtomicBool>) -> EngineOptions {
    let helper = Helper { program: env!("CARGO_BIN_EXE_engine-helper").into(), leading_args: Vec::new() };
    EngineOptions { data_dir: data_dir.to_owned(), helper, interrupt: Arc::clone(interrupt) }
}

impl Bench {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("careen-engine-").tempdir().unwrap();
        let cgroups = cgroup_dirs();
        let interrupt = Arc::new(AtomicBool::new(false));
        let engine = Engine::open(options(&dir.path().join("data"), &interrupt)).unwrap();
        Self { dir, engine, interrupt, cgroups }
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Three layers: busybox, users, and a whiteout with a changed file.
    #[expect(clippy::needless_pass_by_value, reason = "made where it is called, in every test")]
    pub fn image(&self, config: ContainerConfig) -> Unpacked {
        Unpacked::from_directories(busybox_layers(&self.dir.path().join("layers")), &config)
    }

    pub fn container(&self, config: ContainerConfig, options: &RunOptions) -> Container {
        self.engine.create(&self.image(config), options).unwrap()
    }

    /// A started container that sleeps.
    pub fn sleeping(&self, options: &RunOptions) -> Container {
        let mut container = self.container(config(&["sleep", "1000"]), options);
        container.start().unwrap();
        container
    }

    pub fn assert_nothing_remains(&self) {
        assert_nothing_remains(&self.data_dir(), &self.cgroups);
    }
}

pub fn assert_nothing_remains(data_dir: &Path, cgroups: &BTreeSet<PathBuf>) {
    let runs: Vec<_> =
        fs::read_dir(data_dir.join("run")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(runs, Vec::<PathBuf>::new());
    // Others mount and unmount beside us: only what is of this directory counts.
    assert!(!mountinfo().contains(data_dir.to_str().unwrap()), "{}", mountinfo());
    let left = processes_of(data_dir);
    assert_eq!(left, Vec::<String>::new());
    // Others run containers beside us: theirs come, go, or last.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut left = cgroup_dirs();
        let theirs = living_containers();
        left.retain(|dir| {
            !cgroups.contains(dir) && !theirs.iter().any(|id| dir.to_string_lossy().contains(id))
        });
        // The parent of all containers goes with the last.
        left.retain(|dir| theirs.is_empty() || !dir.ends_with("careen"));
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{left:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Ids of containers whose root some process has mounted.
fn living_containers() -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let mounts = fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)?.strip_suffix("/rootfs"));
        out.extend(points.filter_map(|dir| Some(dir.rsplit_once("/run/")?.1.to_owned())));
    }
    out
}

/// Processes that have a mount of this data directory.
pub fn processes_of(data_dir: &Path) -> Vec<String> {
    let needle = data_dir.canonicalize().unwrap().join("run");
    let mut out = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let mounts = fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        if mounts.contains(needle.to_str().unwrap()) {
            out.push(fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default());
        }
    }
    out
}

pub fn mountinfo() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap()
}

/// All cgroup directories of any Careen.
pub fn cgroup_dirs() -> BTreeSet<PathBuf> {
    fn walk(dir: &Path, depth: u32, out: &mut BTreeSet<PathBuf>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if depth == 0 || !path.is_dir() {
                continue;
            }
            // Those of the sensor's tests are called `careen-sensor-…`.
            let ours = |name: &std::ffi::OsStr| name == "careen" || name.len() == "careen-".len() + 12;
            if path.iter().any(|name| name.to_string_lossy().starts_with("careen") && ours(name)) {
                out.insert(path.clone());
            }
            walk(&path, depth - 1, out);
        }
    }
    let mut out = BTreeSet::new();
    walk(Path::new("/sys/fs/cgroup"), 4, &mut out);
    out
}

pub fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

pub fn config(cmd: &[&str]) -> ContainerConfig {
    ContainerConfig { cmd: Some(texts(cmd)), ..ContainerConfig::default() }
}

pub fn shell(script: &str) -> ContainerConfig {
    config(&["sh", "-c", script])
}

pub fn exec(args: &[&str]) -> ExecOptions {
    ExecOptions {
        args: texts(args),
        env: Vec::new(),
        user: None,
        working_dir: None,
        stdin: Stdin::Null,
        timeout: Duration::from_secs(20),
    }
}

/// What a command prints, which must succeed.
pub fn output(container: &Container, script: &str) -> String {
    let output = container.exec(&exec(&["sh", "-c", script])).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.end, CommandEnd::Exited(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.trim_end().to_owned()
}

pub fn wait_exit(container: &mut Container) -> Exit {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(exit) = container.exited().unwrap() {
            return exit;
        }
        assert!(Instant::now() < deadline, "still running: {}", String::from_utf8_lossy(&container.logs()));
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn wait_log(container: &Container, text: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !String::from_utf8_lossy(&container.logs()).contains(text) {
        assert!(Instant::now() < deadline, "no {text:?} in {}", String::from_utf8_lossy(&container.logs()));
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn set(interrupt: &AtomicBool) {
    interrupt.store(true, Ordering::Relaxed);
}

fn busybox_layers(dir: &Path) -> Vec<PathBuf> {
    let layers = ["base", "users", "top"].map(|name| dir.join(name));
    if dir.exists() {
        return layers.to_vec();
    }
    let [base, users, top] = &layers;
    for name in ["bin", "tmp", "usr/lib", "var/data"] {
        fs::create_dir_all(base.join(name)).unwrap();
    }
    fs::set_permissions(base.join("tmp"), PermissionsExt::from_mode(0o1777)).unwrap();
    fs::copy("/bin/busybox", base.join("bin/busybox")).unwrap();
    for name in [
        "sh", "sleep", "cat", "echo", "id", "env", "true", "false", "kill", "ps", "ls", "mknod", "head",
        "nc", "yes", "touch", "hostname", "mount", "grep", "stat", "setsid", "wc", "trap", "dd", "ping",
        "httpd", "seq", "readlink", "chmod",
    ] {
        symlink("busybox", base.join("bin").join(name)).unwrap();
    }
    fs::write(base.join("removed"), "x").unwrap();
    fs::write(base.join("var/data/seed"), "seed\n").unwrap();
    fs::create_dir_all(users.join("etc")).unwrap();
    fs::write(users.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n")
        .unwrap();
    fs::write(users.join("etc/group"), "root:x:0:\napp:x:1001:\nextra:x:44:app\n").unwrap();
    fs::create_dir_all(top.join("etc")).unwrap();
    fs::write(top.join("etc/motd"), "hello\n").unwrap();
    fs::write(top.join("not-executable"), "data").unwrap();
    fs::write(top.join("no-shebang"), "echo hi\n").unwrap();
    fs::set_permissions(top.join("no-shebang"), PermissionsExt::from_mode(0o755)).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        top.join("removed"),
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::from_raw_mode(0),
        0,
    )
    .unwrap();
    layers.to_vec()
}
