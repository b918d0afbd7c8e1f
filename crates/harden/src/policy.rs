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
    /// Whether the licences of packages that are still there stay.
    pub keep_licenses: bool,
    /// Whether a profile that may lack something is good enough.
    pub accept_incomplete: bool,
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
            keep_licenses: true,
            accept_incomplete: false,
        }
    }
}
