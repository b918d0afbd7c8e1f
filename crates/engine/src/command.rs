//! Commands run beside a container's main process, and what came of them.

use std::path::PathBuf;
use std::time::Duration;

/// Most bytes kept of each output stream of a command.
pub const MAX_OUTPUT_BYTES: usize = 16 << 20;

/// A command inside a container, as `docker exec` runs it.
#[derive(Debug, Clone)]
pub struct ExecOptions {
    /// Program and arguments. A name without a slash is searched on the container's `PATH`.
    pub args: Vec<String>,
    /// Added to the container's environment.
    pub env: Vec<(String, String)>,
    /// Another user than the container's: as [`RunOptions::user`](crate::RunOptions::user).
    pub user: Option<String>,
    /// Another working directory than the container's.
    pub working_dir: Option<String>,
    /// What it reads.
    pub stdin: Stdin,
    /// After this time it and all that it started are killed.
    pub timeout: Duration,
}

/// A program of the host, in the container's network namespace but in the host's file system.
#[derive(Debug, Clone)]
pub struct HostCommand {
    /// Program and arguments.
    pub args: Vec<String>,
    /// Added to our own environment.
    pub env: Vec<(String, String)>,
    /// Where it starts; by default our own working directory.
    pub working_dir: Option<PathBuf>,
    /// What it reads.
    pub stdin: Stdin,
    /// After this time it and all that it started are killed.
    pub timeout: Duration,
}

/// What a command reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stdin {
    /// `/dev/null`.
    #[default]
    Null,
    /// These bytes from a pipe, then its end.
    Bytes(Vec<u8>),
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutput {
    /// How it ended.
    pub end: CommandEnd,
    /// Its standard output, at most [`MAX_OUTPUT_BYTES`].
    pub stdout: Vec<u8>,
    /// Its standard error, at most [`MAX_OUTPUT_BYTES`].
    pub stderr: Vec<u8>,
    /// Whether there was more output than `stdout` and `stderr` hold.
    pub truncated: bool,
    /// From the request to the end.
    pub duration: Duration,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandEnd {
    /// With this exit code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// It was killed, since it took longer than allowed.
    TimedOut,
}

/// How the main process of a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}
