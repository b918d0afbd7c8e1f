//! One opened layer.

use std::io::{self, Read};

use crate::blob::Blob;
use crate::{Descriptor, Digest, Entry};

/// How a layer's blob is compressed, as found by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// A plain tar.
    None,
    /// gzip, of one or several members.
    Gzip,
    /// zstd, of one or several frames.
    Zstd,
}

/// One layer of an opened image: verified, and its tar listed.
#[derive(Debug)]
pub struct Layer {
    /// The manifest's descriptor of the blob as stored; digest and size were verified.
    pub descriptor: Descriptor,
    /// Digest of the uncompressed tar; verified.
    pub diff_id: Digest,
    /// How the blob is stored.
    pub compression: Compression,
    /// What the tar says, in its order.
    pub entries: Vec<Entry>,
    /// Length of the uncompressed tar, with its end marker and whatever follows it.
    pub uncompressed_bytes: u64,
    pub(crate) blob: Blob,
    pub(crate) tar: Blob,
}

impl Layer {
    /// Reads bytes of the uncompressed tar; 0 means its end.
    ///
    /// # Errors
    /// What reading the file gives.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.tar.read_at(offset, buffer)
    }

    /// The blob as stored, from its start.
    ///
    /// # Errors
    /// None today.
    pub fn open_blob(&self) -> io::Result<impl Read + use<>> {
        Ok(self.blob.reader())
    }
}
