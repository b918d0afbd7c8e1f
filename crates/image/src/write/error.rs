//! Why an image could not be written.

use std::io;
use std::path::PathBuf;

use super::{EditError, HeaderError};
use crate::{Digest, ImagePath, ReadFileError};

/// Why an image could not be written. Nothing is left behind then.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The edits do not fit the image.
    #[error("the edits do not fit the image")]
    Edits(#[from] EditError),
    /// The target is there already.
    #[error("{} exists already", path.display())]
    Exists {
        /// The target.
        path: PathBuf,
    },
    /// The target is to be replaced, but is nothing that we would have made.
    #[error("{} is not an image that could be replaced", path.display())]
    NotReplaceable {
        /// The target.
        path: PathBuf,
    },
    /// The target is the image being read, or lies inside it.
    #[error("{} is where the image is being read from", path.display())]
    IsSource {
        /// The target.
        path: PathBuf,
    },
    /// There is no directory for the target.
    #[error("there is no directory to make {} in", path.display())]
    ParentMissing {
        /// The target.
        path: PathBuf,
    },
    /// The target's path ends in `..` or is the root.
    #[error("{} does not name a file or directory to make", path.display())]
    NoName {
        /// The target.
        path: PathBuf,
    },
    /// The target cannot be started.
    #[error("cannot make {}", path.display())]
    Create {
        /// The target.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The target cannot be written or given its name.
    #[error("cannot write {}", path.display())]
    Write {
        /// The target.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A layer of the original cannot be read.
    #[error("cannot read layer {digest}")]
    ReadLayer {
        /// Its digest.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
    /// Another blob of the original cannot be read.
    #[error("cannot read blob {digest}")]
    ReadBlob {
        /// Its digest.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
    /// A blob of the original is no longer what it was when the image was opened.
    #[error("blob {digest} changed while the image was read")]
    Changed {
        /// What its digest should be.
        digest: Digest,
    },
    /// A file that is to be replaced cannot be compared with its new content.
    #[error("cannot compare {path} with its new content")]
    Compare {
        /// The file.
        path: ImagePath,
        /// Why.
        source: Box<ReadFileError>,
    },
    /// An entry's header cannot be changed.
    #[error("cannot change the entry of {path}")]
    Header {
        /// The entry.
        path: ImagePath,
        /// Why.
        source: HeaderError,
    },
    /// The manifest or config is JSON, but not of the expected shape.
    #[error("cannot change the {document}: {problem}")]
    Document {
        /// `manifest` or `config`.
        document: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// The compressor failed.
    #[error("cannot compress a layer")]
    Compress {
        /// Why.
        source: io::Error,
    },
    /// The caller asked to stop.
    #[error("interrupted; nothing was written")]
    Interrupted,
}

impl WriteError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Edits(EditError::Shared(_)) => {
                "harden the images one by one, without their shared layers".to_owned()
            }
            Self::Exists { .. } => "choose another name, or ask to overwrite it".to_owned(),
            Self::NotReplaceable { .. } | Self::NoName { .. } => "choose another name".to_owned(),
            Self::IsSource { .. } => "the original is never changed: choose another name".to_owned(),
            Self::ParentMissing { path } => {
                let parent = path.parent().unwrap_or(path);
                format!("make it first: mkdir -p {}", parent.display())
            }
            Self::Create { source, .. } | Self::Write { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "the disk is full: free some space, or write the image to another disk".to_owned()
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "choose a directory that you may write to".to_owned()
                }
                io::ErrorKind::AlreadyExists => "choose another name, or ask to overwrite it".to_owned(),
                _ => return None,
            },
            Self::Changed { .. } => {
                "something writes to the original: wait for it, then run this again".to_owned()
            }
            _ => return None,
        })
    }
}
