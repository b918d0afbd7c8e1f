//! What the database says: of a package, of a vulnerability, of its own sources.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Affected, Severity};

/// One advisory that speaks of a package, for one vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Match {
    /// The vulnerability by its canonical name: that of CVE if it has one.
    pub vulnerability: String,
    /// The advisory by its name in the source: `DSA-5678-1`.
    pub advisory: String,
    /// The source by its name in [`Database::sources`](super::Database::sources).
    pub source: String,
    /// Which versions are hit, and what the source says beside.
    pub affected: Affected,
}

/// All that is known of a vulnerability, whichever source knows it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Vulnerability {
    /// The canonical name.
    pub id: String,
    /// Its other names.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub aliases: BTreeSet<String>,
    /// What it is about, in one line; empty if no source says so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// How bad it is, each with who says so.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub severities: BTreeSet<Rating>,
    /// Weaknesses: `CWE-79`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub weaknesses: BTreeSet<String>,
    /// When the first source published it, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
    /// When it was withdrawn, if every advisory was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<String>,
    /// Where to read on.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub references: BTreeSet<String>,
    /// The advisories that speak of it, as `source advisory`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub advisories: BTreeSet<AdvisoryName>,
    /// How likely it is to be exploited within 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epss: Option<Epss>,
    /// That it is known to be exploited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exploited: Option<Kev>,
    /// What CISA's analysts decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssvc: Option<Ssvc>,
}

/// An advisory and the source that has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AdvisoryName {
    /// The source.
    pub source: String,
    /// The advisory.
    pub id: String,
}

/// How bad a vulnerability is, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rating {
    /// A source of the database, or the name of who scored: `NVD`, `CISA-ADP`.
    pub by: String,
    /// How bad.
    #[serde(flatten)]
    pub severity: Severity,
}

/// The Exploit Prediction Scoring System's word. Source: FIRST, <https://www.first.org/epss>.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epss {
    /// Probability of exploitation in the next 30 days, 0 to 1.
    pub score: f64,
    /// Share of all scored vulnerabilities that score the same or less, 0 to 1.
    pub percentile: f64,
}

/// An entry of CISA's catalogue of known exploited vulnerabilities.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Kev {
    /// The CVE.
    pub cve: String,
    /// What the catalogue calls it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// When it came into the catalogue, `2026-08-07`.
    pub added: String,
    /// Until when agencies of the United States must have acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// Whether extortionists are known to use it.
    #[serde(default)]
    pub ransomware: bool,
}

/// CISA's decision points: Stakeholder-Specific Vulnerability Categorization.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Ssvc {
    /// `none`, `poc` or `active`.
    pub exploitation: String,
    /// Whether attackers can automate all of it: `yes` or `no`.
    pub automatable: String,
    /// `partial` or `total`.
    pub technical_impact: String,
}

/// Where records came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Source {
    /// Its name, which [`Match::source`] refers to: `osv/PyPI`, `debian/dsa`.
    pub name: String,
    /// The format it was read from: `osv`, `debian-advisories`.
    pub format: String,
    /// The file or URL, relative to what the build was given.
    pub location: String,
    /// The licence of the data, as far as the format tells.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub licence: String,
    /// Records that were read.
    pub records: u64,
    /// Records that could not be read.
    #[serde(default)]
    pub broken: u64,
    /// The first few of these, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Date of the newest record that is not in the future of the build, `2026-08-21`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// Of the file as given, in hexadecimal.
    pub sha256: String,
    /// Of the file as given.
    pub size_bytes: u64,
    /// Why it could not be fetched, if it could not: what is here comes from an older copy, or there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_fetched: Option<String>,
    /// Why nothing was taken from it, if nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unused: Option<String>,
}

/// A release of a distribution, and how long it is looked after.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Release {
    /// As in [`Affected::ecosystem`]: `Debian:12`.
    pub ecosystem: String,
    /// `bookworm`.
    pub codename: String,
    /// `2023-06-10`, if it was released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<String>,
    /// The last day of support by the security team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_of_life: Option<String>,
    /// The last day of support by the long-term team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_of_long_term: Option<String>,
}

/// A package that is looked after less, or shorter, than its release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Support {
    /// As in [`Affected::ecosystem`], or without a release for all: `Debian:12`, `Debian`.
    pub ecosystem: String,
    /// The source package; may hold `*`.
    pub package: String,
    /// When support ended or ends; none where it is limited from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// The last version that was looked after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_version: Option<String>,
    /// What the list says of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What the database says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct About {
    /// When it was built, RFC 3339, as the build was told.
    pub built: String,
    /// The program that built it.
    #[serde(default)]
    pub generator: String,
    /// What it was built from.
    #[serde(default)]
    pub sources: Vec<Source>,
    /// Releases of distributions.
    #[serde(default)]
    pub releases: Vec<Release>,
    /// Packages with less support than their release.
    #[serde(default)]
    pub support: Vec<Support>,
}
