//! Alternatives: links such as `/usr/bin/editor` that no package owns.
//!
//! Source: `update-alternatives(1)`, "FILES". A file of `alternatives/` begins with the mode and the link of the
//! alternative, then two lines (name, link) for each that follows it, then an empty line; the choices come after.

use std::collections::BTreeMap;

use image::{Image, ImagePath, NodeKind};

use super::lists;
use super::locate::Locator;
use crate::read::{self, Limits, Problems, ReadPackagesError};

/// The links that alternatives manage and that exist, with the name of their alternative.
pub(super) fn read(
    image: &Image,
    admin: &ImagePath,
    locator: &mut Locator<'_>,
    limits: &Limits,
    problems: &mut Problems,
) -> Result<BTreeMap<ImagePath, String>, ReadPackagesError> {
    let mut links = BTreeMap::new();
    let tree = image.tree();
    for (file, node) in tree.children(&super::below(admin, b"alternatives")) {
        if !matches!(node.kind, NodeKind::File { .. }) {
            continue;
        }
        let bytes = read::file(image, file, limits.list_bytes)?;
        let name = file.name();
        let Some(managed) = parse(name, &bytes) else {
            problems.extend(file, vec![(1, "an alternative that is none".to_owned())]);
            continue;
        };
        for link in managed {
            if let Some(link) = ImagePath::from_absolute(&link).ok().and_then(|link| locator.real(&link))
                && tree.get(&link).is_some_and(|node| matches!(node.kind, NodeKind::Symlink { .. }))
            {
                links.insert(link, String::from_utf8_lossy(name).into_owned());
            }
        }
    }
    Ok(links)
}

/// The links of one alternative and of those that follow it, each with its link in `/etc/alternatives`.
fn parse(name: &[u8], bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut lines = lists::lines(bytes).map(|line| lists::content(&bytes[line]));
    let mode = lines.next()?;
    if mode != b"auto" && mode != b"manual" {
        return None;
    }
    let managed = |name: &[u8]| [b"/etc/alternatives/", name].concat();
    let mut links = vec![managed(name), lines.next()?.to_vec()];
    while let Some(follower) = lines.next().filter(|line| !line.is_empty()) {
        links.push(managed(follower));
        links.push(lines.next()?.to_vec());
    }
    Some(links)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn followers_are_managed_too() {
        let text =
            b"auto\n/usr/bin/editor\neditor.1.gz\n/usr/share/man/man1/editor.1.gz\n\n/bin/nano\n40\n\n";
        let links = parse(b"editor", text).unwrap();
        let expected: [&[u8]; 4] = [
            b"/etc/alternatives/editor",
            b"/usr/bin/editor",
            b"/etc/alternatives/editor.1.gz",
            b"/usr/share/man/man1/editor.1.gz",
        ];
        assert_eq!(links, expected);
        for broken in [&b""[..], b"other\n/a\n", b"auto\n", b"auto\n/a\nfollower\n"] {
            assert_eq!(parse(b"x", broken), None);
        }
    }
}
