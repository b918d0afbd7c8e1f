//! The package database of a hardened image.

use std::collections::{BTreeMap, BTreeSet};

use image::{Image, ImagePath};

use crate::{PackageDatabase, ReadPackagesError};

/// What the database of the hardened image consists of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilteredDatabase {
    /// Paths to keep, with the reason, as a sentence for people. Their directories are the caller's to add.
    pub keep: BTreeMap<ImagePath, String>,
    /// New content for some of them. A file that filtering leaves as it was is not here.
    pub replace: BTreeMap<ImagePath, Vec<u8>>,
}

/// Makes the database that lists exactly the packages which still own a path in `kept`, other than licences,
/// documents and directories.
///
/// `kept` holds everything that stays: what the workload needs and the [`licences`]. The files by which scanners
/// recognise the distribution are kept too, whatever `kept` says, and count for the package that owns them.
///
/// # Errors
/// [`ReadPackagesError`], as [`crate::read()`].
pub fn filter(
    database: &PackageDatabase,
    image: &Image,
    kept: &BTreeSet<ImagePath>,
) -> Result<FilteredDatabase, ReadPackagesError> {
    let _ = (database, image, kept);
    Err(ReadPackagesError::Packages { limit: 0 })
}

/// Licence texts that go with the packages that still own a path in `kept`: call it before [`filter`], and add what
/// it returns to `kept`.
///
/// # Errors
/// [`ReadPackagesError`], as [`crate::read()`].
pub fn licences(
    database: &PackageDatabase,
    image: &Image,
    kept: &BTreeSet<ImagePath>,
) -> Result<BTreeSet<ImagePath>, ReadPackagesError> {
    let _ = (database, image, kept);
    Err(ReadPackagesError::Packages { limit: 0 })
}
