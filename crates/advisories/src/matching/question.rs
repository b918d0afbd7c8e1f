//! What to ask the database about a package.

use packages::{Ecosystem, OsRelease, Package};

use super::{generic, release};
use crate::version::Scheme;

/// A package as an ecosystem of the database names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// The ecosystem in OSV's words: `Debian:12`, `PyPI`.
    pub ecosystem: String,
    /// The package as that ecosystem names it.
    pub package: String,
    /// The version to compare.
    pub version: String,
    /// How versions compare.
    pub scheme: Scheme,
    /// Whether a distribution answers for its own package.
    pub is_distribution: bool,
}

/// The questions that tell all that is known of a package; none where nothing can be known: without a version, or
/// without an ecosystem that has advisories.
pub fn questions(package: &Package, os: Option<&OsRelease>) -> Vec<Question> {
    let version = package.version.trim();
    // `(devel)`, `unknown`: what is not known cannot be compared.
    if !version.contains(|c: char| c.is_ascii_digit()) {
        return Vec::new();
    }
    let name = package.name.as_str();
    let one = |ecosystem: &str, name: String| vec![question(ecosystem, name, version)];
    match package.ecosystem {
        Ecosystem::Dpkg | Ecosystem::Apk | Ecosystem::Rpm if package.is_third_party(os) => {
            generic::questions_of_vendor(package)
        }
        Ecosystem::Dpkg | Ecosystem::Apk | Ecosystem::Rpm => of_distribution(package, os),
        Ecosystem::Python => one("PyPI", pypi_name(name)),
        Ecosystem::Npm | Ecosystem::Javascript => of_javascript(package, version),
        Ecosystem::Maven => one("Maven", name.replacen('/', ":", 1)),
        Ecosystem::Go => one("Go", name.to_owned()),
        Ecosystem::Cargo => one("crates.io", name.to_owned()),
        Ecosystem::Gem => one("RubyGems", name.to_owned()),
        Ecosystem::Composer => one("Packagist", name.to_lowercase()),
        Ecosystem::Nuget => one("NuGet", name.to_lowercase()),
        Ecosystem::Hex => one("Hex", name.to_owned()),
        Ecosystem::Cran => one("CRAN", name.to_owned()),
        Ecosystem::Generic => generic::questions(name, version),
        // Nobody publishes advisories by these names.
        Ecosystem::Cpan | Ecosystem::Luarocks | Ecosystem::Nix | Ecosystem::Conda => Vec::new(),
    }
}

/// By npm's name, and by that of retire.js' repository for what that does not name as npm does.
fn of_javascript(package: &Package, version: &str) -> Vec<Question> {
    let npm = question("npm", package.name.clone(), version);
    let retire = package.retire_name().map(|name| question("RetireJS", name.to_owned(), version));
    [npm].into_iter().chain(retire).collect()
}

/// What to ask about a program built by hand where nobody who knows it better says anything: NVD, by vendor and product.
/// Only for programs whose names in NVD are known; a guess would find other people's vulnerabilities.
pub(super) fn by_cpe(package: &Package) -> Option<Question> {
    let (vendor, product) = package.known_cpe()?;
    let version = package.version.trim();
    let is_number = version.contains(|c: char| c.is_ascii_digit());
    is_number.then(|| question("CPE", format!("{vendor}:{product}"), version))
}

pub(super) fn question(ecosystem: &str, package: String, version: &str) -> Question {
    Question {
        ecosystem: ecosystem.to_owned(),
        package,
        version: version.to_owned(),
        scheme: Scheme::of_ecosystem(ecosystem),
        is_distribution: false,
    }
}

/// A distribution's package is asked for by its source; some of rpm's distributions go by the binary package.
fn of_distribution(package: &Package, os: Option<&OsRelease>) -> Vec<Question> {
    let source = (package.source_name.as_str(), package.source_version.as_str());
    let mut names = vec![source];
    if package.ecosystem == Ecosystem::Rpm && package.name != package.source_name {
        names.push((&package.name, &package.version));
    }
    let mut questions = Vec::new();
    for ecosystem in os.map(release::ecosystems).unwrap_or_default() {
        for (name, version) in &names {
            let question = question(&ecosystem, (*name).to_owned(), version.trim());
            questions.push(Question { is_distribution: true, ..question });
        }
    }
    questions
}

/// The normal form of PEP 503: lower case, one hyphen for each run of hyphens, underscores and dots.
pub(crate) fn pypi_name(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}
