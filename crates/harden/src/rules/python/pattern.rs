//! Names of modules with places to fill in, such as `"%s.management.commands.%s"`.
//!
//! What fills them in comes from settings and command lines. But where such a module can lie at all is known.

use std::collections::BTreeSet;

use image::{ImagePath, NodeKind};

use super::environment::is_package;
use super::resolve::Resolver;
use crate::scene::Scene;

/// Most bytes that the modules of one pattern may have: one that stands for more tells too little.
const MAX_BYTES: u64 = 512 << 10;
/// Longest string that is taken for a pattern.
const MAX_PATTERN_BYTES: usize = 120;
/// Names of modules that no pattern means.
const NEVER: [&str; 6] = ["__init__", "__main__", "__pycache__", "conftest", "test", "tests"];

/// The pattern of a string with places to fill in (`%s`, `%(name)s`, `{name}`), a `*` for each of them. `None` for what
/// is no dotted name, has no such place, or consists of nothing else.
pub(super) fn of(text: &str) -> Option<String> {
    if text.len() > MAX_PATTERN_BYTES {
        return None;
    }
    let mut pattern = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '%' => {
                let named = rest.strip_prefix("%(").and_then(|rest| rest.split_once(')'));
                named.map_or(&rest[1..], |(_, rest)| rest).strip_prefix('s')?
            }
            '{' => rest.split_once('}')?.1,
            first if first.is_ascii_alphanumeric() || first == '_' || first == '.' => {
                pattern.push(first);
                rest = &rest[1..];
                continue;
            }
            _ => return None,
        };
        pattern.push('*');
    }
    let parts = || pattern.split('.');
    let is_name = |part: &str| !part.is_empty() && !part.starts_with(|first: char| first.is_ascii_digit());
    let has_both = parts().any(|part| part.contains('*')) && parts().any(|part| !part.contains('*'));
    (has_both && parts().all(is_name)).then_some(pattern)
}

/// The modules that a pattern may mean: looked up by its first names, or where it begins with a place to fill in, in every
/// package of which a module was used. A package in the last place comes with the modules directly in it. None at all
/// where they would cost much.
pub(super) fn modules(scene: &Scene<'_>, resolver: &Resolver<'_>, pattern: &str) -> BTreeSet<ImagePath> {
    let mut files = BTreeSet::new();
    let parts: Vec<&str> = pattern.split('.').collect();
    let (mut inside, parts) = match parts[..] {
        [first, ref rest @ ..] if first.contains('*') => (scene.python().used_packages(scene).to_vec(), rest),
        ref all => (resolver.path().to_vec(), all),
    };
    for (at, part) in parts.iter().enumerate() {
        let is_open_end = part.contains('*') && at + 1 == parts.len();
        let mut next = Vec::new();
        // Each by itself: a name that the first package has hides none in the others.
        for directory in inside {
            for name in names(scene, &directory, part) {
                let Some(module) = resolver.find(std::slice::from_ref(&directory), &name) else { continue };
                files.extend(module.file);
                if is_open_end {
                    let children = module.inside.iter().flat_map(|package| scene.tree().children(package));
                    let sources = children.map(|(path, _)| path).filter(|path| path.name().ends_with(b".py"));
                    files.extend(sources.cloned());
                }
                next.extend(module.inside);
            }
        }
        inside = next;
    }
    let bytes: u64 = files.iter().filter_map(|path| scene.file_size(path)).sum();
    if bytes > MAX_BYTES { BTreeSet::new() } else { files }
}

/// The names of the modules in a directory that a part of a pattern matches; without a place to fill in, itself.
fn names(scene: &Scene<'_>, directory: &ImagePath, part: &str) -> BTreeSet<String> {
    let Some((before, after)) = part.split_once('*') else { return [part.to_owned()].into() };
    let after = after.rsplit('*').next().unwrap_or_default();
    let children = scene.tree().children(directory);
    let stems = children.filter_map(|(path, node)| {
        let name = std::str::from_utf8(path.name()).ok()?;
        match node.kind {
            NodeKind::Directory if is_package(scene, path) => Some(name),
            NodeKind::Directory => None,
            _ => name.strip_suffix(".py"),
        }
    });
    stems
        .filter(|stem| !NEVER.contains(stem))
        .filter(|stem| stem.len() >= before.len() + after.len())
        .filter(|stem| stem.starts_with(before) && stem.ends_with(after))
        .map(str::to_owned)
        .collect()
}

/// The packages of which the profile shows a module in use, those of the standard library too.
pub(super) fn used_packages(scene: &Scene<'_>) -> Vec<ImagePath> {
    let used = scene
        .profile
        .used()
        .map(|(path, _)| path)
        .filter(|path| path.name().ends_with(b".py") || path.name().ends_with(b".pyc"));
    let packages: BTreeSet<ImagePath> = used
        .filter_map(ImagePath::parent)
        .map(|directory| match directory.name() {
            b"__pycache__" => directory.parent().unwrap_or_default(),
            _ => directory,
        })
        .flat_map(|directory| [directory.parent().unwrap_or_default(), directory])
        .filter(|directory| is_package(scene, directory))
        .collect();
    packages.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_dotted_name_with_places_to_fill_in() {
        for (text, expected) in [
            ("%s.management.commands.%s", Some("*.management.commands.*")),
            ("web.backends.{}", Some("web.backends.*")),
            ("web.{kind!r}.engine_%(name)s", Some("web.*.engine_*")),
            ("web.conf", None),
            ("%s.%s", None),
            ("{}", None),
            ("see %s.txt for more", None),
            ("%d.x", None),
            ("{0", None),
            (".{}", None),
            ("web.1{}", None),
            ("a.%", None),
        ] {
            assert_eq!(of(text).as_deref(), expected, "{text}");
        }
    }

    const SITE: &str = "usr/local/lib/python3.11/dist-packages";

    fn kept(management: &str) -> Vec<String> {
        use testkit::{TarBuilder, TarEntry};
        let modules = "web/__init__.py web/core/__init__.py web/core/management/__init__.py \
            web/core/management/commands/__init__.py web/core/management/commands/migrate.py \
            web/core/management/commands/dump.py web/core/management/commands/tests/__init__.py \
            web/admin/__init__.py web/admin/management/__init__.py web/admin/management/commands/__init__.py \
            web/admin/management/commands/grant.py web/maps/__init__.py web/maps/management/__init__.py \
            web/maps/management/commands/__init__.py web/maps/management/commands/draw.py \
            web/conf/__init__.py web/conf/locale/__init__.py web/conf/locale/de/__init__.py \
            web/conf/locale/de/formats.py web/conf/locale/de/words.mo";
        let words: String = modules.split_whitespace().map(|name| format!("{SITE}/{name} ")).collect();
        let layer = TarBuilder::from_text(&(words + "usr/lib/python3.11/os.py"))
            .entry(TarEntry::file(format!("{SITE}/web/run.py"), management));
        let used = ["run", "core/__init__", "core/management/commands/migrate", "admin/__init__"];
        let used: String = used.iter().map(|name| format!("/{SITE}/web/{name}.py ")).collect();
        let fixture = crate::fixture::image(layer).uses(&(used + "/usr/lib/python3.11/os.py"));
        let kept = fixture.by(crate::Rule::Reference);
        kept.iter().map(|path| path.replace(&format!("/{SITE}/web/"), "")).collect()
    }

    #[test]
    fn hard_41_modules_whose_names_are_filled_in_stay_where_packages_in_use_have_them() {
        let text = "from importlib import import_module\n\
            def load(app, name):\n    return import_module(\"%s.management.commands.%s\" % (app, name))\n\
            def words(name):\n    return import_module(f\"web.conf.locale.{name}\")\n";
        let expected = [
            "admin/management/__init__.py",
            "admin/management/commands/__init__.py",
            "admin/management/commands/grant.py",
            "conf/__init__.py",
            "conf/locale/__init__.py",
            "conf/locale/de/__init__.py",
            "conf/locale/de/formats.py",
            "core/management/commands/dump.py",
        ];
        assert_eq!(kept(text), expected);
        assert_eq!(kept("message = \"%s.management.commands.%s\"\n"), [""; 0]);
    }
}
