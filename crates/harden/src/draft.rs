//! The plan while rules still work on it: what is kept so far, and why.

use std::collections::BTreeSet;

use image::{ImagePath, NodeKind, ResolutionEnd, Tree};

use crate::Rule;

/// What is kept so far. Paths are only ever added, so the rules reach a fixed point; the first rule that keeps a path
/// gives the reason.
pub(crate) struct Draft<'a> {
    tree: &'a Tree,
    removed: BTreeSet<ImagePath>,
    /// For each path of the tree, in its order.
    kept: Vec<Option<Reason>>,
    wanted: BTreeSet<ImagePath>,
    /// Positions in the tree.
    fresh: Vec<usize>,
    warnings: BTreeSet<String>,
}

/// Why a path is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) rule: Rule,
    pub(crate) because: Option<ImagePath>,
}

/// What came out of a draft.
pub(crate) struct Drafted {
    /// For each path of the tree, in its order.
    pub(crate) kept: Vec<Option<Reason>>,
    /// What the policy removes.
    pub(crate) removed: BTreeSet<ImagePath>,
    /// Sorted.
    pub(crate) warnings: Vec<String>,
}

impl<'a> Draft<'a> {
    /// An empty draft that never keeps a path in `removed`: the policy's word is final.
    pub(crate) fn new(tree: &'a Tree, removed: BTreeSet<ImagePath>) -> Self {
        let (wanted, fresh, warnings) = Default::default();
        Self { tree, removed, kept: vec![None; tree.len()], wanted, fresh, warnings }
    }

    /// Keeps a path, unless the image has no such path or the policy removes it. Says whether it is kept now.
    pub(crate) fn keep(&mut self, path: &ImagePath, rule: Rule, because: Option<&ImagePath>) -> bool {
        let Some(position) = self.tree.position(path) else { return false };
        // What people ask for must work, also where the workload only looked at it: it is gone through again.
        let is_asked_for = matches!(rule, Rule::PolicyKeep | Rule::Kit);
        if self.kept[position].is_some() {
            if is_asked_for && self.wanted.insert(path.clone()) {
                self.fresh.push(position);
            }
            return true;
        }
        if self.removed.contains(path) {
            return false;
        }
        let because = because.filter(|because| *because != path).cloned();
        self.kept[position] = Some(Reason { rule, because });
        self.fresh.push(position);
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
        self.reason(path).is_some()
    }

    /// Why this path is kept, if it is.
    pub(crate) fn reason(&self, path: &ImagePath) -> Option<&Reason> {
        self.kept[self.tree.position(path)?].as_ref()
    }

    /// Says that a kept path is to work, also where the workload only looked at it: it is gone through again.
    pub(crate) fn want(&mut self, path: &ImagePath) {
        if let Some(position) = self.tree.position(path)
            && self.kept[position].is_some()
            && self.wanted.insert(path.clone())
        {
            self.fresh.push(position);
        }
    }

    /// Whether people, or settings, asked for a path that another rule had kept before.
    pub(crate) fn is_wanted(&self, path: &ImagePath) -> bool {
        self.wanted.contains(path)
    }

    /// The kept paths that people, or settings, asked for, in path order.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = &ImagePath> {
        self.wanted.iter()
    }

    /// Everything kept so far with the reasons, in path order.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (&'a ImagePath, &Reason)> {
        let reasons = self.tree.iter().zip(&self.kept);
        reasons.filter_map(|((path, _), reason)| Some((path, reason.as_ref()?)))
    }

    /// Everything kept so far, in path order.
    pub(crate) fn kept_paths(&self) -> impl Iterator<Item = &'a ImagePath> {
        self.kept().map(|(path, _)| path)
    }

    /// The paths that the policy removes.
    pub(crate) fn removed(&self) -> &BTreeSet<ImagePath> {
        &self.removed
    }

    /// What was added since the last call, in path order.
    pub(crate) fn take_fresh(&mut self) -> BTreeSet<ImagePath> {
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.sort_unstable();
        fresh.into_iter().filter_map(|position| self.tree.path_at(position).cloned()).collect()
    }

    /// Something that the user should hear about; it changes no decision.
    pub(crate) fn warn(&mut self, warning: String) {
        self.warnings.insert(warning);
    }

    pub(crate) fn finish(self) -> Drafted {
        Drafted { kept: self.kept, removed: self.removed, warnings: self.warnings.into_iter().collect() }
    }
}
