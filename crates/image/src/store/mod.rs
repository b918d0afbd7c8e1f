//! The place that an image lies in: an index of manifests, and blobs by digest.
//!
//! Four forms, one view. A root file system becomes an image of one layer. An archive of `docker save` has neither index nor manifests: they are made from its
//! `manifest.json`, always the same for the same archive.

mod archive;
mod docker;
mod rootfs;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde::de::DeserializeOwned;

use crate::blob::Blob;
use crate::image::AGAIN;
use crate::inflate::{InflateError, Inflater};
use crate::limits::Limit;
use crate::tar::TarError;
use crate::{Descriptor, Digest, ImageSource, Index, OpenOptions};

pub(crate) use rootfs::is_root;

/// An opened place.
#[derive(Debug)]
pub(crate) struct Store {
    index: Index,
    blobs: Blobs,
}

#[derive(Debug)]
enum Blobs {
    /// The directory of an OCI layout.
    Layout(PathBuf),
    /// Parts of an archive, and what was made for it.
    Known(BTreeMap<Digest, Blob>),
}

/// Why the place that an image lies in cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// A file of it cannot be read.
    #[error("cannot read {name}")]
    Read {
        /// The file.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A file that must be there is not.
    #[error("it has no {name}")]
    Missing {
        /// The file.
        name: String,
    },
    /// A document of it is not what it should be.
    #[error("cannot read {name}")]
    Document {
        /// The file.
        name: String,
        /// Why.
        source: DocumentError,
    },
    /// The archive is compressed, and cannot be uncompressed.
    #[error("cannot uncompress the archive")]
    Inflate(#[from] InflateError),
    /// The archive is no tar, or a broken one.
    #[error("cannot list the archive")]
    Tar(#[from] TarError),
    /// The archive's entries contradict one another.
    #[error("cannot list the archive")]
    Entries(#[from] crate::merge::MergeError),
    /// An image of a docker archive whose config lists another number of layers than its `manifest.json`.
    #[error("manifest.json lists {layers} layers for {config}, the config {diff_ids}")]
    LayerCount {
        /// The config's file.
        config: String,
        /// Layers of `manifest.json`.
        layers: usize,
        /// Diff IDs of the config.
        diff_ids: usize,
    },
}

impl OpenStoreError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { name } if name == "oci-layout" || name == "manifest.json" => {
                Some("write oci:DIR for a layout, oci-archive:FILE for a tar of one, docker-archive:FILE for a file of \
                     `docker save`".to_owned())
            }
            Self::Inflate(InflateError::UnknownCompression(_)) => {
                Some("an archive is a tar, plain or compressed with gzip or zstd".to_owned())
            }
            Self::Inflate(error) => error.hint(),
            Self::Missing { .. } | Self::Tar(_) | Self::Document { .. } | Self::LayerCount { .. } => {
                Some(AGAIN.to_owned())
            }
            Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("may we read it? try as root".to_owned())
            }
            Self::Read { .. } | Self::Entries(_) => None,
        }
    }
}

/// Why a JSON document of an image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Its blob is not there, or cannot be read.
    #[error("cannot read its blob")]
    Read(#[source] io::Error),
    /// The descriptor lies about the size.
    #[error("it has {actual_bytes} bytes, the descriptor says {expected_bytes}")]
    Size {
        /// What the descriptor says.
        expected_bytes: u64,
        /// What is there.
        actual_bytes: u64,
    },
    /// It is not what the descriptor says.
    #[error("it has the digest {actual}")]
    Digest {
        /// What is there.
        actual: Digest,
    },
    /// Larger than [`crate::Limits`] allow.
    #[error("it asks for {0}")]
    Limit(Limit),
    /// Not JSON, or not of the form that the specification asks for.
    #[error("it is not what the specification asks for")]
    Json(#[source] serde_json::Error),
    /// Both an index and a manifest, to be read as one or the other.
    #[error("it has both `manifests` and `layers`")]
    Ambiguous,
    /// Another schema version, such as Docker's old schema 1.
    #[error("its schema version is {0}, not 2")]
    SchemaVersion(u32),
}

impl Store {
    /// Opens the place that a source names.
    pub(crate) fn open(source: &ImageSource, options: &OpenOptions<'_>) -> Result<Self, OpenStoreError> {
        match source {
            ImageSource::OciLayout { dir, .. } | ImageSource::Registry { layout: dir, .. } => {
                Self::open_layout(dir, options)
            }
            ImageSource::OciArchive { file, .. } => {
                archive::Archive::open(file, options)?.into_oci_store(options)
            }
            ImageSource::DockerArchive { file, .. } => {
                docker::open(&archive::Archive::open(file, options)?, options)
            }
            ImageSource::Rootfs { path } => rootfs::open(path, options),
        }
    }

    fn open_layout(dir: &Path, options: &OpenOptions<'_>) -> Result<Self, OpenStoreError> {
        let open = |name: &str| {
            open_file(&dir.join(name)).map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => OpenStoreError::Missing { name: name.to_owned() },
                _ => OpenStoreError::Read { name: name.to_owned(), source },
            })
        };
        open("oci-layout")?;
        let index = json_file("index.json", &open("index.json")?, options)?;
        Ok(Self { index, blobs: Blobs::Layout(dir.to_owned()) })
    }

    /// The outermost index: `index.json`.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// A blob by its digest; not verified.
    pub(crate) fn blob(&self, digest: &Digest) -> io::Result<Blob> {
        match &self.blobs {
            Blobs::Layout(dir) => open_file(&dir.join("blobs/sha256").join(digest.hex())),
            Blobs::Known(blobs) => blobs.get(digest).cloned().ok_or_else(|| io::ErrorKind::NotFound.into()),
        }
    }

    /// The bytes of a document, verified.
    pub(crate) fn document(
        &self,
        descriptor: &Descriptor,
        options: &OpenOptions<'_>,
    ) -> Result<Vec<u8>, DocumentError> {
        let blob = self.blob(&descriptor.digest).map_err(DocumentError::Read)?;
        if blob.size_bytes() != descriptor.size_bytes {
            let (expected_bytes, actual_bytes) = (descriptor.size_bytes, blob.size_bytes());
            return Err(DocumentError::Size { expected_bytes, actual_bytes });
        }
        let bytes = read_document(&blob, options)?;
        let actual = Digest::of(&bytes);
        if actual == descriptor.digest { Ok(bytes) } else { Err(DocumentError::Digest { actual }) }
    }
}

/// Opens a regular file; anything else (a FIFO would block) is an error.
pub(crate) fn open_file(path: &Path) -> io::Result<Blob> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(nonblocking).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(Blob::part_of(Arc::new(file), 0, metadata.len()))
}

/// All bytes of a document, within the limit.
fn read_document(blob: &Blob, options: &OpenOptions<'_>) -> Result<Vec<u8>, DocumentError> {
    let limit = options.limits.metadata_bytes;
    if blob.size_bytes() > limit {
        return Err(DocumentError::Limit(Limit::MetadataBytes(limit)));
    }
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut blob.reader(), &mut bytes).map_err(DocumentError::Read)?;
    Ok(bytes)
}

fn json_file<T: DeserializeOwned>(
    name: &str,
    blob: &Blob,
    options: &OpenOptions<'_>,
) -> Result<T, OpenStoreError> {
    read_document(blob, options)
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(DocumentError::Json))
        .map_err(|source| OpenStoreError::Document { name: name.to_owned(), source })
}

/// An inflater for an archive as a whole, which counts against no image's total.
fn archive_inflater<'a>(options: &'a OpenOptions<'_>, total: &'a AtomicU64) -> Inflater<'a> {
    Inflater {
        limits: &options.limits,
        total,
        scratch_dir: &options.scratch_dir,
        on_bytes: options.on_bytes,
        interrupt: options.interrupt,
        unread: None,
    }
}
