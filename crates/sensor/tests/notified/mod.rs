//! Programs under the filter of the backend by notification.
#![allow(dead_code, reason = "each test program uses its part")]

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use sensor::notify::{Recording, Watcher};
use sensor::{Record, Target};

use crate::fixture::Container;

pub(crate) struct Run {
    pub(crate) record: Record,
    pub(crate) output: String,
}

pub(crate) fn watch(container: &Container) -> (Recording, String) {
    watch_with(container, Watcher::new())
}

pub(crate) fn watch_with(container: &Container, watcher: Watcher) -> (Recording, String) {
    let canary = watcher.canary().path.clone();
    let target = Target {
        cgroup_dir: PathBuf::new(),
        rootfs: container.merged(),
        mounts: Vec::new(),
        set_up_by: None,
        one_user: false,
    };
    (watcher.watch(&target).unwrap(), canary)
}

/// Starts a program under the filter; gives its listener to the recording.
pub(crate) fn start(
    container: &Container,
    recording: &Recording,
    canary: &str,
    args: &[&str],
) -> std::process::Child {
    let (child, listener) = listener_of(container, canary, args);
    recording.sink().give(listener, child.id());
    child
}

/// Starts a program under the filter.
pub(crate) fn listener_of(
    container: &Container,
    canary: &str,
    args: &[&str],
) -> (std::process::Child, OwnedFd) {
    let script = r#"exec 100< "$1/t/f_inherit" 101< "$1/t/f_magic"; exec "$0" "${@:1}""#;
    let mut child = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_notify-run")])
        .arg(container.merged())
        .arg(canary)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut number = String::new();
    let stdout = child.stdout.as_mut().unwrap();
    let mut byte = [0];
    while stdout.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        number.push(byte[0].into());
    }
    let pid = Pid::from_child(&child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let listener = pidfd_getfd(&pidfd, number.parse().unwrap(), PidfdGetfdFlags::empty()).unwrap();
    (child, listener)
}

pub(crate) fn run(
    container: &Container,
    args: &[&str],
    meanwhile: impl FnOnce(&mut Recording, &mut std::process::Child),
) -> Run {
    let (mut recording, canary) = watch(container);
    let mut child = start(container, &recording, &canary, args);
    meanwhile(&mut recording, &mut child);
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    child.wait().unwrap();
    Run { record: container.finish_with(|tree| recording.finish(tree)), output }
}
