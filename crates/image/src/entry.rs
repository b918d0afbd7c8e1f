//! What one tar entry of a layer says, and where its bytes lie.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::ImagePath;

/// One entry of a layer, in the order of the tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it extracts to. For a whiteout, the path that it hides (or the directory that it makes opaque).
    pub path: ImagePath,
    /// What it is.
    pub kind: EntryKind,
    /// Owner, mode, time, extended attributes.
    pub metadata: Metadata,
    /// All header blocks of this entry in the uncompressed layer: extension headers (PAX, GNU) and the header itself.
    pub header_bytes: Range<u64>,
    /// Stored content blocks in the uncompressed layer, without the padding. For a sparse file these are the stored
    /// segments, so this is shorter than the file.
    pub content_bytes: Range<u64>,
}

impl Entry {
    /// Bytes on the heap, for [`crate::Limits::listing_bytes`].
    pub(crate) fn listing_bytes(&self) -> usize {
        let kind = match &self.kind {
            EntryKind::File { sparse: Some(segments), .. } => size_of_val(segments.as_slice()),
            EntryKind::Symlink { target } => target.len(),
            EntryKind::Hardlink { target } => target.as_bytes().len(),
            _ => 0,
        };
        self.path.as_bytes().len() + kind + self.metadata.listing_bytes()
    }
}

impl Metadata {
    /// Bytes on the heap, for [`crate::Limits::listing_bytes`].
    pub(crate) fn listing_bytes(&self) -> usize {
        self.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

/// The types that a layer's entry can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file of this many bytes once extracted.
    File {
        /// Size of the extracted file, holes included.
        size_bytes: u64,
        /// For a sparse file, its data segments as (offset in the file, length), in order; `None` when it is stored whole.
        sparse: Option<Vec<(u64, u64)>>,
    },
    /// A directory.
    Directory,
    /// A symbolic link with its target as written.
    Symlink {
        /// The link's text: any bytes.
        target: Box<[u8]>,
    },
    /// Another name for a file that an earlier entry of this layer, or a lower layer, provides.
    Hardlink {
        /// The name linked to.
        target: ImagePath,
    },
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// `.wh.NAME`: the path does not exist from this layer on.
    Whiteout,
    /// `.wh..wh..opq`: what lower layers have in this directory does not exist from this layer on.
    OpaqueWhiteout,
}

/// What an entry says beside its name, type and content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Permission bits with setuid, setgid and sticky: `0o7777` at most.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// Extended attributes: file capabilities, ACLs, `user.*`, as raw bytes.
    pub xattrs: BTreeMap<Box<[u8]>, Box<[u8]>>,
}

/// Seconds and nanoseconds since 1970, UTC. Seconds may be negative; nanoseconds are below 1,000,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Timestamp {
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds past them.
    pub nanoseconds: u32,
}
