//! The plan while rules still work on it: what is kept so far, and why.

use std::collections::{BTreeMap, BTreeSet};

use image::{ImagePath, NodeKind, ResolutionEnd, Tree};

use crate::Rule;

/// What is kept so far. Paths are only ever added, so the rules reach a fixed point; the first rule that keeps a path
/// gives the reason.
pub(crate) struct Draft<'a> {
    tree: &'a Tree,
    removed: BTreeSet<ImagePath>,
    kept: BTreeMap<ImagePath, Reason>,
    wanted: BTreeSet<ImagePath>,
    fresh: BTreeSet<ImagePath>,
    warnings: BTreeSet<String>,
}

/// Why a path is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) rule: Rule,
    pub(crate) because: Option<ImagePath>,
}

impl<'a> Draft<'a> {
    /// An empty draft that never keeps a path in `removed`: the policy's word is final.
    pub(crate) fn new(tree: &'a Tree, removed: BTreeSet<ImagePath>) -> Self {
        let (kept, wanted, fresh, warnings) = Default::default();
        Self { tree, removed, kept, wanted, fresh, warnings }
    }

    /// Keeps a path, unless the image has no such path or the policy removes it. Says whether it is kept now.
    pub(crate) fn keep(&mut self, path: &ImagePath, rule: Rule, because: Option<&ImagePath>) -> bool {
        // What people ask for must work, also where the workload only looked at it: it is gone through again.
        let is_asked_for = matches!(rule, Rule::PolicyKeep | Rule::Kit);
        if self.kept.contains_key(path) {
            if is_asked_for && self.wanted.insert(path.clone()) {
                self.fresh.insert(path.clone());
            }
            return true;
        }
        if self.tree.get(path).is_none() || self.removed.contains(path) {
            return false;
        }
        let because = because.filter(|because| *because != path).cloned();
        self.kept.insert(path.clone(), Reason { rule, because });
        self.fresh.insert(path.clone());
        true
    }

    /// Keeps what a lookup of `path` (absolute, or relative to `base`) leads to, and every link on the way, which
    /// carry [`Rule::Symlink`]. Gives where it led; `None`, with nothing kept, where it leads nowhere.
    pub(crate) fn keep_way(
        &mut self,
        base: &ImagePath,
        path: &[u8],
        rule: Rule,
        because: Option<&ImagePath>,
    ) -> Option<ImagePath> {
        let resolution = self.tree.resolve(base, path, true);
        let ResolutionEnd::Found(end) = resolution.end else { return None };
        for link in &resolution.symlinks {
            self.keep(link, Rule::Symlink, because);
        }
        self.keep(&end, rule, because);
        Some(end)
    }

    /// Where a lookup of `path` leads, if that is a regular file.
    pub(crate) fn find_file(&self, base: &ImagePath, path: &[u8]) -> Option<ImagePath> {
        match self.tree.resolve(base, path, true).end {
            ResolutionEnd::Found(end) => self.is_file(&end).then_some(end),
            _ => None,
        }
    }

    fn is_file(&self, path: &ImagePath) -> bool {
        self.tree.get(path).is_some_and(|node| matches!(node.kind, NodeKind::File { .. }))
    }

    pub(crate) fn is_kept(&self, path: &ImagePath) -> bool {
        self.kept.contains_key(path)
    }

    /// Whether people asked for a path that another rule had kept before.
    pub(crate) fn is_wanted(&self, path: &ImagePath) -> bool {
        self.wanted.contains(path)
    }

    /// Everything kept so far, by path.
    pub(crate) fn kept(&self) -> &BTreeMap<ImagePath, Reason> {
        &self.kept
    }

    /// The paths that the policy removes.
    pub(crate) fn removed(&self) -> &BTreeSet<ImagePath> {
        &self.removed
    }

    /// What was added since the last call, in path order.
    pub(crate) fn take_fresh(&mut self) -> BTreeSet<ImagePath> {
        std::mem::take(&mut self.fresh)
    }

    /// Something that the user should hear about; it changes no decision.
    pub(crate) fn warn(&mut self, warning: String) {
        self.warnings.insert(warning);
    }

    pub(crate) fn into_parts(self) -> (BTreeMap<ImagePath, Reason>, BTreeSet<ImagePath>, Vec<String>) {
        (self.kept, self.removed, self.warnings.into_iter().collect())
    }
}
