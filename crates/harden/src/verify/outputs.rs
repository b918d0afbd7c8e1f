//! Whether two runs of one step wrote the same.

use std::collections::BTreeMap;

use profile::Compare;
use serde::{Deserialize, Serialize};

/// A difference between the outputs of one step, as an excerpt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputDifference {
    /// `stdout` or `stderr`.
    pub stream: String,
    /// The first lines of the original that the hardened image's output lacks there.
    pub original: Vec<String>,
    /// The first lines of the hardened image that the original's output lacks there.
    pub hardened: Vec<String>,
    /// How many more lines differ.
    pub more: u64,
}

/// How many lines of each side an excerpt has, and how many characters of each line.
const EXCERPT_LINES: usize = 5;
const EXCERPT_CHARS: usize = 300;

/// Compares one stream; none if it is the same. Where only the outcome counts, outputs are held against each other
/// normalised, for information.
pub(super) fn difference(
    compare: Compare,
    stream: &str,
    original: &str,
    hardened: &str,
) -> Option<OutputDifference> {
    if original == hardened {
        return None;
    }
    let (original, hardened) = match compare {
        Compare::Exact => trim_common(original.split('\n').collect(), hardened.split('\n').collect()),
        Compare::Outcome | Compare::Normalised => {
            let (before, after) = (lines_by_form(original), lines_by_form(hardened));
            let (original, hardened) = (surplus(&before, &after), surplus(&after, &before));
            if original.is_empty() && hardened.is_empty() {
                return None;
            }
            (original, hardened)
        }
    };
    let excerpt = |lines: &[&str]| -> Vec<String> {
        let cut = |line: &&str| line.chars().take(EXCERPT_CHARS).collect();
        lines.iter().take(EXCERPT_LINES).map(cut).collect()
    };
    let more =
        [&original, &hardened].iter().map(|lines| lines.len().saturating_sub(EXCERPT_LINES)).sum::<usize>();
    Some(OutputDifference {
        stream: stream.to_owned(),
        original: excerpt(&original),
        hardened: excerpt(&hardened),
        more: u64::try_from(more).unwrap_or(u64::MAX),
    })
}

/// Takes away the lines that both begin and end with.
fn trim_common<'a>(mut before: Vec<&'a str>, mut after: Vec<&'a str>) -> (Vec<&'a str>, Vec<&'a str>) {
    let same = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    before.drain(..same);
    after.drain(..same);
    while let (Some(a), Some(b)) = (before.last(), after.last())
        && a == b
    {
        before.pop();
        after.pop();
    }
    (before, after)
}

/// The lines of an output by their normal form; empty lines do not count.
fn lines_by_form(output: &str) -> BTreeMap<String, Vec<&str>> {
    let mut lines: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for line in output.lines().filter(|line| !line.trim().is_empty()) {
        lines.entry(normalise(line)).or_default().push(line);
    }
    lines
}

/// Lines that one side has more often than the other, in the order of their form.
fn surplus<'a>(these: &BTreeMap<String, Vec<&'a str>>, those: &BTreeMap<String, Vec<&str>>) -> Vec<&'a str> {
    let mut surplus = Vec::new();
    for (form, lines) in these {
        let common = those.get(form).map_or(0, Vec::len);
        surplus.extend(lines.iter().skip(common));
    }
    surplus
}

/// The normal form of a line: every number, hex string, UUID, date and time is `#`, a chain of them with `.`, `,`,
/// `:`, `/`, `+` or `-` between is one `#`, and blanks are single.
///
/// A word is a hex string if it has six or more hex digits, a decimal one among them, or 32 or more of any kind, or
/// begins with `0x`. Names of days and months are dates.
pub fn normalise(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line.trim();
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.get(36..).filter(|_| is_uuid(rest)) {
            push_number(&mut out);
            rest = after;
        } else if first.is_ascii_alphanumeric() {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            push_word(&mut out, word);
            rest = after;
        } else if first.is_whitespace() {
            out.push(' ');
            rest = rest.trim_start();
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

fn push_word(out: &mut String, word: &str) {
    if is_hex(word) || is_date_word(word) {
        return push_number(out);
    }
    let mut rest = word;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if digits > 0 {
            push_number(out);
            rest = &rest[digits..];
            continue;
        }
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (text, after) = rest.split_at(letters);
        // The `T` and `Z` of `2026-11-22T13:51:22Z`.
        let of_time =
            rest.len() < word.len() && matches!((text, after.is_empty()), ("T", false) | ("Z", true));
        if !of_time {
            out.push_str(text);
        }
        rest = after;
    }
}

/// Adds `#`, as one with a number before it.
fn push_number(out: &mut String) {
    if out.ends_with('#') {
        return;
    }
    let chained = out.ends_with(['.', ',', ':', '/', '+', '-']) && out[..out.len() - 1].ends_with('#');
    if chained {
        out.pop();
    } else {
        out.push('#');
    }
}

fn is_hex(word: &str) -> bool {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    let all_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let likely = match digits.len() {
        32.. => true,
        6.. => digits.bytes().any(|byte| byte.is_ascii_digit()),
        _ => false,
    };
    all_hex && (likely || digits.len() < word.len())
}

fn is_uuid(text: &str) -> bool {
    let Some(uuid) = text.as_bytes().get(..36) else { return false };
    let ends = text.as_bytes().get(36).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    let fits = |(position, byte): (usize, &u8)| match position {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    ends && uuid.iter().enumerate().all(fits)
}

/// `Mon` to `Sunday`, `Jan` to `December`, written as in dates.
fn is_date_word(word: &str) -> bool {
    const NAMES: [&str; 19] = [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    NAMES.iter().any(|name| word == *name || (word.len() == 3 && name.starts_with(word)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_differs_from_run_to_run_has_one_form() {
        for (a, b) in [
            ("took 1.25 s", "took 980 s"),
            ("id 9f3c2a11e4b0", "id 123456789012"),
            (
                "run_id:0123456789abcdef0123456789abcdefabcdabcd",
                "run_id:ffffffffffffffffffffffffffffffffffffffff",
            ),
            ("at 0x7f00", "at 0xdeadbeef"),
            ("2026-11-22T13:51:22Z start", "2025-01-02T03:04:05.678Z start"),
            ("Sun Nov 22 13:51:22 UTC 2026", "Fri May  1 03:04:05 UTC 2026"),
            ("[22/Nov/2026:13:51:22 +0000] GET", "[01/Dec/2026:00:00:00 +0000] GET"),
            ("uuid f81d4fae-7dec-11d0-a765-00a0c91e6bf6.", "uuid 00000000-aaaa-bbbb-cccc-dddddddddddd."),
            ("1:M 22 Nov 2026 13:51:22.123 * Ready", "7:M 23 Nov 2026 13:51:22.4 * Ready"),
            ("a\t b", "a b "),
        ] {
            assert_eq!(normalise(a), normalise(b), "{a} | {b}");
        }
    }

    #[test]
    fn what_a_program_says_keeps_its_form() {
        for (a, b) in [
            ("PONG", "ERR"),
            ("12 keys", "12 values"),
            ("added", "failed"),
            ("facade", "decade"),
            ("No such file", "Permission denied"),
            ("a-1", "b-1"),
        ] {
            assert_ne!(normalise(a), normalise(b), "{a} | {b}");
        }
    }

    #[test]
    fn lines_are_compared_in_any_order_unless_exact() {
        let (a, b) = ("b 1\na 2\n\n", "a 3\nb 4\n");
        assert_eq!(difference(Compare::Normalised, "stdout", a, b), None);
        assert!(difference(Compare::Exact, "stdout", a, b).is_some());
    }

    #[test]
    fn an_excerpt_shows_what_differs_and_says_how_much_more_does() {
        let before: String = (0..3).chain(10..20).map(|n| format!("line {}\n", "x".repeat(n))).collect();
        let after: String = (0..3).map(|n| format!("line {}\n", "x".repeat(n))).collect();
        for compare in [Compare::Exact, Compare::Normalised] {
            let found = difference(compare, "stdout", &before, &after).unwrap();
            assert_eq!((found.original.len(), found.hardened.len(), found.more), (5, 0, 5), "{compare:?}");
            assert_eq!(found.original[0], format!("line {}", "x".repeat(10)));
        }
        let lacks_newline = difference(Compare::Exact, "stdout", "a\n", "a").unwrap();
        assert_eq!((lacks_newline.original, lacks_newline.hardened), (vec![String::new()], vec![]));
    }

    proptest! {
        #[test]
        fn a_normal_form_is_its_own(line in "[\\PC#0-9a-fTZ:. -]{0,60}") {
            let once = normalise(&line);
            prop_assert!(!once.bytes().any(|byte| byte.is_ascii_digit()));
        }

        #[test]
        fn an_output_never_differs_from_itself(text in "(\\PC{0,10}\n){0,5}") {
            for compare in [Compare::Exact, Compare::Normalised, Compare::Outcome] {
                prop_assert_eq!(difference(compare, "stdout", &text, &text), None);
            }
        }
    }
}
