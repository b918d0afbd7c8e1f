//! What distribution an image says it is.

use serde::{Deserialize, Serialize};

/// The parts of `os-release` that name packages and vulnerabilities.
///
/// Source: `os-release(5)`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OsRelease {
    /// `ID`, lower case: `debian`, `ubuntu`.
    pub id: String,
    /// `VERSION_ID`: `12`; none for testing and unstable.
    pub version_id: Option<String>,
    /// `VERSION_CODENAME`: `bookworm`.
    pub codename: Option<String>,
    /// `PRETTY_NAME`, for people.
    pub pretty_name: Option<String>,
}

impl OsRelease {
    /// Parses the file. Lines that are no assignments, and values with control characters, are passed over; the last
    /// assignment of a name holds, as in a shell. An absent `ID` is `linux`.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut found = Self { id: "linux".into(), ..Self::default() };
        for line in String::from_utf8_lossy(bytes).lines() {
            let Some((name, value)) = line.trim().split_once('=') else { continue };
            let value = unquote(value);
            if value.is_empty() || value.len() > 256 || value.chars().any(char::is_control) {
                continue;
            }
            match name {
                "ID" => found.id = value.to_ascii_lowercase(),
                "VERSION_ID" => found.version_id = Some(value),
                "VERSION_CODENAME" => found.codename = Some(value),
                "PRETTY_NAME" => found.pretty_name = Some(value),
                _ => {}
            }
        }
        found
    }

    /// The distribution as a purl qualifier names it: `debian-12`, or with the codename where there is no version.
    pub fn distro(&self) -> String {
        match self.version_id.as_ref().or(self.codename.as_ref()) {
            Some(version) => format!("{}-{version}", self.id),
            None => self.id.clone(),
        }
    }
}

/// Removes a shell's quoting from one word: `"a \"b\""`, `'a'`, `a`.
fn unquote(value: &str) -> String {
    if let Some(inner) = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return inner.to_owned();
    }
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    let mut out = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => out.extend(characters.next()),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_are_unquoted() {
        for (text, distro) in [
            ("ID=debian\nVERSION_ID=\"12\"\n", "debian-12"),
            ("ID='ubuntu'\nVERSION_ID=\"24.04\"\nVERSION_CODENAME=noble", "ubuntu-24.04"),
            ("ID=debian\nVERSION_CODENAME=forky\n", "debian-forky"),
            ("ID=\"De\\bian\"", "debian"),
            ("ID=a\nID=b\n", "b"),
            ("ID=\nnonsense\n\u{0}=\u{1}", "linux"),
            ("", "linux"),
        ] {
            assert_eq!(OsRelease::parse(text.as_bytes()).distro(), distro, "{text:?}");
        }
    }
}
