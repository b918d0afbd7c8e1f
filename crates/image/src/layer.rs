//! One opened layer.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use crate::blob::Blob;
use crate::image::AGAIN;
use crate::inflate::{InflateError, Inflater};
use crate::limits::{Limits, Tally};
use crate::model::media_type;
use crate::tar::{self, TarError, TarProblem};
use crate::{Descriptor, Digest, Entry, skip};

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
    tar: Blob,
    /// What of the tar was not stored, in order; and the whole tar, once somebody asked for that.
    holes: Vec<Range<u64>>,
    whole: OnceLock<Option<Blob>>,
    scratch_dir: PathBuf,
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
        let mut inflated = inflater.run(&blob)?;
        if let Some(actual) = inflated.digest.filter(|&digest| digest != descriptor.digest) {
            return Err(OpenLayerError::Digest { actual });
        }
        let (mut tar, actual) = inflated.content?;
        if actual != diff_id {
            return Err(OpenLayerError::DiffId { expected: diff_id, actual });
        }
        let mut entries = tar::list(&tar, inflater.limits, tally);
        let is_right = |entries: &Vec<Entry>| skip::are_within_files(&inflated.holes, entries);
        if !entries.as_ref().is_ok_and(is_right) {
            // The layer deceives whoever follows its headers only roughly.
            if !inflated.holes.is_empty() {
                tar = whole(&blob, diff_id, inflater.scratch_dir)?;
                entries = tar::list(&tar, inflater.limits, tally);
            }
            inflated.holes.clear();
        }
        let entries = entries?;
        Ok(Self {
            descriptor: descriptor.clone(),
            diff_id,
            compression: inflated.compression,
            entries,
            uncompressed_bytes: tar.size_bytes(),
            blob,
            tar,
            holes: inflated.holes,
            whole: OnceLock::new(),
            scratch_dir: inflater.scratch_dir.to_owned(),
        })
    }

    /// Reads bytes of the uncompressed tar; 0 means its end.
    ///
    /// # Errors
    /// What reading the file gives.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let asked = offset..offset.saturating_add(buffer.len() as u64);
        if !skip::reaches_into(&self.holes, &asked) {
            return self.tar.read_at(offset, buffer);
        }
        let whole = self.whole.get_or_init(|| match whole(&self.blob, self.diff_id, &self.scratch_dir) {
            Ok(whole) => Some(whole),
            Err(error) => {
                tracing::warn!(layer.digest = %self.descriptor.digest, %error, "cannot read {} again", self.descriptor.digest);
                None
            }
        });
        let whole = whole.as_ref().ok_or_else(|| io::Error::other("the layer cannot be inflated again"))?;
        whole.read_at(offset, buffer)
    }

    /// The blob as stored, from its start.
    ///
    /// # Errors
    /// None today.
    pub fn open_blob(&self) -> io::Result<impl Read + use<>> {
        Ok(self.blob.reader())
    }
}

/// Inflates a layer that was verified before once more, with nothing left out.
fn whole(blob: &Blob, diff_id: Digest, scratch_dir: &Path) -> Result<Blob, OpenLayerError> {
    // It is as large as it was.
    let limits = Limits { layer_bytes: u64::MAX, total_bytes: u64::MAX, ..Limits::default() };
    let total = AtomicU64::new(0);
    let inflater = Inflater {
        limits: &limits,
        total: &total,
        scratch_dir,
        on_bytes: None,
        interrupt: None,
        unread: None,
    };
    let (tar, actual) = inflater.run(blob)?.content?;
    if actual == diff_id { Ok(tar) } else { Err(OpenLayerError::DiffId { expected: diff_id, actual }) }
}
