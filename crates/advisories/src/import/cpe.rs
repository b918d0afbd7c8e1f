//! Configurations of the National Vulnerability Database: which versions of which product, by CPE.
//!
//! They become packages `vendor:product` of the ecosystem `CPE`, for programs that no package manager knows. Only
//! plain lists of products are taken: what holds "on" or "with" another product cannot be told from a file.

use serde_json::Value;

use super::json_values;
use super::kind::CPE;
use super::sink::Sink;
use crate::{Advisory, Affected, Range};

/// Reads one line a CVE: `{"cve":…, "configurations":[…]}`.
pub(super) fn read(text: &str, sink: &mut Sink<'_>) {
    json_values(text, &mut |value| match value {
        Ok(value) => match value["cve"].as_str() {
            Some(cve) => {
                sink.read(&CPE, None);
                let affected = affected(&value["configurations"]);
                add(cve, CPE.name, affected, sink);
            }
            None => sink.broken(&CPE, "a line without a CVE"),
        },
        Err(problem) => sink.broken(&CPE, &problem),
    });
}

pub(super) fn add(cve: &str, source: &str, affected: Vec<Affected>, sink: &mut Sink<'_>) {
    if !affected.is_empty() {
        let id = cve.to_owned();
        sink.builder.advisory(Advisory { id, source: source.into(), affected, ..Advisory::default() });
    }
}

/// What the configurations hit.
pub(super) fn affected(configurations: &Value) -> Vec<Affected> {
    let mut all = Vec::new();
    for configuration in configurations.as_array().into_iter().flatten() {
        let nodes = configuration["nodes"].as_array().map_or(&[][..], Vec::as_slice);
        let is_conjunction = configuration["operator"] == "AND" && nodes.len() > 1;
        if is_conjunction || configuration["negate"] == true {
            continue;
        }
        for node in nodes.iter().filter(|node| node["operator"] != "AND" && node["negate"] != true) {
            let matches = node["cpeMatch"].as_array().into_iter().flatten();
            all.extend(matches.filter(|matched| matched["vulnerable"] == true).filter_map(one));
        }
    }
    all.sort();
    all.dedup();
    all
}

fn one(matched: &Value) -> Option<Affected> {
    let parts = split(matched["criteria"].as_str()?);
    let [_, _, part, vendor, product, version, update, ..] = parts.as_slice() else { return None };
    if part != "a" || vendor == "null" || matched["versionStartExcluding"].is_string() {
        // A range cannot begin after a version, and to begin with it would hit what is not hit.
        return None;
    }
    let bound = |name: &str| matched[name].as_str().map(str::to_owned);
    let range = Range {
        introduced: bound("versionStartIncluding"),
        fixed: bound("versionEndExcluding"),
        last_affected: bound("versionEndIncluding"),
    };
    let mut affected =
        Affected { ecosystem: "CPE".into(), package: format!("{vendor}:{product}"), ..Affected::default() };
    match version.as_str() {
        "*" => affected.ranges.push(range),
        "-" => return None,
        version if matches!(update.as_str(), "*" | "-") => {
            affected.versions.insert(version.to_owned());
        }
        version => {
            affected.versions.insert(format!("{version}{update}"));
        }
    }
    Some(affected)
}

/// The parts of a CPE 2.3 name, between colons that no backslash escapes.
fn split(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut is_escaped = false;
    for c in name.chars() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => {
                is_escaped = true;
                continue;
            }
            ':' => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_and_a_version_of_a_product_are_read_and_conditions_are_not() {
        let configurations = serde_json::json!([
            {"nodes": [{"operator": "OR", "cpeMatch": [
                {"criteria": "cpe:2.3:a:oisf:suri\\:cata:*:*:*:*:*:*:*:*", "versionStartIncluding": "7.0.0",
                 "versionEndExcluding": "7.0.3", "vulnerable": true},
                {"criteria": "cpe:2.3:a:redis:redis:6.0:rc1:*:*:*:*:*:*", "vulnerable": true},
                {"criteria": "cpe:2.3:o:linux:linux_kernel:-:*:*:*:*:*:*:*", "vulnerable": false}]}]},
            {"operator": "AND", "nodes": [
                {"operator": "OR", "cpeMatch": [{"criteria": "cpe:2.3:a:a:b:*:*:*:*:*:*:*:*", "vulnerable": true}]},
                {"operator": "OR", "cpeMatch": []}]}
        ]);
        let found = affected(&configurations);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].package, "oisf:suri:cata");
        assert_eq!(found[0].ranges[0].fixed.as_deref(), Some("7.0.3"));
        assert!(found[1].versions.contains("6.0rc1"));
    }
}
