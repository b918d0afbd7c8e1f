//! What packages call their licences, in SPDX's words where those exist.

use std::collections::BTreeSet;

/// The licences of a package: all of them apply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Licence {
    /// Each once, in the order found; empty where nothing is known.
    pub terms: Vec<Term>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Term {
    /// An SPDX expression, such as `GPL-2.0-or-later` or `MIT OR Apache-2.0`.
    Expression(String),
    /// What the package calls it, where SPDX has no such word.
    Named(String),
}

/// How many terms of one package are told, and how long each may be.
const MAX_TERMS: usize = 64;
const MAX_TERM_BYTES: usize = 200;

/// Names that packages use and SPDX does not, lower case; versions and `+` cut off where that is told by
/// [`versioned`].
const NAMES: [(&str, &str); 40] = [
    ("apache", "Apache-2.0"),
    ("apache 2", "Apache-2.0"),
    ("apache 2.0", "Apache-2.0"),
    ("apache license 2.0", "Apache-2.0"),
    ("apache license, version 2.0", "Apache-2.0"),
    ("apache software license", "Apache-2.0"),
    ("apache-2", "Apache-2.0"),
    ("artistic", "Artistic-1.0-Perl"),
    ("artistic-1", "Artistic-1.0-Perl"),
    ("artistic-2", "Artistic-2.0"),
    ("asl 2.0", "Apache-2.0"),
    ("boost", "BSL-1.0"),
    ("boost-1.0", "BSL-1.0"),
    ("bsd", "BSD-3-Clause"),
    ("bsd license", "BSD-3-Clause"),
    ("bsd-2", "BSD-2-Clause"),
    ("bsd-3", "BSD-3-Clause"),
    ("bsd-4", "BSD-4-Clause"),
    ("cc0", "CC0-1.0"),
    ("curl", "curl"),
    ("expat", "MIT"),
    ("isc license (iscl)", "ISC"),
    ("isc license", "ISC"),
    ("mit license", "MIT"),
    ("mit/x11", "MIT"),
    ("mit-1", "MIT"),
    ("the mit license", "MIT"),
    ("mpl 2.0", "MPL-2.0"),
    ("mozilla public license 2.0 (mpl 2.0)", "MPL-2.0"),
    ("openssl", "OpenSSL"),
    ("perl", "GPL-1.0-or-later OR Artistic-1.0-Perl"),
    ("psf", "PSF-2.0"),
    ("psf-2", "PSF-2.0"),
    ("psfl", "PSF-2.0"),
    ("python software foundation license", "PSF-2.0"),
    ("python", "Python-2.0"),
    ("unicode", "Unicode-3.0"),
    ("vim", "Vim"),
    ("x11", "X11"),
    ("zlib/libpng", "Zlib"),
];

impl Licence {
    /// The licences that these texts name.
    pub fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut seen = BTreeSet::new();
        let terms = texts.into_iter().filter_map(term).flat_map(operands);
        let terms = terms.filter(|term| seen.insert(term.clone()));
        Self { terms: terms.take(MAX_TERMS).collect() }
    }

    /// One SPDX expression for all, with `named` for the licences that SPDX does not know; none if nothing is known.
    pub fn expression(&self, named: impl Fn(&str) -> String) -> Option<String> {
        let alone = self.terms.len() == 1;
        let part = |term: &Term| match term {
            Term::Expression(text) if !alone && text.contains(" OR ") => format!("({text})"),
            Term::Expression(text) => text.clone(),
            Term::Named(name) => named(name),
        };
        (!self.terms.is_empty()).then(|| self.terms.iter().map(part).collect::<Vec<_>>().join(" AND "))
    }

    /// The same where SPDX knows every one.
    pub fn standard_expression(&self) -> Option<String> {
        let all = self.terms.iter().all(|term| matches!(term, Term::Expression(_)));
        self.expression(str::to_owned).filter(|_| all)
    }

    /// The names that SPDX does not know.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().filter_map(|term| match term {
            Term::Named(name) => Some(name.as_str()),
            Term::Expression(_) => None,
        })
    }
}

/// What one text calls licences; none for an empty one.
pub fn term(text: &str) -> Option<Term> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.trim_end_matches([',', '.', ';']);
    if text.is_empty() || matches!(text, "UNKNOWN" | "NOASSERTION" | "NONE" | "UNLICENSED") {
        return None;
    }
    let short: String = text.chars().filter(|c| !c.is_control()).take(MAX_TERM_BYTES).collect();
    let found = (short.len() == text.len()).then(|| expression(&short)).flatten();
    Some(found.map_or(Term::Named(short), Term::Expression))
}

/// What an expression joins by `AND`, each for itself: several texts name the same.
fn operands(term: Term) -> Vec<Term> {
    match term {
        Term::Expression(text) if text.contains(" AND ") && !text.contains(" OR ") && !text.contains('(') => {
            text.split(" AND ").map(|one| Term::Expression(one.to_owned())).collect()
        }
        term => vec![term],
    }
}

/// The `LicenseRef-…` for a licence that SPDX does not know.
pub fn reference(name: &str) -> String {
    let mut id = String::from("LicenseRef-");
    for character in name.chars().take(100) {
        let plain = character.is_ascii_alphanumeric() || character == '.';
        if plain {
            id.push(character);
        } else if !id.ends_with('-') {
            id.push('-');
        }
    }
    // Names that differ in what was left out must not become one licence.
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
    let id = id.trim_end_matches('-').to_owned();
    if plain && id.len() > "LicenseRef".len() && name.len() <= 100 {
        return id;
    }
    format!("{id}-{}", &image::Digest::of(name.as_bytes()).hex()[..8])
}

/// An SPDX expression of a text that is one, or that says the same in the words of Debian and others.
fn expression(text: &str) -> Option<String> {
    let whole = single(text);
    if whole.is_some() {
        return whole;
    }
    // `A, and B` is `(…) and B`: the comma binds weaker than the words. Source: DEP-5, "License short name".
    let spaced =
        text.replace('(', " ( ").replace(')', " ) ").replace(" and/or ", " or ").replace('|', " or ");
    let mut out: Vec<String> = Vec::new();
    let mut operand: Vec<&str> = Vec::new();
    let flush = |operand: &mut Vec<&str>, out: &mut Vec<String>| {
        let text = operand.join(" ");
        operand.clear();
        if text.is_empty() {
            return Some(());
        }
        let found = single(&text)?;
        out.push(if found.contains(' ') && !found.contains(" WITH ") { format!("({found})") } else { found });
        Some(())
    };
    for word in spaced.split_whitespace() {
        let bare = word.trim_end_matches(',');
        match bare.to_ascii_lowercase().as_str() {
            joint @ ("and" | "or" | "(" | ")") => {
                flush(&mut operand, &mut out)?;
                out.push(joint.to_ascii_uppercase());
            }
            _ if bare.len() < word.len() => {
                operand.push(bare);
                flush(&mut operand, &mut out)?;
                // Commas between licences cannot be told from those that group, unless no `or` is there.
                out.push(",".to_owned());
            }
            _ => operand.push(bare),
        }
    }
    flush(&mut operand, &mut out)?;
    let has_or = out.iter().any(|word| word == "OR");
    let mut words: Vec<&str> = Vec::new();
    for (at, word) in out.iter().enumerate() {
        if word != "," {
            words.push(word);
        } else if has_or {
            return None;
        } else if out.get(at + 1).is_some_and(|next| next != "AND") {
            words.push("AND");
        }
    }
    let joined = words.join(" ").replace("( ", "(").replace(" )", ")");
    checked(&joined)
}

/// The text itself if it is a strict SPDX expression, its IDs in SPDX's case.
fn checked(text: &str) -> Option<String> {
    let word = |word: &str| match word.to_ascii_lowercase().as_str() {
        joint @ ("and" | "or" | "with") => joint.to_ascii_uppercase(),
        _ => word.to_owned(),
    };
    let text = text.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    spdx::Expression::parse(&text).ok().map(|_| text)
}

/// One licence, with an exception or without.
fn single(text: &str) -> Option<String> {
    if let Some(found) = checked(text) {
        return Some(found);
    }
    let lower = text.to_ascii_lowercase();
    if let Some((_, found)) = NAMES.iter().find(|(name, _)| *name == lower) {
        return Some((*found).to_owned());
    }
    if let Some((licence, exception)) = lower.split_once(" with ") {
        // `Classpath exception` is `Classpath-exception-2.0`, where no other version is known.
        let name = format!("{}-exception", exception.replace(' ', "-").trim_end_matches("-exception"));
        let versions = |id: &&str| id.to_ascii_lowercase().starts_with(&name);
        let mut known = spdx::identifiers::EXCEPTIONS.iter().map(|exception| exception.name).filter(versions);
        let found = known.next().filter(|first| known.all(|other| other.starts_with(first)))?;
        return checked(&format!("{} WITH {found}", single(licence)?));
    }
    versioned(&lower).or_else(|| {
        let mut ids = spdx::identifiers::LICENSES.iter().map(|licence| licence.name);
        ids.find(|id| id.eq_ignore_ascii_case(&lower)).map(str::to_owned)
    })
}

/// `gpl-2+`, `lgplv2.1`, `agpl-3.0`, `gfdl-1.3` as SPDX writes them.
fn versioned(lower: &str) -> Option<String> {
    let (rest, later) = match lower.strip_suffix('+').or_else(|| lower.strip_suffix("-or-later")) {
        Some(rest) => (rest, true),
        None => (lower.strip_suffix("-only").unwrap_or(lower), false),
    };
    let families = [("lgpl", "LGPL"), ("agpl", "AGPL"), ("gpl", "GPL"), ("gfdl", "GFDL"), ("fdl", "GFDL")];
    let (rest, family) =
        families.iter().find_map(|(name, family)| Some((rest.strip_prefix(name)?, *family)))?;
    let niv = ["-niv", "-no-invariants", "-no-invariant"];
    let (rest, invariants) = niv.iter().fold((rest.to_owned(), ""), |(rest, found), word| {
        let without = rest.replacen(word, "", 1);
        let found = if without.len() < rest.len() { "no-invariants-" } else { found };
        (without, found)
    });
    let (rest, later) = rest.strip_suffix('+').map_or((rest.as_str(), later), |rest| (rest, true));
    let version = rest.trim_start_matches(['-', ' ', 'v']);
    // `GPL` alone is any version of it.
    let (version, later) = match version {
        "" if family == "GFDL" => ("1.1", true),
        "" if family == "LGPL" => ("2.0", true),
        "" if family == "AGPL" => ("3.0", true),
        "" => ("1.0", true),
        version => (version, later),
    };
    let version = if version.contains('.') { version.to_owned() } else { format!("{version}.0") };
    checked(&format!("{family}-{version}-{invariants}{}", if later { "or-later" } else { "only" }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_distributions_become_those_of_spdx() {
        for (text, expected) in [
            ("GPL-2+", "GPL-2.0-or-later"),
            ("GPL-2", "GPL-2.0-only"),
            ("GPLv3+", "GPL-3.0-or-later"),
            ("gpl", "GPL-1.0-or-later"),
            ("LGPL-2.1+", "LGPL-2.1-or-later"),
            ("GFDL-1.3", "GFDL-1.3-only"),
            ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
            ("GFDL-1.3+-no-invariant", "GFDL-1.3-no-invariants-or-later"),
            ("Expat", "MIT"),
            ("BSD-3-clause", "BSD-3-Clause"),
            ("Artistic or GPL-1+", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
            ("GPL-2+ and LGPL-2.1+", "GPL-2.0-or-later AND LGPL-2.1-or-later"),
            ("GPL-2+, and Expat", "GPL-2.0-or-later AND MIT"),
            ("GPL-2, LGPL-2, Expat", "GPL-2.0-only AND LGPL-2.0-only AND MIT"),
            ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
            ("(MIT or Apache-2) and ISC", "(MIT OR Apache-2.0) AND ISC"),
            ("GPL-2 with Classpath exception", "GPL-2.0-only WITH Classpath-exception-2.0"),
            ("Apache License, Version 2.0", "Apache-2.0"),
        ] {
            let found = term(text);
            assert_eq!(found, Some(Term::Expression(expected.into())), "{text}");
        }
    }

    #[test]
    fn what_spdx_does_not_know_keeps_its_name() {
        for text in ["public-domain", "GPL-2+ or GAP, and BSD", "permissive and odd", "or"] {
            assert_eq!(term(text), Some(Term::Named(text.into())));
        }
        assert_eq!(term(" \n"), None);
    }

    #[test]
    fn several_licences_apply_together() {
        let licence = Licence::of(["MIT OR ISC", "GPL-2+", "GPL-2+", "odd one"]);
        assert_eq!(
            licence.expression(reference).unwrap(),
            format!("(MIT OR ISC) AND GPL-2.0-or-later AND {}", reference("odd one"))
        );
        assert_eq!(licence.standard_expression(), None);
    }

    #[test]
    fn references_of_different_names_differ() {
        assert_eq!(reference("public-domain"), "LicenseRef-public-domain");
        assert_ne!(reference("a/b"), reference("a b"));
        assert_ne!(reference("\u{fc}"), reference("\u{e4}"));
    }

    proptest! {
        #[test]
        fn any_text_is_an_expression_or_a_name(text in "[A-Za-z0-9+., ()|\u{fc}-]{0,80}") {
            if let Some(Term::Expression(found)) = term(&text) {
                prop_assert!(spdx::Expression::parse(&found).is_ok(), "{}", found);
            }
        }
    }
}
