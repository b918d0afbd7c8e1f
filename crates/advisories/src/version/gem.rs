//! Ruby gems: runs of digits and of letters; letters make a pre-release.
//!
//! A hyphen means `.pre.`. Zeros at the end, and those before the first letters, do not count. All other characters
//! only separate.
//!
//! Source: Ruby, documentation of `Gem::Version`.

use std::cmp::Ordering;

use super::digits;

/// Compares two versions.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (segments(a), segments(b));
    for at in 0..a.len().max(b.len()) {
        let order = match (a.get(at), b.get(at)) {
            (Some(a), Some(b)) => compare_segments(a, b),
            (Some(a), None) => compare_segments(a, "0"),
            (None, Some(b)) => compare_segments("0", b),
            (None, None) => Ordering::Equal,
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

fn compare_segments(a: &str, b: &str) -> Ordering {
    match (digits::is_number(a), digits::is_number(b)) {
        (true, true) => digits::compare(a, b),
        (false, false) => a.cmp(b),
        (a, b) => a.cmp(&b),
    }
}

/// The segments that count.
fn segments(text: &str) -> Vec<&str> {
    let (mut numbers, mut rest) = (Vec::new(), Vec::new());
    let mut left = text;
    while let Some(first) = left.bytes().next() {
        let (segment, after) = match first {
            b'0'..=b'9' => digits::split_run(left, |byte| byte.is_ascii_digit()),
            b'-' => ("pre", &left[1..]),
            _ if first.is_ascii_alphabetic() => digits::split_run(left, |byte| byte.is_ascii_alphabetic()),
            _ => {
                left = &left[left.chars().next().map_or(1, char::len_utf8)..];
                continue;
            }
        };
        if rest.is_empty() && digits::is_number(segment) {
            numbers.push(segment);
        } else {
            rest.push(segment);
        }
        left = after;
    }
    trim_zeros(&mut numbers);
    trim_zeros(&mut rest);
    numbers.append(&mut rest);
    numbers
}

fn trim_zeros(segments: &mut Vec<&str>) {
    while segments.last().is_some_and(|last| digits::is_number(last) && digits::significant(last).is_empty())
    {
        segments.pop();
    }
}
