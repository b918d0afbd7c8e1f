//! Which packages own a path.

use std::ops::Range;

use image::{ImagePath, PathMap};

use crate::{Package, PackageIndex};

/// The owners of every path that some package owns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Owners {
    /// Owned paths, with where their owners stand in `packages`.
    paths: PathMap<Range<usize>>,
    packages: Vec<PackageIndex>,
}

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
        let packages = owned.into_iter().map(|(_, index)| index).collect();
        Self { paths: PathMap::from_ordered(paths), packages }
    }

    /// The owners of this path, by index.
    pub(crate) fn of(&self, path: &ImagePath) -> &[PackageIndex] {
        self.paths.position(path).map_or(&[], |position| &self.packages[self.paths[position].1.clone()])
    }

    /// All paths, in order, with their owners.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ImagePath, &[PackageIndex])> {
        self.paths.iter().map(|(path, owners)| (path, &self.packages[owners.clone()]))
    }
}
