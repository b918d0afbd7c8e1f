//! What became of the paths that another version of an image used.

use std::fmt;

use image::ImagePath;
use profile::ImageIdentity;
use serde::{Deserialize, Serialize};

/// What became of a profile on its way to another version of the image. Lists are sorted by path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarryReport {
    /// The image that the profile was recorded on.
    pub from: ImageIdentity,
    /// Paths that it used.
    pub used: u64,
    /// Of those, the ones that this version has at the same place.
    pub unchanged: u64,
    /// Of those, the ones that have another name in this version.
    pub carried: Vec<CarriedPath>,
    /// Of those, the ones for which something in this version was found that may be the wrong thing. It is kept.
    pub uncertain: Vec<CarriedPath>,
    /// Of those, the ones that this version has nothing for.
    pub dropped: Vec<DroppedPath>,
    /// What packages and directories of which something was used have in this version and did not have before.
    pub new: Vec<NewPath>,
}

/// A used path and what serves in its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CarriedPath {
    /// The path in the image that was recorded.
    pub from: ImagePath,
    /// The paths in this image: at least one.
    pub to: Vec<ImagePath>,
    /// What tells that they are the same.
    pub why: CarryReason,
}

/// What tells that a path of one version is the same as one of another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CarryReason {
    /// The same package has it under a name that differs in versions or hashes only.
    SamePackage,
    /// No package owns either, or nobody knows; the names differ in versions or hashes only.
    SameName,
    /// The same package has a file of this name elsewhere.
    MovedInPackage,
    /// A file elsewhere has the same content.
    SameContent,
    /// Uncertain: several fit equally well.
    Several,
    /// Uncertain: the name fits, but it belongs to another package.
    OtherPackage,
    /// Uncertain: the name fits, but the version that was recorded had it too, unused.
    ThereBefore,
}

/// A used path that another version has nothing for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DroppedPath {
    /// The path in the image that was recorded.
    pub from: ImagePath,
    /// What is known about its absence.
    pub why: DropReason,
    /// The packages that owned it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// Whether it was a program that ran or a library that was mapped.
    pub was_executed: bool,
}

/// Why there is nothing for a used path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// Its package is not in this version.
    PackageGone,
    /// Its package is there, and has nothing like it.
    FileGone,
    /// It belonged to no package, or nobody knows, and there is nothing like it.
    NothingLikeIt,
    /// Too many paths fit equally well.
    TooMany,
}

/// A path that came with this version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NewPath {
    /// The path.
    pub path: ImagePath,
    /// Its package, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Whether it is kept, because every file of its sort in its directory had been used.
    pub kept: bool,
}

impl CarryReport {
    /// The share of the used paths that is uncertain or lost, in percent, rounded up.
    pub fn doubtful_percent(&self) -> u64 {
        let doubtful = (self.uncertain.len() + self.dropped.len()) as u64;
        doubtful.saturating_mul(100).div_ceil(self.used.max(1))
    }
}

impl CarryReason {
    /// A few words for people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::SamePackage => "the same file of the same package",
            Self::SameName => "the same name but for versions and hashes",
            Self::MovedInPackage => "moved within its package",
            Self::SameContent => "the same content",
            Self::Several => "several fit equally well; all are kept",
            Self::OtherPackage => "the name fits, the package differs",
            Self::ThereBefore => "the name fits, but it was there before, unused",
        }
    }
}

impl DropReason {
    /// A few words for people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::PackageGone => "its package is gone",
            Self::FileGone => "its package has nothing like it any more",
            Self::NothingLikeIt => "there is nothing like it",
            Self::TooMany => "too many paths fit equally well",
        }
    }
}

impl fmt::Display for CarryReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.describe())
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.describe())
    }
}
