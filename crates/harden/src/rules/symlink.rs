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
