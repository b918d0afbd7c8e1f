//! Which entries of each layer stay, and which of them change.
//!
//! An entry stays if the merged tree takes a kept path from it. Nothing else does, so each layer holds only what is
//! visible in the end: shadowed entries go, and whiteouts go with everything that they hid. That is why a deleted
//! path cannot reappear: the layer that had it is filtered too, and counts as untouched only if nothing of it went.
//! The one addition is the entries of directories in lower layers, which stay wherever the same layer keeps something
//! beneath them: tools that extract layers one by one then never have to invent a directory.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::estargz;
use crate::{Entry, EntryKind, ImagePath, Metadata, NodeKind, Tree};

/// Where an entry is: layer and index, in the order of extraction.
pub(crate) type Position = (usize, usize);

/// What happens to one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action<'e> {
    /// It goes.
    Drop,
    /// Its blocks are copied as they are.
    Copy,
    /// A hard link becomes the file: header and content are those of this entry, under the link's name.
    Promote {
        /// Holder of the content.
        from: Position,
    },
    /// A hard link now links to this name of the same file.
    Relink {
        /// An earlier name.
        to: ImagePath,
    },
    /// A file of its own with new content; owner, mode, times and attributes are those of this entry.
    Replace {
        /// Where the metadata are.
        from: Position,
        /// The new content.
        content: &'e [u8],
    },
}

/// What happens to one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LayerPlan<'e> {
    /// One for each entry of the layer.
    pub(crate) actions: Vec<Action<'e>>,
    /// Kept directories that no entry describes and in which nothing is left: they get an entry, or they would vanish.
    pub(crate) directories: Vec<(ImagePath, Metadata)>,
}

impl LayerPlan<'_> {
    /// Whether the layer stays as it is.
    pub(crate) fn is_untouched(&self) -> bool {
        self.directories.is_empty() && self.actions.iter().all(|action| *action == Action::Copy)
    }

    /// Whether nothing is left of it.
    pub(crate) fn is_empty(&self) -> bool {
        self.directories.is_empty() && self.actions.iter().all(|action| *action == Action::Drop)
    }
}

/// Why a set of edits does not fit the image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// `keep` names a path that the image does not have.
    #[error("{0} is to be kept but is not in the image")]
    NotInTree(ImagePath),
    /// `keep` has a path but not the directory that holds it.
    #[error("{0} is to be kept but the directory that holds it is not")]
    ParentRemoved(ImagePath),
    /// `replace` names a path that is not kept, or not a regular file.
    #[error("{0} is to be replaced but is not a kept regular file")]
    NotAKeptFile(ImagePath),
    /// Another image keeps it in a layer that both share, so that it cannot be removed here.
    #[error("{0} is to be removed but another image keeps it in a layer that both share")]
    Shared(ImagePath),
}

/// The entries that an image wants of its layers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted<'e> {
    /// Kept names of what is no directory, by the holder of the content, in the order of extraction.
    pub(super) names: BTreeMap<Position, BTreeMap<Position, ImagePath>>,
    /// Entries that get new content: holder of the metadata, path, content.
    pub(super) replaced: BTreeMap<Position, (Position, ImagePath, &'e [u8])>,
    /// Entries of directories.
    pub(super) directories: BTreeMap<Position, ImagePath>,
    /// Directories that no entry describes and in which nothing is left, by layer.
    pub(super) implied: BTreeMap<(usize, ImagePath), Metadata>,
}

/// Lists the entries that provide the kept paths. `layers` are the entries of each layer, base first.
///
/// # Errors
/// [`EditError`] if the edits do not fit the tree.
pub(crate) fn wanted<'e>(
    layers: &[&[Entry]],
    tree: &Tree,
    keep: &BTreeSet<ImagePath>,
    replace: &BTreeMap<&ImagePath, &'e [u8]>,
) -> Result<Wanted<'e>, EditError> {
    check(tree, keep, replace)?;
    let mut wanted = Wanted::default();
    let root = ImagePath::root();
    let holders_of_links = OnceCell::new();
    for path in keep.iter().chain((!keep.contains(&root)).then_some(&root)) {
        let Some(node) = tree.get(path) else { continue };
        let Some(entry) = node.entry else {
            if !path.is_root() && !holds_something(keep, path) {
                wanted.implied.insert((node.layer, path.clone()), node.metadata.clone());
            }
            continue;
        };
        let position = (node.layer, entry);
        let content = match node.kind {
            NodeKind::Directory => {
                wanted.directories.insert(position, path.clone());
                continue;
            }
            NodeKind::File { content, .. } => content,
            _ if matches!(layers[node.layer][entry].kind, EntryKind::Hardlink { .. }) => {
                let holders = holders_of_links.get_or_init(|| holders(layers));
                holders.get(&position).copied().unwrap_or(position)
            }
            _ => position,
        };
        if let Some(bytes) = replace.get(path) {
            wanted.replaced.insert(position, (content, path.clone(), bytes));
        } else {
            wanted.names.entry(content).or_default().insert(position, path.clone());
        }
    }
    Ok(wanted)
}

/// Decides for every entry of every layer.
pub(crate) fn plan<'e>(layers: &[&[Entry]], wanted: &Wanted<'e>) -> Vec<LayerPlan<'e>> {
    let mut plans: Vec<_> = layers
        .iter()
        .map(|entries| LayerPlan { actions: vec![Action::Drop; entries.len()], directories: Vec::new() })
        .collect();
    for (layer, entry) in wanted.directories.keys() {
        plans[*layer].actions[*entry] = Action::Copy;
    }
    for ((layer, path), metadata) in &wanted.implied {
        plans[*layer].directories.push((path.clone(), metadata.clone()));
    }
    for ((layer, entry), (from, _, content)) in &wanted.replaced {
        plans[*layer].actions[*entry] = Action::Replace { from: *from, content };
    }
    for (content, names) in &wanted.names {
        join_names(layers, *content, names, &mut plans);
    }
    plans
}

/// Completes the plans of layers that stay apart: whiteouts that still hide something, and the directories above what
/// each layer keeps.
pub(crate) fn complete(layers: &[&[Entry]], plans: &mut [LayerPlan<'_>], hides: bool) {
    if hides {
        keep_whiteouts(layers, plans);
    }
    for (plan, entries) in plans.iter_mut().zip(layers) {
        keep_directories_above(plan, entries);
        estargz::forget(plan, entries);
    }
}

fn check(
    tree: &Tree,
    keep: &BTreeSet<ImagePath>,
    replace: &BTreeMap<&ImagePath, &[u8]>,
) -> Result<(), EditError> {
    for path in keep {
        if tree.get(path).is_none() {
            return Err(EditError::NotInTree(path.clone()));
        }
        if path.parent().is_some_and(|parent| !parent.is_root() && !keep.contains(&parent)) {
            return Err(EditError::ParentRemoved(path.clone()));
        }
    }
    let is_kept_file = |path: &ImagePath| {
        keep.contains(path) && tree.get(path).is_some_and(|node| matches!(node.kind, NodeKind::File { .. }))
    };
    match replace.keys().find(|path| !is_kept_file(path)) {
        Some(path) => Err(EditError::NotAKeptFile((*path).clone())),
        None => Ok(()),
    }
}

/// Whether something beneath this directory is kept. A directory sorts directly before what it holds.
fn holds_something(keep: &BTreeSet<ImagePath>, directory: &ImagePath) -> bool {
    use std::ops::Bound;
    let next = keep.range((Bound::Excluded(directory), Bound::Unbounded)).next();
    next.is_some_and(|next| next.is_within(directory))
}

/// The entry that each entry which is no regular file is in the end another name of, where that is not itself. The
/// tree knows it only for regular files.
fn holders(layers: &[&[Entry]]) -> BTreeMap<Position, Position> {
    let mut holders = BTreeMap::new();
    let mut latest: BTreeMap<&ImagePath, Position> = BTreeMap::new();
    for (layer, entries) in layers.iter().enumerate() {
        for (index, entry) in entries.iter().enumerate() {
            let mut holder = (layer, index);
            match &entry.kind {
                EntryKind::Whiteout | EntryKind::OpaqueWhiteout => continue,
                EntryKind::Hardlink { target } => {
                    if let Some(&found) = latest.get(target) {
                        holders.insert(holder, found);
                        holder = found;
                    }
                }
                _ => {}
            }
            latest.insert(&entry.path, holder);
        }
    }
    holders
}

/// Decides for the kept names of one file. The first of them holds the content, the others link to an earlier one.
fn join_names(
    layers: &[&[Entry]],
    content: Position,
    names: &BTreeMap<Position, ImagePath>,
    plans: &mut [LayerPlan<'_>],
) {
    let mut earlier: BTreeSet<&ImagePath> = BTreeSet::new();
    let mut holder = None;
    for (&position, path) in names {
        let (layer, entry) = position;
        plans[layer].actions[entry] = match (holder, &layers[layer][entry].kind) {
            (None, _) if position == content => Action::Copy,
            (None, _) => Action::Promote { from: content },
            (Some(_), EntryKind::Hardlink { target }) if earlier.contains(target) => Action::Copy,
            (Some(first), _) => Action::Relink { to: ImagePath::clone(first) },
        };
        holder = holder.or(Some(path));
        earlier.insert(path);
    }
}

/// Keeps the whiteouts beneath which a lower layer keeps something. Without shared layers none does.
fn keep_whiteouts(layers: &[&[Entry]], plans: &mut [LayerPlan<'_>]) {
    let mut lower: BTreeSet<ImagePath> = BTreeSet::new();
    let hides = |lower: &BTreeSet<ImagePath>, entry: &Entry| match entry.kind {
        EntryKind::Whiteout => lower.contains(&entry.path) || holds_something(lower, &entry.path),
        EntryKind::OpaqueWhiteout => holds_something(lower, &entry.path),
        _ => false,
    };
    for (plan, entries) in plans.iter_mut().zip(layers) {
        for (entry, action) in entries.iter().zip(&mut plan.actions) {
            if hides(&lower, entry) {
                *action = Action::Copy;
            }
        }
        let kept = entries.iter().zip(&plan.actions).filter(|(entry, action)| {
            **action != Action::Drop && !matches!(entry.kind, EntryKind::Whiteout | EntryKind::OpaqueWhiteout)
        });
        lower.extend(kept.map(|(entry, _)| entry.path.clone()));
        lower.extend(plan.directories.iter().map(|(path, _)| path.clone()));
    }
}

/// Keeps the directories of this layer in which this layer keeps something.
fn keep_directories_above(plan: &mut LayerPlan<'_>, entries: &[Entry]) {
    let mut needed: BTreeSet<ImagePath> = BTreeSet::new();
    let kept = entries.iter().zip(&plan.actions).filter(|(_, action)| **action != Action::Drop);
    for path in kept.map(|(entry, _)| &entry.path).chain(plan.directories.iter().map(|(path, _)| path)) {
        for directory in path.ancestors() {
            if !needed.insert(directory) {
                break;
            }
        }
    }
    for (entry, action) in entries.iter().zip(&mut plan.actions) {
        if *action == Action::Drop && entry.kind == EntryKind::Directory && needed.contains(&entry.path) {
            *action = Action::Copy;
        }
    }
}
