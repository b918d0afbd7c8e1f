//! One opened layer.

use std::fmt;
use std::io::{self, Read};

use crate::blob::Blob;
use crate::image::AGAIN;
use crate::inflate::{InflateError, Inflater};
use crate::limits::Tally;
use crate::model::media_type;
use crate::tar::{self, TarError, TarProblem};
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

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// One layer of an opened image: verified, and its tar listed.
#[derive(Debug)]
pub struct Layer {
    /// The manifest's descriptor of the blob as stored; digest and size were verified.
    pub descriptor: Descriptor,
    /// Digest of the uncompressed tar; verified.
    pub diff_id: Digest,
    /// How the blob is stored. Its first bytes decide; the media type may say otherwise.
    pub compression: Compression,
    /// What the tar says, in its order.
    pub entries: Vec<Entry>,
    /// Length of the uncompressed tar, with its end marker and whatever follows it.
    pub uncompressed_bytes: u64,
    pub(crate) blob: Blob,
    pub(crate) tar: Blob,
}

/// Why a layer could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenLayerError {
    /// The blob is not where it should be.
    #[error("its blob is not in the image's layout")]
    Missing,
    /// A layer that may not be distributed, and whose blob is not there.
    #[error("it is a foreign layer ({media_type}), kept elsewhere")]
    Foreign {
        /// Its media type.
        media_type: String,
    },
    /// Something other than a layer.
    #[error("its media type {media_type:?} is not one of a layer")]
    MediaType {
        /// Its media type.
        media_type: String,
    },
    /// The blob cannot be opened.
    #[error("cannot open its blob")]
    Open(#[source] io::Error),
    /// The descriptor lies about the size.
    #[error("its blob has {actual_bytes} bytes, the descriptor says {expected_bytes}")]
    Size {
        /// What the descriptor says.
        expected_bytes: u64,
        /// What is there.
        actual_bytes: u64,
    },
    /// The blob is not what the descriptor says.
    #[error("its blob has the digest {actual}")]
    Digest {
        /// What is there.
        actual: Digest,
    },
    /// The uncompressed layer is not what the config says.
    #[error("its uncompressed bytes have the diff ID {actual}, the config says {expected}")]
    DiffId {
        /// What the config says.
        expected: Digest,
        /// What is there.
        actual: Digest,
    },
    /// The blob cannot be uncompressed.
    #[error(transparent)]
    Inflate(#[from] InflateError),
    /// The tar cannot be listed.
    #[error(transparent)]
    Tar(#[from] TarError),
}

impl OpenLayerError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing | Self::Size { .. } | Self::Digest { .. } | Self::DiffId { .. } => {
                Some(AGAIN.to_owned())
            }
            Self::Inflate(error) => error.hint(),
            Self::Tar(error) => matches!(error.problem, TarProblem::Truncated).then(|| AGAIN.to_owned()),
            Self::Foreign { .. } => {
                Some("save the image from an engine that has all of its layers".to_owned())
            }
            Self::MediaType { .. } => {
                Some("encrypted and other special layers must be unpacked by their tools".to_owned())
            }
            Self::Open(_) => None,
        }
    }
}

impl Layer {
    /// Reads and verifies a blob, and lists its tar.
    pub(crate) fn open(
        descriptor: &Descriptor,
        diff_id: Digest,
        blob: io::Result<Blob>,
        inflater: &Inflater<'_>,
        tally: &Tally,
    ) -> Result<Self, OpenLayerError> {
        let media_type = &descriptor.media_type;
        if !media_type::is_layer(media_type) {
            return Err(OpenLayerError::MediaType { media_type: media_type.clone() });
        }
        let blob = blob.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound if media_type::is_foreign_layer(media_type) => {
                OpenLayerError::Foreign { media_type: media_type.clone() }
            }
            io::ErrorKind::NotFound => OpenLayerError::Missing,
            _ => OpenLayerError::Open(error),
        })?;
        if blob.size_bytes() != descriptor.size_bytes {
            let (expected_bytes, actual_bytes) = (descriptor.size_bytes, blob.size_bytes());
            return Err(OpenLayerError::Size { expected_bytes, actual_bytes });
        }
        let inflated = inflater.run(&blob)?;
        if let Some(actual) = inflated.digest.filter(|&digest| digest != descriptor.digest) {
            return Err(OpenLayerError::Digest { actual });
        }
        let (tar, actual) = inflated.content?;
        if actual != diff_id {
            return Err(OpenLayerError::DiffId { expected: diff_id, actual });
        }
        let entries = tar::list(&tar, inflater.limits, tally)?;
        Ok(Self {
            descriptor: descriptor.clone(),
            diff_id,
            compression: inflated.compression,
            entries,
            uncompressed_bytes: tar.size_bytes(),
            blob,
            tar,
        })
    }

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
