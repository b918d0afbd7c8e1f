//! What a coverage says, checked and ready to run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use profile::Compare;
use regex::Regex;

use crate::Signal;

/// How long a step may take unless it says otherwise.
pub const DEFAULT_STEP_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a condition may take to hold unless it says otherwise.
pub const DEFAULT_WAIT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the workload has to end after its stop signal unless the coverage says otherwise.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// How one workload is exercised: settings of its container, when it is ready, what is done to it, how it ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Coverage {
    /// Its name, for people and for [`profile::Run::coverage`].
    pub name: String,
    /// Where it was read from.
    pub origin: Origin,
    /// What differs from the image's own settings.
    pub container: ContainerSettings,
    /// All must hold before the first step, and again after a restart.
    pub wait_for: Vec<Wait>,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// How it ends.
    pub stop: StopSettings,
}

/// Where a coverage came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Embedded in the program under this name.
    Builtin(String),
    /// Read from this file.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(name) => write!(f, "built-in {name}"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Settings of the container that replace or extend the image's own; the default changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerSettings {
    /// Replaces the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub cmd: Option<Vec<String>>,
    /// Added to the image's environment; a name that is there already is replaced.
    pub env: BTreeMap<String, String>,
    /// Replaces the image's user: `name`, `uid`, `name:group`, `uid:gid`.
    pub user: Option<String>,
    /// Replaces the image's working directory.
    pub working_dir: Option<String>,
    /// Host name inside the container.
    pub hostname: Option<String>,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// Whether the container shares the host's network.
    pub host_network: bool,
    /// Capabilities taken away; `ALL` takes every one.
    pub cap_drop: Vec<String>,
    /// Capabilities added.
    pub cap_add: Vec<String>,
    /// Whether programs cannot gain privileges by exec.
    pub no_new_privileges: bool,
    /// Host paths mounted into the container.
    pub binds: Vec<Bind>,
    /// Container paths that get an empty tmpfs.
    pub tmpfs: Vec<String>,
}

/// A host path mounted into the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// On the host; a relative path in the file is relative to the file's directory.
    pub host: PathBuf,
    /// In the container, absolute.
    pub container: String,
    /// Whether the container may only read it.
    pub read_only: bool,
}

/// A condition and how long it may take to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Wait {
    /// What must hold.
    pub condition: Condition,
    /// Until when.
    pub timeout: Duration,
}

/// Something that can be waited for.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A TCP port accepts connections, seen from inside the container's network.
    Tcp {
        /// Host name or address, usually `127.0.0.1`.
        host: String,
        /// The port.
        port: u16,
    },
    /// The output of PID 1 since it was last started contains this text or matches it as regular expression.
    Log(Pattern),
    /// This command inside the container exits with 0.
    Exec(Vec<String>),
    /// This path exists in the container, absolute, links followed within the container.
    File(String),
    /// PID 1 has ended in one of these ways; empty accepts every way. For workloads that do their work and end.
    Exit(Vec<ExpectedExit>),
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "tcp {host}:{port}"),
            Self::Log(pattern) => write!(f, "log {:?}", pattern.as_str()),
            Self::Exec(args) => write!(f, "exec {}", display_args(args)),
            Self::File(path) => write!(f, "file {path}"),
            Self::Exit(_) => f.write_str("exit"),
        }
    }
}

/// One thing that is done to the workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// For people, the ledger and the comparison of two runs; unique within a coverage.
    pub name: String,
    /// What is done.
    pub action: Action,
    /// Standard output must match this.
    pub expect: Option<Pattern>,
    /// Neither standard output nor standard error may match this.
    pub reject: Option<Pattern>,
    /// How its output on a hardened image is held against this one.
    pub compare: Compare,
    /// Whether the run goes on when it fails.
    pub allow_failure: bool,
    /// It is killed, and has failed, when it takes longer.
    pub timeout: Duration,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Runs a command inside the container.
    Exec {
        /// Program and arguments; no shell.
        args: Vec<String>,
        /// Standard input; nothing when absent.
        stdin: Option<Vec<u8>>,
        /// Added to the container's environment.
        env: BTreeMap<String, String>,
        /// Instead of the container's user.
        user: Option<String>,
        /// Instead of the container's working directory.
        working_dir: Option<String>,
    },
    /// Runs a host program within the container's network namespace.
    Host {
        /// Program and arguments; no shell.
        args: Vec<String>,
        /// Standard input; nothing when absent.
        stdin: Option<Vec<u8>>,
        /// Added to the program's environment.
        env: BTreeMap<String, String>,
    },
    /// Sends a signal to PID 1.
    Signal(Signal),
    /// Stops the workload and starts it again on the same data; [`Coverage::wait_for`] holds again afterwards.
    Restart,
    /// Lets time pass.
    Pause(Duration),
    /// Waits until a condition holds; its time-out is the step's.
    WaitFor(Condition),
}

/// How the workload is stopped after the last step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopSettings {
    /// From the stop signal to SIGKILL.
    pub grace: Duration,
    /// How PID 1 may end; empty accepts every way.
    pub expect_exit: Vec<ExpectedExit>,
}

impl Default for StopSettings {
    fn default() -> Self {
        Self { grace: DEFAULT_GRACE, expect_exit: Vec::new() }
    }
}

/// A way in which PID 1 may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedExit {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(Signal),
}

impl ExpectedExit {
    /// Whether PID 1 ended so.
    pub fn is_met_by(self, exit: engine::Exit) -> bool {
        match (self, exit) {
            (Self::Code(expected), engine::Exit::Code(code)) => expected == code,
            (Self::Signal(expected), engine::Exit::Signal(signal)) => expected.number() == signal,
            _ => false,
        }
    }
}

/// A regular expression, `^` and `$` matching at lines.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles it.
    ///
    /// # Errors
    /// The regex crate's message for a text that is no regular expression or that is too large.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        regex::RegexBuilder::new(text).multi_line(true).build().map(Self)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it matches somewhere.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// A command as a person would type it.
pub(crate) fn display_args(args: &[String]) -> String {
    shlex::try_join(args.iter().map(String::as_str)).unwrap_or_else(|_| args.join(" "))
}
