//! What can be wrong with a tar.

use std::io;

use crate::limits::Limit;
use crate::path::PathError;

/// Why a tar cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the tar entry at byte {at}")]
pub struct TarError {
    /// Offset in the uncompressed tar of the first header block of the entry.
    pub at: u64,
    /// What is wrong with it.
    #[source]
    pub problem: TarProblem,
}

/// What is wrong with one entry of a tar.
#[derive(Debug, thiserror::Error)]
pub enum TarProblem {
    /// The tar's bytes cannot be read.
    #[error("cannot read its bytes")]
    Read(#[source] io::Error),
    /// The tar ends inside this entry.
    #[error("the tar ends inside it")]
    Truncated,
    /// The header's checksum does not fit the header.
    #[error("wrong header checksum")]
    Checksum,
    /// A single block of zeros where two end a tar.
    #[error("a lone block of zeros is not an end of a tar")]
    LoneZeroBlock,
    /// A numeric field that is no number, or one out of range.
    #[error("bad {field}")]
    Number {
        /// Which field.
        field: &'static str,
    },
    /// An extension header with malformed records.
    #[error("malformed PAX record")]
    Pax,
    /// A sparse map that is malformed, unordered, or does not fit the sizes.
    #[error("bad sparse map")]
    Sparse,
    /// A type of entry that a layer cannot have.
    #[error("unknown type of entry {:?}", char::from(*.0))]
    Kind(u8),
    /// An extension header with no entry after it.
    #[error("an extension header without its entry")]
    Dangling,
    /// The name leaves the image or is longer than the kernel allows.
    #[error("bad name")]
    Name(#[source] PathError),
    /// The name of the file linked to leaves the image or is longer than the kernel allows.
    #[error("bad link target")]
    Target(#[source] PathError),
    /// A symbolic link whose text is empty, has a NUL byte, or is longer than the kernel allows.
    #[error("bad symbolic link target")]
    SymlinkTarget,
    /// `.wh.` in a place where it hides nothing.
    #[error("{0} is reserved for whiteouts")]
    Whiteout(String),
    /// The image's root is something other than a directory.
    #[error("the root of the image is not a directory")]
    Root,
    /// More than [`crate::Limits`] allow.
    #[error("it asks for {0}")]
    Limit(Limit),
}
