//! The workload profile: which paths of an image a workload used, how, by which process, in which coverage step,
//! and whether that record is complete.
//!
//! Start at [`Profile`]. This crate knows no kernel, no clock and no terminal: times come in as values.
#![forbid(unsafe_code)]

pub mod access;
pub mod counters;
pub mod document;

pub use access::{AccessKind, Observation, Process, Step};
pub use counters::{Counters, Incomplete, Verdict};
pub use document::{Compare, ImageIdentity, PathUsage, Profile, Run, SensorReport, StepOutcome, StepResult, Usage};
