//! dpkg: `[epoch:]upstream[-revision]`.
//!
//! Letters sort before other characters, `~` before everything, even the end. Characters that no version may have
//! sort by their code, as dpkg has them; an epoch that is no number is part of the upstream version.
//!
//! Source: Debian Policy Manual 4.7, 5.6.12 "Version"; `deb-version(7)`.

use std::cmp::Ordering;

use super::digits;

/// Compares two versions.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Version::parse(a), Version::parse(b));
    digits::compare(a.epoch, b.epoch)
        .then_with(|| compare_part(a.upstream, b.upstream))
        .then_with(|| compare_part(a.revision, b.revision))
}

struct Version<'a> {
    epoch: &'a str,
    upstream: &'a str,
    revision: &'a str,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Self {
        let text = text.trim();
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) if digits::is_number(epoch) => (epoch, rest),
            _ => ("", text),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Self { epoch, upstream, revision }
    }
}

/// Compares texts and numbers in turn, each text character by character.
fn compare_part(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (text_a, rest_a) = split_text(a);
        let (text_b, rest_b) = split_text(b);
        let (number_a, rest_a) = digits::split_run(rest_a, |byte| byte.is_ascii_digit());
        let (number_b, rest_b) = digits::split_run(rest_b, |byte| byte.is_ascii_digit());
        let order = compare_text(text_a, text_b).then_with(|| digits::compare(number_a, number_b));
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

fn split_text(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| byte.is_ascii_digit()).unwrap_or(text.len()))
}

fn compare_text(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let weights = |bytes: &[u8], at: usize| bytes.get(at).map_or(0, |byte| weight(*byte));
    (0..a.len().max(b.len()))
        .map(|at| weights(a, at).cmp(&weights(b, at)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Where a byte stands: `~`, the end (0), letters, all others.
fn weight(byte: u8) -> i16 {
    match byte {
        b'~' => -1,
        b'a'..=b'z' | b'A'..=b'Z' => i16::from(byte),
        _ => i16::from(byte) + 256,
    }
}
