//! Licences of packages that are still there, and the database cut down to these packages.

use std::collections::{BTreeMap, BTreeSet};

use image::ImagePath;

use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// Keeps the licences of packages that still own something that is kept, if the policy wants them.
pub(crate) fn licences(scene: &Scene<'_>, draft: &mut Draft<'_>) -> Result<(), PlanError> {
    if scene.policy.keep_licenses {
        let kept: BTreeSet<ImagePath> = draft.kept().keys().cloned().collect();
        for path in packages::licences(scene.packages, scene.image, &kept)? {
            draft.keep(&path, Rule::Licence, None);
        }
    }
    Ok(())
}

/// Keeps the package database, and gives the new content of those of its files that change.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
) -> Result<BTreeMap<ImagePath, Vec<u8>>, PlanError> {
    let kept: BTreeSet<ImagePath> = draft.kept().keys().cloned().collect();
    let mut filtered = packages::filter(scene.packages, scene.image, &kept)?;
    for path in filtered.keep.keys() {
        draft.keep(path, Rule::PackageDatabase, None);
    }
    filtered.replace.retain(|path, _| draft.is_kept(path));
    Ok(filtered.replace)
}
