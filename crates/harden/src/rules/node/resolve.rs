//! Where Node.js finds a module.
//!
//! Source: Node.js 20, "Modules: CommonJS modules", "All together", and "Modules: Packages".

use std::collections::BTreeSet;

use image::ImagePath;

use crate::rules::reference::beneath;
use crate::scene::Scene;

/// Where Debian's Node.js looks after the `node_modules` directories.
const DEBIAN: [&str; 3] = ["/usr/lib/nodejs", "/usr/share/nodejs", "/usr/lib/x86_64-linux-gnu/nodejs"];
/// Modules inside of Node.js itself.
const BUILT_IN: [&str; 45] = [
    "_http_agent",
    "assert",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "domain",
    "events",
    "fs",
    "http",
    "http2",
    "https",
    "inspector",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "repl",
    "sea",
    "sqlite",
    "stream",
    "string_decoder",
    "sys",
    "test",
    "timers",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "v8",
    "vm",
    "worker_threads",
    "zlib",
];

/// A module found: its file, and the manifests that tell the way, all as named.
pub(super) type Found = BTreeSet<ImagePath>;

/// Finds what a file in `directory` means by `specifier`; nothing for what Node.js has built in or cannot find.
pub(super) fn resolve(scene: &Scene<'_>, directory: &ImagePath, specifier: &str, is_import: bool) -> Found {
    let specifier = specifier.split('?').next().unwrap_or_default();
    if specifier.is_empty() || specifier.contains('\0') || specifier.starts_with("node:") {
        return Found::new();
    }
    if specifier == "."
        || specifier == ".."
        || ["./", "../", "/"].iter().any(|start| specifier.starts_with(start))
    {
        return module_at(scene, directory, specifier);
    }
    if specifier.starts_with('#') {
        return imported(scene, directory, specifier, is_import);
    }
    let (name, subpath) = split(specifier);
    if BUILT_IN.binary_search(&specifier.split('/').next().unwrap_or_default()).is_ok()
        && !specifier.ends_with('/')
    {
        return Found::new();
    }
    if let Some(manifest) = scene.manifests.of_scope(scene, directory)
        && manifest.name() == Some(name)
        && let Some(target) = manifest.export(&subpath, is_import)
    {
        return with(module_at(scene, &manifest.directory(), &target), &manifest.path);
    }
    for base in search_directories(scene, directory) {
        let Some(package) = scene.find(&[&base.to_absolute()[..], b"/", name.as_bytes()].concat()) else {
            // A package of one file, as in Debian: /usr/share/nodejs/NAME.js.
            let found = module_at(scene, &base, specifier);
            if !found.is_empty() {
                return found;
            }
            continue;
        };
        let Ok(named) = base.join(name.as_bytes()) else { continue };
        let found = in_package(scene, &package, &named, &subpath, is_import);
        if !found.is_empty() {
            return found;
        }
    }
    Found::new()
}

/// A package's main module or the one at `subpath`. Paths come out beneath `named`, which may lead over links.
fn in_package(
    scene: &Scene<'_>,
    package: &ImagePath,
    named: &ImagePath,
    subpath: &str,
    is_import: bool,
) -> Found {
    let manifest = scene.manifests.in_directory(scene, package);
    let mut found = match &manifest {
        Some(manifest) if manifest.has_exports() => match manifest.export(subpath, is_import) {
            Some(target) => module_at(scene, named, &target),
            None => Found::new(),
        },
        _ => module_at(scene, named, subpath),
    };
    if manifest.is_some() && !found.is_empty() {
        found.extend(named.join(b"package.json"));
    }
    found
}

fn imported(scene: &Scene<'_>, directory: &ImagePath, specifier: &str, is_import: bool) -> Found {
    let Some(manifest) = scene.manifests.of_scope(scene, directory) else { return Found::new() };
    let Some(target) = manifest.import(specifier, is_import) else { return Found::new() };
    let found = match target.starts_with("./") {
        true => module_at(scene, &manifest.directory(), &target),
        // An alias of a package; one that names another alias is an error for Node.js too.
        false if target.starts_with('#') => Found::new(),
        false => resolve(scene, &manifest.directory(), &target, is_import),
    };
    with(found, &manifest.path)
}

fn with(mut found: Found, manifest: &ImagePath) -> Found {
    if !found.is_empty() {
        found.insert(manifest.clone());
    }
    found
}

/// `LOAD_AS_FILE` and `LOAD_AS_DIRECTORY`.
pub(super) fn module_at(scene: &Scene<'_>, base: &ImagePath, path: &str) -> Found {
    let Some(path) = beneath(base, path) else { return Found::new() };
    if let Some(file) = as_file(scene, &path) {
        return Found::from([file]);
    }
    let Some(directory) = scene.find(&path.to_absolute()).filter(|end| scene.is_directory(end)) else {
        return Found::new();
    };
    let manifest = scene.manifests.in_directory(scene, &directory);
    let main = manifest.as_ref().and_then(|manifest| beneath(&path, manifest.main()?));
    let index = |path: &ImagePath| path.join(b"index").ok().and_then(|index| as_file(scene, &index));
    let file = main.and_then(|main| as_file(scene, &main).or_else(|| index(&main))).or_else(|| index(&path));
    let manifest = manifest.and_then(|_| path.join(b"package.json").ok());
    file.into_iter().flat_map(|file| [Some(file), manifest.clone()]).flatten().collect()
}

/// The file itself, or with one of the extensions that `require` tries.
fn as_file(scene: &Scene<'_>, path: &ImagePath) -> Option<ImagePath> {
    let is_file =
        |path: &ImagePath| scene.find(&path.to_absolute()).is_some_and(|end| scene.file_size(&end).is_some());
    if is_file(path) {
        return Some(path.clone());
    }
    [&b".js"[..], b".json", b".node"].iter().find_map(|extension| {
        let path = path.parent()?.join(&[path.name(), *extension].concat()).ok()?;
        is_file(&path).then_some(path)
    })
}

/// `node_modules` of this directory and of all above, then what the environment and the distribution add.
fn search_directories(scene: &Scene<'_>, directory: &ImagePath) -> Vec<ImagePath> {
    let above = std::iter::once(directory.clone()).chain(directory.ancestors());
    let modules = above.filter(|directory| directory.name() != b"node_modules");
    let mut out: Vec<ImagePath> =
        modules.filter_map(|directory| directory.join(b"node_modules").ok()).collect();
    let node_path = scene.environment.get("NODE_PATH").copied().unwrap_or_default();
    let further = node_path.split(':').chain(DEBIAN).filter(|path| path.starts_with('/'));
    out.extend(further.filter_map(|path| ImagePath::from_absolute(path.as_bytes()).ok()));
    out.retain(|path| scene.find(&path.to_absolute()).is_some_and(|end| scene.is_directory(&end)));
    out
}

/// Name of the package, and `.` or `./SUBPATH`.
fn split(specifier: &str) -> (&str, String) {
    let slashes = if specifier.starts_with('@') { 2 } else { 1 };
    let end = specifier.match_indices('/').nth(slashes - 1).map_or(specifier.len(), |(at, _)| at);
    match specifier.get(end + 1..) {
        Some(rest) if !rest.is_empty() => (&specifier[..end], format!("./{rest}")),
        _ => (&specifier[..end], ".".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::{TarBuilder, TarEntry};

    #[test]
    fn built_in_modules_are_in_order() {
        assert!(BUILT_IN.is_sorted());
    }

    #[test]
    fn modules_are_found_as_node_finds_them() {
        let file = |tar: TarBuilder, (path, text): &(&str, &str)| tar.entry(TarEntry::file(path, *text));
        let files = [
            (
                "app/package.json",
                r##"{"name": "app", "exports": "./main.js", "imports": {"#db": "./db/pg.js"}}"##,
            ),
            ("app/main.js", ""),
            ("app/db/pg.js", ""),
            ("app/lib/index.js", ""),
            ("app/node_modules/plain/package.json", r#"{"main": "./lib/plain"}"#),
            ("app/node_modules/plain/lib/plain.js", ""),
            ("app/node_modules/plain/extra.json", ""),
            (
                "app/node_modules/@s/dual/package.json",
                r#"{"exports": {".": {"import": "./a.mjs", "require": "./a.cjs"}, "./sub/*": "./src/*.js"}}"#,
            ),
            ("app/node_modules/@s/dual/a.mjs", ""),
            ("app/node_modules/@s/dual/a.cjs", ""),
            ("app/node_modules/@s/dual/src/x.js", ""),
            ("app/node_modules/fs/index.js", ""),
            ("node_modules/outer/index.js", ""),
            ("store/linked/index.js", ""),
            ("usr/share/nodejs/single.js", ""),
        ];
        let tar = TarBuilder::from_text("app/node_modules/linked->../../store/linked");
        let fixture = crate::fixture::image(files.iter().fold(tar, file)).uses("/app/main.js");
        let profile = fixture.profile();
        let scene = Scene::new(&fixture.image, &fixture.packages, &profile, &fixture.policy);
        let plain = "/app/node_modules/plain/package.json";
        let dual = "/app/node_modules/@s/dual/package.json";
        for (specifier, is_import, expected) in [
            ("./main", false, &["/app/main.js"][..]),
            ("./lib/", false, &["/app/lib/index.js"]),
            ("plain", false, &["/app/node_modules/plain/lib/plain.js", plain]),
            ("plain/extra", false, &["/app/node_modules/plain/extra.json", plain]),
            ("@s/dual", false, &["/app/node_modules/@s/dual/a.cjs", dual]),
            ("@s/dual", true, &["/app/node_modules/@s/dual/a.mjs", dual]),
            ("@s/dual/sub/x", true, &[dual, "/app/node_modules/@s/dual/src/x.js"]),
            ("@s/dual/a.cjs", true, &[]),
            ("#db", false, &["/app/db/pg.js", "/app/package.json"]),
            ("app", false, &["/app/main.js", "/app/package.json"]),
            ("outer", false, &["/node_modules/outer/index.js"]),
            ("linked", false, &["/app/node_modules/linked/index.js"]),
            ("single", false, &["/usr/share/nodejs/single.js"]),
            ("fs", false, &[]),
            ("node:fs", false, &[]),
            ("../../../../etc/x", false, &[]),
            ("gone", false, &[]),
        ] {
            let found = resolve(&scene, &crate::fixture::path("/app"), specifier, is_import);
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(
                found,
                expected.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>(),
                "{specifier}"
            );
        }
    }
}
