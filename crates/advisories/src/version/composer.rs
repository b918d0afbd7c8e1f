//! PHP and Composer: numbers and words in turn.
//!
//! Words have an order: any word, `dev`, `alpha` or `a`, `beta` or `b`, `rc` or `RC`, a number, `pl` or `p`; in these
//! cases of letters only, as PHP has it. A branch (`dev-main`) is a word in front and so below every number.
//!
//! Source: PHP manual, `version_compare`.

use std::cmp::Ordering;

use super::digits;

/// Compares two versions.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (parts(a), parts(b));
    for at in 0..a.len().max(b.len()) {
        let order = match (a.get(at), b.get(at)) {
            (Some(a), Some(b)) if digits::is_number(a) && digits::is_number(b) => digits::compare(a, b),
            (Some(a), Some(b)) => rank(a).cmp(&rank(b)),
            (Some(a), None) => beyond(a),
            (None, Some(b)) => beyond(b).reverse(),
            (None, None) => Ordering::Equal,
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// How a version with this part stands to the same one without it.
fn beyond(part: &str) -> Ordering {
    if digits::is_number(part) { Ordering::Greater } else { rank(part).cmp(&rank("#")) }
}

fn rank(part: &str) -> u8 {
    let begins = |word: &str| part.starts_with(word);
    match part {
        _ if part.starts_with('#') || digits::is_number(part) => 5,
        _ if begins("dev") => 1,
        _ if begins("a") => 2,
        _ if begins("b") => 3,
        _ if begins("rc") || begins("RC") => 4,
        _ if begins("p") => 6,
        _ => 0,
    }
}

/// Numbers and words; separators only separate.
fn parts(text: &str) -> Vec<&str> {
    let mut left = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let mut parts = Vec::new();
    while !left.is_empty() {
        let number = left.starts_with(|c: char| c.is_ascii_digit());
        let part = |c: char| match c {
            '.' | '-' | '_' | '+' => false,
            _ => c.is_ascii_digit() == number,
        };
        let end = left.find(|c| !part(c)).unwrap_or(left.len());
        if end > 0 {
            parts.push(&left[..end]);
            left = &left[end..];
        } else {
            left = &left[1..];
        }
    }
    parts
}
