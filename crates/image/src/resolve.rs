//! Looking a path up in the merged tree as the kernel does.

use crate::path::MAX_PATH_BYTES;
use crate::{ImagePath, NodeKind, Resolution, ResolutionEnd, Tree};

/// Symbolic links that one lookup may follow (Linux `MAXSYMLINKS`).
const MAX_SYMLINKS: usize = 40;

impl Tree {
    /// Looks a path up as Linux does: an absolute path from the root, another from `base`.
    ///
    /// `..` at the root stays there. The last component is followed if it is a link and `follow_last` is set or a
    /// slash comes after it. `base` itself is taken as it is; an empty path leads to it.
    ///
    /// Source: path_resolution(7).
    pub fn resolve(&self, base: &ImagePath, path: &[u8], follow_last: bool) -> Resolution {
        if let Some(end) = self.plain(base, path) {
            return Resolution { symlinks: Vec::new(), end: ResolutionEnd::Found(end) };
        }
        let mut walk =
            Walk { tree: self, todo: Vec::new(), symlinks: Vec::new(), at: ImagePath::root(), kind: None };
        walk.go(base.clone());
        let end = walk.run(path, follow_last);
        Resolution { symlinks: walk.symlinks, end }
    }

    /// The node that a path from the root without detours names by its letters: all above a node are directories.
    fn plain(&self, base: &ImagePath, path: &[u8]) -> Option<ImagePath> {
        let names = path.strip_prefix(b"/").or(base.is_root().then_some(path))?;
        let is_name = |name: &[u8]| !matches!(name, b"" | b"." | b"..");
        if !names.split(|&byte| byte == b'/').all(is_name) {
            return None;
        }
        let path = ImagePath::from_tar_name(names).ok()?;
        self.get(&path).filter(|node| !matches!(node.kind, NodeKind::Symlink { .. }))?;
        Some(path)
    }
}

struct Walk<'t> {
    tree: &'t Tree,
    /// Components still to go, the next one last. An empty one asks for a directory: it stands for a final slash.
    todo: Vec<Box<[u8]>>,
    symlinks: Vec<ImagePath>,
    at: ImagePath,
    /// What is there.
    kind: Option<&'t NodeKind>,
}

impl Walk<'_> {
    fn go(&mut self, to: ImagePath) {
        self.kind = self.tree.get(&to).map(|node| &node.kind);
        self.at = to;
    }

    fn run(&mut self, path: &[u8], follow_last: bool) -> ResolutionEnd {
        if !self.push(path) {
            return ResolutionEnd::Invalid;
        }
        while let Some(name) = self.todo.pop() {
            match self.kind {
                None => return self.missing(&name),
                Some(NodeKind::Directory) => {}
                Some(_) => return ResolutionEnd::NotADirectory(self.at.clone()),
            }
            match &*name {
                b"" | b"." => continue,
                b".." => {
                    self.go(self.at.parent().unwrap_or_default());
                    continue;
                }
                _ => {}
            }
            let Some(next) = self.at.child(&name) else { return ResolutionEnd::Invalid };
            let target = match self.tree.get(&next).map(|node| &node.kind) {
                None => return self.missing(&name),
                Some(NodeKind::Symlink { target }) if follow_last || !self.todo.is_empty() => target,
                kind => {
                    (self.at, self.kind) = (next, kind);
                    continue;
                }
            };
            if self.symlinks.len() == MAX_SYMLINKS {
                return ResolutionEnd::Loop;
            }
            self.symlinks.push(next);
            if !self.push(target) {
                return ResolutionEnd::Invalid;
            }
        }
        if self.kind.is_some() {
            ResolutionEnd::Found(self.at.clone())
        } else {
            ResolutionEnd::Missing(self.at.clone())
        }
    }

    /// Puts the components of a path or a link's target before those still to go.
    fn push(&mut self, path: &[u8]) -> bool {
        if path.len() > MAX_PATH_BYTES + 1 || path.contains(&0) {
            return false;
        }
        if path.first() == Some(&b'/') {
            self.go(ImagePath::root());
        }
        if path.last() == Some(&b'/') {
            self.todo.push(Box::default());
        }
        let components = path.split(|&byte| byte == b'/').filter(|component| !component.is_empty());
        self.todo.extend(components.rev().map(Box::from));
        true
    }

    /// `name` is not in the directory reached so far: names the whole path that was looked for.
    fn missing(&self, name: &[u8]) -> ResolutionEnd {
        let mut wanted = self.at.clone();
        for (nth, name) in std::iter::once(name).chain(self.todo.iter().rev().map(|name| &**name)).enumerate()
        {
            match wanted.join(name) {
                Ok(longer) => wanted = longer,
                Err(_) if nth == 0 => return ResolutionEnd::Invalid,
                Err(_) => break,
            }
        }
        ResolutionEnd::Missing(wanted)
    }
}
