//! From a path as a database lists it to the path in the tree.

use std::collections::{BTreeMap, BTreeSet};

use image::tree::ResolutionEnd;
use image::{ImagePath, NodeKind, Tree};

/// Where a diverted path went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diversion {
    /// The new place of every package's file but the diverter's.
    pub(crate) to: ImagePath,
    /// The package that diverts and keeps the old place; `:` for the administrator, which no package is named.
    pub(crate) by: String,
}

/// Finds listed paths in a tree: diversions applied, links in their directories followed.
pub(crate) struct Locator<'a> {
    tree: &'a Tree,
    /// Where the directories of listed paths really are.
    directories: BTreeMap<ImagePath, Option<ImagePath>>,
    /// The directory asked for last, and where it really is.
    last: Option<(ImagePath, Option<ImagePath>)>,
    /// By the diverted path, as it is in the tree.
    diversions: BTreeMap<ImagePath, Diversion>,
}

/// Where a listed path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    /// The path in the tree.
    pub(crate) path: ImagePath,
    /// Whether a diversion led there.
    pub(crate) diverted: bool,
}

impl<'a> Locator<'a> {
    pub(crate) fn new(tree: &'a Tree) -> Self {
        Self { tree, directories: BTreeMap::new(), last: None, diversions: BTreeMap::new() }
    }

    /// Adds a diversion of `from`.
    pub(crate) fn divert(&mut self, from: &ImagePath, diversion: Diversion) {
        if let Some(from) = self.real(from) {
            self.diversions.insert(from, diversion);
        }
    }

    /// The path with the links in its directory followed; none if that directory does not exist.
    pub(crate) fn real(&mut self, path: &ImagePath) -> Option<ImagePath> {
        let Some(parent) = path.parent() else { return Some(path.clone()) };
        // Lists go directory by directory.
        if self.last.as_ref().is_none_or(|(last, _)| *last != parent) {
            let tree = self.tree;
            let directory = self.directories.entry(parent.clone()).or_insert_with_key(|parent| {
                match tree.resolve(&ImagePath::root(), parent.as_bytes(), true).end {
                    ResolutionEnd::Found(found) => Some(found),
                    _ => None,
                }
            });
            self.last = Some((parent, directory.clone()));
        }
        let (parent, directory) = self.last.as_ref()?;
        match directory.as_ref()? {
            directory if directory == parent => Some(path.clone()),
            directory => directory.join(path.name()).ok(),
        }
    }

    /// Where `package` has this path; none if it is nowhere in the tree.
    pub(crate) fn locate(&mut self, package: &str, path: &ImagePath) -> Option<Located> {
        let mut real = self.real(path)?;
        let mut diverted = false;
        if let Some(diversion) = self.diversions.get(&real)
            && diversion.by != package
        {
            let to = diversion.to.clone();
            real = self.real(&to)?;
            diverted = true;
        }
        let (path, _) = self.tree.entry(&real)?;
        Some(Located { path: path.clone(), diverted })
    }

    /// Of the listed paths, those that `package` owns in the tree: no directories, and no links that stand where the
    /// package has a directory (`/lib` on a merged system).
    pub(crate) fn owned(&mut self, package: &str, listed: &[Vec<u8>]) -> BTreeSet<ImagePath> {
        let mut listed: Vec<_> =
            listed.iter().filter_map(|path| ImagePath::from_absolute(path).ok()).collect();
        listed.sort_unstable();
        listed.dedup();
        let mut owned = Vec::with_capacity(listed.len());
        for (nth, path) in listed.iter().enumerate() {
            let Some(located) = self.locate(package, path) else { continue };
            let is_file = match self.tree.get(&located.path).map(|node| &node.kind) {
                None | Some(NodeKind::Directory) => false,
                Some(NodeKind::Symlink { .. }) => {
                    let beneath = listed.get(nth + 1).is_some_and(|next| next.is_within(path));
                    !(beneath && self.leads_to_directory(&located.path))
                }
                Some(_) => true,
            };
            if is_file {
                owned.push(located.path);
            }
        }
        owned.into_iter().collect()
    }

    fn leads_to_directory(&self, path: &ImagePath) -> bool {
        let end = self.tree.resolve(&ImagePath::root(), path.as_bytes(), true).end;
        matches!(end, ResolutionEnd::Found(end)
            if self.tree.get(&end).is_some_and(|node| node.kind == NodeKind::Directory))
    }
}
