//! Further names of kept files.

use std::collections::BTreeSet;

use image::{ImagePath, NodeKind};

use crate::Rule;
use crate::draft::Draft;
use crate::scene::Scene;

/// Keeps the other names of a newly kept file, which cost no bytes, so that its link count stays.
///
/// Not those of programs: there each name is a command of its own (the applets of a BusyBox made of hard links), and
/// one that nobody used is what hardening is to remove.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>, fresh: &BTreeSet<ImagePath>) {
    // Each file once, however many of its names are fresh: a hostile one may have a million.
    let mut seen = BTreeSet::new();
    for path in fresh.iter().filter(|path| !scene.is_executable(path)) {
        match scene.tree().get(path).map(|node| &node.kind) {
            Some(NodeKind::File { content, .. }) if seen.insert(*content) => {}
            _ => continue,
        }
        for sibling in scene.tree().hardlinks(path) {
            draft.keep(&sibling, Rule::Hardlink, Some(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::image;

    #[test]
    fn hard_53_other_names_stay_unless_they_are_commands() {
        let fixture = image("data:x data2=>data bin/busybox@755:y bin/sh=>bin/busybox bin/wget=>bin/busybox")
            .uses("/data2 exec:/bin/sh");
        assert_eq!(fixture.kept(), ["observed /bin/sh", "hardlink /data < /data2", "observed /data2"]);
        // The name that is kept carries the size, whichever it is.
        let ledger = fixture.plan().ledger;
        assert_eq!(ledger.total(crate::Decision::Keep).bytes, 2);
        assert_eq!(ledger.total(crate::Decision::Remove).bytes, 0);
    }
}
