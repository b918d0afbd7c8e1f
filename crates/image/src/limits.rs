//! How much an image may ask of us.

use std::fmt;

/// Upper bounds for everything that a hostile image could make large.
///
/// A value exactly at its bound is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Uncompressed bytes of one layer. Default 64 GiB.
    pub layer_bytes: u64,
    /// Uncompressed bytes of all layers together. Default 256 GiB.
    pub total_bytes: u64,
    /// Entries of all layers together. Default 5 million.
    pub entries: u64,
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
            Self::Depth(bound) => write!(f, "a path of more than {bound} components"),
            Self::MetadataBytes(bound) => write!(f, "more than {bound} bytes of metadata at one place"),
            Self::Layers(bound) => write!(f, "more than {bound} layers"),
        }
    }
}
