//! Python: PEP 440, and for what it does not allow the order that Python's tools had before it, below all others.
//!
//! Source: PEP 440, "Summary of permitted suffixes and relative ordering" and Appendix B; setuptools,
//! "Specifying Your Project's Version".

use std::cmp::Ordering;

use super::digits;

/// Compares two versions.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim().to_ascii_lowercase(), b.trim().to_ascii_lowercase());
    match (Version::parse(&a), Version::parse(&b)) {
        (Some(a), Some(b)) => a.compare(&b),
        (None, None) => compare_legacy(&a, &b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

#[derive(Debug)]
struct Version<'a> {
    epoch: &'a str,
    /// Without zeros at the end.
    release: Vec<&'a str>,
    pre: Option<(Phase, &'a str)>,
    post: Option<&'a str>,
    dev: Option<&'a str>,
    local: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Only a development release of the final one: before `a`.
    Development,
    Alpha,
    Beta,
    Candidate,
    Final,
}

const PHASES: [(&str, Phase); 8] = [
    ("alpha", Phase::Alpha),
    ("beta", Phase::Beta),
    ("preview", Phase::Candidate),
    ("pre", Phase::Candidate),
    ("rc", Phase::Candidate),
    ("a", Phase::Alpha),
    ("b", Phase::Beta),
    ("c", Phase::Candidate),
];

impl<'a> Version<'a> {
    /// Parses a version in lower case.
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (public, local) = match text.split_once('+') {
            Some((public, local)) if is_local(local) => (public, Some(local)),
            Some(_) => return None,
            None => (text, None),
        };
        let (epoch, mut rest) = match public.split_once('!') {
            Some((epoch, rest)) if digits::is_number(epoch) => (epoch, rest),
            Some(_) => return None,
            None => ("", public),
        };
        let mut release = vec![number(&mut rest)?];
        while let Some(mut after) = rest.strip_prefix('.')
            && let Some(next) = number(&mut after)
        {
            release.push(next);
            rest = after;
        }
        while release.last().is_some_and(|last| digits::significant(last).is_empty()) {
            release.pop();
        }
        let pre = PHASES
            .iter()
            .find_map(|(word, phase)| suffix(&mut rest, &[*word]).map(|number| (*phase, number)));
        let post = implicit_post(&mut rest).or_else(|| suffix(&mut rest, &["post", "rev", "r"]));
        let dev = suffix(&mut rest, &["dev"]);
        rest.is_empty().then_some(Self { epoch, release, pre, post, dev, local })
    }

    fn compare(&self, other: &Self) -> Ordering {
        digits::compare(self.epoch, other.epoch)
            .then_with(|| compare_numbers(&self.release, &other.release))
            .then_with(|| {
                let ((phase_a, number_a), (phase_b, number_b)) = (self.phase(), other.phase());
                phase_a.cmp(&phase_b).then_with(|| digits::compare(number_a, number_b))
            })
            .then_with(|| match (self.post, other.post) {
                (Some(a), Some(b)) => digits::compare(a, b),
                (a, b) => a.is_some().cmp(&b.is_some()),
            })
            .then_with(|| match (self.dev, other.dev) {
                (Some(a), Some(b)) => digits::compare(a, b),
                (a, b) => b.is_some().cmp(&a.is_some()),
            })
            .then_with(|| match (self.local, other.local) {
                (Some(a), Some(b)) => compare_local(a, b),
                (a, b) => a.is_some().cmp(&b.is_some()),
            })
    }

    fn phase(&self) -> (Phase, &'a str) {
        match self.pre {
            Some(pre) => pre,
            None if self.post.is_none() && self.dev.is_some() => (Phase::Development, ""),
            None => (Phase::Final, ""),
        }
    }
}

fn compare_numbers(a: &[&str], b: &[&str]) -> Ordering {
    a.iter()
        .zip(b)
        .map(|(a, b)| digits::compare(a, b))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.len().cmp(&b.len()))
}

const SEPARATORS: [char; 3] = ['.', '-', '_'];

fn is_local(text: &str) -> bool {
    text.split(SEPARATORS)
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn compare_local(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split(SEPARATORS), b.split(SEPARATORS));
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

/// Takes a number, at least one digit.
fn number<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (number, left) = digits::split_run(rest, |byte| byte.is_ascii_digit());
    *rest = left;
    (!number.is_empty()).then_some(number)
}

/// Takes `[.-_]?word[.-_]?number?` and gives the number, which may be empty.
fn suffix<'a>(rest: &mut &'a str, words: &[&str]) -> Option<&'a str> {
    let begun = rest.strip_prefix(SEPARATORS).unwrap_or(rest);
    let after = words.iter().find_map(|word| begun.strip_prefix(word))?;
    *rest = after.strip_prefix(SEPARATORS).unwrap_or(after);
    Some(number(rest).unwrap_or_default())
}

/// Takes the `-1` of `1.0-1`, which means `.post1`.
fn implicit_post<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let mut after = rest.strip_prefix('-')?;
    let number = number(&mut after)?;
    *rest = after;
    Some(number)
}

#[derive(Debug, PartialEq, Eq)]
enum LegacyPart<'a> {
    Word(&'a str),
    Number(&'a str),
}

fn compare_legacy(a: &str, b: &str) -> Ordering {
    let (a, b) = (legacy_parts(a), legacy_parts(b));
    a.iter()
        .zip(&b)
        .map(|pair| match pair {
            (LegacyPart::Number(a), LegacyPart::Number(b)) => digits::compare(a, b),
            (LegacyPart::Word(a), LegacyPart::Word(b)) => a.cmp(b),
            (LegacyPart::Word(_), LegacyPart::Number(_)) => Ordering::Less,
            (LegacyPart::Number(_), LegacyPart::Word(_)) => Ordering::Greater,
        })
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.len().cmp(&b.len()))
}

/// Runs of digits, runs of letters, hyphens and what is between; the end is a word that sorts after `alpha` and before
/// `post`.
fn legacy_parts(text: &str) -> Vec<LegacyPart<'_>> {
    const END: LegacyPart<'_> = LegacyPart::Word("final");
    const HYPHEN: LegacyPart<'_> = LegacyPart::Word("final-");
    let class = |c: char| match c {
        '0'..='9' => 0,
        'a'..='z' => 1,
        '.' => 2,
        '-' => 3,
        _ => 4,
    };
    let mut parts = Vec::new();
    let mut left = text;
    while let Some(first) = left.chars().next() {
        let alone = matches!(first, '.' | '-');
        let end = if alone { Some(1) } else { left.find(|c| class(c) != class(first)) };
        let (run, rest) = left.split_at(end.unwrap_or(left.len()));
        left = rest;
        let word = match run {
            "." => continue,
            _ if first.is_ascii_digit() => {
                parts.push(LegacyPart::Number(run));
                continue;
            }
            "-" => "final-",
            "pre" | "preview" | "rc" => "c",
            "dev" => "@",
            word => word,
        };
        push_legacy_word(&mut parts, LegacyPart::Word(word), &HYPHEN);
    }
    push_legacy_word(&mut parts, END, &HYPHEN);
    parts
}

/// Appends a word; hyphens before one for what is not finished do not count, nor do zeros before any word.
fn push_legacy_word<'a>(parts: &mut Vec<LegacyPart<'a>>, word: LegacyPart<'a>, hyphen: &LegacyPart<'a>) {
    if matches!(word, LegacyPart::Word(text) if text < "final") {
        while parts.last() == Some(hyphen) {
            parts.pop();
        }
    }
    while matches!(parts.last(), Some(LegacyPart::Number(last)) if digits::significant(last).is_empty()) {
        parts.pop();
    }
    parts.push(word);
}
