//! A run of bytes that stays where it is: a file, or a part of one.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::Digest;

/// Bytes that can be read at any offset, by several readers at once, without a cursor of their own.
#[derive(Debug, Clone)]
pub struct Blob {
    bytes: Bytes,
    offset: u64,
    size_bytes: u64,
}

#[derive(Debug, Clone)]
enum Bytes {
    File(Arc<File>),
    Memory(Arc<[u8]>),
}

impl Blob {
    /// A part of a file.
    pub(crate) fn part_of(file: Arc<File>, offset: u64, size_bytes: u64) -> Self {
        Self { bytes: Bytes::File(file), offset, size_bytes }
    }

    /// Bytes that we made ourselves.
    pub(crate) fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self { offset: 0, size_bytes: bytes.len() as u64, bytes: Bytes::Memory(bytes) }
    }

    /// How many bytes there are.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Reads from this offset of the run; 0 means its end.
    ///
    /// # Errors
    /// What reading the file gives.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size_bytes.saturating_sub(offset);
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if wanted == 0 {
            return Ok(0);
        }
        let start = self.offset + offset;
        match &self.bytes {
            Bytes::File(file) => file.read_at(&mut buffer[..wanted], start),
            Bytes::Memory(bytes) => {
                let start = usize::try_from(start).map_err(io::Error::other)?;
                buffer[..wanted].copy_from_slice(&bytes[start..start + wanted]);
                Ok(wanted)
            }
        }
    }

    /// A part of this run, which must lie within it.
    pub(crate) fn part(&self, range: Range<u64>) -> Self {
        Self {
            bytes: self.bytes.clone(),
            offset: self.offset + range.start,
            size_bytes: range.end - range.start,
        }
    }

    /// The digest of all bytes.
    ///
    /// # Errors
    /// What reading the file gives.
    pub fn digest(&self) -> io::Result<Digest> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        let mut at = 0;
        loop {
            match self.read_at(at, &mut buffer)? {
                0 => return Ok(Digest::from_hasher(hasher)),
                read => {
                    hasher.update(&buffer[..read]);
                    at += read as u64;
                }
            }
        }
    }

    /// A reader from the start.
    pub fn reader(&self) -> BlobReader {
        BlobReader { blob: self.clone(), position: 0 }
    }
}

/// Reads a [`Blob`] from start to end.
#[derive(Debug)]
pub struct BlobReader {
    blob: Blob,
    position: u64,
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.blob.read_at(self.position, buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}
