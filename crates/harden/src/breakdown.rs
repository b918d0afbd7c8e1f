//! What a plan keeps and removes, added up: by package, by directory, by rule.

use std::collections::{BTreeMap, BTreeSet};

use image::ImagePath;
use serde::Serialize;

use crate::ledger::Total;
use crate::{Decision, Ledger, PathKind, Rule};

/// The sums of one ledger. Every path counts in exactly one [`DirectoryShare`] and one [`RuleShare`]; a path that
/// several packages own counts for the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Breakdown {
    /// All that stays.
    pub kept: Total,
    /// All that goes.
    pub removed: Total,
    /// By package, the one that loses most bytes first. Paths that no package owns are under `None`.
    pub packages: Vec<PackageShare>,
    /// What goes, by directory, the largest first.
    pub directories: Vec<DirectoryShare>,
    /// By rule, in the order of the rules.
    pub rules: Vec<RuleShare>,
}

/// What becomes of one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageShare {
    /// Its name; `None` for all that no package owns.
    pub name: Option<String>,
    /// What stays of it.
    pub kept: Total,
    /// What goes.
    pub removed: Total,
}

/// What goes of one directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DirectoryShare {
    /// The directory.
    pub path: ImagePath,
    /// Whether it goes with all that is beneath it. If not, this counts what goes of its direct entries, without the
    /// directories that go whole.
    pub whole: bool,
    /// What goes.
    pub removed: Total,
}

/// What one rule decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RuleShare {
    /// The rule.
    pub rule: Rule,
    /// What it keeps or removes.
    pub total: Total,
}

impl Ledger {
    /// Adds up what stays and what goes.
    pub fn breakdown(&self) -> Breakdown {
        Breakdown {
            kept: self.total(Decision::Keep),
            removed: self.total(Decision::Remove),
            packages: self.packages(),
            directories: self.directories(),
            rules: self.totals().into_iter().map(|(rule, total)| RuleShare { rule, total }).collect(),
        }
    }

    fn packages(&self) -> Vec<PackageShare> {
        let mut shares = BTreeMap::<Option<&str>, [Total; 2]>::new();
        for entry in self.entries.values() {
            let name = entry.packages.first().map(String::as_str);
            // Directories belong to whoever has something in them.
            if name.is_none() && entry.kind == PathKind::Directory {
                continue;
            }
            let [kept, removed] = shares.entry(name).or_default();
            match entry.decision {
                Decision::Keep => kept.add(entry),
                Decision::Remove => removed.add(entry),
            }
        }
        let mut shares: Vec<_> = shares
            .into_iter()
            .map(|(name, [kept, removed])| PackageShare { name: name.map(str::to_owned), kept, removed })
            .collect();
        shares.sort_by(|a, b| largest_first(&a.removed, &b.removed).then_with(|| a.name.cmp(&b.name)));
        shares
    }

    fn directories(&self) -> Vec<DirectoryShare> {
        // A directory goes whole if nothing at or beneath it stays.
        let mut with_kept = BTreeSet::new();
        for path in self.kept() {
            with_kept.insert(path.clone());
            for above in path.ancestors() {
                if !with_kept.insert(above) {
                    break;
                }
            }
        }
        let mut shares = BTreeMap::<ImagePath, (bool, Total)>::new();
        for (path, entry) in self.entries.iter().filter(|(_, entry)| entry.decision == Decision::Remove) {
            let whole = path
                .ancestors()
                .chain((entry.kind == PathKind::Directory).then(|| path.clone()))
                .filter(|above| !above.is_root() && !with_kept.contains(above))
                .min_by_key(|above| above.components().count());
            let (directory, is_whole) = match whole {
                Some(directory) => (directory, true),
                None => (path.parent().unwrap_or_default(), false),
            };
            let (_, total) = shares.entry(directory).or_insert((is_whole, Total::default()));
            total.add(entry);
        }
        let mut shares: Vec<_> = shares
            .into_iter()
            .map(|(path, (whole, removed))| DirectoryShare { path, whole, removed })
            .collect();
        shares.sort_by(|a, b| largest_first(&a.removed, &b.removed).then_with(|| a.path.cmp(&b.path)));
        shares
    }
}

fn largest_first(a: &Total, b: &Total) -> std::cmp::Ordering {
    (b.bytes, b.files, b.directories).cmp(&(a.bytes, a.files, a.directories))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::image;

    fn breakdown() -> Breakdown {
        image("app:1234567 usr/bin/a:1 usr/bin/b:12 usr/share/doc/x/one:123 usr/share/doc/x/two:1234 usr/share/man/m:12")
            .uses("exec:/app /usr/bin/a")
            .plan()
            .ledger
            .breakdown()
    }

    #[test]
    fn a_directory_that_goes_whole_counts_once_at_its_top() {
        let directories: Vec<_> = breakdown()
            .directories
            .iter()
            .map(|share| (share.path.to_string(), share.whole, share.removed.files, share.removed.bytes))
            .collect();
        assert_eq!(directories, [("/usr/share".into(), true, 3, 9), ("/usr/bin".into(), false, 1, 2)]);
    }

    #[test]
    fn every_path_counts_once_by_directory_and_by_rule() {
        let breakdown = breakdown();
        let mut by_directory = Total::default();
        for share in &breakdown.directories {
            by_directory.files += share.removed.files;
            by_directory.directories += share.removed.directories;
            by_directory.bytes += share.removed.bytes;
        }
        assert_eq!(by_directory, breakdown.removed);
        let of_rules: u64 = breakdown.rules.iter().map(|share| share.total.bytes).sum();
        assert_eq!(of_rules, breakdown.kept.bytes + breakdown.removed.bytes);
        let [unowned] = &breakdown.packages[..] else { panic!("{:?}", breakdown.packages) };
        assert_eq!((unowned.name.as_deref(), unowned.kept.bytes, unowned.removed.bytes), (None, 8, 11));
    }
}
