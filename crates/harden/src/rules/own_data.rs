//! What was written for this image and lies beside what the workload read: templates, static files, pages.
//!
//! Package managers say what belongs together; of an author's own files only the directories tell. A coverage asks for
//! one page of a site, and production for all.

use std::collections::{BTreeMap, BTreeSet};

use image::{ImagePath, NodeKind};
use profile::{AccessKind, PathUsage};

use super::data_file::is_data;
use super::reference::{VENDORED, is_own_code};
use crate::draft::Draft;
use crate::scene::Scene;
use crate::{Generalize, PlanError, Rule};

/// Names of directories that are one whole: what is in them is chosen by requests, users and settings.
const WHOLE: [&str; 15] = [
    "assets",
    "htdocs",
    "html",
    "i18n",
    "layouts",
    "locales",
    "pages",
    "public",
    "static",
    "templates",
    "translations",
    "views",
    "webroot",
    "wwwroot",
    "www",
];
/// Directories of the file system hierarchy that hold many things which have nothing to do with each other.
const SHARED: [&str; 27] = [
    "boot",
    "dev",
    "etc",
    "home",
    "media",
    "mnt",
    "opt",
    "proc",
    "root",
    "run",
    "srv",
    "sys",
    "tmp",
    "usr",
    "usr/local",
    "usr/local/bin",
    "usr/local/etc",
    "usr/local/sbin",
    "usr/local/share",
    "var",
    "var/cache",
    "var/lib",
    "var/log",
    "var/opt",
    "var/spool",
    "var/tmp",
    "var/www",
];
/// Endings of scripts that look like data to who does not run them.
const SCRIPT_ENDINGS: [&[u8]; 4] = [b".js", b".ts", b".jsx", b".tsx"];
/// Most bytes that one directory may add, unless the policy keeps units whole.
const MAX_BYTES: u64 = 32 << 20;

/// Keeps, of each own file that the workload read: the directory with a [name](WHOLE) that says so around it; or else
/// the largest directory around it in which no own code was used; or else its siblings of the same kind. Beside own code
/// that ran, directories of such a name stay although nothing of them was read: a framework finds them there.
///
/// Needs the policy's `references` or more.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) -> Result<(), PlanError> {
    if scene.policy.generalize < Generalize::References {
        return Ok(());
    }
    let databases = packages::database_files(scene.packages, scene.image);
    let mut data = Vec::new();
    let mut with_code = BTreeSet::new();
    let mut units: BTreeMap<Unit, &ImagePath> = BTreeMap::new();
    for (path, usage) in &scene.profile.paths {
        // Settings in /etc are all read when a program starts, or not meant.
        let is_ours = || {
            is_own_code(scene, path) && path.components().next() != Some(b"etc") && !databases.contains(path)
        };
        let Some(size) = scene.file_size(path).filter(|_| is_ours()) else { continue };
        let is_read = usage.0.contains_key(&AccessKind::OpenRead);
        if whole(path).is_some() {
            data.extend(is_read.then_some(path));
        } else if is_script(path) || !is_data(scene, path, size)? {
            with_code.extend(std::iter::successors(path.parent(), ImagePath::parent));
            if is_read_or_run(usage) {
                for directory in wholes_beside(scene, path) {
                    units.entry(Unit { directory, ending: None }).or_insert(path);
                }
            }
        } else {
            data.extend(is_read.then_some(path));
        }
    }
    for path in data {
        if let Some(unit) = unit(path, &with_code) {
            units.entry(unit).or_insert(path);
        }
    }
    for (unit, because) in units {
        let parts = parts(scene, &unit)?;
        let size: u64 = parts.iter().filter_map(|part| scene.file_size(part)).sum();
        if size > MAX_BYTES && scene.policy.generalize < Generalize::Package {
            draft.warn(format!(
                "{} is in use and its other files are not kept, as they have {} MB; keep the directory if it is needed",
                unit.directory,
                size / 1_000_000
            ));
            continue;
        }
        for part in parts {
            draft.keep(&part, Rule::OwnData, Some(because));
        }
    }
    Ok(())
}

fn is_read_or_run(usage: &PathUsage) -> bool {
    usage.kinds().any(|kind| matches!(kind, AccessKind::Exec | AccessKind::OpenRead))
}

/// Directories with one of the names beside a file, if that is in a directory of its own.
fn wholes_beside(scene: &Scene<'_>, path: &ImagePath) -> Vec<ImagePath> {
    let Some(directory) = path.parent().filter(|directory| !is_shared(directory)) else { return Vec::new() };
    let is_whole = |name: &[u8]| WHOLE.iter().any(|whole| whole.as_bytes() == name);
    let children = scene.tree().children(&directory);
    let found = children.filter(|(child, node)| node.kind == NodeKind::Directory && is_whole(child.name()));
    found.map(|(child, _)| child.clone()).collect()
}

/// What stays together.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Unit {
    directory: ImagePath,
    /// Of files beside each other: how their names end. Else everything beneath counts.
    ending: Option<Vec<u8>>,
}

fn unit(path: &ImagePath, with_code: &BTreeSet<ImagePath>) -> Option<Unit> {
    let around = || std::iter::successors(path.parent(), ImagePath::parent).filter(|above| !is_shared(above));
    let free = || around().take_while(|above| !with_code.contains(above)).last();
    if let Some(directory) = whole(path).or_else(free) {
        return Some(Unit { directory, ending: None });
    }
    let name = path.name();
    let at = name.iter().rposition(|&byte| byte == b'.').filter(|&at| at > 0)?;
    let directory = around().next()?;
    Some(Unit { directory, ending: name.get(at..).map(<[u8]>::to_vec) })
}

/// The topmost directory around a file that has one of the names and is not shared with others.
fn whole(path: &ImagePath) -> Option<ImagePath> {
    std::iter::successors(path.parent(), ImagePath::parent)
        .filter(|above| !is_shared(above))
        .filter(|above| WHOLE.iter().any(|whole| above.name() == whole.as_bytes()))
        .last()
}

pub(crate) fn is_shared(directory: &ImagePath) -> bool {
    directory.is_root()
        || SHARED.iter().any(|shared| directory.to_absolute().get(1..) == Some(shared.as_bytes()))
}

fn is_script(path: &ImagePath) -> bool {
    SCRIPT_ENDINGS.iter().any(|ending| path.name().ends_with(ending))
}

/// The paths of a unit that nobody else brought; code only where the directory's name says that all is meant.
fn parts(scene: &Scene<'_>, unit: &Unit) -> Result<Vec<ImagePath>, PlanError> {
    let depth = unit.directory.components().count();
    let mut parts = Vec::new();
    for (path, node) in scene.tree().within(&unit.directory) {
        let below: Vec<&[u8]> = path.components().skip(depth).collect();
        let is_meant = match &unit.ending {
            Some(ending) => below.len() == 1 && below.iter().all(|name| name.ends_with(ending)),
            None => !below
                .iter()
                .any(|name| *name == b".git" || VENDORED.iter().any(|vendored| *name == vendored.as_bytes())),
        };
        let is_part = match node.kind {
            NodeKind::File { size_bytes, .. } => {
                whole(path).is_some() || (!is_script(path) && is_data(scene, path, size_bytes)?)
            }
            NodeKind::Directory => whole(path).is_some(),
            NodeKind::Symlink { .. } => true,
            _ => false,
        };
        if is_meant && is_part && scene.packages.owners(path).is_empty() {
            parts.push(path.clone());
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use crate::fixture::image;
    use crate::{Generalize, Rule};

    const FLASK: &str = "srv/shop/__init__.py srv/shop/templates/index.html srv/shop/templates/errors/500.html \
        srv/shop/static/css/site.css srv/shop/static/js/site.js srv/shop/notes.txt srv/shop/plan.txt srv/shop/README.md \
        srv/shop/mail/welcome.txt srv/shop/mail/de/welcome.txt srv/shop/tests/test_shop.py";

    #[test]
    fn hard_50_templates_and_static_files_stay_with_the_one_that_was_read() {
        let fixture = image(FLASK)
            .uses("/srv/shop/__init__.py /srv/shop/templates/index.html /srv/shop/static/css/site.css");
        let expected = [
            "/srv/shop/static",
            "/srv/shop/static/css",
            "/srv/shop/static/js",
            "/srv/shop/static/js/site.js",
            "/srv/shop/templates",
            "/srv/shop/templates/errors",
            "/srv/shop/templates/errors/500.html",
        ];
        let kept = fixture.plan();
        let kept: Vec<String> = kept
            .ledger
            .entries
            .iter()
            .filter(|(path, entry)| {
                entry.decision == crate::Decision::Keep
                    && ["/srv/shop/static", "/srv/shop/templates"]
                        .iter()
                        .any(|top| path.to_string().starts_with(top))
            })
            .map(|(path, _)| path.to_string())
            .collect();
        for path in expected {
            assert!(kept.iter().any(|kept| kept == path), "{path}: {kept:?}");
        }
        let none = image(FLASK).uses("/srv/shop/static/css/site.css").policy(|policy| {
            policy.generalize = Generalize::None;
        });
        assert_eq!(none.by(Rule::OwnData), Vec::<String>::new());
    }

    #[test]
    fn data_without_code_around_it_is_a_unit_and_beside_code_only_its_kind_is() {
        let files = |uses: &str| {
            let all = image(FLASK).uses(uses).by(Rule::OwnData);
            let beside_code = ["/srv/shop/static", "/srv/shop/templates"];
            let is_beside = |path: &String| beside_code.iter().any(|one| path.starts_with(one));
            all.into_iter().filter(|path| path.contains('.') && !is_beside(path)).collect::<Vec<_>>()
        };
        assert_eq!(
            files("/srv/shop/__init__.py /srv/shop/mail/welcome.txt"),
            ["/srv/shop/mail/de/welcome.txt"]
        );
        assert_eq!(files("/srv/shop/__init__.py /srv/shop/notes.txt"), ["/srv/shop/plan.txt"]);
        assert_eq!(files("/srv/shop/__init__.py stat:/srv/shop/notes.txt"), Vec::<String>::new());
    }

    #[test]
    fn hard_50_views_and_static_files_stay_beside_own_code_that_ran_although_none_was_read() {
        let kept = |uses: &str| {
            let all = image(FLASK).uses(uses).by(Rule::OwnData);
            all.into_iter().filter(|path| path.contains('.')).collect::<Vec<_>>()
        };
        let beside = [
            "/srv/shop/static/css/site.css",
            "/srv/shop/static/js/site.js",
            "/srv/shop/templates/errors/500.html",
            "/srv/shop/templates/index.html",
        ];
        assert_eq!(kept("/srv/shop/__init__.py"), beside);
        assert_eq!(kept("stat:/srv/shop/__init__.py"), [""; 0]);
    }

    #[test]
    fn shared_directories_and_what_was_installed_are_no_units() {
        for (words, uses) in [
            ("etc/app/a.conf etc/app/b.conf", "/etc/app/a.conf"),
            ("usr/lib/app/a.txt usr/lib/app/b.txt", "/usr/lib/app/a.txt"),
            (
                "app/node_modules/x/views/a.html app/node_modules/x/views/b.html",
                "/app/node_modules/x/views/a.html",
            ),
        ] {
            let kept = image(words).uses(uses).by(Rule::OwnData);
            assert_eq!(kept, Vec::<String>::new(), "{words}");
        }
        let vendored = image("site/html/index.html site/html/vendor/x.php").uses("/site/html/index.html");
        assert!(!vendored.by(Rule::OwnData).iter().any(|path| path.contains("vendor")));
    }

    #[test]
    fn a_very_large_directory_is_told_of_and_not_kept() {
        let words = || {
            let huge = testkit::TarEntry::file("data/huge.bin", vec![b'x'; 33 << 20]);
            testkit::TarBuilder::from_text("data/a.bin").entry(huge)
        };
        let plan = image(words()).uses("/data/a.bin").plan();
        assert!(plan.warnings.iter().any(|warning| warning.contains("/data")), "{:?}", plan.warnings);
        let whole =
            image(words()).uses("/data/a.bin").policy(|policy| policy.generalize = Generalize::Package);
        assert_eq!(whole.by(Rule::OwnData), ["/data/huge.bin"]);
    }
}
