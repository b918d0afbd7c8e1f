//! Reading the databases of an image.

use image::{Image, ImagePath};

use crate::PackageDatabase;

/// Reads every package database that an image has; one without any gives an empty database.
///
/// # Errors
/// [`ReadPackagesError`]: a file cannot be read, or exceeds a limit. Broken content is no error: see
/// [`PackageDatabase::problems`].
pub fn read(image: &Image) -> Result<PackageDatabase, ReadPackagesError> {
    let _ = image;
    Err(ReadPackagesError::Packages { limit: 0 })
}

/// Why an image's packages could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadPackagesError {
    /// A file of the database cannot be read, or is larger than we read.
    #[error("cannot read the package database {path}")]
    File {
        /// The file.
        path: ImagePath,
        /// Why.
        source: image::ReadFileError,
    },
    /// There are more packages than we read.
    #[error("the image lists more than {limit} packages")]
    Packages {
        /// The limit.
        limit: usize,
    },
    /// The packages list more files than we read.
    #[error("the image's packages list more than {limit} files")]
    Files {
        /// The limit.
        limit: usize,
    },
}

impl ReadPackagesError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File { source: image::ReadFileError::Read { .. }, .. } => None,
            Self::File { .. } | Self::Packages { .. } | Self::Files { .. } => Some(
                "the image's package database is not one that a package manager wrote; rebuild the image"
                    .into(),
            ),
        }
    }
}
