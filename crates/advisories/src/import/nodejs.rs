//! The advisories of the Node.js project: of Node.js itself, and the old ones of packages.
//!
//! Node.js itself is the package `node` of the ecosystem `Bitnami`, which is where its other advisories are.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::kind::{Kind, NODE_CORE, NODE_NPM};
use super::npm_range::{self, Interval};
use super::sink::Sink;
use crate::version::{Scheme, compare};
use crate::{Advisory, Affected, Range, Severity};

#[derive(Deserialize)]
struct Core {
    #[serde(default)]
    cve: Vec<String>,
    vulnerable: String,
    #[serde(default)]
    patched: Option<String>,
    #[serde(rename = "ref")]
    reference: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    overview: Option<String>,
    #[serde(default)]
    severity: Option<String>,
}

#[derive(Deserialize)]
struct Npm {
    id: u64,
    title: String,
    module_name: String,
    cves: Option<Vec<String>>,
    publish_date: Option<String>,
    updated_at: Option<String>,
    vulnerable_versions: Option<String>,
    references: Option<Vec<String>>,
    cvss_vector: Option<String>,
}

/// Reads the index of advisories of Node.js itself.
pub(super) fn core(text: &str, sink: &mut Sink<'_>) {
    each(text, &NODE_CORE, sink, |number, value, sink| {
        let entry: Core = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let vulnerable = npm_range::parse(&entry.vulnerable).ok_or("its versions cannot be read")?;
        let patched = match entry.patched.as_deref().map(str::trim) {
            None | Some("" | "null") => Vec::new(),
            Some(text) => npm_range::parse(text).ok_or("its patched versions cannot be read")?,
        };
        let ranges = vulnerable.into_iter().map(|interval| until_patched(interval, &patched)).collect();
        sink.read(&NODE_CORE, None);
        let summary = entry.description.or(entry.overview).unwrap_or_default();
        let severity = entry.severity.filter(|word| word != "unknown").map(Severity::Word);
        sink.builder.advisory(Advisory {
            id: format!("NODE-CORE-{number}"),
            source: NODE_CORE.name.into(),
            aliases: cves(entry.cve),
            summary: super::osv::first_line(&summary),
            severities: severity.into_iter().collect(),
            references: entry.reference.into_iter().collect(),
            affected: vec![affected("Bitnami", "node", ranges)],
            ..Advisory::default()
        });
        Ok(())
    });
}

/// Reads the old advisories of npm packages.
pub(super) fn npm(text: &str, sink: &mut Sink<'_>) {
    each(text, &NODE_NPM, sink, |_, value, sink| {
        let entry: Npm = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let text = entry.vulnerable_versions.as_deref().ok_or("it names no versions")?;
        let intervals = npm_range::parse(text).ok_or_else(|| format!("versions {text} cannot be read"))?;
        sink.read(&NODE_NPM, entry.updated_at.as_deref());
        sink.builder.advisory(Advisory {
            id: format!("NSWG-ECO-{}", entry.id),
            source: NODE_NPM.name.into(),
            aliases: cves(entry.cves.unwrap_or_default()),
            summary: super::osv::first_line(&entry.title),
            severities: entry.cvss_vector.map(Severity::Cvss).into_iter().collect(),
            published: entry.publish_date,
            references: entry.references.unwrap_or_default(),
            affected: vec![affected(
                "npm",
                &entry.module_name,
                intervals.into_iter().map(Range::from).collect(),
            )],
            ..Advisory::default()
        });
        Ok(())
    });
}

/// Reads an object of numbered entries.
fn each(
    text: &str,
    kind: &Kind,
    sink: &mut Sink<'_>,
    mut one: impl FnMut(&str, Value, &mut Sink<'_>) -> Result<(), String>,
) {
    let entries: BTreeMap<String, Value> = match serde_json::from_str(text) {
        Ok(entries) => entries,
        Err(error) => return sink.broken(kind, &error.to_string()),
    };
    for (number, value) in entries {
        if let Err(problem) = one(&number, value, sink) {
            sink.broken(kind, &format!("{number}: {problem}"));
        }
    }
}

/// The interval up to the first patched version in it.
fn until_patched(interval: Interval, patched: &[Interval]) -> Range {
    let is_before = |a: &str, b: &str| compare(Scheme::Semver, a, b) == Ordering::Less;
    let inside = patched.iter().filter_map(|patch| patch.from.as_deref()).filter(|version| {
        interval.from.as_deref().is_none_or(|from| !is_before(version, from))
            && interval.below.as_deref().is_none_or(|below| is_before(version, below))
    });
    let first = inside.min_by(|a, b| compare(Scheme::Semver, a, b)).map(str::to_owned);
    Range { introduced: interval.from, fixed: first.or(interval.below), ..Range::default() }
}

fn cves(names: Vec<String>) -> BTreeSet<String> {
    names.into_iter().filter(|name| crate::database::is_cve(name)).collect()
}

fn affected(ecosystem: &str, package: &str, ranges: Vec<Range>) -> Affected {
    Affected { ecosystem: ecosystem.into(), package: package.into(), ranges, ..Affected::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_versions_is_hit_until_its_own_patch_and_as_a_whole_without_one() {
        let patched = npm_range::parse("^8.1.4 || ^7.10.1").unwrap();
        let mut lines = npm_range::parse("8.x || 5.x").unwrap().into_iter();
        let with_patch = until_patched(lines.next().unwrap(), &patched);
        assert_eq!(
            (with_patch.introduced.as_deref(), with_patch.fixed.as_deref()),
            (Some("8.0.0"), Some("8.1.4"))
        );
        let without = until_patched(lines.next().unwrap(), &patched);
        assert_eq!(
            (without.introduced.as_deref(), without.fixed.as_deref()),
            (Some("5.0.0"), Some("6.0.0-0"))
        );
    }
}
