//! What a used part of Python needs beside it.

mod bytecode;
mod codec;
pub(crate) mod console_script;
mod distribution;
mod environment;
mod pattern;
mod resolve;
mod source;
mod unit;

use std::collections::BTreeSet;

use image::ImagePath;

pub(crate) use self::environment::Environment;
use self::environment::join;
use self::resolve::Resolver;
use self::source::Code;
use super::reference::{self, Reference};
use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PlanError, Rule, shell};

/// Longest source that is read: what is longer was written by a program.
const MAX_SOURCE_BYTES: u64 = 8 << 20;

/// Keeps what newly kept modules need beside them: source and bytecode of the same module, the `__init__` of every
/// package above, and what tells which distribution it is of. A module that no recorded run imported also brings
/// what it imports itself when it is imported; one that was used has shown that.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    fresh: &BTreeSet<ImagePath>,
) -> Result<(), PlanError> {
    let environment = scene.python();
    for path in fresh.iter().filter(|path| is_module(path)) {
        if scene.file_size(path).is_none() || !scene.is_in_use(draft, path) {
            continue;
        }
        let site = environment.site_of(path);
        if !is_extension(path) {
            for other in same_module(environment, path) {
                draft.keep(&other, Rule::Python, Some(path));
            }
        } else if site.is_none() && environment.stdlib_of(path).is_none() && !is_named_for_python(path) {
            // A shared library like any other.
            continue;
        }
        if path.to_absolute().ends_with(b"/encodings/__init__.py") {
            for file in codec::modules(scene, environment, &codec::ALWAYS) {
                draft.keep(&file, Rule::Python, Some(path));
            }
        }
        if let Some(stdlib) = environment.stdlib_of(path)
            && path.name().starts_with(b"sysconfig.")
        {
            // What it reads is named after the system that it was built for.
            for (data, _) in scene.tree().children(stdlib) {
                if data.name().starts_with(b"_sysconfigdata_") {
                    draft.keep(data, Rule::Python, Some(path));
                }
            }
        }
        for package in packages_above(scene, path) {
            draft.keep(&package, Rule::Python, Some(path));
        }
        if let Some(site) = site {
            for metadata in environment.distributions(scene, site)?.of(scene, site, path) {
                for file in distribution::metadata(scene, &metadata) {
                    draft.keep(&file, Rule::Python, Some(path));
                }
            }
        }
        let is_readable = path.name().ends_with(b".py") || is_sourceless(path);
        if is_readable && scene.profile.usage(path).is_none_or(|usage| !usage.is_used()) {
            let code = code(scene, path)?;
            let resolver = Resolver::new(scene, environment, path);
            for import in code.imports.iter().chain(&code.computed()).filter(|import| !import.is_lazy) {
                for file in resolver.import(import) {
                    draft.keep_way(&ImagePath::root(), &file.to_absolute(), Rule::Python, Some(path));
                }
            }
        }
    }
    Ok(())
}

/// Modules of the standard library for people at a terminal, which libraries import in functions that nobody calls in
/// a service.
const FOR_TERMINALS: [&str; 5] = ["doctest", "pdb", "pydoc", "readline", "rlcompleter"];

/// What a Python file names literally; `None` for what is no Python.
pub(crate) fn references(scene: &Scene<'_>, path: &ImagePath, content: &[u8]) -> Option<BTreeSet<Reference>> {
    let environment = scene.python();
    if path.name() == b"entry_points.txt" {
        let resolver = Resolver::new(scene, environment, path);
        let plugins = distribution::plugins(&String::from_utf8_lossy(content));
        let files = plugins.iter().flat_map(|name| {
            resolver.import(&source::Import { module: name.clone(), ..source::Import::default() })
        });
        return Some(files.map(Reference::File).collect());
    }
    let is_source = path.name().ends_with(b".py") || is_script(content);
    let is_bytecode = path.name().ends_with(b".pyc");
    if !is_source && !is_bytecode {
        return None;
    }
    if content.len() as u64 > MAX_SOURCE_BYTES {
        return Some(BTreeSet::new());
    }
    let is_own = reference::is_own_code(scene, path);
    let is_library = !is_own
        && path.name().ends_with(b".py")
        && path.name() != b"__main__.py"
        && !scene.is_executable(path);
    let mut code = match (is_bytecode, is_library) {
        (true, _) => bytecode::read(content),
        (false, true) => source::read_library(&String::from_utf8_lossy(content)),
        (false, false) => source::read(&String::from_utf8_lossy(content)),
    };
    if !is_own {
        code.imports.retain(|import| !(import.is_lazy && FOR_TERMINALS.contains(&&*import.module)));
    }
    let resolver = Resolver::new(scene, environment, path);
    let mut out: BTreeSet<Reference> = code
        .imports
        .iter()
        .chain(&code.computed())
        .flat_map(|import| resolver.import(import))
        .map(Reference::File)
        .collect();
    out.extend(
        code.patterns.iter().flat_map(|one| pattern::modules(scene, &resolver, one)).map(Reference::File),
    );
    let lines = code.shell.iter().flat_map(|line| shell::commands(line));
    out.extend(code.commands.iter().cloned().chain(lines).map(|name| Reference::Command(name.into_bytes())));
    let in_encodings = path.parent().is_some_and(|parent| parent.name() == b"encodings");
    if in_encodings && path.name() == b"__init__.py" {
        out.extend(codec::modules(scene, environment, &codec::COMMON).map(Reference::File));
    }
    let is_aliases = in_encodings && path.name() == b"aliases.py";
    // What `six` stands in for is found where code imports from it; the other one lists names of modules for pickles
    // that Python 2 wrote, of which no more than a class is ever asked for.
    let is_table = [&b"six.py"[..], b"_compat_pickle.py"].contains(&path.name());
    if is_own && code.imports.iter().any(|import| import.module == "zoneinfo") {
        out.extend(zones(scene));
    }
    for text in &code.literals {
        if !is_table {
            out.extend(resolver.literal(text).into_iter().map(Reference::File));
        }
        if !is_aliases {
            let module = environment.aliases(scene).module(scene, environment, text);
            let module = module.filter(|module| is_own || !codec::is_east_asian(module));
            out.extend(module.map(Reference::File));
        }
        let zone = format!("/usr/share/zoneinfo/{text}");
        if text.contains('/')
            && scene.find(zone.as_bytes()).is_some_and(|end| scene.file_size(&end).is_some())
        {
            out.insert(Reference::Path(zone.into_bytes()));
        }
        if text.len() > 1 && text.starts_with('/') && scene.find(text.as_bytes()).is_some() {
            out.insert(Reference::Path(text.clone().into_bytes()));
        }
    }
    Some(out)
}

/// The rest of the unit that a Python file belongs to; `None` for what is no file of Python.
pub(crate) fn unit(scene: &Scene<'_>, path: &ImagePath) -> Option<BTreeSet<ImagePath>> {
    let environment = scene.python();
    let is_python = !is_extension(path) || is_named_for_python(path) || environment.site_of(path).is_some();
    // Metadata that cannot be read gives no unit; keeping the module itself has said so before.
    (is_module(path) && is_python).then(|| unit::of(scene, environment, path).unwrap_or_default())
}

/// The source that stands for bytecode: what to read of a module of which the workload read the bytecode alone.
pub(crate) fn source_of(scene: &Scene<'_>, path: &ImagePath) -> Option<ImagePath> {
    if !path.name().ends_with(b".pyc") {
        return None;
    }
    same_module(scene.python(), path).into_iter().find(|source| scene.file_size(source).is_some())
}

fn code(scene: &Scene<'_>, path: &ImagePath) -> Result<Code, PlanError> {
    if scene.file_size(path).is_none_or(|size| size > MAX_SOURCE_BYTES) {
        return Ok(Code::default());
    }
    let content = scene.image.read_file(path, MAX_SOURCE_BYTES)?;
    Ok(match path.name().ends_with(b".pyc") {
        true => bytecode::read(&content),
        false => source::read(&String::from_utf8_lossy(&content)),
    })
}

/// Every time zone: which one is asked for comes with requests and users. 1.3 MB.
fn zones(scene: &Scene<'_>) -> BTreeSet<Reference> {
    let Some(base) = scene.find(b"/usr/share/zoneinfo") else { return BTreeSet::new() };
    let is_copy = |path: &ImagePath| {
        path.components()
            .nth(base.components().count())
            .is_some_and(|part| matches!(part, b"posix" | b"right"))
    };
    let files = scene.tree().within(&base).map(|(path, _)| path);
    files.filter(|path| !scene.is_directory(path) && !is_copy(path)).cloned().map(Reference::File).collect()
}

/// Bytecode that stands for itself: outside of `__pycache__`.
fn is_sourceless(path: &ImagePath) -> bool {
    path.name().ends_with(b".pyc") && path.parent().is_some_and(|parent| parent.name() != b"__pycache__")
}

fn is_module(path: &ImagePath) -> bool {
    [&b".py"[..], b".pyc"].iter().any(|ending| path.name().ends_with(ending)) || is_extension(path)
}

fn is_extension(path: &ImagePath) -> bool {
    path.name().ends_with(b".so")
}

fn is_named_for_python(path: &ImagePath) -> bool {
    let name = String::from_utf8_lossy(path.name());
    name.contains(".cpython-3") || name.ends_with(".abi3.so")
}

/// Whether a text is a script for Python.
fn is_script(content: &[u8]) -> bool {
    let line = content.split(|&byte| byte == b'\n').next().unwrap_or_default();
    line.starts_with(b"#!") && line.len() < 256 && String::from_utf8_lossy(line).contains("python")
}

/// The other files of the same module: `x.py` and `__pycache__/x.cpython-311.pyc`. Source: PEP 3147, PEP 488.
///
/// Python passes over bytecode in `__pycache__` without its source; without the bytecode it compiles again.
fn same_module(environment: &Environment, path: &ImagePath) -> Vec<ImagePath> {
    let Some(directory) = path.parent() else { return Vec::new() };
    let name = String::from_utf8_lossy(path.name()).into_owned();
    if let Some(stem) = name.strip_suffix(".py") {
        let tags = environment.used().map(|one| &one.tag);
        return tags
            .filter_map(|tag| join(&directory, &format!("__pycache__/{stem}.cpython-{tag}.pyc")))
            .collect();
    }
    match (name.split('.').next(), directory.name()) {
        (Some(stem), b"__pycache__") => {
            let parent = directory.parent().unwrap_or_default();
            join(&parent, &format!("{stem}.py")).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The `__init__` of the packages that hold a file. A directory without one is a namespace package and ends nothing:
/// what is above may be a package again.
fn packages_above(scene: &Scene<'_>, path: &ImagePath) -> Vec<ImagePath> {
    let mut out = Vec::new();
    let mut directory = path.parent().unwrap_or_default();
    if directory.name() == b"__pycache__" {
        directory = directory.parent().unwrap_or_default();
    }
    while !directory.is_root() {
        let inits = ["__init__.py", "__init__.pyc"].iter().filter_map(|name| join(&directory, name));
        let found: Vec<ImagePath> = inits.filter(|init| scene.file_size(init).is_some()).collect();
        if found.is_empty() {
            break;
        }
        out.extend(found);
        directory = directory.parent().unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generalize;
    use crate::fixture::{Fixture, image};
    use testkit::{TarBuilder, TarEntry};

    /// A Python with a few modules, and files of its own.
    fn python(words: &str, sources: &[(&str, &str)]) -> Fixture {
        let words = "usr/lib/python3.11/os.py usr/lib/python3.11/__pycache__/os.cpython-311.pyc \
            usr/lib/python3.11/lib-dynload/_json.cpython-311-x86_64-linux-gnu.so \
            usr/lib/python3/dist-packages/"
            .to_owned()
            + " "
            + words;
        let tar = sources
            .iter()
            .fold(TarBuilder::from_text(&words), |tar, (name, text)| tar.entry(TarEntry::file(name, *text)));
        image(tar)
    }

    #[test]
    fn hard_41_source_bytecode_and_packages_of_a_used_module_stay_together() {
        let words = "srv/shop/__init__.py srv/shop/web/__init__.py srv/shop/web/view.py \
            srv/shop/web/__pycache__/view.cpython-311.pyc srv/shop/web/__pycache__/view.cpython-311.opt-1.pyc \
            srv/shop/web/__pycache__/view.cpython-39.pyc srv/shop/web/other.py srv/shop/__pycache__/__init__.cpython-311.pyc";
        let fixture = python(words, &[])
            .uses("/usr/lib/python3.11/os.py /srv/shop/web/__pycache__/view.cpython-311.pyc");
        assert_eq!(
            fixture.by(Rule::Python),
            [
                "/srv/shop/__init__.py",
                "/srv/shop/__pycache__/__init__.cpython-311.pyc",
                "/srv/shop/web/__init__.py",
                "/srv/shop/web/view.py",
                "/usr/lib/python3.11/__pycache__/os.cpython-311.pyc",
            ]
        );
    }

    #[test]
    fn hard_41_a_used_distribution_can_be_asked_for_its_version() {
        let site = "usr/lib/python3/dist-packages";
        let words = format!(
            "{site}/requests/__init__.py {site}/requests-2.28.dist-info/METADATA {site}/requests-2.28.dist-info/x \
             {site}/PyYAML-6.0.egg-info/PKG-INFO {site}/other/__init__.py {site}/other-1.dist-info/METADATA \
             {site}/yaml/__init__.py {site}/google/cloud/__init__.py {site}/google/rpc/__init__.py \
             {site}/six-1.egg-info {site}/six.py"
        );
        let sources = [
            (format!("{site}/requests-2.28.dist-info/RECORD"), "requests/__init__.py,,\n"),
            (format!("{site}/PyYAML-6.0.egg-info/top_level.txt"), "_yaml\nyaml\n"),
            (format!("{site}/cloud-1.dist-info/RECORD"), "google/cloud/__init__.py,,\n"),
            (format!("{site}/rpc-1.dist-info/RECORD"), "google/rpc/__init__.py,,\n"),
        ];
        let sources: Vec<(&str, &str)> = sources.iter().map(|(name, text)| (&**name, *text)).collect();
        let used = format!(
            "/usr/lib/python3.11/os.py /{site}/requests/__init__.py /{site}/yaml/__init__.py \
             /{site}/google/rpc/__init__.py /{site}/six.py"
        );
        let fixture = python(&words, &sources).uses(&used);
        let kept: Vec<String> =
            fixture.by(Rule::Python).into_iter().filter(|path| path.contains("-info")).collect();
        let expected = [
            "PyYAML-6.0.egg-info/PKG-INFO",
            "PyYAML-6.0.egg-info/top_level.txt",
            "requests-2.28.dist-info/METADATA",
            "requests-2.28.dist-info/RECORD",
            "rpc-1.dist-info/RECORD",
            "six-1.egg-info",
        ];
        assert_eq!(kept, expected.map(|name| format!("/{site}/{name}")));
    }

    #[test]
    fn hard_41_lazy_imports_of_used_code_are_kept_and_own_code_is_followed() {
        let words = "srv/models/__init__.py usr/lib/python3.11/json/__init__.py usr/lib/python3.11/json/decoder.py \
            usr/lib/python3.11/csv.py usr/lib/python3.11/idle.py usr/bin/git@755 usr/bin/gzip@755 \
            usr/lib/python3/dist-packages/yaml/__init__.py etc/mime.types etc/other.types";
        let app = "import os\ndef f():\n  import json.decoder\n  from helpers import one\n  \
            import yaml\n  subprocess.run(['git', 'log'])\n  open('/etc/mime.types')\n";
        let sources = [
            ("srv/app.py", app),
            ("srv/helpers/one.py", "import csv\ndef g():\n  import idle\n"),
            ("usr/lib/python3.11/json/scanner.py", "import _json"),
        ];
        let fixture = python(words, &sources).uses("/usr/lib/python3.11/os.py /srv/app.py");
        let kept = fixture.by(Rule::Reference);
        assert_eq!(
            kept,
            [
                "/etc/mime.types",
                "/srv/helpers/one.py",
                "/usr/bin/git",
                "/usr/lib/python3/dist-packages/yaml/__init__.py",
                "/usr/lib/python3.11/idle.py",
                "/usr/lib/python3.11/json/__init__.py",
                "/usr/lib/python3.11/json/decoder.py",
            ]
        );
        assert!(fixture.by(Rule::Python).contains(&"/usr/lib/python3.11/csv.py".to_owned()));
        let none = fixture.policy(|policy| policy.generalize = Generalize::None);
        assert_eq!(none.by(Rule::Reference), Vec::<String>::new());
    }

    #[test]
    fn hard_41_the_unit_of_a_module_is_its_package_without_tests() {
        let site = "usr/lib/python3/dist-packages";
        let words = format!(
            "{site}/numpy/__init__.py {site}/numpy/core/x.py {site}/numpy/tests/t.py {site}/numpy/core/x.pyi \
             {site}/numpy.libs/libblas.so {site}/numpy-1.dist-info/METADATA {site}/numpy-1.dist-info/LICENSE \
             {site}/other/__init__.py usr/lib/python3.11/json/__init__.py usr/lib/python3.11/json/tool.py \
             usr/lib/python3.11/csv.py"
        );
        let used = format!(
            "/usr/lib/python3.11/os.py /{site}/numpy/__init__.py /usr/lib/python3.11/json/__init__.py"
        );
        let fixture =
            python(&words, &[]).uses(&used).policy(|policy| policy.generalize = Generalize::Package);
        let mut kept = fixture.by(Rule::Unit);
        kept.sort();
        let site = format!("/{site}");
        assert_eq!(
            kept,
            [
                "/usr/lib/python3.11/json/tool.py".to_owned(),
                format!("{site}/numpy-1.dist-info/LICENSE"),
                format!("{site}/numpy.libs/libblas.so"),
                format!("{site}/numpy/core/x.py"),
            ]
        );
    }
}
