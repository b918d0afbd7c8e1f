//! CVEs that changelogs of packages name: one JSON object per entry. A CVE named in an entry is fixed by its version.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::Release;
use crate::import::json_values;
use crate::import::kind::DEBIAN_CHANGELOGS;
use crate::import::sink::{Sink, mail_day};

#[derive(Deserialize)]
struct Entry {
    source: String,
    version: String,
    #[serde(default)]
    date: String,
    cves: BTreeSet<String>,
    /// Releases whose newest package has this entry in its changelog.
    seen_in: Vec<String>,
}

/// Reads the lines.
pub(in crate::import) fn read(text: &str, sink: &mut Sink<'_>) {
    json_values(text, &mut |value| {
        let entry = value.and_then(|value| serde_json::from_value(value).map_err(|error| error.to_string()));
        let entry: Entry = match entry {
            Ok(entry) => entry,
            Err(problem) => return sink.broken(&DEBIAN_CHANGELOGS, &problem),
        };
        sink.read(&DEBIAN_CHANGELOGS, mail_day(&entry.date).as_deref());
        let releases: BTreeSet<Release> =
            entry.seen_in.iter().filter_map(|name| Release::of_codename(name)).collect();
        // An entry under another name, in a changelog that was carried over, says nothing of this source.
        let source = entry.source.to_lowercase();
        for cve in entry.cves.iter().filter(|cve| crate::database::is_cve(cve)) {
            let fix = (entry.version.clone(), releases.clone());
            let story = sink.debian.story(cve, &source);
            if !story.changelogs.contains(&fix) {
                story.changelogs.push(fix);
            }
        }
    });
}
