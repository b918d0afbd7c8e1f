//! What a used part of PHP needs beside it, and what its code names.

mod composer;
mod settings;
mod source;

use std::collections::BTreeSet;

use image::ImagePath;

pub(crate) use composer::Autoloaders;

use self::source::{Include, Source};
use super::reference::{Reference, beneath};
use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PlanError, Rule, shell};

/// Longest source that is read.
const MAX_SOURCE_BYTES: u64 = 8 << 20;
/// How many directories above a file an include without a known base is looked for.
const MAX_LEVELS: usize = 5;

/// Keeps what newly kept files need beside them: of a program of PHP its settings and extensions; of Composer's
/// autoloader its maps; of a source that no recorded run loaded, what it includes and the classes it is made of.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    fresh: &BTreeSet<ImagePath>,
) -> Result<(), PlanError> {
    for path in fresh {
        let is_php = path.name().starts_with(b"php") || path.name().starts_with(b"libphp");
        if is_php && (scene.is_executable(path) || path.name().ends_with(b".so")) {
            settings::keep(scene, draft, path)?;
        }
        if !is_source(path) || !scene.is_in_use(draft, path) {
            continue;
        }
        let directory = path.parent().unwrap_or_default();
        if path.name() == b"autoload.php"
            && directory.name() == b"vendor"
            && let Ok(maps) = directory.join(b"composer")
        {
            for (part, _) in scene.tree().children(&maps).filter(|(part, _)| scene.file_size(part).is_some())
            {
                draft.keep(part, Rule::Php, Some(path));
            }
        }
        let was_loaded = draft.reason(path).is_some_and(|reason| reason.rule == Rule::Observed);
        if was_loaded || scene.file_size(path).is_none_or(|size| size > MAX_SOURCE_BYTES) {
            continue;
        }
        let content = scene.image.read_file(path, MAX_SOURCE_BYTES)?;
        let source = source::read(&String::from_utf8_lossy(&content));
        let eager = source.includes.iter().filter(|include| include.is_eager);
        let parents = classes(scene, path, &source.parents);
        for found in eager.filter_map(|include| included(scene, path, include)).chain(parents) {
            draft.keep_way(&ImagePath::root(), &found.to_absolute(), Rule::Php, Some(path));
        }
    }
    Ok(())
}

/// What a source names literally; `None` for what is no PHP.
pub(crate) fn references(scene: &Scene<'_>, path: &ImagePath, content: &[u8]) -> Option<BTreeSet<Reference>> {
    let is_script =
        content.starts_with(b"#!") && content[..content.len().min(64)].windows(3).any(|part| part == b"php");
    if !is_source(path) && !is_script || content.len() as u64 > MAX_SOURCE_BYTES {
        return None;
    }
    let source = source::read(&String::from_utf8_lossy(content));
    let Source { includes, beside, classes: names, paths, lines, .. } = &source;
    let mut out: BTreeSet<Reference> =
        includes.iter().filter_map(|include| included(scene, path, include)).map(Reference::File).collect();
    out.extend(classes(scene, path, names).map(Reference::File));
    let directory = path.parent().unwrap_or_default();
    out.extend(
        beside
            .iter()
            .filter_map(|name| beneath(&directory, name))
            .map(|path| Reference::Path(path.to_absolute())),
    );
    out.extend(paths.iter().map(|path| Reference::Path(path.clone().into_bytes())));
    let commands = lines.iter().flat_map(|line| shell::commands(line));
    out.extend(commands.map(|name| Reference::Command(name.into_bytes())));
    Some(out)
}

fn is_source(path: &ImagePath) -> bool {
    [&b".php"[..], b".inc", b".phtml"].iter().any(|ending| path.name().ends_with(ending))
}

/// The files of these classes, by the autoloader of the project.
fn classes<'s>(
    scene: &'s Scene<'_>,
    path: &ImagePath,
    names: &'s BTreeSet<String>,
) -> impl Iterator<Item = ImagePath> + 's {
    let autoloader = scene.autoloaders.of(scene, path);
    names.iter().filter_map(move |name| autoloader.as_ref()?.find(scene, name))
}

/// Where an include leads. Without a known base it is looked for on PHP's include path, beside the file, from the
/// working directory, and in the directories above, where frameworks have their root.
fn included(scene: &Scene<'_>, path: &ImagePath, include: &Include) -> Option<ImagePath> {
    let is_file =
        |path: &ImagePath| scene.find(&path.to_absolute()).is_some_and(|end| scene.file_size(&end).is_some());
    let name = include.path.as_bytes();
    if include.above.is_none()
        && name.starts_with(b"/")
        && let Ok(found) = ImagePath::from_absolute(name)
        && is_file(&found)
    {
        return Some(found);
    }
    let bases: Vec<ImagePath> = match include.above {
        Some(above) => path.ancestors().nth(above).into_iter().collect(),
        None => {
            let usual = ["/usr/share/php", "/usr/local/lib/php"].iter().filter_map(|path| scene.at(path));
            let above = path.ancestors().take(MAX_LEVELS).filter(|directory| !directory.is_root());
            above.chain([scene.working_directory()]).chain(usual).collect()
        }
    };
    let name = include.path.trim_start_matches('/');
    bases.iter().filter_map(|base| beneath(base, name)).find(is_file)
}

/// The rest of the Composer package, or of the PEAR package, that a source belongs to, without its tests and documents.
pub(crate) fn unit(scene: &Scene<'_>, path: &ImagePath) -> Option<BTreeSet<ImagePath>> {
    const LEFT_OUT: [&[u8]; 9] =
        [b"test", b"tests", b"Test", b"Tests", b"doc", b"docs", b"examples", b".github", b".git"];
    if !is_source(path) {
        return None;
    }
    let package = path.ancestors().find(|directory| {
        let is_installed = directory.ancestors().nth(1).is_some_and(|above| above.name() == b"vendor");
        let is_shared = directory.parent().is_some_and(|above| above.to_absolute() == b"/usr/share/php");
        is_installed || is_shared
    })?;
    let depth = package.components().count();
    let parts = scene.tree().within(&package).map(|(path, _)| path);
    let is_part = |path: &&ImagePath| !path.components().skip(depth).any(|part| LEFT_OUT.contains(&part));
    Some(parts.filter(is_part).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, image};
    use testkit::{TarBuilder, TarEntry};

    fn application(files: &[(&str, &str)]) -> Fixture {
        image(
            files.iter().fold(TarBuilder::new(), |tar, (path, text)| tar.entry(TarEntry::file(path, *text))),
        )
    }

    #[test]
    fn hard_44_sources_bring_what_they_include_and_classes_come_by_the_autoloader() {
        let fixture = application(&[
            ("app/index.php", "<?php require __DIR__ . '/vendor/autoload.php'; use Lib\\Web\\Page; function f() { include 'lazy.php'; }"),
            ("app/lazy.php", "<?php require 'eager.php'; function g() { require 'never.php'; }"),
            ("app/eager.php", ""),
            ("app/never.php", ""),
            ("app/vendor/autoload.php", "<?php"),
            ("app/vendor/composer/autoload_psr4.php", "<?php return array(\n    'Lib\\\\' => array($vendorDir . '/lib/lib/src'),\n);"),
            ("app/vendor/composer/installed.json", "{}"),
            ("app/vendor/lib/lib/src/Web/Page.php", "<?php namespace Lib\\Web; class Page extends Base { function f() { new Other; } }"),
            ("app/vendor/lib/lib/src/Web/Base.php", ""),
            ("app/vendor/lib/lib/src/Web/Other.php", ""),
        ])
        .uses("/app/index.php /app/vendor/autoload.php");
        let source = "/app/vendor/lib/lib/src/Web";
        // The application's own code counts as one whole.
        let own = ["/app/lazy.php", "/app/never.php"].map(str::to_owned);
        assert_eq!(fixture.by(Rule::Reference), [&own[..], &[format!("{source}/Page.php")]].concat());
        let composer = "/app/vendor/composer";
        let expected = [
            "/app/eager.php".to_owned(),
            format!("{composer}/autoload_psr4.php"),
            format!("{composer}/installed.json"),
            format!("{source}/Base.php"),
        ];
        assert_eq!(fixture.by(Rule::Php), expected);
        let whole = fixture.policy(|policy| policy.generalize = crate::Generalize::Package);
        assert_eq!(whole.by(Rule::Unit), [""; 0], "no source of the package itself was used");
    }

    #[test]
    fn hard_44_a_program_of_php_keeps_its_settings_and_their_extensions() {
        let words = "usr/bin/php8.2@755 etc/php/8.2/cli/conf.d/20-curl.ini->/etc/php/8.2/mods-available/curl.ini \
            etc/php/8.2/fpm/php-fpm.conf usr/lib/php/20220829/curl.so usr/lib/php/20220829/other.so app/preload.php";
        let tar = TarBuilder::from_text(words)
            .entry(TarEntry::file("etc/php/8.2/mods-available/curl.ini", "extension=curl.so\n"))
            .entry(TarEntry::file("etc/php/8.2/cli/php.ini", "opcache.preload=/app/preload.php\n"));
        let fixture = image(tar).uses("exec:/usr/bin/php8.2");
        let expected = [
            "/app/preload.php",
            "/etc/php/8.2/cli/php.ini",
            "/etc/php/8.2/mods-available/curl.ini",
            "/usr/lib/php/20220829/curl.so",
        ];
        assert_eq!(fixture.by(Rule::Php), expected);
    }
}
