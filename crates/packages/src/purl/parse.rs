//! Package URLs, taken apart.

/// The parts of a package URL, decoded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Purl {
    /// The type, lower case.
    pub kind: String,
    /// Empty where there is none; its segments joined by `/`.
    pub namespace: String,
    /// The last segment of the path.
    pub name: String,
    /// Empty where there is none.
    pub version: String,
    /// Keys in lower case and values, in the order in which they stand.
    pub qualifiers: Vec<(String, String)>,
}

impl Purl {
    /// Parses `pkg:TYPE/NAMESPACE/NAME@VERSION?QUALIFIERS#SUBPATH`.
    ///
    /// Source: package-url specification, "How to parse a purl string in its components".
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("pkg:")).map(|_| &text[4..])?;
        let rest = rest.trim_start_matches('/');
        let rest = rest.rsplit_once('#').map_or(rest, |(rest, _)| rest);
        let (rest, qualifiers) = rest.rsplit_once('?').unwrap_or((rest, ""));
        let (kind, rest) = rest.split_once('/')?;
        // The `@` of a scope that was not encoded stands before a slash.
        let (path, version) = match rest.rsplit_once('@') {
            Some((path, version)) if !path.is_empty() && !version.contains('/') => (path, version),
            _ => (rest, ""),
        };
        let path = path.trim_matches('/');
        let (namespace, name) = path.rsplit_once('/').unwrap_or(("", path));
        let segments: Vec<String> =
            namespace.split('/').filter(|segment| !segment.is_empty()).map(decode).collect();
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=')?;
            (!value.is_empty()).then(|| (key.to_ascii_lowercase(), decode(value)))
        };
        let purl = Self {
            kind: kind.to_ascii_lowercase(),
            namespace: segments.join("/"),
            name: decode(name),
            version: decode(version),
            qualifiers: qualifiers.split('&').filter_map(pair).collect(),
        };
        let words = [&purl.kind, &purl.namespace, &purl.name, &purl.version];
        let good = words.iter().all(|word| word.len() <= 500 && !word.chars().any(char::is_control));
        (good && !purl.kind.is_empty() && !purl.name.is_empty()).then_some(purl)
    }

    /// The value of a qualifier.
    pub fn qualifier(&self, key: &str) -> Option<&str> {
        self.qualifiers.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str())
    }
}

/// Percent-decodes; what is no code stays.
fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .filter(|code| code.iter().all(u8::is_ascii_hexdigit))
            .and_then(|code| std::str::from_utf8(code).ok())
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn purls_are_taken_apart() {
        for (text, parts) in [
            ("pkg:deb/debian/libstdc%2B%2B6@12-1?arch=amd64", ("deb", "debian", "libstdc++6", "12-1")),
            ("pkg:npm/%40babel/core@7.0.0", ("npm", "@babel", "core", "7.0.0")),
            ("pkg:npm/@babel/core", ("npm", "@babel", "core", "")),
            (
                "pkg:golang/google.golang.org/genproto@v1#a/b",
                ("golang", "google.golang.org", "genproto", "v1"),
            ),
            ("PKG:Maven/org.a/b@1?type=jar&x=", ("maven", "org.a", "b", "1")),
            ("pkg:pypi/a@1%ZZ", ("pypi", "", "a", "1%ZZ")),
        ] {
            let purl = Purl::parse(text).unwrap();
            assert_eq!((&*purl.kind, &*purl.namespace, &*purl.name, &*purl.version), parts, "{text}");
        }
        for text in ["", "pkg:", "pkg:deb", "npm/a", "pkg:npm/", "\u{fc}\u{fc}\u{fc}"] {
            assert_eq!(Purl::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed(text in "(pkg:)?[a-z/@?#%=&0-9\u{fc}]{0,40}") {
            Purl::parse(&text);
        }
    }
}
