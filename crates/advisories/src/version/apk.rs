//! apk: `number{.number}[letter]{_suffix[number]}[~hash][-r number]`.
//!
//! Versions compare token by token. Where one ends, or goes on with something of another kind, the kinds decide; a
//! suffix like `_rc` sorts before the end. A number after a dot that begins with zero compares as text. What fits
//! nowhere sorts before everything that does.
//!
//! Source: Alpine's `apk-package(5)`, "Package metadata", `pkgver`; Gentoo Package Manager Specification 3.3.

use std::cmp::Ordering;

use super::digits;

/// Suffixes for what is not finished, and those for what came after; in their order.
const BEFORE: [&str; 4] = ["alpha", "beta", "pre", "rc"];
const AFTER: [&str; 5] = ["cvs", "svn", "git", "hg", "p"];

/// The kinds of tokens. Where two versions differ in kind, the one with the later kind is the lower version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    FirstNumber,
    Number,
    Letter,
    /// A dot without a number.
    NoNumber,
    Suffix,
    SuffixNumber,
    Hash,
    Revision,
    End,
    Invalid,
}

#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
}

/// Compares two versions.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut rest_a, mut rest_b) = (a, b);
    let (mut a, mut b) = (first(&mut rest_a), first(&mut rest_b));
    while a.kind == b.kind && a.kind < Kind::End {
        let order = a.compare(&b);
        if order.is_ne() {
            return order;
        }
        (a, b) = (next(a.kind, &mut rest_a), next(b.kind, &mut rest_b));
    }
    match (a.is_before_end(), b.is_before_end()) {
        _ if a.kind == b.kind => Ordering::Equal,
        (true, _) => Ordering::Less,
        (_, true) => Ordering::Greater,
        _ => b.kind.cmp(&a.kind),
    }
}

impl Token<'_> {
    fn compare(&self, other: &Self) -> Ordering {
        let (a, b) = (self.text, other.text);
        match self.kind {
            Kind::Number if a.starts_with('0') || b.starts_with('0') => a.cmp(b),
            Kind::FirstNumber | Kind::Number | Kind::SuffixNumber | Kind::Revision => digits::compare(a, b),
            Kind::Suffix => suffix(a).cmp(&suffix(b)),
            _ => a.cmp(b),
        }
    }

    fn is_before_end(&self) -> bool {
        self.kind == Kind::Suffix && BEFORE.contains(&self.text)
    }
}

/// Place of a suffix in the order of all.
fn suffix(text: &str) -> Option<usize> {
    BEFORE.iter().chain(&AFTER).position(|known| *known == text)
}

fn first<'a>(rest: &mut &'a str) -> Token<'a> {
    Token { kind: Kind::FirstNumber, text: take_number(rest) }
}

/// The token after one of this kind.
fn next<'a>(after: Kind, rest: &mut &'a str) -> Token<'a> {
    let text = *rest;
    let Some(first) = text.bytes().next() else { return Token { kind: Kind::End, text } };
    let numbers = after < Kind::Letter || after == Kind::NoNumber;
    let token = match first {
        b'0'..=b'9' if after == Kind::Letter => Some((Kind::Number, take_number(rest))),
        b'0'..=b'9' if after == Kind::Suffix => Some((Kind::SuffixNumber, take_number(rest))),
        b'a'..=b'z' if numbers => {
            *rest = &text[1..];
            Some((Kind::Letter, &text[..1]))
        }
        b'.' if numbers => {
            *rest = &text[1..];
            let number = take_number(rest);
            Some((if number.is_empty() { Kind::NoNumber } else { Kind::Number }, number))
        }
        b'_' if after < Kind::Hash => {
            let (name, left) = digits::split_run(&text[1..], |byte| byte.is_ascii_lowercase());
            *rest = left;
            suffix(name).map(|_| (Kind::Suffix, name))
        }
        b'~' if after < Kind::Hash => {
            let (hash, left) = digits::split_run(&text[1..], |byte| byte.is_ascii_hexdigit());
            *rest = left;
            Some((Kind::Hash, hash))
        }
        b'-' if after < Kind::Revision && begins_revision(&text[1..]) => {
            *rest = &text[2..];
            Some((Kind::Revision, take_number(rest)))
        }
        _ => None,
    };
    token.map_or(Token { kind: Kind::Invalid, text }, |(kind, text)| Token { kind, text })
}

/// Whether this is an `r` and no longer word.
fn begins_revision(text: &str) -> bool {
    text.strip_prefix('r').is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_alphabetic()))
}

fn take_number<'a>(rest: &mut &'a str) -> &'a str {
    let (number, left) = digits::split_run(rest, |byte| byte.is_ascii_digit());
    *rest = left;
    number
}
