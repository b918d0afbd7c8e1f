//! R and Haskell: numbers between dots or hyphens, compared one by one; the longer of two alike is the greater.
//!
//! A part that is no number sorts as text, before every number.
//!
//! Source: "Writing R Extensions", 1.1.1; Haskell Package Versioning Policy.

use std::cmp::Ordering;

use super::digits;

/// Compares two versions.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let parts = |text| str::split(text, ['.', '-']);
    let (mut a, mut b) = (parts(a), parts(b));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (Some(a), Some(b)) => match (digits::is_number(a), digits::is_number(b)) {
                (true, true) => digits::compare(a, b),
                (false, false) => a.cmp(b),
                (a, b) => a.cmp(&b),
            },
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        if order.is_ne() {
            return order;
        }
    }
}
