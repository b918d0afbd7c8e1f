//! An opened image.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::blob::Blob;
use crate::file::{FileReader, ReadFileError};
use crate::limits::{Limit, Limits};
use crate::{Config, Digest, ImagePath, ImageSource, Index, Layer, Manifest, Platform, Tree};

/// How to open an image.
#[derive(Clone)]
pub struct OpenOptions<'a> {
    /// Which image of an index; none = that of this machine.
    pub platform: Option<Platform>,
    /// How much the image may ask of us.
    pub limits: Limits,
    /// Directory for the uncompressed layers, in files without a name.
    pub scratch_dir: PathBuf,
    /// Told how many more stored bytes were read, from several threads.
    pub on_bytes: Option<&'a (dyn Fn(u64) + Sync)>,
}

impl OpenOptions<'_> {
    /// The host's platform, default limits, scratch files in the system's directory for them.
    pub fn new() -> Self {
        Self { platform: None, limits: Limits::default(), scratch_dir: std::env::temp_dir(), on_bytes: None }
    }
}

impl Default for OpenOptions<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for OpenOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions")
            .field("platform", &self.platform)
            .field("limits", &self.limits)
            .field("scratch_dir", &self.scratch_dir)
            .finish_non_exhaustive()
    }
}

/// An image whose documents and layers were all read and verified.
#[derive(Debug)]
pub struct Image {
    source: ImageSource,
    manifest_digest: Digest,
    manifest_bytes: Vec<u8>,
    manifest: Manifest,
    config_bytes: Vec<u8>,
    config: Config,
    index: Option<Index>,
    layers: Vec<Layer>,
    tree: Tree,
}

/// Why an image could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenImageError {
    /// The layout or archive itself cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It exceeds a limit.
    #[error("the image asks for {0}")]
    Limit(Limit),
}

impl OpenImageError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        None
    }
}

impl Image {
    /// Opens an image: reads and verifies its documents and every layer, and merges the layers to a [`Tree`].
    ///
    /// # Errors
    /// [`OpenImageError`]; nothing stays on disk then.
    pub fn open(source: &ImageSource, options: &OpenOptions<'_>) -> Result<Self, OpenImageError> {
        let _ = options;
        Err(OpenImageError::Read {
            path: source.to_string().into(),
            source: io::ErrorKind::Unsupported.into(),
        })
    }

    /// Where it was opened from.
    pub fn source(&self) -> &ImageSource {
        &self.source
    }

    /// Digest of the manifest as stored; of the one that we make for archives of `docker save`, which have none.
    pub fn manifest_digest(&self) -> Digest {
        self.manifest_digest
    }

    /// Digest of the config as stored.
    pub fn image_id(&self) -> Digest {
        self.manifest.config.digest
    }

    /// Which machine it is for.
    pub fn platform(&self) -> &Platform {
        &self.config.platform
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest, byte for byte.
    pub fn manifest_bytes(&self) -> &[u8] {
        &self.manifest_bytes
    }

    /// The config.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The config, byte for byte.
    pub fn config_bytes(&self) -> &[u8] {
        &self.config_bytes
    }

    /// The index that it was picked from: none where its name leads straight to a manifest.
    pub fn index(&self) -> Option<&Index> {
        self.index.as_ref()
    }

    /// Layers, base first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The merged root file system.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Bytes of all layer blobs as stored.
    pub fn compressed_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.descriptor.size_bytes).sum()
    }

    /// Any blob of the place that the image was opened from, for instance another platform's; not verified.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub fn blob(&self, digest: &Digest) -> io::Result<Blob> {
        let _ = digest;
        Err(io::ErrorKind::NotFound.into())
    }

    /// Opens the regular file at exactly this path of the tree; links are not followed.
    ///
    /// # Errors
    /// [`ReadFileError`] if there is none.
    pub fn open_file(&self, path: &ImagePath) -> Result<FileReader<'_>, ReadFileError> {
        Err(ReadFileError::NotFound { path: path.clone() })
    }

    /// Reads the regular file at exactly this path of the tree; links are not followed.
    ///
    /// # Errors
    /// [`ReadFileError`] if there is none, or if it has more than `max_bytes`.
    pub fn read_file(&self, path: &ImagePath, max_bytes: u64) -> Result<Vec<u8>, ReadFileError> {
        let _ = max_bytes;
        Err(ReadFileError::NotFound { path: path.clone() })
    }
}
