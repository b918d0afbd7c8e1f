//! Which ecosystem orders its versions how.

use serde::{Deserialize, Serialize};

/// An order of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// dpkg: epoch, upstream version, revision; `~` before the end.
    Debian,
    /// rpm: epoch, version, release; `~` before the end, `^` after it.
    Rpm,
    /// apk: numbers, a letter, suffixes, a revision.
    Apk,
    /// Python, PEP 440.
    Pep440,
    /// Semantic versions 2.0, with or without `v` in front.
    Semver,
    /// Dart: semantic versions whose build part counts.
    Pub,
    /// .NET: semantic versions with a fourth number, in any case.
    Nuget,
    /// Go modules and toolchains.
    Go,
    /// Maven.
    Maven,
    /// Ruby gems.
    Gem,
    /// PHP and Composer.
    Composer,
    /// Numbers between dots or hyphens: R, Haskell.
    Dotted,
    /// What people mean by a version, for programs without a scheme.
    Lenient,
}

/// OSV's name of an ecosystem, without its release, and its scheme.
///
/// Source: OSV schema, "Defined ecosystems".
const ECOSYSTEMS: &[(&str, Scheme)] = &[
    ("AlmaLinux", Scheme::Rpm),
    ("Alpaquita", Scheme::Apk),
    ("Alpine", Scheme::Apk),
    ("Amazon Linux", Scheme::Rpm),
    ("Azure Linux", Scheme::Rpm),
    ("BellSoft Hardened Containers", Scheme::Apk),
    ("Bioconductor", Scheme::Dotted),
    ("Bitnami", Scheme::Lenient),
    ("CPE", Scheme::Lenient),
    ("CRAN", Scheme::Dotted),
    ("Chainguard", Scheme::Apk),
    ("Debian", Scheme::Debian),
    ("Echo", Scheme::Debian),
    ("Fedora", Scheme::Rpm),
    ("Go", Scheme::Go),
    ("Hackage", Scheme::Dotted),
    ("Hex", Scheme::Semver),
    ("Mageia", Scheme::Rpm),
    ("Maven", Scheme::Maven),
    ("MinimOS", Scheme::Apk),
    ("NuGet", Scheme::Nuget),
    ("Oracle Linux", Scheme::Rpm),
    ("Packagist", Scheme::Composer),
    ("Photon OS", Scheme::Rpm),
    ("Pub", Scheme::Pub),
    ("PyPI", Scheme::Pep440),
    ("Red Hat", Scheme::Rpm),
    ("Rocky Linux", Scheme::Rpm),
    ("RubyGems", Scheme::Gem),
    ("SUSE", Scheme::Rpm),
    ("SwiftURL", Scheme::Semver),
    ("Ubuntu", Scheme::Debian),
    ("VSCode", Scheme::Semver),
    ("Wolfi", Scheme::Apk),
    ("crates.io", Scheme::Semver),
    ("npm", Scheme::Semver),
    ("openEuler", Scheme::Rpm),
    ("openSUSE", Scheme::Rpm),
];

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Debian,
        Self::Rpm,
        Self::Apk,
        Self::Pep440,
        Self::Semver,
        Self::Pub,
        Self::Nuget,
        Self::Go,
        Self::Maven,
        Self::Gem,
        Self::Composer,
        Self::Dotted,
        Self::Lenient,
    ];

    /// The scheme of an ecosystem in OSV's words, with or without a release (`Debian:12`); the lenient one for an
    /// ecosystem that is unknown.
    pub fn of_ecosystem(ecosystem: &str) -> Self {
        let name = ecosystem.split_once(':').map_or(ecosystem, |(name, _)| name);
        ECOSYSTEMS
            .binary_search_by(|(known, _)| known.cmp(&name))
            .map_or(Self::Lenient, |at| ECOSYSTEMS[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(ECOSYSTEMS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn a_release_does_not_change_the_scheme() {
        for (ecosystem, scheme) in [
            ("Debian:12", Scheme::Debian),
            ("Ubuntu:24.04:LTS", Scheme::Debian),
            ("Alpine:v3.20", Scheme::Apk),
            ("Red Hat:enterprise_linux:9::baseos", Scheme::Rpm),
            ("openSUSE:Leap 15.6", Scheme::Rpm),
            ("PyPI", Scheme::Pep440),
            ("npm", Scheme::Semver),
            ("crates.io", Scheme::Semver),
            ("Bitnami", Scheme::Lenient),
            ("Something new", Scheme::Lenient),
        ] {
            assert_eq!(Scheme::of_ecosystem(ecosystem), scheme, "{ecosystem}");
        }
    }
}
