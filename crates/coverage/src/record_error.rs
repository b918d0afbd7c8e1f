//! What can go wrong while a workload is recorded.

use std::fmt;
use std::time::Duration;

use engine::{EngineError, Exit, FullDisk};
use profile::{Profile, StepOutcome};
use sensor::{LoadError, SensorError};

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The sensor cannot be loaded.
    #[error("cannot load the sensor")]
    LoadSensor(#[source] LoadError),
    /// The container cannot be created.
    #[error("cannot create the container")]
    Create(#[source] EngineError),
    /// The sensor cannot watch the container, or its record cannot be read.
    #[error("cannot record the container")]
    Sensor(#[source] SensorError),
    /// The container cannot be started.
    #[error("cannot start the container")]
    Start {
        /// Why.
        source: EngineError,
        /// What was recorded until then.
        partial: Option<Box<Profile>>,
    },
    /// A condition of `wait_for` did not hold in time.
    #[error("the container was not ready after {}: {condition} does not hold{}", crate::duration::format(*timeout), block("log", log_tail))]
    NotReady {
        /// The condition.
        condition: String,
        /// How long it was waited for.
        timeout: Duration,
        /// The end of what PID 1 wrote.
        log_tail: String,
        /// What was recorded until then, marked as cut off.
        partial: Option<Box<Profile>>,
    },
    /// PID 1 ended although the coverage was not through.
    #[error("the container ended with {exit} {during}{}", block("log", log_tail))]
    Ended {
        /// How.
        exit: Exit,
        /// When, such as `while step "fetch" ran`.
        during: String,
        /// The end of what PID 1 wrote.
        log_tail: String,
        /// What was recorded until then, marked as cut off.
        partial: Option<Box<Profile>>,
    },
    /// A step failed.
    #[error(transparent)]
    StepFailed(Box<StepFailure>),
    /// The engine failed in the middle of a run.
    #[error("cannot {action}")]
    Engine {
        /// What was tried.
        action: String,
        /// Why.
        source: EngineError,
        /// What was recorded until then, marked as cut off.
        partial: Option<Box<Profile>>,
    },
    /// There is no room for what containers write: whatever failed may have failed for that.
    #[error("{disk}")]
    DiskFull {
        /// Where.
        disk: FullDisk,
        /// What failed.
        source: Box<RecordError>,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// A step that failed, with what it and the workload wrote.
#[derive(Debug, thiserror::Error)]
#[error(
    "step {name:?} failed: {failure}{}{}{}",
    block("stdout", stdout_tail),
    block("stderr", stderr_tail),
    block("log", log_tail)
)]
pub struct StepFailure {
    /// Its name in the coverage.
    pub name: String,
    /// How it ended.
    pub outcome: StepOutcome,
    /// Why that is a failure.
    pub failure: Failure,
    /// The end of what it wrote to standard output.
    pub stdout_tail: String,
    /// The end of what it wrote to standard error.
    pub stderr_tail: String,
    /// The end of what PID 1 wrote.
    pub log_tail: String,
    /// What was recorded until then, marked as cut off.
    pub partial: Option<Box<Profile>>,
}

/// Why a step counts as failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// An exit code other than 0.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// It took longer than this.
    TimedOut(Duration),
    /// Standard output does not match this.
    Expectation(String),
    /// The output matches this.
    Rejected(String),
    /// PID 1 did not end as expected.
    Exit(Exit),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => match crate::Signal::from_number(*signal) {
                Some(signal) => write!(f, "ended by {signal}"),
                None => write!(f, "ended by signal {signal}"),
            },
            Self::TimedOut(timeout) => write!(f, "not done after {}", crate::duration::format(*timeout)),
            Self::Expectation(pattern) => write!(f, "standard output does not match {pattern:?}"),
            Self::Rejected(pattern) => write!(f, "the output matches {pattern:?}"),
            Self::Exit(exit) => write!(f, "the container ended with {exit}"),
        }
    }
}

impl RecordError {
    /// What the user can try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::LoadSensor(source) => source.hint(),
            Self::Sensor(source) => source.hint(),
            Self::Create(source) | Self::Start { source, .. } | Self::Engine { source, .. } => source.hint(),
            Self::NotReady { .. } => {
                Some("raise the timeout in wait_for, or give the container what it waits for".to_owned())
            }
            Self::Ended { .. } => Some(
                "it may need environment variables, arguments or a volume: see `container` in the coverage"
                    .to_owned(),
            ),
            Self::StepFailed(_) => {
                Some("correct the step, or mark it `allow_failure: true` if it may fail".to_owned())
            }
            Self::DiskFull { disk, .. } => Some(disk.hint()),
            Self::Interrupted => None,
        }
    }

    /// The same error, as one of a full disk if there is one now: before the container is gone, and with it what it wrote.
    pub(crate) fn on(self, disk: Option<FullDisk>) -> Self {
        match (self, disk) {
            (error @ (Self::Interrupted | Self::DiskFull { .. }), _) | (error, None) => error,
            (error, Some(disk)) => Self::DiskFull { disk, source: Box::new(error) },
        }
    }

    /// What was recorded before the run broke off; its run is marked as cut off. A lookup that failed because a file
    /// was removed is in it.
    pub fn partial_profile(&self) -> Option<&Profile> {
        match self {
            Self::Start { partial, .. }
            | Self::NotReady { partial, .. }
            | Self::Ended { partial, .. }
            | Self::Engine { partial, .. } => partial.as_deref(),
            Self::StepFailed(failure) => failure.partial.as_deref(),
            Self::DiskFull { source, .. } => source.partial_profile(),
            Self::LoadSensor(_) | Self::Create(_) | Self::Sensor(_) | Self::Interrupted => None,
        }
    }

    pub(crate) fn with_partial(mut self, profile: Option<Profile>) -> Self {
        match &mut self {
            Self::Start { partial, .. }
            | Self::NotReady { partial, .. }
            | Self::Ended { partial, .. }
            | Self::Engine { partial, .. } => *partial = profile.map(Box::new),
            Self::StepFailed(failure) => failure.partial = profile.map(Box::new),
            Self::DiskFull { source, .. } => {
                let failed = std::mem::replace(&mut **source, Self::Interrupted);
                **source = failed.with_partial(profile);
            }
            Self::LoadSensor(_) | Self::Create(_) | Self::Sensor(_) | Self::Interrupted => {}
        }
        self
    }
}

/// Most bytes and lines of an output shown in an error.
const TAIL_BYTES: usize = 4 << 10;
const TAIL_LINES: usize = 20;

/// The last lines of an output, with everything made visible that a terminal would obey.
pub(crate) fn tail(bytes: &[u8]) -> String {
    let cut = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
    let text = String::from_utf8_lossy(cut);
    let lines: Vec<_> = text.trim_end().lines().collect();
    let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    let visible = |line: &str| -> String {
        let visible = |c: char| {
            if c == '\t' || !c.is_control() { c.to_string() } else { c.escape_default().to_string() }
        };
        line.trim_end_matches('\r').chars().map(visible).collect()
    };
    shown.iter().map(|line| visible(line)).collect::<Vec<_>>().join("\n")
}

/// An indented block of output for the end of a message; nothing for no output.
fn block(name: &str, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let lines: String = text.lines().map(|line| format!("\n    {line}")).collect();
    format!("\n  {name}:{lines}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_hold_the_last_lines_and_nothing_that_a_terminal_obeys() {
        let many: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let shown = tail(many.as_bytes());
        assert_eq!(shown.lines().count(), TAIL_LINES);
        assert!(shown.ends_with("line 99"));
        assert_eq!(tail(b"a\x1b[31mred\r\nb\xff\n\n"), "a\\u{1b}[31mred\nb\u{fffd}");
        assert_eq!(tail(b""), "");
    }

    #[test]
    fn a_failed_step_shows_its_output() {
        let failure = StepFailure {
            name: "fetch".to_owned(),
            outcome: StepOutcome::Exited { code: 7 },
            failure: Failure::Code(7),
            stdout_tail: String::new(),
            stderr_tail: tail(b"curl: (7) Failed to connect\n"),
            log_tail: tail(b"starting\nready\n"),
            partial: None,
        };
        insta::assert_snapshot!(RecordError::StepFailed(Box::new(failure)), @r#"
        step "fetch" failed: exit code 7
          stderr:
            curl: (7) Failed to connect
          log:
            starting
            ready
        "#);
    }
}
