//! The repository of retire.js: JavaScript libraries for browsers, of version 4 or 6.
//!
//! A library that npm has is a package of the ecosystem `npm`, any other one of `RetireJS`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::kind::RETIRE;
use super::sink::Sink;
use crate::{Advisory, Affected, Range, Severity};

#[derive(Deserialize)]
struct Library {
    npmname: Option<String>,
    #[serde(default)]
    vulnerabilities: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    below: Option<String>,
    at_or_above: Option<String>,
    #[serde(default)]
    excludes: Vec<String>,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    cwe: Vec<String>,
    #[serde(default)]
    identifiers: Identifiers,
    #[serde(default)]
    info: Vec<String>,
}

#[derive(Deserialize, Default)]
struct Identifiers {
    #[serde(default)]
    summary: String,
    #[serde(default, rename = "CVE")]
    cve: Vec<String>,
    #[serde(rename = "githubID")]
    github: Option<String>,
    retid: Option<String>,
    issue: Option<String>,
}

impl Identifiers {
    /// The name under which a vulnerability is one row: some have no more than a number in the library's own list.
    fn name(&self, library: &str) -> Option<String> {
        let own = || self.retid.as_ref().map(|id| format!("RETIRE-{id}"));
        let issue = || self.issue.as_ref().map(|issue| format!("RETIRE-{library}-{issue}"));
        self.github.clone().or_else(own).or_else(|| self.cve.iter().min().cloned()).or_else(issue)
    }
}

/// Reads the repository.
pub(super) fn read(text: &str, sink: &mut Sink<'_>) {
    let mut document: Value = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(error) => return sink.broken(&RETIRE, &error.to_string()),
    };
    let libraries = match document.get_mut("advisories") {
        Some(libraries) if libraries.get("vulnerabilities").is_none() => libraries.take(),
        _ => document,
    };
    let libraries: BTreeMap<String, Value> = serde_json::from_value(libraries).unwrap_or_default();
    // An example, and a list of what to leave alone.
    for (name, library) in libraries {
        if name == "retire-example" || name == "dont check" {
            continue;
        }
        let library: Library = match serde_json::from_value(library) {
            Ok(library) => library,
            Err(error) => {
                sink.broken(&RETIRE, &format!("{name}: {error}"));
                continue;
            }
        };
        for entry in library.vulnerabilities {
            match serde_json::from_value::<Entry>(entry) {
                Ok(entry) => one(&name, library.npmname.as_deref(), entry, sink),
                Err(error) => sink.broken(&RETIRE, &format!("{name}: {error}")),
            }
        }
    }
}

fn one(library: &str, npm: Option<&str>, entry: Entry, sink: &mut Sink<'_>) {
    let Some(id) = entry.identifiers.name(library) else {
        // Without any name it cannot be one row with what others say of it.
        let bound = entry.below.as_deref().unwrap_or("-");
        return sink.broken(&RETIRE, &format!("{library} below {bound}: no name of a vulnerability"));
    };
    let Identifiers { summary, cve, github, .. } = entry.identifiers;
    let names: BTreeSet<String> = cve.into_iter().chain(github).collect();
    sink.read(&RETIRE, None);
    let mut ranges = vec![Range { introduced: entry.at_or_above, fixed: entry.below, ..Range::default() }];
    for excluded in entry.excludes {
        ranges = ranges.into_iter().flat_map(|range| without(range, &excluded)).collect();
    }
    let (ecosystem, package) = npm.map_or(("RetireJS", library), |npm| ("npm", npm));
    sink.builder.advisory(Advisory {
        aliases: names.into_iter().filter(|name| *name != id).collect(),
        id,
        source: RETIRE.name.into(),
        summary: super::osv::first_line(&summary),
        severities: (!entry.severity.is_empty())
            .then(|| Severity::Word(entry.severity.to_lowercase()))
            .into_iter()
            .collect(),
        weaknesses: entry.cwe.into_iter().collect(),
        references: entry.info,
        affected: vec![Affected {
            ecosystem: ecosystem.into(),
            package: package.into(),
            ranges,
            ..Affected::default()
        }],
        ..Advisory::default()
    });
}

/// A range without one version in it: up to it, and from its successor on.
fn without(range: Range, version: &str) -> Vec<Range> {
    let Some(next) = super::npm_range::successor(version) else { return vec![range] };
    vec![
        Range { fixed: Some(version.to_owned()), introduced: range.introduced, ..Range::default() },
        Range { introduced: Some(next), ..range },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vulnerability_has_the_best_name_that_it_is_given() {
        let name = |json: &str| serde_json::from_str::<Identifiers>(json).unwrap().name("jquery");
        let all = r#"{"githubID": "GHSA-1", "retid": "7", "CVE": ["CVE-2"], "issue": "11"}"#;
        assert_eq!(name(all).as_deref(), Some("GHSA-1"));
        assert_eq!(name(r#"{"retid": "7", "CVE": ["CVE-2"]}"#).as_deref(), Some("RETIRE-7"));
        assert_eq!(name(r#"{"CVE": ["CVE-3", "CVE-2"], "issue": "11"}"#).as_deref(), Some("CVE-2"));
        assert_eq!(name(r#"{"issue": "11", "summary": "scripts run"}"#).as_deref(), Some("RETIRE-jquery-11"));
        assert_eq!(name(r#"{"summary": "scripts run"}"#), None);
    }
}
