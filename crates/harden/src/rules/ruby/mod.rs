//! What a used part of Ruby needs beside it.

mod library;
mod source;

use std::collections::BTreeSet;

use image::ImagePath;

pub(crate) use self::library::Library;
use self::library::file;
use super::reference::{self, Reference};
use crate::draft::Draft;
use crate::scene::Scene;
use crate::{Generalize, PlanError, Rule, shell};

/// Longest source that is read.
const MAX_SOURCE_BYTES: u64 = 8 << 20;

/// What requests and documents ask for by name, and what converts between them and UTF-8: 0.4 MB of the 3.6 MB that all
/// encodings weigh.
const COMMON_ENCODINGS: [&str; 10] = [
    "iso_8859_1.so",
    "iso_8859_15.so",
    "trans/escape.so",
    "trans/single_byte.so",
    "trans/utf_16_32.so",
    "utf_16be.so",
    "utf_16le.so",
    "utf_32be.so",
    "utf_32le.so",
    "windows_1252.so",
];

/// Keeps what newly kept files need beside them: the specification of a used gem, the mark that its extensions are built,
/// and of a file that no recorded run loaded what it loads itself at once.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    fresh: &BTreeSet<ImagePath>,
) -> Result<(), PlanError> {
    let root = ImagePath::root();
    for path in fresh.iter().filter(|path| is_feature(path)) {
        if scene.file_size(path).is_none_or(|size| size > MAX_SOURCE_BYTES) || !scene.is_in_use(draft, path) {
            continue;
        }
        if path.name() == b"encdb.so" && scene.policy.generalize >= Generalize::References {
            let directory = path.parent().unwrap_or_default();
            for encoding in COMMON_ENCODINGS.iter().filter_map(|name| directory.join(name.as_bytes()).ok()) {
                draft.keep(&encoding, Rule::Ruby, Some(path));
            }
        }
        for part in description(scene, path) {
            draft.keep(&part, Rule::Ruby, Some(path));
        }
        if scene.profile.usage(path).is_some_and(profile::PathUsage::is_used) {
            continue;
        }
        let content = scene.image.read_file(path, MAX_SOURCE_BYTES)?;
        if path.name().ends_with(b".so") {
            // Extensions load Ruby as well: psych.so asks for psych/syntax_error.
            for name in content.split(|&byte| byte == 0).filter_map(feature_name) {
                if let Some(file) = scene.ruby().feature(scene, path, name) {
                    draft.keep_way(&root, &file.to_absolute(), Rule::Ruby, Some(path));
                }
            }
            continue;
        }
        let code = source::read(&String::from_utf8_lossy(&content));
        let features = code.eager.iter().filter_map(|name| scene.ruby().feature(scene, path, name));
        let directory = path.parent().unwrap_or_default();
        let beside = code
            .beside
            .iter()
            .filter(|(_, eager)| *eager)
            .filter_map(|(name, _)| file(scene, &directory, name));
        for file in features.chain(beside).collect::<BTreeSet<_>>() {
            draft.keep_way(&root, &file.to_absolute(), Rule::Ruby, Some(path));
        }
    }
    Ok(())
}

/// What a Ruby file names literally; `None` for what is no Ruby.
pub(crate) fn references(scene: &Scene<'_>, path: &ImagePath, content: &[u8]) -> Option<BTreeSet<Reference>> {
    if !is_ruby(path, content) {
        return None;
    }
    // Lists of paths and of files; and the installer of gems, which is not there to be run by an application.
    let is_list = path.name() == b"rbconfig.rb" || path.name().ends_with(b".gemspec");
    let is_installer =
        path.components().any(|part| matches!(part, b"rubygems" | b"rubygems.rb" | b"bundler"));
    if content.len() as u64 > MAX_SOURCE_BYTES || is_list || is_installer {
        return Some(BTreeSet::new());
    }
    let library = scene.ruby();
    let is_own = reference::is_own_code(scene, path);
    let code = source::read(&String::from_utf8_lossy(content));
    let directory = path.parent().unwrap_or_default();
    let named = code.named.iter().filter(|_| is_own);
    let features = code.eager.iter().chain(&code.lazy).chain(named);
    let features = features.filter_map(|name| library.feature(scene, path, name));
    let beside = code.beside.iter().filter_map(|(name, _)| {
        file(scene, &directory, name).or_else(|| {
            let text = [&directory.to_absolute()[..], b"/", name.as_bytes()].concat();
            scene.find(&text).filter(|end| !end.is_root())
        })
    });
    let mut out: BTreeSet<Reference> = features.chain(beside).map(Reference::File).collect();
    let lines = code.shell.iter().flat_map(|line| shell::commands(line));
    out.extend(code.commands.iter().cloned().chain(lines).map(|name| Reference::Command(name.into_bytes())));
    for text in &code.literals {
        if text.len() > 1
            && text.starts_with('/')
            && scene.find(text.as_bytes()).is_some_and(|end| !end.is_root())
        {
            out.insert(Reference::Path(text.clone().into_bytes()));
        }
        out.extend(encoding(scene, path, text).map(Reference::File));
    }
    Some(out)
}

/// The rest of the gem that a Ruby file belongs to, or of the package of the distribution; of Ruby's own library what
/// lies beneath the feature's name. `None` for what is no file of Ruby.
pub(crate) fn unit(scene: &Scene<'_>, path: &ImagePath) -> Option<BTreeSet<ImagePath>> {
    if !is_feature(path) {
        return None;
    }
    let library = scene.ruby();
    if let Some(gem) = library.gem_of(path) {
        let files = scene.tree().within(&gem).map(|(path, _)| path);
        let is_test = |path: &ImagePath| {
            let inside = path.components().nth(gem.components().count());
            inside
                .is_some_and(|first| matches!(first, b"test" | b"spec" | b"features" | b"doc" | b"benchmark"))
        };
        return Some(
            files.filter(|path| scene.file_size(path).is_some() && !is_test(path)).cloned().collect(),
        );
    }
    let Some(directory) = library.directory_of(path) else { return Some(BTreeSet::new()) };
    let is_code = |path: &ImagePath| library.directory_of(path).is_some() && scene.file_size(path).is_some();
    let is_core = |name: &str| name.starts_with("libruby") || name == "ruby" || name.starts_with("ruby3");
    let mut out = BTreeSet::new();
    for package in scene.packages.owners(path).iter().filter_map(|&index| scene.packages.package(index)) {
        if !is_core(&package.name) {
            out.extend(package.files.iter().filter(|file| is_code(file)).cloned());
        }
    }
    let first = path.components().nth(directory.components().count()).unwrap_or_default();
    let stem = first.strip_suffix(b".rb").unwrap_or(first);
    if let (true, Ok(place)) = (out.is_empty(), directory.join(stem)) {
        out.extend(scene.tree().within(&place).map(|(path, _)| path.clone()).filter(|path| is_code(path)));
    }
    Some(out)
}

fn is_feature(path: &ImagePath) -> bool {
    path.name().ends_with(b".rb")
        || path.name().ends_with(b".so") && path.components().any(|part| part == b"ruby" || part == b"gems")
}

/// A string of an extension that may be a feature with a directory.
fn feature_name(text: &[u8]) -> Option<&str> {
    let is_name = (3..100).contains(&text.len())
        && text.contains(&b'/')
        && text[0].is_ascii_lowercase()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/_-".contains(byte));
    is_name.then(|| std::str::from_utf8(text).ok()).flatten()
}

fn is_ruby(path: &ImagePath, content: &[u8]) -> bool {
    let name = path.name();
    let line = content.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let is_script =
        line.starts_with(b"#!") && line.len() < 256 && String::from_utf8_lossy(line).contains("ruby");
    is_script
        || name == b"Gemfile"
        || name == b"Rakefile"
        || [&b".rb"[..], b".ru", b".rake", b".gemspec"].iter().any(|ending| name.ends_with(ending))
}

/// The specifications of the gem that a file belongs to, and the mark that its extensions are built. A gem from a package
/// of the distribution has its files elsewhere than its specification; the package has both.
fn description(scene: &Scene<'_>, path: &ImagePath) -> Vec<ImagePath> {
    let library = scene.ruby();
    if let Some(gem) = library.gem_of(path) {
        let name = String::from_utf8_lossy(gem.name()).into_owned();
        let mut out: Vec<ImagePath> = library.specifications(&name).cloned().collect();
        let home = gem.parent().and_then(|gems| gems.parent()).unwrap_or_default();
        let extensions = home.join(b"extensions").ok();
        let built =
            extensions.iter().flat_map(|directory| scene.tree().within(directory).map(|(path, _)| path));
        out.extend(
            built
                .filter(|path| {
                    path.name() == b"gem.build_complete"
                        && path.parent().is_some_and(|parent| parent.name() == name.as_bytes())
                })
                .cloned(),
        );
        return out;
    }
    let packages = scene.packages.owners(path).iter().filter_map(|&index| scene.packages.package(index));
    let files = packages.filter(|package| package.files.len() < 2000).flat_map(|package| &package.files);
    files.filter(|file| file.name().ends_with(b".gemspec")).cloned().collect()
}

/// The module of an encoding that a text names, such as `Windows-1251`.
fn encoding(scene: &Scene<'_>, path: &ImagePath, text: &str) -> Option<ImagePath> {
    let is_name = text.len() < 20
        && text.contains(['-', '_'])
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !is_name {
        return None;
    }
    let name = format!("enc/{}.so", text.to_ascii_lowercase().replace('-', "_"));
    scene.ruby().feature(scene, path, &name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, image};
    use testkit::{TarBuilder, TarEntry};

    fn ruby() -> Fixture {
        let gems = "var/lib/gems/3.1.0";
        let words = format!(
            "usr/lib/ruby/3.1.0/csv.rb \
             usr/lib/ruby/3.1.0/csv/parser.rb usr/lib/x86_64-linux-gnu/ruby/3.1.0/enc/encdb.so usr/bin/uname@755 \
             usr/lib/x86_64-linux-gnu/ruby/3.1.0/enc/windows_1252.so usr/lib/x86_64-linux-gnu/ruby/3.1.0/enc/gbk.so \
             {gems}/gems/puma-6.0/lib/puma.rb {gems}/gems/puma-6.0/test/x.rb {gems}/gems/puma-6.0/lib/puma/cli.rb \
             {gems}/specifications/puma-6.0.gemspec {gems}/specifications/rack-2.gemspec \
             {gems}/extensions/x86_64-linux/3.1.0/puma-6.0/gem.build_complete srv/app/views/a.erb"
        );
        let sources = [
            (
                "srv/app/app.rb",
                "autoload :Part, File.expand_path('lib/part', __dir__)\ndef f\n  `uname`\nend\n",
            ),
            ("srv/app/lib/part.rb", "def g\n  require 'date'\nend\nrequire 'csv'\n"),
            ("usr/lib/ruby/3.1.0/date.rb", "require 'date_core'\n"),
            ("usr/lib/x86_64-linux-gnu/ruby/3.1.0/date_core.so", "ELF\0csv/parser\0"),
        ];
        image(
            sources.iter().fold(TarBuilder::from_text(&words), |tar, (name, text)| {
                tar.entry(TarEntry::file(name, *text))
            }),
        )
    }

    #[test]
    fn hard_45_a_used_gem_keeps_what_describes_it() {
        let fixture = ruby().uses("/var/lib/gems/3.1.0/gems/puma-6.0/lib/puma.rb");
        assert_eq!(
            fixture.by(Rule::Ruby),
            [
                "/var/lib/gems/3.1.0/extensions/x86_64-linux/3.1.0/puma-6.0/gem.build_complete",
                "/var/lib/gems/3.1.0/specifications/puma-6.0.gemspec",
            ]
        );
        let whole = fixture.policy(|policy| policy.generalize = Generalize::Package);
        assert_eq!(whole.by(Rule::Unit), ["/var/lib/gems/3.1.0/gems/puma-6.0/lib/puma/cli.rb"]);
    }

    #[test]
    fn hard_45_features_that_used_ruby_loads_later_are_kept() {
        let fixture = ruby().uses("/srv/app/app.rb /usr/lib/x86_64-linux-gnu/ruby/3.1.0/enc/encdb.so");
        assert_eq!(
            fixture.by(Rule::Reference),
            ["/srv/app/lib/part.rb", "/usr/bin/uname", "/usr/lib/ruby/3.1.0/date.rb",]
        );
        assert_eq!(
            fixture.by(Rule::Ruby),
            [
                "/usr/lib/ruby/3.1.0/csv/parser.rb",
                "/usr/lib/ruby/3.1.0/csv.rb",
                "/usr/lib/x86_64-linux-gnu/ruby/3.1.0/date_core.so",
                "/usr/lib/x86_64-linux-gnu/ruby/3.1.0/enc/windows_1252.so",
            ]
        );
    }
}
