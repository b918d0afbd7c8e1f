//! CPE names that a package may have in NVD's data: guesses, best first.
//!
//! NVD names vendors and products as people wrote them, so no rule finds them all. What is guessed here is what the
//! common scanners guess, and few of it: a name for each way in which the ecosystem tells vendor from product. A vendor's
//! own advisories are always better evidence.
//!
//! Source: NISTIR 7695 (CPE 2.3 naming), 6.2 "Formatted string".

use std::fmt::Write as _;

use crate::catalog::{javascript, programs};
use crate::{Ecosystem, Package};

/// More candidates say nothing any more.
const MAX_CANDIDATES: usize = 6;

impl Package {
    /// CPE 2.3 names that the package may have, the likeliest first, none twice; none for a package without a version.
    pub fn cpes(&self) -> Vec<String> {
        if self.version.is_empty() {
            return Vec::new();
        }
        let version = match self.ecosystem {
            // NVD counts upstream's versions, without a distribution's epoch and revision.
            ecosystem if ecosystem.is_system() => upstream_version(&self.source_version),
            Ecosystem::Go => self.version.strip_prefix('v').unwrap_or(&self.version),
            _ => &self.version,
        };
        let target = target_software(self.ecosystem);
        let mut found: Vec<String> = Vec::new();
        for (vendor, product) in self.vendors_and_products() {
            let name = formatted(&vendor, &product, version, target);
            if !vendor.is_empty() && !product.is_empty() && !found.contains(&name) {
                found.push(name);
            }
        }
        found.truncate(MAX_CANDIDATES);
        found
    }

    /// What Bitnami's advisories call the program, where they have it; only for programs that no package brought.
    pub fn bitnami_name(&self) -> Option<&'static str> {
        if self.ecosystem != Ecosystem::Generic {
            return None;
        }
        programs::bitnami(&self.name)
    }

    /// What the repository of retire.js calls a JavaScript library, where it does not name it as npm does.
    pub fn retire_name(&self) -> Option<&'static str> {
        matches!(self.ecosystem, Ecosystem::Npm | Ecosystem::Javascript)
            .then(|| javascript::retire(&self.name))?
    }

    /// Vendor and product as NVD names them, where that is known and no guess; only for programs that no package brought.
    pub fn known_cpe(&self) -> Option<(&'static str, &'static str)> {
        if self.ecosystem != Ecosystem::Generic {
            return None;
        }
        programs::cpe(&self.name)
    }

    fn vendors_and_products(&self) -> Vec<(String, String)> {
        let name = self.name.to_lowercase();
        let pair = |vendor: &str, product: &str| (vendor.to_owned(), product.to_owned());
        match self.ecosystem {
            Ecosystem::Generic => match programs::cpe(&self.name) {
                Some((vendor, product)) => vec![pair(vendor, product)],
                None => vec![pair(&name, &name)],
            },
            Ecosystem::Dpkg | Ecosystem::Apk | Ecosystem::Rpm => {
                let source = self.source_name.to_lowercase();
                // What a distribution calls its packages, NVD often has without the prefix of the language.
                let bare = ["python3-", "python-", "node-", "ruby-", "golang-", "lib"];
                let bare = bare.iter().find_map(|prefix| source.strip_prefix(prefix)).unwrap_or_default();
                let known = programs::cpe(&source).map(|(vendor, product)| pair(vendor, product));
                let guessed = [pair(&source, &source), pair(&name, &name), pair(bare, bare)];
                known.into_iter().chain(guessed).collect()
            }
            Ecosystem::Maven => {
                let (group, artifact) = name.split_once(':').unwrap_or((&name, &name));
                let parts: Vec<&str> = group.split('.').collect();
                // `org.apache.commons` is of apache; `commons-io` of itself.
                let vendor = parts.get(1).or(parts.first()).copied().unwrap_or_default();
                let last = parts.last().copied().unwrap_or_default();
                let base = artifact.split('-').next().unwrap_or(artifact);
                vec![
                    pair(vendor, artifact),
                    pair(artifact, artifact),
                    pair(last, artifact),
                    pair(vendor, base),
                ]
            }
            Ecosystem::Go if name == "stdlib" => vec![pair("golang", "go")],
            Ecosystem::Go => {
                let mut parts: Vec<&str> = name.split('/').collect();
                let is_major = |part: &&str| {
                    part.strip_prefix('v').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
                };
                if parts.len() > 2 && parts.last().is_some_and(is_major) {
                    parts.pop();
                }
                let product = parts.last().copied().unwrap_or_default();
                let vendor = if parts.len() > 2 { parts[1] } else { product };
                vec![pair(vendor, product), pair(product, product)]
            }
            Ecosystem::Npm | Ecosystem::Javascript | Ecosystem::Composer => {
                let (vendor, product) = name.split_once('/').unwrap_or((&name, &name));
                let vendor = vendor.trim_start_matches('@');
                vec![
                    pair(vendor, product),
                    pair(product, product),
                    pair(&format!("{product}_project"), product),
                ]
            }
            Ecosystem::Python => {
                let (plain, prefixed) = (name.replace('_', "-"), format!("python-{name}"));
                let project = format!("{plain}_project");
                vec![
                    pair(&plain, &plain),
                    pair(&project, &plain),
                    pair(&prefixed, &plain),
                    pair(&prefixed, &prefixed),
                    pair("python", &plain),
                ]
            }
            Ecosystem::Nuget => {
                let vendor = name.split('.').next().unwrap_or(&name);
                vec![pair(vendor, &name), pair(&name, &name)]
            }
            _ => vec![pair(&name, &name), pair(&format!("{name}_project"), &name)],
        }
    }
}

/// The version without epoch and revision.
fn upstream_version(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version.rsplit_once('-').map_or(version, |(upstream, _)| upstream)
}

fn target_software(ecosystem: Ecosystem) -> &'static str {
    match ecosystem {
        Ecosystem::Python => "python",
        Ecosystem::Npm => "node.js",
        Ecosystem::Gem => "ruby",
        Ecosystem::Cargo => "rust",
        _ => "*",
    }
}

/// The name as a formatted string.
fn formatted(vendor: &str, product: &str, version: &str, target: &str) -> String {
    let target = if target == "*" { "*".to_owned() } else { escape(target) };
    let [vendor, product, version] = [vendor, product, version].map(escape);
    format!("cpe:2.3:a:{vendor}:{product}:{version}:*:*:*:*:{target}:*:*")
}

/// Escapes all but letters, digits and `_`, `-`, `.`; a value must be ASCII without spaces, and no lone hyphen, which
/// would say "not applicable".
fn escape(text: &str) -> String {
    if text == "-" {
        return "\\-".to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' | '.' => out.push(letter),
            ' ' => out.push('_'),
            '!'..='~' => {
                let _ = write!(out, "\\{letter}");
            }
            _ => out.push('?'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use image::ImagePath;

    use super::*;
    use crate::{FileList, InstallState, Origin};

    fn cpes(ecosystem: Ecosystem, name: &str, version: &str) -> Vec<String> {
        let package = Package {
            ecosystem,
            name: name.into(),
            version: version.into(),
            architecture: String::new(),
            source_name: name.into(),
            source_version: version.into(),
            licence: None,
            maintainer: None,
            state: InstallState::Installed,
            purl: String::new(),
            file_list: FileList::Absent,
            files: BTreeSet::new(),
            origin: Origin::Embedded { file: ImagePath::root(), within: Vec::new() },
        };
        package.cpes()
    }

    #[test]
    fn the_best_guess_comes_first() {
        for (ecosystem, name, version, best) in [
            (Ecosystem::Generic, "nginx", "1.22.1", "f5:nginx:1.22.1:*:*:*:*:*"),
            (Ecosystem::Dpkg, "zlib", "1:1.2.13.dfsg-1", "zlib:zlib:1.2.13.dfsg:*:*:*:*:*"),
            (Ecosystem::Maven, "org.apache.commons:commons-text", "1.9", "apache:commons-text:1.9:*:*:*:*:*"),
            (Ecosystem::Go, "stdlib", "1.22.1", "golang:go:1.22.1:*:*:*:*:*"),
            (Ecosystem::Go, "github.com/Traefik/traefik/v3", "v3.0.0", "traefik:traefik:3.0.0:*:*:*:*:*"),
            (Ecosystem::Npm, "@babel/core", "7.0.0", "babel:core:7.0.0:*:*:*:*:node.js"),
            (Ecosystem::Python, "Flask", "3.0.3", "flask:flask:3.0.3:*:*:*:*:python"),
            (Ecosystem::Cargo, "a", "1.0.0+x", "a:a:1.0.0\\+x:*:*:*:*:rust"),
        ] {
            let found = cpes(ecosystem, name, version);
            assert_eq!(found[0], format!("cpe:2.3:a:{best}:*:*"));
            assert!(found.len() <= MAX_CANDIDATES);
            assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len());
        }
        assert_eq!(cpes(Ecosystem::Npm, "x", ""), [""; 0]);
    }

    #[test]
    fn every_name_has_eleven_fields_whatever_it_is_made_of() {
        for name in ["a:b*c?", "é x", "-", "\"\\", "@/", "github.com/v2"] {
            for ecosystem in Ecosystem::ALL {
                for cpe in cpes(ecosystem, name, "1:0~rc1") {
                    let plain = cpe.replace("\\\\", "").replace("\\:", "");
                    assert_eq!(plain.split(':').count(), 13, "{cpe}");
                    assert!(cpe.is_ascii() && !cpe.contains(' '), "{cpe}");
                }
            }
        }
    }
}
