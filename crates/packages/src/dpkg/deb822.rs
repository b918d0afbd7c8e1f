//! Stanzas of fields: the syntax of dpkg's files.
//!
//! Source: `deb822(5)`.

use std::ops::Range;

/// One stanza: fields between empty lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stanza<'a> {
    /// Its lines in the file, the newline of the last included, empty lines excluded.
    pub(super) bytes: Range<usize>,
    /// Line number of its first line, from 1.
    pub(super) line: usize,
    /// Its fields, in order.
    pub(super) fields: Vec<Field<'a>>,
    /// Lines that are no fields, as (line number, what is wrong).
    pub(super) problems: Vec<(usize, String)>,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field<'a> {
    /// Its name as written; names are the same whatever their case.
    pub(super) name: &'a [u8],
    /// The value on the line of the name, trimmed.
    pub(super) value: &'a [u8],
    /// All its lines in the file.
    pub(super) bytes: Range<usize>,
    /// Its continuation lines in the file, each with its newline.
    pub(super) continuation: Vec<Range<usize>>,
}

/// How many fields, and how many continuation lines in all, one stanza may have; the rest is a problem. Real ones
/// have some thirty fields; a package with many configuration files has some hundred lines.
const MAX_FIELDS: usize = 1_000;
const MAX_CONTINUATION_LINES: usize = 100_000;
/// How many problems of one stanza are told.
const MAX_PROBLEMS: usize = 10;

/// The stanzas of a file, one after the other.
pub(super) struct Stanzas<'a> {
    bytes: &'a [u8],
    position: usize,
    line: usize,
}

impl<'a> Stanzas<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0, line: 0 }
    }

    /// The next line with its newline.
    fn next_line(&mut self) -> Option<Range<usize>> {
        let rest = self.bytes.get(self.position..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |newline| newline + 1);
        let line = self.position..self.position + length;
        self.position = line.end;
        self.line += 1;
        Some(line)
    }
}

impl<'a> Iterator for Stanzas<'a> {
    type Item = Stanza<'a>;

    fn next(&mut self) -> Option<Stanza<'a>> {
        let mut stanza: Option<Stanza<'a>> = None;
        let mut continuation_lines = 0;
        while let Some(range) = self.next_line() {
            let line = &self.bytes[range.clone()];
            if line.trim_ascii().is_empty() {
                if stanza.is_some() {
                    break;
                }
                continue;
            }
            let number = self.line;
            let stanza = stanza.get_or_insert_with(|| Stanza {
                bytes: range.clone(),
                line: number,
                fields: Vec::new(),
                problems: Vec::new(),
            });
            stanza.bytes.end = range.end;
            let problem = if matches!(line[0], b' ' | b'\t') {
                continuation_lines += 1;
                stanza.continue_field(range, continuation_lines)
            } else {
                stanza.begin_field(line, range)
            };
            if let Err(message) = problem
                && stanza.problems.len() < MAX_PROBLEMS
            {
                stanza.problems.push((number, message.to_owned()));
            }
        }
        stanza
    }
}

impl<'a> Stanza<'a> {
    /// The field of this name; the first, if it stands there twice.
    pub(super) fn field(&self, name: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The value of this field.
    pub(super) fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.field(name).map(|field| field.value)
    }

    fn begin_field(&mut self, line: &'a [u8], range: Range<usize>) -> Result<(), &'static str> {
        let colon = line.iter().position(|&byte| byte == b':').ok_or("a line without a colon")?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let plain = |byte: &u8| byte.is_ascii_graphic();
        if name.is_empty() || !name.iter().all(plain) || matches!(name[0], b'#' | b'-') {
            return Err("a field name that is none");
        }
        if self.fields.len() >= MAX_FIELDS {
            return Err("more fields than a stanza has");
        }
        let twice = self.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name));
        self.fields.push(Field { name, value: value.trim_ascii(), bytes: range, continuation: Vec::new() });
        if twice { Err("a field that was there before; the first counts") } else { Ok(()) }
    }

    fn continue_field(&mut self, range: Range<usize>, count: usize) -> Result<(), &'static str> {
        if count > MAX_CONTINUATION_LINES {
            return Err("more lines than a stanza has");
        }
        let field = self.fields.last_mut().ok_or("a continuation line before the first field")?;
        field.bytes.end = range.end;
        field.continuation.push(range);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_found_whatever_their_case_and_their_lines_are_kept() {
        let text = b"\n\nPackage: a\nDescription: short\n long\n .\n  more\nVERSION:1\n \t\nPackage: b";
        let stanzas: Vec<_> = Stanzas::new(text).collect();
        assert_eq!(stanzas.len(), 2);
        assert_eq!(stanzas[0].value("package"), Some(&b"a"[..]));
        assert_eq!(stanzas[0].value("Version"), Some(&b"1"[..]));
        assert_eq!(stanzas[0].field("Description").unwrap().continuation.len(), 3);
        assert_eq!(stanzas[0].line, 3);
        assert_eq!(&text[stanzas[1].bytes.clone()], b"Package: b");
        assert!(stanzas.iter().all(|stanza| stanza.problems.is_empty()));
    }

    #[test]
    fn broken_lines_are_told_with_their_number_and_passed_over() {
        let text = b" early\nPackage: a\nno colon\n: nameless\nPackage: b\n#comment: x\n\0: y\n";
        let stanza = Stanzas::new(text).next().unwrap();
        assert_eq!(stanza.problems.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3, 4, 5, 6, 7]);
        assert_eq!(stanza.value("Package"), Some(&b"a"[..]));
    }

    #[test]
    fn a_stanza_has_a_bounded_number_of_fields() {
        let fields = |count: usize| (0..count).map(|n| format!("F{n}: x\n")).collect::<String>();
        for (count, problems) in [(MAX_FIELDS, 0), (MAX_FIELDS + 1, 1)] {
            let text = fields(count);
            let stanza = Stanzas::new(text.as_bytes()).next().unwrap();
            assert_eq!((stanza.fields.len(), stanza.problems.len()), (MAX_FIELDS, problems));
        }
    }

    proptest! {
        #[test]
        fn stanzas_hold_every_line_that_is_not_empty(text in "[ab:#\\n \\t\\r\\x00]{0,200}") {
            let bytes = text.as_bytes();
            let mut held = Vec::new();
            for stanza in Stanzas::new(bytes) {
                held.extend_from_slice(&bytes[stanza.bytes]);
                held.push(b'\n');
            }
            let lines = |bytes: &[u8]| {
                let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
                lines.map(<[u8]>::to_vec).collect::<Vec<_>>()
            };
            prop_assert_eq!(lines(&held), lines(bytes));
        }
    }
}
