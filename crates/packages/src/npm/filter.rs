//! The npm packages of a hardened image.
//!
//! A package that is still there keeps its `package.json`. A `.package-lock.json` that something else keeps names only
//! the packages that are left.

use std::collections::BTreeSet;

use serde_json::Value;

use super::hidden_lockfiles;
use crate::cut::{Cut, FilteredDatabase};
use crate::locate::Locator;
use crate::read::ReadPackagesError;
use crate::{Ecosystem, Origin};

const REASON: &str = "package database: describes an npm package that is still there";

pub(crate) fn filter(cut: &Cut<'_>, filtered: &mut FilteredDatabase) -> Result<(), ReadPackagesError> {
    let mut ours = BTreeSet::new();
    for (package, _) in cut.packages(Ecosystem::Npm).filter(|(_, present)| *present) {
        if let Origin::Npm { manifest } = &package.origin {
            filtered.keep(manifest, REASON);
            ours.insert(manifest.clone());
        }
    }
    let remaining = cut.remaining(Locator::new(cut.image.tree()), ours);
    for lockfile in hidden_lockfiles(cut.image).into_iter().filter(|path| cut.kept.contains(path)) {
        let bytes = cut.read(&lockfile)?;
        let Ok(mut document) = serde_json::from_slice::<Value>(&bytes) else {
            filtered.warnings.push(format!("{lockfile} is not JSON: it stays as it is"));
            continue;
        };
        let root = lockfile.parent().and_then(|modules| modules.parent()).unwrap_or_default();
        let Some(packages) = document.get_mut("packages").and_then(Value::as_object_mut) else { continue };
        let before = packages.len();
        packages.retain(|place, _| {
            let path = place.split('/').try_fold(root.clone(), |path, name| path.join(name.as_bytes()).ok());
            place.is_empty()
                || path
                    .is_some_and(|path| cut.image.tree().get(&path).is_some() && remaining.has_exactly(&path))
        });
        if packages.len() != before
            && let Ok(mut text) = serde_json::to_vec_pretty(&document)
        {
            text.push(b'\n');
            filtered.replace(&lockfile, &bytes, text);
        }
    }
    Ok(())
}
