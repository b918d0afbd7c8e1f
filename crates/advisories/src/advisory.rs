//! What a source says of a vulnerability, whichever format it says it in.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// One advisory of one source.
///
/// Sources differ in how much they say; what one leaves out is empty here. Several advisories may speak of the same
/// vulnerability: [`Advisory::aliases`] tells.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Advisory {
    /// Its name in the source: `CVE-2024-1234`, `GHSA-…`, `DSA-5678-1`, `RUSTSEC-…`.
    pub id: String,
    /// The source, by the name under which the database lists it: `debian-tracker`, `osv/pypi`, ….
    pub source: String,
    /// Other names of the same vulnerability; for an advisory that fixes several, none of them is an alias of another.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub aliases: BTreeSet<String>,
    /// The vulnerabilities that it fixes, where it is about vulnerabilities with names of their own: those of a DSA,
    /// or the `upstream` of OSV. Each makes a row. Empty: it is a vulnerability itself.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub fixes: BTreeSet<String>,
    /// What it is about, in one line.
    pub summary: String,
    /// How bad it is, each in the source's own scheme.
    pub severities: Vec<Severity>,
    /// Weaknesses: `CWE-79`.
    pub weaknesses: BTreeSet<String>,
    /// When it was published, RFC 3339.
    pub published: Option<String>,
    /// When it was withdrawn, RFC 3339; a withdrawn one makes no finding.
    pub withdrawn: Option<String>,
    /// Where to read on.
    pub references: Vec<String>,
    /// What it hits.
    pub affected: Vec<Affected>,
}

/// One package that an advisory speaks of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Affected {
    /// The ecosystem in OSV's words, with the release after a colon where it has releases: `Debian:12`, `Alpine:v3.20`,
    /// `Ubuntu:24.04:LTS`, `PyPI`, `npm`, `Go`, `crates.io`, `Maven`, `RubyGems`, `Packagist`, `NuGet`, `Bitnami`.
    ///
    /// Source: OSV schema, "affected[].package field".
    pub ecosystem: String,
    /// The package as that ecosystem names it: for distributions the source package; for PyPI the normal form of
    /// PEP 503; for Maven `group:artifact`.
    pub package: String,
    /// Which versions are hit: those in any range, and those in `versions`. Neither: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
    /// Versions that are hit, one by one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub versions: BTreeSet<String>,
    /// What the source says of this package in this release.
    #[serde(default, skip_serializing_if = "FixState::is_affected")]
    pub state: FixState,
    /// How bad it is for this package, where the source says so: `urgency` of Debian, `low`, `important`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// What of the package is vulnerable, where the source knows functions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<Symbols>,
}

/// A range of versions: from `introduced` on, or from what comes after `after`; up to and without `fixed`, or up to and with `last_affected`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Range {
    /// The first version that is hit; none for all from the beginning (`0`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introduced: Option<String>,
    /// The last version before those that are hit, where the first that is hit is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The first version that is not hit any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// The last version that is hit, where no fixed one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_affected: Option<String>,
}

/// What a source says of a package beyond its versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FixState {
    /// Hit, and fixed where a range says so.
    #[default]
    Affected,
    /// Not hit, whatever a version says: no finding.
    NotAffected,
    /// Hit; the source decided not to issue an advisory of its own (`no-dsa`).
    NoAdvisory,
    /// Hit; the fix was put off (`postponed`).
    Postponed,
    /// Hit; it will not be fixed in this release (`ignored`).
    Ignored,
    /// Hit; of no practical consequence (`unimportant`).
    Unimportant,
    /// Nobody has decided yet: no finding.
    Undetermined,
    /// The release is no longer looked after.
    EndOfLife,
    /// No vulnerability by the source's own word, but something to know: nobody maintains it, a function is unsound. It
    /// makes a finding that does not count.
    Informational,
}

impl FixState {
    fn is_affected(&self) -> bool {
        *self == Self::Affected
    }
}

/// How bad a vulnerability is, in one scheme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "scheme", content = "value")]
pub enum Severity {
    /// A vector of CVSS 2, 3.0, 3.1 or 4.0, as written: `CVSS:3.1/AV:N/…`.
    Cvss(String),
    /// A word: `critical`, `high`, `medium`, `low`, `negligible`.
    Word(String),
}

/// Vulnerable functions of one part of a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Symbols {
    /// The package of Go, the path of a Rust function without its last part; empty where the source has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The functions; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}
