//! rpm: `[epoch:]version[-release]`.
//!
//! Versions are runs of letters or of digits; everything between them only separates. Digits beat letters, `~` sorts
//! before the end, `^` after the end but before anything else. An epoch is digits before a colon; a version without a
//! release is lower than the same one with a release.
//!
//! Source: rpm, `docs/manual/dependencies.md`, "Versioning".

use std::cmp::Ordering;

use super::digits;

/// Compares two versions.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Version::parse(a), Version::parse(b));
    digits::compare(a.epoch, b.epoch).then_with(|| compare_part(a.version, b.version)).then_with(|| {
        match (a.release, b.release) {
            (Some(a), Some(b)) => compare_part(a, b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        }
    })
}

struct Version<'a> {
    epoch: &'a str,
    version: &'a str,
    release: Option<&'a str>,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Self {
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) if digits::is_number(epoch) => (epoch, rest),
            _ => ("", text),
        };
        match rest.rsplit_once('-') {
            Some((version, release)) => Self { epoch, version, release: Some(release) },
            None => Self { epoch, version: rest, release: None },
        }
    }
}

fn compare_part(mut a: &str, mut b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    loop {
        (a, b) = (skip_separators(a), skip_separators(b));
        match (a.as_bytes().first(), b.as_bytes().first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => (a, b) = (&a[1..], &b[1..]),
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (Some(b'^'), None) => return Ordering::Greater,
            (None, Some(b'^')) => return Ordering::Less,
            (Some(b'^'), Some(_)) => return Ordering::Less,
            (Some(_), Some(b'^')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (first_a, first_b) if first_a.is_none() || first_b.is_none() => {
                return first_a.is_some().cmp(&first_b.is_some());
            }
            _ => {
                let (run_a, rest_a) = split_segment(a);
                let (run_b, rest_b) = split_segment(b);
                let order = match (digits::is_number(run_a), digits::is_number(run_b)) {
                    (true, true) => digits::compare(run_a, run_b),
                    (false, false) => run_a.cmp(run_b),
                    (a, b) => a.cmp(&b),
                };
                if order.is_ne() {
                    return order;
                }
                (a, b) = (rest_a, rest_b);
            }
        }
    }
}

fn skip_separators(text: &str) -> &str {
    text.trim_start_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '~' || c == '^'))
}

/// The run of digits or of letters at the beginning.
fn split_segment(text: &str) -> (&str, &str) {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        digits::split_run(text, |byte| byte.is_ascii_digit())
    } else {
        digits::split_run(text, |byte| byte.is_ascii_alphabetic())
    }
}
