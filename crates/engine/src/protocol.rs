//! What the engine and its helper processes say to each other: JSON, one message a line, over a socket pair.
//!
//! Both ends are always the same build of the same program, so there is no version.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Standing;
use crate::cgroup::ContainerCgroup;
use crate::command::Exit;
use crate::error::{EngineError, Refusal};
use crate::inside::Ownership;
use crate::options::RunOptions;
use crate::unpacked::Defaults;

/// Everything that a supervisor needs to know of its container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) id: String,
    pub(crate) run_dir: PathBuf,
    pub(crate) layers: Vec<PathBuf>,
    /// Of the root directory.
    pub(crate) root: Ownership,
    pub(crate) standing: Standing,
    pub(crate) cgroup: ContainerCgroup,
    pub(crate) defaults: Defaults,
    pub(crate) options: RunOptions,
}

/// From the engine to a supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToSupervisor {
    /// Make the container; the first message. Answer: `Created`.
    Create(Box<Plan>),
    /// Make its main process anew, after it has ended. Answer: `Created`.
    Recreate,
    /// Let the main process run. Answer: `Done`.
    Start,
    /// Send a signal to the main process. Answer: `Done`.
    Signal(i32),
    /// Kill everything. `Exited` follows. Answer: `Done`.
    KillAll,
}

/// From a supervisor to the engine.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromSupervisor {
    /// The main process waits to be started. What is mounted from the host, as (host, container).
    Created { pid: u32, mounts: Vec<(PathBuf, String)> },
    /// What was asked is done.
    Done,
    /// What was asked failed.
    Failed(Failure),
    /// The main process has ended, and all others with it. Sent unasked, once per main process.
    Exited(Exit),
}

/// A command to run in the container, or on the host within the container's network.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CommandRequest {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) user: Option<String>,
    pub(crate) working_dir: Option<PathBuf>,
    /// How many bytes of standard input follow this message; none = `/dev/null`.
    pub(crate) stdin_bytes: Option<usize>,
    /// Distinguishes the commands of one container.
    pub(crate) number: u64,
    /// The container's main process.
    pub(crate) init_pid: u32,
    pub(crate) plan: Plan,
}

/// From the engine to the helper that runs a command: kill it with all it started.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KillCommand;

/// From the helper that runs a command to the engine.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromCommand {
    /// It has ended.
    Ended(Exit),
    /// It never ran.
    Failed(Failure),
}

/// Why a helper could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failure {
    NoCommand,
    ProgramNotFound { program: String, tried: Vec<PathBuf> },
    ProgramNotExecutable { program: String, reason: String },
    UnknownUser { user: String },
    Option { option: String, value: String, problem: String },
    NotRunning,
    Step { step: String, causes: Vec<String> },
}

impl Failure {
    /// A step that failed with an error of any kind.
    pub(crate) fn step(step: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Step { step: step.to_owned(), causes: crate::error::chain(error) }
    }

    /// As the caller of the engine sees it.
    pub(crate) fn into_error(self, id: &str) -> EngineError {
        let id = id.to_owned();
        match self {
            Self::NoCommand => EngineError::NoCommand,
            Self::ProgramNotFound { program, tried } => EngineError::ProgramNotFound { program, tried },
            Self::ProgramNotExecutable { program, reason } => {
                EngineError::ProgramNotExecutable { program, reason }
            }
            Self::UnknownUser { user } => EngineError::UnknownUser { user },
            Self::Option { option, value, problem } => EngineError::Option { option, value, problem },
            Self::NotRunning => EngineError::NotRunning { id, exit: None, last_words: String::new() },
            Self::Step { step, causes } => {
                EngineError::Runtime { step, id, source: Refusal::from_chain(causes) }
            }
        }
    }
}

/// One end of the conversation.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: UnixStream,
    buffer: Vec<u8>,
}

/// What waiting for a message gave.
#[derive(Debug)]
pub(crate) enum Received<T> {
    Message(T),
    /// The other end is gone.
    Closed,
    /// Nothing within the time.
    Nothing,
}

impl Channel {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self { socket, buffer: Vec::new() }
    }

    /// The socket, to poll on. A message may already be buffered: ask `receive` with no time first.
    pub(crate) fn socket(&self) -> &UnixStream {
        &self.socket
    }

    pub(crate) fn send<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.socket.write_all(&line)
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// The next message, waiting at most `timeout` for its beginning.
    pub(crate) fn receive<T: DeserializeOwned>(&mut self, timeout: Duration) -> io::Result<Received<T>> {
        let deadline = Instant::now() + timeout.min(Duration::from_secs(86400 * 365));
        loop {
            if let Some(end) = self.buffer.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Received::Message(serde_json::from_slice(&line)?));
            }
            if !readable(&self.socket, deadline.saturating_duration_since(Instant::now()))? {
                return Ok(Received::Nothing);
            }
            if !self.fill()? {
                return Ok(Received::Closed);
            }
        }
    }

    /// The next `count` bytes, however long they take. `None` when the other end is gone before.
    pub(crate) fn receive_bytes(&mut self, count: usize) -> io::Result<Option<Vec<u8>>> {
        while self.buffer.len() < count {
            if !self.fill()? {
                return Ok(None);
            }
        }
        Ok(Some(self.buffer.drain(..count).collect()))
    }

    fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16384];
        match self.socket.read(&mut chunk) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            // The other end was killed with our last message unread.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Waits until there is something to read, or the end; false after `timeout`.
pub(crate) fn readable(fd: &impl std::os::fd::AsFd, timeout: Duration) -> io::Result<bool> {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    match poll(&mut fds, Some(&timespec(timeout))) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A duration as the kernel has it; at most a day.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    let duration = duration.min(Duration::from_secs(86400));
    Timespec { tv_sec: duration.as_secs().cast_signed(), tv_nsec: duration.subsec_nanos().into() }
}
