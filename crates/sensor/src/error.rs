//! What can go wrong, and what to try next.

use std::io;
use std::path::PathBuf;

use aya::maps::MapError;
use aya::programs::ProgramError;
use aya::{BtfError, EbpfError};
use profile::PassedOver;

use crate::hooks::{HookError, Strength, refusal};
use crate::wire::BadRecord;

/// Why the sensor cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The kernel does not describe its types.
    #[error("the kernel has no type information (BTF) at /sys/kernel/btf/vmlinux")]
    NoBtf {
        /// Why.
        source: BtfError,
    },
    /// The object or its maps were refused.
    #[error("cannot create the maps of the BPF object")]
    Object {
        /// Why.
        source: Box<EbpfError>,
        /// What the process lacks.
        blockers: Vec<Blocker>,
    },
    /// A program was refused.
    #[error("the kernel refuses the BPF program `{program}`")]
    Program {
        /// Its name.
        program: &'static str,
        /// Why.
        source: Box<ProgramError>,
        /// What the process lacks.
        blockers: Vec<Blocker>,
    },
    /// The hooks of a stronger backend cannot be used.
    #[error("the backend `{backend}` cannot watch here")]
    Hooks {
        /// Which backend.
        backend: &'static str,
        /// Why.
        source: HookError,
    },
    /// The thread that takes events in cannot be started.
    #[error("cannot start the thread that takes events in")]
    Consumer {
        /// Why.
        source: io::Error,
    },
}

/// Something that keeps this process from loading BPF programs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Blocker {
    /// A capability is missing.
    #[error("{0} is missing")]
    Capability(&'static str),
    /// Capabilities of a user namespace do not reach BPF.
    #[error("this process is in a user namespace, whose root has no say over BPF")]
    UserNamespace,
    /// The kernel is locked down against reading its memory.
    #[error("the kernel is locked down (confidentiality)")]
    Lockdown,
    /// BPF is refused without capabilities.
    #[error("kernel.unprivileged_bpf_disabled is {0}")]
    UnprivilegedDisabled(String),
}

/// Why a recording failed.
#[derive(Debug, thiserror::Error)]
pub enum SensorError {
    /// The cgroup cannot be opened.
    #[error("cannot open cgroup {cgroup}")]
    OpenCgroup {
        /// The directory.
        cgroup: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The program that sets the container up cannot be told apart.
    #[error("cannot leave out what {program} does")]
    SetUpProgram {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cgroup cannot be entered into the filter: not a cgroup2 directory.
    #[error("cannot watch cgroup {cgroup}")]
    WatchCgroup {
        /// The directory.
        cgroup: PathBuf,
        /// Why.
        source: MapError,
    },
    /// The root file system cannot be examined.
    #[error("cannot examine the container's root file system {rootfs}")]
    Rootfs {
        /// Its mount point.
        rootfs: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The root file system is no overlay mount.
    #[error("the container's root file system {rootfs} is not an overlay mount")]
    NotAnOverlay {
        /// Its mount point.
        rootfs: PathBuf,
    },
    /// The canary helper could not be run.
    #[error("cannot run the canaries of the sensor in {cgroup}")]
    Canary {
        /// The cgroup.
        cgroup: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The counters cannot be read.
    #[error("cannot read the counters of the sensor")]
    Counters {
        /// Why.
        source: MapError,
    },
    /// How often the kernel skipped a program cannot be read.
    #[error("cannot read how often the kernel skipped program `{program}`")]
    Skipped {
        /// The program.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Open and mapped files cannot be listed.
    #[error("cannot list the files that processes hold")]
    Snapshot {
        /// Why.
        source: io::Error,
    },
    /// The thread that follows paths in the container cannot be started.
    #[error("cannot start the thread that follows paths")]
    Follower {
        /// Why.
        source: io::Error,
    },
    /// Open and mapped files are listed in a form that is not understood.
    #[error("cannot understand the list of files that processes hold")]
    SnapshotRecord {
        /// Why.
        source: BadRecord,
    },
    /// The thread that answers system calls cannot be started.
    #[error("cannot start the thread that answers system calls")]
    Thread {
        /// Why.
        source: io::Error,
    },
    /// The thread that takes events in has panicked.
    #[error("the thread that takes events in has failed")]
    Consumer,
}

impl LoadError {
    /// What the user can try.
    pub fn hint(&self) -> Option<String> {
        const EMFILE: i32 = 24;
        let causes = std::iter::successors(Some(self as &dyn std::error::Error), |error| error.source());
        let mut errors = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error());
        if errors.any(|number| number == EMFILE) {
            return Some(
                "allow more open files (ulimit -n): the sensor takes some thirty, each container more"
                    .to_owned(),
            );
        }
        match self {
            Self::NoBtf { .. } => Some(
                "the sensor needs a kernel built with CONFIG_DEBUG_INFO_BTF, and /sys mounted; the kernels of Debian, \
                 Ubuntu and Fedora have it"
                    .to_owned(),
            ),
            Self::Object { blockers, .. } | Self::Program { blockers, .. } if !blockers.is_empty() => {
                let list: Vec<_> = blockers.iter().map(ToString::to_string).collect();
                let advice = if blockers.contains(&Blocker::Lockdown) {
                    "boot without lockdown=confidentiality (integrity is fine)"
                } else if blockers.contains(&Blocker::UserNamespace) {
                    "run as root of the host, outside of any user namespace (also not in a rootless container)"
                } else {
                    "run as root on the host, or with CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN"
                };
                Some(format!("{}: {advice}", list.join("; ")))
            }
            Self::Object { .. } => Some(
                "the sensor needs Linux 5.17 or newer with BPF; a security module, a container's seccomp filter or the \
                 kernel's vendor may forbid it"
                    .to_owned(),
            ),
            Self::Program { .. } => Some(
                "the sensor needs Linux 5.17 or newer with BPF tracing (CONFIG_BPF_EVENTS); a security module or the \
                 kernel's vendor may forbid it"
                    .to_owned(),
            ),
            Self::Hooks { source, .. } => Some(source.hint()),
            Self::Consumer { .. } => None,
        }
    }

    /// As the reason why this backend does not watch.
    pub(crate) fn passed_over(&self, strength: Strength) -> PassedOver {
        let reason = match self {
            Self::Hooks { source, .. } => source.reason(),
            Self::Program { source, .. } => format!("{self}: {}", refusal(source)),
            Self::Object { .. } => {
                root_cause(self).map_or_else(|| self.to_string(), |why| format!("{self}: {why}"))
            }
            Self::NoBtf { .. } | Self::Consumer { .. } => self.to_string(),
        };
        PassedOver { backend: strength.name().to_owned(), reason, hint: self.hint().unwrap_or_default() }
    }
}

/// What lies at the bottom of an error, in one line.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> Option<String> {
    let mut cause = error.source()?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string().lines().next().map(str::to_owned)
}

impl SensorError {
    /// What the user can try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::WatchCgroup { .. } => {
                Some("the directory must lie in a cgroup2 tree (also /sys/fs/cgroup/unified)".to_owned())
            }
            Self::NotAnOverlay { .. } => Some("paths are taken from the overlay mount's own root".to_owned()),
            Self::Canary { .. } => {
                Some("the cgroup must allow a child directory and one more process".to_owned())
            }
            _ => None,
        }
    }
}

/// Looks for what may have made the kernel refuse.
pub(crate) fn blockers() -> Vec<Blocker> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    find_blockers(
        &read("/proc/self/status"),
        &read("/proc/self/uid_map"),
        &read("/sys/kernel/security/lockdown"),
        &read("/proc/sys/kernel/unprivileged_bpf_disabled"),
    )
}

fn find_blockers(status: &str, uid_map: &str, lockdown: &str, unprivileged_disabled: &str) -> Vec<Blocker> {
    const CAPABILITIES: [(u32, &str); 3] = [(39, "CAP_BPF"), (38, "CAP_PERFMON"), (21, "CAP_SYS_ADMIN")];
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(u64::MAX);
    let mut found: Vec<_> = CAPABILITIES
        .into_iter()
        .filter(|(bit, _)| effective >> bit & 1 == 0)
        .map(|(_, name)| Blocker::Capability(name))
        .collect();
    let disabled = unprivileged_disabled.trim();
    if !found.is_empty() && !disabled.is_empty() && disabled != "0" {
        found.push(Blocker::UnprivilegedDisabled(disabled.to_owned()));
    }
    // In the initial namespace every user is itself.
    let map: Vec<_> = uid_map.split_whitespace().collect();
    if !map.is_empty() && map != ["0", "0", "4294967295"] {
        found.push(Blocker::UserNamespace);
    }
    if lockdown.contains("[confidentiality]") {
        found.push(Blocker::Lockdown);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_blocker_is_named() {
        const HOST: &str = "         0          0 4294967295\n";
        for (status, map, lockdown, unprivileged, expected) in [
            ("CapEff:\t000001fffeffffff\n", "0 0 1\n", "", "2", vec![Blocker::UserNamespace]),
            ("CapEff:\t000001fffeffffff\n", HOST, "none [integrity] confidentiality", "2", vec![]),
            (
                "CapEff:\t0000000000000000\n",
                HOST,
                "",
                "2\n",
                vec![
                    Blocker::Capability("CAP_BPF"),
                    Blocker::Capability("CAP_PERFMON"),
                    Blocker::Capability("CAP_SYS_ADMIN"),
                    Blocker::UnprivilegedDisabled("2".to_owned()),
                ],
            ),
            ("", "", "none integrity [confidentiality]", "0", vec![Blocker::Lockdown]),
        ] {
            assert_eq!(find_blockers(status, map, lockdown, unprivileged), expected);
        }
    }
}
