//! A scan report in the forms that people, code hosts and pipelines read.
//!
//! The report itself is a value of the crate `advisories` ([`advisories::ScanReport`]). Start at [`write()`]; [`Gate`]
//! says whether a report fails a build, [`IgnoreList`] settles findings that somebody has decided about.
#![forbid(unsafe_code)]

mod cyclonedx;
mod gate;
mod gitlab;
mod ignore;
mod junit;
mod markdown;
mod sarif;
mod table;
mod words;
mod write;

pub use gate::{Gate, ParseGateError};
pub use ignore::{IgnoreList, ReadIgnoreError};
pub use table::Look;
pub use write::{Format, WriteError, write};
