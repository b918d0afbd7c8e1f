//! What is left of each package: counted by the files that stay, and not by what a database says.

use std::collections::BTreeMap;

use packages::{Ecosystem, PackageDatabase, Presence};
use serde::{Deserialize, Serialize};

use crate::{Decision, Ledger};

/// A package of the original of which something is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageLeft {
    /// The package manager that it belongs to.
    pub ecosystem: Ecosystem,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its package URL.
    pub purl: String,
    /// How much of it is left.
    pub presence: LeftOver,
    /// How many of its files stay. Licences, documents and directories do not count.
    pub kept_files: usize,
    /// How many of its files go, counted in the same way.
    pub removed_files: usize,
}

/// How much of a package is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftOver {
    /// Every file.
    Full,
    /// Some files.
    Partial,
    /// Nobody can tell: the database never listed its files.
    Unlisted,
}

/// All packages of an original: how many, and which are left.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PackagesLeft {
    /// By ecosystem; only those that the original has.
    pub counts: BTreeMap<Ecosystem, PackageCount>,
    /// The packages of which something is left, by name.
    pub left: Vec<PackageLeft>,
}

/// How many packages of one ecosystem there were, and what is left of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PackageCount {
    /// Installed in the original.
    pub before: u64,
    /// Of those, how many still have files, or never had a list of them.
    pub after: u64,
    /// Of the latter, how many lost files.
    pub partial: u64,
}

/// What is left of each package of the original.
///
/// The original's database is asked, so that no count is lower because a database was dropped.
pub fn packages_left(packages: &PackageDatabase, ledger: &Ledger) -> PackagesLeft {
    let stays = |path: &_| ledger.entries.get(path).is_some_and(|entry| entry.decision == Decision::Keep);
    let mut found = PackagesLeft::default();
    for package in packages.installed() {
        let count = found.counts.entry(package.ecosystem).or_default();
        count.before += 1;
        let (presence, kept_files, removed_files) = match package.presence(&stays) {
            Presence::Gone => continue,
            Presence::Full => (LeftOver::Full, package.counted_files(), 0),
            Presence::Partial { kept, removed } => (LeftOver::Partial, kept.len(), removed.len()),
            Presence::Unlisted => (LeftOver::Unlisted, 0, 0),
        };
        count.after += 1;
        count.partial += u64::from(presence == LeftOver::Partial);
        found.left.push(PackageLeft {
            ecosystem: package.ecosystem,
            name: package.name.clone(),
            version: package.version.clone(),
            purl: package.purl.clone(),
            presence,
            kept_files,
            removed_files,
        });
    }
    found
}

impl PackagesLeft {
    /// Packages of the distribution that are left.
    pub fn system(&self) -> u64 {
        self.sum(true)
    }

    /// Packages of languages that are left.
    pub fn language(&self) -> u64 {
        self.sum(false)
    }

    fn sum(&self, system: bool) -> u64 {
        let counts = self.counts.iter().filter(|(ecosystem, _)| ecosystem.is_system() == system);
        counts.map(|(_, count)| count.after).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PackageDb;
    use crate::fixture::image;
    use testkit::{TarBuilder, TarEntry};

    #[test]
    fn hard_72_what_is_left_is_counted_by_files_whatever_becomes_of_the_databases() {
        let status = "Package: a\nVersion: 1\n\nPackage: b\nVersion: 2\n\nPackage: c\nVersion: 3\n";
        let layer = TarBuilder::new()
            .entry(TarEntry::file("bin/a", "a"))
            .entry(TarEntry::file("bin/a2", "a"))
            .entry(TarEntry::file("bin/b", "b"))
            .entry(TarEntry::file("app/node_modules/x/package.json", r#"{"name":"x","version":"1.0.0"}"#))
            .entry(TarEntry::file("app/node_modules/x/index.js", ""))
            .entry(TarEntry::file("var/lib/dpkg/status", status))
            .entry(TarEntry::file("var/lib/dpkg/info/a.list", "/bin/a\n/bin/a2\n"))
            .entry(TarEntry::file("var/lib/dpkg/info/b.list", "/bin/b\n"));
        for package_db in [PackageDb::Keep, PackageDb::Filter, PackageDb::Drop] {
            let fixture = image(layer.clone())
                .uses("/bin/a /app/node_modules/x/index.js /app/node_modules/x/package.json")
                .policy(|policy| policy.package_db = package_db);
            let left = packages_left(&fixture.packages, &fixture.plan().ledger);
            let told: Vec<_> = left
                .left
                .iter()
                .map(|left| (left.name.as_str(), left.presence, left.removed_files))
                .collect();
            let expected =
                [("a", LeftOver::Partial, 1), ("c", LeftOver::Unlisted, 0), ("x", LeftOver::Full, 0)];
            assert_eq!(told, expected, "{package_db:?}");
            let dpkg = PackageCount { before: 3, after: 2, partial: 1 };
            let npm = PackageCount { before: 1, after: 1, partial: 0 };
            assert_eq!(left.counts, BTreeMap::from([(Ecosystem::Dpkg, dpkg), (Ecosystem::Npm, npm)]));
            assert_eq!((left.system(), left.language()), (2, 1));
        }
    }
}
