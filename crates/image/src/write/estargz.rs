//! eStargz layers, once rewritten, are plain ones.
//!
//! Such a layer ends in a table of contents with offsets into its own blob, and may have an empty file as a landmark.
//! Both are part of the format, not of the image: in a rewritten layer they would be wrong, and files to look at for
//! whoever runs the container. A layer that stays as it is keeps them.
//!
//! Source: containerd's stargz-snapshotter, `docs/estargz.md`.

use super::filter::{Action, LayerPlan};
use crate::Entry;

/// The table of contents.
const TOC: &[u8] = b"stargz.index.json";
/// Say up to where a layer is fetched at once.
const LANDMARKS: [&[u8]; 2] = [b".prefetch.landmark", b".no.prefetch.landmark"];

/// Drops what only serves the format, unless the layer stays as it is.
pub(super) fn forget(plan: &mut LayerPlan<'_>, entries: &[Entry]) {
    let is_estargz = entries.last().is_some_and(|entry| entry.path.as_bytes() == TOC);
    if !is_estargz || plan.is_untouched() {
        return;
    }
    for (entry, action) in entries.iter().zip(&mut plan.actions) {
        let path = entry.path.as_bytes();
        if path == TOC || LANDMARKS.contains(&path) {
            *action = Action::Drop;
        }
    }
}
