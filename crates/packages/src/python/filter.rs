//! The distributions of a hardened image.
//!
//! A distribution that is still there keeps the files by which scanners and pip know it, and its `RECORD` names what
//! is left. `entry_points.txt` and the like stay only where a rule or the workload wants them: they are for running.

use std::collections::BTreeSet;

use image::{ImagePath, NodeKind};

use super::record;
use crate::cut::{Cut, FilteredDatabase};
use crate::locate::Locator;
use crate::read::ReadPackagesError;
use crate::{Ecosystem, Origin, lines};

const REASON: &str = "package database: describes a Python distribution that is still there";

/// What describes a distribution beside its metadata and its list.
const DESCRIBING: [&[u8]; 6] =
    [b"INSTALLER", b"WHEEL", b"direct_url.json", b"top_level.txt", b"requires.txt", b"REQUESTED"];

pub(crate) fn filter(cut: &Cut<'_>, filtered: &mut FilteredDatabase) -> Result<(), ReadPackagesError> {
    let mut ours: BTreeSet<ImagePath> = BTreeSet::new();
    let mut records = Vec::new();
    for (package, present) in cut.packages(Ecosystem::Python) {
        let Origin::Python { place, metadata, record } = &package.origin else { continue };
        if present {
            ours.insert(metadata.clone());
            ours.extend(record.clone());
            for (path, node) in cut.image.tree().within(place) {
                let directory = path.parent().unwrap_or_default();
                let describes = DESCRIBING.contains(&path.name()) && directory == *place;
                // Bills of materials of what a wheel vendors (PEP 770).
                let is_bill = directory.name() == b"sboms" && directory.parent().as_ref() == Some(place);
                if node.kind != NodeKind::Directory && (describes || is_bill) {
                    ours.insert(path.clone());
                }
            }
        }
        if let Some(record) = record.as_ref().filter(|record| present || cut.kept.contains(*record)) {
            records.push((place, record));
        }
    }
    ours.iter().for_each(|path| filtered.keep(path, REASON));

    let mut locator = Locator::new(cut.image.tree());
    let remaining = cut.remaining(Locator::new(cut.image.tree()), ours);
    for (place, record) in records {
        let bytes = cut.read(record)?;
        let mut stays = |base: &ImagePath, path: &[u8]| {
            let path = record::path(base, path).and_then(|path| locator.real(&path));
            path.is_some_and(|path| cut.image.tree().get(&path).is_some() && remaining.has_exactly(&path))
        };
        let out = if record.name() == b"RECORD" {
            let base = place.parent().unwrap_or_default();
            let rows = record::rows(&bytes).filter(|row| stays(&base, &row.path));
            rows.flat_map(|row| bytes[row.bytes].to_vec()).collect()
        } else {
            lines::only(&bytes, |line| stays(place, line))
        };
        filtered.replace(record, &bytes, out);
    }
    Ok(())
}
