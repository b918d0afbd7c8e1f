//! What the user wants beside what the workload used.

use serde::{Deserialize, Serialize};

/// What to keep and what to remove whatever the profile says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Globs over absolute paths; what they match is kept, and all beneath a directory that they match.
    pub keep: Vec<String>,
    /// Globs over absolute paths; what they match is removed, and all beneath a directory that they match. They win
    /// over every other rule.
    pub remove: Vec<String>,
    /// Whether the licences of packages that are still there stay.
    pub keep_licenses: bool,
    /// Whether a profile that may lack something is good enough.
    pub accept_incomplete: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { keep: Vec::new(), remove: Vec::new(), keep_licenses: true, accept_incomplete: false }
    }
}
