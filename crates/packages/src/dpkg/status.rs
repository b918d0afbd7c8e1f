//! The list of packages: `status` and the files of `status.d`.

use std::ops::Range;

use super::deb822::{Stanza, Stanzas};
use super::lists;
use crate::InstallState;

/// What a status file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParsedStatus {
    /// The packages, in the order of the file.
    pub entries: Vec<StatusEntry>,
    /// Lines that could not be understood, as (line number from 1, what is wrong). A stanza without a usable name is
    /// no package.
    pub problems: Vec<(usize, String)>,
}

/// One package of a status file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusEntry {
    /// `Package`.
    pub name: String,
    /// `Version`; empty where there is none, as for packages that are not installed.
    pub version: String,
    /// `Architecture`; empty where there is none.
    pub architecture: String,
    /// `Source` without its version, or the package's name.
    pub source_name: String,
    /// The version in `Source: name (version)`, or the package's version.
    pub source_version: String,
    /// `Maintainer`.
    pub maintainer: Option<String>,
    /// From `Status`; installed where there is none, as in `status.d`.
    pub state: InstallState,
    /// The stanza's bytes in the file, the newline of its last line included.
    pub bytes: Range<usize>,
    /// The line with the name of the field `Conffiles`, if that field is there.
    pub conffiles_heading: Option<Range<usize>>,
    /// The lines of `Conffiles`.
    pub conffiles: Vec<Conffile>,
}

/// One line of `Conffiles`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conffile {
    /// The file, as written.
    pub path: Vec<u8>,
    /// Its line in the file, with the newline.
    pub line: Range<usize>,
}

/// Parses a status file: any bytes.
///
/// Source: `deb822(5)`, `dpkg(1)`, Debian policy 5.6.
pub fn parse_status(bytes: &[u8]) -> ParsedStatus {
    let mut parsed = ParsedStatus::default();
    for mut stanza in Stanzas::new(bytes) {
        parsed.problems.append(&mut stanza.problems);
        match entry(&stanza, bytes) {
            Ok((entry, problems)) => {
                parsed.problems.extend(problems.into_iter().map(|problem| (stanza.line, problem.into())));
                parsed.entries.push(entry);
            }
            Err(problem) => parsed.problems.push((stanza.line, problem.into())),
        }
    }
    parsed
}

fn entry(stanza: &Stanza<'_>, file: &[u8]) -> Result<(StatusEntry, Vec<&'static str>), &'static str> {
    let mut problems = Vec::new();
    let name = stanza.value("Package").ok_or("a stanza without a package name")?;
    let name = package_name(name).ok_or("a package name that is none")?;
    let (state, known) = stanza.value("Status").map_or((InstallState::Installed, true), install_state);
    if !known {
        problems.push("a status that dpkg does not know; taken for installed");
    }
    let mut word = |field: &str, problem: &'static str| match stanza.value(field) {
        None => String::new(),
        Some(value) => printable_word(value).unwrap_or_else(|| {
            problems.push(problem);
            String::new()
        }),
    };
    let version = word("Version", "a version that is none");
    let architecture = word("Architecture", "an architecture that is none");
    if version.is_empty() && state.is_installed() && stanza.value("Version").is_none() {
        problems.push("an installed package without a version");
    }
    let (source_name, source_version) =
        source(stanza.value("Source"), &name, &version).unwrap_or_else(|| {
            problems.push("a source that is none; the package's own name is taken");
            (name.clone(), version.clone())
        });
    let field = stanza.field("Conffiles");
    let lines = field.map(|field| field.continuation.clone()).unwrap_or_default();
    let conffiles_heading = field.map(|field| {
        let first = field.continuation.first().map_or(field.bytes.end, |line| line.start);
        field.bytes.start..first
    });
    let conffile = |line: Range<usize>| {
        lists::conffile_path(&file[line.clone()]).map(|path| Conffile { path: path.to_vec(), line })
    };
    let conffiles = lines.into_iter().filter_map(conffile).collect();
    let bytes = stanza.bytes.clone();
    let entry = StatusEntry {
        name,
        version,
        architecture,
        source_name,
        source_version,
        maintainer: stanza.value("Maintainer").and_then(printable_line),
        state,
        bytes,
        conffiles_heading,
        conffiles,
    };
    Ok((entry, problems))
}

/// Letters, digits and `+-._`, beginning with a letter or digit: laxer than policy, and safe as a file name.
fn package_name(value: &[u8]) -> Option<String> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-._".contains(byte);
    let good = value.len() <= 200 && value.first()?.is_ascii_alphanumeric() && value.iter().all(allowed);
    good.then(|| String::from_utf8_lossy(value).into_owned())
}

/// One line of text without control characters.
fn printable_line(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let good = !text.is_empty() && text.len() <= 500 && !text.chars().any(char::is_control);
    good.then(|| text.to_owned())
}

fn printable_word(value: &[u8]) -> Option<String> {
    let good = value.len() <= 500 && !value.is_empty() && value.iter().all(u8::is_ascii_graphic);
    good.then(|| String::from_utf8_lossy(value).into_owned())
}

/// The third word of `want flag state`, and whether it is known.
fn install_state(value: &[u8]) -> (InstallState, bool) {
    let state = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(2);
    match state.map(<[u8]>::to_ascii_lowercase).as_deref() {
        Some(b"installed") => (InstallState::Installed, true),
        Some(b"unpacked" | b"half-configured" | b"triggers-awaited" | b"triggers-pending") => {
            (InstallState::Unconfigured, true)
        }
        Some(b"half-installed") => (InstallState::HalfInstalled, true),
        Some(b"config-files") => (InstallState::ConfigFiles, true),
        Some(b"not-installed") => (InstallState::NotInstalled, true),
        _ => (InstallState::Installed, false),
    }
}

/// `name` or `name (version)`; what is absent is the package's own.
fn source(value: Option<&[u8]>, name: &str, version: &str) -> Option<(String, String)> {
    let Some(value) = value else { return Some((name.to_owned(), version.to_owned())) };
    let Some(open) = value.iter().position(|&byte| byte == b'(') else {
        return Some((package_name(value)?, version.to_owned()));
    };
    let source_version = value[open + 1..].strip_suffix(b")")?;
    Some((package_name(value[..open].trim_ascii())?, printable_word(source_version.trim_ascii())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> StatusEntry {
        let mut parsed = parse_status(text.as_bytes());
        assert_eq!(parsed.problems, []);
        assert_eq!(parsed.entries.len(), 1);
        parsed.entries.remove(0)
    }

    #[test]
    fn sources_default_to_the_package_and_its_version() {
        for (source, name, version) in [
            ("", "login", "1:4.13+dfsg1-1+b1"),
            ("Source: shadow\n", "shadow", "1:4.13+dfsg1-1+b1"),
            ("Source: shadow (1:4.13+dfsg1-1)\n", "shadow", "1:4.13+dfsg1-1"),
            ("source:shadow(1:4.13)\n", "shadow", "1:4.13"),
        ] {
            let entry = one(&format!("Package: login\nVersion: 1:4.13+dfsg1-1+b1\n{source}"));
            assert_eq!(
                (entry.source_name.as_str(), entry.source_version.as_str()),
                (name, version),
                "{source}"
            );
        }
    }

    #[test]
    fn the_third_word_of_the_status_counts() {
        for (status, state) in [
            ("install ok installed", InstallState::Installed),
            ("hold ok installed", InstallState::Installed),
            ("deinstall ok installed", InstallState::Installed),
            ("install ok triggers-pending", InstallState::Unconfigured),
            ("install reinstreq half-installed", InstallState::HalfInstalled),
            ("deinstall ok config-files", InstallState::ConfigFiles),
            ("purge  ok\tnot-installed", InstallState::NotInstalled),
        ] {
            assert_eq!(one(&format!("Package: a\nVersion: 1\nStatus: {status}\n")).state, state, "{status}");
        }
    }

    #[test]
    fn conffiles_may_have_spaces_and_flags() {
        let text =
            "Package: a\nVersion: 1\nConffiles:\n /etc/a b 0123 obsolete\n /etc/c 4567\nDescription: x\n";
        let paths: Vec<_> = one(text).conffiles.into_iter().map(|conffile| conffile.path).collect();
        assert_eq!(paths, [&b"/etc/a b"[..], b"/etc/c"]);
    }

    #[test]
    fn broken_stanzas_are_told_and_the_others_read() {
        let text = "Version: 1\n\nPackage: ../x\n\nPackage: a b\n\nPackage: ok\nVersion: 1 2\nStatus: odd\n\n\
                    Package: last\nVersion: 2\nSource: (3)\n";
        let parsed = parse_status(text.as_bytes());
        let names: Vec<_> = parsed.entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["ok", "last"]);
        let lines: Vec<_> = parsed.problems.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 3, 5, 7, 7, 11]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            parse_status(&bytes);
        }

        #[test]
        fn any_lines_are_parsed(
            lines in proptest::collection::vec(
                "(Package|Version|Status|Source|Architecture|Conffiles)?[: ()\\t]{0,3}[a-z0-9+:.~/ -]{0,12}",
                0..60,
            )
        ) {
            let text = lines.join("\n");
            for entry in parse_status(text.as_bytes()).entries {
                prop_assert!(!entry.name.contains('/'));
                let stanza = &text[entry.bytes.clone()];
                let again = parse_status(stanza.as_bytes());
                prop_assert_eq!(&again.entries[0].name, &entry.name);
            }
        }
    }
}
