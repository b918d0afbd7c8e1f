//! Symbolic links.

use image::{ImagePath, NodeKind, ResolutionEnd};

use crate::Rule;
use crate::draft::Draft;
use crate::scene::Scene;

/// A symbolic link of the image and where it leads.
pub(crate) struct Link {
    path: ImagePath,
    hops: Vec<ImagePath>,
    end: ImagePath,
    to_directory: bool,
}

/// All symbolic links that lead somewhere, ordered by path.
pub(crate) fn links(scene: &Scene<'_>) -> Vec<Link> {
    let tree = scene.tree();
    let links = tree.iter().filter(|(_, node)| matches!(node.kind, NodeKind::Symlink { .. }));
    links
        .filter_map(|(path, _)| {
            let resolution = tree.resolve(&ImagePath::root(), &path.to_absolute(), true);
            let ResolutionEnd::Found(end) = resolution.end else { return None };
            let to_directory = scene.is_directory(&end);
            Some(Link { path: path.clone(), hops: resolution.symlinks, end, to_directory })
        })
        .collect()
}

/// Keeps the way from a kept link to a kept end: every link between them.
///
/// A kept link does not keep its end. A link that was only read (`ls -l`, `readlink`) needs none; one that was
/// followed has its end in the profile.
pub(crate) fn chains(draft: &mut Draft<'_>, links: &[Link]) {
    for link in links {
        if draft.is_kept(&link.path) && draft.is_kept(&link.end) {
            for hop in &link.hops {
                draft.keep(hop, Rule::Symlink, Some(&link.path));
            }
        }
    }
}

/// Keeps links to kept directories, such as `/bin`, `/lib64` or `/var/run`: every path over them names kept files.
///
/// Only where the directory that holds the link is kept anyway: a link in a directory that nobody entered is a name
/// that nobody used.
pub(crate) fn directories(draft: &mut Draft<'_>, links: &[Link]) {
    for link in links.iter().filter(|link| link.to_directory) {
        let parent = link.path.parent().unwrap_or_default();
        if draft.is_kept(&link.end) && draft.is_kept(&parent) && !packages::is_document(&link.path) {
            for hop in &link.hops {
                draft.keep(hop, Rule::DirectorySymlink, Some(&link.end));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::image;

    #[test]
    fn hard_54_every_link_of_a_chain_is_kept_and_a_link_that_was_only_read_may_dangle() {
        let fixture = image(
            "usr/bin/awk->/etc/alternatives/awk etc/alternatives/awk->/usr/bin/mawk usr/bin/mawk x->y y",
        )
        .uses("readlink:/usr/bin/awk exec:/usr/bin/mawk readlink:/x");
        let expected = [
            "symlink /etc/alternatives/awk < /usr/bin/awk",
            "observed /usr/bin/awk",
            "observed /usr/bin/mawk",
            "observed /x",
        ];
        assert_eq!(fixture.kept(), expected);
    }

    #[test]
    fn links_to_kept_directories_are_kept_where_their_own_directory_is() {
        let fixture = image(
            "bin->usr/bin usr/bin/sh lib64->usr/lib64 usr/lib64/x opt/a/sh->/usr/bin var/run->/run run/",
        )
        .uses("exec:/usr/bin/sh stat:/var");
        let expected = [
            "directory-symlink /bin < /usr/bin",
            "observed /usr/bin/sh",
            "observed /var",
            "directory-symlink /var/run < /run",
        ];
        assert_eq!(fixture.kept(), expected);
    }

    #[test]
    fn loops_and_dangling_links_are_kept_when_used_and_harm_nothing() {
        let fixture =
            image("a->b b->a c->/nowhere d->../../../../e e").uses("readlink:/a readlink:/c readlink:/d /e");
        assert_eq!(fixture.kept(), ["observed /a", "observed /c", "observed /d", "observed /e"]);
    }
}
