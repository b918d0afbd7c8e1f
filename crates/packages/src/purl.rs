//! Package URLs.

mod parse;

use std::fmt::Write as _;

pub use parse::Purl;

/// A package URL of a Debian package: `pkg:deb/NAMESPACE/NAME@VERSION?arch=…&distro=…&upstream=…`.
///
/// `upstream` is the source package, with its version where that differs too: scanners match advisories on it.
/// Empty parts are left out.
///
/// Source: package-url specification, `PURL-TYPES.rst`, "deb"; the qualifier `upstream` is what Syft writes.
pub fn deb(
    namespace: &str,
    (name, version): (&str, &str),
    architecture: &str,
    distro: &str,
    (source_name, source_version): (&str, &str),
) -> String {
    let upstream = match (source_name == name, source_version == version) {
        (true, true) => String::new(),
        (_, true) => source_name.to_owned(),
        (_, false) => format!("{source_name}@{source_version}"),
    };
    of(
        "deb",
        &[namespace, name],
        version,
        &[("arch", architecture), ("distro", distro), ("upstream", &upstream)],
    )
}

/// A package URL: type, namespace and name, version, qualifiers in the order of their keys. Empty parts are left out.
pub fn of(kind: &str, names: &[&str], version: &str, qualifiers: &[(&str, &str)]) -> String {
    let mut purl = format!("pkg:{kind}");
    for name in names.iter().filter(|name| !name.is_empty()) {
        let _ = write!(purl, "/{}", encode(name));
    }
    if !version.is_empty() {
        let _ = write!(purl, "@{}", encode(version));
    }
    let mut separator = '?';
    for (key, value) in qualifiers.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(purl, "{separator}{key}={}", encode(value));
        separator = '&';
    }
    purl
}

/// Percent-encodes all but letters, digits, `.`, `-`, `_`, `~` and `:`, which the specification leaves as it is.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                out.push(byte.into());
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purls_name_the_source_where_it_differs() {
        for (package, source, expected) in [
            (
                ("dash", "0.5.12-2"),
                ("dash", "0.5.12-2"),
                "pkg:deb/debian/dash@0.5.12-2?arch=amd64&distro=debian-12",
            ),
            (
                ("libstdc++6", "12.2.0-14"),
                ("gcc-12", "12.2.0-14"),
                "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=debian-12&upstream=gcc-12",
            ),
            (
                ("login", "1:4.13+dfsg1-1+b1"),
                ("shadow", "1:4.13+dfsg1-1"),
                "pkg:deb/debian/login@1:4.13%2Bdfsg1-1%2Bb1?arch=amd64&distro=debian-12\
                 &upstream=shadow%401:4.13%2Bdfsg1-1",
            ),
        ] {
            assert_eq!(deb("debian", package, "amd64", "debian-12", source), expected);
        }
    }

    #[test]
    fn empty_parts_are_left_out() {
        assert_eq!(deb("debian", ("a", ""), "", "", ("a", "")), "pkg:deb/debian/a");
    }
}
