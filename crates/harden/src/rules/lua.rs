//! What a used part of Lua needs beside it, and what its code names.
//!
//! `require "a.b"` looks for `a/b.lua`, `a/b/init.lua` and `a/b.so` along a path that programs set for themselves. Which
//! directories are on it shows in what was loaded: the directories of used modules and those above, the usual ones of the
//! same version of Lua, and those around the file that asks.

use std::collections::BTreeSet;

use image::ImagePath;
use profile::PathUsage;

use super::reference::Reference;
use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// Longest source that is read.
const MAX_SOURCE_BYTES: u64 = 8 << 20;
/// Where modules lie beneath a prefix, before the version.
const USUAL: [&str; 5] = [
    "/usr/local/lib/lua",
    "/usr/local/share/lua",
    "/usr/lib/lua",
    "/usr/lib/x86_64-linux-gnu/lua",
    "/usr/share/lua",
];
/// Where nginx with Lua has its modules.
const OPENRESTY: [&str; 2] = ["/usr/local/openresty/lualib", "/usr/local/openresty/site/lualib"];
/// How many directories above a used module may be on the path.
const MAX_LEVELS: usize = 4;

/// Keeps what a newly kept module that no recorded run loaded loads as soon as it is loaded itself.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    fresh: &BTreeSet<ImagePath>,
) -> Result<(), PlanError> {
    for path in fresh.iter().filter(|path| path.name().ends_with(b".lua")) {
        let was_loaded = scene.profile.usage(path).is_some_and(PathUsage::is_used);
        if was_loaded
            || !scene.is_in_use(draft, path)
            || scene.file_size(path).is_none_or(|size| size > MAX_SOURCE_BYTES)
        {
            continue;
        }
        let content = scene.image.read_file(path, MAX_SOURCE_BYTES)?;
        let text = String::from_utf8_lossy(&content);
        let roots = roots(scene, path);
        for (name, _) in required(&text).iter().filter(|(_, is_lazy)| !is_lazy) {
            if let Some(file) = find(scene, &roots, name) {
                draft.keep_way(&ImagePath::root(), &file.to_absolute(), Rule::Lua, Some(path));
            }
        }
    }
    Ok(())
}

/// What a Lua file names literally; `None` for what is no Lua.
pub(crate) fn references(scene: &Scene<'_>, path: &ImagePath, content: &[u8]) -> Option<BTreeSet<Reference>> {
    let first = content.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let is_script =
        first.starts_with(b"#!") && first.len() < 128 && first.windows(3).any(|part| part == b"lua");
    if !(path.name().ends_with(b".lua") || is_script) || content.len() as u64 > MAX_SOURCE_BYTES {
        return None;
    }
    let text = String::from_utf8_lossy(content);
    let roots = roots(scene, path);
    let names = required(&text);
    Some(names.iter().filter_map(|(name, _)| find(scene, &roots, name)).map(Reference::File).collect())
}

/// The modules that a source asks for by literal names, and whether that waits for a call: whoever indents his code does
/// so within functions.
fn required(text: &str) -> BTreeSet<(String, bool)> {
    let mut out = BTreeSet::new();
    for line in text.lines() {
        let code = line.split("--").next().unwrap_or_default();
        let is_lazy = line.starts_with([' ', '\t']);
        for (at, word) in code.match_indices("require") {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if code[..at].ends_with(is_part) {
                continue;
            }
            let rest = code[at + word.len()..].trim_start_matches([' ', '\t', '(', ',', '[']);
            let Some(quote) = rest.chars().next().filter(|quote| matches!(quote, '"' | '\'')) else {
                continue;
            };
            let Some((name, _)) = rest[1..].split_once(quote) else { continue };
            let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            if !name.is_empty() && name.len() < 200 && name.chars().all(is_name) {
                out.insert((name.to_owned(), is_lazy));
            }
        }
    }
    out
}

/// The directories in which a file's modules are looked up.
fn roots(scene: &Scene<'_>, from: &ImagePath) -> Vec<ImagePath> {
    let used = scene.profile.used().map(|(path, _)| path);
    let used: Vec<&ImagePath> =
        used.filter(|path| path.name().ends_with(b".lua") || is_below_lua(path)).collect();
    let above = used.iter().chain([&from]).flat_map(|path| path.ancestors().take(MAX_LEVELS));
    let mut roots: BTreeSet<ImagePath> =
        above.filter(|directory| directory.components().count() > 1).collect();
    for place in USUAL.iter().filter_map(|place| scene.at(place)) {
        let versions = scene.tree().children(&place).map(|(path, _)| path);
        let version_used = |version: &&ImagePath| {
            let is_same = |path: &&ImagePath| {
                path.components()
                    .zip(path.components().skip(1))
                    .any(|(above, below)| above == b"lua" && below == version.name())
            };
            used.iter().any(is_same)
        };
        roots.extend(versions.filter(version_used).cloned());
    }
    roots.extend(OPENRESTY.iter().filter_map(|place| scene.at(place)));
    roots.into_iter().collect()
}

/// Whether this is a library within a directory of Lua's, such as `lua/5.4/socket/core.so`.
fn is_below_lua(path: &ImagePath) -> bool {
    path.name().ends_with(b".so") && path.components().any(|part| part == b"lua")
}

/// The file of a module.
fn find(scene: &Scene<'_>, roots: &[ImagePath], name: &str) -> Option<ImagePath> {
    let relative = name.replace('.', "/");
    let endings = [".lua", "/init.lua", ".so"];
    let candidates = roots.iter().flat_map(|root| {
        endings.iter().filter_map(|ending| root.join(format!("{relative}{ending}").as_bytes()).ok())
    });
    candidates
        .filter_map(|path| scene.find(&path.to_absolute()).map(|end| (path, end)))
        .find(|(_, end)| scene.file_size(end).is_some())
        .map(|(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::image;
    use testkit::{TarBuilder, TarEntry};

    #[test]
    fn modules_are_asked_for_in_many_ways() {
        for (text, expected) in [
            ("local a = require \"a.b\"", &[("a.b", false)][..]),
            ("require('x')", &[("x", false)]),
            ("local ok, x = pcall(require, 'x-y')", &[("x-y", false)]),
            ("function f()\n  return require\t( \"x\" )\nend", &[("x", true)]),
            ("-- require 'a'", &[]),
            ("prerequire 'a'; my_require 'b'", &[]),
            ("require(name)", &[]),
            ("require 'a b'", &[]),
            ("require 'a", &[]),
        ] {
            let found = required(text);
            let found: Vec<(&str, bool)> = found.iter().map(|(name, is_lazy)| (&**name, *is_lazy)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn hard_45_modules_of_lua_that_used_code_asks_for_later_stay_with_all_that_they_load() {
        let words = "usr/share/lua/5.4/unused.lua usr/share/lua/5.1/socket.lua usr/lib/server/util/idle.lua \
            usr/lib/x86_64-linux-gnu/lua/5.4/socket/core.so usr/share/lua/5.4/used.lua usr/lib/server/util/deep.lua";
        let layer = TarBuilder::from_text(words)
            .entry(TarEntry::file(
                "usr/lib/server/core/start.lua",
                "local function f()\n  require 'util.later'\nend",
            ))
            .entry(TarEntry::file(
                "usr/lib/server/util/later.lua",
                "require 'socket'\nlocal g = function()\n  require 'util.deep'\nend",
            ))
            .entry(TarEntry::file("usr/share/lua/5.4/socket.lua", "local core = require('socket.core')"))
            .entry(TarEntry::file("usr/bin/ctl", "#!/usr/bin/lua5.4\nrequire 'util.idle'").mode(0o755));
        let fixture = |uses: &str| image(layer.clone()).uses(uses);
        let served = fixture("/usr/share/lua/5.4/used.lua /usr/lib/server/core/start.lua");
        assert_eq!(served.by(Rule::Reference), ["/usr/lib/server/util/later.lua"]);
        let expected = ["/usr/lib/x86_64-linux-gnu/lua/5.4/socket/core.so", "/usr/share/lua/5.4/socket.lua"];
        assert_eq!(served.by(Rule::Lua), expected);
        let controlled = fixture("/usr/lib/server/core/start.lua /usr/bin/ctl");
        assert!(controlled.by(Rule::Reference).contains(&"/usr/lib/server/util/idle.lua".to_owned()));
    }
}
