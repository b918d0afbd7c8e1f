//! What a hardening did: as data, and as a self-contained page.
//!
//! Start at [`Hardening`], the result document; [`render`] makes the page from it and the ledger.
#![forbid(unsafe_code)]

mod carry_text;
pub mod page;
pub mod result;
pub mod text;
mod unseen;

pub use page::{RenderError, render};
pub use result::{
    Change, FORMAT_VERSION, Hardening, ImageSummary, LANGUAGE_PACKAGES, MetricValue, metric_values,
};
pub use text::{bytes_text, count_text};
