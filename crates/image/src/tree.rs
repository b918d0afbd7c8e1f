//! The merged root file system of an image, as values.

use std::collections::BTreeMap;

use crate::{ImagePath, Metadata};

/// Everything that exists in the merged root file system, by path. The root itself is always present.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    nodes: BTreeMap<ImagePath, Node>,
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
    /// This path (all links before it resolved) is not in the tree.
    Missing(ImagePath),
    /// A component in the middle, this one, is not a directory.
    NotADirectory(ImagePath),
    /// More than 40 symbolic links.
    Loop,
}

impl Tree {
    /// The node at exactly this path; links are not followed.
    pub fn get(&self, path: &ImagePath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// All nodes, ordered by path.
    pub fn iter(&self) -> impl Iterator<Item = (&ImagePath, &Node)> {
        self.nodes.iter()
    }

    /// How many nodes there are, the root included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}
