//! What a program finds in directories that only its own packages have files in: dictionaries, character sets, time
//! zone abbreviations, extensions, plug-ins that it loads by name.
//!
//! A run reads the few of them that its input asks for; the next input asks for others. Such a directory matters once a
//! file of it was used, once it was listed or searched, or if a program that was run names it in its own strings; then
//! the rest of the files directly in it stay. So do the twins of a used file in parallel directories, such as the messages
//! in other languages. Plug-ins in machine code only count where a program names the directory, or a library of its suite
//! that was mapped, and with the libraries that they would bring.
//!
//! What is nothing but data may come in a package of its own, such as error pages in many languages: it counts once a
//! file of it was read.

use std::collections::{BTreeMap, BTreeSet};

use image::{ImagePath, NodeKind};
use packages::PackageIndex;
use profile::AccessKind;

use super::suite::{self, Suite};
use crate::draft::Draft;
use crate::rules::elf::Programs;
use crate::scene::Scene;
use crate::{Generalize, PlanError, Rule};

/// Where packages have directories of their own.
const AREAS: [&[u8]; 3] = [b"etc/", b"opt/", b"usr/"];
/// Largest file that stays beside settings. What they name has a rule of its own.
const MAX_SETTINGS_BYTES: u64 = 64 << 10;
/// Code of languages, which have rules of their own.
const CODE: [&str; 20] = [
    "beam", "cjs", "class", "el", "elc", "h", "hpp", "jar", "js", "lua", "mjs", "php", "pl", "pm", "pod",
    "py", "pyc", "rb", "ts", "a",
];
/// Largest program whose strings are searched.
const MAX_PROGRAM_BYTES: u64 = 256 << 20;
/// Longest string that can be a path.
const MAX_STRING_BYTES: usize = 512;

/// Keeps the rest of the data directories in use, the cheapest files first, until they would cost more than
/// a tenth of what is kept.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    programs: &mut Programs<'_>,
) -> Result<(), PlanError> {
    if scene.policy.generalize < Generalize::References {
        return Ok(());
    }
    let (mut candidates, mut reasons) = (BTreeMap::new(), BTreeMap::new());
    let suites = suite::suites(scene, draft)?;
    let data = suite::data_packages(scene)?;
    for suite in suites.values().chain(&data) {
        let named = Named::by(scene, suite)?;
        let directories = private_directories(scene, suite);
        let is_used = |path: &ImagePath| directories.contains_key(path) && used_in(scene, path).is_some();
        let parallel = parallel_names(scene, &directories);
        for (directory, files) in &directories {
            let namer = named.namer(directory, &is_used);
            let used = used_in(scene, directory);
            let users = packages_in_use(scene, suite, files);
            for &(path, owner) in files {
                if draft.is_kept(path) || is_code(path) {
                    continue;
                }
                let twin = || parallel.get(&(directory.parent(), path.name())).map(|&twin| twin.clone());
                let used = used.clone().filter(|_| users.contains(&owner));
                let Some(because) = namer.clone().or(used).or_else(twin) else { continue };
                let (is_wanted, needed) = match programs.load(draft, path)? {
                    Some(load) => (namer.is_some() && !load.is_program && !load.lacks_something, load.more),
                    None => (!scene.is_executable(path) && !is_idle_setting(scene, path), BTreeSet::new()),
                };
                if is_wanted {
                    candidates.insert(path.clone(), needed);
                    reasons.insert(path.clone(), because);
                }
            }
        }
    }
    for path in suite::within(scene, suite::budget_bytes(scene, draft), &candidates) {
        draft.keep(&path, Rule::DataDirectory, reasons.get(&path));
    }
    Ok(())
}

/// Whether these are settings that are large, or that nobody has enabled (`mods-available`).
fn is_idle_setting(scene: &Scene<'_>, path: &ImagePath) -> bool {
    let is_offered = || path.parent().is_some_and(|directory| directory.name().ends_with(b"-available"));
    let is_large = || scene.file_size(path).is_some_and(|size| size > MAX_SETTINGS_BYTES);
    path.as_bytes().starts_with(b"etc/") && (is_offered() || is_large())
}

/// The directories with files of this suite and of no other package, and its files directly in them.
fn private_directories<'s>(
    scene: &Scene<'_>,
    suite: &'s Suite,
) -> BTreeMap<ImagePath, Vec<(&'s ImagePath, PackageIndex)>> {
    let mut directories: BTreeMap<ImagePath, Vec<(&ImagePath, PackageIndex)>> = BTreeMap::new();
    for (path, &owner) in &suite.files {
        let is_there = AREAS.iter().any(|area| path.as_bytes().starts_with(area));
        if let Some(directory) = path.parent()
            && is_there
            && !packages::is_document(path)
            && scene.file_size(path).is_some()
        {
            directories.entry(directory).or_default().push((path, owner));
        }
    }
    directories.retain(|directory, _| {
        scene
            .tree()
            .children(directory)
            .map(|(child, _)| child)
            .all(|child| suite.files.contains_key(child) || scene.packages.owners(child).is_empty())
    });
    directories
}

/// Used files by the directory above their own and their name: `errors.txt` of `german` is the twin of the one of
/// `english`.
fn parallel_names<'s>(
    scene: &Scene<'_>,
    directories: &BTreeMap<ImagePath, Vec<(&'s ImagePath, PackageIndex)>>,
) -> BTreeMap<(Option<ImagePath>, &'s [u8]), &'s ImagePath> {
    let files =
        directories.iter().flat_map(|(directory, files)| files.iter().map(move |file| (directory, file.0)));
    files
        .filter(|(_, path)| scene.profile.usage(path).is_some_and(|usage| usage.first().is_some()))
        .map(|(directory, path)| ((directory.parent(), path.name()), path))
        .collect()
}

/// The packages of which a program was run, and those with a file among these that was used.
fn packages_in_use(
    scene: &Scene<'_>,
    suite: &Suite,
    files: &[(&ImagePath, PackageIndex)],
) -> BTreeSet<PackageIndex> {
    let used = files.iter().filter(|(path, _)| is_read(scene, path)).map(|(_, owner)| *owner);
    used.chain(suite.run.keys().copied()).collect()
}

fn is_read(scene: &Scene<'_>, path: &ImagePath) -> bool {
    scene.profile.usage(path).is_some_and(|usage| {
        usage.kinds().any(|kind| matches!(kind, AccessKind::OpenRead | AccessKind::MapExec))
    })
}

/// A file directly in this directory that was read, or the directory itself if it was listed or searched in vain.
fn used_in(scene: &Scene<'_>, directory: &ImagePath) -> Option<ImagePath> {
    let mut files =
        scene.tree().children(directory).filter(|(_, node)| matches!(node.kind, NodeKind::File { .. }));
    if let Some((read, _)) = files.find(|(path, _)| is_read(scene, path)) {
        return Some(read.clone());
    }
    let was_listed = scene
        .profile
        .usage(directory)
        .is_some_and(|usage| usage.kinds().any(|kind| kind == AccessKind::Readdir));
    was_listed.then(|| directory.clone())
}

fn is_code(path: &ImagePath) -> bool {
    let name = path.name();
    let extension = name.iter().rposition(|&byte| byte == b'.').map(|dot| &name[dot + 1..]);
    extension.is_some_and(|extension| CODE.iter().any(|code| code.as_bytes() == extension))
}

/// Whether a library is a language's run time: which of its parts stay is for the rules of that language.
fn is_interpreter(library: &ImagePath) -> bool {
    [&b"liblua"[..], b"libperl", b"libphp", b"libpython", b"libruby"]
        .iter()
        .any(|name| library.name().starts_with(name))
}

/// The paths and parts of paths in the strings of a suite's programs.
struct Named {
    /// Absolute paths, each with a program that names it.
    paths: BTreeMap<Vec<u8>, ImagePath>,
    /// Names between slashes in relative paths and patterns such as `%s/dictionaries/%s.txt`.
    parts: BTreeMap<Vec<u8>, ImagePath>,
}

impl Named {
    fn by(scene: &Scene<'_>, suite: &Suite) -> Result<Self, PlanError> {
        let mut named = Self { paths: BTreeMap::new(), parts: BTreeMap::new() };
        let libraries = suite.libraries.iter().filter(|library| !is_interpreter(library));
        for program in suite.programs.keys().chain(libraries) {
            if scene.file_size(program).is_none_or(|size| size > MAX_PROGRAM_BYTES) {
                continue;
            }
            let content = scene.image.read_file(program, MAX_PROGRAM_BYTES)?;
            for string in with_slash(&content).filter(|string| (3..=MAX_STRING_BYTES).contains(&string.len()))
            {
                let parts = string.split(|&byte| byte == b'/').filter(|part| !part.is_empty());
                if string.starts_with(b"/") {
                    let path: Vec<u8> = parts.flat_map(|part| [b"/", part].concat()).collect();
                    named.paths.entry(path).or_insert_with(|| program.clone());
                } else {
                    for part in parts.filter(|part| part.len() > 2) {
                        named.parts.entry(part.to_vec()).or_insert_with(|| program.clone());
                    }
                }
            }
        }
        Ok(named)
    }

    /// The program that names this directory: by its path, by the path of something in it, or by its own name alone if
    /// the directory above is one that the suite uses.
    fn namer(&self, directory: &ImagePath, is_used: &dyn Fn(&ImagePath) -> bool) -> Option<ImagePath> {
        let absolute = directory.to_absolute();
        let beneath = [&absolute[..], b"/"].concat();
        let next = self.paths.range(beneath.clone()..).next();
        let by_path = self
            .paths
            .get(&absolute)
            .or_else(|| next.filter(|(path, _)| path.starts_with(&beneath)).map(|(_, program)| program));
        let by_name = || {
            let program = self.parts.get(directory.name())?;
            let above = directory.parent()?;
            (is_used(&above) || self.namer(&above, is_used).is_some()).then_some(program)
        };
        by_path.or_else(by_name).cloned()
    }
}

/// The stretches of visible ASCII that have a slash, in order.
fn with_slash(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_other = |byte: &u8| !matches!(byte, b'!'..=b'~');
    let mut rest = content;
    std::iter::from_fn(move || {
        let slash = memchr::memchr(b'/', rest)?;
        let start = rest[..slash].iter().rposition(is_other).map_or(0, |before| before + 1);
        let end = rest[slash..].iter().position(is_other).map_or(rest.len(), |length| slash + length);
        let string = &rest[start..end];
        rest = &rest[end..];
        Some(string)
    })
}

#[cfg(test)]
mod tests {
    use super::with_slash;
    use crate::fixture::{Elf, Fixture, LOADER, MERGED, image, layer, libc};
    use crate::rules::suite::fixture::installed;
    use crate::{Generalize, Rule};
    use testkit::TarEntry;

    const WORDS: &str = "usr/share/db/15/start.sql usr/share/db/15/other.sql usr/share/db/15/tool.py \
        usr/share/db/15/words/english.stop usr/share/db/15/words/german.stop usr/share/db/15/unnamed/file \
        usr/share/db/messages/en/errors.txt usr/share/db/messages/de/errors.txt usr/share/db/messages/de/more.txt \
        usr/share/common/db.txt usr/share/common/foreign.txt usr/share/doc/db/words/copy etc/db/other.conf";

    /// A database whose server names a directory for words and one for plug-ins.
    fn database() -> Fixture {
        let [ld, c] = libc();
        let library = |needed| Elf { needed, ..Elf::default() };
        let big = "x".repeat(1 << 20);
        let files = [
            ld,
            c,
            ("usr/lib/db/plugins/small.so", library(&["libc.so.6"])),
            ("usr/lib/db/plugins/huge.so", library(&["libhuge.so"])),
            ("usr/lib/db/plugins/broken.so", library(&["libgone.so"])),
            ("usr/lib/db/private/found.so", library(&[])),
            (
                "usr/lib/x86_64-linux-gnu/libhuge.so",
                Elf { needed: &["libc.so.6"], runpath: &big, ..Elf::default() },
            ),
        ];
        let server = Elf { interpreter: LOADER, needed: &["libc.so.6"], ..Elf::default() };
        let strings = b"\0%s/words/%s.stop\0/usr/lib/db/plugins\0/usr/share/db/15\0";
        let server = [&server.bytes()[..], strings].concat();
        let tar = layer(&(MERGED.to_owned() + WORDS), &files)
            .entry(TarEntry::file("usr/bin/serve", server).mode(0o755))
            .entry(TarEntry::file("ballast", "x".repeat(1 << 20)));
        let owned: Vec<String> = WORDS
            .split_whitespace()
            .filter(|word| !word.ends_with("foreign.txt"))
            .chain(files.iter().map(|(name, _)| *name).filter(|name| name.starts_with("usr/lib/db/")))
            .chain(["usr/bin/serve"])
            .map(|name| format!("/{name}"))
            .collect();
        let packages = [
            ("db", "Priority: optional", &*owned.join(" ")),
            ("foreign", "Priority: optional", "/usr/share/common/foreign.txt"),
        ];
        image(installed(tar, &packages))
    }

    #[test]
    fn stretches_with_a_slash_are_those_between_other_bytes() {
        let content = b"/a b/c\0no\xff%s/d//e\n/";
        assert!(with_slash(content).eq([&b"/a"[..], b"b/c", b"%s/d//e", b"/"]));
        assert_eq!(with_slash(b"none here").count(), 0);
        assert_eq!(with_slash(b"").count(), 0);
    }

    #[test]
    fn the_rest_of_a_data_directory_stays_if_it_is_used_or_named_by_a_program_of_its_package() {
        let fixture = database().uses(
            "exec:/usr/bin/serve /ballast /usr/share/common/db.txt stat:/usr/share/db/messages/en/errors.txt",
        );
        let expected = [
            "/usr/lib/db/plugins/small.so",
            "/usr/share/db/15/other.sql",
            "/usr/share/db/15/start.sql",
            "/usr/share/db/15/words/english.stop",
            "/usr/share/db/15/words/german.stop",
            "/usr/share/db/messages/de/errors.txt",
        ];
        assert_eq!(fixture.by(Rule::DataDirectory), expected);
    }

    #[test]
    fn nothing_stays_for_a_program_that_was_not_run_or_where_the_policy_wants_no_more_than_was_seen() {
        assert_eq!(database().uses("/usr/share/db/15/start.sql").by(Rule::DataDirectory), [""; 0]);
        let fixture =
            database().uses("exec:/usr/bin/serve").policy(|policy| policy.generalize = Generalize::None);
        assert_eq!(fixture.by(Rule::DataDirectory), [""; 0]);
    }

    #[test]
    fn hard_36_plug_ins_that_a_mapped_library_of_the_suite_names_stay() {
        let [ld, c] = libc();
        let files = [
            ld,
            c,
            ("usr/lib/art/coders/png.so", Elf { needed: &["libc.so.6"], ..Elf::default() }),
            ("usr/bin/draw", Elf { interpreter: LOADER, needed: &["libc.so.6"], ..Elf::default() }),
        ];
        let core =
            [&Elf { needed: &["libc.so.6"], ..Elf::default() }.bytes()[..], b"\0/usr/lib/art/coders\0"]
                .concat();
        let words = "etc/art/policy.xml etc/art/colors.xml etc/art/mods-available/x.xml etc/other/x.xml";
        let tar = layer(&(MERGED.to_owned() + words), &files)
            .entry(TarEntry::file("usr/lib/x86_64-linux-gnu/libart.so.6", core))
            .entry(TarEntry::file("ballast", "x".repeat(1 << 20)));
        let packages = [
            ("art", "Source: art", "/usr/bin/draw"),
            (
                "libart6",
                "Source: art",
                "/usr/lib/x86_64-linux-gnu/libart.so.6 /usr/lib/art/coders/png.so /etc/art/policy.xml \
                /etc/art/colors.xml /etc/art/mods-available/x.xml /etc/other/x.xml",
            ),
        ];
        let fixture =
            |uses: &str| image(installed(tar.clone(), &packages)).uses(uses).by(Rule::DataDirectory);
        let used =
            "exec:/usr/bin/draw /ballast map-exec:/usr/lib/x86_64-linux-gnu/libart.so.6 /etc/art/policy.xml";
        assert_eq!(fixture(used), ["/etc/art/colors.xml", "/usr/lib/art/coders/png.so"]);
        assert_eq!(fixture("exec:/usr/bin/draw /ballast"), [""; 0]);
    }

    #[test]
    fn the_rest_of_a_package_of_mere_data_stays_beside_what_was_read_of_it() {
        let words = "usr/share/pages/en/denied:1 usr/share/pages/de/denied:1 usr/share/pages/de/other:1 \
            usr/share/pages/en/other:1 usr/share/unread/en/denied:1 usr/share/tool/a:1 usr/share/tool/b:1 usr/bin/tool@755";
        let tar = testkit::TarBuilder::from_text(words).entry(TarEntry::file("ballast", "x".repeat(1 << 10)));
        let packages = [
            (
                "pages",
                "Priority: optional",
                "/usr/share/pages/en/denied /usr/share/pages/en/other /usr/share/pages/de/denied /usr/share/pages/de/other",
            ),
            ("unread", "Priority: optional", "/usr/share/unread/en/denied"),
            ("tool", "Priority: optional", "/usr/share/tool/a /usr/share/tool/b /usr/bin/tool"),
        ];
        let fixture =
            image(installed(tar, &packages)).uses("/ballast /usr/share/pages/en/denied /usr/share/tool/a");
        assert_eq!(
            fixture.by(Rule::DataDirectory),
            ["/usr/share/pages/de/denied", "/usr/share/pages/en/other"]
        );
    }
}
