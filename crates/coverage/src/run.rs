//! One run of a workload: the container, its recording, and the order of what happens to them.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use engine::{Container, Engine, EngineError, Exit};
use image::{ImagePath, ResolutionEnd, Tree};
use profile::{
    AccessKind, ImageIdentity, Incomplete, Observation, Process, Profile, SensorReport, Step as StepNumber,
    StepResult, Verdict,
};
use sensor::Watching;

use crate::coverage::{Action, Condition, Coverage, Step};
use crate::perform::{Performed, outcome_of};
use crate::record_error::{Failure, StepFailure, tail};
use crate::waiting::Waited;
use crate::{Observer, RecordError, RecordEvent, RecordOptions, clock};

/// Most bytes of an output kept in a profile.
const MAX_RESULT_BYTES: usize = 64 << 10;
/// Name of the stop in the results.
const STOP: &str = "stop";

/// A run in progress. Dropping it removes the container.
pub(crate) struct Run<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) coverage: &'a Coverage,
    pub(crate) options: &'a RecordOptions,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) container: Container,
    pub(crate) recording: Watching,
    /// What PID 1 had written when it was last started.
    pub(crate) log_before_start: Vec<u8>,
    /// Whether a step waited for the end of PID 1 and it came.
    pub(crate) ended_as_expected: bool,
    pub(crate) results: Vec<StepResult>,
    /// Whether the first step has begun.
    pub(crate) in_step: bool,
    /// Programs that the coverage asked for and the engine did not find: step, name, and where it looked.
    pub(crate) not_found: Vec<(StepNumber, String, PathBuf)>,
    pub(crate) identity: ImageIdentity,
}

impl Run<'_> {
    /// From the start of PID 1 to its end.
    pub(crate) fn exercise(&mut self) -> Result<(), RecordError> {
        let begin = Instant::now();
        self.container.start().map_err(|source| match source {
            EngineError::Interrupted => RecordError::Interrupted,
            source => RecordError::Start { source, partial: None },
        })?;
        self.observer.event(&RecordEvent::Started);
        self.recording.snapshot();
        self.become_ready()?;
        self.recording.snapshot();
        self.observer.event(&RecordEvent::Ready { after: begin.elapsed() });
        let coverage = self.coverage;
        for step in &coverage.steps {
            self.step(step)?;
        }
        self.recording.snapshot();
        self.stop()
    }

    /// Waits until all conditions of `wait_for` hold, one after the other.
    pub(crate) fn become_ready(&mut self) -> Result<(), RecordError> {
        let coverage = self.coverage;
        for wait in &coverage.wait_for {
            let condition = wait.condition.to_string();
            self.observer.event(&RecordEvent::Waiting { condition: &condition });
            let waited = self.wait_until(&wait.condition, wait.timeout);
            if let Err(error) = &waited {
                self.note_missing_program(error);
            }
            match waited.map_err(|source| self.engine_error(format!("wait for {condition}"), source))? {
                Waited::Holds => self.ended_as_expected |= matches!(wait.condition, Condition::Exit(_)),
                Waited::Ended(exit) => return Err(self.ended(exit, format!("before {condition} held"))),
                Waited::TimedOut => {
                    let log_tail = tail(&self.container.logs());
                    return Err(RecordError::NotReady {
                        condition,
                        timeout: wait.timeout,
                        log_tail,
                        partial: None,
                    });
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), RecordError> {
        let survives = matches!(step.action, Action::Restart | Action::WaitFor(Condition::Exit(_)));
        if !survives {
            self.check_alive(&format!("before step {:?}", step.name))?;
        }
        let n = self.begin_step(&step.name);
        let performed = self.perform(step)?;
        tracing::debug!(step = %step.name, n, outcome = ?performed.outcome, "step {n} {:?} is done", step.name);
        self.end_step(&step.name, performed, step.allow_failure, step.compare)
    }

    /// The last step: the stop signal, and how PID 1 ends.
    fn stop(&mut self) -> Result<(), RecordError> {
        let signalled =
            matches!(self.coverage.steps.last().map(|step| &step.action), Some(Action::Signal(_)));
        if !signalled {
            self.check_alive("before it was stopped")?;
        }
        self.begin_step(STOP);
        self.observer.event(&RecordEvent::Stopping);
        let begin = Instant::now();
        let exit = match self.container.stop(self.coverage.stop.grace) {
            Ok(exit) | Err(EngineError::NotRunning { exit: Some(exit), .. }) => exit,
            Err(source) => return Err(self.engine_error("stop the container".to_owned(), source)),
        };
        let expected = &self.coverage.stop.expect_exit;
        let unexpected = !expected.is_empty() && !expected.iter().any(|expected| expected.is_met_by(exit));
        let failure = unexpected.then_some(Failure::Exit(exit));
        let performed = Performed { failure, ..Performed::silent(outcome_of(exit), begin) };
        self.end_step(STOP, performed, expected.is_empty(), profile::Compare::Outcome)
    }

    /// How many steps the results will have: those of the coverage, and the stop.
    fn count(&self) -> u32 {
        u32::try_from(self.coverage.steps.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    fn begin_step(&mut self, name: &str) -> u32 {
        let n = u32::try_from(self.results.len()).unwrap_or(u32::MAX).saturating_add(1);
        self.recording.begin_step(StepNumber(n));
        self.in_step = true;
        self.observer.event(&RecordEvent::StepStarted { n, of: self.count(), name });
        n
    }

    fn end_step(
        &mut self,
        name: &str,
        performed: Performed,
        allow_failure: bool,
        compare: profile::Compare,
    ) -> Result<(), RecordError> {
        let Performed { outcome, failure, stdout, stderr, duration } = performed;
        let unmet = match &failure {
            Some(Failure::Expectation(pattern)) => Some(format!("expect: {pattern}")),
            Some(Failure::Rejected(pattern)) => Some(format!("reject: {pattern}")),
            _ => None,
        };
        self.results.push(StepResult {
            name: name.to_owned(),
            outcome,
            allow_failure,
            unmet,
            compare,
            stdout: cut(&stdout),
            stderr: cut(&stderr),
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        });
        self.keep_results();
        let n = u32::try_from(self.results.len()).unwrap_or(u32::MAX);
        let tolerated = failure.is_some() && allow_failure;
        let event = RecordEvent::StepEnded { n, of: self.count(), name, outcome, tolerated, duration };
        self.observer.event(&event);
        // On a full disk a failure tells nothing about the image.
        let goes_on = || self.options.keep_going && self.engine.full_disk().is_none();
        match failure {
            Some(failure) if !allow_failure && !goes_on() => {
                Err(RecordError::StepFailed(Box::new(StepFailure {
                    name: name.to_owned(),
                    outcome,
                    failure,
                    stdout_tail: tail(&stdout),
                    stderr_tail: tail(&stderr),
                    log_tail: tail(&self.container.logs()),
                    partial: None,
                })))
            }
            _ => Ok(()),
        }
    }

    /// Notes in the journal what is known so far beside the uses: a profile without any, marked as cut off.
    pub(crate) fn keep_results(&self) {
        let Some(journal) = &self.options.journal else { return };
        let run = profile::Run {
            coverage: self.coverage.name.clone(),
            started_at: clock::rfc3339(self.options.started_at),
            sensor: SensorReport {
                backend: self.recording.name().to_owned(),
                kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
                passed_over: Vec::new(),
                counters: profile::Counters::default(),
                verdict: Verdict::from_reasons(vec![Incomplete::CutOff]),
                not_seen: sensor::not_seen(self.recording.name()),
            },
            steps: self.results.clone(),
            tags: BTreeSet::new(),
            carried_from: None,
            activity: None,
        };
        match Profile::from_run(self.identity.clone(), run, &BTreeSet::new()).to_json() {
            Ok(head) => journal.note(&head),
            Err(error) => tracing::debug!(%error, "the results cannot be kept"),
        }
    }

    fn check_alive(&mut self, when: &str) -> Result<(), RecordError> {
        let exit = self.container.exited();
        match exit.map_err(|source| self.engine_error("look after the container".to_owned(), source))? {
            Some(exit) if !self.ended_as_expected => Err(self.ended(exit, when.to_owned())),
            _ => Ok(()),
        }
    }

    pub(crate) fn ended(&self, exit: Exit, during: String) -> RecordError {
        RecordError::Ended { exit, during, log_tail: tail(&self.container.logs()), partial: None }
    }

    pub(crate) fn engine_error(&self, action: String, source: EngineError) -> RecordError {
        match source {
            EngineError::Interrupted => RecordError::Interrupted,
            source => RecordError::Engine { action, source, partial: None },
        }
    }

    /// Ends the recording, removes the container, and draws up the profile; after an error, of what there is.
    pub(crate) fn finish(
        mut self,
        tree: &Tree,
        result: Result<(), RecordError>,
    ) -> Result<Profile, RecordError> {
        if let Err(RecordError::Interrupted) = result {
            return Err(RecordError::Interrupted);
        }
        let result = result.map_err(|error| error.on(self.engine.full_disk()));
        if result.is_err()
            && let Err(error) = self.container.stop(Duration::ZERO)
        {
            tracing::debug!(%error, "the container was not stopped after a failure");
        }
        let record = self.recording.finish(tree).map_err(RecordError::Sensor);
        if let Err(error) = self.container.remove() {
            tracing::warn!(%error, "the container was not removed cleanly");
        }
        let mut record = match (record, result.is_err()) {
            (Ok(record), _) => record,
            // The first error is the one to show.
            (Err(error), true) => {
                tracing::debug!(%error, "the recording of a failed run cannot be read");
                return result.and(Err(error));
            }
            (Err(error), false) => return Err(error),
        };
        record.observations.extend(not_found(&self.not_found, tree));
        self.observer.event(&RecordEvent::Finished { counters: record.counters });
        let mut reasons = record.verdict().reasons().to_vec();
        if result.is_err() {
            reasons.push(Incomplete::CutOff);
        }
        let run = profile::Run {
            coverage: self.coverage.name.clone(),
            started_at: clock::rfc3339(self.options.started_at),
            sensor: SensorReport {
                backend: record.backend.to_owned(),
                kernel: record.kernel,
                passed_over: record.passed_over,
                counters: record.counters,
                verdict: Verdict::from_reasons(reasons),
                not_seen: record.not_seen,
            },
            steps: self.results,
            tags: BTreeSet::new(),
            carried_from: None,
            activity: record.activity,
        };
        let profile = Profile::from_run(self.identity, run, &record.observations);
        match result {
            Ok(()) => Ok(profile),
            Err(error) => Err(error.with_partial(Some(profile))),
        }
    }
}

/// Lookups of programs that the engine did not find, as the sensor would have seen them. The program stands for itself.
fn not_found(tried: &[(StepNumber, String, PathBuf)], tree: &Tree) -> Vec<Observation> {
    let observe = |(step, program, path): &(StepNumber, String, PathBuf)| {
        let resolution = tree.resolve(&ImagePath::root(), path.as_os_str().as_bytes(), true);
        let (path, errno) = match resolution.end {
            ResolutionEnd::Missing(path) => (path, rustix::io::Errno::NOENT),
            ResolutionEnd::NotADirectory(path) => (path, rustix::io::Errno::NOTDIR),
            _ => return None,
        };
        let process = Process { exe: program.clone(), argv0: program.clone() }.into();
        Some(Observation {
            path,
            kind: AccessKind::Missing,
            errno: errno.raw_os_error(),
            process,
            step: *step,
        })
    };
    tried.iter().filter_map(observe).collect()
}

/// An output as a profile keeps it.
fn cut(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_RESULT_BYTES)]);
    let mut end = text.len().min(MAX_RESULT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_cut_at_64_kib_and_at_a_character() {
        assert_eq!(cut(b"abc\xff"), "abc\u{fffd}");
        assert_eq!(cut(&vec![b'x'; MAX_RESULT_BYTES]).len(), MAX_RESULT_BYTES);
        assert_eq!(cut(&vec![b'x'; MAX_RESULT_BYTES + 1]).len(), MAX_RESULT_BYTES);
        let wide = "é".repeat(MAX_RESULT_BYTES);
        assert_eq!(cut(&wide.as_bytes()[1..]).len(), MAX_RESULT_BYTES - 1);
    }
}
