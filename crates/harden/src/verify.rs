//! Holding a run on the hardened image against a run on the original.

use image::ImagePath;
use profile::{Incomplete, Process, Profile, StepOutcome};
use serde::{Deserialize, Serialize};

use crate::Ledger;

/// What a comparison of two runs found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Whether the hardened image did all that the original did.
    pub verdict: VerificationVerdict,
    /// Reasons for a failed verdict that are neither a step's nor a lookup's.
    pub failures: Vec<VerificationFailure>,
    /// Every step, in the order of the hardened run.
    pub steps: Vec<StepVerification>,
    /// Lookups that failed only because we removed something, by path.
    pub missing_lookups: Vec<MissingLookup>,
    /// What is worth knowing and changes nothing, for people.
    pub notes: Vec<String>,
}

/// Whether an image passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerificationVerdict {
    /// All steps came out as on the original, the record is complete, and no removed path was looked up.
    Passed,
    /// Anything else.
    Failed,
}

/// Why runs as a whole could not be taken as a proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", tag = "failure")]
pub enum VerificationFailure {
    /// The hardened image was not run at all.
    #[error("no run of the hardened image was recorded")]
    NoRun,
    /// The plan and the profile of the original speak of different images.
    #[error("the plan is for another image than the profile")]
    OtherImage,
    /// A coverage was run on the hardened image only.
    #[error("coverage {coverage} was not run on the original image")]
    NoOriginal {
        /// Its name.
        coverage: String,
    },
    /// A step of the original's run was not run on the hardened image.
    #[error("step {step} of coverage {coverage} was not run on the hardened image")]
    StepNotRun {
        /// Name of the coverage.
        coverage: String,
        /// Name of the step.
        step: String,
    },
    /// The sensor's record of the hardened run may lack something.
    #[error("the record of coverage {coverage} on the hardened image is incomplete: {reason}")]
    Incomplete {
        /// Name of the coverage.
        coverage: String,
        /// Why.
        reason: Incomplete,
    },
}

/// One step, on both images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepVerification {
    /// Name of the coverage.
    pub coverage: String,
    /// Name of the step.
    pub name: String,
    /// Whether this step fails the verification.
    pub passed: bool,
    /// How it ended on the original; none if it was not run there.
    pub original: Option<StepOutcome>,
    /// How it ended on the hardened image.
    pub hardened: StepOutcome,
    /// Where the outputs differ, also when the coverage says that they do not count.
    pub differences: Vec<OutputDifference>,
}

/// A difference between the outputs of one step, as an excerpt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputDifference {
    /// `stdout` or `stderr`.
    pub stream: String,
    /// The first lines of the original that the hardened image's output lacks there.
    pub original: Vec<String>,
    /// The first lines of the hardened image that the original's output lacks there.
    pub hardened: Vec<String>,
    /// How many more lines differ.
    pub more: u64,
}

/// A lookup on the hardened image that failed because of a removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingLookup {
    /// The path that was looked up.
    pub path: ImagePath,
    /// What was removed: the path itself, or the directory or link on the way to it. To heal, keep this and, where
    /// the original image has it, `path`.
    pub removed: ImagePath,
    /// The errnos that the lookups gave.
    pub errnos: Vec<i32>,
    /// Who looked.
    pub processes: Vec<Process>,
    /// Name of the coverage in which it was first seen.
    pub coverage: String,
    /// Name of the step in which it was first seen, `start` for all before the first.
    pub step: String,
}

/// Holds the recorded runs of the hardened image against those of the original. Pure.
pub fn verify(ledger: &Ledger, original: &Profile, hardened: &Profile) -> Verification {
    let _ = (ledger, original, hardened);
    Verification {
        verdict: VerificationVerdict::Failed,
        failures: vec![VerificationFailure::NoRun],
        steps: Vec::new(),
        missing_lookups: Vec::new(),
        notes: Vec::new(),
    }
}
