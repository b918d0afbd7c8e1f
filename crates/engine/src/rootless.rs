//! Containers for a user who is not root: this program run again as root of a user namespace.
//!
//! The process that the user started enters the namespaces and only waits; its child, the first process of a new PID
//! namespace, is the program again and does the work. Should the former be killed, the kernel kills the latter, and
//! with that every container: a PID namespace does not outlive its first process. So nothing is left running, without
//! cgroups.
//!
//! Root inside is the user who started it. If `/etc/subuid` and `/etc/subgid` give that user ranges and `newuidmap` and
//! `newgidmap` are there, those are mapped from 1 on; otherwise root is alone.

mod ranges;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::CWD;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Signal, getegid, geteuid, set_parent_process_death_signal};
use rustix::thread::UnshareFlags;

use ranges::Ranges;

/// Set in the program that does the work.
const INSIDE: &str = "CAREEN_ROOTLESS";
/// How long mapping users may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why an ordinary user cannot run containers here.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}, to run containers without root")]
pub struct RootlessError {
    /// What was tried.
    step: &'static str,
    source: io::Error,
}

impl RootlessError {
    /// What the user can try.
    pub fn hint(&self) -> String {
        let is = |path: &str, bad: &str| fs::read_to_string(path).is_ok_and(|value| value.trim() == bad);
        let text = if is("/proc/sys/user/max_user_namespaces", "0") {
            "allow user namespaces: sysctl user.max_user_namespaces=15000; or run it as root"
        } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
            "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1; or run it as root"
        } else if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
            "AppArmor restricts user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or give careen a \
             profile with `userns,`; or run it as root"
        } else {
            "in a container its seccomp filter or its masked /proc may forbid it; run it on the host, or as root"
        };
        text.to_owned()
    }
}

fn step(step: &'static str) -> impl Fn(io::Error) -> RootlessError {
    move |source| RootlessError { step, source }
}

/// Whether `/etc/subuid` and the programs that read it give this user more than one user.
pub fn has_ranges() -> bool {
    Ranges::of_this_user().is_some()
}

/// Runs this program again, with these arguments, as root of a new user namespace. `mapper` are the leading arguments
/// with which it ends up in [`map_main`]. Before any thread starts, since only then can namespaces be entered.
///
/// The program is in a process group of its own: whoever waits for it passes signals on.
///
/// # Errors
/// [`RootlessError`].
pub fn enter(arguments: &[OsString], mapper: &[OsString]) -> Result<Child, RootlessError> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let mapping = match Ranges::of_this_user() {
        Some(_) => {
            let own = std::process::id().to_string();
            let mut command = Command::new("/proc/self/exe");
            command.args(mapper).arg(own).stdin(Stdio::null()).stdout(Stdio::null());
            Some(command.spawn().map_err(step("map users"))?)
        }
        None => None,
    };
    sys::unshare(UnshareFlags::NEWUSER).map_err(step("make a user namespace"))?;
    match mapping {
        Some(mut mapper) => {
            let status = mapper.wait().map_err(step("map users"))?;
            if !status.success() {
                return Err(step("map users")(io::Error::other("newuidmap or newgidmap failed")));
            }
        }
        None => map_one(uid, gid).map_err(step("map a user"))?,
    }
    let others = UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWCGROUP;
    sys::unshare(others).map_err(step("make namespaces"))?;
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments).env(INSIDE, "1").process_group(0);
    command.spawn().map_err(step("start this program again"))
}

/// To be called first of all: in the program that [`enter`] has started it makes the namespaces its own.
///
/// # Errors
/// [`RootlessError`].
pub fn settle() -> Result<(), RootlessError> {
    if std::env::var_os(INSIDE).is_none() || std::process::id() != 1 {
        return Ok(());
    }
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| step("stay together")(error.into()))?;
    let make_private = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", make_private).map_err(|error| step("have mounts of its own")(error.into()))?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    mount("proc", "/proc", "proc", flags, None).map_err(|error| step("mount /proc")(error.into()))?;
    // The runtime wants to see a hierarchy, although it may not do anything there.
    mount("cgroup2", "/sys/fs/cgroup", "cgroup2", flags, None)
        .map_err(|error| step("mount the control groups")(error.into()))
}

/// One user, one group: root, who is who we were.
fn map_one(uid: u32, gid: u32) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

/// Maps the ranges of this user into the user namespace that the given process is about to make. Gives the exit code.
pub fn map_main(args: &[OsString]) -> i32 {
    let map = || -> Option<()> {
        let process = args.first()?.to_str()?;
        let ranges = Ranges::of_this_user()?;
        let namespace =
            |process: &str| rustix::fs::readlinkat(CWD, format!("/proc/{process}/ns/user"), Vec::new());
        let ours = namespace("self").ok()?;
        let deadline = Instant::now() + PATIENCE;
        while namespace(process).ok()? == ours {
            if Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let run = |program: &str, first: u32, range: (u32, u32)| {
            let numbers = [0, first, 1, 1, range.0, range.1].map(|number| number.to_string());
            let status = Command::new(OsStr::new(program)).arg(process).args(numbers).status().ok()?;
            status.success().then_some(())
        };
        run("newgidmap", getegid().as_raw(), ranges.groups)?;
        run("newuidmap", geteuid().as_raw(), ranges.users)
    };
    if map().is_some() { 0 } else { 1 }
}
