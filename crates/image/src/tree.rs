//! The merged root file system of an image, as values.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Range};

use crate::{ImagePath, Metadata, PathMap};

/// Everything that exists in the merged root file system, by path. The root itself is always present.
///
/// Paths lie in their order, in which a directory comes directly before everything beneath it: what is beneath one is a
/// range, and the way from a child to the next is one step.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    nodes: PathMap<Node>,
    /// For each node, the first that is not beneath it.
    after: Vec<usize>,
    /// The names of each content that has several.
    shared: BTreeMap<(usize, usize), Vec<ImagePath>>,
}

/// One path of the merged root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Owner, mode, time, extended attributes. For a hard link, those of the file it names.
    pub metadata: Metadata,
    /// The layer that provides it, 0 = base. For a directory in several layers, the topmost that has an entry for it.
    pub layer: usize,
    /// Its entry in that layer; `None` for a directory that no entry describes and that only holds others.
    pub entry: Option<usize>,
}

/// The types that a node can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file.
    File {
        /// Its size, holes included.
        size_bytes: u64,
        /// Files with the same `content` are hard links of one another: (layer, entry) that holds the bytes.
        content: (usize, usize),
    },
    /// A directory.
    Directory,
    /// A symbolic link with its target as written.
    Symlink {
        /// The link's text.
        target: Box<[u8]>,
    },
    /// A named pipe.
    Fifo,
    /// A character device (major, minor).
    CharDevice(u32, u32),
    /// A block device (major, minor).
    BlockDevice(u32, u32),
}

/// Where a lookup of a path led, and over what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// Symbolic links followed on the way, in order.
    pub symlinks: Vec<ImagePath>,
    /// Where it ended.
    pub end: ResolutionEnd,
}

/// How a lookup ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolutionEnd {
    /// At this node of the tree.
    Found(ImagePath),
    /// This path (all links before it resolved) is not in the tree. Where a directory on the way is missing already,
    /// the components after it are appended as they stand, up to the first `..`.
    Missing(ImagePath),
    /// A component in the middle, this one, is not a directory.
    NotADirectory(ImagePath),
    /// More than 40 symbolic links.
    Loop,
    /// A path or name longer than the kernel allows, or with a NUL byte.
    Invalid,
}

impl Tree {
    /// A tree of these nodes, among them the directories above each.
    pub(crate) fn merged(nodes: BTreeMap<ImagePath, Node>) -> Self {
        let nodes = PathMap::from_ordered(nodes.into_iter().collect());
        let mut files: Vec<_> = nodes
            .iter()
            .filter_map(|(path, node)| match node.kind {
                NodeKind::File { content, .. } => Some((content, path)),
                _ => None,
            })
            .collect();
        // A stable sort: names of one content keep their order.
        files.sort_by_key(|(content, _)| *content);
        let shared = files
            .chunk_by(|(one, _), (other, _)| one == other)
            .filter(|names| names.len() > 1)
            .map(|names| (names[0].0, names.iter().map(|(_, path)| ImagePath::clone(path)).collect()))
            .collect();
        Self { after: ends(&nodes), nodes, shared }
    }

    /// Where the node at exactly this path stands in [`Tree::iter`].
    pub fn position(&self, path: &ImagePath) -> Option<usize> {
        self.nodes.position(path)
    }

    /// The path at this position.
    pub fn path_at(&self, position: usize) -> Option<&ImagePath> {
        self.nodes.get(position).map(|(path, _)| path)
    }

    fn range(&self, range: Range<usize>) -> impl Iterator<Item = (&ImagePath, &Node)> {
        self.nodes[range].iter().map(|(path, node)| (path, node))
    }

    /// The node at exactly this path; links are not followed.
    pub fn get(&self, path: &ImagePath) -> Option<&Node> {
        self.position(path).map(|position| &self.nodes[position].1)
    }

    /// The same, with the path as the tree has it: a clone of that one costs nothing.
    pub fn entry(&self, path: &ImagePath) -> Option<(&ImagePath, &Node)> {
        self.position(path).map(|position| (&self.nodes[position].0, &self.nodes[position].1))
    }

    /// All nodes, ordered by path.
    pub fn iter(&self) -> impl Iterator<Item = (&ImagePath, &Node)> {
        self.range(0..self.nodes.len())
    }

    /// How many nodes there are, the root included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What this directory holds, ordered by name; nothing for another node.
    pub fn children(&self, dir: &ImagePath) -> impl Iterator<Item = (&ImagePath, &Node)> {
        let Range { start, end } = match self.position(dir) {
            Some(position) => position + 1..self.after[position],
            None => 0..0,
        };
        let first = (start < end).then_some(start);
        let next = move |&child: &usize| Some(self.after[child]).filter(|&next| next < end);
        std::iter::successors(first, next).map(|child| (&self.nodes[child].0, &self.nodes[child].1))
    }

    /// This node and everything beneath it, ordered by path.
    pub fn within(&self, dir: &ImagePath) -> impl Iterator<Item = (&ImagePath, &Node)> {
        self.range(self.position(dir).map_or(0..0, |position| position..self.after[position]))
    }

    /// The other names of the file at this path, ordered; empty for a file of one name and for other nodes.
    pub fn hardlinks(&self, path: &ImagePath) -> Vec<ImagePath> {
        let Some(Node { kind: NodeKind::File { content, .. }, .. }) = self.get(path) else {
            return Vec::new();
        };
        let names = self.shared.get(content).map(Vec::as_slice).unwrap_or_default();
        names.iter().filter(|name| *name != path).cloned().collect()
    }
}

/// For each of these ordered nodes, the first that is not beneath it.
fn ends(nodes: &[(ImagePath, Node)]) -> Vec<usize> {
    let mut ends = vec![nodes.len(); nodes.len()];
    let mut open: Vec<usize> = Vec::new();
    for (position, (path, _)) in nodes.iter().enumerate() {
        while let Some(&above) = open.last()
            && !path.is_within(&nodes[above].0)
        {
            ends[above] = position;
            open.pop();
        }
        open.push(position);
    }
    ends
}

impl Node {
    /// Bytes on the heap, for [`crate::Limits::listing_bytes`].
    pub(crate) fn listing_bytes(&self) -> usize {
        let target = if let NodeKind::Symlink { target } = &self.kind { target.len() } else { 0 };
        target + self.metadata.listing_bytes()
    }
}

/// What this directory holds, ordered by name.
pub(crate) fn children<'n>(
    nodes: &'n BTreeMap<ImagePath, Node>,
    dir: &ImagePath,
) -> impl Iterator<Item = (&'n ImagePath, &'n Node)> + use<'n> {
    let first = nodes.range((Bound::Excluded(dir), Bound::Unbounded)).next();
    let dir = dir.clone();
    std::iter::successors(first, |(path, _)| nodes.range(path.after_subtree()..).next())
        .take_while(move |(path, _)| path.is_within(&dir))
}

/// A directory that no entry describes.
pub(crate) fn implied_directory(layer: usize) -> Node {
    let metadata = Metadata { mode: 0o755, ..Metadata::default() };
    Node { kind: NodeKind::Directory, metadata, layer, entry: None }
}

impl FromIterator<(ImagePath, Node)> for Tree {
    /// A tree of these nodes; directories that are missing above them, and the root, are added.
    fn from_iter<I: IntoIterator<Item = (ImagePath, Node)>>(nodes: I) -> Self {
        let mut nodes: BTreeMap<_, _> = nodes.into_iter().collect();
        let mut missing = BTreeSet::new();
        for path in nodes.keys() {
            for dir in path.ancestors() {
                // What is above a known directory is seen to where that one is.
                if nodes.contains_key(&dir) || !missing.insert(dir) {
                    break;
                }
            }
        }
        nodes.extend(missing.into_iter().map(|path| (path, implied_directory(0))));
        nodes.entry(ImagePath::root()).or_insert_with(|| implied_directory(0));
        Self::merged(nodes)
    }
}
