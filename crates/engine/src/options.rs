//! What a caller asks for: of the engine, and of one container.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use crate::Watch;

/// How an [`Engine`](crate::Engine) works.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Where unpacked layers and the writable layers of running containers lie: `$XDG_DATA_HOME/careen`. Made if
    /// absent. It must be able to hold an overlay's upper directory, so it cannot itself lie on overlayfs.
    pub data_dir: PathBuf,
    /// The program that the engine re-executes to supervise a container.
    pub helper: Helper,
    /// Set by Ctrl-C. Every wait then returns [`EngineError::Interrupted`](crate::EngineError::Interrupted) soon, and
    /// what was made is undone as the values are dropped.
    pub interrupt: Arc<AtomicBool>,
}

/// A program that calls [`helper_main`](crate::helper_main) with the arguments after `leading_args`, before it starts
/// any thread.
#[derive(Debug, Clone)]
pub struct Helper {
    /// The program; for Careen `/proc/self/exe`.
    pub program: PathBuf,
    /// Arguments before ours; for Careen `__engine`.
    pub leading_args: Vec<OsString>,
}

/// How a container of an image runs. The default runs it as the image says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RunOptions {
    /// Replaces the image's entrypoint; its command is then dropped too, as Docker does. Empty: no entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub cmd: Option<Vec<String>>,
    /// Added to the image's environment; a name that the image has is replaced.
    pub env: Vec<(String, String)>,
    /// `NAME`, `UID`, `NAME:GROUP`, `UID:GID`, …; names are looked up in the image.
    pub user: Option<String>,
    /// Replaces the image's working directory.
    pub working_dir: Option<String>,
    /// The host name; by default the container's id.
    pub hostname: Option<String>,
    /// Which network it sees.
    pub network: Network,
    /// Whether the root file system is read-only. Volumes of the image stay writable: copies of the image's content.
    pub read_only: bool,
    /// Capabilities to take away from Docker's default set: `CHOWN`, `CAP_CHOWN` or `ALL`.
    pub cap_drop: Vec<String>,
    /// Capabilities to add, after those dropped: `SYS_PTRACE`, …, `ALL`.
    pub cap_add: Vec<String>,
    /// Whether setuid programs and file capabilities give nothing.
    pub no_new_privileges: bool,
    /// Host files and directories to mount in.
    pub binds: Vec<Bind>,
    /// Container paths to mount an empty tmpfs on: absolute, optionally followed by `:` and options (`size=64m,mode=1777`).
    pub tmpfs: Vec<String>,
    /// What is put on every process before it executes the workload, for who watches its system calls.
    pub watch: Option<Watch>,
}

/// Which network a container sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// A network of its own with nothing but loopback.
    #[default]
    Private,
    /// The host's.
    Host,
}

/// A host file or directory seen in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// What is mounted: an absolute host path that exists.
    pub host: PathBuf,
    /// Where: an absolute path in the container.
    pub container: String,
    /// Whether the container may only read it.
    pub read_only: bool,
}
