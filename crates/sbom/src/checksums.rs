//! What the files that packages own are, by their content: SPDX 2.3 lists no file without its SHA-1.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};

use image::{Image, ImagePath, NodeKind, ReadFileError};
use packages::{PackageDatabase, ReadPackagesError};
use sha1::Digest as _;

/// Digests of one file, in hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksums {
    /// SHA-1, which SPDX demands.
    pub sha1: String,
    /// SHA-256.
    pub sha256: String,
}

/// Reads every regular file that an installed package owns.
pub(crate) fn of_owned(
    image: &Image,
    database: &PackageDatabase,
) -> Result<BTreeMap<ImagePath, Checksums>, ReadPackagesError> {
    let owned: BTreeSet<&ImagePath> = database.installed().flat_map(|package| &package.files).collect();
    let is_file = |path: &ImagePath| {
        image.tree().get(path).is_some_and(|node| matches!(node.kind, NodeKind::File { .. }))
    };
    let mut found = BTreeMap::new();
    for path in owned.into_iter().filter(|path| is_file(path)) {
        let failed = |source| ReadPackagesError::File { path: path.clone(), source };
        let mut file = image.open_file(path).map_err(failed)?;
        let (mut sha1, mut sha256) = (sha1::Sha1::new(), sha2::Sha256::new());
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(failed(ReadFileError::Read { path: path.clone(), source })),
            };
            let part = buffer.get(..read).unwrap_or_default();
            sha1.update(part);
            sha256.update(part);
        }
        let checksums = Checksums { sha1: hex(&sha1.finalize()), sha256: hex(&sha256.finalize()) };
        found.insert(path.clone(), checksums);
    }
    Ok(found)
}

/// The code by which SPDX knows the files of a package: the SHA-1 of their sorted SHA-1s.
///
/// Source: SPDX 2.3, section 7.9.
pub(crate) fn verification_code<'c>(files: impl Iterator<Item = &'c Checksums>) -> String {
    let mut all: Vec<&str> = files.map(|file| file.sha1.as_str()).collect();
    all.sort_unstable();
    hex(&sha1::Sha1::digest(all.concat().as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_files_does_not_change_the_code() {
        let one = |sha1: &str| Checksums { sha1: sha1.into(), sha256: String::new() };
        let (a, b) = (one("aa"), one("bb"));
        assert_eq!(verification_code([&a, &b].into_iter()), verification_code([&b, &a].into_iter()));
        // sha1("aabb")
        assert_eq!(verification_code([&b, &a].into_iter()), hex(&sha1::Sha1::digest(b"aabb")));
        assert_eq!(hex(&sha1::Sha1::digest(b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }
}
