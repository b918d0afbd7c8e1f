//! What packages say that they need (`D`) and what names they answer to (`p`).
//!
//! Words: `busybox`, `so:libc.musl-x86_64.so.1`, `/bin/sh`, `python3~3.12`; `!name` is a conflict.

use std::collections::BTreeSet;

use image::Image;

use super::{directories, installed};
use crate::dependencies::Needs;
use crate::read::{self, Limits, ReadPackagesError};

/// How many names one package may need.
const MAX_NAMES: usize = 10_000;

/// The needs of every package that apk's database lists.
pub(crate) fn dependencies(image: &Image, limits: &Limits) -> Result<Vec<Needs>, ReadPackagesError> {
    let mut found = Vec::new();
    for place in directories(image) {
        let file = place.path.join(b"installed").ok().and_then(|file| read::regular(image, &file));
        let Some(file) = file else { continue };
        let bytes = read::file(image, &file, limits.status_bytes)?;
        for stanza in installed::parse(&bytes).0 {
            let words = |letter: u8| stanza.values(&bytes, letter).flat_map(names).take(MAX_NAMES);
            let needs = words(b'D').map(|name| vec![name]).collect();
            let provides: BTreeSet<String> = words(b'p').collect();
            let (name, architecture) = (stanza.name.clone(), stanza.architecture.clone());
            found.push(Needs { name, architecture, provides, needs });
        }
    }
    Ok(found)
}

/// The names in a list, their versions left out, conflicts too.
fn names(value: &[u8]) -> impl Iterator<Item = String> {
    value.split(u8::is_ascii_whitespace).filter_map(|word| {
        let end = word.iter().position(|byte| b"<>=~@".contains(byte)).unwrap_or(word.len());
        let good = end > 0 && word[0] != b'!';
        good.then(|| String::from_utf8_lossy(&word[..end]).into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_versions_and_conflicts_go() {
        let found: Vec<_> =
            names(b"so:libc.musl-x86_64.so.1 busybox>=1.2 !gcc  python3~3.12 /bin/sh").collect();
        assert_eq!(found, ["so:libc.musl-x86_64.so.1", "busybox", "python3", "/bin/sh"]);
    }
}
