//! What is left of each package, as rows of a table.

use std::collections::BTreeMap;

use harden::{Decision, Ledger, PathKind};

use crate::shown::visible;
use crate::text::bytes_text;

/// One package.
pub(crate) struct PackageText {
    pub(crate) name: String,
    pub(crate) state: &'static str,
    pub(crate) kept: u64,
    pub(crate) removed: u64,
    pub(crate) bytes_kept: String,
    pub(crate) bytes_removed: String,
}

#[derive(Default)]
struct Tally {
    kept: u64,
    removed: u64,
    bytes_kept: u64,
    bytes_removed: u64,
    /// Kept files that make a package present.
    essential: u64,
}

/// The packages that own something, by name.
pub(crate) fn packages(ledger: &Ledger) -> Vec<PackageText> {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for (path, entry) in ledger.entries.iter().filter(|(_, entry)| entry.kind != PathKind::Directory) {
        for name in &entry.packages {
            let tally = tallies.entry(name).or_default();
            if entry.decision == Decision::Keep {
                tally.kept += 1;
                tally.bytes_kept = tally.bytes_kept.saturating_add(entry.size_bytes);
                // A licence does not make a package present, nor does any other document.
                tally.essential += u64::from(!packages::is_licence(path) && !packages::is_document(path));
            } else {
                tally.removed += 1;
                tally.bytes_removed = tally.bytes_removed.saturating_add(entry.size_bytes);
            }
        }
    }
    tallies
        .into_iter()
        .map(|(name, tally)| PackageText {
            name: visible(name),
            state: match (tally.essential, tally.removed) {
                (0, _) => "gone",
                (_, 0) => "whole",
                _ => "partial",
            },
            kept: tally.kept,
            removed: tally.removed,
            bytes_kept: bytes_text(tally.bytes_kept),
            bytes_removed: bytes_text(tally.bytes_removed),
        })
        .collect()
}

/// How many are gone, partial and whole.
pub(crate) fn summary(packages: &[PackageText]) -> String {
    let count = |state: &str| packages.iter().filter(|package| package.state == state).count();
    format!(
        "{} gone, {} of which only a part stays, {} whole.",
        count("gone"),
        count("partial"),
        count("whole")
    )
}
