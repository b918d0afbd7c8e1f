//! rpm's database of a hardened image.
//!
//! Of SQLite's database the headers of packages that are gone are deleted, with their rows in every index. A header
//! that stays is covered by the package's signature, so its lists stay whole; which of the files are not there is said
//! where rpm itself says it, in the states of the files, which rpm notes beside the signed part. The write-ahead log is
//! moved in, so that the file can be opened where nothing can be written.

use std::collections::{BTreeMap, BTreeSet};

use image::ImagePath;

use super::header::{self, Header};
use super::{Form, Found, beside, found, headers, sqlite, write_ahead_log};
use crate::cut::{Cut, FilteredDatabase, Remaining};
use crate::locate::Locator;
use crate::read::{self, ReadPackagesError};
use crate::{Ecosystem, Package};

const LISTS: &str = "package database: lists the packages that are still there";
const WHOLE: &str = "package database: it cannot be filtered, so all of it stays";

pub(crate) fn filter(cut: &Cut<'_>, filtered: &mut FilteredDatabase) -> Result<(), ReadPackagesError> {
    for found in found(cut.image) {
        let packages: Vec<(&Package, bool)> = cut
            .packages(Ecosystem::Rpm)
            .filter(|(package, _)| package.origin.place().0 == &found.file)
            .collect();
        found.directory.symlinks.iter().for_each(|link| filtered.keep(link, LISTS));
        let is_sqlite = found.form == Form::Sqlite;
        let written = if is_sqlite { rewritten(cut, &found, &packages)? } else { Err(gone(&packages)) };
        match written {
            Ok(None) => filtered.keep(&found.file, LISTS),
            Ok(Some(bytes)) => {
                filtered.keep(&found.file, LISTS);
                filtered.replace.insert(found.file.clone(), bytes);
                // What the log held is in the file now, and must not be read into it again.
                for log in [b"-wal", b"-shm"].iter().filter_map(|suffix| beside(&found.file, &suffix[..])) {
                    if cut.kept.contains(&log) && read::regular(cut.image, &log).as_ref() == Some(&log) {
                        filtered.replace.insert(log, Vec::new());
                    }
                }
            }
            Err(why) => {
                filtered.keep_whole(cut.image, &found.directory.path, WHOLE);
                if let Some(why) = why {
                    filtered.warnings.push(format!("{} stays whole: {why}", found.file));
                }
            }
        }
    }
    Ok(())
}

/// What a database that cannot be filtered says too much.
fn gone(packages: &[(&Package, bool)]) -> Option<String> {
    let gone = packages.iter().filter(|(_, present)| !present).count();
    (gone > 0).then(|| format!("only SQLite's form can be filtered; it lists {gone} packages that are gone"))
}

/// The database's new content, none if it stays the same; or why it cannot be filtered.
fn rewritten(
    cut: &Cut<'_>,
    found: &Found,
    packages: &[(&Package, bool)],
) -> Result<Result<Option<Vec<u8>>, Option<String>>, ReadPackagesError> {
    let headers = match headers(cut.image, found, &cut.limits)? {
        Ok(headers) => headers.into_iter().collect::<BTreeMap<_, _>>(),
        Err(broken) => return Ok(Err(Some(format!("it cannot be read: {broken}")))),
    };
    let mut remaining = cut.remaining(Locator::new(cut.image.tree()), BTreeSet::new());
    let mut changes = sqlite::Changes::default();
    for (package, present) in packages {
        let Ok(number) = u32::try_from(package.origin.place().1) else { continue };
        if !present {
            changes.gone.push(number);
            continue;
        }
        if let Some(changed) =
            headers.get(&number).and_then(|blob| marked(&package.name, blob, &mut remaining))
        {
            changes.changed.push((number, changed));
        }
    }
    let log = write_ahead_log(cut.image, &found.file, &cut.limits)?;
    if changes.gone.is_empty() && changes.changed.is_empty() && log.is_empty() {
        return Ok(Ok(None));
    }
    let bytes = read::file(cut.image, &found.file, cut.limits.rpm_bytes)?;
    let changed = sqlite::Database::open(bytes, &log).and_then(|database| database.changed(&changes));
    Ok(changed.map(Some).map_err(|broken| Some(format!("it cannot be filtered: {broken}"))))
}

/// The header with the states of what is gone set to "not installed"; none if that changes nothing.
fn marked(package: &str, blob: &[u8], remaining: &mut Remaining<'_>) -> Option<Vec<u8>> {
    let header = Header::parse(blob).ok()?;
    let states = header.file_states()?;
    let mut changed = blob.to_vec();
    for (file, at) in header.files().into_iter().zip(states) {
        let is_there = file.is_ghost || ImagePath::from_absolute(&file.path).is_err();
        if file.is_installed() && !is_there && !remaining.has(package, &file.path) {
            changed[at] = header::STATE_NOT_INSTALLED;
        }
    }
    (changed != blob).then_some(changed)
}
