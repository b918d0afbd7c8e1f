//! The Debian archives that this machine already uses; images are built from the same ones.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Suites that are Debian's and nobody else's, by code name and by role.
const SUITES: [&str; 12] = [
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "unstable",
    "testing",
    "stable",
    "oldstable",
    "oldoldstable",
];
/// Where Debian's own package of keys puts them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One archive, for one pocket of a release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Archive {
    /// What follows the code name in a suite: nothing, `-updates`, `-security`.
    pub(crate) pocket: String,
    pub(crate) uri: String,
}

/// One `deb` source of apt, as either of its formats states it.
#[derive(Debug, Default, Clone)]
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
}

/// The Debian archives in this machine's apt configuration.
pub(crate) fn of_this_machine() -> Result<BTreeSet<Archive>> {
    let apt = Path::new("/etc/apt");
    let mut files = vec![apt.join("sources.list")];
    if let Ok(parts) = fs::read_dir(apt.join("sources.list.d")) {
        files.extend(parts.flatten().map(|entry| entry.path()));
    }
    files.sort();
    let mut sources = Vec::new();
    for file in files {
        let parse = match file.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => parse_stanzas,
            Some("list") => parse_lines,
            _ => continue,
        };
        match fs::read_to_string(&file) {
            Ok(text) => sources.extend(parse(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }
    let archives = debian_archives(&sources);
    if !archives.iter().any(|archive| archive.pocket.is_empty()) {
        bail!("no Debian archive stands in /etc/apt/sources.list or /etc/apt/sources.list.d");
    }
    Ok(archives)
}

/// One line per archive, as `sources.list` has them, for the release of this code name.
///
/// `release_only` leaves out security updates and others: what remains is the last point release.
pub(crate) fn source_lines(archives: &BTreeSet<Archive>, codename: &str, release_only: bool) -> String {
    let has_pockets = !release_only && !matches!(codename, "sid" | "unstable");
    archives
        .iter()
        .filter(|archive| has_pockets || archive.pocket.is_empty())
        .map(|Archive { uri, pocket }| format!("deb [signed-by={KEYRING}] {uri} {codename}{pocket} main\n"))
        .collect()
}

/// Debian's archives among the sources: its suites, its main component, its place on a mirror.
fn debian_archives(sources: &[Source]) -> BTreeSet<Archive> {
    let mut archives = BTreeSet::new();
    for source in sources.iter().filter(|source| source.components.iter().any(|name| name == "main")) {
        for suite in &source.suites {
            let (codename, pocket) = match suite.split_once('-') {
                Some((codename, pocket)) => (codename, format!("-{pocket}")),
                None => (suite.as_str(), String::new()),
            };
            if !SUITES.contains(&codename) || !matches!(pocket.as_str(), "" | "-updates" | "-security") {
                continue;
            }
            for uri in source.uris.iter().filter(|uri| is_debian(uri)) {
                archives.insert(Archive { pocket: pocket.clone(), uri: uri.clone() });
            }
        }
    }
    archives
}

fn is_debian(uri: &str) -> bool {
    uri.split('/').any(|segment| {
        matches!(segment, "debian" | "debian-security" | "debian.list" | "debian-security.list")
    })
}

/// The deb822 format of `*.sources`.
fn parse_stanzas(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for stanza in text.split("\n\n") {
        let mut source = Source::default();
        let (mut is_binary, mut is_enabled) = (false, true);
        let mut field = String::new();
        for line in stanza.lines().filter(|line| !line.starts_with('#')) {
            let value = if line.starts_with([' ', '\t']) {
                line
            } else if let Some((name, value)) = line.split_once(':') {
                field = name.to_ascii_lowercase();
                value
            } else {
                continue;
            };
            let words = value.split_whitespace().map(str::to_owned);
            match field.as_str() {
                "types" => is_binary |= words.into_iter().any(|word| word == "deb"),
                "uris" => source.uris.extend(words),
                "suites" => source.suites.extend(words),
                "components" => source.components.extend(words),
                "enabled" => is_enabled = !matches!(value.trim(), "no" | "false" | "0"),
                _ => {}
            }
        }
        if is_binary && is_enabled {
            sources.push(source);
        }
    }
    sources
}

/// The one-line format of `sources.list`.
fn parse_lines(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for line in text.lines() {
        let line = line.split_once('#').map_or(line, |(line, _comment)| line);
        let Some(rest) = line.trim().strip_prefix("deb").filter(|rest| rest.starts_with([' ', '\t'])) else {
            continue;
        };
        let rest = rest.trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']').map_or("", |(_options, rest)| rest),
            None => rest,
        };
        let mut words = rest.split_whitespace().map(str::to_owned);
        if let (Some(uri), Some(suite)) = (words.next(), words.next()) {
            sources.push(Source { uris: vec![uri], suites: vec![suite], components: words.collect() });
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANZAS: &str = "\
Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
 bookworm-backports
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main contrib

Types: deb
URIs: http://other.example/debian
Suites: trixie
Components: main
Enabled: no

Types: deb
URIs: http://vendor.example/node_20.x
Suites: nodistro
Components: main
";

    #[test]
    fn only_debians_own_archives_count_in_both_formats() {
        let expected = BTreeSet::from(
            [
                ("", "http://mirror.example/debian"),
                ("-updates", "http://mirror.example/debian"),
                ("-security", "http://mirror.example/debian-security"),
            ]
            .map(|(pocket, uri)| Archive { pocket: pocket.to_owned(), uri: uri.to_owned() }),
        );
        assert_eq!(debian_archives(&parse_stanzas(STANZAS)), expected);

        let lines = "\
# deb http://old.example/debian bookworm main
deb http://mirror.example/debian bookworm main # the base
deb-src http://mirror.example/debian bookworm main
deb [ arch=amd64 signed-by=/k ] http://mirror.example/debian bookworm-updates main contrib
deb http://mirror.example/debian-security bookworm-security main
deb http://mirror.example/debian bookworm-backports main
deb [arch=amd64] https://engine.example/linux/debian bookworm stable
deb http://database.example/pub/repos/apt bookworm-pgdg main
";
        assert_eq!(debian_archives(&parse_lines(lines)), expected);
    }

    #[test]
    fn sources_name_another_release_of_the_same_archive() {
        let archives = debian_archives(&parse_stanzas(STANZAS));
        assert_eq!(
            source_lines(&archives, "trixie", false),
            format!(
                "deb [signed-by={KEYRING}] http://mirror.example/debian trixie main\n\
                 deb [signed-by={KEYRING}] http://mirror.example/debian-security trixie-security main\n\
                 deb [signed-by={KEYRING}] http://mirror.example/debian trixie-updates main\n"
            )
        );
        let main = format!("deb [signed-by={KEYRING}] http://mirror.example/debian trixie main\n");
        assert_eq!(source_lines(&archives, "trixie", true), main);
        assert_eq!(source_lines(&archives, "sid", false).lines().count(), 1);
    }
}
