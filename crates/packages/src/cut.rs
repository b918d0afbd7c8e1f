//! What is left when an image is cut down: the question that every filter of a database asks.

use std::collections::{BTreeMap, BTreeSet};

use image::{Image, ImagePath, NodeKind};

use crate::locate::Locator;
use crate::read::{self, Limits, ReadPackagesError};
use crate::{Ecosystem, Package, PackageDatabase};

/// An image, what stays of it, and which of its packages do.
pub(crate) struct Cut<'a> {
    pub(crate) database: &'a PackageDatabase,
    pub(crate) image: &'a Image,
    /// All that stays beside the databases.
    pub(crate) kept: &'a BTreeSet<ImagePath>,
    /// For each package, whether it is still there.
    pub(crate) present: &'a [bool],
    pub(crate) limits: Limits,
}

/// The databases of the hardened image, as they are made up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilteredDatabase {
    /// Paths to keep, with the reason, as a sentence for people. Links on the way are among them; directories are
    /// the caller's to add.
    pub keep: BTreeMap<ImagePath, String>,
    /// New content for some of them, and for files of the databases that something else keeps. A file that filtering
    /// leaves as it was is not here.
    pub replace: BTreeMap<ImagePath, Vec<u8>>,
    /// What the user should know: a database that stays whole because it cannot be filtered.
    pub warnings: Vec<String>,
}

impl<'a> Cut<'a> {
    /// The packages of an ecosystem, each with whether it is still there.
    pub(crate) fn packages(&self, ecosystem: Ecosystem) -> impl Iterator<Item = (&'a Package, bool)> {
        let all = self.database.packages.iter().zip(self.present.iter().copied());
        all.filter(move |(package, _)| package.ecosystem == ecosystem)
    }

    /// The names of the packages of an ecosystem that are still there.
    pub(crate) fn present_names(&self, ecosystem: Ecosystem) -> BTreeSet<&'a str> {
        self.packages(ecosystem)
            .filter_map(|(package, present)| present.then_some(package.name.as_str()))
            .collect()
    }

    /// The content of one of the database's files.
    pub(crate) fn read(&self, file: &ImagePath) -> Result<Vec<u8>, ReadPackagesError> {
        read::file(self.image, file, self.limits.status_bytes.max(self.limits.list_bytes))
    }

    /// What is left, when a database adds `ours`.
    pub(crate) fn remaining(&self, locator: Locator<'a>, ours: BTreeSet<ImagePath>) -> Remaining<'a> {
        Remaining { image: self.image, kept: self.kept, ours, locator, diverted: false }
    }
}

impl FilteredDatabase {
    pub(crate) fn keep(&mut self, path: &ImagePath, reason: &str) {
        self.keep.entry(path.clone()).or_insert_with(|| reason.to_owned());
    }

    /// Keeps a directory's content as it is.
    pub(crate) fn keep_whole(&mut self, image: &Image, directory: &ImagePath, reason: &str) {
        for (path, node) in image.tree().within(directory) {
            if node.kind != NodeKind::Directory {
                self.keep(path, reason);
            }
        }
    }

    /// Gives a file new content, if that differs.
    pub(crate) fn replace(&mut self, path: &ImagePath, old: &[u8], new: Vec<u8>) {
        if new != old {
            self.replace.insert(path.clone(), new);
        }
    }
}

/// Tells which listed paths remain.
pub(crate) struct Remaining<'a> {
    image: &'a Image,
    kept: &'a BTreeSet<ImagePath>,
    ours: BTreeSet<ImagePath>,
    locator: Locator<'a>,
    /// Whether a path that remains was diverted.
    pub(crate) diverted: bool,
}

impl Remaining<'_> {
    /// Whether the path that this package lists is still there: a file that is kept, a directory that is kept or
    /// holds something that is.
    pub(crate) fn has(&mut self, package: &str, path: &[u8]) -> bool {
        let Some(path) = ImagePath::from_absolute(path).ok().filter(|_| !path.is_empty()) else {
            return false;
        };
        let Some(located) = self.locator.locate(package, &path) else { return false };
        let remains = self.has_exactly(&located.path);
        self.diverted |= located.diverted && remains;
        remains
    }

    /// The same of a path of the tree.
    pub(crate) fn has_exactly(&self, path: &ImagePath) -> bool {
        let directory = self.image.tree().get(path).is_some_and(|node| node.kind == NodeKind::Directory);
        let within = |paths: &BTreeSet<ImagePath>| {
            let first = paths.range(path..).next();
            first.is_some_and(|first| if directory { first.is_within(path) } else { first == path })
        };
        path.is_root() || within(self.kept) || within(&self.ours)
    }
}
