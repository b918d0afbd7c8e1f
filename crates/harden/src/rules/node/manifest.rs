//! `package.json`, as far as Node.js itself reads it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use image::ImagePath;
use serde_json::Value;

use crate::scene::Scene;

/// Longest manifest that we read.
const MAX_BYTES: u64 = 4 << 20;
/// How deep conditions may be nested.
const MAX_DEPTH: usize = 16;

/// The manifests read so far, by the directory that they are in.
#[derive(Default)]
pub(crate) struct Manifests(RefCell<BTreeMap<ImagePath, Option<Rc<Manifest>>>>);

/// One `package.json`.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) path: ImagePath,
    value: Value,
}

impl Manifests {
    /// The manifest in this directory; `None` if there is none that can be read.
    pub(super) fn in_directory(&self, scene: &Scene<'_>, directory: &ImagePath) -> Option<Rc<Manifest>> {
        if let Some(known) = self.0.borrow().get(directory) {
            return known.clone();
        }
        let found = read(scene, directory).map(Rc::new);
        self.0.borrow_mut().insert(directory.clone(), found.clone());
        found
    }

    /// The manifest of the package that a file in this directory belongs to.
    pub(super) fn of_scope(&self, scene: &Scene<'_>, directory: &ImagePath) -> Option<Rc<Manifest>> {
        std::iter::once(directory.clone())
            .chain(directory.ancestors())
            .take_while(|directory| directory.name() != b"node_modules")
            .find_map(|directory| self.in_directory(scene, &directory))
    }
}

fn read(scene: &Scene<'_>, directory: &ImagePath) -> Option<Manifest> {
    let path = directory.join(b"package.json").ok()?;
    let end = scene.find(&path.to_absolute())?;
    let bytes = scene.image.read_file(&end, MAX_BYTES).ok()?;
    serde_json::from_slice(&bytes).ok().map(|value| Manifest { path, value })
}

impl Manifest {
    pub(super) fn directory(&self) -> ImagePath {
        self.path.parent().unwrap_or_default()
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.value.get("name")?.as_str()
    }

    pub(super) fn main(&self) -> Option<&str> {
        self.value.get("main")?.as_str()
    }

    /// The command lines of `scripts`, by name.
    pub(super) fn scripts(&self) -> impl Iterator<Item = (&str, &str)> {
        let scripts = self.value.get("scripts").and_then(Value::as_object);
        scripts.into_iter().flatten().filter_map(|(name, line)| Some((name.as_str(), line.as_str()?)))
    }

    /// The files that `main`, `bin` and `exports` name; patterns are left out.
    pub(super) fn parts(&self) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        for field in ["main", "bin", "exports"] {
            if let Some(value) = self.value.get(field) {
                texts(value, &mut out, 0);
            }
        }
        out.retain(|part| !part.is_empty() && !part.contains('*'));
        out
    }

    pub(super) fn has_exports(&self) -> bool {
        self.value.get("exports").is_some_and(|exports| !exports.is_null())
    }

    /// What `exports` gives for `.` or `./SUBPATH`.
    pub(super) fn export(&self, subpath: &str, is_import: bool) -> Option<String> {
        let exports = self.value.get("exports")?;
        let is_map = exports.as_object().is_some_and(|map| map.keys().any(|key| key.starts_with('.')));
        match is_map {
            true => entry(exports, subpath, is_import),
            false if subpath == "." => target(exports, "", is_import, 0),
            false => None,
        }
    }

    /// What `imports` gives for `#NAME`.
    pub(super) fn import(&self, name: &str, is_import: bool) -> Option<String> {
        entry(self.value.get("imports")?, name, is_import)
    }
}

/// All texts in a value, keys apart.
fn texts(value: &Value, out: &mut BTreeSet<String>, depth: usize) {
    match value {
        _ if depth > MAX_DEPTH => {}
        Value::String(text) => drop(out.insert(text.clone())),
        Value::Array(list) => list.iter().for_each(|value| texts(value, out, depth + 1)),
        Value::Object(map) => map.values().for_each(|value| texts(value, out, depth + 1)),
        _ => {}
    }
}

/// The entry of a map of subpaths, in which a key may have one `*`; the longest prefix wins.
fn entry(map: &Value, subpath: &str, is_import: bool) -> Option<String> {
    let map = map.as_object()?;
    if let Some(value) = map.get(subpath).filter(|_| !subpath.contains('*')) {
        return target(value, "", is_import, 0);
    }
    let patterns = map.iter().filter_map(|(key, value)| {
        let (prefix, suffix) = key.split_once('*').or_else(|| key.ends_with('/').then_some((key, "")))?;
        let middle = subpath.strip_prefix(prefix)?.strip_suffix(suffix)?;
        Some((prefix.len(), middle, value, key.ends_with('/')))
    });
    let (_, middle, value, is_folder) = patterns.max_by_key(|(length, ..)| *length)?;
    let found = target(value, middle, is_import, 0)?;
    Some(if is_folder && found.ends_with('/') { found + middle } else { found })
}

/// The first target whose conditions hold: `node`, `default`, and that of the way it was asked for.
fn target(value: &Value, middle: &str, is_import: bool, depth: usize) -> Option<String> {
    if depth > MAX_DEPTH {
        return None;
    }
    let own = if is_import { "import" } else { "require" };
    match value {
        Value::String(text) => Some(text.replace('*', middle)),
        Value::Array(list) => list.iter().find_map(|value| target(value, middle, is_import, depth + 1)),
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| {
                matches!(key.as_str(), "node" | "default" | "node-addons" | "module-sync") || *key == own
            })
            .find_map(|(_, value)| target(value, middle, is_import, depth + 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_are_chosen_by_subpath_pattern_and_condition() {
        let manifest = |exports: &str| Manifest {
            path: ImagePath::root(),
            value: serde_json::from_str(&format!("{{\"exports\": {exports}}}")).unwrap(),
        };
        for (exports, subpath, is_import, expected) in [
            ("\"./a.js\"", ".", false, Some("./a.js")),
            ("\"./a.js\"", "./b", false, None),
            (r#"{"import": "./a.mjs", "require": "./a.cjs"}"#, ".", false, Some("./a.cjs")),
            (r#"{"import": "./a.mjs", "require": "./a.cjs"}"#, ".", true, Some("./a.mjs")),
            (
                r#"{".": {"browser": "./b.js", "node": {"types": "./t", "default": "./n.js"}}}"#,
                ".",
                true,
                Some("./n.js"),
            ),
            (r#"{".": ["x:y", "./a.js"]}"#, ".", true, Some("x:y")),
            (r#"{"./f/*": "./src/*.js", "./f/x/*": null}"#, "./f/a/b", false, Some("./src/a/b.js")),
            (r#"{"./f/*": "./src/*.js", "./f/x/*": null}"#, "./f/x/b", false, None),
            (r#"{"./f/*.js": "./src/*.js"}"#, "./f/a.js", false, Some("./src/a.js")),
            (r#"{"./": "./"}"#, "./lib/a.js", false, Some("./lib/a.js")),
        ] {
            assert_eq!(
                manifest(exports).export(subpath, is_import).as_deref(),
                expected,
                "{exports} {subpath}"
            );
        }
    }
}
