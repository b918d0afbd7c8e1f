//! What came with a version: files that packages and directories of which something was used did not have before.

use std::collections::{BTreeMap, BTreeSet};

use image::{Image, ImagePath};
use packages::PackageDatabase;
use profile::{Profile, Surroundings};

use super::matching::Matcher;
use super::report::NewPath;
use super::{role, surroundings};

/// A sort of files: the role of their directory, and their ending.
type Sort = (Vec<u8>, Vec<u8>);

/// What came with a version.
pub(crate) struct News {
    pub(crate) new: Vec<NewPath>,
    /// For each new path that is kept, a used path of its sort.
    pub(crate) kept: BTreeMap<ImagePath, ImagePath>,
}

/// Finds it. A new file is kept where its directory had at least two files of its sort, and all of them were used:
/// migrations, drop-in configurations, plug-ins.
pub(crate) fn find(
    profile: &Profile,
    image: &Image,
    packages: &PackageDatabase,
    matcher: &Matcher<'_>,
) -> News {
    let old = &profile.surroundings;
    let had: BTreeSet<Vec<u8>> = had(old).map(role::of_path).collect();
    let mut found: BTreeMap<ImagePath, Option<String>> = BTreeMap::new();
    for package in old.packages.iter().flat_map(|package| matcher.successors(package)) {
        let Some(package) = packages.package(*package) else { continue };
        let files =
            package.files.iter().filter(|path| !packages::is_document(path) && !packages::is_licence(path));
        for path in files.filter(|path| !had.contains(&role::of_path(path))) {
            found.insert(path.clone(), Some(package.name.clone()));
        }
    }
    let directories: BTreeSet<Vec<u8>> =
        old.unowned.iter().filter_map(ImagePath::parent).map(|directory| role::of_path(&directory)).collect();
    if !directories.is_empty() {
        let ours = image.tree().iter().filter(|(path, node)| {
            node.kind == image::NodeKind::Directory && directories.contains(&role::of_path(path))
        });
        for path in ours.flat_map(|(directory, _)| surroundings::unowned_in(image, packages, directory)) {
            if !had.contains(&role::of_path(&path)) {
                found.insert(path, None);
            }
        }
    }
    let whole = wholly_used(profile);
    let kept: BTreeMap<ImagePath, ImagePath> =
        found.keys().filter_map(|path| Some((path.clone(), whole.get(&sort_of(path)?)?.clone()))).collect();
    let new = found.into_iter().map(|(path, package)| {
        let kept = kept.contains_key(&path);
        NewPath { path, package, kept }
    });
    News { new: new.collect(), kept }
}

/// Every path that the other version is known to have had.
fn had(old: &Surroundings) -> impl Iterator<Item = &ImagePath> {
    old.packages.iter().flat_map(|package| &package.files).chain(&old.unowned).chain(old.files.keys())
}

/// The sorts of which the other version had several files and used them all, each with the first of them.
fn wholly_used(profile: &Profile) -> BTreeMap<Sort, ImagePath> {
    let mut sorts: BTreeMap<Sort, (u32, bool, ImagePath)> = BTreeMap::new();
    for path in had(&profile.surroundings).collect::<BTreeSet<_>>() {
        let Some(sort) = sort_of(path) else { continue };
        let was_used = profile.usage(path).is_some_and(profile::PathUsage::is_used);
        let (count, all, _) = sorts.entry(sort).or_insert_with(|| (0, true, path.clone()));
        *count += 1;
        *all &= was_used;
    }
    let whole = sorts.into_iter().filter(|(_, (count, all, _))| *count >= 2 && *all);
    whole.map(|(sort, (_, _, first))| (sort, first)).collect()
}

/// The sort of a file; none without an ending.
fn sort_of(path: &ImagePath) -> Option<Sort> {
    let dot = path.name().iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0)?;
    Some((role::of_path(&path.parent()?), path.name()[dot..].to_vec()))
}
