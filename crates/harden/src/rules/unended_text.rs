//! Paths in the strings of Go and Rust programs, which stand behind one another without ends.
//!
//! Nothing tells where such a string stops, so the image tells: from each slash on, the text is followed down the tree
//! as far as names match, the longest first. That is only done for programs written for this image, and only for what
//! no package brought: files, and directories with all that is in them, as one puts templates, pages or time zones
//! beside a program of one file.

use std::collections::BTreeSet;

use image::{ImagePath, NodeKind, Tree};

use super::own_data::is_shared;
use super::reference::Reference;
use crate::scene::Scene;

/// Most lookups for one program: what a hostile one can make us do.
const MAX_LOOKUPS: usize = 4_000_000;
/// Longest name of a file.
const MAX_NAME_BYTES: usize = 255;
/// Most bytes that one named directory may add.
const MAX_DIRECTORY_BYTES: u64 = 32 << 20;
/// What is written at run time, settings of the system, and what the kernel shows.
const OTHERS: [&[u8]; 6] = [b"dev", b"etc", b"proc", b"run", b"sys", b"tmp"];

/// Files of the image that no package brought and that this text names, or that are in a directory which it names.
pub(crate) fn references(scene: &Scene<'_>, text: &[u8], out: &mut BTreeSet<Reference>) {
    let mut lookups = 0;
    let mut found = BTreeSet::new();
    for at in text.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at) {
        if let Some(path) = longest(scene.tree(), &text[at..], &mut lookups) {
            found.insert(path);
        }
        if lookups > MAX_LOOKUPS {
            break;
        }
    }
    for path in found {
        match scene.tree().get(&path).map(|node| &node.kind) {
            Some(NodeKind::Directory) => {
                let parts =
                    || scene.tree().within(&path).filter(|(_, node)| node.kind != NodeKind::Directory);
                let bytes: u64 = parts().filter_map(|(part, _)| scene.file_size(part)).sum();
                let is_own = parts().all(|(part, _)| scene.packages.owners(part).is_empty());
                let is_data = path.components().next().is_some_and(|top| !OTHERS.contains(&top));
                if is_own && is_data && !is_shared(&path) && bytes <= MAX_DIRECTORY_BYTES {
                    out.extend(parts().map(|(part, _)| Reference::File(part.clone())));
                }
            }
            Some(_) if scene.packages.owners(&path).is_empty() => {
                out.insert(Reference::File(path));
            }
            _ => {}
        }
    }
}

/// The deepest path of the tree that the text begins with, of two components or more.
fn longest(tree: &Tree, text: &[u8], lookups: &mut usize) -> Option<ImagePath> {
    let mut at = ImagePath::root();
    let mut depth = 0;
    let mut rest = text;
    while let Some(after) = rest.strip_prefix(b"/") {
        let is_text = |byte: &&u8| **byte > b' ' && **byte < 0x7f && **byte != b'/';
        let most = after.iter().take(MAX_NAME_BYTES).take_while(is_text).count();
        let next = (1..=most).rev().find_map(|length| {
            *lookups += 1;
            let path = at.join(&after[..length]).ok()?;
            tree.get(&path).map(|_| (path, length))
        });
        let Some((path, length)) = next else { break };
        (at, depth, rest) = (path, depth + 1, &after[length..]);
    }
    (depth >= 2).then_some(at)
}

#[cfg(test)]
mod tests {
    use testkit::TarEntry;

    use super::*;
    use crate::Rule;
    use crate::fixture::{debian, image};

    #[test]
    fn the_longest_path_is_found_in_text_without_ends() {
        let tree: Tree = ["a/b/c", "a/b/cd", "a/bc", "x"]
            .iter()
            .map(|path| (ImagePath::from_absolute(path.as_bytes()).unwrap(), file()))
            .collect();
        let find = |text: &str| longest(&tree, text.as_bytes(), &mut 0).map(|path| path.to_text());
        assert_eq!(find("/a/b/cde/f").as_deref(), Some("/a/b/cd"));
        assert_eq!(find("/a/b/cx").as_deref(), Some("/a/b/c"));
        assert_eq!(find("/a/bx").as_deref(), Some("/a/b"));
        assert_eq!(find("/a/bc/").as_deref(), Some("/a/bc"));
        assert_eq!(find("/xyz"), None);
        assert_eq!(find("//"), None);
    }

    fn file() -> image::Node {
        let kind = NodeKind::File { size_bytes: 1, content: (0, 0) };
        image::Node { kind, metadata: image::Metadata::default(), layer: 0, entry: None }
    }

    #[test]
    fn a_program_in_one_file_keeps_what_lies_beside_it_for_it() {
        let text = b"open /srv/pagesno such file/srv/app.conf/usr/share/zone\0/etc/more";
        let program = [crate::fixture::Elf::default().bytes(), text.to_vec()].concat();
        let mut layer = debian(&[("zone", "/usr/share/zone/a")]);
        for path in ["srv/pages/a.html", "srv/pages/de/b.html", "srv/app.conf", "srv/other", "etc/more/x"] {
            layer = layer.entry(TarEntry::file(path, "x"));
        }
        let fixture = image(layer.entry(TarEntry::file("server", program).mode(0o755))).uses("exec:/server");
        assert_eq!(
            fixture.by(Rule::Reference),
            ["/srv/app.conf", "/srv/pages/a.html", "/srv/pages/de/b.html"]
        );
    }
}
