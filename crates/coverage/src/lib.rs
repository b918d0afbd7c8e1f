//! Coverage: how a workload is exercised so that its use of files can be recorded, and the run that records it.
//!
//! Start at [`load`], which turns a built-in name, a YAML file or a plain script into a [`Coverage`], and at
//! [`record`], which runs an image under the sensor while the coverage exercises it. The file's form is described in
//! `docs/formats/coverage.md`.
//!
//! This crate knows no command line and no terminal: progress goes to an [`Observer`].
#![forbid(unsafe_code)]

pub mod builtin;
mod clock;
pub mod coverage;
mod decode;
mod duration;
pub mod error;
mod fields;
pub mod load;
pub mod observer;
mod perform;
pub mod record;
pub mod record_error;
pub mod recover;
mod run;
mod script;
pub mod signal;
mod waiting;

pub use builtin::{Builtin, builtins, show};
pub use clock::rfc3339;
pub use coverage::{
    Action, Bind, Condition, ContainerSettings, Coverage, ExpectedExit, Origin, Pattern, Step, StopSettings,
    Wait,
};
pub use error::LoadCoverageError;
pub use load::{check, load};
pub use observer::{Observer, RecordEvent, Silent};
pub use record::{RecordOptions, give_listeners, record, record_on, target, watched};
pub use record_error::{Failure, RecordError, StepFailure};
pub use recover::{Leftover, RecoverError};
pub use settings::Problem;
pub use signal::Signal;
