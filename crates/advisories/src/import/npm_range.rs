//! Ranges as npm writes them, `<1.2.3 || >=2.0.0 <2.1.4`, `^8.1.4`, `4.x`, as ranges of an advisory.
//!
//! Source: the README of node-semver, "Ranges".

use crate::Range;

/// A half-open interval of versions; `None` is no bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) from: Option<String>,
    pub(super) below: Option<String>,
}

/// More alternatives than any advisory has.
const MAX_ALTERNATIVES: usize = 64;

/// The intervals of a range; none if it cannot be read.
pub(super) fn parse(text: &str) -> Option<Vec<Interval>> {
    let alternatives: Vec<&str> = text.split("||").map(str::trim).collect();
    if alternatives.len() > MAX_ALTERNATIVES {
        return None;
    }
    alternatives.into_iter().map(alternative).collect()
}

impl From<Interval> for Range {
    fn from(interval: Interval) -> Self {
        Self { introduced: interval.from, fixed: interval.below, ..Self::default() }
    }
}

/// The first version after a full one: `2.0.1-0` after `2.0.0`.
pub(super) fn successor(version: &str) -> Option<String> {
    if version.contains('-') {
        return Some(format!("{version}.0"));
    }
    let parts = parts(version)?;
    next(&parts, parts.len().checked_sub(1)?)
}

fn alternative(text: &str) -> Option<Interval> {
    let mut interval = Interval { from: None, below: None };
    if let Some((low, high)) = text.split_once(" - ") {
        interval.from = Some(full(&parts(low.trim())?));
        interval.below = Some(above(high.trim())?);
        return Some(interval);
    }
    // An operator may stand apart from its version.
    let mut operator = String::new();
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        let bare = word.trim_start_matches(['<', '>', '=', '^', '~']);
        operator.push_str(&word[..word.len() - bare.len()]);
        if bare.is_empty() {
            continue;
        }
        apply(&mut interval, &operator, bare)?;
        operator.clear();
    }
    operator.is_empty().then_some(interval)
}

fn apply(interval: &mut Interval, operator: &str, version: &str) -> Option<()> {
    let is_any = matches!(version, "*" | "x" | "X");
    if is_any {
        return Some(());
    }
    let numbers = parts(version)?;
    let least = || least(version, &numbers);
    match operator {
        "" | "=" | "==" => {
            interval.from = Some(least());
            interval.below = Some(above(version)?);
        }
        "<" => interval.below = Some(least()),
        "<=" => interval.below = Some(above(version)?),
        ">=" => interval.from = Some(least()),
        ">" => interval.from = Some(above(version)?),
        "~" | "~>" => {
            interval.from = Some(least());
            interval.below = next(&numbers, 1.min(numbers.len() - 1));
        }
        "^" => {
            interval.from = Some(least());
            let first = numbers.iter().position(|number| *number != 0).unwrap_or(numbers.len() - 1);
            interval.below = next(&numbers, first);
        }
        _ => return None,
    }
    Some(())
}

/// The numbers in front of a pre-release; `8.x` has one.
fn parts(version: &str) -> Option<Vec<u64>> {
    let core = version.trim_start_matches('v').split(['-', '+']).next()?;
    let mut numbers = Vec::new();
    for part in core.split('.') {
        if matches!(part, "x" | "X" | "*") {
            break;
        }
        numbers.push(part.parse().ok()?);
    }
    (!numbers.is_empty() && numbers.len() <= 3).then_some(numbers)
}

fn full(numbers: &[u64]) -> String {
    let number = |at: usize| numbers.get(at).copied().unwrap_or(0);
    format!("{}.{}.{}", number(0), number(1), number(2))
}

/// The lowest version that the text stands for; pre-releases stay as they are.
fn least(version: &str, numbers: &[u64]) -> String {
    match version.split_once('-') {
        Some((_, pre)) => format!("{}-{pre}", full(numbers)),
        None => full(numbers),
    }
}

/// The first version after all that the text stands for: `9.0.0-0` after `8.x`, `1.2.4-0` after `1.2.3`.
fn above(version: &str) -> Option<String> {
    let numbers = parts(version)?;
    if version.contains('-') {
        return Some(format!("{}.0", least(version, &numbers)));
    }
    next(&numbers, numbers.len() - 1)
}

/// The first version, pre-releases included, with a higher number at this place.
fn next(numbers: &[u64], at: usize) -> Option<String> {
    let mut numbers = numbers[..=at].to_vec();
    numbers[at] = numbers[at].checked_add(1)?;
    Some(format!("{}-0", full(&numbers)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_intervals() {
        let cases: [(&str, &[(&str, &str)]); 14] = [
            ("*", &[("", "")]),
            ("<1.2.3", &[("", "1.2.3")]),
            ("<= 1.0", &[("", "1.1.0-0")]),
            ("<=0.9.4 || 1.0.0", &[("", "0.9.5-0"), ("1.0.0", "1.0.1-0")]),
            ("<1.6.5 || < 2.1.7 > 2.0.0", &[("", "1.6.5"), ("2.0.1-0", "2.1.7")]),
            (">= 4 <4.5", &[("4.0.0", "4.5.0")]),
            ("8.x || 7.x", &[("8.0.0", "9.0.0-0"), ("7.0.0", "8.0.0-0")]),
            ("^8.1.4", &[("8.1.4", "9.0.0-0")]),
            ("^0.10.48", &[("0.10.48", "0.11.0-0")]),
            ("^0.0.3", &[("0.0.3", "0.0.4-0")]),
            ("~1.2", &[("1.2.0", "1.3.0-0")]),
            ("1.0.0 - 1.2", &[("1.0.0", "1.3.0-0")]),
            ("2.1.0-M1", &[("2.1.0-M1", "2.1.0-M1.0")]),
            ("<= 1.7.0-alpha2", &[("", "1.7.0-alpha2.0")]),
        ];
        for (text, expected) in cases {
            let found = parse(text).unwrap_or_else(|| panic!("{text} is not read"));
            let found: Vec<_> = found
                .iter()
                .map(|interval| {
                    (
                        interval.from.as_deref().unwrap_or_default(),
                        interval.below.as_deref().unwrap_or_default(),
                    )
                })
                .collect();
            assert_eq!(found, expected, "{text}");
        }
        for bad in ["latest", "<", ">=a.b", "1.2.3.4", "<99999999999999999999"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
