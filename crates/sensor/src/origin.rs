//! From where a path was looked up, where only its text and its end are known.
//!
//! The kernel side sees a call when it has ended. After `chdir` and `chroot` it knows where the process is, and no more
//! where it was, which is where the text began. So every directory of the image from which the text leads to that end
//! counts as its beginning, and the links on the way from each as followed: mostly there is one.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;

use image::{ImagePath, NodeKind, Tree};

use crate::walk::{End, Ground, Walk};

/// Beginnings that are tried for one text. No image that we know has more directories with one name in them.
const MAX_TRIES: usize = 4096;
/// Beginnings that are tried in all: some seconds. A workload that makes up texts must not keep us for hours; after
/// this many, links on the way of a relative `chdir` are no longer found, nor what lies behind `/proc/self/cwd`.
const MAX_TRIES_IN_ALL: usize = 1 << 20;

/// A text and its end, and the root from which links lead, if that is known.
type Question = (Box<[u8]>, ImagePath, Option<ImagePath>);

/// Finds beginnings on an image's tree.
#[derive(Debug)]
pub(crate) struct Origins<'a> {
    tree: &'a Tree,
    /// Directories and links by their name, once somebody asked.
    by_name: OnceCell<BTreeMap<&'a [u8], Vec<&'a ImagePath>>>,
    known: RefCell<BTreeMap<Question, Vec<Walk>>>,
    tries: Cell<usize>,
}

impl<'a> Origins<'a> {
    pub(crate) fn new(tree: &'a Tree) -> Self {
        Self { tree, by_name: OnceCell::new(), known: RefCell::default(), tries: Cell::new(MAX_TRIES_IN_ALL) }
    }

    /// The walks of `text` on this ground that end at `end`. An absolute text begins at a root, which each of them has
    /// for its own; a relative one in a directory beneath `root`.
    pub(crate) fn ways(
        &self,
        ground: Ground<'_>,
        root: &ImagePath,
        text: &[u8],
        end: &ImagePath,
    ) -> Vec<Walk> {
        let absolute = text.starts_with(b"/");
        let question = (text.into(), end.clone(), (!absolute).then(|| root.clone()));
        if let Some(walks) = self.known.borrow().get(&question) {
            return walks.clone();
        }
        let mut walks = Vec::new();
        // Where a text goes up first, what it left was entered before, and recorded then.
        let rest = if absolute { text } else { downward(text) };
        if let Some(first) = rest.split(|&byte| byte == b'/').find(|name| !matches!(*name, b"" | b".")) {
            for begin in self.holding(first) {
                if !self.may_try() {
                    break;
                }
                let walk = ground.walk(if absolute { &begin } else { root }, &begin, rest, true);
                if walk.ends_at(end) {
                    walks.push(walk);
                }
            }
        }
        self.known.borrow_mut().insert(question, walks.clone());
        walks
    }

    /// Whether one more beginning may be tried; it then counts as tried.
    pub(crate) fn may_try(&self) -> bool {
        let left = self.tries.get();
        if left == 0 {
            tracing::debug!("no more beginnings of paths are looked for");
            return false;
        }
        self.tries.set(left - 1);
        true
    }

    /// The directories of the image in which a directory or a link has this name.
    fn holding(&self, name: &[u8]) -> impl Iterator<Item = ImagePath> {
        let by_name = self.by_name.get_or_init(|| {
            let mut by_name = BTreeMap::<_, Vec<_>>::new();
            for (path, node) in self.tree.iter() {
                if matches!(node.kind, NodeKind::Directory | NodeKind::Symlink { .. }) {
                    by_name.entry(path.name()).or_default().push(path);
                }
            }
            by_name
        });
        let holding = by_name.get(name).map(Vec::as_slice).unwrap_or_default();
        holding.iter().take(MAX_TRIES).filter_map(|path| path.parent())
    }
}

impl Walk {
    /// Whether it ended at this path.
    pub(crate) fn ends_at(&self, path: &ImagePath) -> bool {
        matches!(&self.end, End::InImage(end) | End::Made(end) if end == path)
    }
}

/// A relative path without the `..` with which it begins.
fn downward(mut text: &[u8]) -> &[u8] {
    loop {
        let end = text.iter().position(|&byte| byte == b'/').unwrap_or(text.len());
        if !matches!(&text[..end], b"" | b"." | b"..") || text.is_empty() {
            return text;
        }
        text = text.get(end + 1..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use image::{Image, OpenOptions};

    use super::*;

    fn path(path: &str) -> ImagePath {
        ImagePath::from_absolute(path.as_bytes()).unwrap()
    }

    #[test]
    fn a_text_begins_wherever_it_leads_to_its_end() {
        let words = "a/dir/f a/link->dir b/link->../a/dir b/other->/a c/link->/a/dir c/dir/f jail/a/dir/f \
                     jail/l->/a";
        let layout = testkit::image(&[words]);
        let image = Image::open(&layout.source().parse().unwrap(), &OpenOptions::new()).unwrap();
        let ground = Ground::image(image.tree());
        let origins = Origins::new(image.tree());
        for (root, text, end, links) in [
            ("/", "dir", "/a/dir", &[][..]),
            ("/", "link", "/a/dir", &["/a/link", "/b/link", "/c/link"]),
            ("/", "link/", "/a/dir", &["/a/link", "/b/link", "/c/link"]),
            ("/", ".././../link/.", "/a/dir", &["/a/link", "/b/link", "/c/link"]),
            ("/jail", "link", "/a/dir", &["/a/link", "/b/link"]),
            ("/", "other/dir", "/a/dir", &["/b/other"]),
            ("/", "dir/../link", "/a/dir", &["/a/link", "/c/link"]),
            ("/", "..", "/a", &[]),
            ("/", "link", "/c/dir", &[]),
            ("/", "/l/dir", "/jail/a/dir", &["/jail/l"]),
            ("/", "/l", "/a", &[]),
        ] {
            let walks = origins.ways(ground, &path(root), text.as_bytes(), &path(end));
            let found: Vec<_> = walks.iter().flat_map(|walk| &walk.links).map(ImagePath::to_text).collect();
            assert_eq!(found, links, "{text} to {end} in {root}");
            assert_eq!(origins.ways(ground, &path(root), text.as_bytes(), &path(end)), walks);
        }
        origins.tries.set(2);
        let end = path("/a/dir");
        assert_eq!(origins.ways(ground, &path("/x"), b"link", &end).len(), 2, "two tries, and no more");
        assert_eq!(origins.ways(ground, &path("/y"), b"link", &end).len(), 0);
    }
}
