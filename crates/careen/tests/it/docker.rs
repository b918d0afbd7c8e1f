//! The result in a real Docker engine: as before, read-only, as another user, without capabilities.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::{can_run, hardened, image, skip, workdir};

/// A dockerd of our own, with its data in a directory of ours; ended with the test, also when it fails.
struct Dockerd {
    daemon: Child,
    host: String,
    dir: tempfile::TempDir,
}

impl Dockerd {
    fn start() -> Option<Self> {
        let program =
            ["/usr/sbin/dockerd", "/usr/bin/dockerd"].into_iter().find(|path| Path::new(path).exists());
        let Some(program) = program else {
            skip("dockerd is not installed: apt-get install docker.io");
            return None;
        };
        let dir = workdir();
        let path = |name: &str| dir.path().join(name);
        let host = format!("unix://{}", path("docker.sock").display());
        let log = File::create(path("dockerd.log")).unwrap();
        let daemon = Command::new(program)
            .arg("--data-root")
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .args(["--host", &host, "--bridge", "none", "--iptables=false", "--ip6tables=false"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let this = Self { daemon, host, dir };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !this.docker(&["version"]).status.success() {
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(this.dir.path().join("dockerd.log")).unwrap_or_default();
                panic!("dockerd does not answer:\n{log}");
            }
            sleep(Duration::from_millis(200));
        }
        Some(this)
    }

    fn docker(&self, args: &[&str]) -> Output {
        Command::new("docker").args(["--host", &self.host]).args(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs docker, which must succeed, and returns what it printed.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.docker(args);
        assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn load(&self, layout: &Path, name: &str) {
        let archive = self.dir.path().join(format!("{name}.tar"));
        let output = Command::new("skopeo")
            .args(["copy", "--insecure-policy", "--quiet"])
            .arg(format!("oci:{}", layout.display()))
            .arg(format!("docker-archive:{}:{name}", archive.display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.ok(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        if let Ok(ids) = String::from_utf8(self.docker(&["ps", "-aq"]).stdout) {
            ids.split_whitespace().for_each(|id| drop(self.docker(&["rm", "-f", id])));
        }
        let pid = self.daemon.id().to_string();
        let _ = Command::new("kill").arg(&pid).status();
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.daemon.try_wait().ok().flatten().is_none() && Instant::now() < deadline {
            sleep(Duration::from_millis(100));
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        // What dockerd mounted beneath its directory, should it have left something.
        let mut mounts: Vec<PathBuf> = std::fs::read_to_string("/proc/self/mounts")
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.split(' ').nth(1).map(PathBuf::from))
            .filter(|mount| mount.starts_with(self.dir.path()))
            .collect();
        mounts.sort();
        mounts.iter().rev().for_each(|mount| drop(Command::new("umount").arg("-l").arg(mount).status()));
    }
}

/// What a container answers, for comparison with another image's.
fn redis_in_docker(dockerd: &Dockerd, image: &str, options: &[&str]) -> Vec<(Option<i32>, String)> {
    let id = dockerd.ok(&[&["run", "-d", "--network", "none"], options, &[image]].concat());
    let deadline = Instant::now() + Duration::from_secs(30);
    while !dockerd.docker(&["exec", &id, "redis-cli", "PING"]).status.success() {
        if dockerd.ok(&["inspect", "-f", "{{.State.Running}}", &id]) == "false" || Instant::now() > deadline {
            // Some ways to run it are too narrow for the original: then what it says counts.
            let code = dockerd.ok(&["inspect", "-f", "{{.State.ExitCode}}", &id]).parse().ok();
            let log = dockerd.docker(&["logs", &id]);
            dockerd.ok(&["rm", "-f", "-v", &id]);
            return vec![(code, String::from_utf8_lossy(&log.stderr).into_owned())];
        }
        sleep(Duration::from_millis(200));
    }
    let commands: [&[&str]; 7] = [
        &["redis-cli", "SET", "k", "v"],
        &["redis-cli", "GET", "k"],
        &["redis-cli", "SAVE"],
        &["redis-cli", "EVAL", "return redis.call('GET', 'k')", "0"],
        &["redis-benchmark", "-n", "100", "-q", "-t", "nosuchtest"],
        &["redis-cli", "CONFIG", "GET", "dir"],
        &["redis-sentinel", "--version"],
    ];
    let mut answers: Vec<_> = commands
        .iter()
        .map(|command| {
            let output = dockerd.docker(&[&["exec", &id], *command].concat());
            (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
        })
        .collect();
    let top = dockerd.ok(&["top", &id, "-o", "pid,user,args"]);
    answers.push((
        None,
        top.lines().skip(1).map(|l| l.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")).collect(),
    ));
    dockerd.ok(&["stop", "-t", "10", &id]);
    answers.push((dockerd.ok(&["inspect", "-f", "{{.State.ExitCode}}", &id]).parse().ok(), String::new()));
    dockerd.ok(&["rm", "-f", "-v", &id]);
    answers
}

#[test]
fn redis_in_docker_answers_as_the_original_does() {
    if !can_run() {
        return;
    }
    let (Some(source), Some(dir)) = (image("redis"), hardened("redis")) else { return };
    let Some(dockerd) = Dockerd::start() else { return };
    dockerd.load(&source, "original");
    dockerd.load(&dir.join("redis"), "hardened");
    let ways: [&[&str]; 4] = [&[], &["--read-only"], &["--user", "12345"], &["--cap-drop", "ALL"]];
    for way in ways {
        let original = redis_in_docker(&dockerd, "original", way);
        assert_eq!(redis_in_docker(&dockerd, "hardened", way), original, "docker run {way:?}");
        assert_eq!(original[0].0 == Some(0), way != ["--cap-drop", "ALL"], "the original answers {way:?}");
    }
}
