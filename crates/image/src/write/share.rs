//! Layers that several images share stay shared.
//!
//! Images share their base as far as their layers, from the lowest on, are the same blobs. A layer within it gets every
//! entry that any of them wants of it. Where an image hides such an entry by a file or a whiteout of its own, what
//! hides it must stay too; [`EditError::Shared`] says where the edits do not see to that.

use std::collections::BTreeSet;

use super::Edits;
use super::filter::{Action, EditError, LayerPlan, Position, Wanted};
use crate::limits::Tally;
use crate::merge::merge;
use crate::{Entry, EntryKind, Image, ImagePath, Node};

/// How many of their lowest layers two images share: the same blobs, in the same order from the base.
pub fn shared_layers(one: &Image, other: &Image) -> usize {
    let same = |(one, other): (&crate::Layer, &crate::Layer)| {
        one.descriptor.digest == other.descriptor.digest && one.diff_id == other.diff_id
    };
    one.layers().iter().zip(other.layers()).take_while(|pair| same(*pair)).count()
}

/// Adds what another image wants of the lowest `shared` layers; says of which paths.
pub(super) fn join<'e>(wanted: &mut Wanted<'e>, other: &Wanted<'e>, shared: usize) -> Vec<ImagePath> {
    let mut added = Vec::new();
    let within = |position: &Position| position.0 < shared;
    let own: BTreeSet<Position> =
        wanted.names.values().flat_map(|names| names.keys()).chain(wanted.replaced.keys()).copied().collect();
    for (content, names) in &other.names {
        for (position, path) in names.iter().filter(|(position, _)| within(position)) {
            if !own.contains(position) {
                wanted.names.entry(*content).or_default().insert(*position, path.clone());
                added.push(path.clone());
            }
        }
    }
    for (position, replaced) in other.replaced.iter().filter(|(position, _)| within(position)) {
        if !own.contains(position) {
            wanted.replaced.insert(*position, replaced.clone());
            added.push(replaced.1.clone());
        }
    }
    for (position, path) in other.directories.iter().filter(|(position, _)| within(position)) {
        wanted.directories.entry(*position).or_insert_with(|| {
            added.push(path.clone());
            path.clone()
        });
    }
    for (place, metadata) in other.implied.iter().filter(|((layer, _), _)| *layer < shared) {
        wanted.implied.entry(place.clone()).or_insert_with(|| {
            added.push(place.1.clone());
            metadata.clone()
        });
    }
    added
}

/// Checks that no entry which another image wants shows where these edits remove its path.
pub(super) fn check_hidden(
    image: &Image,
    layers: &[&[Entry]],
    plans: &[LayerPlan<'_>],
    edits: &Edits,
    added: &[ImagePath],
) -> Result<(), EditError> {
    let Some(first) = added.first() else { return Ok(()) };
    let planned: Vec<Vec<Entry>> =
        plans.iter().enumerate().map(|(layer, plan)| entries_of(layers, layer, plan)).collect();
    // What this image asks for was counted when it was opened.
    let merged = merge(planned.iter().map(Vec::as_slice), &Tally::unbounded());
    let tree = merged.map_err(|_| EditError::Shared(first.clone()))?;
    let is_right = |path: &ImagePath, shown: &Node| {
        // A directory that no entry describes would get the looks of a lower one.
        (path.is_root() || edits.keep.contains(path))
            && image.tree().get(path).is_some_and(|wanted| shown.metadata == wanted.metadata)
    };
    match tree.iter().find(|(path, shown)| !is_right(path, shown)) {
        Some((path, _)) => Err(EditError::Shared(path.clone())),
        None => Ok(()),
    }
}

/// What the entries of a planned layer will be, in the order in which they are written.
fn entries_of(layers: &[&[Entry]], layer: usize, plan: &LayerPlan<'_>) -> Vec<Entry> {
    let directories = plan.directories.iter().map(|(path, metadata)| Entry {
        path: path.clone(),
        kind: EntryKind::Directory,
        metadata: metadata.clone(),
        header_bytes: 0..0,
        content_bytes: 0..0,
    });
    let entries = layers[layer].iter().zip(&plan.actions);
    let entries = entries.filter(|(_, action)| **action != Action::Drop).map(|(entry, action)| {
        let kind = match action {
            Action::Drop | Action::Copy => entry.kind.clone(),
            Action::Promote { from } | Action::Replace { from, .. } => layers[from.0][from.1].kind.clone(),
            Action::Relink { to } => EntryKind::Hardlink { target: to.clone() },
        };
        Entry { kind, ..entry.clone() }
    });
    directories.chain(entries).collect()
}
