//! What the user wants beside what the workload used.

mod decode;
mod error;
mod file;
mod pattern;
mod usage;

use std::collections::{BTreeMap, BTreeSet};

use image::ImagePath;
use serde::{Deserialize, Serialize};

use crate::PlanError;

pub use error::LoadPolicyError;
pub use file::{Form, MAX_FILE_BYTES, PolicyFile};
pub(crate) use pattern::Pattern;
pub use settings::Problem as PolicyProblem;
pub use usage::{RuleUse, rule_uses};

/// How much of what a profile of another version of the image says may be uncertain or lost, in percent, where the
/// user says nothing.
pub const DEFAULT_MAX_UNCERTAIN: u8 = 10;

/// What to keep and what to remove whatever the profile says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Globs over absolute paths, or over names where they have no slash; what they match is kept, and all beneath a
    /// directory that they match.
    pub keep: Vec<String>,
    /// The same; what they match is removed, and all beneath a directory that they match. They win over every other
    /// rule.
    pub remove: Vec<String>,
    /// Names of packages that stay whole but for documents, or globs over them.
    pub keep_packages: Vec<String>,
    /// Names of packages that go, or globs over them. What another package owns too stays.
    pub remove_packages: Vec<String>,
    /// Exact paths to keep, without what is beneath them: what a verification of an earlier plan found missing.
    pub heal: BTreeSet<ImagePath>,
    /// How far beyond what was seen the plan goes.
    pub generalize: Generalize,
    /// Whether a package stays whole once an executable of it was used.
    pub keep_packages_coherent: bool,
    /// Whether files that are neither programs, libraries nor scripts stay.
    pub keep_data_files: bool,
    /// Sets of commands to keep.
    pub kits: BTreeSet<Kit>,
    /// What becomes of the package databases.
    pub package_db: PackageDb,
    /// Which packages may go at all.
    pub preset: Preset,
    /// The files of the packages that the preset lets go, all of whose owners it lets go; of no effect with
    /// [`Preset::Aggressive`]. To be found by who knows about vulnerabilities.
    #[serde(skip)]
    pub removable: BTreeSet<ImagePath>,
    /// Whether the licences of packages that are still there stay.
    pub keep_licenses: bool,
    /// Whether a profile that may lack something is good enough.
    pub accept_incomplete: bool,
    /// How much of what a profile of another version of the image says may be uncertain or lost, in percent.
    pub max_uncertain: u8,
    /// Where rules stand that come from a file, such as `shop.toml:3:9`; for messages, and of no effect.
    #[serde(skip)]
    pub places: BTreeMap<(RuleKind, String), String>,
}

/// The kinds of rules that a policy lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleKind {
    /// [`Policy::keep`].
    Keep,
    /// [`Policy::remove`].
    Remove,
    /// [`Policy::keep_packages`].
    KeepPackage,
    /// [`Policy::remove_packages`].
    RemovePackage,
    /// [`Policy::kits`].
    Kit,
}

/// How far beyond what was seen a plan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Generalize {
    /// What was used, and what that needs.
    None,
    /// Also what code that was used names literally: modules, libraries, commands, absolute paths.
    #[default]
    References,
    /// Also the rest of each unit of a language of which a part was used, such as an imported Python package.
    Package,
}

/// A set of commands that nothing asked for but people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kit {
    /// `cp`, `mkdir`, `ls`, `grep`, `sed` and their kin.
    CommonCommands,
    /// A shell.
    Shell,
    /// What one looks into a running container with: `ps`, `ss`, `curl`, `strace`, … as far as the image has them.
    Debug,
}

impl Kit {
    /// Every kit.
    pub const ALL: [Self; 3] = [Self::CommonCommands, Self::Shell, Self::Debug];

    /// The name used in policies and documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::CommonCommands => "common-commands",
            Self::Shell => "shell",
            Self::Debug => "debug",
        }
    }
}

/// Which packages may go at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Unused packages with a finding of high or critical severity.
    Light,
    /// Unused packages with any finding.
    Standard,
    /// Whatever is not used and not needed.
    #[default]
    Aggressive,
}

impl Preset {
    /// Every preset, the most careful first.
    pub const ALL: [Self; 3] = [Self::Light, Self::Standard, Self::Aggressive];

    /// The name used in policies and documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Standard => "standard",
            Self::Aggressive => "aggressive",
        }
    }
}

/// What becomes of the package databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageDb {
    /// They stay as they are.
    Keep,
    /// They list the packages that are still there, with the files that are.
    #[default]
    Filter,
    /// They go, unless the workload used them.
    Drop,
}

impl Policy {
    /// Checks the patterns, before anything is run for them.
    ///
    /// # Errors
    /// `RelativeGlob` or `Glob` for the first that cannot be used.
    pub fn check(&self) -> Result<(), PlanError> {
        self.keep.iter().chain(&self.remove).try_for_each(|text| Pattern::check(text))?;
        let packages = self.keep_packages.iter().chain(&self.remove_packages);
        packages.map(|text| Pattern::glob(text, text)).try_for_each(|glob| glob.map(drop))
    }

    /// Where a rule stands, ready to stand before a message; empty where it is not from a file.
    pub(crate) fn place(&self, kind: RuleKind, text: &str) -> String {
        let place = self.places.get(&(kind, text.to_owned()));
        place.map(|place| format!("{place}: ")).unwrap_or_default()
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            keep: Vec::new(),
            remove: Vec::new(),
            keep_packages: Vec::new(),
            remove_packages: Vec::new(),
            heal: BTreeSet::new(),
            generalize: Generalize::default(),
            keep_packages_coherent: false,
            keep_data_files: false,
            kits: BTreeSet::new(),
            package_db: PackageDb::default(),
            preset: Preset::default(),
            removable: BTreeSet::new(),
            keep_licenses: true,
            accept_incomplete: false,
            max_uncertain: DEFAULT_MAX_UNCERTAIN,
            places: BTreeMap::new(),
        }
    }
}
