//! Waiting until conditions hold.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use engine::{CommandEnd, EngineError, ExecOptions, Exit, Stdin};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};

use crate::coverage::{Condition, ExpectedExit};
use crate::run::Run;

/// First pause between two looks; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// Longest time for one try of an `exec` condition.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);

/// What came of waiting.
#[derive(Debug)]
pub(crate) enum Waited {
    /// It holds.
    Holds,
    /// It did not hold in time.
    TimedOut,
    /// PID 1 ended, and the condition cannot hold any more.
    Ended(Exit),
}

impl Run<'_> {
    /// Waits until a condition holds.
    pub(crate) fn wait_until(
        &mut self,
        condition: &Condition,
        timeout: Duration,
    ) -> Result<Waited, EngineError> {
        let deadline = Instant::now() + timeout;
        let mut pause = FIRST_PAUSE;
        loop {
            // Looked at first: output and files that came before the end count.
            let exit = self.container.exited()?;
            if self.holds(condition, exit, deadline)? {
                return Ok(Waited::Holds);
            }
            if let Some(exit) = exit {
                return Ok(Waited::Ended(exit));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Waited::TimedOut);
            }
            self.sleep(pause.min(left))?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Lets time pass, in small pieces so that Ctrl-C is heard.
    pub(crate) fn sleep(&self, duration: Duration) -> Result<(), EngineError> {
        let end = Instant::now() + duration;
        loop {
            if self.options.interrupt.load(Ordering::Relaxed) {
                return Err(EngineError::Interrupted);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    fn holds(
        &self,
        condition: &Condition,
        exit: Option<Exit>,
        deadline: Instant,
    ) -> Result<bool, EngineError> {
        match condition {
            Condition::Log(pattern) => {
                let log = self.container.logs();
                let text = String::from_utf8_lossy(since(&self.log_before_start, &log));
                Ok(text.contains(pattern.as_str()) || pattern.is_match(&text))
            }
            Condition::Exit(expected) => Ok(exit.is_some_and(|exit| {
                expected.is_empty() || expected.iter().any(|e: &ExpectedExit| e.is_met_by(exit))
            })),
            _ if exit.is_some() => Ok(false),
            Condition::Tcp { host, port } => Ok(self.container.tcp_ready(host, *port)),
            Condition::File(path) => Ok(exists(self.container.pid(), path)),
            Condition::Exec(args) => {
                let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
                let options = ExecOptions {
                    args: args.clone(),
                    env: Vec::new(),
                    user: None,
                    working_dir: None,
                    stdin: Stdin::Null,
                    timeout: TRY_TIMEOUT.min(left),
                };
                match self.container.exec(&options) {
                    Ok(output) => Ok(output.end == CommandEnd::Exited(0)),
                    // Between the look at PID 1 and the exec it may have ended; the next look says so.
                    Err(EngineError::NotRunning { .. }) => Ok(false),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

/// Whether a path exists as a process of the container sees it: links are followed within its root.
fn exists(pid: u32, path: &str) -> bool {
    let root = format!("/proc/{pid}/root");
    let relative = Path::new(path).strip_prefix("/").unwrap_or(Path::new(path));
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::open(root.as_str(), flags | OFlags::DIRECTORY, Mode::empty())
        .and_then(|root| {
            let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
            rustix::fs::openat2(root, relative, flags, Mode::empty(), ResolveFlags::IN_ROOT)
        })
        .and_then(|file| rustix::fs::statat(&file, "", AtFlags::EMPTY_PATH))
        .is_ok()
}

/// The part of a log that came after `before` had been read. The log keeps its tail only, so `before` may have lost
/// its beginning meanwhile; then its last bytes are looked for.
fn since<'l>(before: &[u8], log: &'l [u8]) -> &'l [u8] {
    if let Some(rest) = log.strip_prefix(before) {
        return rest;
    }
    let mark = &before[before.len().saturating_sub(256)..];
    match log.windows(mark.len().max(1)).rposition(|window| window == mark) {
        Some(start) => &log[start + mark.len()..],
        None => log,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_since_the_start_counts() {
        assert_eq!(since(b"", b"ready\n"), b"ready\n");
        assert_eq!(since(b"ready\n", b"ready\nbye\n"), b"bye\n");
        let old: Vec<u8> = (0..1000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        let kept = [&old[500..], b"new\n"].concat();
        assert_eq!(since(&old, &kept), b"new\n");
        assert_eq!(since(b"gone", b"other"), b"other");
    }

    #[test]
    fn existing_files_are_seen_through_the_root_of_a_process() {
        let pid = std::process::id();
        assert!(exists(pid, "/"));
        assert!(exists(pid, "/etc/passwd"));
        assert!(!exists(pid, "/no/such/file"));
    }
}
