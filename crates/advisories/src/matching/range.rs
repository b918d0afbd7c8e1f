//! Whether a version lies in what an advisory says is hit.

use std::cmp::Ordering;
use std::fmt::Write as _;

use crate::version::{Scheme, compare};
use crate::{Affected, Range};

/// How an advisory hits a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// The range that the version lies in, for people: `>= 1.0, < 1.2.3`, `= 1.1`, `all versions`.
    pub range: String,
    /// The versions that end a range the version lies in; empty if no fix is known.
    pub fixed: Vec<String>,
}

/// Whether `version` is one that `affected` speaks of: one of its versions, in any of its ranges, or any at all where
/// it has neither. The state is not looked at.
///
/// Source: OSV schema, "Evaluation".
pub fn hit(scheme: Scheme, version: &str, affected: &Affected) -> Option<Hit> {
    let all = affected.ranges.is_empty() && affected.versions.is_empty();
    if all {
        return Some(Hit { range: "all versions".into(), fixed: Vec::new() });
    }
    let same_stream = |range: &&Range| {
        let ends = [&range.introduced, &range.after, &range.fixed, &range.last_affected];
        let mut ends = ends.into_iter().flatten();
        scheme != Scheme::Rpm || ends.all(|end| is_module(end) == is_module(version))
    };
    let ranges: Vec<&Range> =
        affected.ranges.iter().filter(same_stream).filter(|range| contains(scheme, version, range)).collect();
    let listed = affected
        .versions
        .iter()
        .any(|known| known == version || compare(scheme, known, version) == Ordering::Equal);
    match ranges.first() {
        Some(range) => {
            let fixed = ranges.iter().filter_map(|range| range.fixed.clone()).collect();
            Some(Hit { range: text(range), fixed })
        }
        None if listed => Some(Hit { range: format!("= {version}"), fixed: Vec::new() }),
        None => None,
    }
}

/// Whether a version of an rpm belongs to a module: it can only be compared with others that do.
fn is_module(version: &str) -> bool {
    version.contains(".module")
}

fn contains(scheme: Scheme, version: &str, range: &Range) -> bool {
    let order = |end: &String| compare(scheme, version, end);
    let from = range.introduced.as_ref().filter(|introduced| *introduced != "0");
    from.is_none_or(|introduced| order(introduced).is_ge())
        && range.after.as_ref().is_none_or(|after| order(after).is_gt())
        && range.fixed.as_ref().is_none_or(|fixed| order(fixed).is_lt())
        && range.last_affected.as_ref().is_none_or(|last| order(last).is_le())
}

fn text(range: &Range) -> String {
    let mut text = String::new();
    let from = range.introduced.as_ref().filter(|introduced| *introduced != "0");
    for (sign, end) in [
        (">=", from),
        (">", range.after.as_ref()),
        ("<", range.fixed.as_ref()),
        ("<=", range.last_affected.as_ref()),
    ] {
        if let Some(end) = end {
            let comma = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{comma}{sign} {end}");
        }
    }
    if text.is_empty() { "all versions".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Range {
        let mut range = Range::default();
        for part in text.split(", ").filter(|part| !part.is_empty()) {
            let (sign, end) = part.split_once(' ').unwrap();
            let end = Some(end.to_owned());
            match sign {
                ">=" => range.introduced = end,
                ">" => range.after = end,
                "<" => range.fixed = end,
                _ => range.last_affected = end,
            }
        }
        range
    }

    #[test]
    fn a_version_is_hit_from_the_first_to_before_the_fixed_or_through_the_last_one() {
        for (ranges, versions, version, expected) in [
            (&["< 1.2"][..], &[][..], "1.1", Some("< 1.2")),
            (&["< 1.2"], &[], "1.2", None),
            (&["<= 1.2"], &[], "1.2", Some("<= 1.2")),
            (&["<= 1.2"], &[], "1.2.1", None),
            (&[">= 1.0, < 1.2"], &[], "0.9", None),
            (&[">= 1.0, < 1.2"], &[], "1.0", Some(">= 1.0, < 1.2")),
            (&["< 1.2", ">= 2.0, < 2.2"], &[], "1.9", None),
            (&["< 1.2", ">= 2.0, < 2.2"], &[], "2.1", Some(">= 2.0, < 2.2")),
            (&[">= 0, < 1.2"], &[], "0.0.0-alpha", Some("< 1.2")),
            (&["> 1.0, <= 1.2"], &[], "1.0", None),
            (&["> 1.0, <= 1.2"], &[], "1.0.1", Some("> 1.0, <= 1.2")),
            (&[""], &[], "7", Some("all versions")),
            (&[], &[], "7", Some("all versions")),
            (&[], &["1.0"], "7", None),
            (&[], &["1.0"], "1.0", Some("= 1.0")),
            (&["< 1.2"], &["3.0"], "3.0", Some("= 3.0")),
        ] {
            let affected = Affected {
                ranges: ranges.iter().map(|text| range(text)).collect(),
                versions: versions.iter().map(|text| (*text).to_owned()).collect(),
                ..Affected::default()
            };
            let found = hit(Scheme::Semver, version, &affected).map(|hit| hit.range);
            assert_eq!(found.as_deref(), expected, "{version} in {ranges:?} {versions:?}");
        }
    }

    #[test]
    fn packages_of_modules_are_compared_among_themselves() {
        let affected = Affected { ranges: vec![range("< 1:20.1-1.module+el9+2+abc")], ..Affected::default() };
        assert!(hit(Scheme::Rpm, "1:18.0-1.module+el9+1+abc", &affected).is_some());
        assert!(hit(Scheme::Rpm, "1:18.0-1.el9", &affected).is_none());
    }
}
