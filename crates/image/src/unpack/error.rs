//! Why a layer could not be unpacked.

use std::io;
use std::path::PathBuf;

use crate::ImagePath;
use crate::merge::MergeError;

/// Why a layer could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The image has no such layer.
    #[error("there is no layer {0}")]
    NoSuchLayer(usize),
    /// The layers up to this one do not merge.
    #[error("cannot merge the layers")]
    Merge(#[from] MergeError),
    /// The target directory cannot be opened.
    #[error("cannot open {}", dir.display())]
    Open {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// One entry cannot be made.
    #[error("cannot {action} {path}")]
    Entry {
        /// What was tried: "create", "set the owner of", ….
        action: &'static str,
        /// The entry.
        path: ImagePath,
        /// Why.
        source: io::Error,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The layer has something that overlayfs would take for a note of its own.
    #[error("{path} has {what}, which overlayfs takes for its own")]
    Overlay {
        /// The entry.
        path: ImagePath,
        /// `the device number 0:0`, or an attribute's name.
        what: String,
    },
}

impl UnpackError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        let (Self::Open { source, .. } | Self::Entry { source, .. }) = self else { return None };
        match source.kind() {
            io::ErrorKind::PermissionDenied => {
                Some("unpacking needs root: owners and devices are kept".to_owned())
            }
            io::ErrorKind::StorageFull => Some("free some room, or choose another data directory".to_owned()),
            io::ErrorKind::AlreadyExists => Some("unpack into an empty directory".to_owned()),
            _ => None,
        }
    }
}
