//! The running container as a walk of a path sees it, after the fact.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;

use image::ImagePath;

use crate::rootfs::{LiveNode, Rootfs};

/// Paths that are kept in memory. Beyond, all are forgotten: paths are asked for in order, more or less.
const MAX_KNOWN: usize = 1 << 14;

/// What a container has now, where it is still mounted; a path is not looked at again soon.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    rootfs: &'a Rootfs,
    root: OnceCell<Option<File>>,
    known: RefCell<BTreeMap<ImagePath, Option<LiveNode>>>,
}

impl<'a> Running<'a> {
    pub(crate) fn new(rootfs: &'a Rootfs) -> Self {
        Self { rootfs, root: OnceCell::new(), known: RefCell::default() }
    }

    /// What is at a path, links not followed.
    pub(crate) fn live(&self, path: &ImagePath) -> Option<LiveNode> {
        if let Some(known) = self.known.borrow().get(path) {
            return known.clone();
        }
        let root = self.root.get_or_init(|| self.rootfs.open_root().ok()).as_ref()?;
        let found = Rootfs::live(root, path);
        let mut known = self.known.borrow_mut();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(path.clone(), found.clone());
        found
    }
}
