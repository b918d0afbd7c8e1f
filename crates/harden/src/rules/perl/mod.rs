//! What a used part of Perl needs beside it.

mod library;
mod source;

use std::collections::BTreeSet;

use image::ImagePath;

pub(crate) use self::library::Library;
use self::source::Code;
use super::reference::Reference;
use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PlanError, Rule, shell};

/// Longest source that is read.
const MAX_SOURCE_BYTES: u64 = 8 << 20;
/// Most modules of one directory that a program which lists it may load.
const MAX_LISTED: usize = 64;
/// The character sets of East Asia and of mainframes: 9 MB of tables, against 0.5 MB of all others.
const LARGE_CHARACTER_SETS: [&str; 5] =
    ["Encode::CN", "Encode::EBCDIC", "Encode::JP", "Encode::KR", "Encode::TW"];

/// Keeps what newly kept modules need beside them: the extension that a module loads, the index and the parts of one that
/// is split, and of a module that no recorded run loaded also what it loads itself at once.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    fresh: &BTreeSet<ImagePath>,
) -> Result<(), PlanError> {
    let root = ImagePath::root();
    for path in fresh.iter().filter(|path| path.name().ends_with(b".pm") || path.name().ends_with(b".pl")) {
        if scene.file_size(path).is_none_or(|size| size > MAX_SOURCE_BYTES) || !scene.is_in_use(draft, path) {
            continue;
        }
        let library = scene.perl();
        for part in extension(scene, library, path) {
            draft.keep(&part, Rule::Perl, Some(path));
        }
        if path.name() == b"utf8_heavy.pl" {
            // Perls before 5.32 read the tables of a property when a pattern names it, under a name that they compute.
            for directory in ["unicore/lib", "unicore/To"] {
                let tables = path.parent().and_then(|parent| parent.join(directory.as_bytes()).ok());
                for (table, _) in tables.iter().flat_map(|tables| scene.tree().within(tables)) {
                    draft.keep(table, Rule::Perl, Some(path));
                }
            }
        }
        if scene.profile.usage(path).is_some_and(profile::PathUsage::is_used) {
            continue;
        }
        let content = scene.image.read_file(path, MAX_SOURCE_BYTES)?;
        let code = source::read(&String::from_utf8_lossy(&content));
        let inc = directories(scene, path, &code);
        let files = code
            .eager
            .iter()
            .flat_map(|name| module(scene, &inc, name))
            .chain(code.files.iter().filter_map(|file| in_library(scene, &inc, file)));
        for file in files {
            draft.keep_way(&root, &file.to_absolute(), Rule::Perl, Some(path));
        }
    }
    Ok(())
}

/// What a Perl file names literally; `None` for what is no Perl.
pub(crate) fn references(scene: &Scene<'_>, path: &ImagePath, content: &[u8]) -> Option<BTreeSet<Reference>> {
    if !is_perl(path, content) {
        return None;
    }
    if content.len() as u64 > MAX_SOURCE_BYTES {
        return Some(BTreeSet::new());
    }
    let code = source::read(&String::from_utf8_lossy(content));
    let inc = directories(scene, path, &code);
    let is_character_sets = path.to_absolute().ends_with(b"/Encode/Config.pm");
    let mut out = BTreeSet::new();
    for name in code.eager.iter().chain(&code.lazy) {
        if is_character_sets && LARGE_CHARACTER_SETS.contains(&name.as_str()) {
            continue;
        }
        out.extend(module(scene, &inc, name).map(Reference::File));
        if code.lists_modules {
            out.extend(listed(scene, &inc, name).into_iter().map(Reference::File));
        }
    }
    out.extend(code.files.iter().filter_map(|file| in_library(scene, &inc, file)).map(Reference::File));
    let lines = code.shell.iter().flat_map(|line| shell::commands(line));
    out.extend(code.commands.iter().cloned().chain(lines).map(|name| Reference::Command(name.into_bytes())));
    let exists =
        |path: &&String| path.len() > 1 && scene.find(path.as_bytes()).is_some_and(|end| !end.is_root());
    out.extend(code.paths.iter().filter(exists).map(|path| Reference::Path(path.clone().into_bytes())));
    Some(out)
}

/// The rest of the distribution that a Perl module belongs to; `None` for what is no file of Perl's library.
///
/// A package of the distribution's system is one, except Perl itself, of which the modules beneath the module's own name
/// are one; without packages it is what lies beneath the first part of the name.
pub(crate) fn unit(scene: &Scene<'_>, path: &ImagePath) -> Option<BTreeSet<ImagePath>> {
    let library = scene.perl();
    if !path.name().ends_with(b".pm") && !path.name().ends_with(b".pl") {
        return None;
    }
    let Some(directory) = library.directory_of(path) else { return Some(BTreeSet::new()) };
    let is_code = |path: &ImagePath| library.directory_of(path).is_some() && scene.file_size(path).is_some();
    let is_core = |name: &str| name == "perl" || name.starts_with("perl-") || name.starts_with("libperl");
    let packages = scene.packages.owners(path).iter().filter_map(|&index| scene.packages.package(index));
    let mut out = BTreeSet::new();
    let mut is_known = false;
    for package in packages {
        is_known = true;
        if !is_core(&package.name) {
            out.extend(package.files.iter().filter(|file| is_code(file)).cloned());
        }
    }
    let relative: Vec<&[u8]> = path.components().skip(directory.components().count()).collect();
    if out.is_empty()
        && let Some((first, rest)) = relative.split_first()
    {
        let stem = match is_known || rest.is_empty() {
            // The standard library: `Encode.pm` and `Encode/`.
            true => relative.join(&b'/').strip_suffix(b".pm").map(<[u8]>::to_vec),
            false => Some(first.to_vec()),
        };
        let places = library.directories().iter().flat_map(|directory| {
            let stem = stem.clone().unwrap_or_default();
            [stem.clone(), [b"auto/", &stem[..]].concat()]
                .into_iter()
                .filter_map(|name| directory.join(&name).ok())
        });
        for place in places.filter(|_| stem.is_some()) {
            out.extend(
                scene.tree().within(&place).map(|(path, _)| path.clone()).filter(|path| is_code(path)),
            );
        }
    }
    Some(out)
}

fn is_perl(path: &ImagePath, content: &[u8]) -> bool {
    let name = path.name();
    let line = content.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let is_script =
        line.starts_with(b"#!") && line.len() < 256 && String::from_utf8_lossy(line).contains("perl");
    is_script || [&b".pm"[..], b".pl", b".psgi", b".al"].iter().any(|ending| name.ends_with(ending))
}

/// Where this file's modules are looked up: what it adds to `@INC` itself comes first.
fn directories(scene: &Scene<'_>, path: &ImagePath, code: &Code) -> Vec<ImagePath> {
    let beside = path.parent().unwrap_or_default().to_text();
    let named: Vec<ImagePath> = code
        .libraries
        .iter()
        .map(|text| {
            ["$FindBin::Bin", "$FindBin::RealBin", "$RealBin", "$Bin"]
                .iter()
                .fold(text.clone(), |text, name| text.replace(name, &beside))
        })
        .filter(|text| text.starts_with('/') && !text.contains('$'))
        .filter_map(|text| scene.find(text.as_bytes()))
        .filter(|found| scene.is_directory(found))
        .collect();
    scene.perl().of(scene, path, &named)
}

/// The file of a module, or, where the name ends in a function, of the module before it.
fn module(scene: &Scene<'_>, inc: &[ImagePath], name: &str) -> Option<ImagePath> {
    let file = |name: &str| in_library(scene, inc, &(name.replace("::", "/") + ".pm"));
    file(name).or_else(|| file(name.rsplit_once("::")?.0))
}

fn in_library(scene: &Scene<'_>, inc: &[ImagePath], file: &str) -> Option<ImagePath> {
    if file.is_empty() || file.len() > 1000 || file.contains(['$', '@', '\0']) {
        return None;
    }
    if file.starts_with('/') {
        return scene.find(file.as_bytes()).filter(|path| scene.file_size(path).is_some());
    }
    inc.iter()
        .filter_map(|directory| directory.join(file.as_bytes()).ok())
        .find(|path| scene.file_size(path).is_some())
}

/// The modules of the directory of this name, for programs that look what there is.
fn listed(scene: &Scene<'_>, inc: &[ImagePath], name: &str) -> BTreeSet<ImagePath> {
    let relative = name.replace("::", "/");
    if !name.contains("::") {
        return BTreeSet::new();
    }
    let directories = inc.iter().filter_map(|directory| directory.join(relative.as_bytes()).ok());
    let modules: BTreeSet<ImagePath> = directories
        .flat_map(|directory| {
            scene.tree().children(&directory).map(|(path, _)| path.clone()).collect::<Vec<_>>()
        })
        .filter(|path| path.name().ends_with(b".pm") && scene.file_size(path).is_some())
        .collect();
    if modules.len() > MAX_LISTED { BTreeSet::new() } else { modules }
}

/// The extension of a module and its parts: `auto/A/B/B.so`, `autosplit.ix`, `*.al`.
fn extension(scene: &Scene<'_>, library: &Library, path: &ImagePath) -> Vec<ImagePath> {
    let Some(directory) = library.directory_of(path) else { return Vec::new() };
    let relative: Vec<&[u8]> = path.components().skip(directory.components().count()).collect();
    let relative = relative.join(&b'/');
    let Some(stem) = relative.strip_suffix(b".pm") else { return Vec::new() };
    let places = library.directories().iter().filter_map(|one| one.join(&[b"auto/", stem].concat()).ok());
    let endings: [&[u8]; 4] = [b".so", b".ix", b".al", b".bs"];
    places
        .flat_map(|place| scene.tree().children(&place).map(|(path, _)| path.clone()).collect::<Vec<_>>())
        .filter(|path| {
            scene.file_size(path).is_some() && endings.iter().any(|ending| path.name().ends_with(ending))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generalize;
    use crate::fixture::{Fixture, image};
    use testkit::{TarBuilder, TarEntry};

    const WORDS: &str = "usr/bin/uname@755 usr/share/perl5/JSON/PP.pm usr/share/perl5/JSON/PP/Boolean.pm \
        usr/share/perl5/Mojo/Command/version.pm usr/share/perl5/Mojo/Command/get.pm usr/share/perl5/Mojo/Other.pm \
        usr/lib/x86_64-linux-gnu/perl-base/strict.pm usr/lib/x86_64-linux-gnu/perl/5.36.0/Encode/Byte.pm \
        usr/lib/x86_64-linux-gnu/perl/5.36.0/Encode/JP.pm usr/lib/x86_64-linux-gnu/perl/5.36.0/auto/Encode/Byte/Byte.so \
        usr/lib/x86_64-linux-gnu/perl/5.36.0/auto/Encode/JP/JP.so usr/share/perl/5.36.0/unicore/Name.pl \
        usr/lib/x86_64-linux-gnu/perl/5.36.0/auto/POSIX/autosplit.ix usr/lib/x86_64-linux-gnu/perl/5.36.0/auto/POSIX/POSIX.so \
        usr/share/perl/5.36.0/x.pm usr/share/perl/5.36.0/Carp.pm";

    fn perl() -> Fixture {
        let sources = [
            (
                "srv/app.pl",
                "#!/usr/bin/perl\nuse lib \"$FindBin::Bin/modules\";\nsub f { require Own::Part; `uname` }\n",
            ),
            ("srv/modules/Own/Part.pm", "package Own::Part;\nuse Carp;\nsub g { require JSON::PP; }\n1;"),
            (
                "usr/share/perl5/Mojo/Commands.pm",
                "has namespaces => sub { ['Mojo::Command'] }; find_modules($_);",
            ),
            (
                "usr/lib/x86_64-linux-gnu/perl/5.36.0/Encode/Config.pm",
                "our %E = ('cp1252' => 'Encode::Byte', 'sjis' => 'Encode::JP');",
            ),
            ("usr/share/perl/5.36.0/_charnames.pm", "sub c { do \"unicore/Name.pl\" }"),
            ("usr/lib/x86_64-linux-gnu/perl/5.36.0/POSIX.pm", "use strict;"),
        ];
        image(
            sources.iter().fold(TarBuilder::from_text(WORDS), |tar, (name, text)| {
                tar.entry(TarEntry::file(name, *text))
            }),
        )
    }

    #[test]
    fn hard_45_extensions_and_indexes_of_perl_modules_stay_with_them() {
        let fixture = perl()
            .uses("/usr/lib/x86_64-linux-gnu/perl/5.36.0/POSIX.pm")
            .policy(|p| p.generalize = Generalize::None);
        let auto = "/usr/lib/x86_64-linux-gnu/perl/5.36.0/auto/POSIX";
        assert_eq!(fixture.by(Rule::Perl), [format!("{auto}/POSIX.so"), format!("{auto}/autosplit.ix")]);
    }

    #[test]
    fn hard_45_modules_that_used_perl_loads_later_are_kept() {
        let fixture = perl().uses(
            "/srv/app.pl /usr/share/perl5/Mojo/Commands.pm /usr/share/perl/5.36.0/_charnames.pm \
             /usr/lib/x86_64-linux-gnu/perl/5.36.0/Encode/Config.pm",
        );
        assert_eq!(
            fixture.by(Rule::Reference),
            [
                "/srv/modules/Own/Part.pm",
                "/usr/bin/uname",
                "/usr/lib/x86_64-linux-gnu/perl/5.36.0/Encode/Byte.pm",
                "/usr/share/perl/5.36.0/unicore/Name.pl",
                "/usr/share/perl5/JSON/PP.pm",
                "/usr/share/perl5/Mojo/Command/get.pm",
                "/usr/share/perl5/Mojo/Command/version.pm",
            ]
        );
        let beside = fixture.by(Rule::Perl);
        assert!(beside.contains(&"/usr/share/perl/5.36.0/Carp.pm".to_owned()), "{beside:?}");
        assert!(
            beside.contains(&"/usr/lib/x86_64-linux-gnu/perl/5.36.0/auto/Encode/Byte/Byte.so".to_owned()),
            "{beside:?}"
        );
    }

    #[test]
    fn the_unit_of_a_module_is_its_distribution() {
        let fixture =
            perl().uses("/usr/share/perl5/JSON/PP.pm").policy(|p| p.generalize = Generalize::Package);
        assert_eq!(fixture.by(Rule::Unit), ["/usr/share/perl5/JSON/PP/Boolean.pm"]);
    }
}
