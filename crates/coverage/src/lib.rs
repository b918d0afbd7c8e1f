//! Coverage: how a workload is exercised so that its use of files can be recorded, and the run that records it.
//!
//! Start at `load`, which turns a built-in name, a YAML file or a plain script into a [`Coverage`], and at
//! `record`, which runs an image under the sensor while the coverage exercises it. The file's form is described in
//! `docs/formats/coverage.md`.
//!
//! This crate knows no command line and no terminal: progress goes to an [`Observer`].
#![forbid(unsafe_code)]

pub mod coverage;
pub mod observer;
pub mod signal;

pub use coverage::{Action, Condition, ContainerSettings, Coverage, Origin, Pattern, Step, StopSettings, Wait};
pub use observer::{Observer, RecordEvent, Silent};
pub use signal::Signal;
