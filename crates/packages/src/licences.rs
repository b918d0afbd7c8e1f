//! Licence texts that stay with the packages that are still there.

use std::collections::{BTreeMap, BTreeSet};

use image::tree::ResolutionEnd;
use image::{Image, ImagePath, NodeKind};

use crate::read::{self, ReadPackagesError};
use crate::{Ecosystem, PackageDatabase, filter, is_licence};

/// How much of a copyright file is searched for references; real ones have up to 500 KB.
const MAX_SEARCHED_BYTES: u64 = 4 << 20;
const COMMON_LICENSES: &[u8] = b"/usr/share/common-licenses/";

/// Licence texts that go with the packages that still own a path in `kept`: call it before [`crate::filter()`], and
/// add what it returns to `kept`.
///
/// For each such package its `/usr/share/doc/NAME/copyright`, with the links on the way (packages of one source
/// often share a directory), and those texts of `/usr/share/common-licenses` that it refers to: Debian lets a
/// copyright file name a common licence in place of its text (policy 12.5), so without that text it would say
/// nothing. They are 10-35 KB each. A package without a copyright file, and one of another package manager, keeps the
/// licences that it owns elsewhere (`/usr/share/licenses/NAME`, `LICENSE` beside its modules).
/// Packages that are gone keep none.
///
/// # Errors
/// [`ReadPackagesError`], as [`crate::read()`].
pub fn licences(
    database: &PackageDatabase,
    image: &Image,
    kept: &BTreeSet<ImagePath>,
) -> Result<BTreeSet<ImagePath>, ReadPackagesError> {
    let mut licences = BTreeSet::new();
    let mut references: BTreeMap<ImagePath, BTreeSet<Vec<u8>>> = BTreeMap::new();
    let present = filter::present(database, image, kept);
    for (package, _) in database.packages.iter().zip(present).filter(|(_, present)| *present) {
        let copyright = (package.ecosystem == Ecosystem::Dpkg)
            .then(|| follow(image, format!("/usr/share/doc/{}/copyright", package.name).as_bytes()));
        let Some(copyright) = copyright.flatten() else {
            licences.extend(package.files.iter().filter(|path| is_licence(path)).cloned());
            continue;
        };
        if !references.contains_key(&copyright.file) {
            references.insert(copyright.file.clone(), references_of(image, &copyright.file)?);
        }
        licences.extend(copyright.links);
        licences.insert(copyright.file);
    }
    for name in references.into_values().flatten().collect::<BTreeSet<_>>() {
        if let Some(common) = follow(image, &[COMMON_LICENSES, &name].concat()) {
            licences.extend(common.links);
            licences.insert(common.file);
        }
    }
    Ok(licences)
}

/// A regular file, and the links that led there.
struct Followed {
    links: Vec<ImagePath>,
    file: ImagePath,
}

fn follow(image: &Image, path: &[u8]) -> Option<Followed> {
    let resolution = image.tree().resolve(&ImagePath::root(), path, true);
    let ResolutionEnd::Found(file) = resolution.end else { return None };
    let regular = matches!(image.tree().get(&file)?.kind, NodeKind::File { .. });
    regular.then_some(Followed { links: resolution.symlinks, file })
}

/// The common licences that a copyright file names.
fn references_of(image: &Image, copyright: &ImagePath) -> Result<BTreeSet<Vec<u8>>, ReadPackagesError> {
    let size_bytes = match image.tree().get(copyright).map(|node| &node.kind) {
        Some(NodeKind::File { size_bytes, .. }) => *size_bytes,
        _ => 0,
    };
    if size_bytes > MAX_SEARCHED_BYTES {
        return Ok(BTreeSet::new());
    }
    Ok(common_licences(&read::file(image, copyright, MAX_SEARCHED_BYTES)?))
}

/// Names below `/usr/share/common-licenses/` in a text, without the punctuation of the sentence around them.
fn common_licences(text: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut names = BTreeSet::new();
    let mut rest = text;
    while let Some(slash) = rest.iter().position(|&byte| byte == b'/') {
        rest = &rest[slash..];
        let Some(after) = rest.strip_prefix(COMMON_LICENSES) else {
            rest = &rest[1..];
            continue;
        };
        let length = after
            .iter()
            .position(|byte| !(byte.is_ascii_alphanumeric() || b"-+._".contains(byte)))
            .unwrap_or(after.len());
        let mut name = &after[..length];
        while let Some(shorter) = name.strip_suffix(b".").or_else(|| name.strip_suffix(b"-")) {
            name = shorter;
        }
        if !name.is_empty() {
            names.insert(name.to_vec());
        }
        rest = after;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_licences_are_found_in_sentences() {
        let text = b"in `/usr/share/common-licenses/GPL-2'.\nSee /usr/share/common-licenses/LGPL-2.1. Or \
                     \"/usr/share/common-licenses/Apache-2.0\", /usr/share/common-licenses/ and \
                     /usr/usr/share/common-licenses/BSD";
        let names: Vec<_> =
            common_licences(text).into_iter().map(|name| String::from_utf8(name).unwrap()).collect();
        assert_eq!(names, ["Apache-2.0", "BSD", "GPL-2", "LGPL-2.1"]);
    }
}
