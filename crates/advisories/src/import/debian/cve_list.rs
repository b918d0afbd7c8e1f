//! The list of all CVEs, `data/CVE/list`.
//!
//! ```text
//! CVE-2005-2541 (Tar 1.15.1 does not properly warn the user ...)
//!         - tar <unfixed> (bug #328228; unimportant)
//!         [bookworm] - tar <no-dsa> (Minor issue)
//! ```

use super::{Release, Word};
use crate::import::kind::DEBIAN_CVE_LIST;
use crate::import::sink::Sink;

/// A line about a package.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// The code name, if the line is about a release.
    pub(super) release: Option<&'a str>,
    pub(super) package: &'a str,
    pub(super) word: Word,
    pub(super) urgency: Option<&'a str>,
}

const URGENCIES: [&str; 6] = ["unimportant", "low", "medium", "high", "critical", "not yet assigned"];

/// Reads the list.
pub(in crate::import) fn read(text: &str, sink: &mut Sink<'_>) {
    let mut cve = "";
    for text in text.lines().filter(|line| !line.trim().is_empty()) {
        if !text.starts_with(char::is_whitespace) {
            let (name, summary) = text.split_once(' ').unwrap_or((text, ""));
            cve = if name.starts_with("CVE-") || name.starts_with("TEMP-") { name } else { "" };
            if cve.is_empty() {
                sink.broken(&DEBIAN_CVE_LIST, text);
                continue;
            }
            sink.read(&DEBIAN_CVE_LIST, None);
            let summary = summary.trim().trim_start_matches(['(', '[']).trim_end_matches([')', ']']);
            if !summary.is_empty() {
                sink.debian.summaries.entry(cve.to_owned()).or_insert_with(|| summary.trim().to_owned());
            }
            continue;
        }
        let body = text.trim();
        let is_prose = ["NOTE:", "TODO:", "NOT-FOR-US", "RESERVED", "REJECTED", "DISPUTED", "{"];
        if cve.is_empty() || is_prose.iter().any(|start| body.starts_with(start)) {
            continue;
        }
        match line(body) {
            Some(Line { release: Some("experimental"), .. }) => {}
            Some(Line { release: None, package, word, urgency }) => {
                sink.debian.unstable(cve, package, word, DEBIAN_CVE_LIST.name, urgency);
            }
            Some(Line { release: Some(codename), package, word, urgency }) => {
                if let Some(release) = Release::of_codename(codename) {
                    sink.debian.release(cve, package, release, word, DEBIAN_CVE_LIST.name, cve, urgency);
                }
            }
            None if body.starts_with('-') || body.starts_with('[') => {
                sink.broken(&DEBIAN_CVE_LIST, &format!("{cve}: {body}"));
            }
            None => {}
        }
    }
}

/// `[bookworm] - tar <no-dsa> (Minor issue)`, `- tar 1.35-1 (bug #1; low)`; none for what is no such line, and for
/// packages that Debian does not have (`<itp>`).
pub(super) fn line(text: &str) -> Option<Line<'_>> {
    let (release, rest) = match text.strip_prefix('[') {
        Some(rest) => {
            let (release, rest) = rest.split_once(']')?;
            (Some(release.trim()), rest.trim_start())
        }
        None => (None, text),
    };
    let rest = rest.strip_prefix("- ")?.trim_start();
    let (package, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let rest = rest.trim_start();
    let (version, note) = match rest.split_once('(') {
        Some((version, note)) => (version.trim(), note.trim_end().trim_end_matches(')')),
        None => (rest.trim(), ""),
    };
    let word = match version.split_whitespace().next().unwrap_or_default() {
        "" | "<unfixed>" => Word::Unfixed,
        "<not-affected>" => Word::NotAffected,
        "<removed>" => Word::Removed,
        "<undetermined>" => Word::Undetermined,
        "<no-dsa>" => Word::NoDsa,
        "<postponed>" => Word::Postponed,
        "<ignored>" => Word::Ignored,
        "<end-of-life>" => Word::EndOfLife,
        other if other.starts_with('<') => return None,
        version => Word::Fixed(version.to_owned()),
    };
    let urgency = note.split(';').map(str::trim).find(|note| URGENCIES.contains(note));
    Some(Line { release, package, word, urgency })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_they_say() {
        let said = |text| line(text).unwrap();
        let tar = said("- tar <unfixed> (bug #328228; unimportant)");
        assert_eq!((tar.release, tar.word, tar.urgency), (None, Word::Unfixed, Some("unimportant")));
        let release = said("[bookworm] - libpng1.6 <no-dsa> (Minor issue)");
        assert_eq!(
            (release.release, release.package, release.word),
            (Some("bookworm"), "libpng1.6", Word::NoDsa)
        );
        assert_eq!(said("- curl 8.21.0~rc2-1").word, Word::Fixed("8.21.0~rc2-1".into()));
        assert_eq!(line("- foo <itp> (bug #1)"), None);
        assert_eq!(line("[bookworm"), None);
    }
}
