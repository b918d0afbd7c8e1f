//! npm packages: the directories of a `node_modules`, each with a `package.json`.
//!
//! A package owns what lies in its directory, except what lies in a `node_modules` there. One whose `package.json` a
//! package of the image's distribution owns is that package's, and not a second one. `.package-lock.json`, with which
//! npm remembers what it installed, is no list that scanners need: it goes unless the workload used it.
//!
//! Source: npm documentation, "package.json", "folders", "package-lock.json" (hidden lockfiles).

pub(crate) mod filter;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use image::{Image, ImagePath, NodeKind};
use serde_json::Value;

use crate::read::{self, ReadPackagesError, Reading};
use crate::{Ecosystem, FileList, InstallState, Origin, Package, PackageDatabase, purl};

/// Larger ones are no package's.
const MAX_MANIFEST_BYTES: u64 = 4 << 20;
const MANIFEST: &[u8] = b"package.json";
const DIRECTORY: &[u8] = b"node_modules";
const HIDDEN_LOCKFILE: &[u8] = b".package-lock.json";

/// Where the database lies: every manifest, and the lists that npm keeps for itself.
pub(crate) fn places(database: &PackageDatabase, image: &Image) -> impl Iterator<Item = ImagePath> {
    let manifests = database.packages.iter().filter_map(|package| match &package.origin {
        Origin::Npm { manifest } => Some(manifest.clone()),
        _ => None,
    });
    manifests.chain(hidden_lockfiles(image))
}

fn hidden_lockfiles(image: &Image) -> Vec<ImagePath> {
    let files = image.tree().iter().filter(|(path, node)| {
        path.name() == HIDDEN_LOCKFILE
            && matches!(node.kind, NodeKind::File { .. })
            && path.parent().is_some_and(|directory| directory.name() == DIRECTORY)
    });
    files.map(|(path, _)| path.clone()).collect()
}

/// Reads every package whose manifest is not in `owned`; it has no file of `owned` either.
pub(crate) fn read(
    reading: &mut Reading<'_>,
    owned: &HashSet<ImagePath>,
) -> Result<Vec<Package>, ReadPackagesError> {
    let tree = reading.image.tree();
    let mut found: BTreeMap<ImagePath, Package> = BTreeMap::new();
    for (path, node) in tree.iter() {
        let NodeKind::File { size_bytes, .. } = node.kind else { continue };
        let Some(directory) = package_directory(path).filter(|_| !owned.contains(path)) else { continue };
        if size_bytes > MAX_MANIFEST_BYTES {
            reading.problem(path, "larger than a package.json is; nothing is known of the package");
            continue;
        }
        let manifest = read::file(reading.image, path, MAX_MANIFEST_BYTES)?;
        let Some(package) = package(path, &manifest) else { continue };
        reading.count(1, 0)?;
        found.insert(directory, package);
    }
    if found.is_empty() {
        return Ok(Vec::new());
    }
    // The directories above, as far as they belong to a package or hold packages, innermost last.
    let mut above: Vec<&ImagePath> = Vec::new();
    for (path, node) in tree.iter() {
        while above.pop_if(|directory| !path.is_within(directory)).is_some() {}
        if node.kind == NodeKind::Directory {
            if path.name() == DIRECTORY || found.contains_key(path) {
                above.push(path);
            }
        } else if let Some(package) = above.last().and_then(|directory| found.get_mut(directory))
            && !owned.contains(path)
        {
            reading.count(0, 1)?;
            package.files.insert(path.clone());
        }
    }
    Ok(found.into_values().collect())
}

/// The directory of the package whose manifest this path is: `…/node_modules/NAME` or `…/node_modules/@SCOPE/NAME`.
fn package_directory(path: &ImagePath) -> Option<ImagePath> {
    let directory = if path.name() == MANIFEST { path.parent()? } else { return None };
    let above = directory.parent()?;
    let in_modules = |path: &ImagePath| path.name() == DIRECTORY;
    let is_scoped = above.name().starts_with(b"@") && above.parent().is_some_and(|above| in_modules(&above));
    let named = !directory.name().starts_with(b".") && !directory.name().starts_with(b"@");
    (named && (in_modules(&above) || is_scoped)).then_some(directory)
}

/// `NAME` or `@SCOPE/NAME`, of letters that a URL leaves alone.
fn is_name(name: &str) -> bool {
    let good = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~!*'()".contains(&byte);
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
    };
    match name.strip_prefix('@').map(|scoped| scoped.split_once('/')) {
        Some(Some((scope, bare))) => good(scope) && good(bare),
        Some(None) => false,
        None => good(name),
    }
}

fn package(path: &ImagePath, manifest: &[u8]) -> Option<Package> {
    let manifest = manifest.strip_prefix(b"\xef\xbb\xbf").unwrap_or(manifest);
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    let text = |value: &Value| {
        let text = value.as_str()?;
        let good = !text.is_empty() && text.len() <= 500 && !text.chars().any(char::is_control);
        good.then(|| text.to_owned())
    };
    let name = text(&manifest["name"]).filter(|name| is_name(name))?;
    let version = text(&manifest["version"])?;
    let (scope, bare) = name.split_once('/').unwrap_or(("", &name));
    let purl = purl::of("npm", &[scope, bare], &version, &[]);
    Some(Package {
        ecosystem: Ecosystem::Npm,
        source_name: name.clone(),
        source_version: version.clone(),
        name,
        version,
        architecture: String::new(),
        licence: text(&manifest["license"]).or_else(|| text(&manifest["license"]["type"])),
        maintainer: author(&manifest["author"]).or_else(|| author(&manifest["maintainers"][0])),
        state: InstallState::Installed,
        purl,
        file_list: FileList::Directory,
        files: BTreeSet::new(),
        origin: Origin::Npm { manifest: path.clone() },
    })
}

/// `Name <mail>`, of `Name <mail> (address)` or of an object.
///
/// Source: npm documentation, "package.json", "people fields".
fn author(value: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
    let person = match value {
        Value::String(person) => person.split('(').next().unwrap_or_default().trim().to_owned(),
        _ => match (text(&value["name"]), text(&value["email"])) {
            (name, mail) if name.is_empty() => mail,
            (name, mail) if mail.is_empty() => name,
            (name, mail) => format!("{name} <{mail}>"),
        },
    };
    let good = !person.is_empty() && person.len() <= 200 && !person.chars().any(char::is_control);
    good.then_some(person)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_of_installed_packages_are_told_from_others() {
        for (path, directory) in [
            ("/app/node_modules/a/package.json", Some("/app/node_modules/a")),
            ("/app/node_modules/@s/a/package.json", Some("/app/node_modules/@s/a")),
            ("/app/node_modules/a/node_modules/b/package.json", Some("/app/node_modules/a/node_modules/b")),
            ("/app/node_modules/a/dist/package.json", None),
            ("/app/node_modules/.cache/package.json", None),
            ("/app/node_modules/@s/package.json", None),
            ("/app/package.json", None),
            ("/package.json", None),
        ] {
            let found = package_directory(&ImagePath::from_text(path).unwrap());
            assert_eq!(found.map(|path| path.to_text()).as_deref(), directory, "{path}");
        }
    }

    #[test]
    fn manifests_need_a_name_and_a_version() {
        let path = ImagePath::from_text("/n/package.json").unwrap();
        let of = |text: &str| package(&path, text.as_bytes()).map(|package| (package.purl, package.licence));
        let scoped = of(r#"{"name":"@s/a","version":"1.0.0+x","license":{"type":"MIT"}}"#);
        assert_eq!(scoped, Some(("pkg:npm/%40s/a@1.0.0%2Bx".to_owned(), Some("MIT".to_owned()))));
        for other in [
            r#"{"name":"a"}"#,
            r#"{"name":1,"version":"1"}"#,
            "[]",
            "",
            "{\"name\":\"a\\n\",\"version\":\"1\"}",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
        assert!(of(&"[".repeat(100_000)).is_none());
    }
}
