//! What a hardening did: as data, and as a self-contained page.
//!
//! Start at [`Hardening`], the result document; [`render`] makes the page from it, the ledger and what else is known.
#![forbid(unsafe_code)]

mod carry_text;
mod directories;
mod figures;
pub mod findings;
mod ledger_data;
mod package_rows;
pub mod page;
pub mod parts;
pub mod result;
mod rules;
mod saturation;
mod shown;
mod steps;
pub mod text;
mod unseen;
mod used;

pub use findings::Findings;
pub use page::{RenderError, render};
pub use parts::Parts;
pub use result::{
    Change, FORMAT_VERSION, FindingsSummary, Hardening, ImageSummary, LANGUAGE_PACKAGES, MetricValue,
    metric_values,
};
pub use text::{bytes_text, count_text, counted};
