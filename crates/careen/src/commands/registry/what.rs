//! What is to be scanned: repositories, tags, patterns over catalogs.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use globset::{Glob, GlobMatcher, GlobSet, GlobSetBuilder};
use registry::{Reference, is_host};

use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::registries;

/// Something to scan, as typed.
pub(super) enum What {
    /// One image.
    Image(Reference),
    /// All tags of a repository. The reference's own tag means nothing.
    Repository(Reference),
    /// The repositories of a registry that match.
    Catalog { host: String, repositories: GlobMatcher },
}

impl What {
    /// Reads `HOST/`, `HOST/PATTERN`, `HOST/REPOSITORY`, `HOST/REPOSITORY:TAG`, `HOST/REPOSITORY@DIGEST`.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let plain = text.strip_prefix("docker://").unwrap_or(text);
        let (host, rest) = plain.split_once('/').unwrap_or((plain, ""));
        let is_bare_host = !plain.contains('/')
            && (plain.starts_with('[')
                || plain.contains('.')
                || plain.split(':').next() == Some("localhost"));
        let is_pattern = rest.contains(['*', '?', '[', '{']);
        if is_bare_host || (plain.contains('/') && (rest.is_empty() || is_pattern)) {
            if !is_host(host) {
                return Err(Failure::new(ExitCode::Usage, format!("{host:?} is not the name of a registry"))
                    .hint("a pattern needs the registry before it: 'registry.example/shop/*'".to_owned()));
            }
            let repositories = glob(if rest.is_empty() { "*" } else { rest })?;
            return Ok(Self::Catalog { host: host.to_owned(), repositories });
        }
        let reference = registries::parse(text)?;
        let has_tag = plain.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
        Ok(if has_tag { Self::Image(reference) } else { Self::Repository(reference) })
    }
}

fn glob(text: &str) -> Result<GlobMatcher, Failure> {
    Ok(Glob::new(text).map_err(|error| wrong_pattern(text, error))?.compile_matcher())
}

fn wrong_pattern(text: &str, error: globset::Error) -> Failure {
    Failure::caused_by(ExitCode::Usage, format!("cannot use the pattern {text}"), error)
}

/// Which tags of a repository.
pub(super) struct Tags {
    patterns: Option<GlobSet>,
    newest: usize,
}

impl Tags {
    /// Those that match one of these, if there are any; the last so many of them.
    pub(super) fn new(patterns: &[String], newest: Option<usize>) -> Result<Self, Failure> {
        let mut set = GlobSetBuilder::new();
        for text in patterns {
            set.add(Glob::new(text).map_err(|error| wrong_pattern(text, error))?);
        }
        let set = set.build().map_err(|error| wrong_pattern(&patterns.join(", "), error))?;
        Ok(Self { patterns: (!patterns.is_empty()).then_some(set), newest: newest.unwrap_or(usize::MAX) })
    }

    /// The tags to scan, in the order of versions.
    pub(super) fn choose(&self, all: BTreeSet<String>) -> Vec<String> {
        let matches = |tag: &String| self.patterns.as_ref().is_none_or(|patterns| patterns.is_match(tag));
        let mut chosen: Vec<String> =
            all.into_iter().filter(|tag| !is_companion(tag) && matches(tag)).collect();
        chosen.sort_by(|one, other| versions(one, other));
        chosen.split_off(chosen.len().saturating_sub(self.newest))
    }
}

/// A tag under which signatures and other documents of an image lie.
fn is_companion(tag: &str) -> bool {
    let hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    tag.strip_prefix("sha256-").and_then(|rest| rest.get(..64)).is_some_and(hex)
}

/// Numbers by value, the rest as text; what has no number first.
fn versions(one: &str, other: &str) -> Ordering {
    let has_number = |text: &str| text.bytes().any(|b| b.is_ascii_digit());
    has_number(one)
        .cmp(&has_number(other))
        .then_with(|| runs(one).cmp(&runs(other)))
        .then_with(|| one.cmp(other))
}

/// Runs of digits, longer ones higher, and of other characters.
fn runs(text: &str) -> Vec<(usize, &str)> {
    let text = text.strip_prefix('v').unwrap_or(text);
    text.as_bytes()
        .chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit())
        .filter_map(|run| std::str::from_utf8(run).ok())
        .map(|run| match run.trim_start_matches('0') {
            digits if run.starts_with(|c: char| c.is_ascii_digit()) => (1 + digits.len(), digits),
            _ => (0, run),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_means_an_image_a_repository_or_a_catalog() {
        for (text, expected) in [
            ("registry.example/shop", "repository registry.example/shop:latest"),
            ("registry.example/shop:1.4", "image registry.example/shop:1.4"),
            ("redis:7", "image docker.io/library/redis:7"),
            ("registry.example", "catalog registry.example"),
            ("registry.example/", "catalog registry.example"),
            ("localhost:5000", "catalog localhost:5000"),
            ("docker://localhost:5000/shop/*", "catalog localhost:5000"),
            ("registry.example/{a,b}/app", "catalog registry.example"),
        ] {
            let said = match What::parse(text).unwrap() {
                What::Image(reference) => format!("image {reference}"),
                What::Repository(reference) => format!("repository {reference}"),
                What::Catalog { host, .. } => format!("catalog {host}"),
            };
            assert_eq!(said, expected, "{text}");
        }
        for text in ["*/x", "registry.example/[", "registry.example/UPPER"] {
            assert!(What::parse(text).is_err(), "{text}");
        }
        let What::Catalog { repositories, .. } = What::parse("registry.example/shop/*").unwrap() else {
            panic!()
        };
        assert!(
            repositories.is_match("shop/a/b")
                && !repositories.is_match("shop")
                && !repositories.is_match("x/a")
        );
    }

    #[test]
    fn tags_are_chosen_in_the_order_of_versions() {
        let all =
            ["1.9", "1.10", "v1.2", "latest", "1.10-rc1", "2024", &format!("sha256-{}.sig", "a".repeat(64))];
        let all: BTreeSet<String> = all.into_iter().map(str::to_owned).collect();
        let choose = |patterns: &[&str], newest| {
            let patterns: Vec<String> = patterns.iter().map(|&text| text.to_owned()).collect();
            Tags::new(&patterns, newest).unwrap().choose(all.clone())
        };
        assert_eq!(choose(&[], None), ["latest", "v1.2", "1.9", "1.10", "1.10-rc1", "2024"]);
        assert_eq!(choose(&["1.*"], Some(2)), ["1.10", "1.10-rc1"]);
        assert!(choose(&["3.*"], None).is_empty());
    }
}
