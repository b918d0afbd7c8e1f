//! OSV records: JSON, lines of JSON, arrays.
//!
//! Source: OSV schema 1.7, <https://ossf.github.io/osv-schema/>.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::debian::{Release, Word};
use super::kind;
use super::sink::Sink;
use crate::{Advisory, Affected, FixState, Range, Severity, Symbols};

const FORMAT: &str = "osv";
/// Characters of a summary, before the word is left out that would cross this.
const MAX_SUMMARY: usize = 240;

#[derive(Deserialize)]
struct Record {
    id: String,
    #[serde(default)]
    aliases: Option<Vec<String>>,
    #[serde(default)]
    upstream: Option<Vec<String>>,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    details: String,
    published: Option<String>,
    modified: Option<String>,
    withdrawn: Option<String>,
    #[serde(default)]
    severity: Option<Vec<Rating>>,
    #[serde(default)]
    affected: Option<Vec<Hit>>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    #[serde(default)]
    database_specific: Value,
}

#[derive(Deserialize)]
struct Rating {
    #[serde(rename = "type")]
    kind: String,
    score: String,
}

#[derive(Deserialize)]
struct Hit {
    package: Option<Package>,
    #[serde(default)]
    ranges: Option<Vec<Events>>,
    #[serde(default)]
    versions: Option<BTreeSet<String>>,
    #[serde(default)]
    severity: Option<Vec<Rating>>,
    #[serde(default)]
    ecosystem_specific: Value,
    #[serde(default)]
    database_specific: Value,
}

#[derive(Deserialize)]
struct Package {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize)]
struct Events {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(default)]
    url: String,
}

/// Reads one record, an array of them, or one a line.
pub(super) fn read(text: &str, sink: &mut Sink<'_>) {
    if text.starts_with('[') {
        match serde_json::from_str::<Vec<Value>>(text) {
            Ok(records) => records.into_iter().for_each(|record| one(record, sink)),
            Err(error) => sink.broken_as("osv", FORMAT, &error.to_string()),
        }
        return;
    }
    super::json_values(text, &mut |value| match value {
        Ok(record) => one(record, sink),
        Err(problem) => sink.broken_as("osv", FORMAT, &problem),
    });
}

fn one(value: Value, sink: &mut Sink<'_>) {
    let id = value["id"].as_str().unwrap_or("a record without an ID").to_owned();
    let record: Record = match serde_json::from_value(value) {
        Ok(record) => record,
        Err(error) => {
            sink.broken_as("osv", FORMAT, &format!("{id}: {error}"));
            return;
        }
    };
    let hits = record.affected.unwrap_or_default();
    let ecosystem = hits.iter().find_map(|hit| hit.package.as_ref()).map_or("", |package| &package.ecosystem);
    let (source, licence) = kind::osv(&record.id, ecosystem);
    let newest = [&record.modified, &record.published].into_iter().flatten();
    let newest = newest.filter(|date| super::sink::day(date).is_some()).max().cloned();
    sink.read_as(&source, FORMAT, licence, newest.as_deref());

    let summary = if record.summary.trim().is_empty() { &record.details } else { &record.summary };
    let upstream: BTreeSet<String> = record.upstream.unwrap_or_default().into_iter().collect();
    let aliases: BTreeSet<String> = record.aliases.unwrap_or_default().into_iter().collect();
    let is_distribution = upstream.iter().any(|name| crate::database::is_cve(name));
    let mut advisory = Advisory {
        id: record.id,
        source,
        aliases,
        // Distributions name what they fix so; elsewhere it names what something was derived from.
        fixes: if is_distribution { upstream } else { BTreeSet::new() },
        summary: first_line(summary),
        severities: record.severity.iter().flatten().filter_map(severity).collect(),
        weaknesses: texts(&record.database_specific["cwe_ids"]),
        published: record.published.filter(|date| super::sink::day(date).is_some()),
        withdrawn: record.withdrawn,
        references: record
            .references
            .unwrap_or_default()
            .into_iter()
            .map(|reference| reference.url)
            .filter(|url| !url.is_empty())
            .collect(),
        affected: Vec::new(),
    };
    advisory.severities.extend(word(&record.database_specific["severity"]));
    for hit in hits {
        advisory.severities.extend(hit.severity.iter().flatten().filter_map(severity));
        advisory.severities.extend(hit.database_specific["cvss"].as_str().and_then(cvss));
        let Some(affected) = affected(hit) else { continue };
        if affected.ecosystem.starts_with("Debian") {
            debian(&advisory, affected, sink);
        } else {
            advisory.affected.push(affected);
        }
    }
    advisory.severities.sort();
    advisory.severities.dedup();
    sink.builder.advisory(advisory);
}

/// What is hit; none for a record that names commits and no package.
fn affected(hit: Hit) -> Option<Affected> {
    let Package { ecosystem, name } = hit.package?;
    let package = normal_name(&ecosystem, &name);
    let is_distribution = ecosystem.contains(':');
    let all = hit.ranges.unwrap_or_default();
    let ranges: Vec<Range> =
        all.iter().filter(|range| range.kind != "GIT").flat_map(|range| ranges(&range.events)).collect();
    let mut versions = hit.versions.unwrap_or_default();
    // Distributions repeat their ranges as lists of every version that any release ever had.
    if is_distribution && !ranges.is_empty() {
        versions.clear();
    }
    // Neither would mean: all versions. A record with commits alone means something else.
    if ranges.is_empty() && versions.is_empty() && !all.is_empty() {
        return None;
    }
    let specific = &hit.ecosystem_specific;
    let severity = [&specific["urgency"], &specific["severity"], &hit.database_specific["informational"]]
        .into_iter()
        .find_map(|value| value.as_str())
        .map(str::to_lowercase);
    // RustSec: unmaintained, unsound, notice.
    let state = match hit.database_specific["informational"].as_str() {
        Some(_) => FixState::Informational,
        None => FixState::Affected,
    };
    Some(Affected { ecosystem, package, ranges, versions, state, severity, symbols: symbols(specific) })
}

/// Events in their order, as ranges.
fn ranges(events: &[BTreeMap<String, String>]) -> Vec<Range> {
    let mut ranges = Vec::new();
    let mut open: Option<Range> = None;
    for event in events {
        if let Some(introduced) = event.get("introduced") {
            ranges.extend(open.take());
            open = Some(Range {
                introduced: (introduced != "0").then(|| introduced.clone()),
                ..Range::default()
            });
        }
        if let Some(fixed) = event.get("fixed")
            && let Some(range) = open.take()
        {
            ranges.push(Range { fixed: Some(fixed.clone()), ..range });
        }
        if let Some(last) = event.get("last_affected")
            && let Some(range) = open.take()
        {
            ranges.push(Range { last_affected: Some(last.clone()), ..range });
        }
    }
    ranges.extend(open);
    ranges
}

/// Functions, as the Go and Rust databases name them.
fn symbols(specific: &Value) -> Vec<Symbols> {
    let go = specific["imports"].as_array().into_iter().flatten().map(|import| Symbols {
        path: import["path"].as_str().unwrap_or_default().to_owned(),
        names: texts(&import["symbols"]).into_iter().collect(),
    });
    let mut rust: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for function in texts(&specific["affects"]["functions"]) {
        let (path, name) = function.rsplit_once("::").unwrap_or(("", &function));
        rust.entry(path.to_owned()).or_default().push(name.to_owned());
    }
    go.chain(rust.into_iter().map(|(path, names)| Symbols { path, names })).collect()
}

/// Debian's data by way of OSV is decided together with the rest of Debian's.
fn debian(advisory: &Advisory, affected: Affected, sink: &mut Sink<'_>) {
    let Some(release) = affected.ecosystem.strip_prefix("Debian:").and_then(Release::of_number) else {
        return;
    };
    let fixed = affected.ranges.iter().find_map(|range| range.fixed.clone());
    let urgency = affected.severity.filter(|word| word != "not yet assigned");
    let (id, source) = (&advisory.id, &advisory.source);
    let word = match (&fixed, urgency.as_deref()) {
        (None, Some("end-of-life")) => Word::EndOfLife,
        (Some(fixed), _) => Word::Fixed(fixed.clone()),
        (None, _) => Word::Unfixed,
    };
    let own = BTreeSet::from([id.trim_start_matches("DEBIAN-").to_owned()]);
    let subjects = if advisory.fixes.is_empty() { &own } else { &advisory.fixes };
    for cve in subjects {
        let name = if id.starts_with("DEBIAN-") { cve } else { id };
        sink.debian.release(cve, &affected.package, release, word.clone(), source, name, urgency.as_deref());
    }
}

/// A package's name as its ecosystem compares it.
pub(super) fn normal_name(ecosystem: &str, name: &str) -> String {
    match ecosystem {
        "PyPI" => crate::matching::pypi_name(name),
        "NuGet" | "Packagist" => name.to_lowercase(),
        _ => name.to_owned(),
    }
}

fn severity(rating: &Rating) -> Option<Severity> {
    match rating.kind.as_str() {
        kind if kind.starts_with("CVSS_") => cvss(&rating.score),
        _ => Some(Severity::Word(rating.score.to_lowercase())),
    }
}

fn cvss(vector: &str) -> Option<Severity> {
    let is_vector = vector.starts_with("CVSS:") || vector.starts_with("AV:");
    is_vector.then(|| Severity::Cvss(vector.to_owned()))
}

fn word(value: &Value) -> Option<Severity> {
    let word = value.as_str()?.to_lowercase();
    Some(Severity::Word(if word == "moderate" { "medium".to_owned() } else { word }))
}

fn texts(value: &Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The first line that says something, without marks of a heading.
pub(super) fn first_line(text: &str) -> String {
    let line =
        text.lines().map(|line| line.trim().trim_start_matches('#').trim()).find(|line| !line.is_empty());
    let line = line.unwrap_or_default();
    match line.char_indices().nth(MAX_SUMMARY) {
        None => line.to_owned(),
        Some((end, _)) => {
            let words = line[..end].rsplit_once(char::is_whitespace).map_or(&line[..end], |(words, _)| words);
            format!("{}…", words.trim_end_matches(|c: char| c.is_whitespace() || ",;:.".contains(c)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_summary_ends_at_a_word_and_says_so() {
        assert_eq!(first_line("\n## A hole \nmore"), "A hole");
        let long = format!("{}endless, and more", "word ".repeat(46));
        let cut = first_line(&long);
        assert!(cut.ends_with("word endless…"), "{cut}");
        assert_eq!(first_line(&"x".repeat(300)).chars().count(), MAX_SUMMARY + 1);
    }
}
