//! Reading one file of the merged tree.

use std::io::{self, Read, Seek, SeekFrom};

use crate::{Entry, EntryKind, ImagePath, Layer};

/// Why a file of the image could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadFileError {
    /// Nothing is at this path.
    #[error("{path} is not in the image")]
    NotFound {
        /// The path.
        path: ImagePath,
    },
    /// A directory, link or device is at this path.
    #[error("{path} is not a regular file")]
    NotAFile {
        /// The path.
        path: ImagePath,
    },
    /// It has more bytes than asked for.
    #[error("{path} has {size_bytes} bytes, more than {max_bytes}")]
    TooLarge {
        /// The path.
        path: ImagePath,
        /// Its size.
        size_bytes: u64,
        /// The bound.
        max_bytes: u64,
    },
    /// Its layer cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The path.
        path: ImagePath,
        /// Why.
        source: io::Error,
    },
}

/// The content of one regular file, holes as zeros.
#[derive(Debug)]
pub struct FileReader<'a> {
    layer: &'a Layer,
    size_bytes: u64,
    position: u64,
    segments: Vec<Segment>,
}

/// A part of the file that the tar stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Where it begins in the file.
    pub(crate) offset: u64,
    /// Where it begins in the uncompressed tar.
    pub(crate) tar_offset: u64,
    /// How long it is.
    pub(crate) length: u64,
}

/// The stored parts of a file entry, in order.
pub(crate) fn segments(entry: &Entry) -> Vec<Segment> {
    let EntryKind::File { size_bytes, sparse } = &entry.kind else { return Vec::new() };
    let whole = [(0, *size_bytes)];
    let mut tar_offset = entry.content_bytes.start;
    let mut out = Vec::new();
    for &(offset, length) in sparse.as_deref().unwrap_or(&whole) {
        out.push(Segment { offset, tar_offset, length });
        tar_offset += length;
    }
    out
}

impl<'a> FileReader<'a> {
    /// A reader of this file entry.
    pub(crate) fn new(layer: &'a Layer, entry: &Entry) -> Self {
        let size_bytes = if let EntryKind::File { size_bytes, .. } = entry.kind { size_bytes } else { 0 };
        Self { layer, size_bytes, position: 0, segments: segments(entry) }
    }

    /// Size of the file, holes included.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bounded =
            |bytes: u64| usize::try_from(bytes).map_or(buffer.len(), |bytes| bytes.min(buffer.len()));
        let next = self.segments.partition_point(|part| part.offset + part.length <= self.position);
        let read = match self.segments.get(next) {
            Some(part) if part.offset <= self.position => {
                let into = self.position - part.offset;
                let wanted = bounded(part.length - into);
                let read = self.layer.read_at(part.tar_offset + into, &mut buffer[..wanted])?;
                if read == 0 && wanted > 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                read
            }
            next => {
                let end = next.map_or(self.size_bytes, |part| part.offset);
                let zeros = bounded(end.saturating_sub(self.position));
                buffer[..zeros].fill(0);
                zeros
            }
        };
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for FileReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.size_bytes.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
