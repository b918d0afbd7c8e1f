//! OCI and Docker images as values: open, merge, look up, filter, write, validate.
//!
//! Start at [`Image`]: an opened image with its [`Tree`]. The writer is [`write`].
//! This crate knows no network, no clock and no terminal.
#![forbid(unsafe_code)]

pub mod digest;
pub mod entry;
pub mod path;
pub mod platform;
pub mod tree;

pub use digest::Digest;
pub use entry::{Entry, EntryKind, Metadata, Timestamp};
pub use path::ImagePath;
pub use platform::Platform;
pub use tree::{Node, NodeKind, Tree};
