//! Values by path, in order and found at once.

use std::hash::{BuildHasher, RandomState};
use std::ops::Deref;

use hashbrown::HashTable;

use crate::ImagePath;

/// Paths in their order, each with a value; a path is found by its hash, which is several times faster than by search.
#[derive(Debug, Clone)]
pub struct PathMap<T> {
    entries: Vec<(ImagePath, T)>,
    /// Positions in `entries`.
    positions: HashTable<usize>,
    hasher: RandomState,
}

impl<T> PathMap<T> {
    /// Of entries that are in order of their paths, each path once.
    pub fn from_ordered(entries: Vec<(ImagePath, T)>) -> Self {
        let hasher = RandomState::new();
        let hash = |&position: &usize| hasher.hash_one(&entries[position].0);
        let mut positions = HashTable::with_capacity(entries.len());
        for position in 0..entries.len() {
            positions.insert_unique(hash(&position), position, hash);
        }
        Self { entries, positions, hasher }
    }

    /// Where this path stands.
    pub fn position(&self, path: &ImagePath) -> Option<usize> {
        let is_at = |&position: &usize| self.entries[position].0 == *path;
        self.positions.find(self.hasher.hash_one(path), is_at).copied()
    }
}

impl<T> Default for PathMap<T> {
    fn default() -> Self {
        Self::from_ordered(Vec::new())
    }
}

impl<T> Deref for PathMap<T> {
    type Target = [(ImagePath, T)];

    fn deref(&self) -> &Self::Target {
        &self.entries
    }
}

/// Equal entries are found at equal positions, whatever the hashes are.
impl<T: PartialEq> PartialEq for PathMap<T> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<T: Eq> Eq for PathMap<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_found_where_it_stands_and_no_other_is() {
        let path = |number: usize| ImagePath::from_text(&format!("/a/{number:04}")).unwrap();
        let map = PathMap::from_ordered((0..1_000).map(|number| (path(number), number)).collect());
        for number in 0..1_000 {
            assert_eq!(map.position(&path(number)), Some(number));
        }
        assert_eq!(map.position(&path(1_000)), None);
        assert_eq!(PathMap::<()>::default().position(&ImagePath::root()), None);
        assert_eq!(map, map.clone());
        assert_eq!(map.len(), 1_000);
    }
}
