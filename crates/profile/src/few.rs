//! Maps and sets of few elements, of which a profile has as many as it has paths.
//!
//! A tree makes room for eleven elements at once; these are sorted lists with room for what they hold.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A map, in order of its keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FewMap<K, V>(Vec<(K, V)>);

/// A set, in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FewSet<T>(Vec<T>);

impl<K: Ord, V> FewMap<K, V> {
    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.position(key).ok().map(|at| &self.0[at].1)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.position(key).ok().map(|at| &mut self.0[at].1)
    }

    /// Whether it has a key.
    pub fn contains_key(&self, key: &K) -> bool {
        self.position(key).is_ok()
    }

    /// The value of a key, made first if there is none.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = match self.position(&key) {
            Ok(at) => at,
            Err(at) => {
                // Most maps stay as long as they are.
                self.0.reserve_exact(1);
                self.0.insert(at, (key, make()));
                at
            }
        };
        &mut self.0[at].1
    }

    /// Sets the value of a key.
    pub fn insert(&mut self, key: K, value: V) {
        match self.get_mut(&key) {
            Some(known) => *known = value,
            None => {
                self.get_or_insert_with(key, || value);
            }
        }
    }

    fn position(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.cmp(key))
    }
}

impl<K, V> FewMap<K, V> {
    /// Keys and values, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    /// The values, in order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Ord> FewSet<T> {
    /// Puts an element in.
    pub fn insert(&mut self, element: T) {
        if let Err(at) = self.0.binary_search(&element) {
            self.0.insert(at, element);
        }
    }

    /// Whether the other one has all elements of this one.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.iter().all(|element| other.0.binary_search(element).is_ok())
    }
}

impl<T> FewSet<T> {
    /// The elements, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// The last one.
    pub fn last(&self) -> Option<&T> {
        self.0.last()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K, V> Default for FewMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Default for FewSet<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for FewMap<K, V> {
    /// Of several values of a key the last one stays.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        entries.into_iter().for_each(|(key, value)| map.insert(key, value));
        map
    }
}

impl<T: Ord> Extend<T> for FewSet<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        let known = self.0.len();
        self.0.extend(elements);
        // Elements come in order mostly: then nothing moves.
        if !self.0[known.saturating_sub(1)..].is_sorted_by(|one, next| one < next) {
            self.0.sort();
            self.0.dedup();
        }
    }
}

impl<T: Ord> FromIterator<T> for FewSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut set = Self::default();
        set.extend(elements);
        set.0.shrink_to_fit();
        set
    }
}

impl<T: Ord, const COUNT: usize> From<[T; COUNT]> for FewSet<T> {
    fn from(elements: [T; COUNT]) -> Self {
        elements.into_iter().collect()
    }
}

impl<'a, T> IntoIterator for &'a FewSet<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Serialize, V: Serialize> Serialize for FewMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<T: Serialize> Serialize for FewSet<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Deserialize<'de> for FewMap<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(BTreeMap::deserialize(deserializer)?.into_iter().collect())
    }
}

impl<T: Ord> From<BTreeSet<T>> for FewSet<T> {
    fn from(elements: BTreeSet<T>) -> Self {
        elements.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_hold_what_trees_hold_whatever_the_order() {
        for order in [[3, 1, 2, 1], [1, 1, 2, 3], [3, 3, 2, 1], [1, 2, 3, 3]] {
            let set: FewSet<u32> = order.into();
            let mut one_by_one = FewSet::default();
            order.into_iter().for_each(|element| one_by_one.insert(element));
            let mut extended = FewSet::from([2]);
            extended.extend(order);
            assert_eq!(set.iter().copied().collect::<Vec<_>>(), [1, 2, 3], "{order:?}");
            assert_eq!((&one_by_one, &extended), (&set, &set), "{order:?}");
            let map: FewMap<u32, usize> =
                order.into_iter().enumerate().map(|(at, element)| (element, at)).collect();
            let tree: BTreeMap<u32, usize> =
                order.into_iter().enumerate().map(|(at, element)| (element, at)).collect();
            assert!(map.iter().eq(&tree), "{map:?} {tree:?}");
            assert_eq!(serde_json::to_string(&map).unwrap(), serde_json::to_string(&tree).unwrap());
            assert_eq!((map.get(&2), map.get(&4)), (tree.get(&2), None));
        }
        assert!(FewSet::from([1, 3]).is_subset(&FewSet::from([1, 2, 3])));
        assert!(!FewSet::from([1, 4]).is_subset(&FewSet::from([1, 2, 3])));
    }

    #[test]
    fn a_map_has_room_for_what_it_holds() {
        let mut map = FewMap::<u32, [u64; 10]>::default();
        for (count, key) in (1..).zip([5, 7, 6]) {
            map.get_or_insert_with(key, || [0; 10]);
            assert_eq!(map.0.capacity(), count);
        }
    }
}
