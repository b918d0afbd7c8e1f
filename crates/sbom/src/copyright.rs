//! Licences that a Debian package's `copyright` names.
//!
//! A file in the machine-readable format has a `License:` field a paragraph, whose first line is the name. Any other
//! text is searched for references to `/usr/share/common-licenses` and for sentences that only one licence has. What
//! files of the source package have that never reached the binary package is named too: the file is about the source.
//!
//! Source: DEP-5 "Machine-readable debian/copyright file" 1.0; Debian policy 12.5.

use std::collections::{BTreeMap, BTreeSet};

use image::tree::ResolutionEnd;
use image::{Image, ImagePath, NodeKind};
use packages::{Ecosystem, Package};

use crate::licence::Licence;

/// How much of a file is read; real ones have up to 500 KB.
const MAX_BYTES: u64 = 1 << 20;
const COMMON: &str = "/usr/share/common-licenses/";

/// Sentences that only one licence has, in lower case with single spaces.
const PHRASES: [(&str, &str); 9] = [
    ("permission is hereby granted, free of charge, to any person obtaining a copy", "MIT"),
    (
        "permission to use, copy, modify, and/or distribute this software for any purpose with or without fee",
        "ISC",
    ),
    (
        "permission to use, copy, modify, and distribute this software for any purpose with or without fee",
        "ISC",
    ),
    ("licensed under the apache license, version 2.0", "Apache-2.0"),
    ("mozilla public license, v. 2.0", "MPL-2.0"),
    ("boost software license - version 1.0", "BSL-1.0"),
    ("this software is provided 'as-is', without any express or implied warranty", "Zlib"),
    ("you may do anything with this work that copyright law would normally require", "FSFAP"),
    ("in the public domain", "public-domain"),
];

/// The copyright files of one image: packages of one source often share one.
pub(crate) struct Copyrights<'a> {
    image: &'a Image,
    known: BTreeMap<ImagePath, Licence>,
}

impl<'a> Copyrights<'a> {
    pub(crate) fn new(image: &'a Image) -> Self {
        Self { image, known: BTreeMap::new() }
    }

    /// What a package says of its licences: in its database, or in its copyright file.
    pub(crate) fn licence(&mut self, package: &Package) -> Licence {
        if let Some(text) = &package.licence {
            return Licence::of([text.as_str()]);
        }
        if package.ecosystem != Ecosystem::Dpkg {
            return Licence::default();
        }
        let path = format!("/usr/share/doc/{}/copyright", package.name);
        let tree = self.image.tree();
        let ResolutionEnd::Found(file) = tree.resolve(&ImagePath::root(), path.as_bytes(), true).end else {
            return Licence::default();
        };
        if let Some(known) = self.known.get(&file) {
            return known.clone();
        }
        let fits = matches!(tree.get(&file).map(|node| &node.kind),
            Some(NodeKind::File { size_bytes, .. }) if *size_bytes <= MAX_BYTES);
        let text = fits.then(|| self.image.read_file(&file, MAX_BYTES).ok()).flatten().unwrap_or_default();
        let licence = parse(&String::from_utf8_lossy(&text));
        self.known.insert(file, licence.clone());
        licence
    }
}

/// The licences that a copyright file names.
pub fn parse(text: &str) -> Licence {
    let head = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let machine = head.get(..7).is_some_and(|field| field.eq_ignore_ascii_case("format:"))
        || head.get(..21).is_some_and(|field| field.eq_ignore_ascii_case("format-specification:"));
    let named = if machine { machine_readable(text) } else { Vec::new() };
    let licence = Licence::of(named.iter().map(String::as_str));
    if !licence.terms.is_empty() {
        return licence;
    }
    Licence::of(prose(text).iter().map(String::as_str))
}

/// The first line of every `License` field of a paragraph with `Files`, and of the header; of any paragraph where none
/// of those has one.
fn machine_readable(text: &str) -> Vec<String> {
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for (number, paragraph) in text.split("\n\n").enumerate() {
        let field = |name: &str| {
            paragraph.lines().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let Some(name) = field("License").filter(|name| !name.is_empty()) else { continue };
        if number == 0 || field("Files").is_some() {
            files.push(name);
        } else {
            others.push(name);
        }
    }
    if files.is_empty() { others } else { files }
}

/// What prose refers to and quotes.
fn prose(text: &str) -> BTreeSet<String> {
    let mut flat = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        flat.push_str(word.trim_start_matches(['#', '*']));
        flat.push(' ');
    }
    let lower = flat.to_ascii_lowercase();
    let later = lower.contains("any later version");
    let mut found = BTreeSet::new();
    for (at, _) in flat.match_indices(COMMON) {
        let rest = &flat[at + COMMON.len()..];
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-+.".contains(c))).unwrap_or(rest.len());
        let name = rest[..end].trim_end_matches(['.', '-', '+']);
        let gnu = name.contains("GPL") || name.contains("GFDL");
        if !name.is_empty() {
            found.insert(if gnu && later { format!("{name}+") } else { name.to_owned() });
        }
    }
    for (phrase, name) in PHRASES {
        // The Expat text also stands in what other words follow; the public domain is named in many that are not.
        if lower.contains(phrase) && (name != "public-domain" || found.is_empty()) {
            found.insert(name.to_owned());
        }
    }
    if lower.contains("redistribution and use in source and binary forms") {
        let third = lower.contains("neither the name") || lower.contains("may not be used to endorse");
        let fourth = lower.contains("all advertising materials");
        let name = if fourth {
            "BSD-4-Clause"
        } else if third {
            "BSD-3-Clause"
        } else {
            "BSD-2-Clause"
        };
        found.insert(name.to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::licence::Term;
    use proptest::prelude::*;

    fn expression(text: &str) -> String {
        parse(text).expression(str::to_owned).unwrap_or_default()
    }

    #[test]
    fn machine_readable_files_name_the_licence_of_each_paragraph() {
        let text = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n\
                    Copyright: a\nLicense: GPL-2+\n\nFiles: debian/*\nLicense: Expat\n Permission is\n\n\
                    License: GPL-2+\n text\n\nLicense: never-used\n";
        assert_eq!(expression(text), "GPL-2.0-or-later AND MIT");
    }

    #[test]
    fn prose_is_searched_for_references_and_phrases() {
        for (text, expected) in [
            (
                "either version 2, or (at your option) any later version. See /usr/share/common-licenses/GPL-2.",
                "GPL-2.0-or-later",
            ),
            ("see `/usr/share/common-licenses/GPL-2'", "GPL-2.0-only"),
            ("Permission is hereby granted, free\n of charge, to any person obtaining a copy", "MIT"),
            ("Redistribution and use in source\nand binary forms, with or", "BSD-2-Clause"),
            ("nothing to see", ""),
        ] {
            assert_eq!(expression(text), expected, "{text}");
        }
        assert_eq!(parse("It is in the public domain.").terms, [Term::Named("public-domain".into())]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(Format: x\n)?[A-Za-z:/ \n\u{fc}*.-]{0,200}") {
            parse(&text);
        }
    }
}
