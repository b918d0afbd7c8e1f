//! Where importers put what they read.

use std::collections::BTreeMap;

use super::debian::Facts;
use super::kind::Kind;
use crate::DatabaseBuilder;
use crate::database::Source;

/// Broken records that a source's status names.
const NAMED_PROBLEMS: usize = 5;
/// Characters of one of these.
const PROBLEM_CHARS: usize = 160;

/// The file that is being read.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) location: String,
    pub(super) sha256: String,
    pub(super) size_bytes: u64,
}

/// The database in the making, seen by the reader of one file.
pub(super) struct Sink<'a> {
    pub(super) builder: &'a mut DatabaseBuilder,
    pub(super) debian: &'a mut Facts,
    pub(super) sources: &'a mut BTreeMap<(String, String), Source>,
    pub(super) origin: &'a Origin,
    pub(super) today: &'a str,
}

impl Sink<'_> {
    /// A record was read, which the source dates so.
    pub(super) fn read(&mut self, kind: &Kind, date: Option<&str>) {
        self.read_as(kind.name, kind.format, kind.licence, date);
    }

    /// The same for a source whose name depends on the record.
    pub(super) fn read_as(&mut self, name: &str, format: &str, licence: &str, date: Option<&str>) {
        let today = self.today;
        let source = self.source(name, format, licence);
        source.records += 1;
        if let Some(date) = date.and_then(day)
            && (today.is_empty() || date <= today)
            && source.newest.as_deref().is_none_or(|newest| newest < date)
        {
            source.newest = Some(date.to_owned());
        }
    }

    /// A record could not be read.
    pub(super) fn broken(&mut self, kind: &Kind, problem: &str) {
        self.broken_as(kind.name, kind.format, problem);
    }

    /// The same for a source whose name depends on the record.
    pub(super) fn broken_as(&mut self, name: &str, format: &str, problem: &str) {
        let source = self.source(name, format, "");
        source.broken += 1;
        if source.problems.len() < NAMED_PROBLEMS {
            source.problems.push(problem.chars().take(PROBLEM_CHARS).collect());
        }
    }

    /// Nothing was taken from this file (or this member of an archive).
    pub(super) fn unused(&mut self, why: &str) {
        let source = self.source("-", "-", "");
        source.unused.get_or_insert_with(|| why.to_owned());
    }

    fn source(&mut self, name: &str, format: &str, licence: &str) -> &mut Source {
        let origin = self.origin;
        let source =
            self.sources.entry((name.to_owned(), origin.location.clone())).or_insert_with(|| Source {
                name: name.to_owned(),
                format: format.to_owned(),
                location: origin.location.clone(),
                sha256: origin.sha256.clone(),
                size_bytes: origin.size_bytes,
                ..Source::default()
            });
        if source.licence.is_empty() {
            licence.clone_into(&mut source.licence);
        }
        source
    }
}

/// The day of a date in RFC 3339 or plain; none for what is no date, and for the year 1 that Go writes for none.
pub(super) fn day(date: &str) -> Option<&str> {
    let day = date.get(..10)?;
    let is_day = day.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    (is_day && !day.starts_with("0001")).then_some(day)
}

/// A date as mails and changelogs write it, `Tue, 15 Jul 2025 22:29:23 +0200` or `13 Feb 2025`, as `2025-07-15`.
pub(super) fn mail_day(date: &str) -> Option<String> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = date.split([' ', ',']).filter(|word| !word.is_empty()).peekable();
    if words.peek().is_some_and(|word| !word.starts_with(|c: char| c.is_ascii_digit())) {
        words.next();
    }
    let number: u32 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| name.starts_with(month))? + 1;
    let year: u32 = words.next()?.parse().ok().filter(|year| (1990..=9999).contains(year))?;
    Some(format!("{year:04}-{month:02}-{number:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_mails_and_changelogs_write_them() {
        assert_eq!(mail_day("Tue, 15 Jul 2025 22:29:23 +0200").as_deref(), Some("2025-07-15"));
        assert_eq!(mail_day("13 Feb 2025").as_deref(), Some("2025-02-13"));
        assert_eq!(mail_day("32 Feb 2025"), None);
        assert_eq!(mail_day("yesterday"), None);
        assert_eq!(day("2026-08-21T10:00:00Z"), Some("2026-08-21"));
        assert_eq!(day("0001-01-01T00:00:00Z"), None);
        assert_eq!(day("2026-08"), None);
    }
}
