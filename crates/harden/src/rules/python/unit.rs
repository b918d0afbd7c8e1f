//! What belongs to one Python package.

use std::collections::BTreeSet;

use image::ImagePath;

use super::environment::{Environment, is_package, join, root_of};
use crate::PlanError;
use crate::scene::Scene;

/// Directories of a package that running it does not need: tests, and the development environment of the standard
/// library. `testing` stays: packages offer that to others.
const LEFT_OUT: [&[u8]; 5] = [b"idle_test", b"idlelib", b"test", b"tests", b"turtledemo"];
/// Endings of what only compilers and type checkers read.
const FOR_COMPILERS: [&[u8]; 7] = [b".a", b".c", b".cpp", b".h", b".pxd", b".pyi", b".pyx"];

/// The rest of the package of a module: of a third-party one all of it, with its metadata and the libraries that it
/// brings; of the standard library the package at its top (`email`, `json`), a single module alone; of the image's own
/// code the package at its top.
pub(super) fn of(
    scene: &Scene<'_>,
    environment: &Environment,
    path: &ImagePath,
) -> Result<BTreeSet<ImagePath>, PlanError> {
    let mut out = BTreeSet::new();
    let mut add = |directory: &ImagePath| {
        let files = scene.tree().within(directory).map(|(path, _)| path);
        out.extend(
            files.filter(|path| scene.file_size(path).is_some() && is_needed(directory, path)).cloned(),
        );
    };
    if let Some(site) = environment.site_of(path) {
        let mut parts = path.components().skip(site.components().count());
        let Some(top) = parts.next().and_then(|top| site.join(top).ok()) else { return Ok(out) };
        if scene.is_directory(&top) && top.name() != b"__pycache__" {
            let package = match is_package(scene, &top) {
                true => Some(top),
                false => parts.next().and_then(|second| top.join(second).ok()),
            };
            package.iter().for_each(&mut add);
        }
        for metadata in environment.distributions(scene, site)?.of(scene, site, path) {
            add(&metadata);
            let name = String::from_utf8_lossy(metadata.name()).into_owned();
            let project = name.split('-').next().unwrap_or_default();
            join(site, &format!("{project}.libs")).iter().for_each(&mut add);
        }
        return Ok(out);
    }
    let root = match environment.stdlib_of(path) {
        Some(stdlib) => stdlib.clone(),
        None => root_of(scene, path),
    };
    let top = path.components().nth(root.components().count()).and_then(|top| root.join(top).ok());
    top.iter().filter(|top| scene.is_directory(top) && is_package(scene, top)).for_each(&mut add);
    Ok(out)
}

fn is_needed(directory: &ImagePath, path: &ImagePath) -> bool {
    let mut inside = path.components().skip(directory.components().count());
    !inside.any(|part| LEFT_OUT.contains(&part))
        && !FOR_COMPILERS.iter().any(|ending| path.name().ends_with(ending))
}
