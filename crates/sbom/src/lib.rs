//! Bills of materials: which components an image is made of, in the documents that other tools read.
//!
//! Start at [`Bill`], which gathers all that the documents say; [`write()`] writes one in a [`Format`], [`read()`] reads
//! one of anybody's back. [`copyright`] and [`licence`] turn what packages call their licences into SPDX's words;
//! [`peers`] has the places where other scanners look for what the standards have no place for.
#![forbid(unsafe_code)]

pub mod bill;
pub mod checksums;
pub mod copyright;
mod cyclonedx;
pub mod licence;
mod native;
pub mod operations;
pub mod peers;
pub mod read;
pub mod runtime_trace;
mod spdx2;
mod spdx3;
mod supplier;
mod table;
mod uuid;
pub mod write;

pub use bill::{Bill, Component, Lost, Options};
pub use licence::{Licence, Term};
pub use operations::operations;
pub use read::{PackageList, ReadSbomError, read};
pub use runtime_trace::runtime_trace;
pub use write::{Format, write};
