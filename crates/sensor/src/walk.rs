//! Following a path as the kernel did, on the image's tree.
//!
//! The base sensor sees a path's text and, for opens, where it led; the links on the way it does not see. They are
//! found here. Unlike [`Tree::resolve`] this walk starts at the root of the process (chroot) and may go on through what
//! the container made while it ran, beside what the image has or in its place.

use std::collections::VecDeque;

use image::{ImagePath, NodeKind, Tree};

use crate::bound::{self, View};
use crate::rootfs::LiveNode;
use crate::running::Running;

/// The kernel's own limit.
pub(crate) const MAX_LINKS: usize = 40;

/// What a walk passed and where it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Walk {
    /// Links of the image that were followed.
    pub(crate) links: Vec<ImagePath>,
    /// Directories of the image that were left again by `..`, and had to be there for that.
    pub(crate) left: Vec<ImagePath>,
    /// Where it ended.
    pub(crate) end: End,
}

/// How a walk ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// At this path of the image.
    InImage(ImagePath),
    /// At this path, which only the running container has.
    Made(ImagePath),
    /// This is not there; whether it is the last component.
    Missing(ImagePath, bool),
    /// This is not a directory, but the path goes on.
    NotADirectory(ImagePath),
    /// Too many links, or a name that cannot be one.
    Nowhere,
}

/// Where to walk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) tree: &'a Tree,
    /// The running container, if it is asked too.
    pub(crate) running: Option<&'a Running<'a>>,
    /// Whether it is asked first: for what it has in place of what the image has.
    pub(crate) running_first: bool,
    /// What a process sees elsewhere than where it lies.
    pub(crate) view: Option<&'a View>,
}

/// What is at a path.
pub(crate) enum Found {
    Directory,
    Symlink(Vec<u8>),
    Other,
}

impl<'a> Ground<'a> {
    /// The image alone.
    pub(crate) fn image(tree: &'a Tree) -> Self {
        Self { tree, running: None, running_first: false, view: None }
    }

    /// The image, and where it has nothing, the running container.
    pub(crate) fn both(tree: &'a Tree, running: &'a Running<'a>) -> Self {
        Self { tree, running: Some(running), running_first: false, view: None }
    }

    /// The running container, and where it has nothing any more, the image.
    pub(crate) fn running(tree: &'a Tree, running: &'a Running<'a>) -> Self {
        Self { tree, running: Some(running), running_first: true, view: None }
    }

    /// The same as a process with these mounts sees it.
    pub(crate) fn seen_in(self, view: &'a View) -> Self {
        Self { view: Some(view), ..self }
    }

    /// Where a path lies that a process sees.
    fn place(&self, seen: &ImagePath) -> ImagePath {
        self.view.and_then(|view| bound::place(view, seen)).unwrap_or_else(|| seen.clone())
    }

    /// What is at a path.
    pub(crate) fn look(&self, path: &ImagePath) -> Option<Found> {
        let in_image = || {
            Some(match &self.tree.get(path)?.kind {
                NodeKind::Directory => Found::Directory,
                NodeKind::Symlink { target } => Found::Symlink(target.to_vec()),
                _ => Found::Other,
            })
        };
        let live = || {
            Some(match self.running?.live(path)? {
                LiveNode::Directory => Found::Directory,
                LiveNode::Symlink(target) => Found::Symlink(target),
                LiveNode::Other => Found::Other,
            })
        };
        if self.running_first { live().or_else(in_image) } else { in_image().or_else(live) }
    }

    /// Whether the image has something there.
    pub(crate) fn has(&self, path: &ImagePath) -> bool {
        self.tree.get(path).is_some()
    }

    /// Whether the image has a link there, wherever it leads.
    pub(crate) fn has_link(&self, path: &ImagePath) -> bool {
        self.tree.get(path).is_some_and(|node| matches!(node.kind, NodeKind::Symlink { .. }))
    }

    fn end_at(&self, seen: &ImagePath) -> End {
        let path = self.place(seen);
        if self.tree.get(&path).is_some() { End::InImage(path) } else { End::Made(path) }
    }

    /// Walks `text` from `base`; `root` is the root of the process. Both need not be in the image.
    pub(crate) fn walk(&self, root: &ImagePath, base: &ImagePath, text: &[u8], follow_last: bool) -> Walk {
        let mut walk = Walk { links: Vec::new(), left: Vec::new(), end: End::Nowhere };
        walk.end = self.walk_on(&mut walk, root, base, text, follow_last);
        walk
    }

    fn walk_on(
        &self,
        walk: &mut Walk,
        root: &ImagePath,
        base: &ImagePath,
        text: &[u8],
        follow_last: bool,
    ) -> End {
        let mut at = if text.starts_with(b"/") { root.clone() } else { base.clone() };
        let mut todo = VecDeque::new();
        push_components(&mut todo, text);
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            match &*name {
                b"." => continue,
                b".." => {
                    if at != *root {
                        let left = self.place(&at);
                        if self.tree.get(&left).is_some() {
                            walk.left.push(left);
                        }
                        at = at.parent().unwrap_or_default();
                    }
                    continue;
                }
                _ => {}
            }
            let Ok(next) = at.join(&name) else { return End::Nowhere };
            let last = todo.is_empty();
            let place = self.place(&next);
            match self.look(&place) {
                None => return End::Missing(place, last),
                Some(Found::Symlink(target)) if !last || follow_last => {
                    links += 1;
                    if links > MAX_LINKS || target.is_empty() {
                        return End::Nowhere;
                    }
                    if self.has_link(&place) {
                        walk.links.push(place);
                    }
                    if target.starts_with(b"/") {
                        at = root.clone();
                    }
                    push_components(&mut todo, &target);
                }
                Some(Found::Directory) => at = next,
                Some(_) if last => return self.end_at(&next),
                Some(_) => return End::NotADirectory(place),
            }
        }
        self.end_at(&at)
    }
}

/// Puts the components of a path before what is still to do. A slash at the end counts as `.`: what is before it must
/// be a directory, and is followed.
pub(crate) fn push_components(todo: &mut VecDeque<Vec<u8>>, path: &[u8]) {
    let mut components: Vec<_> =
        path.split(|&b| b == b'/').filter(|c| !c.is_empty()).map(<[u8]>::to_vec).collect();
    if path.ends_with(b"/") && !components.is_empty() {
        components.push(b".".to_vec());
    }
    for component in components.into_iter().rev() {
        todo.push_front(component);
    }
}

#[cfg(test)]
mod tests {
    use image::{Image, OpenOptions};

    use super::*;

    fn path(path: &str) -> ImagePath {
        ImagePath::from_absolute(path.as_bytes()).unwrap()
    }

    fn walk(
        words: &str,
        root: &str,
        base: &str,
        text: &str,
        follow_last: bool,
    ) -> (Vec<String>, Vec<String>, End) {
        let layout = testkit::image(&[words]);
        let image = Image::open(&layout.source().parse().unwrap(), &OpenOptions::new()).unwrap();
        let ground = Ground::image(image.tree());
        let walk = ground.walk(&path(root), &path(base), text.as_bytes(), follow_last);
        let texts = |paths: &[ImagePath]| paths.iter().map(ImagePath::to_text).collect();
        (texts(&walk.links), texts(&walk.left), walk.end)
    }

    #[test]
    fn links_are_followed_from_the_root_of_the_process() {
        let words = "jail/bin->/usr/bin jail/usr/bin/sh usr/bin/sh bin->usr/bin";
        let (links, _, end) = walk(words, "/jail", "/jail", "/bin/sh", true);
        assert_eq!((links, end), (vec!["/jail/bin".to_owned()], End::InImage(path("jail/usr/bin/sh"))));
        let (links, _, end) = walk(words, "/", "/jail", "/bin/sh", true);
        assert_eq!((links, end), (vec!["/bin".to_owned()], End::InImage(path("usr/bin/sh"))));
    }

    #[test]
    fn the_end_is_where_the_kernel_stopped() {
        let words = "a/file a/link->file a/dir/ a/round->round b/deep/file";
        for (text, follow, end) in [
            ("a/file", true, End::InImage(path("a/file"))),
            ("a/link", true, End::InImage(path("a/file"))),
            ("a/link", false, End::InImage(path("a/link"))),
            ("a//./file", true, End::InImage(path("a/file"))),
            ("a/none", true, End::Missing(path("a/none"), true)),
            ("none/file", true, End::Missing(path("none"), false)),
            ("a/file/x", true, End::NotADirectory(path("a/file"))),
            ("a/file/", true, End::NotADirectory(path("a/file"))),
            ("a/link/", false, End::NotADirectory(path("a/file"))),
            ("a/dir/", false, End::InImage(path("a/dir"))),
            ("a/round", true, End::Nowhere),
            ("/../../b/deep/file", true, End::InImage(path("b/deep/file"))),
        ] {
            assert_eq!(walk(words, "/", "/", text, follow).2, end, "{text}");
        }
    }

    #[test]
    fn directories_left_by_dotdot_are_told() {
        let (_, left, end) = walk("a/b/file a/c/file", "/", "/a", "b/../c/../b/file", true);
        assert_eq!((left, end), (vec!["/a/b".to_owned(), "/a/c".to_owned()], End::InImage(path("a/b/file"))));
    }
}
