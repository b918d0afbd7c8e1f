//! What a used part of Node.js needs beside it, and what its code names.

mod manifest;
mod resolve;
mod script;
mod unit;

use std::collections::BTreeSet;

use image::ImagePath;

pub(crate) use manifest::Manifests;
pub(crate) use unit::unit;

use self::script::Name;
use super::reference::{self, Reference, beneath};
use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PlanError, Rule, shell};

/// Longest script that is read.
const MAX_SCRIPT_BYTES: u64 = 32 << 20;
/// Most files that a directory may have which code names as a whole, and their bytes.
const MAX_DIRECTORY_FILES: usize = 2000;
const MAX_DIRECTORY_BYTES: u64 = 32 << 20;

/// Keeps what newly kept files need beside them:
///
/// - of a script in use, the `package.json` that says of what kind it is;
/// - of a script that another rule kept, the modules that it asks for as soon as it is loaded, as libraries are kept for
///   a kept program; of what only its functions ask for, the modules of its own package, whose parts call one another;
/// - of what Next.js, Nuxt and Nitro built, the rest, which they choose from by computed names.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    fresh: &BTreeSet<ImagePath>,
) -> Result<(), PlanError> {
    let root = ImagePath::root();
    for path in fresh.iter().filter(|path| is_script(path) || extension(path) == b"node") {
        if !scene.is_in_use(draft, path) {
            continue;
        }
        let Some(directory) = path.parent() else { continue };
        if let Some(manifest) = scene.manifests.of_scope(scene, &directory) {
            draft.keep_way(&root, &manifest.path.to_absolute(), Rule::Node, Some(path));
        }
        keep_build(scene, draft, path);
        let was_loaded = draft.reason(path).is_some_and(|reason| reason.rule == Rule::Observed);
        if was_loaded || !is_script(path) || scene.file_size(path).is_none_or(|size| size > MAX_SCRIPT_BYTES)
        {
            continue;
        }
        let content = scene.image.read_file(path, MAX_SCRIPT_BYTES)?;
        let package = unit::installed(path);
        for name in script::names(&String::from_utf8_lossy(&content)) {
            // A loader of native code tries the packages of all systems in a function that it calls at once.
            let Name::Module { specifier, is_import, is_eager } = name else { continue };
            let is_needed = is_eager || specifier.contains("linux-") || specifier.ends_with(".node");
            if !is_needed && (package.is_none() || !specifier.starts_with('.')) {
                continue;
            }
            for found in resolve::resolve(scene, &directory, &specifier, is_import) {
                if is_needed || unit::installed(&found) == package {
                    draft.keep_way(&root, &found.to_absolute(), Rule::Node, Some(path));
                }
            }
        }
    }
    Ok(())
}

/// The output of a build is one unit: `.next` without its cache, `.output`, `.nuxt`.
fn keep_build(scene: &Scene<'_>, draft: &mut Draft<'_>, path: &ImagePath) {
    let is_build = |name: &[u8]| matches!(name, b".next" | b".nuxt" | b".output");
    if !path.components().any(is_build) {
        return;
    }
    let Some(build) = path.ancestors().find(|directory| is_build(directory.name())) else { return };
    let cache = build.join(b"cache").ok();
    for (part, _) in scene.tree().within(&build) {
        let is_cache = cache.as_ref().is_some_and(|cache| part.is_within(cache));
        if !is_cache && extension(part) != b"map" {
            draft.keep(part, Rule::Node, Some(path));
        }
    }
}

/// What a script names literally, and the scripts of the manifest where npm or one of its kin was used to start;
/// `None` for what is neither.
pub(crate) fn references(scene: &Scene<'_>, path: &ImagePath, content: &[u8]) -> Option<BTreeSet<Reference>> {
    if path.name() == b"package.json" {
        return Some(started(scene, path));
    }
    let is_node =
        content.starts_with(b"#!") && content[..content.len().min(64)].windows(4).any(|part| part == b"node");
    if !is_script(path) && !is_node {
        return None;
    }
    let directory = path.parent()?;
    let mut out = BTreeSet::new();
    let names = script::names(&String::from_utf8_lossy(content));
    for name in &names {
        match name {
            Name::Module { specifier, is_import, .. } => {
                let found = resolve::resolve(scene, &directory, specifier, *is_import);
                out.extend(found.into_iter().map(Reference::File));
            }
            Name::Modules(text) => {
                if let Some(chosen) = beneath(&directory, text) {
                    out.extend(modules_in(scene, &chosen));
                }
            }
            Name::Beside(text) => out.extend(beneath(&directory, text).iter().flat_map(|named| {
                let is_below = named.is_within(&directory) && *named != directory;
                files_of(scene, named, is_below)
            })),
            Name::Working(text) => {
                let base = scene.working_directory();
                out.extend(beneath(&base, text).iter().flat_map(|named| {
                    files_of(scene, named, !base.is_root() && named.is_within(&base) && *named != base)
                }));
            }
            Name::Path(text) => drop(out.insert(Reference::Path(text.clone().into_bytes()))),
            Name::Program(text) => drop(out.insert(Reference::Command(text.clone().into_bytes()))),
            Name::Line(text) => {
                out.extend(
                    shell::commands(text).into_iter().map(|name| Reference::Command(name.into_bytes())),
                );
            }
        }
    }
    if loads_addons(&names) {
        out.extend(addons(scene, &directory));
    }
    Some(out)
}

fn is_script(path: &ImagePath) -> bool {
    matches!(extension(path), b"js" | b"cjs" | b"mjs")
}

/// What follows the last dot of the name.
fn extension(path: &ImagePath) -> &[u8] {
    let name = path.name();
    name.iter().rposition(|&byte| byte == b'.').map_or(b"", |dot| &name[dot + 1..])
}

/// The modules that stand in a directory, one of which is chosen at run time.
fn modules_in(scene: &Scene<'_>, directory: &ImagePath) -> Vec<Reference> {
    let Some(directory) = scene.find(&directory.to_absolute()) else { return Vec::new() };
    let children = scene.tree().children(&directory).take(MAX_DIRECTORY_FILES);
    let is_module = |path: &ImagePath| is_script(path) || matches!(extension(path), b"json" | b"node");
    let found = children.flat_map(|(path, _)| match scene.is_directory(path) {
        true => resolve::module_at(scene, path, "."),
        false if is_module(path) => BTreeSet::from([path.clone()]),
        false => BTreeSet::new(),
    });
    found.map(Reference::File).collect()
}

/// A file that code names, or a directory: with the files in it where `is_whole` and it is no larger than what an
/// application has as views, translations or assets, else alone.
fn files_of(scene: &Scene<'_>, named: &ImagePath, is_whole: bool) -> Vec<Reference> {
    let alone = vec![Reference::Path(named.to_absolute())];
    let Some(end) = scene.find(&named.to_absolute()) else { return Vec::new() };
    if !is_whole || !scene.is_directory(&end) || named.name() == b"node_modules" {
        return alone;
    }
    let (mut files, mut bytes) = (Vec::new(), 0u64);
    for (path, _) in scene.tree().within(&end) {
        bytes += scene.file_size(path).unwrap_or(0);
        if files.len() >= MAX_DIRECTORY_FILES || bytes > MAX_DIRECTORY_BYTES || path.name() == b"node_modules"
        {
            return alone;
        }
        files.push(Reference::File(path.clone()));
    }
    files
}

/// Whether this file leaves finding a native addon to a package made for that.
fn loads_addons(names: &BTreeSet<Name>) -> bool {
    const FINDERS: [&str; 6] = [
        "@mapbox/node-pre-gyp",
        "bindings",
        "node-gyp-build",
        "node-gyp-build-optional-packages",
        "node-pre-gyp",
        "pkg-prebuilds",
    ];
    names.iter().any(|name| matches!(name, Name::Module { specifier, .. } if FINDERS.contains(&&**specifier)))
}

/// The native addons of the package that this directory belongs to, those for other systems left out.
fn addons(scene: &Scene<'_>, directory: &ImagePath) -> Vec<Reference> {
    let Some(manifest) = scene.manifests.of_scope(scene, directory) else { return Vec::new() };
    let package = manifest.directory();
    let places = [&b"build/Release"[..], b"prebuilds", b"lib/binding", b"bindings"];
    let directories = places.iter().filter_map(|place| package.join(place).ok());
    let files = directories.flat_map(|directory| {
        scene.tree().within(&directory).map(|(path, _)| path.clone()).collect::<Vec<_>>()
    });
    let is_foreign = |path: &ImagePath| {
        let mut parts = path.components();
        parts.any(|part| {
            [&b"darwin"[..], b"win32", b"android", b"freebsd"].iter().any(|system| part.starts_with(system))
        })
    };
    files.filter(|path| extension(path) == b"node" && !is_foreign(path)).map(Reference::File).collect()
}

/// What an application's own manifest names: its parts by `main`, `bin` and `exports`, the files that its scripts run,
/// and, where the workload used npm, Yarn or pnpm, all that `npm start`, `restart` and `stop` would run.
fn started(scene: &Scene<'_>, path: &ImagePath) -> BTreeSet<Reference> {
    const STARTERS: [&[u8]; 5] = [b"npm-cli.js", b"yarn.js", b"yarn.cjs", b"pnpm.cjs", b"corepack.js"];
    let is_part = path.components().any(|part| part == b"node_modules");
    let Some(directory) = path.parent().filter(|_| !is_part) else { return BTreeSet::new() };
    let Some(manifest) = scene.manifests.in_directory(scene, &directory) else { return BTreeSet::new() };
    let mut out = BTreeSet::new();
    if reference::is_own_code(scene, path) {
        let own = manifest.parts().into_iter().filter(|part| !part.starts_with('/'));
        let files = own.flat_map(|part| {
            resolve::module_at(scene, &directory, &format!("./{}", part.trim_start_matches("./")))
        });
        out.extend(files.map(Reference::File));
        let words = manifest.scripts().filter(|(name, _)| !is_for_developers(name));
        for word in words.flat_map(|(_, line)| line.split_ascii_whitespace()) {
            let named = beneath(&directory, word).filter(|_| !word.starts_with(['/', '-']));
            let named = named.filter(|named| named.is_within(&directory) && scene.file_size(named).is_some());
            out.extend(named.map(Reference::File));
        }
    }
    if !scene.profile.used().any(|(path, _)| STARTERS.contains(&path.name())) {
        return out;
    }
    for (name, line) in manifest.scripts() {
        if !matches!(plain(name), "start" | "restart" | "stop" | "serve") {
            continue;
        }
        for command in shell::commands(line) {
            let own = directory.join(format!("node_modules/.bin/{command}").as_bytes()).ok();
            match own.filter(|own| scene.find(&own.to_absolute()).is_some()) {
                Some(own) => out.insert(Reference::File(own)),
                None => out.insert(Reference::Command(command.into_bytes())),
            };
        }
        for word in line.split_ascii_whitespace().filter(|word| word.contains(".js") || word.contains(".mjs"))
        {
            out.extend(
                resolve::module_at(scene, &directory, &format!("./{word}")).into_iter().map(Reference::File),
            );
        }
    }
    out
}

/// The name of a script without the `pre` and `post` that npm puts before it.
fn plain(name: &str) -> &str {
    name.strip_prefix("pre").or(name.strip_prefix("post")).unwrap_or(name)
}

/// Whether a script of a manifest is for who writes the application and not for who runs it.
fn is_for_developers(name: &str) -> bool {
    const NAMES: [&str; 16] = [
        "bench", "build", "check", "clean", "coverage", "dev", "docs", "e2e", "fmt", "format", "lint",
        "pack", "pare", "publish", "test", "watch",
    ];
    let first = |name: &str| name.split([':', '-', '.']).next().unwrap_or_default().to_owned();
    // `prepare` is `pare` without what npm puts before a name.
    NAMES.iter().any(|known| first(name) == *known || first(plain(name)) == *known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generalize;
    use crate::fixture::{Fixture, configured};
    use testkit::{TarBuilder, TarEntry};

    fn application(files: &[(&str, &str)]) -> Fixture {
        let tar =
            files.iter().fold(TarBuilder::new(), |tar, (path, text)| tar.entry(TarEntry::file(path, *text)));
        configured(tar, serde_json::json!({"WorkingDir": "/app"}))
    }

    #[test]
    fn hard_42_what_a_used_script_names_is_kept_with_what_that_loads() {
        let fixture = application(&[
            (
                "app/server.js",
                "app.get('/x', () => require('lazy')); require('./locale/' + l); static('files')",
            ),
            ("app/package.json", "{\"type\": \"commonjs\"}"),
            ("app/files/a.css", ""),
            ("app/locale/de.js", ""),
            ("app/node_modules/lazy/package.json", "{\"main\": \"main.js\"}"),
            ("app/node_modules/lazy/main.js", "require('./eager'); function f() { require('never') }"),
            ("app/node_modules/lazy/eager.js", "require('other/sub')"),
            ("app/node_modules/never/index.js", ""),
            ("app/node_modules/other/sub.js", ""),
            ("app/node_modules/other/index.js", ""),
        ])
        .uses("/app/server.js");
        let expected = [
            "/app/files",
            "/app/files/a.css",
            "/app/locale/de.js",
            "/app/node_modules/lazy/main.js",
            "/app/node_modules/lazy/package.json",
        ];
        assert_eq!(fixture.by(Rule::Reference), expected);
        let expected =
            ["/app/node_modules/lazy/eager.js", "/app/node_modules/other/sub.js", "/app/package.json"];
        assert_eq!(fixture.by(Rule::Node), expected);
        let none = fixture.policy(|policy| policy.generalize = Generalize::None);
        assert_eq!(none.by(Rule::Node), ["/app/package.json"]);
    }

    #[test]
    fn hard_42_addons_are_found_where_their_finders_look() {
        let fixture = application(&[
            ("app/node_modules/addon/package.json", "{}"),
            (
                "app/node_modules/addon/index.js",
                "module.exports = () => require('node-gyp-build')(__dirname)",
            ),
            ("app/node_modules/addon/prebuilds/linux-x64/a.node", ""),
            ("app/node_modules/addon/prebuilds/darwin-x64/a.node", ""),
            ("app/node_modules/addon/build/Release/b.node", ""),
        ])
        .uses("/app/node_modules/addon/index.js");
        let base = "/app/node_modules/addon";
        let expected = [format!("{base}/build/Release/b.node"), format!("{base}/prebuilds/linux-x64/a.node")];
        assert_eq!(fixture.by(Rule::Reference), expected);
    }

    #[test]
    fn hard_42_what_npm_would_start_is_kept_where_npm_was_used() {
        let files = [
            (
                "app/package.json",
                r#"{"scripts": {"start": "cross-env A=1 node bin/www.js", "lint": "eslint .", "test": "node test/run.js"}}"#,
            ),
            ("app/bin/www.js", ""),
            ("app/node_modules/.bin/cross-env", ""),
            ("app/node_modules/.bin/eslint", ""),
            ("app/test/run.js", ""),
            ("usr/lib/node_modules/npm/bin/npm-cli.js", ""),
        ];
        let without = application(&files).uses("/app/package.json");
        assert_eq!(without.by(Rule::Reference), ["/app/bin/www.js"]);
        let with = application(&files).uses("/app/package.json /usr/lib/node_modules/npm/bin/npm-cli.js");
        assert_eq!(with.by(Rule::Reference), ["/app/bin/www.js", "/app/node_modules/.bin/cross-env"]);
    }

    #[test]
    fn hard_42_what_the_manifest_of_the_application_names_is_a_part_of_it() {
        let fixture = application(&[
            (
                "app/package.json",
                r#"{"main": "./lib", "bin": {"shop": "cli.js"}, "exports": {"./x": {"require": "./x.cjs"}},
                    "scripts": {"count": "node count.js --all", "postbuild": "node built.js",
                    "clean:all": "node clean.js", "other": "node ../outside.js /etc/passwd"}}"#,
            ),
            ("app/lib/index.js", ""),
            ("app/cli.js", ""),
            ("app/x.cjs", ""),
            ("app/count.js", "require('./sums')"),
            ("app/sums.js", ""),
            ("app/built.js", ""),
            ("app/clean.js", ""),
            ("outside.js", ""),
            ("etc/passwd", ""),
            ("app/server.js", ""),
            ("app/node_modules/a/package.json", r#"{"main": "m.js", "bin": "b.js"}"#),
            ("app/node_modules/a/m.js", ""),
            ("app/node_modules/a/b.js", ""),
        ])
        .uses("/app/server.js /app/node_modules/a/package.json");
        let expected = ["/app/cli.js", "/app/count.js", "/app/lib/index.js", "/app/x.cjs"];
        assert_eq!(fixture.by(Rule::Reference), expected);
        assert!(fixture.plan().edits.keep.contains(&crate::fixture::path("/app/sums.js")));
    }

    #[test]
    fn hard_42_parts_of_one_package_that_call_one_another_stay_together() {
        let base = "app/node_modules/xml";
        let fixture = application(&[
            ("app/server.js", "app.get('/x', () => require('xml'))"),
            (&format!("{base}/package.json"), r#"{"main": "index.js"}"#),
            (&format!("{base}/index.js"), "module.exports = () => require('./lib/node')"),
            (&format!("{base}/lib/node.js"), "f = function() { require('./list'); require('other') }"),
            (&format!("{base}/lib/list.js"), ""),
            (&format!("{base}/lib/never.js"), ""),
            ("app/node_modules/other/index.js", ""),
        ])
        .uses("/app/server.js");
        let kept = [format!("/{base}/lib/list.js"), format!("/{base}/lib/node.js")];
        let by_node: Vec<_> =
            fixture.by(Rule::Node).into_iter().filter(|path| path.contains("/lib/")).collect();
        assert_eq!(by_node, kept);
        assert!(
            !fixture.plan().edits.keep.contains(&crate::fixture::path("/app/node_modules/other/index.js"))
        );
    }

    #[test]
    fn a_unit_is_a_package_without_its_tests_and_nested_packages() {
        let fixture = application(&[
            ("app/node_modules/a/package.json", "{}"),
            ("app/node_modules/a/index.js", ""),
            ("app/node_modules/a/lib/other.js", ""),
            ("app/node_modules/a/lib/other.js.map", ""),
            ("app/node_modules/a/index.d.ts", ""),
            ("app/node_modules/a/test/t.js", ""),
            ("app/node_modules/a/node_modules/b/index.js", ""),
        ])
        .uses("/app/node_modules/a/index.js")
        .policy(|policy| policy.generalize = Generalize::Package);
        assert_eq!(fixture.by(Rule::Unit), ["/app/node_modules/a/lib", "/app/node_modules/a/lib/other.js"]);
    }

    #[test]
    fn what_next_built_stays_whole_without_its_cache() {
        let fixture = application(&[
            ("app/.next/server/app/page.js", ""),
            ("app/.next/server/chunks/1.js", ""),
            ("app/.next/cache/big", ""),
        ])
        .uses("/app/.next/server/app/page.js");
        let kept = fixture.plan().edits.keep;
        assert!(kept.contains(&crate::fixture::path("/app/.next/server/chunks/1.js")));
        assert!(!kept.contains(&crate::fixture::path("/app/.next/cache/big")));
    }
}
