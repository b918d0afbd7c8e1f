//! Semantic versions, and those of .NET and Dart that are nearly so.
//!
//! `v` in front is passed over, numbers that are missing are zero, and what stands between the numbers and the first
//! hyphen is part of the build. A part of the numbers that is no number ends them, and begins a pre-release:
//! `1.2.x` is `1.2.0-x`.
//!
//! Source: Semantic Versioning 2.0.0, 11; NuGet, "Package versioning"; Dart, package `pub_semver`.

use std::cmp::Ordering;

use super::digits;

/// An order of semantic versions.
pub(super) struct Dialect {
    /// How many numbers there are.
    numbers: usize,
    /// Whether letters are compared in any case.
    fold_case: bool,
    /// Whether the build part counts.
    build: bool,
}

/// Semantic Versioning 2.0.0: npm, crates.io, Hex.
pub(super) const SEMVER: Dialect = Dialect { numbers: 3, fold_case: false, build: false };
/// .NET.
pub(super) const NUGET: Dialect = Dialect { numbers: 4, fold_case: true, build: false };
/// Dart.
pub(super) const PUB: Dialect = Dialect { numbers: 3, fold_case: false, build: true };

struct Version<'a> {
    numbers: [&'a str; 4],
    pre_release: Option<&'a str>,
    build: Option<&'a str>,
}

impl Dialect {
    /// Compares two versions.
    pub(super) fn compare(&self, a: &str, b: &str) -> Ordering {
        let (a, b) = (self.parse(a), self.parse(b));
        let numbers = a.numbers.iter().zip(&b.numbers).map(|(a, b)| digits::compare(a, b));
        numbers
            .into_iter()
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
            .then_with(|| match (a.pre_release, b.pre_release) {
                (Some(a), Some(b)) => self.compare_identifiers(a, b),
                (a, b) => b.is_some().cmp(&a.is_some()),
            })
            .then_with(|| match (a.build, b.build) {
                _ if !self.build => Ordering::Equal,
                (Some(a), Some(b)) => self.compare_identifiers(a, b),
                (a, b) => a.is_some().cmp(&b.is_some()),
            })
    }

    fn parse<'a>(&self, text: &'a str) -> Version<'a> {
        let text = text.trim();
        let text = text.strip_prefix(['v', 'V', '=']).unwrap_or(text);
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, Some(build)),
            None => (text, None),
        };
        let mut version = Version { numbers: [""; 4], pre_release: None, build };
        let mut left = text;
        for at in 0..self.numbers {
            let (number, rest) = digits::split_run(left, |byte| byte.is_ascii_digit());
            version.numbers[at] = number;
            left = rest;
            match rest.strip_prefix('.') {
                Some(after) if !number.is_empty() && at + 1 < self.numbers => left = after,
                _ => break,
            }
        }
        version.pre_release = match left.as_bytes().first() {
            None => None,
            Some(b'-') => Some(&left[1..]),
            // More numbers than there should be belong to the build, up to a hyphen.
            Some(b'.') => left.split_once('-').map(|(_, pre)| pre),
            Some(_) => Some(left),
        };
        version
    }

    fn compare_identifiers(&self, a: &str, b: &str) -> Ordering {
        let (mut a, mut b) = (a.split('.'), b.split('.'));
        loop {
            let order = match (a.next(), b.next()) {
                (None, None) => return Ordering::Equal,
                (Some(a), Some(b)) => match (digits::is_number(a), digits::is_number(b)) {
                    (true, true) => digits::compare(a, b),
                    (false, false) if self.fold_case => {
                        let fold = |text: &str| text.to_ascii_lowercase();
                        fold(a).cmp(&fold(b))
                    }
                    (false, false) => a.cmp(b),
                    (a, b) => b.cmp(&a),
                },
                (a, b) => a.is_some().cmp(&b.is_some()),
            };
            if order.is_ne() {
                return order;
            }
        }
    }
}
