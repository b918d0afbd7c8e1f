//! What is left of the directories, two levels deep: the map of the image as a table.

use std::collections::BTreeMap;

use harden::{Decision, Ledger, PathKind};
use image::ImagePath;

use crate::shown::visible;
use crate::text::{bytes_text, count_text};

/// Most rows: the largest directories.
const MOST: usize = 40;

/// One directory.
pub(crate) struct DirectoryText {
    pub(crate) path: String,
    pub(crate) files_before: String,
    pub(crate) files_after: String,
    pub(crate) bytes_before: String,
    pub(crate) bytes_after: String,
}

#[derive(Default, Clone, Copy)]
struct Tally {
    files: [u64; 2],
    bytes: [u64; 2],
}

/// The largest directories of the first two levels, by path.
pub(crate) fn directories(ledger: &Ledger) -> Vec<DirectoryText> {
    let mut tallies: BTreeMap<ImagePath, Tally> = BTreeMap::new();
    for (path, entry) in ledger.entries.iter().filter(|(_, entry)| entry.kind != PathKind::Directory) {
        let after = u64::from(entry.decision == Decision::Keep);
        let above: Vec<_> =
            path.ancestors().filter(|above| (1..=2).contains(&above.components().count())).collect();
        for directory in above {
            let tally = tallies.entry(directory).or_default();
            for (side, counts) in [(0, 1), (1, after)] {
                tally.files[side] += counts;
                tally.bytes[side] = tally.bytes[side].saturating_add(entry.size_bytes * counts);
            }
        }
    }
    let mut largest: Vec<_> = tallies.into_iter().collect();
    largest.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.bytes[0]));
    largest.truncate(MOST);
    largest.sort_by(|one, other| one.0.cmp(&other.0));
    let row = |(path, tally): (ImagePath, Tally)| DirectoryText {
        path: visible(&path.to_string()),
        files_before: count_text(tally.files[0]),
        files_after: count_text(tally.files[1]),
        bytes_before: bytes_text(tally.bytes[0]),
        bytes_after: bytes_text(tally.bytes[1]),
    };
    largest.into_iter().map(row).collect()
}
