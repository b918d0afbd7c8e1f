//! How much an image may ask of us.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds for everything that a hostile image could make large.
///
/// A value exactly at its bound is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Uncompressed bytes of one layer. Default 64 GiB.
    pub layer_bytes: u64,
    /// Uncompressed bytes of all layers together. Default 256 GiB.
    pub total_bytes: u64,
    /// Entries of all layers together, and directories above them that no entry describes. Default 5 million.
    pub entries: u64,
    /// Bytes that must be held in memory for those: paths, link targets, extended attributes, sparse maps. Default
    /// 512 MiB, about 100 for each of 5 million entries.
    pub listing_bytes: u64,
    /// Components of a path. Default 1024 (a path of the longest length, 4094 bytes, could have 2047).
    pub depth: u32,
    /// Bytes of one document (index, manifest, config) and of the extension headers of one tar entry (PAX, GNU long
    /// names, sparse maps). Default 8 MiB.
    pub metadata_bytes: u64,
    /// Layers of one image. Default 1024 (Docker itself stops at 125).
    pub layers: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            layer_bytes: 64 << 30,
            total_bytes: 256 << 30,
            entries: 5_000_000,
            listing_bytes: 512 << 20,
            depth: 1024,
            metadata_bytes: 8 << 20,
            layers: 1024,
        }
    }
}

/// A bound of [`Limits`] that an image exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::layer_bytes`].
    LayerBytes(u64),
    /// [`Limits::total_bytes`].
    TotalBytes(u64),
    /// [`Limits::entries`].
    Entries(u64),
    /// [`Limits::listing_bytes`].
    ListingBytes(u64),
    /// [`Limits::depth`].
    Depth(u32),
    /// [`Limits::metadata_bytes`].
    MetadataBytes(u64),
    /// [`Limits::layers`].
    Layers(u32),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LayerBytes(bound) => write!(f, "more than {bound} uncompressed bytes in one layer"),
            Self::TotalBytes(bound) => write!(f, "more than {bound} uncompressed bytes in all layers"),
            Self::Entries(bound) => write!(f, "more than {bound} entries in all layers"),
            Self::ListingBytes(bound) => {
                write!(f, "more than {bound} bytes of paths, link targets and attributes in all layers")
            }
            Self::Depth(bound) => write!(f, "a path of more than {bound} components"),
            Self::MetadataBytes(bound) => write!(f, "more than {bound} bytes of metadata at one place"),
            Self::Layers(bound) => write!(f, "more than {bound} layers"),
        }
    }
}

/// What entries have taken of [`Limits`] so far. Several threads count on one.
#[derive(Debug)]
pub(crate) struct Tally {
    entries: Count,
    listing_bytes: Count,
}

#[derive(Debug)]
struct Count {
    so_far: AtomicU64,
    bound: u64,
}

impl Count {
    fn up_to(bound: u64) -> Self {
        Self { so_far: AtomicU64::new(0), bound }
    }

    fn fits(&self, more: u64) -> bool {
        self.so_far.fetch_add(more, Ordering::Relaxed).saturating_add(more) <= self.bound
    }
}

impl Tally {
    /// Nothing so far.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { entries: Count::up_to(limits.entries), listing_bytes: Count::up_to(limits.listing_bytes) }
    }

    /// For entries that were counted before.
    pub(crate) fn unbounded() -> Self {
        Self { entries: Count::up_to(u64::MAX), listing_bytes: Count::up_to(u64::MAX) }
    }

    /// One more entry that holds so many bytes.
    pub(crate) fn entry(&self, bytes: usize) -> Result<(), Limit> {
        if !self.entries.fits(1) {
            return Err(Limit::Entries(self.entries.bound));
        }
        self.bytes(bytes)
    }

    /// More bytes for an entry that was counted.
    pub(crate) fn bytes(&self, bytes: usize) -> Result<(), Limit> {
        let fits = self.listing_bytes.fits(bytes as u64);
        if fits { Ok(()) } else { Err(Limit::ListingBytes(self.listing_bytes.bound)) }
    }
}
