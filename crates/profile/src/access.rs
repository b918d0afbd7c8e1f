//! One observed use of a path.

use std::fmt;
use std::sync::Arc;

use image::ImagePath;
use serde::{Deserialize, Serialize};

/// How a path was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessKind {
    /// Executed: as program, script, or interpreter of one.
    Exec,
    /// Mapped executable: a shared library, a plug-in.
    MapExec,
    /// Opened for reading (also `O_PATH`, chdir into, by handle).
    OpenRead,
    /// Opened for writing, truncated, renamed, its metadata changed; for a directory: an entry in it made or removed.
    OpenWrite,
    /// Its metadata read: stat in all forms, statfs.
    Stat,
    /// A symbolic link that was read or followed.
    Readlink,
    /// A directory that was listed.
    Readdir,
    /// Its permissions asked for: access, faccessat2.
    Access,
    /// Its extended attributes read.
    Xattr,
    /// Watched: inotify, fanotify.
    Watch,
    /// A socket connected to.
    Connect,
    /// Looked up and not there. The path is where the lookup failed, links before it resolved.
    Missing,
}

impl AccessKind {
    /// Whether this says that the path exists in the image and was used; all kinds but [`AccessKind::Missing`].
    pub fn is_use(self) -> bool {
        self != Self::Missing
    }

    /// The name used in documents and output, such as `map-exec`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::MapExec => "map-exec",
            Self::OpenRead => "open-read",
            Self::OpenWrite => "open-write",
            Self::Stat => "stat",
            Self::Readlink => "readlink",
            Self::Readdir => "readdir",
            Self::Access => "access",
            Self::Xattr => "xattr",
            Self::Watch => "watch",
            Self::Connect => "connect",
            Self::Missing => "missing",
        }
    }
}

impl fmt::Display for AccessKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which program used a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Process {
    /// Its executable as an image path where it is in the image, else as the kernel names it (`memfd:…`).
    pub exe: String,
    /// Its argv\[0\], or its command name where the arguments could not be read.
    pub argv0: String,
}

/// A position in a run: before the workload was ready, or one of its coverage steps.
///
/// `0` is everything from the first instruction of PID 1 until the first step begins ("start"); `n` is the n-th step
/// as listed in [`crate::Run::steps`], counted from 1. The stop at the end is a step of its own there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Step(pub u32);

/// One observed use of a path of the image, as a sensor reports it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Observation {
    /// The path in the image, links before its last component resolved.
    pub path: ImagePath,
    /// How it was used.
    pub kind: AccessKind,
    /// The errno of a failed lookup ([`AccessKind::Missing`]), else 0.
    pub errno: i32,
    /// Who used it.
    pub process: Arc<Process>,
    /// When.
    pub step: Step,
}
