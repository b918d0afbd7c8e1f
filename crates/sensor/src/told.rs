//! What hooks told, held against what came out of the base's events.
//!
//! The base resolves paths on the image; hooks name files as the kernel was about to use them. Where both know a use,
//! the base's kind stands: it knows the call. What only a hook told is added. So a record says the same whichever
//! backend made it, as long as the base misses nothing.

use std::collections::{BTreeMap, BTreeSet};

use image::ImagePath;
use profile::AccessKind;

use crate::observe::{Observer, Use};
use crate::recording::Uses;
use crate::wire::Event;

/// Adds the uses that only hooks told of.
pub(crate) fn add<'a>(
    events: impl Iterator<Item = (&'a Event, u64)>,
    observer: &Observer<'_>,
    uses: &mut Uses,
) {
    let mut events = events.peekable();
    if events.peek().is_none() {
        return;
    }
    let known = uses.kinds();
    for (event, time) in events {
        let new: Vec<Use> = observer.told(event).into_iter().filter(|new| !is_known(&known, new)).collect();
        if let Some((path, kind, _)) = new.first() {
            tracing::debug!(%path, kind = kind.name(), "only a hook told that {path} was used");
            uses.add(observer, new, &event.program, time);
        }
    }
}

fn is_known(known: &BTreeMap<ImagePath, BTreeSet<AccessKind>>, (path, kind, _): &Use) -> bool {
    known.get(path).is_some_and(|kinds| kinds.iter().any(|known| includes(*known, *kind)))
}

/// Whether a use of one kind goes with hooks that tell of another: whoever executes a file opens and maps it too.
fn includes(known: AccessKind, told: AccessKind) -> bool {
    use AccessKind::{Access, Exec, MapExec, OpenRead, OpenWrite, Readdir, Stat};
    match told {
        Stat | Access => known.is_use(),
        OpenRead => matches!(known, OpenRead | OpenWrite | Readdir | MapExec | Exec),
        MapExec => matches!(known, MapExec | Exec),
        other => known == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_told_use_is_known_if_the_recorded_one_goes_with_it() {
        for (known, told, is_included) in [
            (AccessKind::Exec, AccessKind::OpenRead, true),
            (AccessKind::Exec, AccessKind::MapExec, true),
            (AccessKind::OpenRead, AccessKind::Stat, true),
            (AccessKind::OpenRead, AccessKind::Exec, false),
            (AccessKind::Stat, AccessKind::OpenRead, false),
            (AccessKind::Stat, AccessKind::Readlink, false),
            (AccessKind::OpenRead, AccessKind::OpenWrite, false),
            (AccessKind::Missing, AccessKind::Stat, false),
        ] {
            assert_eq!(includes(known, told), is_included, "{known:?} {told:?}");
        }
    }
}
