//! The whole tracker as JSON, `https://security-tracker.debian.org/tracker/data/json`: package, CVE, release.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Release, Word};
use crate::import::kind::DEBIAN_TRACKER;
use crate::import::sink::Sink;

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    description: String,
    releases: BTreeMap<String, State>,
}

#[derive(Deserialize)]
struct State {
    status: String,
    fixed_version: Option<String>,
    urgency: Option<String>,
    nodsa: Option<String>,
    nodsa_reason: Option<String>,
}

/// Reads the document.
pub(in crate::import) fn read(text: &str, sink: &mut Sink<'_>) {
    let packages: BTreeMap<String, BTreeMap<String, Value>> = match serde_json::from_str(text) {
        Ok(packages) => packages,
        Err(error) => return sink.broken(&DEBIAN_TRACKER, &error.to_string()),
    };
    for (package, entries) in packages {
        for (cve, entry) in entries {
            match serde_json::from_value::<Entry>(entry) {
                Ok(entry) => one(&package, &cve, entry, sink),
                Err(error) => sink.broken(&DEBIAN_TRACKER, &format!("{package} {cve}: {error}")),
            }
        }
    }
}

fn one(package: &str, cve: &str, entry: Entry, sink: &mut Sink<'_>) {
    sink.read(&DEBIAN_TRACKER, None);
    if !entry.description.is_empty() {
        let summary = super::super::osv::first_line(&entry.description);
        sink.debian.summaries.entry(cve.to_owned()).or_insert(summary);
    }
    for (codename, state) in entry.releases {
        let Some(release) = Release::of_codename(&codename) else { continue };
        let urgency = state.urgency.as_deref().map(|urgency| urgency.trim_end_matches('*'));
        let urgency = urgency.filter(|urgency| *urgency != "not yet assigned");
        let word = match (state.status.as_str(), state.nodsa_reason.as_deref()) {
            ("undetermined", _) => Word::Undetermined,
            ("resolved", _) => state.fixed_version.map_or(Word::NotAffected, Word::Fixed),
            _ if urgency == Some("end-of-life") => Word::EndOfLife,
            ("open", Some("postponed")) => Word::Postponed,
            ("open", Some("ignored")) => Word::Ignored,
            ("open", _) if state.nodsa.is_some() => Word::NoDsa,
            ("open", _) => Word::Unfixed,
            (other, _) => {
                let problem = format!("{package} {cve} {codename}: status {other}");
                sink.broken(&DEBIAN_TRACKER, &problem);
                continue;
            }
        };
        let urgency = urgency.filter(|urgency| *urgency != "end-of-life");
        sink.debian.release(cve, package, release, word, DEBIAN_TRACKER.name, cve, urgency);
    }
}
