//! One layer as a directory that overlayfs can stack.

use std::io;
use std::path::{Path, PathBuf};

use crate::{Image, ImagePath};

/// Why a layer could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
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
}

impl UnpackError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        None
    }
}

/// Unpacks one layer into an existing, empty directory, as a lower directory for overlayfs.
///
/// Nothing is written outside `into`, whatever the tar says. Owners, modes, times, extended attributes, devices,
/// FIFOs and holes are exact. A whiteout becomes a character device 0:0, an opaque whiteout the extended attribute
/// `trusted.overlay.opaque=y`; a hard link to a lower layer's file becomes a copy of it. Needs root.
///
/// # Errors
/// [`UnpackError`]; what was unpacked so far then stays in `into`.
pub fn unpack_layer(image: &Image, layer: usize, into: &Path) -> Result<(), UnpackError> {
    let _ = (image, layer);
    Err(UnpackError::Open { dir: into.to_owned(), source: io::ErrorKind::Unsupported.into() })
}
