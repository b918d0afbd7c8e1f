//! Java archives: what they are, what was shaded into them, what lies in them.
//!
//! Evidence, best first: `pom.properties` that Maven leaves in an archive, the place in a Maven repository, the
//! manifest, the file's name. An archive with several `pom.properties` is the one that its name or manifest speaks of;
//! the others were shaded into it.
//!
//! Source: "JAR File Specification", JDK 21; Maven Archiver Reference; OSGi Core 8, "Bundle-SymbolicName".

mod coordinates;
mod manifest;

use std::io::Cursor;

use image::ImagePath;

use self::coordinates::{Coordinates, file_name, group_of, repository};
use self::manifest::Manifest;
use super::found::{Content, Findings, Found};
use super::zip::{self, Budget, ZipEntry, ZipError};
use crate::{Ecosystem, Limits, purl};

/// Endings of archives that hold classes or further archives.
const SUFFIXES: &[&str] =
    &[".jar", ".war", ".ear", ".rar", ".sar", ".par", ".hpi", ".jpi", ".lpkg", ".kar", ".nar"];
const MANIFEST: &str = "META-INF/MANIFEST.MF";
const POM: &str = "/pom.properties";
/// Manifests and properties beyond are no tool's.
const MAX_METADATA_BYTES: u64 = 4 << 20;
/// So many components of one file; a distribution of all of Maven Central's best has some thousand.
const MAX_COMPONENTS: usize = 20_000;

/// Whether a file of this name is an archive of Java's.
pub(super) fn is_archive(name: &str) -> bool {
    let name = name.as_bytes();
    SUFFIXES.iter().any(|suffix| {
        name.len() > suffix.len() && name[name.len() - suffix.len()..].eq_ignore_ascii_case(suffix.as_bytes())
    })
}

/// What this archive is, and all that lies in it.
pub(super) fn examine(path: &ImagePath, content: &mut dyn Content, limits: &Limits) -> Findings {
    let mut reading = Reading {
        findings: Findings::default(),
        budget: Budget::new(limits.archive_bytes),
        depth: limits.nesting,
        within: Vec::new(),
    };
    let path = String::from_utf8_lossy(path.as_bytes()).into_owned();
    reading.archive(&path, content);
    reading.findings
}

struct Reading {
    findings: Findings,
    budget: Budget,
    depth: usize,
    within: Vec<String>,
}

impl Reading {
    fn problem(&mut self, error: &dyn std::fmt::Display) {
        let at = if self.within.is_empty() { String::new() } else { format!("{}: ", self.within.join("!")) };
        if self.findings.problems.len() < 20 {
            self.findings.problems.push(format!("{at}{error}"));
        }
    }

    /// Reads one archive; `path` is the whole path of the outermost one, or the entry's name.
    fn archive(&mut self, path: &str, content: &mut dyn Content) {
        let wanted = |name: &str| {
            name.eq_ignore_ascii_case(MANIFEST)
                || (name.starts_with("META-INF/maven/") && name.ends_with(POM))
                || is_archive(name)
        };
        let entries = match zip::entries(content, wanted) {
            Ok(entries) => entries,
            Err(error) => return self.problem(&error),
        };
        let mut manifest = Manifest::default();
        let mut shaded: Vec<(String, Coordinates)> = Vec::new();
        for entry in entries.iter().filter(|entry| !is_archive(&entry.name)) {
            let bytes = match entry.read(content, MAX_METADATA_BYTES, &mut self.budget) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.problem(&error);
                    if matches!(error, ZipError::Budget) {
                        break;
                    }
                    continue;
                }
            };
            if entry.name.ends_with(POM) {
                shaded.extend(Coordinates::of_properties(&bytes).map(|found| (entry.name.clone(), found)));
            } else {
                manifest = Manifest::parse(&bytes);
            }
        }
        let nested: Vec<ZipEntry> = entries.into_iter().filter(|entry| is_archive(&entry.name)).collect();
        self.name(path, &manifest, shaded);
        self.nested(content, &nested);
    }

    /// Says what one archive is, and what was shaded into it.
    fn name(&mut self, path: &str, manifest: &Manifest, mut shaded: Vec<(String, Coordinates)>) {
        let by_name = file_name(path);
        // Of several, the archive's own is the one it is named after; of equals the first in the archive.
        let own = shaded
            .iter()
            .position(|(_, pom)| pom.artifact == by_name.artifact)
            .or_else(|| {
                shaded.iter().position(|(_, pom)| manifest.titles().any(|title| title == pom.artifact))
            })
            .or_else(|| {
                let starts = |pom: &Coordinates| by_name.artifact.starts_with(&format!("{}-", pom.artifact));
                shaded.iter().position(|(_, pom)| starts(pom))
            })
            .or((shaded.len() == 1 && manifest.titles().next().is_none()).then_some(0));
        let own = match own.map(|at| shaded.remove(at).1) {
            Some(pom) => pom,
            None => repository(path).unwrap_or_else(|| manifest.coordinates(&by_name)),
        };
        let licence = manifest.licence();
        self.push(own, licence, None);
        for (entry, pom) in shaded {
            self.push(pom, None, Some(entry));
        }
    }

    fn push(&mut self, coordinates: Coordinates, licence: Option<String>, entry: Option<String>) {
        if self.findings.found.len() >= MAX_COMPONENTS {
            if self.findings.found.len() == MAX_COMPONENTS {
                self.problem(&format!("more than {MAX_COMPONENTS} components"));
            }
            return;
        }
        let Coordinates { mut group, artifact, version } = coordinates;
        if group.is_empty() {
            group = group_of(&artifact).unwrap_or_default().to_owned();
        }
        let name = if group.is_empty() { artifact.clone() } else { format!("{group}:{artifact}") };
        let purl = purl::of("maven", &[&group, &artifact], &version, &[]);
        let Some(mut found) = Found::new(Ecosystem::Maven, &name, &version, purl) else { return };
        found.within.clone_from(&self.within);
        found.within.extend(entry);
        self.findings.found.push(found.licence(licence));
    }

    fn nested(&mut self, content: &mut dyn Content, entries: &[ZipEntry]) {
        for entry in entries {
            if self.within.len() >= self.depth {
                let depth = self.depth;
                return self.problem(&format!("archives within archives, more than {depth} deep"));
            }
            let read = entry.read(content, u64::MAX, &mut self.budget);
            self.within.push(entry.name.clone());
            match read {
                Ok(bytes) => self.archive(&entry.name, &mut Cursor::new(bytes)),
                Err(error) => self.problem(&error),
            }
            self.within.pop();
            if self.budget.is_spent() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::zip::made;
    use super::*;

    fn examined(name: &str, archive: &[u8]) -> Findings {
        examine(&ImagePath::from_text(name).unwrap(), &mut Cursor::new(archive), &Limits::default())
    }

    fn purls(findings: &Findings) -> Vec<(String, String)> {
        findings.found.iter().map(|found| (found.purl.clone(), found.within.join("!"))).collect()
    }

    fn pom(group: &str, artifact: &str, version: &str) -> Vec<u8> {
        format!("#Generated\nversion={version}\ngroupId={group}\nartifactId = {artifact}\n").into_bytes()
    }

    #[test]
    fn nested_and_shaded_archives_name_the_way_to_them() {
        let library = made(&[("META-INF/maven/g/lib/pom.properties", &pom("g", "lib", "1.0"), true)]);
        let (app, shaded) = (pom("g", "app", "2.0"), pom("com.x", "inner", "3.0"));
        let archive = made(&[
            ("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\r\n", true),
            ("META-INF/maven/com.x/inner/pom.properties", &shaded, true),
            ("META-INF/maven/g/app/pom.properties", &app, true),
            ("BOOT-INF/lib/lib-1.0.jar", &library, false),
        ]);
        let found = examined("/app/app-2.0.jar", &archive);
        let expected = [
            ("pkg:maven/g/app@2.0", ""),
            ("pkg:maven/com.x/inner@3.0", "META-INF/maven/com.x/inner/pom.properties"),
            ("pkg:maven/g/lib@1.0", "BOOT-INF/lib/lib-1.0.jar"),
        ];
        assert_eq!(purls(&found), expected.map(|(purl, within)| (purl.to_owned(), within.to_owned())));
        assert_eq!(found.problems, [""; 0]);
    }

    #[test]
    fn archives_are_followed_twenty_deep_and_no_further() {
        let mut archive = made(&[("META-INF/maven/g/core/pom.properties", &pom("g", "core", "1"), true)]);
        for _ in 0..20 {
            archive = made(&[("in.jar", &archive, true)]);
        }
        let found = examined("/out.jar", &archive);
        assert_eq!((found.found.len(), found.problems.len()), (21, 0));
        assert_eq!((found.found[20].name.as_str(), found.found[20].within.len()), ("g:core", 20));
        let found = examined("/out.jar", &made(&[("in.jar", &archive, true)]));
        assert_eq!(found.found.len(), 21);
        assert!(found.problems[0].ends_with("archives within archives, more than 20 deep"), "{found:?}");
    }

    #[test]
    fn a_bomb_of_nested_archives_costs_no_more_than_the_budget() {
        let zeros = vec![0; 4 << 20];
        let bomb = made(&[("META-INF/MANIFEST.MF", &zeros[..1 << 20], true), ("z.jar", &zeros, true)]);
        let entries: Vec<(String, &[u8], bool)> =
            (0..50).map(|n| (format!("{n}.jar"), bomb.as_slice(), false)).collect();
        let entries: Vec<_> =
            entries.iter().map(|(name, bytes, deflated)| (name.as_str(), *bytes, *deflated)).collect();
        let archive = made(&entries);
        let limits = Limits { archive_bytes: 16 << 20, ..Limits::default() };
        let path = ImagePath::from_text("/bomb.jar").unwrap();
        let found = examine(&path, &mut Cursor::new(archive), &limits);
        assert!(found.found.len() < 10, "{}", found.found.len());
        assert!(found.problems.iter().any(|text| text.contains("inflates to more")), "{:?}", found.problems);
    }

    #[test]
    fn what_is_no_archive_is_a_problem_and_no_component() {
        let found = examined("/x.jar", b"not a zip");
        assert_eq!((found.found.len(), found.problems.len()), (0, 1));
    }
}
