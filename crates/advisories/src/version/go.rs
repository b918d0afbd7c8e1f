//! Go: modules have semantic versions with `v` in front (pseudo versions and `+incompatible` included), toolchains
//! have versions of their own (`go1.21rc2`, `1.22.1 X:boringcrypto`), which advisories write as semantic ones.
//!
//! Source: Go Modules Reference, "Versions"; Go Toolchains, "Go versions"; Go vulnerability database, "The Go standard
//! library and toolchain".

use std::borrow::Cow;
use std::cmp::Ordering;

use super::digits;
use super::semver::SEMVER;

/// Compares two versions.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    SEMVER.compare(&semantic(a), &semantic(b))
}

/// A toolchain's version as a semantic one: `go1.21rc2` is `1.21.0-rc.2`.
fn semantic(version: &str) -> Cow<'_, str> {
    let version = version.trim();
    let version = version.strip_prefix("go").unwrap_or(version);
    let version = version.split_once(' ').map_or(version, |(version, _)| version);
    let (numbers, rest) = digits::split_run(version, |byte| byte.is_ascii_digit() || byte == b'.');
    for word in ["rc", "beta"] {
        if let Some(number) = rest.strip_prefix(word)
            && digits::is_number(number)
        {
            let zeros = if numbers.matches('.').count() < 2 { ".0" } else { "" };
            return Cow::Owned(format!("{numbers}{zeros}-{word}.{number}"));
        }
    }
    Cow::Borrowed(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toolchains_pseudo_versions_and_incompatible_ones_are_in_order() {
        use Ordering::{Equal, Greater, Less};
        for (a, b, order) in [
            ("go1.21rc2", "1.21.0-rc.2", Equal),
            ("go1.21rc2", "1.21.0", Less),
            ("go1.21beta1", "go1.21rc1", Less),
            ("1.22.1 X:boringcrypto", "1.22.1", Equal),
            ("1.9", "1.10.0-0", Less),
            ("1.22.0-0", "1.22rc1", Less),
            ("v0.0.0-20191109021931-daa7c04131f5", "v0.0.0-20200109021931-000000000000", Less),
            ("v1.2.4-0.20191109021931-daa7c04131f5", "v1.2.3", Greater),
            ("v1.2.4-0.20191109021931-daa7c04131f5", "v1.2.4", Less),
            ("v2.0.0+incompatible", "2.0.0", Equal),
            ("(devel)", "0.0.1", Less),
        ] {
            assert_eq!(compare(a, b), order, "{a} {b}");
        }
    }
}
