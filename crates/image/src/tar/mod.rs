//! Listing a layer's tar: every entry with its metadata and the exact place of its bytes.
//!
//! Reads what Go's `archive/tar` reads, since that is what layers are made for: v7, ustar, star, GNU (long names,
//! base-256 numbers, sparse) and PAX (with GNU's sparse forms 0.0, 0.1 and 1.0). As there, and unlike in POSIX,
//! records of a global PAX header do not apply to the entries after it.

mod error;
mod header;
mod list;
mod pax;
mod sparse;

pub use error::{TarError, TarProblem};
pub(crate) use header::{BLOCK, Header};
pub(crate) use list::list;

/// Whether this block is a header with a correct checksum.
pub(crate) fn is_header(block: &[u8; 512]) -> bool {
    Header::new(block).is_ok()
}
