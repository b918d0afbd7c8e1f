//! The ledger packed for the page's script: columns of numbers over tables of what repeats.
//!
//! Paths are a tree walked in order: each node is its depth and its name, so that no directory is written twice. The
//! names are joined by slashes, which no name contains. What nodes share (decision, rule, type, packages, layer) and
//! how they were used stands once in a table.

use std::collections::{BTreeMap, BTreeSet};

use harden::{Decision, Evidence, Ledger, LedgerEntry, PathKind};
use image::ImagePath;
use serde::Serialize;

use crate::shown::visible;
use crate::used::kinds_text;

/// What the script reads. The columns have one value for each node.
#[derive(Serialize)]
pub(crate) struct LedgerData {
    /// Names, joined by slashes; that of the root is empty.
    names: String,
    /// How many names lead to it; 0 for the root.
    depths: Vec<usize>,
    /// Its place in `classes`; -1 for a directory that the ledger does not list.
    class_of: Vec<i64>,
    /// Bytes of a regular file.
    sizes: Vec<u64>,
    /// Its place in `uses`, from 1; 0 if it was not used.
    use_of: Vec<usize>,
    /// For some: the node that needs it.
    because: BTreeMap<usize, usize>,
    classes: Vec<Class>,
    uses: Vec<Use>,
    packages: Vec<String>,
    rules: BTreeMap<&'static str, &'static str>,
}

/// What many nodes have in common.
#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Class {
    keep: bool,
    rule: &'static str,
    kind: PathKind,
    layer: usize,
    /// Places in the list of packages.
    packages: Vec<usize>,
}

/// One way of being used.
#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Use {
    kinds: String,
    processes: Vec<String>,
    coverage: String,
    step: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    carried_from: Option<String>,
}

/// Gives equal values one number.
struct Table<T> {
    numbers: BTreeMap<T, usize>,
    values: Vec<T>,
}

impl<T: Ord + Clone> Table<T> {
    fn new() -> Self {
        Self { numbers: BTreeMap::new(), values: Vec::new() }
    }

    fn number(&mut self, value: T) -> usize {
        *self.numbers.entry(value).or_insert_with_key(|value| {
            self.values.push(value.clone());
            self.values.len() - 1
        })
    }
}

impl From<&Ledger> for LedgerData {
    fn from(ledger: &Ledger) -> Self {
        let owners: BTreeSet<&str> =
            ledger.entries.values().flat_map(|entry| &entry.packages).map(String::as_str).collect();
        let owner_numbers: BTreeMap<&str, usize> =
            owners.iter().enumerate().map(|(number, name)| (*name, number)).collect();
        let nodes = nodes(ledger);
        let places: BTreeMap<&ImagePath, usize> =
            nodes.iter().enumerate().map(|(place, (path, _))| (path, place)).collect();
        let rules: BTreeSet<_> = ledger.entries.values().map(|entry| entry.rule).collect();
        let (mut classes, mut uses) = (Table::new(), Table::new());
        let (mut names, mut because) = (Vec::new(), BTreeMap::new());
        let (mut depths, mut class_of, mut sizes, mut use_of) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (place, (path, entry)) in nodes.iter().enumerate() {
            names.push(name(path));
            depths.push(path.components().count());
            sizes.push(entry.map_or(0, |entry| entry.size_bytes));
            class_of.push(entry.map_or(-1, |entry| {
                let packages = entry
                    .packages
                    .iter()
                    .filter_map(|name| owner_numbers.get(name.as_str()).copied())
                    .collect();
                let number = classes.number(Class {
                    keep: entry.decision == Decision::Keep,
                    rule: entry.rule.name(),
                    kind: entry.kind,
                    layer: entry.layer,
                    packages,
                });
                i64::try_from(number).unwrap_or(-1)
            }));
            use_of.push(
                entry.and_then(|e| e.evidence.as_ref()).map_or(0, |used| uses.number(Use::from(used)) + 1),
            );
            if let Some(needed_by) = entry.and_then(|entry| places.get(entry.because.as_ref()?)) {
                because.insert(place, *needed_by);
            }
        }
        Self {
            names: names.join("/"),
            depths,
            class_of,
            sizes,
            use_of,
            because,
            classes: classes.values,
            uses: uses.values,
            packages: owners.into_iter().map(visible).collect(),
            rules: rules.into_iter().map(|rule| (rule.name(), rule.describe())).collect(),
        }
    }
}

/// All paths in the order of a walk, the directories above them included.
fn nodes(ledger: &Ledger) -> Vec<(ImagePath, Option<&LedgerEntry>)> {
    let mut nodes: BTreeMap<ImagePath, Option<&LedgerEntry>> = BTreeMap::from([(ImagePath::root(), None)]);
    for (path, entry) in &ledger.entries {
        for above in path.ancestors() {
            nodes.entry(above).or_default();
        }
        nodes.insert(path.clone(), Some(entry));
    }
    nodes.into_iter().collect()
}

/// The last name of a path, as text.
fn name(path: &ImagePath) -> String {
    let text = visible(&path.to_string());
    text.rsplit_once('/').map(|(_, name)| name.to_owned()).unwrap_or_default()
}

impl From<&Evidence> for Use {
    fn from(evidence: &Evidence) -> Self {
        Self {
            kinds: kinds_text(evidence),
            processes: evidence.processes.iter().map(|process| visible(&process.exe)).collect(),
            coverage: visible(&evidence.coverage),
            step: visible(&evidence.step),
            carried_from: evidence.carried_from.as_ref().map(|path| visible(&path.to_string())),
        }
    }
}
