//! Alternatives: links such as `/usr/bin/editor` that no package owns.
//!
//! Source: `update-alternatives(1)`, "FILES". A file of `alternatives/` begins with the mode and the link of the
//! alternative, then two lines (name, link) for each that follows it, then an empty line; the choices come after.

use std::collections::BTreeMap;

use image::{Image, ImagePath, NodeKind};

use crate::lines;
use crate::locate::Locator;
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
        let Some(managed) = parse(&bytes).map(|alternative| managed_links(name, &alternative)) else {
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

/// A target, its priority, and the targets of the followers.
type Choice<'a> = (&'a [u8], &'a [u8], Vec<&'a [u8]>);

/// One file of `alternatives/`, in its own lines.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Alternative<'a> {
    mode: &'a [u8],
    link: &'a [u8],
    /// Names and links of those that follow.
    followers: Vec<(&'a [u8], &'a [u8])>,
    /// Targets, priorities, and the targets of the followers, empty where a choice has none.
    choices: Vec<Choice<'a>>,
}

fn parse(bytes: &[u8]) -> Option<Alternative<'_>> {
    let mut lines = lines::contents(bytes);
    let mode = lines.next()?;
    if mode != b"auto" && mode != b"manual" {
        return None;
    }
    let link = lines.next()?;
    let mut followers = Vec::new();
    while let Some(follower) = lines.next().filter(|line| !line.is_empty()) {
        followers.push((follower, lines.next()?));
    }
    let mut choices = Vec::new();
    while let Some(target) = lines.next().filter(|line| !line.is_empty()) {
        let priority = lines.next()?;
        let targets = followers.iter().map(|_| lines.next().unwrap_or_default()).collect();
        choices.push((target, priority, targets));
    }
    Some(Alternative { mode, link, followers, choices })
}

fn managed(name: &[u8]) -> Vec<u8> {
    [b"/etc/alternatives/", name].concat()
}

/// The links of one alternative and of those that follow it, each with its link in `/etc/alternatives`.
fn managed_links(name: &[u8], alternative: &Alternative<'_>) -> Vec<Vec<u8>> {
    let main = [managed(name), alternative.link.to_vec()];
    let followers = alternative.followers.iter();
    main.into_iter().chain(followers.flat_map(|(name, link)| [managed(name), link.to_vec()])).collect()
}

/// What is left of an alternative.
pub(super) struct Left {
    /// The choices whose target is still there, and the followers whose link is.
    pub(super) bytes: Vec<u8>,
    /// Whether a link of it and a choice are left.
    pub(super) is_used: bool,
}

/// Cuts the choices and followers that are gone; none for what is no alternative.
pub(super) fn filter(name: &[u8], bytes: &[u8], has: &mut dyn FnMut(&[u8]) -> bool) -> Option<Left> {
    let alternative = parse(bytes)?;
    let followers: Vec<bool> = alternative.followers.iter().map(|(_, link)| has(link)).collect();
    let mut out = [alternative.mode, b"\n", alternative.link, b"\n"].concat();
    for ((name, link), _) in alternative.followers.iter().zip(&followers).filter(|(_, stays)| **stays) {
        out.extend([name, &b"\n"[..], link, b"\n"].concat());
    }
    out.push(b'\n');
    let mut choices = 0;
    for (target, priority, targets) in &alternative.choices {
        if !has(target) {
            continue;
        }
        choices += 1;
        out.extend([target, &b"\n"[..], priority, b"\n"].concat());
        for (target, _) in targets.iter().zip(&followers).filter(|(_, stays)| **stays) {
            let stays = !target.is_empty() && has(target);
            out.extend_from_slice(if stays { target } else { b"" });
            out.push(b'\n');
        }
    }
    out.push(b'\n');
    let is_used = choices > 0 && (has(&managed(name)) || has(alternative.link));
    Some(Left { bytes: out, is_used })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn followers_are_managed_too() {
        let text =
            b"auto\n/usr/bin/editor\neditor.1.gz\n/usr/share/man/man1/editor.1.gz\n\n/bin/nano\n40\n\n";
        let links = managed_links(b"editor", &parse(text).unwrap());
        let expected: [&[u8]; 4] = [
            b"/etc/alternatives/editor",
            b"/usr/bin/editor",
            b"/etc/alternatives/editor.1.gz",
            b"/usr/share/man/man1/editor.1.gz",
        ];
        assert_eq!(links, expected);
        for broken in [&b""[..], b"other\n/a\n", b"auto\n", b"auto\n/a\nfollower\n"] {
            assert_eq!(parse(broken), None);
        }
    }

    #[test]
    fn choices_and_followers_that_are_gone_are_cut() {
        let text = b"auto\n/usr/bin/editor\neditor.1.gz\n/usr/share/man/man1/editor.1.gz\neditorrc\n/etc/editorrc\n\n\
            /bin/nano\n40\n/man/nano.1.gz\n/etc/nanorc\n/usr/bin/vim\n50\n/man/vim.1.gz\n\n\n";
        let left = |gone: &[&[u8]]| {
            let left = filter(b"editor", text, &mut |path| !gone.contains(&path)).unwrap();
            (String::from_utf8(left.bytes).unwrap(), left.is_used)
        };
        assert_eq!(left(&[]), (String::from_utf8(text.to_vec()).unwrap(), true));
        let expected = "auto\n/usr/bin/editor\neditorrc\n/etc/editorrc\n\n/usr/bin/vim\n50\n\n\n";
        assert_eq!(left(&[b"/bin/nano", b"/usr/share/man/man1/editor.1.gz"]), (expected.to_owned(), true));
        assert!(!left(&[b"/bin/nano", b"/usr/bin/vim"]).1);
        assert!(!left(&[b"/etc/alternatives/editor", b"/usr/bin/editor"]).1);
    }
}
