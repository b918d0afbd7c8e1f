//! A finding: a vulnerability in a package, with what says so.

use std::collections::BTreeSet;

use image::ImagePath;
use packages::{Origin, Package, PackageIndex};
use serde::{Deserialize, Serialize};

use super::severity::{Rank, Rated};
use crate::database::{Epss, Kev};
use crate::{FixState, Symbols};

/// One vulnerability in one package of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The vulnerability by its canonical name: that of CVE if it has one.
    pub vulnerability: String,
    /// Its other names.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub aliases: BTreeSet<String>,
    /// What it is about, in one line; empty if no source says so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// The package, by its place in the packages that were searched.
    pub package: PackageIndex,
    /// The package's name.
    pub name: String,
    /// The package's URL.
    pub purl: String,
    /// The package's version. What was compared may differ: see [`Evidence::version`].
    pub installed: String,
    /// Versions of what [`Evidence::package`] names that fix it, lowest first; empty if none is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixed: Vec<String>,
    /// What the sources decided; never [`FixState::NotAffected`] or [`FixState::Undetermined`].
    #[serde(default)]
    pub state: FixState,
    /// How bad it is, in one word: that of the distribution if it has one, else by the newest CVSS, else by any word.
    pub severity: Rank,
    /// How bad it is, in the words of all who say so, worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ratings: Vec<Rated>,
    /// How likely it is to be exploited within 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epss: Option<Epss>,
    /// That it is known to be exploited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exploited: Option<Kev>,
    /// What of the package is vulnerable, where a source knows functions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<Symbols>,
    /// Where the image says that it has the package.
    pub found_in: FoundIn,
    /// The advisories that hit, in order; at least one.
    pub evidence: Vec<Evidence>,
}

/// One advisory that hits, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Evidence {
    /// The source by its name in the database: `debian/dsa`.
    pub source: String,
    /// The advisory by its name in the source: `DSA-5678-1`.
    pub advisory: String,
    /// The ecosystem that was asked: `Debian:12`.
    pub ecosystem: String,
    /// The package that was asked for: for distributions the source package.
    pub package: String,
    /// The version that was compared: for distributions that of the source package.
    pub version: String,
    /// The range that the version lies in: `>= 1.0, < 1.2.3`.
    pub range: String,
}

/// Where an image says that it has a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FoundIn {
    /// The file: a package manager's database, a manifest, an archive, a program.
    pub file: ImagePath,
    /// Where in an archive: names of entries, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<String>,
}

impl FoundIn {
    pub(super) fn of(package: &Package) -> Self {
        let within = match &package.origin {
            Origin::Embedded { within, .. } => within.clone(),
            _ => Vec::new(),
        };
        Self { file: package.origin.place().0.clone(), within }
    }
}
