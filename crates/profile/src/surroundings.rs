//! What an image held where a workload used something of it: enough to recognise the same parts in another version.

use std::collections::{BTreeMap, BTreeSet};

use image::{Digest, ImagePath};
use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::document::{MAX_PACKAGES, MAX_PATHS};

/// The packages of used paths, the used files themselves, and their neighbours that belong to no package.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Surroundings {
    /// Packages that own a used path: sorted, each once.
    #[serde(
        default,
        skip_serializing_if = "BTreeSet::is_empty",
        deserialize_with = "bounded::set::<_, _, MAX_PACKAGES>"
    )]
    pub packages: BTreeSet<PackageFiles>,
    /// Used regular files.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "bounded::map::<_, _, _, MAX_PATHS>"
    )]
    pub files: BTreeMap<ImagePath, FileFacts>,
    /// Regular files that no package owns, in each directory of which such a file was used.
    #[serde(
        default,
        skip_serializing_if = "BTreeSet::is_empty",
        deserialize_with = "bounded::set::<_, _, MAX_PATHS>"
    )]
    pub unowned: BTreeSet<ImagePath>,
}

/// A package and all that it owned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PackageFiles {
    /// Its name, such as `libssl3`.
    pub name: String,
    /// Its version; empty where the package database has none.
    pub version: String,
    /// Its architecture in the package manager's words.
    pub architecture: String,
    /// What it owned in the image, used or not; no directories.
    #[serde(deserialize_with = "bounded::set::<_, _, MAX_PATHS>")]
    pub files: BTreeSet<ImagePath>,
}

/// What a used file was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// Its size.
    pub size_bytes: u64,
    /// Digest of its content; absent where it was too large to be read for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

impl Surroundings {
    /// Whether nothing is told.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.files.is_empty() && self.unowned.is_empty()
    }

    /// All that these tell.
    pub(crate) fn union<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        let mut united = Self::default();
        for one in all {
            united.packages.extend(one.packages.iter().cloned());
            united.files.extend(one.files.iter().map(|(path, facts)| (path.clone(), facts.clone())));
            united.unowned.extend(one.unowned.iter().cloned());
        }
        united
    }

    /// The packages that owned a path.
    pub fn owners<'a>(&'a self, path: &'a ImagePath) -> impl Iterator<Item = &'a PackageFiles> {
        self.packages.iter().filter(move |package| package.files.contains(path))
    }
}
