//! Everything that an image holds: what its package databases list, and what its files say of themselves.
//!
//! A plan needs to know who owns a file, and asks [`read()`](crate::read()) for that, which reads databases alone. A list
//! of components goes further: archives, programs and manifests are opened too.

use image::Image;

use crate::{PackageDatabase, ReadPackagesError, read};

/// All packages of an image, those of its databases and those that files embed.
///
/// # Errors
/// As [`read()`]. A file that cannot be understood is no error: see [`PackageDatabase::problems`].
pub fn catalog(image: &Image) -> Result<PackageDatabase, ReadPackagesError> {
    read(image)
}
