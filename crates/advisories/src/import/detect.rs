//! Which format a document has.

use serde_json::Value;

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Osv,
    DebianTracker,
    DebianAdvisories,
    DebianCveList,
    DebianChangelogs,
    DebianArchive,
    DistroInfo,
    SecuritySupport,
    AlpineSecdb,
    Kev,
    Epss,
    Vulnrichment,
    CveRecord,
    Nvd,
    CpeConfigurations,
    RetireJs,
    NodeCore,
    NodeNpm,
    /// Something else, and what.
    Other(&'static str),
}

/// Bytes that are looked at to tell JSON formats apart.
const LOOK_BYTES: usize = 64 << 10;

/// Tells a format by its first lines, and the two lists that have no mark of their own by their names.
pub(super) fn format(name: &str, text: &str) -> Format {
    if name.starts_with("security-support-") {
        return Format::SecuritySupport;
    }
    if name.starts_with("MANIFEST") {
        return Format::Other("a list of files");
    }
    let start = text.trim_start();
    if start.starts_with(['{', '[']) && !is_advisory_list(start) {
        return json(start);
    }
    let line = start.lines().next().unwrap_or_default();
    let second = start.lines().nth(1).unwrap_or_default();
    match line {
        _ if is_advisory_list(start) => Format::DebianAdvisories,
        _ if line.starts_with("CVE-") || line.starts_with("TEMP-") => Format::DebianCveList,
        _ if line.starts_with("cve,epss") => Format::Epss,
        _ if line.starts_with('#') && second.starts_with("cve,epss") => Format::Epss,
        _ if line.starts_with("version,codename,series") => Format::DistroInfo,
        _ if line.split('\t').count() == 4 => Format::DebianArchive,
        _ => Format::Other("no format that is known"),
    }
}

/// `[13 Feb 2025] DLA-4051-1 webkit2gtk - security update`
fn is_advisory_list(text: &str) -> bool {
    let Some((_, rest)) = text.lines().next().and_then(|line| line.strip_prefix('[')?.split_once("] "))
    else {
        return false;
    };
    ["DSA-", "DLA-", "DTSA-", "ELA-"].iter().any(|start| rest.starts_with(start))
}

fn json(text: &str) -> Format {
    // JSON lines: the first line is a document of its own.
    let line = text.lines().next().unwrap_or_default();
    let keys = match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(first)) => first.keys().cloned().collect(),
        _ => top_keys(text),
    };
    let has = |key: &str| keys.iter().any(|known| known == key);
    let begins = &text[..text.floor_char_boundary(LOOK_BYTES)];
    match () {
        () if has("catalogVersion") && has("vulnerabilities") => Format::Kev,
        () if has("vulnerabilities") && (has("resultsPerPage") || has("format")) => Format::Nvd,
        () if has("dataType") && has("cveMetadata") => Format::CveRecord,
        () if has("id") && (has("affected") || has("modified") || has("schema_version")) => Format::Osv,
        () if has("distroversion") && has("packages") => Format::AlpineSecdb,
        () if has("source") && has("cves") && has("seen_in") => Format::DebianChangelogs,
        () if has("cve") && has("ssvc") => Format::Vulnrichment,
        () if has("cve") && has("configurations") => Format::CpeConfigurations,
        () if has("cve") && has("debian") => Format::Other("a cross-check, no source"),
        () if has("label") && has("image") => Format::Other("labels of matches, no source"),
        () if has("@context") => Format::Other("a VEX document, which says what does not hit"),
        () if has("advisories") && has("backdoored") => Format::RetireJs,
        () if keys.iter().all(|key| key.bytes().all(|byte| byte.is_ascii_digit())) && !keys.is_empty() => {
            if begins.contains("\"module_name\"") {
                Format::NodeNpm
            } else {
                Format::NodeCore
            }
        }
        () if begins.contains("\"extractors\"") && begins.contains("\"vulnerabilities\"") => Format::RetireJs,
        () if begins.contains("\"releases\"") && begins.contains("\"urgency\"") => Format::DebianTracker,
        () if begins.starts_with('[') && begins.contains("\"affected\"") => Format::Osv,
        () => Format::Other("JSON of no format that is known"),
    }
}

/// The keys of the outermost object, as far as the first bytes show them.
fn top_keys(text: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let (mut depth, mut in_text, mut is_escaped, mut start) = (0_u32, false, false, 0);
    let bytes = &text.as_bytes()[..text.len().min(LOOK_BYTES)];
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' if in_text => {
                in_text = false;
                let is_key = bytes[at + 1..].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':');
                if depth == 1 && is_key {
                    keys.push(String::from_utf8_lossy(&bytes[start..at]).into_owned());
                }
            }
            b'"' => {
                in_text = true;
                start = at + 1;
            }
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_told_by_its_first_lines() {
        let cases = [
            ("a", "[13 Feb 2025] DLA-4051-1 webkit2gtk - security update\n", Format::DebianAdvisories),
            ("a", "CVE-2005-2541 (Tar ...)\n\t- tar <unfixed>\n", Format::DebianCveList),
            ("a", "#model\ncve,epss,percentile\nCVE-1999-0001,0.1,0.2\n", Format::Epss),
            ("a", "bookworm\tmain\t0ad\t0.0.26-3\n", Format::DebianArchive),
            ("security-support-ended.deb12", "\n# columns\n", Format::SecuritySupport),
            ("a", r#"{"id":"X-1","affected":[]}"#, Format::Osv),
            ("a", "[{\"id\":\"X-1\",\n\"affected\":[]}]", Format::Osv),
            ("a", "{\n\"distroversion\":\"v3.20\",\n\"packages\":[]}", Format::AlpineSecdb),
            (
                "a",
                "{\n\"pkg\":{\"CVE-1\":{\"releases\":{\"sid\":{\"urgency\":\"low\"}}}}}",
                Format::DebianTracker,
            ),
            ("a", "{\n\"1\":{\"cve\":[]}}", Format::NodeCore),
            ("a", "hello", Format::Other("no format that is known")),
        ];
        for (name, text, format) in cases {
            assert_eq!(super::format(name, text), format, "{text}");
        }
    }
}
