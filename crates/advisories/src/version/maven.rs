//! Maven: numbers and qualifiers, separated by dots, hyphens, or a change between digits and letters, which counts as
//! a hyphen.
//!
//! Source: Maven, "POM Reference", "Version Order Specification".

use std::cmp::Ordering;

use super::digits;

/// Qualifiers with a place of their own; others come after them, by the alphabet.
const QUALIFIERS: [&str; 7] = ["alpha", "beta", "milestone", "rc", "snapshot", "", "sp"];

/// Compares two versions.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim().to_lowercase(), b.trim().to_lowercase());
    let (a, b) = (tokens(&a), tokens(&b));
    for at in 0..a.len().max(b.len()) {
        let order = match (a.get(at), b.get(at)) {
            (Some(a), Some(b)) => a.compare(b),
            (Some(a), None) => a.compare_null(),
            (None, Some(b)) => b.compare_null().reverse(),
            (None, None) => Ordering::Equal,
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token<'a> {
    hyphen: bool,
    value: Value<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value<'a> {
    Number(&'a str),
    Qualifier(&'a str),
}

impl Token<'_> {
    /// Whether it stands for nothing: `0`, `final`, `ga`, `release`.
    fn is_null(&self) -> bool {
        match self.value {
            Value::Number(number) => digits::significant(number).is_empty(),
            Value::Qualifier(qualifier) => qualifier.is_empty(),
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self.value, other.value) {
            (Value::Number(a), Value::Number(b)) if self.hyphen == other.hyphen => digits::compare(a, b),
            (Value::Qualifier(a), Value::Qualifier(b)) if self.hyphen == other.hyphen => {
                compare_qualifiers(a, b)
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// Qualifiers after a dot, those after a hyphen, numbers after a hyphen, those after a dot.
    fn rank(&self) -> u8 {
        match self.value {
            Value::Qualifier(_) if self.hyphen => 1,
            Value::Qualifier(_) => 0,
            Value::Number(_) if self.hyphen => 2,
            Value::Number(_) => 3,
        }
    }

    fn compare_null(&self) -> Ordering {
        match self.value {
            Value::Number(number) => digits::compare(number, ""),
            Value::Qualifier(qualifier) => compare_qualifiers(qualifier, ""),
        }
    }
}

fn compare_qualifiers(a: &str, b: &str) -> Ordering {
    let place = |text: &str| QUALIFIERS.iter().position(|known| *known == text);
    match (place(a), place(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (None, None) => a.cmp(b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// The tokens of a version in lower case, those that stand for nothing removed before each hyphen and at the end.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let mut left = text;
    let mut hyphen = false;
    loop {
        let number = left.starts_with(|c: char| c.is_ascii_digit());
        let end =
            left.find(|c: char| matches!(c, '.' | '-') || c.is_ascii_digit() != number).unwrap_or(left.len());
        let (run, after) = left.split_at(end);
        let value = match run {
            "" => Value::Number("0"),
            _ if number => Value::Number(run),
            _ => Value::Qualifier(qualifier(run, after.starts_with(|c: char| c.is_ascii_digit()))),
        };
        if hyphen {
            trim(&mut tokens);
        }
        tokens.push(Token { hyphen, value });
        let Some(separator) = after.chars().next() else { break };
        hyphen = separator != '.';
        left = if matches!(separator, '.' | '-') { &after[1..] } else { after };
    }
    trim(&mut tokens);
    tokens
}

/// The one name of a qualifier that has several.
fn qualifier(text: &str, before_number: bool) -> &str {
    match text {
        "a" if before_number => "alpha",
        "b" if before_number => "beta",
        "m" if before_number => "milestone",
        "cr" => "rc",
        "final" | "ga" | "release" => "",
        _ => text,
    }
}

fn trim(tokens: &mut Vec<Token<'_>>) {
    while tokens.len() > 1 && tokens.last().is_some_and(Token::is_null) {
        tokens.pop();
    }
}
