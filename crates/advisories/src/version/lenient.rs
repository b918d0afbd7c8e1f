//! What people mean by a version: for programs that follow no scheme, or any.
//!
//! Numbers and words in turn. A word that tells of what is not finished (`rc1`, `-beta`, `~dev`) sorts before the end,
//! any other after it (`1.0.2k`, `9.6p1`, `8u392`); zeros at the end do not count.

use std::cmp::Ordering;

use super::digits;

const UNFINISHED: [&str; 10] =
    ["dev", "snapshot", "nightly", "alpha", "a", "beta", "b", "milestone", "pre", "rc"];

/// Compares two versions.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (parts(a), parts(b));
    for at in 0..a.len().max(b.len()) {
        let order = match (a.get(at), b.get(at)) {
            (Some(a), Some(b)) => compare_parts(a, b),
            (Some(a), None) => compare_end(a),
            (None, Some(b)) => compare_end(b).reverse(),
            (None, None) => Ordering::Equal,
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Number(&'a str),
    /// A word for what is not finished: its place in [`UNFINISHED`].
    Unfinished(usize),
    Word(&'a str),
}

/// How a version with this part stands to the same one without it.
fn compare_end(part: &Part<'_>) -> Ordering {
    match part {
        Part::Unfinished(_) => Ordering::Less,
        Part::Word(_) => Ordering::Greater,
        Part::Number(number) => digits::compare(number, ""),
    }
}

fn compare_parts(a: &Part<'_>, b: &Part<'_>) -> Ordering {
    let rank = |part: &Part<'_>| match part {
        Part::Unfinished(_) => 0,
        Part::Word(_) => 1,
        Part::Number(_) => 2,
    };
    match (a, b) {
        (Part::Number(a), Part::Number(b)) => digits::compare(a, b),
        (Part::Unfinished(a), Part::Unfinished(b)) => a.cmp(b),
        (Part::Word(a), Part::Word(b)) => a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase()),
        _ => rank(a).cmp(&rank(b)),
    }
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let text = text.trim();
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    // What was built is not what was released: `1.2.3+build5`.
    let mut left = text.split_once('+').map_or(text, |(version, _)| version);
    let mut parts = Vec::new();
    while let Some(first) = left.chars().next() {
        let (run, after) = match first {
            '0'..='9' => digits::split_run(left, |byte| byte.is_ascii_digit()),
            _ if first.is_ascii_alphabetic() => digits::split_run(left, |byte| byte.is_ascii_alphabetic()),
            _ => {
                left = &left[first.len_utf8()..];
                continue;
            }
        };
        let unfinished = UNFINISHED.iter().position(|word| run.eq_ignore_ascii_case(word));
        parts.push(match unfinished {
            _ if first.is_ascii_digit() => Part::Number(run),
            // `1.0.2a` is a patch of OpenSSL, `1.0a1` is not finished.
            Some(_) if run.len() == 1 && !after.starts_with(|c: char| c.is_ascii_digit()) => Part::Word(run),
            Some(place) => Part::Unfinished(place),
            None => Part::Word(run),
        });
        left = after;
    }
    while let Some(Part::Number(last)) = parts.last()
        && digits::significant(last).is_empty()
    {
        parts.pop();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_programs_are_in_order() {
        use Ordering::{Equal, Less};
        for (a, b, order) in [
            ("1.24.0", "1.24", Equal),
            ("v7.2.4", "7.2.4", Equal),
            ("7.2.4", "7.2.10", Less),
            ("7.2-rc3", "7.2.0", Less),
            ("7.2-rc1", "7.2-rc3", Less),
            ("1.0.2k", "1.0.2u", Less),
            ("1.0.2", "1.0.2a", Less),
            ("1.0a1", "1.0", Less),
            ("9.6", "9.6p1", Less),
            ("8u382", "8u392", Less),
            ("16.2-beta", "16.2", Less),
            ("2.4.57+build1", "2.4.57", Equal),
            ("nonsense", "0.1", Less),
            ("", "0", Equal),
        ] {
            assert_eq!(compare(a, b), order, "{a} {b}");
            assert_eq!(compare(b, a), order.reverse(), "{b} {a}");
        }
    }
}
