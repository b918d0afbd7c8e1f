//! What is left of a recording whose process was killed.

use std::io;
use std::path::{Path, PathBuf};

use image::Tree;
use profile::{Compare, Incomplete, Profile, StepOutcome, StepResult, Verdict};
use sensor::Unfinished;

/// Name of the step that was running.
const CUT_OFF: &str = "(cut off)";
const SIGKILL: i32 = 9;

/// A recording that was cut off, not yet resolved.
#[derive(Debug)]
pub struct Leftover {
    journal: Unfinished,
    /// Which image ran, which coverage, when, and the steps that had ended: a profile without uses.
    pub head: Profile,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// It cannot be read.
    #[error("cannot read the journal {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended before it said what was recorded.
    #[error("the journal {path} does not say what was recorded")]
    Head {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: profile::file::ParseProfileError,
    },
}

impl Leftover {
    /// Reads a journal.
    ///
    /// # Errors
    /// [`RecoverError`] if it cannot be read or says not what was recorded.
    pub fn read(path: &Path) -> Result<Self, RecoverError> {
        let journal =
            Unfinished::read(path).map_err(|source| RecoverError::Read { path: path.into(), source })?;
        let head = Profile::from_json(&journal.head)
            .map_err(|source| RecoverError::Head { path: path.into(), source })?;
        Ok(Self { journal, head })
    }

    /// The profile of what had been recorded, marked as cut off. `tree` is that of the image in `head`.
    pub fn into_profile(self, tree: &Tree) -> Profile {
        let begun = self.journal.last_step();
        let record = self.journal.into_record(tree);
        let mut profile = self.head;
        let Some(mut run) = profile.runs.pop() else { return profile };
        while u32::try_from(run.steps.len()).is_ok_and(|ended| ended < begun) {
            run.steps.push(StepResult {
                name: CUT_OFF.to_owned(),
                outcome: StepOutcome::Signalled { signal: SIGKILL },
                allow_failure: false,
                unmet: None,
                compare: Compare::Outcome,
                stdout: String::new(),
                stderr: String::new(),
                duration_ms: 0,
            });
        }
        run.sensor.counters = record.counters;
        let mut reasons = record.verdict().reasons().to_vec();
        reasons.push(Incomplete::CutOff);
        run.sensor.verdict = Verdict::from_reasons(reasons);
        run.activity = record.activity;
        Profile::from_run(profile.image, run, &record.observations)
    }
}
