//! Exploitability: which findings touch a product, said in the documents that other tools read.
//!
//! [`claims`] says what may be said of findings, each with its evidence; [`write()`] says it as OpenVEX, CSAF or
//! CycloneDX. [`read()`] reads what others say in any of these, leniently, and [`apply()`] holds findings against it.

mod apply;
mod claim;
mod csaf;
mod cyclonedx;
mod names;
mod openvex;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

pub use apply::{Judgement, Subject, apply};
pub use claim::{Coverage, Ground, MAX_PATHS, Remains, Wishes, bare, claims};
pub use names::image_names;
pub use read::{ReadVexError, read};

/// What a document says, whatever its format.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Document {
    /// Its name.
    pub id: String,
    /// Who says it.
    pub author: String,
    /// When it was said, RFC 3339; empty where it does not tell.
    pub timestamp: String,
    /// What is said, in order.
    pub statements: Vec<Statement>,
    /// How many statements could not be understood; only of documents that were read.
    #[serde(default)]
    pub skipped: u64,
}

/// What is said of one vulnerability in some products.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The vulnerability.
    pub vulnerability: String,
    /// Its other names.
    #[serde(default)]
    pub aliases: BTreeSet<String>,
    /// What it is said of.
    pub products: Vec<Product>,
    /// Whether it touches them.
    pub status: Status,
    /// Why not, where it does not.
    #[serde(default)]
    pub justification: Option<Justification>,
    /// What that rests on.
    #[serde(default)]
    pub impact: String,
    /// What to do, where it does.
    #[serde(default)]
    pub action: String,
    /// Whether a fix is to be had.
    #[serde(default)]
    pub fix: Fix,
    /// When it was said, RFC 3339; empty for the time of the document.
    #[serde(default)]
    pub timestamp: String,
}

/// What a statement is about: an image, a package, or packages within one of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Product {
    /// Names of it, mostly package URLs, the best first; each names the same.
    pub names: Vec<String>,
    /// Names of what in it is meant; empty for all of it.
    #[serde(default)]
    pub subcomponents: Vec<String>,
}

/// Whether a vulnerability touches a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It does not, for a reason.
    NotAffected,
    /// It does.
    Affected,
    /// It did, and these versions have the fix.
    Fixed,
    /// Nobody knows yet.
    UnderInvestigation,
}

/// Why a vulnerability does not touch a product. Source: OpenVEX 0.2.0, "Status Justifications".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Justification {
    /// The component is not in the product.
    ComponentNotPresent,
    /// The component is, its vulnerable code is not.
    VulnerableCodeNotPresent,
    /// The code is there and never runs.
    VulnerableCodeNotInExecutePath,
    /// It runs, but no adversary controls what matters.
    VulnerableCodeCannotBeControlledByAdversary,
    /// Something else stops it.
    InlineMitigationsAlreadyExist,
}

/// Whether a fix is to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fix {
    /// A version that has it is known.
    Known,
    /// None is known.
    #[default]
    None,
    /// The source decided against one.
    Refused,
}

/// The forms of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenVEX 0.2.0.
    OpenVex,
    /// CSAF 2.0, profile "VEX".
    Csaf,
    /// CycloneDX 1.6.
    CycloneDx,
}

/// What a document needs beside its statements.
#[derive(Debug, Clone, Default)]
pub struct Header {
    /// Who says it.
    pub author: String,
    /// An address on the web of who says it; CSAF cannot do without.
    pub author_url: String,
    /// When, RFC 3339 in UTC.
    pub created: String,
    /// The version of the tool.
    pub tool_version: String,
    /// What people call the image.
    pub image: String,
    /// Package URL of the image.
    pub image_purl: String,
    /// Serial number, a UUID, of the list of components that CycloneDX readers hold the document against.
    pub sbom_uuid: Option<String>,
    /// What that list calls its components, by package URL without qualifiers.
    pub references: BTreeMap<String, BTreeSet<String>>,
}

/// Writes statements; the same ones give the same bytes.
pub fn write(header: &Header, statements: &[Statement], format: Format) -> Vec<u8> {
    let document = match format {
        Format::OpenVex => openvex::document(header, statements),
        Format::Csaf => csaf::document(header, statements),
        Format::CycloneDx => cyclonedx::document(header, statements),
    };
    let mut bytes = serde_json::to_vec_pretty(&document).expect("every key is text");
    bytes.push(b'\n');
    bytes
}

impl Status {
    /// The word of OpenVEX.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotAffected => "not_affected",
            Self::Affected => "affected",
            Self::Fixed => "fixed",
            Self::UnderInvestigation => "under_investigation",
        }
    }

    /// Whether a finding of that status needs no attention.
    pub fn settles(self) -> bool {
        matches!(self, Self::NotAffected | Self::Fixed)
    }

    /// How much is to be feared: where two are said of one thing, the heavier holds.
    fn weight(self) -> u8 {
        match self {
            Self::NotAffected => 0,
            Self::Fixed => 1,
            Self::UnderInvestigation => 2,
            Self::Affected => 3,
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let all = [Self::NotAffected, Self::Affected, Self::Fixed, Self::UnderInvestigation];
        all.into_iter().find(|status| status.name() == word.trim().to_ascii_lowercase().replace('-', "_"))
    }
}

impl Justification {
    const ALL: [Self; 5] = [
        Self::ComponentNotPresent,
        Self::VulnerableCodeNotPresent,
        Self::VulnerableCodeNotInExecutePath,
        Self::VulnerableCodeCannotBeControlledByAdversary,
        Self::InlineMitigationsAlreadyExist,
    ];

    /// The word of OpenVEX, which CSAF shares.
    pub fn name(self) -> &'static str {
        match self {
            Self::ComponentNotPresent => "component_not_present",
            Self::VulnerableCodeNotPresent => "vulnerable_code_not_present",
            Self::VulnerableCodeNotInExecutePath => "vulnerable_code_not_in_execute_path",
            Self::VulnerableCodeCannotBeControlledByAdversary => {
                "vulnerable_code_cannot_be_controlled_by_adversary"
            }
            Self::InlineMitigationsAlreadyExist => "inline_mitigations_already_exist",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == word)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Justification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
