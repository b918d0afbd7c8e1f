//! One layer of what all layers show.
//!
//! Entries keep their bytes, as when layers stay apart, but there is nothing to hide any more: no whiteouts, no
//! shadowed files. They stand in the order of their paths, so each directory comes before what it holds; further
//! names of hard-linked files come last, in the order in which the original has them, since each links to an earlier
//! one.

use std::collections::BTreeMap;

use super::WriteError;
use super::filter::{self, Action, Position, Wanted};
use super::header::EntryHeader;
use super::stream::{Piece, Pieces};
use crate::{Entry, Image, ImagePath, Metadata};

/// What stands at one path.
enum Item<'w> {
    Entry(Position),
    /// A directory that no entry describes.
    Implied(&'w Metadata),
}

/// Lists what the one layer consists of, in order.
pub(super) fn pieces<'e>(
    image: &Image,
    layers: &[&[Entry]],
    wanted: &Wanted<'e>,
) -> Result<Vec<Piece<'e>>, WriteError> {
    let plans = filter::plan(layers, wanted);
    let mut items: BTreeMap<&ImagePath, Item<'_>> = BTreeMap::new();
    let mut further_names: Vec<Position> = Vec::new();
    items.extend(wanted.directories.iter().map(|(position, path)| (path, Item::Entry(*position))));
    items.extend(wanted.implied.iter().map(|((_, path), metadata)| (path, Item::Implied(metadata))));
    items.extend(wanted.replaced.iter().map(|(position, (_, path, _))| (path, Item::Entry(*position))));
    for names in wanted.names.values() {
        let mut names = names.iter();
        items.extend(names.next().map(|(position, path)| (path, Item::Entry(*position))));
        further_names.extend(names.map(|(position, _)| *position));
    }
    further_names.sort_unstable();

    let mut out = Pieces::default();
    let add = |out: &mut Pieces<'e>, (layer, entry): Position| {
        let action: &Action<'e> = &plans[layer].actions[entry];
        out.entry(image, (layer, entry), action, true)
    };
    for (path, item) in items {
        match item {
            Item::Entry(position) => add(&mut out, position)?,
            Item::Implied(metadata) => {
                out.bytes(EntryHeader::directory(path, metadata).to_blocks());
            }
        }
    }
    for position in further_names {
        add(&mut out, position)?;
    }
    Ok(out.end())
}
