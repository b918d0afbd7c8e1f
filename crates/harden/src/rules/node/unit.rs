//! The Node.js package that a file belongs to.

use std::collections::BTreeSet;

use image::ImagePath;

use super::{extension, is_script};
use crate::scene::Scene;

/// Directories of a package that its code does not load from: other packages, tests, documents, build settings.
const LEFT_OUT: [&[u8]; 16] = [
    b"node_modules",
    b"test",
    b"tests",
    b"__tests__",
    b"spec",
    b"doc",
    b"docs",
    b"example",
    b"examples",
    b"benchmark",
    b"benchmarks",
    b"coverage",
    b".github",
    b".git",
    b".vscode",
    b"man",
];
/// Extensions of what is there for people and for tools.
const FOR_TOOLS: [&[u8]; 8] = [b"map", b"md", b"markdown", b"ts", b"mts", b"cts", b"flow", b"tsbuildinfo"];

/// The rest of the package, or of the application, that a script or an addon belongs to: the directory of the nearest
/// `package.json` without nested packages, tests, documents, source maps and type declarations.
pub(crate) fn unit(scene: &Scene<'_>, path: &ImagePath) -> Option<BTreeSet<ImagePath>> {
    if !is_script(path) && extension(path) != b"node" {
        return None;
    }
    let package = installed(path).or_else(|| {
        let manifest = scene.manifests.of_scope(scene, &path.parent()?)?;
        Some(manifest.directory())
    })?;
    // An application in the root directory is no reason to keep the system.
    if package.is_root() {
        return None;
    }
    let depth = package.components().count();
    let is_part = |path: &ImagePath| {
        !path.components().skip(depth).any(|part| LEFT_OUT.contains(&part))
            && !FOR_TOOLS.contains(&extension(path))
    };
    let parts = scene.tree().within(&package).map(|(path, _)| path);
    Some(parts.filter(|path| is_part(path)).cloned().collect())
}

/// `…/node_modules/NAME` or `…/node_modules/@SCOPE/NAME` above this path.
pub(super) fn installed(path: &ImagePath) -> Option<ImagePath> {
    path.ancestors().find(|directory| {
        let above = directory.parent().unwrap_or_default();
        let is_scoped = above.name().starts_with(b"@");
        let modules = if is_scoped { above.parent().unwrap_or_default() } else { above };
        modules.name() == b"node_modules" && !directory.name().starts_with(b"@")
    })
}
