//! Stacking layers into one tree, with overlayfs' semantics.
//!
//! A layer is laid over what is beneath it as a whole: its whiteouts and opaque whiteouts hide lower paths only,
//! wherever in the tar they stand, so what the same layer brings to such a path stays. Within a layer the order of
//! entries matters only for hard links, whose target must come first.
//!
//! An entry beneath a symbolic link of the *same* layer is refused: extracting tools would follow the link, inside or
//! outside of the root. An entry beneath a symbolic link (or a file) of a *lower* layer replaces it by a directory, as
//! overlayfs does, where each layer is unpacked by itself.

use std::collections::BTreeMap;

use crate::limits::{Limit, Tally};
use crate::tree::{self, implied_directory};
use crate::{Entry, EntryKind, ImagePath, Node, NodeKind, Tree};

/// Why layers cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Two entries of one layer for a path, not both directories.
    #[error("{path} occurs twice in the layer")]
    Duplicate {
        /// The path.
        path: ImagePath,
    },
    /// An entry beneath a symbolic link of the same layer.
    #[error("{path} leads through {link}, a symbolic link of the same layer")]
    ThroughSymlink {
        /// The entry.
        path: ImagePath,
        /// The link.
        link: ImagePath,
    },
    /// An entry beneath a file or device of the same layer.
    #[error("{path} lies beneath {parent}, which is no directory in the same layer")]
    NotADirectory {
        /// The entry.
        path: ImagePath,
        /// What should be a directory.
        parent: ImagePath,
    },
    /// An entry that is no directory, where the same layer has something beneath that path.
    #[error("{path} is no directory, but {beneath} of the same layer lies beneath it")]
    Occupied {
        /// The entry.
        path: ImagePath,
        /// What lies beneath.
        beneath: ImagePath,
    },
    /// A hard link to a name that neither an earlier entry nor a lower layer has.
    #[error("{path} is a hard link to {target}, which does not exist")]
    MissingTarget {
        /// The link.
        path: ImagePath,
        /// Its target.
        target: ImagePath,
    },
    /// A hard link to its own name.
    #[error("{path} is a hard link to itself")]
    SelfLink {
        /// The link.
        path: ImagePath,
    },
    /// A hard link to a directory.
    #[error("{path} is a hard link to {target}, a directory")]
    DirectoryTarget {
        /// The link.
        path: ImagePath,
        /// Its target.
        target: ImagePath,
    },
    /// More than [`crate::Limits`] allow, with the directories that no entry describes.
    #[error("it asks for {0}")]
    Limit(Limit),
}

/// Merges the entries of layers, base first. On error says which layer it was.
///
/// `tally` has counted the entries themselves.
pub(crate) fn merge<'e>(
    layers: impl IntoIterator<Item = &'e [Entry]>,
    tally: &Tally,
) -> Result<Tree, (usize, MergeError)> {
    let mut stack = Stack::default();
    for (layer, entries) in layers.into_iter().enumerate() {
        stack.add(entries, tally).map_err(|error| (layer, error))?;
    }
    Ok(Tree::merged(stack.nodes))
}

/// Layers merged so far, base first. Every path's directories are there too.
#[derive(Debug)]
pub(crate) struct Stack {
    nodes: BTreeMap<ImagePath, Node>,
    layers: usize,
}

impl Default for Stack {
    fn default() -> Self {
        Self { nodes: BTreeMap::from([(ImagePath::root(), implied_directory(0))]), layers: 0 }
    }
}

impl Stack {
    /// Lays one more layer over the others. After an error it is of no use.
    pub(crate) fn add(&mut self, entries: &[Entry], tally: &Tally) -> Result<(), MergeError> {
        Overlay { nodes: &mut self.nodes, layer: self.layers, tally }.apply(entries)?;
        self.layers += 1;
        Ok(())
    }

    /// How many layers.
    pub(crate) fn layers(&self) -> usize {
        self.layers
    }

    /// The node at exactly this path.
    pub(crate) fn get(&self, path: &ImagePath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Whether there is a directory at exactly this path.
    pub(crate) fn is_directory(&self, path: &ImagePath) -> bool {
        self.get(path).is_some_and(|node| node.kind == NodeKind::Directory)
    }

    /// What this directory holds.
    pub(crate) fn children(&self, dir: &ImagePath) -> impl Iterator<Item = (&ImagePath, &Node)> {
        tree::children(&self.nodes, dir)
    }
}

struct Overlay<'n> {
    nodes: &'n mut BTreeMap<ImagePath, Node>,
    layer: usize,
    tally: &'n Tally,
}

impl Overlay<'_> {
    fn apply(&mut self, entries: &[Entry]) -> Result<(), MergeError> {
        for entry in entries {
            match entry.kind {
                EntryKind::Whiteout => self.remove(&entry.path, true),
                EntryKind::OpaqueWhiteout => self.remove(&entry.path, false),
                _ => {}
            }
        }
        for (nth, entry) in entries.iter().enumerate() {
            match &entry.kind {
                EntryKind::Whiteout => self.make_parent(&entry.path)?,
                EntryKind::OpaqueWhiteout => self.make_directory(&entry.path, &entry.path)?,
                EntryKind::Directory => self.add_directory(nth, entry)?,
                kind => {
                    let node = self.node(nth, entry, kind)?;
                    self.add(&entry.path, node)?;
                }
            }
        }
        Ok(())
    }

    /// Removes what lies beneath a path, and the path itself if asked.
    fn remove(&mut self, path: &ImagePath, itself: bool) {
        let beneath: Vec<_> = self.beneath(path).map(|(path, _)| path.clone()).collect();
        for path in beneath {
            self.nodes.remove(&path);
        }
        if itself {
            self.nodes.remove(path);
        }
    }

    fn beneath(&self, path: &ImagePath) -> impl Iterator<Item = (&ImagePath, &Node)> {
        let path = path.clone();
        let after = (std::ops::Bound::Excluded(path.clone()), std::ops::Bound::Unbounded);
        self.nodes.range(after).take_while(move |(other, _)| other.is_within(&path))
    }

    fn make_parent(&mut self, path: &ImagePath) -> Result<(), MergeError> {
        path.parent().map_or(Ok(()), |parent| self.make_directory(&parent, path))
    }

    /// Sees to it that `dir`, which `path` needs, is a directory.
    fn make_directory(&mut self, dir: &ImagePath, path: &ImagePath) -> Result<(), MergeError> {
        let mut missing = Vec::new();
        for dir in std::iter::once(dir.clone()).chain(dir.ancestors()) {
            match self.nodes.get(&dir) {
                Some(Node { kind: NodeKind::Directory, .. }) => break,
                Some(node) if node.layer == self.layer => {
                    return Err(match node.kind {
                        NodeKind::Symlink { .. } => {
                            MergeError::ThroughSymlink { path: path.clone(), link: dir }
                        }
                        _ => MergeError::NotADirectory { path: path.clone(), parent: dir },
                    });
                }
                Some(_) | None => {
                    self.tally.entry(dir.as_bytes().len()).map_err(MergeError::Limit)?;
                    missing.push(dir);
                }
            }
        }
        let layer = self.layer;
        self.nodes.extend(missing.into_iter().map(|dir| (dir, implied_directory(layer))));
        Ok(())
    }

    fn add_directory(&mut self, nth: usize, entry: &Entry) -> Result<(), MergeError> {
        self.make_parent(&entry.path)?;
        if self
            .nodes
            .get(&entry.path)
            .is_some_and(|node| node.layer == self.layer && node.kind != NodeKind::Directory)
        {
            return Err(MergeError::Duplicate { path: entry.path.clone() });
        }
        let metadata = entry.metadata.clone();
        let node = Node { kind: NodeKind::Directory, metadata, layer: self.layer, entry: Some(nth) };
        self.nodes.insert(entry.path.clone(), node);
        Ok(())
    }

    fn node(&self, nth: usize, entry: &Entry, kind: &EntryKind) -> Result<Node, MergeError> {
        let kind = match kind {
            EntryKind::File { size_bytes, .. } => {
                NodeKind::File { size_bytes: *size_bytes, content: (self.layer, nth) }
            }
            EntryKind::Symlink { target } => NodeKind::Symlink { target: target.clone() },
            EntryKind::Fifo => NodeKind::Fifo,
            EntryKind::CharDevice { major, minor } => NodeKind::CharDevice(*major, *minor),
            EntryKind::BlockDevice { major, minor } => NodeKind::BlockDevice(*major, *minor),
            EntryKind::Hardlink { target } => return self.link(nth, &entry.path, target),
            EntryKind::Directory | EntryKind::Whiteout | EntryKind::OpaqueWhiteout => NodeKind::Directory,
        };
        Ok(Node { kind, metadata: entry.metadata.clone(), layer: self.layer, entry: Some(nth) })
    }

    /// A hard link is the node that it names, under another name.
    fn link(&self, nth: usize, path: &ImagePath, target: &ImagePath) -> Result<Node, MergeError> {
        let (path, target) = (path.clone(), target.clone());
        if path == target {
            return Err(MergeError::SelfLink { path });
        }
        match self.nodes.get(&target) {
            None => Err(MergeError::MissingTarget { path, target }),
            // Whoever extracts it removes the directory first, and the target with it.
            Some(_) if target.is_within(&path) => Err(MergeError::MissingTarget { path, target }),
            Some(Node { kind: NodeKind::Directory, .. }) => Err(MergeError::DirectoryTarget { path, target }),
            Some(node) => {
                self.tally.bytes(node.listing_bytes()).map_err(MergeError::Limit)?;
                Ok(Node { layer: self.layer, entry: Some(nth), ..node.clone() })
            }
        }
    }

    fn add(&mut self, path: &ImagePath, node: Node) -> Result<(), MergeError> {
        self.make_parent(path)?;
        match self.nodes.get(path) {
            Some(old) if old.kind == NodeKind::Directory => {
                if let Some((beneath, _)) = self.beneath(path).find(|(_, node)| node.layer == self.layer) {
                    return Err(MergeError::Occupied { path: path.clone(), beneath: beneath.clone() });
                }
                if old.layer == self.layer {
                    return Err(MergeError::Duplicate { path: path.clone() });
                }
                self.remove(path, true);
            }
            Some(old) if old.layer == self.layer => return Err(MergeError::Duplicate { path: path.clone() }),
            Some(_) | None => {}
        }
        self.nodes.insert(path.clone(), node);
        Ok(())
    }
}
