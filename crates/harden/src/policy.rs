//! What the user wants beside what the workload used.

use std::collections::BTreeSet;

use image::ImagePath;
use serde::{Deserialize, Serialize};

use crate::PlanError;

/// What to keep and what to remove whatever the profile says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Globs over absolute paths; what they match is kept, and all beneath a directory that they match.
    pub keep: Vec<String>,
    /// Globs over absolute paths; what they match is removed, and all beneath a directory that they match. They win
    /// over every other rule.
    pub remove: Vec<String>,
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
    /// Whether the licences of packages that are still there stay.
    pub keep_licenses: bool,
    /// Whether a profile that may lack something is good enough.
    pub accept_incomplete: bool,
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
    /// Checks the globs, before anything is run for them.
    ///
    /// # Errors
    /// `RelativeGlob` or `Glob` for the first that cannot be used.
    pub fn check(&self) -> Result<(), PlanError> {
        self.keep.iter().chain(&self.remove).try_for_each(|text| {
            if !text.starts_with('/') {
                return Err(PlanError::RelativeGlob { glob: text.clone() });
            }
            globset::Glob::new(text)
                .map(drop)
                .map_err(|source| PlanError::Glob { glob: text.clone(), source })
        })
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            keep: Vec::new(),
            remove: Vec::new(),
            heal: BTreeSet::new(),
            generalize: Generalize::default(),
            keep_packages_coherent: false,
            keep_data_files: false,
            kits: BTreeSet::new(),
            package_db: PackageDb::default(),
            keep_licenses: true,
            accept_incomplete: false,
        }
    }
}
