//! The used files: by the process that used them, and one by one.

use std::collections::BTreeMap;

use harden::{Evidence, Ledger, PathKind};
use profile::AccessKind;

use crate::shown::visible;
use crate::text::count_text;

/// Most files that are listed one by one outside the ledger.
const MOST: usize = 1000;

/// What the page tells of used files without its script.
pub(crate) struct Used {
    pub(crate) count: String,
    pub(crate) processes: Vec<ProcessText>,
    pub(crate) files: Vec<UsedText>,
    /// How many more files there are; empty if none.
    pub(crate) more: String,
}

/// A program, and what it used.
pub(crate) struct ProcessText {
    pub(crate) name: String,
    pub(crate) files: String,
    /// Of those, how many it executed or mapped as code.
    pub(crate) code: String,
}

/// A used file.
pub(crate) struct UsedText {
    pub(crate) path: String,
    pub(crate) kinds: String,
    pub(crate) processes: String,
    pub(crate) step: String,
}

#[derive(Default)]
struct Tally {
    files: u64,
    code: u64,
}

/// Lists what the ledger has evidence of, directories left out: code first, then by path.
pub(crate) fn used(ledger: &Ledger) -> Used {
    let files = ledger.entries.iter().filter(|(_, entry)| entry.kind != PathKind::Directory);
    let mut used: Vec<_> = files.filter_map(|(path, entry)| Some((path, entry.evidence.as_ref()?))).collect();
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for (_, evidence) in &used {
        for process in &evidence.processes {
            let tally = tallies.entry(process.exe.as_str()).or_default();
            tally.files += 1;
            tally.code += u64::from(is_code(evidence));
        }
    }
    let mut processes: Vec<_> = tallies.into_iter().collect();
    processes.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.files));
    // The sort keeps the order by path among equals.
    used.sort_by_key(|(_, evidence)| !is_code(evidence));
    let row = |(path, evidence): &(&image::ImagePath, &Evidence)| UsedText {
        path: visible(&path.to_string()),
        kinds: kinds_text(evidence),
        processes: evidence
            .processes
            .iter()
            .map(|process| visible(&process.exe))
            .collect::<Vec<_>>()
            .join(", "),
        step: visible(&evidence.step),
    };
    let more = used.len().saturating_sub(MOST) as u64;
    Used {
        count: count_text(used.len() as u64),
        processes: processes
            .into_iter()
            .map(|(exe, tally)| ProcessText {
                name: visible(exe),
                files: count_text(tally.files),
                code: count_text(tally.code),
            })
            .collect(),
        files: used.iter().take(MOST).map(row).collect(),
        more: if more > 0 { count_text(more) } else { String::new() },
    }
}

/// The kinds of use, in words.
pub(crate) fn kinds_text(evidence: &Evidence) -> String {
    evidence.kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

fn is_code(evidence: &Evidence) -> bool {
    evidence.kinds.contains(&AccessKind::Exec) || evidence.kinds.contains(&AccessKind::MapExec)
}
