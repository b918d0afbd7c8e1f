//! What can go wrong, in words a person can act on.

use std::io;
use std::path::PathBuf;

use image::Digest;

use crate::command::Exit;

/// Why the engine could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The effective user is not root.
    #[error("containers can only be run by root")]
    NotRoot,
    /// Overlayfs cannot be mounted at all.
    #[error("this host refuses overlay mounts")]
    NoOverlay {
        /// What mounting said.
        source: io::Error,
    },
    /// There is no cgroup2 hierarchy in which we can make directories.
    #[error("there is no cgroup2 hierarchy in which containers could run (looked at {looked_at})")]
    NoCgroup2 {
        /// The places tried.
        looked_at: String,
        /// What the last of them said.
        source: io::Error,
    },
    /// The data directory cannot be made, listed or locked.
    #[error("cannot use the data directory {}", path.display())]
    DataDir {
        /// The directory or the file in it.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The data directory's file system cannot hold an overlay's upper directory.
    #[error("the file system of {} cannot hold the writable layer of a container", path.display())]
    Upper {
        /// The data directory.
        path: PathBuf,
        /// What mounting said.
        source: io::Error,
    },
    /// A layer cannot be unpacked.
    #[error("cannot unpack layer {diff_id}")]
    Unpack {
        /// Which layer.
        diff_id: Digest,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// Whether the disk ran full.
        disk_full: bool,
    },
    /// What edits change in an image cannot be laid over its layers.
    #[error("cannot lay the changes over the layers")]
    Edit {
        /// Why.
        source: Box<image::UnpackError>,
    },
    /// The image says nothing that could be run, and neither did the caller.
    #[error("there is nothing to run: the image has neither entrypoint nor command")]
    NoCommand,
    /// The program to run does not exist in the container (Docker's 127).
    #[error("{program:?} is not in the container")]
    ProgramNotFound {
        /// As asked for.
        program: String,
        /// Where it was looked for, absolute in the container; empty for a program of the host.
        tried: Vec<PathBuf>,
    },
    /// The program to run exists but cannot be executed (Docker's 126).
    #[error("{program:?} cannot be executed")]
    ProgramNotExecutable {
        /// As asked for.
        program: String,
        /// Why not.
        reason: String,
    },
    /// The user to run as is not a number and not in the image's `/etc/passwd`, or likewise the group.
    #[error("user {user:?} is not known in the image")]
    UnknownUser {
        /// As asked for.
        user: String,
    },
    /// An option is not usable as written.
    #[error("{option} {value:?} {problem}")]
    Option {
        /// Which option.
        option: String,
        /// As given.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The helper process cannot be started.
    #[error("cannot start the helper {}", program.display())]
    StartHelper {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The helper process ended before its time, or spoke nonsense.
    #[error("the helper of container {id} ended unexpectedly{}", if log.is_empty() { String::new() } else { format!(": {log}") })]
    HelperGone {
        /// The container.
        id: String,
        /// What it left as its last words.
        log: String,
    },
    /// A step of running the container failed in the kernel or the runtime.
    #[error("cannot {step} container {id}")]
    Runtime {
        /// What was tried: `create`, `start`, `mount the layers of`, ….
        step: String,
        /// The container.
        id: String,
        /// The causes, outermost first.
        source: Refusal,
    },
    /// The container's main process has ended (or was never started).
    #[error("container {id} {}", match exit { Some(exit) => format!("has ended with {exit}"), None => "is not started".to_owned() })]
    NotRunning {
        /// The container.
        id: String,
        /// How it ended, if it ever ran.
        exit: Option<Exit>,
        /// The last lines that it wrote.
        last_words: String,
    },
    /// A host command could not be started in the container's network.
    #[error("cannot run {program:?} in the network of container {id}")]
    HostCommand {
        /// The program.
        program: String,
        /// The container.
        id: String,
        /// Why.
        source: Refusal,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// What the helper or the runtime said, one cause after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    message: String,
    cause: Option<Box<Refusal>>,
}

impl Refusal {
    /// From messages, outermost first. No message gives one that says so.
    pub(crate) fn from_chain(chain: Vec<String>) -> Self {
        let last = Self { message: "no reason was given".into(), cause: None };
        let mut out: Option<Self> = None;
        for message in chain.into_iter().rev() {
            out = Some(Self { message, cause: out.map(Box::new) });
        }
        out.unwrap_or(last)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

/// All messages of an error and its causes, outermost first, without repetitions.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let message = error.to_string();
        if out.last().is_none_or(|last| !last.ends_with(&message)) {
            out.push(message);
        }
        next = error.source();
    }
    out
}

impl EngineError {
    /// What a user can try next.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotRoot => "run it with sudo, or through the careen command, which makes a user namespace".to_owned(),
            Self::NoOverlay { .. } => "the kernel needs overlayfs, and the caller CAP_SYS_ADMIN; in a container that takes --privileged".to_owned(),
            Self::NoCgroup2 { .. } => "mount a cgroup2 file system at /sys/fs/cgroup or /sys/fs/cgroup/unified, writable".to_owned(),
            Self::Upper { .. } => "set XDG_DATA_HOME to a directory on ext4, xfs, btrfs or tmpfs; inside a container that is a volume, not its own root".to_owned(),
            Self::Unpack { disk_full: true, .. } => "free some space, or set XDG_DATA_HOME to a directory on a larger disk".to_owned(),
            Self::DataDir { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space, or set XDG_DATA_HOME to a directory on a larger disk".to_owned()
            }
            Self::Edit { source } => return source.hint(),
            Self::StartHelper { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "it is executed from a copy in memory, which the kernel refuses where `sysctl vm.memfd_noexec` is 2".to_owned()
            }
            Self::NoCommand => "give the container an entrypoint or a command in the coverage".to_owned(),
            Self::ProgramNotFound { program, .. } if program.contains(' ') => {
                "write program and arguments as separate items, or run it with a shell".to_owned()
            }
            Self::ProgramNotFound { .. } => "check the name, and whether the image has the program (a hardened image has only what was used)".to_owned(),
            Self::UnknownUser { .. } => "use a number such as 1000 or 1000:1000, or a name of the image's /etc/passwd".to_owned(),
            Self::NotRunning { exit: Some(_), last_words, .. } if !last_words.is_empty() => {
                format!("the last it wrote was: {last_words}")
            }
            Self::NotRunning { exit: Some(_), .. } => "it wrote nothing; it may need environment variables, arguments or a volume".to_owned(),
            _ => return None,
        };
        Some(hint)
    }
}
