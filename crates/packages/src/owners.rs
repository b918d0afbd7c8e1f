//! Which packages own a path.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use hashbrown::HashTable;
use image::ImagePath;

use crate::{Package, PackageIndex};

/// The owners of every path that some package owns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Owners {
    /// Owned paths, in order, with where their owners stand in `packages`.
    paths: Vec<(ImagePath, Range<usize>)>,
    packages: Vec<PackageIndex>,
    /// Positions in `paths`.
    positions: HashTable<usize>,
    hasher: RandomState,
}

impl PartialEq for Owners {
    fn eq(&self, other: &Self) -> bool {
        self.paths == other.paths && self.packages == other.packages
    }
}

impl Eq for Owners {}

impl Owners {
    /// By the files of these packages.
    pub(crate) fn new(packages: &[Package]) -> Self {
        let owned = packages.iter().enumerate();
        let mut owned: Vec<(&ImagePath, PackageIndex)> = owned
            .flat_map(|(index, package)| package.files.iter().map(move |path| (path, PackageIndex(index))))
            .collect();
        owned.sort();
        let mut paths: Vec<(ImagePath, Range<usize>)> = Vec::with_capacity(owned.len());
        for (position, (path, _)) in owned.iter().enumerate() {
            match paths.last_mut() {
                Some((last, owners)) if last == *path => owners.end = position + 1,
                _ => paths.push(((*path).clone(), position..position + 1)),
            }
        }
        let hasher = RandomState::new();
        let hash = |&position: &usize| hasher.hash_one(&paths[position].0);
        let mut positions = HashTable::with_capacity(paths.len());
        for position in 0..paths.len() {
            positions.insert_unique(hash(&position), position, hash);
        }
        let packages = owned.into_iter().map(|(_, index)| index).collect();
        Self { paths, packages, positions, hasher }
    }

    /// The owners of this path, by index.
    pub(crate) fn of(&self, path: &ImagePath) -> &[PackageIndex] {
        let found =
            self.positions.find(self.hasher.hash_one(path), |&position| self.paths[position].0 == *path);
        found.map_or(&[], |&position| &self.packages[self.paths[position].1.clone()])
    }

    /// All paths, in order, with their owners.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ImagePath, &[PackageIndex])> {
        self.paths.iter().map(|(path, owners)| (path, &self.packages[owners.clone()]))
    }
}
