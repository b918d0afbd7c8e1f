//! Data that packages of languages bring beside their code: templates, translations, schemas, word lists, pages.
//!
//! A library finds such a file by a name that it makes at run time: the catalogue of the visitor's language, the template
//! of the page that was asked for. No run asks for all of them, and no code names them in full. But they are bound to the
//! code around them: whatever lies in a directory of a package, or beneath it with no code between, is the data of the
//! code there, and matters once code of that directory was used. So the translations of Django's administration stay
//! where that is in use, and those of its maps go.

use std::collections::{BTreeMap, BTreeSet};

use image::{ImagePath, NodeKind};
use packages::PackageIndex;

use super::data_file::is_data;
use super::reference::{VENDORED, is_own_code, used_code};
use super::suite;
use crate::draft::Draft;
use crate::scene::Scene;
use crate::{Generalize, PlanError, Rule};

/// Endings of code, a language with packages each; npm's packages have their manifest at the top, and seldom code.
const LANGUAGES: [&[&[u8]]; 6] = [
    &[b".cjs", b".js", b".mjs", b"package.json"],
    &[b".lua"],
    &[b".php"],
    &[b".al", b".ix", b".ph", b".pl", b".pm"],
    &[b".py", b".pyc"],
    &[b".rb"],
];
/// Endings of what people, compilers and debuggers read.
const FOR_OTHERS: [&[u8]; 13] = [
    b".css.map",
    b".f90",
    b".flow",
    b".gemspec",
    b".js.map",
    b".map",
    b".markdown",
    b".md",
    b".pod",
    b".pyi",
    b".rst",
    b".ts",
    b".typed",
];
/// Directories of a package that running it does not need.
const IDLE: [&[u8]; 14] = [
    b".github",
    b"__pycache__",
    b"__tests__",
    b"benchmark",
    b"benchmarks",
    b"doc",
    b"docs",
    b"example",
    b"examples",
    b"man",
    b"spec",
    b"test",
    b"testing",
    b"tests",
];
/// Beginnings of the names of texts for people.
const TEXTS: [&[u8]; 11] = [
    b"authors",
    b"changelog",
    b"changes",
    b"contribut",
    b"copying",
    b"history",
    b"licen",
    b"makefile",
    b"news",
    b"notice",
    b"readme",
];

/// Keeps the data beside used code of packages, the cheapest directories first, until they would cost more than a sixth
/// of what is kept: the translations of a framework that is a tenth of its image weigh nearly that.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) -> Result<(), PlanError> {
    if scene.policy.generalize < Generalize::References {
        return Ok(());
    }
    let used = directories_of_used_code(scene, draft);
    if used.is_empty() {
        return Ok(());
    }
    let mut units: BTreeMap<&ImagePath, Vec<&ImagePath>> = BTreeMap::new();
    for directory in used.keys() {
        let mut pending = vec![directory.clone()];
        let mut is_top = true;
        while let Some(below) = pending.pop() {
            let children: Vec<_> = scene.tree().children(&below).collect();
            if !is_top && children.iter().any(|(path, _)| used[directory].is_code(path)) {
                continue;
            }
            is_top = false;
            for (path, node) in children {
                match node.kind {
                    NodeKind::Directory if !is_idle(path.name()) => pending.push(path.clone()),
                    NodeKind::File { .. } if is_candidate(scene, draft, path, &used[directory])? => {
                        units.entry(directory).or_default().push(path);
                    }
                    _ => {}
                }
            }
        }
    }
    let bytes = |paths: &[&ImagePath]| -> u64 { paths.iter().filter_map(|path| scene.file_size(path)).sum() };
    let mut sized: Vec<_> =
        units.into_iter().map(|(directory, paths)| (bytes(&paths), directory, paths)).collect();
    sized.sort();
    let mut left = suite::budget_bytes(scene, draft).saturating_mul(5) / 3;
    for (size, directory, paths) in sized {
        if size > left {
            break;
        }
        left -= size;
        for path in paths {
            draft.keep(path, Rule::PackageData, Some(&used[directory].because));
        }
    }
    Ok(())
}

/// Code of a package in one directory that was used.
struct Used {
    because: ImagePath,
    owners: BTreeSet<PackageIndex>,
    /// How code of its language ends. What is code to another one is data here: scripts for browsers.
    endings: &'static [&'static [u8]],
}

impl Used {
    fn is_code(&self, path: &ImagePath) -> bool {
        self.endings.iter().any(|ending| path.name().ends_with(ending))
    }
}

fn directories_of_used_code(scene: &Scene<'_>, draft: &Draft<'_>) -> BTreeMap<ImagePath, Used> {
    let mut directories: BTreeMap<ImagePath, Used> = BTreeMap::new();
    // What used code names counts as used: a language's numbers and dates are code, its words lie beside.
    let named =
        draft.kept().filter(|(_, reason)| reason.rule == Rule::Reference).map(|(path, _)| path.clone());
    for path in used_code(scene, draft).into_iter().chain(named) {
        let language =
            LANGUAGES.iter().find(|endings| endings.iter().any(|ending| path.name().ends_with(ending)));
        let (Some(endings), Some(mut directory)) = (language, path.parent()) else { continue };
        if is_own_code(scene, &path) {
            continue;
        }
        if directory.name() == b"__pycache__" {
            directory = directory.parent().unwrap_or_default();
        }
        // Where many packages lie beside each other, nothing belongs to one of them by its place.
        if directory.is_root() || VENDORED.iter().any(|name| directory.name() == name.as_bytes()) {
            continue;
        }
        let owners = scene.packages.owners(&path);
        let new = || Used { because: path.clone(), owners: BTreeSet::new(), endings };
        directories.entry(directory).or_insert_with(new).owners.extend(owners);
    }
    directories
}

/// Whether this is data of the packages of the code that was used, and not kept yet.
fn is_candidate(
    scene: &Scene<'_>,
    draft: &Draft<'_>,
    path: &ImagePath,
    used: &Used,
) -> Result<bool, PlanError> {
    let owners = scene.packages.owners(path);
    let is_theirs = match owners.is_empty() {
        true => used.owners.is_empty(),
        false => owners.iter().any(|owner| used.owners.contains(owner)),
    };
    if !is_theirs || draft.is_kept(path) || used.is_code(path) || is_for_others(scene, path) {
        return Ok(false);
    }
    match scene.file_size(path) {
        Some(size) => is_data(scene, path, size),
        None => Ok(false),
    }
}

fn is_idle(name: &[u8]) -> bool {
    IDLE.contains(&name)
        || VENDORED.iter().any(|vendored| name == vendored.as_bytes())
        || name.ends_with(b".dist-info")
        || name.ends_with(b".egg-info")
}

/// Whether a file is for people, compilers or translators: a catalogue of messages is compiled.
fn is_for_others(scene: &Scene<'_>, path: &ImagePath) -> bool {
    let name = path.name().to_ascii_lowercase();
    let is_source = || {
        let compiled = name.strip_suffix(b".po").map(|stem| [stem, b".mo"].concat());
        let compiled = compiled.and_then(|compiled| path.parent()?.join(&compiled).ok());
        name.ends_with(b".pot") || compiled.is_some_and(|compiled| scene.file_size(&compiled).is_some())
    };
    name.starts_with(b".")
        || FOR_OTHERS.iter().any(|ending| name.ends_with(ending))
        || TEXTS.iter().any(|text| name.starts_with(text))
        || packages::is_document(path)
        || packages::is_licence(path)
        || is_source()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Fixture, image};
    use crate::{Generalize, Rule};
    use testkit::{TarBuilder, TarEntry};

    const SITE: &str = "usr/local/lib/python3.11/dist-packages";
    const FILES: &str = "web/__init__.py web/conf/__init__.py web/conf/locale/de/django.mo web/conf/locale/de/django.po \
        web/conf/locale/ja/django.mo web/conf/only.po web/admin/__init__.py web/admin/templates/admin/page.html \
        web/admin/static/admin/js/page.js web/admin/README.txt web/admin/tests/data.txt web/maps/__init__.py \
        web/maps/templates/map.html web/py.typed web/template/loader.py web/template/words.txt.gz six.py six.txt \
        other/__init__.py other/words.txt web-1.dist-info/METADATA web-1.dist-info/notes.json";

    fn framework() -> Fixture {
        let words: String = FILES.split_whitespace().map(|name| format!("{SITE}/{name}:1 ")).collect();
        let owned = FILES.split_whitespace().filter(|name| name.starts_with("web"));
        let record: String = owned.map(|name| format!("{name},,\n")).collect();
        let layer = TarBuilder::from_text(&(words + "ballast usr/lib/python3.11/os.py"))
            .entry(TarEntry::file(format!("{SITE}/web-1.dist-info/RECORD"), record))
            .entry(TarEntry::file("large", "x".repeat(10_000)));
        image(layer)
    }

    fn kept(fixture: &Fixture) -> Vec<String> {
        let site = format!("/{SITE}/");
        fixture.by(Rule::PackageData).iter().map(|path| path.replace(&site, "")).collect()
    }

    const USES: &str = "/large /usr/lib/python3.11/os.py DIST/web/__init__.py DIST/web/conf/__init__.py \
        DIST/web/admin/__init__.py DIST/web/template/loader.py DIST/six.py";

    #[test]
    fn hard_41_templates_and_translations_of_a_used_part_of_a_package_stay() {
        let fixture = framework().uses(&USES.replace("DIST", &format!("/{SITE}")));
        let expected = [
            "web/admin/static/admin/js/page.js",
            "web/admin/templates/admin/page.html",
            "web/conf/locale/de/django.mo",
            "web/conf/locale/ja/django.mo",
            "web/conf/only.po",
            "web/template/words.txt.gz",
        ];
        assert_eq!(kept(&fixture), expected);
        let text = crate::explain(
            &fixture.plan().ledger,
            &crate::fixture::path(&format!("/{SITE}/web/conf/locale/ja/django.mo")),
        );
        let expected = format!("kept: data of the package of /{SITE}/web/conf/__init__.py\n");
        assert!(text.to_string().contains(&expected), "{text}");
    }

    #[test]
    fn no_data_stays_beside_code_that_was_not_used_or_where_the_policy_wants_no_more_than_was_seen() {
        let uses = |uses: &str| framework().uses(&uses.replace("DIST", &format!("/{SITE}")));
        assert_eq!(kept(&uses("/large /usr/lib/python3.11/os.py DIST/six.py")), [""; 0]);
        let none = uses(USES).policy(|policy| policy.generalize = Generalize::None);
        assert_eq!(kept(&none), [""; 0]);
    }

    #[test]
    fn directories_that_would_cost_more_than_a_sixth_of_what_is_kept_go() {
        let site = "usr/share/perl5";
        let layer = TarBuilder::from_text(&format!("{site}/App.pm {site}/App/Web.pm {site}/App/small.txt"))
            .entry(TarEntry::file("large", "x".repeat(10_000)))
            .entry(TarEntry::file(format!("{site}/App/public/big.css"), "x".repeat(2_000)))
            .entry(TarEntry::file(format!("{site}/App/public/js/big.js"), "x".repeat(2_000)));
        let fixture = image(layer).uses(&format!("/large /{site}/App/Web.pm"));
        assert_eq!(fixture.by(Rule::PackageData), [""; 0]);
    }
}
