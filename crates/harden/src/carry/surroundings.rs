//! What an image holds where a workload used something of it, for the profile.

use std::collections::BTreeSet;
use std::io::Read as _;

use image::{Digest, Image, ImagePath, NodeKind, ReadFileError};
use packages::{PackageDatabase, PackageIndex};
use profile::{FileFacts, PackageFiles, Profile, Surroundings};
use sha2::{Digest as _, Sha256};

/// Larger files have no digest in the profile.
const MAX_DIGESTED_BYTES: u64 = 256 << 20;

/// The packages, files and neighbours of the paths that a profile shows in use.
///
/// # Errors
/// [`ReadFileError`] if a used file of the image cannot be read.
pub fn surroundings(
    profile: &Profile,
    image: &Image,
    packages: &PackageDatabase,
) -> Result<Surroundings, ReadFileError> {
    let mut owners: BTreeSet<PackageIndex> = BTreeSet::new();
    let mut files = Vec::new();
    let mut directories: BTreeSet<ImagePath> = BTreeSet::new();
    for (path, _) in profile.used() {
        let Some(node) = image.tree().get(path) else { continue };
        owners.extend(packages.owners(path));
        if let NodeKind::File { size_bytes, .. } = node.kind {
            files.push((path.clone(), facts(image, path, size_bytes)?));
            if packages.owners(path).is_empty() {
                directories.extend(path.parent());
            }
        }
    }
    let packages_of = |index: &PackageIndex| {
        packages.package(*index).map(|package| PackageFiles {
            name: package.name.clone(),
            version: package.version.clone(),
            architecture: package.architecture.clone(),
            files: package.files.clone(),
        })
    };
    let unowned = directories.iter().flat_map(|directory| unowned_in(image, packages, directory));
    Ok(Surroundings {
        packages: owners.iter().filter_map(packages_of).collect(),
        files: files.into_iter().collect(),
        unowned: unowned.collect(),
    })
}

/// Size and digest of a file.
pub(crate) fn facts(image: &Image, path: &ImagePath, size_bytes: u64) -> Result<FileFacts, ReadFileError> {
    if size_bytes > MAX_DIGESTED_BYTES {
        return Ok(FileFacts { size_bytes, digest: None });
    }
    let failed = |source| ReadFileError::Read { path: path.clone(), source };
    let mut file = image.open_file(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    Ok(FileFacts { size_bytes, digest: Some(Digest::from_hasher(hasher)) })
}

/// The regular files directly in a directory that no package owns.
pub(crate) fn unowned_in<'a>(
    image: &'a Image,
    packages: &'a PackageDatabase,
    directory: &ImagePath,
) -> impl Iterator<Item = ImagePath> + use<'a> {
    let children: Vec<ImagePath> = image
        .tree()
        .children(directory)
        .filter(|(path, node)| matches!(node.kind, NodeKind::File { .. }) && packages.owners(path).is_empty())
        .map(|(path, _)| path.clone())
        .collect();
    children.into_iter()
}
