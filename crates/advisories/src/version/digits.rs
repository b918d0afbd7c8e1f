//! Numbers of any length, as text.

use std::cmp::Ordering;

/// Compares two runs of decimal digits by value; an empty one is zero.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (significant(a), significant(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Without the zeros in front.
pub(super) fn significant(digits: &str) -> &str {
    digits.trim_start_matches('0')
}

/// Whether this is a number: digits, at least one.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Splits after the longest prefix of bytes that are all `matching`. They must be ASCII.
pub(super) fn split_run(text: &str, matching: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !(byte.is_ascii() && matching(byte))).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value_whatever_their_length() {
        for (a, b, order) in [
            ("", "0", Ordering::Equal),
            ("007", "7", Ordering::Equal),
            ("10", "9", Ordering::Greater),
            ("99999999999999999999991", "99999999999999999999999", Ordering::Less),
        ] {
            assert_eq!(compare(a, b), order, "{a} {b}");
        }
    }
}
