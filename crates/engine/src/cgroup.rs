//! Where containers live in the cgroup hierarchies.
//!
//! Every process of a container is in, or beneath, one directory of ours in the cgroup2 tree: `careen/ID`. Commands
//! run by `exec` get a directory beneath it, so that a command can be killed with all that it started. On hosts that
//! still have version 1 hierarchies the container also gets a directory `careen-ID` in each of them; of those only
//! `devices` matters, which keeps it from opening devices outside Docker's list.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

const ROOT: &str = "/sys/fs/cgroup";
const PARENT: &str = "careen";

/// The cgroup2 directory under which ours are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hierarchy {
    /// An existing directory of the cgroup2 tree that we may write to.
    base: PathBuf,
    /// Where that tree is mounted.
    mount_point: PathBuf,
}

/// The cgroups of one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContainerCgroup {
    /// None where we have no right to any: in a user namespace.
    hierarchy: Option<Hierarchy>,
    id: String,
}

impl Hierarchy {
    /// Finds a place by trying to make a directory: at the root of each cgroup2 mount, then in our own cgroup.
    pub(crate) fn find() -> Result<Self, crate::EngineError> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = own_cgroup2_path();
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        let mut looked_at = Vec::new();
        for mount_point in cgroup2_mounts(&mounts) {
            let beneath = own
                .strip_prefix("/")
                .map(|own| mount_point.join(own))
                .unwrap_or_else(|_| mount_point.clone());
            for base in [mount_point.clone(), beneath] {
                looked_at.push(base.display().to_string());
                let hierarchy = Self { base, mount_point: mount_point.clone() };
                match hierarchy.probe() {
                    Ok(()) => return Ok(hierarchy),
                    Err(error) => last = error,
                }
            }
        }
        if looked_at.is_empty() {
            looked_at.push(format!("all mounts below {ROOT}"));
        }
        looked_at.dedup();
        Err(crate::EngineError::NoCgroup2 { looked_at: looked_at.join(", "), source: last })
    }

    fn probe(&self) -> io::Result<()> {
        let cgroup =
            ContainerCgroup { hierarchy: Some(self.clone()), id: format!("probe-{}", std::process::id()) };
        cgroup.create_dir(&cgroup.dir())?;
        let usable = cgroup.dir().join("cgroup.procs").exists();
        cgroup.remove_dirs();
        if usable { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
    }

    /// Whether libcontainer sees this host as one with cgroup2 alone.
    fn is_unified(&self) -> bool {
        self.mount_point == Path::new(ROOT)
    }

    pub(crate) fn container(&self, id: &str) -> ContainerCgroup {
        ContainerCgroup { hierarchy: Some(self.clone()), id: id.to_owned() }
    }
}

impl ContainerCgroup {
    /// Of a container without cgroups.
    pub(crate) fn absent(id: &str) -> Self {
        Self { hierarchy: None, id: id.to_owned() }
    }

    /// Whether there is none. Then its directories are names of nothing.
    pub(crate) fn is_absent(&self) -> bool {
        self.hierarchy.is_none()
    }

    fn base(&self) -> &Path {
        self.hierarchy.as_ref().map_or(Path::new("/nonexistent"), |hierarchy| &hierarchy.base)
    }

    /// The directory that holds every process of the container, itself or in directories beneath it.
    pub(crate) fn dir(&self) -> PathBuf {
        self.base().join(PARENT).join(&self.id)
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// For host commands on behalf of the container: beside it, since what they touch is not the container's.
    fn host_dir(&self) -> PathBuf {
        self.base().join(PARENT).join(format!("{}.host", self.id))
    }

    /// For one command in the container. The name relative to `dir` is given too.
    pub(crate) fn exec_dir(&self, number: u64) -> (PathBuf, String) {
        let name = format!("exec-{number}");
        (self.dir().join(&name), name)
    }

    /// For one host command.
    pub(crate) fn host_command_dir(&self, number: u64) -> PathBuf {
        self.host_dir().join(number.to_string())
    }

    /// `linux.cgroupsPath` for the runtime: in version 1 hierarchies where there are any, else our own directory.
    pub(crate) fn runtime_path(&self) -> PathBuf {
        let v2 = self.dir();
        match v2.strip_prefix(ROOT) {
            Ok(relative) if self.runtime_joins() => Path::new("/").join(relative),
            _ => PathBuf::from(format!("/{PARENT}-{}", self.id)),
        }
    }

    /// Whether the runtime itself puts processes into the cgroup2 directory. Elsewhere we join it before forking.
    pub(crate) fn runtime_joins(&self) -> bool {
        self.hierarchy.as_ref().is_none_or(Hierarchy::is_unified)
    }

    /// Whether version 1's device controller restricts the container.
    pub(crate) fn has_device_controller(&self) -> bool {
        !self.runtime_joins() && v1_mounts().iter().any(|mount| mount.ends_with("devices"))
    }

    /// The runtime's own list also has network tunnels.
    pub(crate) fn deny_devices_beyond_dockers(&self) {
        if self.is_absent() {
            return;
        }
        for mount in v1_mounts().iter().filter(|mount| mount.ends_with("devices")) {
            let _absent = fs::write(mount.join(format!("{PARENT}-{}/devices.deny", self.id)), "c 10:200 rwm");
        }
    }

    pub(crate) fn create(&self) -> io::Result<()> {
        self.create_dir(&self.dir())
    }

    /// Makes a directory of this container. Other Careens may remove the shared parent in between: then once more.
    pub(crate) fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut last = Ok(());
        if self.is_absent() {
            return last;
        }
        for _ in 0..50 {
            last = fs::create_dir_all(dir);
            match &last {
                Err(error) if error.kind() == io::ErrorKind::NotFound => std::thread::yield_now(),
                _ => break,
            }
        }
        last
    }

    /// All processes, in the directories beneath too, ascending.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let mut out: Vec<u32> = tree(&self.dir()).iter().flat_map(|dir| pids_of(dir)).collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    /// Kills every process of the container and every host command run for it.
    pub(crate) fn kill_all(&self) {
        for dir in [self.dir(), self.host_dir()] {
            kill_tree(&dir);
        }
    }

    /// Kills what there is and removes all directories. What cannot be removed is the error.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.kill_all();
        self.remove_dirs();
        let left = self.all_dirs().into_iter().find(|dir| dir.exists());
        left.map_or(Ok(()), |dir| Err(io::Error::other(format!("cannot remove cgroup {}", dir.display()))))
    }

    fn all_dirs(&self) -> Vec<PathBuf> {
        if self.is_absent() {
            // What the runtime made where we have a right to it, without asking.
            return vec![Path::new(ROOT).join(format!("{PARENT}-{}", self.id))];
        }
        let v1 = v1_mounts().into_iter().map(|mount| mount.join(format!("{PARENT}-{}", self.id)));
        [self.dir(), self.host_dir()].into_iter().chain(v1).collect()
    }

    fn remove_dirs(&self) {
        let deadline = Instant::now() + Duration::from_secs(2);
        loop {
            let mut left = false;
            for dir in self.all_dirs() {
                for dir in tree(&dir).into_iter().rev() {
                    left |=
                        matches!(fs::remove_dir(&dir), Err(error) if error.kind() != io::ErrorKind::NotFound);
                }
            }
            // A process that was just killed may still be on its way out.
            if !left || Instant::now() > deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _in_use_by_others = fs::remove_dir(self.base().join(PARENT));
    }
}

/// Puts this process into a cgroup for as long as the value lives, then back where it was.
#[derive(Debug)]
pub(crate) struct Joined {
    home: PathBuf,
}

impl Joined {
    pub(crate) fn join(cgroup: &ContainerCgroup, dir: &Path) -> io::Result<Self> {
        let own = own_cgroup2_path();
        let hierarchy = cgroup.hierarchy.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let home = hierarchy.mount_point.join(own.strip_prefix("/").unwrap_or(&own));
        fs::write(dir.join("cgroup.procs"), "0")?;
        Ok(Self { home })
    }

    pub(crate) fn leave(self) -> io::Result<()> {
        fs::write(self.home.join("cgroup.procs"), "0")
    }
}

/// Kills every process in and beneath a cgroup2 directory and waits until they are gone.
pub(crate) fn kill_tree(dir: &Path) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while dir.exists() && is_populated(dir) && Instant::now() < deadline {
        // Kernels before 5.14 have no cgroup.kill.
        if fs::write(dir.join("cgroup.kill"), "1").is_err() {
            for pid in tree(dir).iter().flat_map(|dir| pids_of(dir)) {
                if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
                    let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
            }
        }
        if wait_empty(dir, Duration::from_millis(200)) {
            break;
        }
    }
}

/// Whether a cgroup2 directory and those beneath have no process; waits at most `timeout` for it.
pub(crate) fn wait_empty(dir: &Path, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    while is_populated(dir) {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

fn is_populated(dir: &Path) -> bool {
    fs::read_to_string(dir.join("cgroup.events"))
        .is_ok_and(|events| events.lines().any(|line| line == "populated 1"))
}

fn pids_of(dir: &Path) -> Vec<u32> {
    let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    procs.lines().filter_map(|line| line.parse().ok()).collect()
}

/// A directory and all beneath, parents first.
fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut out = vec![dir.to_owned()];
    let mut next = 0;
    while let Some(dir) = out.get(next).cloned() {
        next += 1;
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        out.extend(entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
    }
    out
}

fn own_cgroup2_path() -> PathBuf {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("0::")).map_or_else(|| PathBuf::from("/"), PathBuf::from)
}

fn v1_mounts() -> Vec<PathBuf> {
    mounts_of_type(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(), "cgroup")
}

/// Mount points of cgroup2, those that the runtime and systemd know first.
fn cgroup2_mounts(mountinfo: &str) -> Vec<PathBuf> {
    let mut out = mounts_of_type(mountinfo, "cgroup2");
    out.sort_by_key(|path| (!path.starts_with(ROOT), path.clone()));
    out.dedup();
    out
}

/// Source: `proc_pid_mountinfo(5)`: the mount point is the fifth field, the type the first after ` - `.
fn mounts_of_type(mountinfo: &str, wanted: &str) -> Vec<PathBuf> {
    let parse = |line: &str| {
        let (head, tail) = line.split_once(" - ")?;
        (tail.split(' ').next()? == wanted).then(|| head.split(' ').nth(4).map(PathBuf::from))?
    };
    mountinfo.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup_mounts_are_found_in_mountinfo() {
        let text = "27 1 254:0 / / rw - ext4 /dev/vda rw\n\
            32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
            40 31 0:38 / /mnt/other rw,relatime shared:7 - cgroup2 cgroup2 rw\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:7 - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup2_mounts(text), [Path::new("/sys/fs/cgroup/unified"), Path::new("/mnt/other")]);
        assert_eq!(mounts_of_type(text, "cgroup"), [Path::new("/sys/fs/cgroup/cpu")]);
    }

    #[test]
    fn the_runtime_gets_the_cgroup2_directory_only_where_there_is_nothing_else() {
        let at = |mount: &str, base: &str| {
            Hierarchy { base: base.into(), mount_point: mount.into() }.container("0123")
        };
        let pure = at("/sys/fs/cgroup", "/sys/fs/cgroup/user.slice");
        assert_eq!(pure.runtime_path(), Path::new("/user.slice/careen/0123"));
        assert!(pure.runtime_joins());
        let hybrid = at("/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified");
        assert_eq!(hybrid.runtime_path(), Path::new("/careen-0123"));
        assert!(!hybrid.runtime_joins());
    }
}
