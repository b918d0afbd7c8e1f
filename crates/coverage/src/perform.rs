//! Doing one step.

use std::time::{Duration, Instant};

use engine::{CommandEnd, CommandOutput, EngineError, ExecOptions, Exit, HostCommand, Stdin};
use profile::StepOutcome;

use crate::RecordError;
use crate::coverage::{Action, Condition, Step};
use crate::record_error::Failure;
use crate::run::Run;
use crate::waiting::Waited;

/// What a shell reports for a program that is not there, and for one that cannot be executed.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// What a step did.
#[derive(Debug)]
pub(crate) struct Performed {
    pub(crate) outcome: StepOutcome,
    pub(crate) failure: Option<Failure>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) duration: Duration,
}

impl Performed {
    /// A step without output that took from `begin` until now.
    pub(crate) fn silent(outcome: StepOutcome, begin: Instant) -> Self {
        Self { outcome, failure: None, stdout: Vec::new(), stderr: Vec::new(), duration: begin.elapsed() }
    }
}

impl Run<'_> {
    /// Does what a step says. A step that fails is a value; an error means that the run cannot go on.
    pub(crate) fn perform(&mut self, step: &Step) -> Result<Performed, RecordError> {
        let begin = Instant::now();
        let done = StepOutcome::Exited { code: 0 };
        match &step.action {
            Action::Exec { args, stdin, env, user, working_dir } => {
                let options = ExecOptions {
                    args: args.clone(),
                    env: env.clone().into_iter().collect(),
                    user: user.clone(),
                    working_dir: working_dir.clone(),
                    stdin: pipe(stdin.as_ref()),
                    timeout: step.timeout,
                };
                let result = self.container.exec(&options);
                self.command(step, result, begin)
            }
            Action::Host { args, stdin, env } => {
                let command = HostCommand {
                    args: args.clone(),
                    env: env.clone().into_iter().collect(),
                    working_dir: None,
                    stdin: pipe(stdin.as_ref()),
                    timeout: step.timeout,
                };
                let result = self.container.host_command(&command);
                self.command(step, result, begin)
            }
            Action::Signal(signal) => {
                self.container.kill(signal.number()).map_err(|source| self.broken(step, source))?;
                Ok(Performed::silent(done, begin))
            }
            Action::Restart => {
                self.log_before_start = self.container.logs();
                self.recording.snapshot();
                let exit = self.container.restart(self.coverage.stop.grace);
                let exit = exit.map_err(|source| self.broken(step, source))?;
                self.ended_as_expected = false;
                self.become_ready()?;
                Ok(Performed::silent(outcome_of(exit), begin))
            }
            Action::Pause(duration) => {
                self.sleep(*duration).map_err(|source| self.broken(step, source))?;
                Ok(Performed::silent(done, begin))
            }
            Action::WaitFor(condition) => {
                let waited = self.wait_until(condition, step.timeout);
                if let Err(error) = &waited {
                    self.note_missing_program(error);
                }
                match waited.map_err(|source| self.broken(step, source))? {
                    Waited::Holds => {
                        self.ended_as_expected |= matches!(condition, Condition::Exit(_));
                        Ok(Performed::silent(done, begin))
                    }
                    Waited::TimedOut => {
                        let failure = Some(Failure::TimedOut(step.timeout));
                        Ok(Performed { failure, ..Performed::silent(StepOutcome::TimedOut, begin) })
                    }
                    Waited::Ended(exit) => Err(self.ended(exit, during(step))),
                }
            }
        }
    }

    /// The result of a command of the step.
    fn command(
        &mut self,
        step: &Step,
        result: Result<CommandOutput, EngineError>,
        begin: Instant,
    ) -> Result<Performed, RecordError> {
        let on_host = matches!(step.action, Action::Host { .. });
        // As a shell would: on a hardened image a program that is gone is a failed step, not the end of the run.
        let code = match &result {
            Err(EngineError::ProgramNotFound { .. }) => NOT_FOUND,
            Err(EngineError::ProgramNotExecutable { .. } | EngineError::UnknownUser { .. }) => NOT_EXECUTABLE,
            _ => 0,
        };
        if let Err(error) = &result {
            self.note_missing_program(error);
        }
        match result {
            Ok(output) => {
                let failure = judge(step, &output);
                let CommandOutput { end, stdout, stderr, duration, .. } = output;
                let outcome = match end {
                    CommandEnd::Exited(code) => StepOutcome::Exited { code },
                    CommandEnd::Signalled(signal) => StepOutcome::Signalled { signal },
                    CommandEnd::TimedOut => StepOutcome::TimedOut,
                };
                Ok(Performed { outcome, failure, stdout, stderr, duration })
            }
            Err(error) if code != 0 => Ok(Performed {
                failure: Some(Failure::Code(code)),
                stderr: match &error {
                    EngineError::ProgramNotFound { program, .. } if on_host => {
                        format!("{program:?} is not on this host").into_bytes()
                    }
                    error => error.to_string().into_bytes(),
                },
                ..Performed::silent(StepOutcome::Exited { code }, begin)
            }),
            Err(error) => Err(self.broken(step, error)),
        }
    }

    /// The engine looks a program up before anything of the workload's runs, so the sensor takes no notice.
    pub(crate) fn note_missing_program(&mut self, error: &EngineError) {
        if let EngineError::ProgramNotFound { program, tried } = error {
            let step = u32::try_from(self.results.len()).unwrap_or(u32::MAX).saturating_add(1);
            let step = if self.in_step { profile::Step(step) } else { profile::Step::default() };
            self.not_found.extend(tried.iter().map(|path| (step, program.clone(), path.clone())));
        }
    }

    /// Why the run cannot go on after an error of the engine.
    fn broken(&self, step: &Step, source: EngineError) -> RecordError {
        match source {
            EngineError::NotRunning { exit: Some(exit), .. } => self.ended(exit, during(step)),
            source => self.engine_error(format!("perform step {:?}", step.name), source),
        }
    }
}

fn during(step: &Step) -> String {
    format!("during step {:?}", step.name)
}

fn pipe(stdin: Option<&Vec<u8>>) -> Stdin {
    stdin.map_or(Stdin::Null, |bytes| Stdin::Bytes(bytes.clone()))
}

pub(crate) fn outcome_of(exit: Exit) -> StepOutcome {
    match exit {
        Exit::Code(code) => StepOutcome::Exited { code },
        Exit::Signal(signal) => StepOutcome::Signalled { signal },
    }
}

/// Whether a command failed its step.
fn judge(step: &Step, output: &CommandOutput) -> Option<Failure> {
    match output.end {
        CommandEnd::Exited(0) => {}
        CommandEnd::Exited(code) => return Some(Failure::Code(code)),
        CommandEnd::Signalled(signal) => return Some(Failure::Signal(signal)),
        CommandEnd::TimedOut => return Some(Failure::TimedOut(step.timeout)),
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let rejected =
        step.reject.as_ref().filter(|pattern| pattern.is_match(&stdout) || pattern.is_match(&stderr));
    if let Some(pattern) = rejected {
        return Some(Failure::Rejected(pattern.as_str().to_owned()));
    }
    let unmet = step.expect.as_ref().filter(|pattern| !pattern.is_match(&stdout));
    unmet.map(|pattern| Failure::Expectation(pattern.as_str().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::Pattern;

    fn output(end: CommandEnd, stdout: &str, stderr: &str) -> CommandOutput {
        CommandOutput {
            end,
            stdout: stdout.into(),
            stderr: stderr.into(),
            truncated: false,
            duration: Duration::ZERO,
        }
    }

    #[test]
    fn a_command_fails_by_its_end_and_by_its_output() {
        let step = Step {
            name: "x".to_owned(),
            action: Action::Restart,
            expect: Some(Pattern::new("^OK$").unwrap()),
            reject: Some(Pattern::new("^ERR").unwrap()),
            compare: profile::Compare::Outcome,
            allow_failure: false,
            timeout: Duration::from_secs(3),
        };
        for (end, stdout, stderr, expected) in [
            (CommandEnd::Exited(0), "first\nOK\n", "", None),
            (CommandEnd::Exited(2), "OK\n", "", Some(Failure::Code(2))),
            (CommandEnd::Signalled(11), "OK\n", "", Some(Failure::Signal(11))),
            (CommandEnd::TimedOut, "OK\n", "", Some(Failure::TimedOut(Duration::from_secs(3)))),
            (CommandEnd::Exited(0), "NOT OK\n", "", Some(Failure::Expectation("^OK$".to_owned()))),
            (CommandEnd::Exited(0), "OK\nERR wrong\n", "", Some(Failure::Rejected("^ERR".to_owned()))),
            (CommandEnd::Exited(0), "OK\n", "ERR wrong\n", Some(Failure::Rejected("^ERR".to_owned()))),
        ] {
            assert_eq!(judge(&step, &output(end, stdout, stderr)), expected);
        }
    }
}
