//! The main section of an archive's manifest.

use std::collections::BTreeMap;

use super::coordinates::Coordinates;

/// Attributes of the main section, names in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Manifest(BTreeMap<String, String>);

impl Manifest {
    /// Parses the main section: up to the first empty line; a line that begins with a space goes on.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut attributes: BTreeMap<String, String> = BTreeMap::new();
        let mut last: Option<String> = None;
        for line in text.lines() {
            if line.is_empty() {
                break;
            }
            if let Some(more) = line.strip_prefix(' ') {
                if let Some(value) = last.as_ref().and_then(|name| attributes.get_mut(name)) {
                    value.push_str(more);
                }
                continue;
            }
            last = line.split_once(':').map(|(name, value)| {
                let name = name.trim().to_ascii_lowercase();
                attributes.insert(name.clone(), value.trim_start().to_owned());
                name
            });
        }
        Self(attributes)
    }

    /// A value that says something: not empty, and no placeholder that the build forgot to fill in.
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?.trim();
        let is_said = !value.is_empty() && value.len() <= 300 && !value.contains("${");
        is_said.then_some(value)
    }

    /// The bundle's name, without its directives.
    fn symbolic_name(&self) -> Option<&str> {
        self.get("bundle-symbolicname").map(|value| value.split(';').next().unwrap_or(value).trim())
    }

    /// What the archive calls itself.
    pub(super) fn titles(&self) -> impl Iterator<Item = &str> {
        let own = [self.get("implementation-title"), self.symbolic_name(), self.get("automatic-module-name")];
        own.into_iter().flatten()
    }

    /// What its licence is called.
    pub(super) fn licence(&self) -> Option<String> {
        self.get("bundle-license").map(|value| value.split(';').next().unwrap_or(value).trim().to_owned())
    }

    /// Coordinates from what the manifest says and from the file's name, which is the best witness of the artifact.
    pub(super) fn coordinates(&self, by_name: &Coordinates) -> Coordinates {
        let version = if by_name.version.is_empty() { self.version() } else { by_name.version.clone() };
        let is_plain = |text: &&str| {
            !text.contains([' ', '/', ':']) && text.chars().any(|letter| letter.is_ascii_alphabetic())
        };
        let own = by_name.artifact.clone();
        let artifact = if own.is_empty() || GENERIC_NAMES.contains(&own.as_str()) {
            self.titles().find(is_plain).map(str::to_owned).unwrap_or(own)
        } else {
            own
        };
        Coordinates { group: self.group(&artifact), artifact, version }
    }

    fn version(&self) -> String {
        let places = ["implementation-version", "bundle-version", "specification-version", "plugin-version"];
        let version = places.iter().find_map(|name| self.get(name)).unwrap_or_default();
        // Some builds append who built it, and when.
        let version = version.split_whitespace().next().unwrap_or_default().trim_matches('"');
        let is_version = version.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if is_version { version.to_owned() } else { String::new() }
    }

    fn group(&self, artifact: &str) -> String {
        let dotted = |text: &&str| {
            text.contains('.')
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        };
        if let Some(group) = self.get("implementation-vendor-id").filter(dotted) {
            return group.to_owned();
        }
        // `org.apache.commons.commons-io` is in `org.apache.commons`, if its artifact is `commons-io`.
        let names = [self.symbolic_name(), self.get("automatic-module-name")].into_iter().flatten();
        let groups = names.filter(dotted).filter_map(|name| name.strip_suffix(artifact)?.strip_suffix('.'));
        groups.filter(|group| group.contains('.')).map(str::to_owned).next().unwrap_or_default()
    }
}

/// Names of files that say nothing of what is in them.
const GENERIC_NAMES: &[&str] = &["app", "application", "main", "server", "service", "classes", "root"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_go_on_and_sections_end() {
        let manifest = Manifest::parse(
            b"Manifest-Version: 1.0\r\nImplementation-Title: very-\r\n long\r\nBundle-SymbolicName: a.b;singleton:=true\r\n\
              \r\nName: other\r\nImplementation-Title: no\r\n",
        );
        assert_eq!(manifest.titles().collect::<Vec<_>>(), ["very-long", "a.b"]);
    }

    #[test]
    fn the_manifest_fills_in_what_the_name_does_not_say() {
        let of = |text: &str, artifact: &str, version: &str| {
            let by_name =
                Coordinates { group: String::new(), artifact: artifact.into(), version: version.into() };
            let found = Manifest::parse(text.as_bytes()).coordinates(&by_name);
            format!("{}:{}:{}", found.group, found.artifact, found.version)
        };
        let bundle = "Bundle-SymbolicName: org.x.lib\nBundle-Version: 1.2\n";
        assert_eq!(of(bundle, "lib", ""), "org.x:lib:1.2");
        assert_eq!(of(bundle, "lib", "1.3"), "org.x:lib:1.3");
        assert_eq!(
            of("Implementation-Title: shop\nImplementation-Version: 4 (build 7)\n", "app", ""),
            ":shop:4"
        );
        assert_eq!(of("Implementation-Version: ${version}\n", "x", ""), ":x:");
        assert_eq!(of("Implementation-Vendor-Id: com.example\n", "x", "1"), "com.example:x:1");
    }
}
