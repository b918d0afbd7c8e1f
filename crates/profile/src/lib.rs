//! The workload profile: which paths of an image a workload used, how, by which process, in which coverage step,
//! and whether that record is complete.
//!
//! Start at [`Profile`]: made by [`Profile::from_run`], united by [`merge`], kept on disk by [`Profile::write`].
//! The file's form is described in `docs/formats/profile.md`. This crate knows no kernel, no clock and no terminal: times come in as values.
#![forbid(unsafe_code)]

pub mod access;
pub mod activity;
mod bounded;
mod build;
mod counted;
pub mod counters;
pub mod document;
pub mod few;
pub mod file;
pub mod lookup;
pub mod merge;
pub mod select;
pub mod surroundings;

pub use access::{AccessKind, Observation, Process, Step};
pub use activity::{Activity, CapabilityUse, Endpoint, Started};
pub use counted::{count_text, counted};
pub use counters::{Counters, Incomplete, Verdict};
pub use document::{
    Compare, ImageIdentity, PassedOver, PathUsage, Profile, Run, SensorReport, StepOutcome, StepResult, Usage,
};
pub use few::{FewMap, FewSet};
pub use file::{ReadLimits, ReadProfileError, WriteProfileError};
pub use lookup::START;
pub use merge::{MergeError, merge};
pub use surroundings::{FileFacts, PackageFiles, Surroundings};
