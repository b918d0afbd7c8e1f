//! What other images keep in the layers that they share with this one.
//!
//! A layer can only stay shared if it has the same bytes for all. What is kept for another image is just there: it
//! needs nothing, since this image does not use it. It counts for the package database all the same, which lists what
//! is there.

use std::collections::BTreeSet;

use image::ImagePath;

use crate::Rule;
use crate::draft::Draft;

pub(crate) fn apply(draft: &mut Draft<'_>, shared: &BTreeSet<ImagePath>) {
    for path in shared {
        if draft.keep(path, Rule::SharedLayer, None) {
            for directory in path.ancestors() {
                draft.keep(&directory, Rule::Ancestor, Some(path));
            }
        }
    }
    // No other rule follows from these.
    draft.take_fresh();
}
