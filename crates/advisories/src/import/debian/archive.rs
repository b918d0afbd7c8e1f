//! Which version of which source package the archive holds: suite, pocket, source and version, separated by tabs.

use std::cmp::Ordering;

use super::Release;
use crate::import::kind::DEBIAN_ARCHIVE;
use crate::import::lines;
use crate::import::sink::Sink;
use crate::version::{Scheme, compare};

/// Reads the table.
pub(in crate::import) fn read(text: &str, sink: &mut Sink<'_>) {
    for line in lines(text) {
        let mut columns = line.split('\t');
        let (Some(suite), Some(_), Some(source), Some(version), None) =
            (columns.next(), columns.next(), columns.next(), columns.next(), columns.next())
        else {
            sink.broken(&DEBIAN_ARCHIVE, line);
            continue;
        };
        sink.read(&DEBIAN_ARCHIVE, None);
        let Some(release) = Release::of_codename(suite) else { continue };
        sink.debian.archived.insert(release);
        let newest = sink.debian.archive.entry(source.to_owned()).or_default().entry(release).or_default();
        if newest.is_empty() || compare(Scheme::Debian, newest, version) == Ordering::Less {
            version.clone_into(newest);
        }
    }
}
