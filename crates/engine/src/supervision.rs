//! The engine's end of the conversation with a supervisor.

use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::program::HelperProgram;
use crate::protocol::{Channel, FromSupervisor, Plan, Received, ToSupervisor};
use crate::{EngineError, Exit};

/// How often a wait looks for Ctrl-C.
const GLANCE: Duration = Duration::from_millis(50);

/// A supervisor and what it has told so far.
#[derive(Debug)]
pub(crate) struct Supervision {
    child: Child,
    /// `None` once closed, which tells the supervisor to clean up and end.
    channel: Option<Channel>,
    id: String,
    last_words: PathBuf,
    pub(crate) pid: u32,
    pub(crate) started: bool,
    pub(crate) exit: Option<Exit>,
}

impl Supervision {
    pub(crate) fn start(plan: &Plan, program: &HelperProgram) -> Result<Self, EngineError> {
        let last_words = plan.run_dir.join("helper.log");
        let (child, channel) = program.supervisor(&last_words)?;
        let id = plan.id.clone();
        Ok(Self { child, channel: Some(channel), id, last_words, pid: 0, started: false, exit: None })
    }

    /// Has the container made. Gives what is mounted from the host.
    pub(crate) fn create(&mut self, plan: &Plan) -> Result<Vec<(PathBuf, String)>, EngineError> {
        let create = ToSupervisor::Create(Box::new(plan.clone()));
        match self.ask(&create, Duration::from_secs(120))? {
            FromSupervisor::Created { pid, mounts } => {
                self.pid = pid;
                Ok(mounts)
            }
            _ => Err(self.gone()),
        }
    }

    pub(crate) fn helper_pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask(
        &mut self,
        request: &ToSupervisor,
        timeout: Duration,
    ) -> Result<FromSupervisor, EngineError> {
        let sent = self.channel.as_mut().is_some_and(|channel| channel.send(request).is_ok());
        if !sent {
            return Err(self.gone());
        }
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            match self.next(GLANCE)? {
                None | Some(FromSupervisor::Exited(_)) => {}
                Some(FromSupervisor::Failed(failure)) => return Err(failure.into_error(&self.id)),
                Some(answer) => return Ok(answer),
            }
        }
        // Answers would no longer match questions.
        self.channel = None;
        Err(self.gone())
    }

    /// Takes in what the supervisor has told unasked.
    pub(crate) fn catch_up(&mut self) -> Result<(), EngineError> {
        while self.next(Duration::ZERO)?.is_some() {}
        Ok(())
    }

    /// Waits until the main process has ended, or the time is over.
    pub(crate) fn wait_for_exit(
        &mut self,
        timeout: Duration,
        interrupt: &AtomicBool,
    ) -> Result<(), EngineError> {
        let deadline = Instant::now() + timeout;
        while self.exit.is_none() {
            if interrupt.load(Ordering::Relaxed) {
                return Err(EngineError::Interrupted);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.next(left.min(GLANCE))?;
        }
        Ok(())
    }

    fn next(&mut self, timeout: Duration) -> Result<Option<FromSupervisor>, EngineError> {
        let received = self.channel.as_mut().map(|channel| channel.receive::<FromSupervisor>(timeout));
        match received {
            Some(Ok(Received::Message(message))) => {
                if let FromSupervisor::Exited(exit) = message {
                    self.exit = Some(exit);
                }
                Ok(Some(message))
            }
            Some(Ok(Received::Nothing)) => Ok(None),
            Some(Ok(Received::Closed) | Err(_)) | None => Err(self.gone()),
        }
    }

    /// The error for a supervisor that no longer answers.
    pub(crate) fn gone(&self) -> EngineError {
        let words = std::fs::read(&self.last_words).unwrap_or_default();
        let log = String::from_utf8_lossy(&words[words.len().saturating_sub(1000)..]).trim().to_owned();
        EngineError::HelperGone { id: self.id.clone(), log }
    }

    /// Lets the supervisor clean up and end, and reaps it.
    pub(crate) fn end(&mut self) {
        self.channel = None;
        let deadline = Instant::now() + Duration::from_secs(20);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _gone = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Supervision {
    fn drop(&mut self) {
        self.end();
    }
}
