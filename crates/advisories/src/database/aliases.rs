//! Which names mean the same vulnerability.

use std::collections::{BTreeMap, BTreeSet};

/// Joins names into vulnerabilities, and gives each one canonical name.
///
/// Two CVEs are never the same vulnerability, whatever an advisory's aliases say: sources list all CVEs that an
/// advisory touches as its aliases, and joining along them would make one row of many. A name that would join two
/// CVEs stays with the one it was joined to first.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    names: BTreeMap<String, usize>,
    /// Union-find: the parent of each name.
    parents: Vec<usize>,
    /// The canonical name of each root so far.
    best: Vec<String>,
}

impl Aliases {
    /// Declares that `a` and `b` mean the same. False if that would join two CVEs.
    pub(super) fn join(&mut self, a: &str, b: &str) -> bool {
        let (a, b) = (self.number(a), self.number(b));
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return true;
        }
        if is_cve(&self.best[a]) && is_cve(&self.best[b]) {
            return false;
        }
        let (keep, drop) = if rank(&self.best[a]) <= rank(&self.best[b]) { (a, b) } else { (b, a) };
        self.parents[drop] = keep;
        true
    }

    /// The name under which the database lists what is also called `name`.
    pub(super) fn canonical<'a>(&'a self, name: &'a str) -> &'a str {
        let Some(number) = self.names.get(name) else { return name };
        let mut at = *number;
        while self.parents[at] != at {
            at = self.parents[at];
        }
        &self.best[at]
    }

    /// For each canonical name, its others.
    pub(super) fn groups(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for name in self.names.keys() {
            let canonical = self.canonical(name);
            if canonical != name {
                groups.entry(canonical.to_owned()).or_default().insert(name.clone());
            }
        }
        groups
    }

    fn number(&mut self, name: &str) -> usize {
        if let Some(number) = self.names.get(name) {
            return *number;
        }
        let number = self.parents.len();
        self.names.insert(name.to_owned(), number);
        self.parents.push(number);
        self.best.push(name.to_owned());
        number
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parents[at] != at {
            self.parents[at] = self.parents[self.parents[at]];
            at = self.parents[at];
        }
        at
    }
}

/// Whether this is a name that CVE gave.
pub(crate) fn is_cve(name: &str) -> bool {
    name.strip_prefix("CVE-").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// CVE names first, then those of GitHub, which most others refer to, then by the alphabet.
fn rank(name: &str) -> (u8, &str) {
    let class = match name {
        _ if is_cve(name) => 0,
        _ if name.starts_with("GHSA-") => 1,
        _ => 2,
    };
    (class, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cve_is_the_name_of_all_that_are_joined() {
        let mut aliases = Aliases::default();
        assert!(aliases.join("PYSEC-2021-1", "GHSA-aaaa"));
        assert_eq!(aliases.canonical("PYSEC-2021-1"), "GHSA-aaaa");
        assert!(aliases.join("CVE-2021-1", "GHSA-aaaa"));
        for name in ["PYSEC-2021-1", "GHSA-aaaa", "CVE-2021-1"] {
            assert_eq!(aliases.canonical(name), "CVE-2021-1");
        }
        assert_eq!(aliases.canonical("never seen"), "never seen");
    }

    #[test]
    fn two_cves_stay_two() {
        let mut aliases = Aliases::default();
        assert!(aliases.join("CVE-2021-1", "GHSA-aaaa"));
        assert!(!aliases.join("CVE-2021-2", "GHSA-aaaa"));
        assert_eq!(aliases.canonical("CVE-2021-2"), "CVE-2021-2");
        assert_eq!(aliases.groups()["CVE-2021-1"], BTreeSet::from(["GHSA-aaaa".to_owned()]));
    }
}
