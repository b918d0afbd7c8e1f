//! Lists, sets and maps that are read only up to a number of elements, and without repeated keys.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::FewSet;

/// Reads a list of at most `MAX` elements.
pub(crate) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(ListVisitor::<T, MAX>(PhantomData))
}

/// Reads a set of at most `MAX` elements; a repeated one is an error.
pub(crate) fn set<'de, D: Deserializer<'de>, T: Deserialize<'de> + Ord, const MAX: usize>(
    deserializer: D,
) -> Result<BTreeSet<T>, D::Error> {
    let list = list::<D, T, MAX>(deserializer)?;
    let count = list.len();
    let set: BTreeSet<T> = list.into_iter().collect();
    if set.len() == count { Ok(set) } else { Err(D::Error::custom("an element stands twice")) }
}

/// Reads a set of few elements, at most `MAX`; a repeated one is an error.
pub(crate) fn few<'de, D: Deserializer<'de>, T: Deserialize<'de> + Ord, const MAX: usize>(
    deserializer: D,
) -> Result<FewSet<T>, D::Error> {
    set::<D, T, MAX>(deserializer).map(FewSet::from)
}

/// Reads a map of at most `MAX` entries; a repeated key is an error.
pub(crate) fn map<'de, D, K, V, const MAX: usize>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
{
    deserializer.deserialize_map(MapVisitor::<K, V, MAX>(PhantomData))
}

struct ListVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut out = Vec::new();
        while let Some(element) = access.next_element()? {
            if out.len() == MAX {
                return Err(A::Error::custom(format_args!("more than {MAX} elements")));
            }
            out.push(element);
        }
        Ok(out)
    }
}

struct MapVisitor<K, V, const MAX: usize>(PhantomData<(K, V)>);

impl<'de, K, V, const MAX: usize> Visitor<'de> for MapVisitor<K, V, MAX>
where
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
{
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of at most {MAX} entries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut out = BTreeMap::new();
        while let Some(key) = access.next_key()? {
            if out.len() == MAX {
                return Err(A::Error::custom(format_args!("more than {MAX} entries")));
            }
            if out.contains_key(&key) {
                return Err(A::Error::custom(format_args!("{key} stands twice")));
            }
            out.insert(key, access.next_value()?);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_list(json: &str) -> Result<Vec<u32>, serde_json::Error> {
        list::<_, u32, 3>(&mut serde_json::Deserializer::from_str(json))
    }

    fn read_map(json: &str) -> Result<BTreeMap<String, u32>, serde_json::Error> {
        map::<_, String, u32, 2>(&mut serde_json::Deserializer::from_str(json))
    }

    #[test]
    fn limits_hold_at_the_bound_and_one_past_it() {
        assert_eq!(read_list("[1,2,3]").unwrap(), [1, 2, 3]);
        assert!(read_list("[1,2,3,4]").unwrap_err().to_string().starts_with("more than 3 elements"));
        assert_eq!(read_map(r#"{"a":1,"b":2}"#).unwrap().len(), 2);
        assert!(
            read_map(r#"{"a":1,"b":2,"c":3}"#).unwrap_err().to_string().starts_with("more than 2 entries")
        );
    }

    #[test]
    fn repeated_keys_and_elements_are_refused() {
        assert!(read_map(r#"{"a":1,"a":2}"#).unwrap_err().to_string().starts_with("a stands twice"));
        let set = set::<_, u32, 3>(&mut serde_json::Deserializer::from_str("[1,1]"));
        assert!(set.unwrap_err().to_string().starts_with("an element stands twice"));
    }
}
