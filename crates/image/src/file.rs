//! Reading one file of the merged tree.

use std::io::{self, Read, Seek, SeekFrom};

use crate::{ImagePath, Layer};

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
    #[expect(dead_code, reason = "the body is on its way")]
    layer: &'a Layer,
    size_bytes: u64,
    position: u64,
}

impl FileReader<'_> {
    /// Size of the file, holes included.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

impl Read for FileReader<'_> {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
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
