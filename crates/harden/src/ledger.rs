//! The ledger: for each path of the image, what was decided, by which rule, and on which evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use image::{ImagePath, NodeKind};
use profile::{AccessKind, ImageIdentity, Process};
use serde::{Deserialize, Serialize};

use crate::{Policy, Rule};

/// The format version that this build writes.
pub const FORMAT_VERSION: u32 = 1;

/// A decision and its reason for every path of one image.
///
/// On disk: this document as JSON, compressed with zstd. Schema: `docs/formats/ledger.schema.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The image that was planned for: the original.
    pub image: ImageIdentity,
    /// The policy that was applied.
    pub policy: Policy,
    /// Every path of the image, the root included.
    pub entries: BTreeMap<ImagePath, LedgerEntry>,
}

/// What was decided about one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Whether it stays.
    pub decision: Decision,
    /// The first rule that kept it, or why it goes.
    pub rule: Rule,
    /// The kept path that needs this one, where the rule has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<ImagePath>,
    /// What the profile shows of it. Also there for a used path that the policy removes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Names of the packages that own it, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// What it is.
    pub kind: PathKind,
    /// Size of a regular file, holes included; 0 for all else and for all but the first name of a hard-linked file.
    pub size_bytes: u64,
    /// The layer that provides it, 0 = base.
    pub layer: usize,
}

/// Whether a path stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It is in the hardened image.
    Keep,
    /// It is not.
    Remove,
}

/// What the profile shows of one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// How it was used.
    pub kinds: BTreeSet<AccessKind>,
    /// What used it: the first [`MAX_PROCESSES`] in order.
    pub processes: BTreeSet<Process>,
    /// The coverage of the run in which it was first used.
    pub coverage: String,
    /// The name of the step of that run, `start` for all before the first.
    pub step: String,
    /// What it was called in the other version of the image that used it, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_from: Option<ImagePath>,
}

/// How many processes an [`Evidence`] lists at most.
pub const MAX_PROCESSES: usize = 8;

/// The types of paths, as the ledger counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl From<&NodeKind> for PathKind {
    fn from(kind: &NodeKind) -> Self {
        match kind {
            NodeKind::File { .. } => Self::File,
            NodeKind::Directory => Self::Directory,
            NodeKind::Symlink { .. } => Self::Symlink,
            NodeKind::Fifo => Self::Fifo,
            NodeKind::CharDevice(..) => Self::CharDevice,
            NodeKind::BlockDevice(..) => Self::BlockDevice,
        }
    }
}

impl fmt::Display for PathKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::Fifo => "fifo",
            Self::CharDevice => "char-device",
            Self::BlockDevice => "block-device",
        })
    }
}

/// How much something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Total {
    /// Paths that are not directories.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Bytes of regular files, each hard-linked file once.
    pub bytes: u64,
}

impl Total {
    pub(crate) fn add(&mut self, entry: &LedgerEntry) {
        match entry.kind {
            PathKind::Directory => self.directories += 1,
            _ => self.files += 1,
        }
        self.bytes = self.bytes.saturating_add(entry.size_bytes);
    }
}

impl Ledger {
    /// What each rule decided, in the order of the rules. Rules that decided nothing are left out.
    pub fn totals(&self) -> BTreeMap<Rule, Total> {
        let mut totals = BTreeMap::<Rule, Total>::new();
        for entry in self.entries.values() {
            totals.entry(entry.rule).or_default().add(entry);
        }
        totals
    }

    /// All that stays, or all that goes.
    pub fn total(&self, decision: Decision) -> Total {
        let mut total = Total::default();
        self.entries.values().filter(|entry| entry.decision == decision).for_each(|entry| total.add(entry));
        total
    }

    /// The paths that stay.
    pub fn kept(&self) -> impl Iterator<Item = &ImagePath> {
        self.entries.iter().filter(|(_, entry)| entry.decision == Decision::Keep).map(|(path, _)| path)
    }

    /// Whether the image has this path and the plan removes it.
    pub fn removes(&self, path: &ImagePath) -> bool {
        self.entries.get(path).is_some_and(|entry| entry.decision == Decision::Remove)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn totals_count_files_directories_and_bytes() {
        let ledger = fixture::ledger();
        assert_eq!(ledger.total(Decision::Keep), Total { files: 2, directories: 4, bytes: 1600 });
        assert_eq!(ledger.total(Decision::Remove), Total { files: 1, directories: 0, bytes: 4000 });
        assert_eq!(ledger.totals()[&Rule::ElfNeeded], Total { files: 1, directories: 0, bytes: 600 });
        assert!(ledger.removes(&fixture::path("/usr/bin/perl")) && !ledger.removes(&fixture::path("/x")));
    }

    #[test]
    fn the_document_has_this_form() {
        insta::assert_json_snapshot!("ledger", fixture::ledger());
    }
}
