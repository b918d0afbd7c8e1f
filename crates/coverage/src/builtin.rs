//! Coverages that come with the program.

use std::path::Path;

use crate::coverage::{Coverage, Origin};
use crate::{LoadCoverageError, decode, fields};

/// A coverage that comes with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Builtin {
    /// What the user calls it.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Its YAML, a good start for a coverage of one's own.
    pub yaml: &'static str,
}

/// All of them, by name.
const BUILTINS: &[Builtin] = &[
    Builtin {
        name: "nginx",
        summary: "static files, errors, HEAD, ranges, a configuration test, a reload, a clean stop",
        yaml: include_str!("../builtin/nginx.yaml"),
    },
    Builtin {
        name: "redis",
        summary: "Redis 6 or later as cache, queue and store: commands, tools, persistence, a clean stop",
        yaml: include_str!("../builtin/redis.yaml"),
    },
];

/// The coverages that come with the program, in order of their names.
pub fn builtins() -> &'static [Builtin] {
    BUILTINS
}

/// The built-in coverage of this name.
///
/// # Errors
/// `NotFound` if there is none, with a similar name if one exists.
pub fn show(name: &str) -> Result<&'static Builtin, LoadCoverageError> {
    BUILTINS.iter().find(|builtin| builtin.name == name).ok_or_else(|| not_found(name))
}

/// Neither a built-in nor a file.
pub(crate) fn not_found(reference: &str) -> LoadCoverageError {
    let similar = fields::similar(reference, BUILTINS.iter().map(|builtin| builtin.name));
    LoadCoverageError::NotFound { reference: reference.to_owned(), similar }
}

impl Builtin {
    /// Reads it.
    ///
    /// # Errors
    /// Never for those in [`builtins`]; a test reads them all.
    pub fn load(&self) -> Result<Coverage, LoadCoverageError> {
        let origin = Origin::Builtin(self.name.to_owned());
        decode::decode(self.yaml, origin.clone(), Path::new("/"))
            .map_err(|problems| LoadCoverageError::Invalid { origin: origin.to_string(), problems })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_is_valid_and_named_after_itself() {
        for builtin in builtins() {
            let coverage = builtin.load().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(coverage.name, builtin.name);
            assert!(!coverage.steps.is_empty() && !coverage.wait_for.is_empty());
        }
        assert!(builtins().is_sorted_by_key(|builtin| builtin.name));
    }

    #[test]
    fn a_name_almost_right_is_suggested() {
        let error = show("ngnix").unwrap_err();
        assert_eq!(error.hint().unwrap(), "did you mean the built-in coverage nginx?");
    }
}
