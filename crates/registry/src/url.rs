//! Addresses: where they lead, and whether that is the same server.

use ureq::http::Uri;

/// The scheme, name and port that an address leads to.
pub(crate) fn origin(url: &str) -> Option<(String, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let authority = uri.authority()?;
    // A name before the host would be sent as a log-in.
    if authority.as_str().contains('@') {
        return None;
    }
    let default = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let host = authority.host().to_ascii_lowercase();
    (!host.is_empty()).then(|| (scheme, host, authority.port_u16().unwrap_or(default)))
}

/// Whether two addresses lead to the same server, so that one may know what the other may.
pub(crate) fn is_same_origin(one: &str, other: &str) -> bool {
    origin(one).is_some_and(|one| origin(other).is_some_and(|other| one == other))
}

/// An address as a page at `base` writes it; none for one that leads nowhere we go.
pub(crate) fn resolve(base: &str, location: &str) -> Option<String> {
    let (scheme, rest) = base.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let location = location.split('#').next().unwrap_or_default();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let url = if location.contains("://") && !location.starts_with(['/', '?']) {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{path}{location}")
    } else {
        let directory = path.rfind('/').map_or("/", |at| &path[..=at]);
        format!("{scheme}://{authority}{directory}{location}")
    };
    origin(&url).map(|_| url)
}

/// A text as a value of a query.
pub(crate) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_resolved_against_their_page() {
        let base = "https://reg.example:5000/v2/a/b/tags/list?n=2";
        for (location, expected) in [
            ("/v2/x?last=1", Some("https://reg.example:5000/v2/x?last=1")),
            ("?last=1", Some("https://reg.example:5000/v2/a/b/tags/list?last=1")),
            ("list?last=1", Some("https://reg.example:5000/v2/a/b/tags/list?last=1")),
            ("//cdn.example/x", Some("https://cdn.example/x")),
            ("http://cdn.example/x#y", Some("http://cdn.example/x")),
            ("file:///etc/passwd", None),
            ("https://user:pw@cdn.example/x", None),
            ("https://", None),
        ] {
            assert_eq!(resolve(base, location).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn a_server_is_scheme_name_and_port() {
        for (one, other, expected) in [
            ("https://a/x", "https://a:443/y", true),
            ("https://a/x", "http://a/x", false),
            ("https://a/x", "https://a:5000/x", false),
            ("https://a/x", "https://A/x", true),
            ("https://a/x", "https://a.example/x", false),
        ] {
            assert_eq!(is_same_origin(one, other), expected, "{one} {other}");
        }
    }
}
