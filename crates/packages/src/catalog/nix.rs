//! Store paths of Nix: `/nix/store/HASH-NAME-VERSION`, each a directory or file of its own.
//!
//! Source: Nix Reference Manual, "Store Path"; `builtins.parseDrvName`.

use image::{ImagePath, Tree};

use super::found::{Findings, Found, Owned};
use crate::{Ecosystem, purl};

/// Letters of a hash.
const HASH_LETTERS: usize = 32;
/// Outputs of a package beside its main one.
const OUTPUTS: &[&str] =
    &["-bin", "-dev", "-doc", "-lib", "-man", "-info", "-out", "-debug", "-dist", "-static"];

/// Every store path with a version, in the order of the tree.
pub(super) fn find(tree: &Tree) -> Vec<(ImagePath, Findings)> {
    let Ok(store) = ImagePath::from_absolute(b"nix/store") else { return Vec::new() };
    let found = tree.children(&store).filter_map(|(path, _)| Some((path.clone(), of(path)?)));
    found.map(|(path, found)| (path, Findings::only(Some(found)))).collect()
}

fn of(path: &ImagePath) -> Option<Found> {
    let text = std::str::from_utf8(path.name()).ok()?;
    let (hash, name) = (text.get(..HASH_LETTERS)?, text.get(HASH_LETTERS..)?.strip_prefix('-')?);
    let is_hash = hash.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let is_package =
        ![".drv", ".patch", ".tar.gz", ".tar.xz", ".sh", ".json"].iter().any(|end| name.ends_with(end));
    // The version begins after the first hyphen that no letter follows.
    let bytes = name.as_bytes();
    let at = (1..bytes.len()).find(|&at| bytes[at - 1] == b'-' && bytes[at].is_ascii_digit())?;
    let (name, mut version) = (name.get(..at - 1)?, name.get(at..)?);
    let mut output = "";
    if let Some(found) = OUTPUTS.iter().find(|output| version.ends_with(*output)) {
        version = version.strip_suffix(found)?;
        output = found.strip_prefix('-')?;
    }
    let purl = purl::of("nix", &[name], version, &[("output", output), ("outputhash", hash)]);
    let found = (is_hash && is_package).then(|| Found::new(Ecosystem::Nix, name, version, purl))??;
    Some(found.owning([Owned::Path(path.clone())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_paths_part_into_hash_name_version_and_output() {
        let hash = "0123456789abcdfghijklmnpqrsvwxyz";
        for (name, purl) in [
            ("openssl-3.0.13", Some("pkg:nix/openssl@3.0.13?outputhash=HASH")),
            ("gcc-wrapper-12.3.0-lib", Some("pkg:nix/gcc-wrapper@12.3.0?output=lib&outputhash=HASH")),
            ("python3-3.11.6", Some("pkg:nix/python3@3.11.6?outputhash=HASH")),
            ("hook.sh", None),
            ("source-1.0.tar.gz", None),
            ("builder", None),
        ] {
            let path = ImagePath::from_text(&format!("/nix/store/{hash}-{name}")).unwrap();
            let expected = purl.map(|purl| purl.replace("HASH", hash));
            assert_eq!(of(&path).map(|found| found.purl), expected, "{name}");
        }
    }
}
