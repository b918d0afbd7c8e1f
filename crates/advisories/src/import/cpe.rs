//! Configurations of the National Vulnerability Database: which versions of which product, by CPE.
//!
//! They become packages `vendor:product` of the ecosystem `CPE`, for programs that no package manager knows. What holds
//! "on" a platform is taken if that is Linux; what holds "with" another program is not, since no file tells.

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
        let is_met = |node: &Value| is_vulnerable(node) || is_linux(node);
        if configuration["negate"] == true || (is_conjunction && !nodes.iter().all(is_met)) {
            continue;
        }
        // Two vulnerable nodes of which both must hold: neither is hit by itself.
        if is_conjunction && nodes.iter().filter(|node| is_vulnerable(node)).count() > 1 {
            continue;
        }
        for node in nodes.iter().filter(|node| is_vulnerable(node)) {
            all.extend(matches(node).filter(|matched| matched["vulnerable"] == true).filter_map(one));
        }
    }
    all.sort();
    all.dedup();
    all
}

fn matches(node: &Value) -> impl Iterator<Item = &Value> {
    node["cpeMatch"].as_array().into_iter().flatten()
}

/// Whether a node lists products that are hit, each by itself.
fn is_vulnerable(node: &Value) -> bool {
    let is_list = node["operator"] != "AND" || matches(node).count() == 1;
    is_list && node["negate"] != true && matches(node).any(|matched| matched["vulnerable"] == true)
}

/// Whether a node lists platforms, Linux among them.
fn is_linux(node: &Value) -> bool {
    node["operator"] != "AND"
        && node["negate"] != true
        && matches(node).any(|matched| {
            let parts = matched["criteria"].as_str().map(split).unwrap_or_default();
            matches!(parts.as_slice(), [_, _, part, vendor, product, version, ..]
                if part == "o" && vendor == "linux" && product == "linux_kernel" && matches!(version.as_str(), "*" | "-"))
        })
}

fn one(matched: &Value) -> Option<Affected> {
    let parts = split(matched["criteria"].as_str()?);
    let [_, _, part, vendor, product, version, update, ..] = parts.as_slice() else { return None };
    if part != "a" || vendor == "null" {
        return None;
    }
    let bound = |name: &str| matched[name].as_str().map(str::to_owned);
    let range = Range {
        introduced: bound("versionStartIncluding"),
        after: bound("versionStartExcluding"),
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
    fn a_range_and_a_version_of_a_product_are_read() {
        let configurations = serde_json::json!([
            {"nodes": [{"operator": "OR", "cpeMatch": [
                {"criteria": "cpe:2.3:a:oisf:suri\\:cata:*:*:*:*:*:*:*:*", "versionStartIncluding": "7.0.0",
                 "versionEndExcluding": "7.0.3", "vulnerable": true},
                {"criteria": "cpe:2.3:a:redis:redis:6.0:rc1:*:*:*:*:*:*", "vulnerable": true},
                {"criteria": "cpe:2.3:a:redis:hiredis:*:*:*:*:*:*:*:*", "versionStartExcluding": "1.0",
                 "versionEndIncluding": "1.1", "vulnerable": true},
                {"criteria": "cpe:2.3:o:linux:linux_kernel:-:*:*:*:*:*:*:*", "vulnerable": false}]}]}
        ]);
        let found = affected(&configurations);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0].package, "oisf:suri:cata");
        assert_eq!(found[0].ranges[0].fixed.as_deref(), Some("7.0.3"));
        assert_eq!(
            (&found[1].ranges[0].introduced, found[1].ranges[0].after.as_deref()),
            (&None, Some("1.0"))
        );
        assert!(found[2].versions.contains("6.0rc1"));
    }

    #[test]
    fn what_holds_on_linux_is_taken_and_what_holds_elsewhere_or_with_another_program_is_not() {
        let node = |name: &str, vulnerable: bool| {
            serde_json::json!({"operator": "OR", "cpeMatch": [
                {"criteria": format!("cpe:2.3:{name}:*:*:*:*:*:*:*"), "vulnerable": vulnerable}]})
        };
        let program = || node("a:acme:shop:*", true);
        for (other, is_taken) in [
            (node("o:linux:linux_kernel:-", false), true),
            (node("o:linux:linux_kernel:2.6.32", false), false),
            (node("o:microsoft:windows:-", false), false),
            (node("a:acme:database:*", false), false),
            (node("a:acme:database:*", true), false),
            (serde_json::json!({"operator": "OR", "cpeMatch": []}), false),
        ] {
            let configurations = serde_json::json!([{"operator": "AND", "nodes": [program(), other]}]);
            assert_eq!(affected(&configurations).len(), usize::from(is_taken), "{configurations}");
        }
    }
}
