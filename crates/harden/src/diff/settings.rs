//! How two config documents differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// How deep a config is looked into; what is deeper is compared as text.
const MAX_DEPTH: usize = 16;

/// One value of the config that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingChange {
    /// Where it stands: `config.Env[0]`.
    pub setting: String,
    /// In the first image; `None` where it has no such setting.
    pub before: Option<Value>,
    /// In the second image.
    pub after: Option<Value>,
}

impl fmt::Display for SettingChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<Value>| value.as_ref().map_or("none".to_owned(), ToString::to_string);
        write!(f, "{}: {} -> {}", self.setting, text(&self.before), text(&self.after))
    }
}

/// Compares two config documents, their layers and history left out. One that is no JSON counts as empty.
pub(super) fn compare(a: &[u8], b: &[u8]) -> Vec<SettingChange> {
    let (before, after) = (leaves(a), leaves(b));
    let places: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    places
        .into_iter()
        .filter(|place| before.get(*place) != after.get(*place))
        .map(|place| SettingChange {
            setting: place.clone(),
            before: before.get(place).cloned(),
            after: after.get(place).cloned(),
        })
        .collect()
}

fn leaves(document: &[u8]) -> BTreeMap<String, Value> {
    let mut out = BTreeMap::new();
    if let Ok(Value::Object(top)) = serde_json::from_slice(document) {
        for (name, value) in top {
            if name != "rootfs" && name != "history" {
                collect(&name, value, MAX_DEPTH, &mut out);
            }
        }
    }
    out
}

fn collect(place: &str, value: Value, depth: usize, out: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) if depth > 0 && !map.is_empty() => {
            for (name, value) in map {
                collect(&format!("{place}.{name}"), value, depth - 1, out);
            }
        }
        Value::Array(list) if depth > 0 && !list.is_empty() => {
            for (position, value) in list.into_iter().enumerate() {
                collect(&format!("{place}[{position}]"), value, depth - 1, out);
            }
        }
        // Not set, set to nothing: the same to every engine.
        Value::Null => {}
        value => {
            out.insert(place.to_owned(), value);
        }
    }
}
