//! What a used part of R needs beside it.
//!
//! An installed package of R is a directory: its code lies in one database that is read as a whole, its data and plug-ins
//! beside it, and its functions ask for the other packages that it imports when they run. R itself is made of such
//! packages too, and loads the modules for linear algebra and for the network at the first call.

use std::collections::BTreeSet;

use image::{ImagePath, NodeKind};

use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// What describes a package, at its top.
const DESCRIPTION: &[u8] = b"DESCRIPTION";
/// Parts of a package for people, compilers and tests.
const IDLE: [&[u8]; 11] = [
    b"demo",
    b"doc",
    b"examples",
    b"help",
    b"html",
    b"include",
    b"latex",
    b"man",
    b"tests",
    b"tinytest",
    b"unitTests",
];
/// Packages and modules of R itself that open windows.
const FOR_SCREENS: [&[u8]; 3] = [b"R_X11.so", b"R_de.so", b"tcltk"];
/// Where packages are installed, beside the library that a package was found in.
const LIBRARIES: [&str; 5] = [
    "/usr/local/lib/R/site-library",
    "/usr/lib/R/site-library",
    "/usr/lib/R/library",
    "/usr/local/lib/R/library",
    "/usr/lib64/R/library",
];
/// Directories of R's home that it reads when it starts or when asked for.
const HOME: [&[u8]; 2] = [b"etc", b"modules"];

/// Keeps what newly used packages of R need: the rest of the package, and the packages that it imports.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    fresh: &BTreeSet<ImagePath>,
) -> Result<(), PlanError> {
    for path in fresh {
        let Some(package) = package(scene, draft, path) else { continue };
        for part in parts(scene, &package) {
            draft.keep(&part, Rule::R, Some(path));
        }
        let description = scene.text(&package.join(DESCRIPTION).unwrap_or_default())?;
        let Some(library) = package.parent() else { continue };
        for name in ["Depends", "Imports"].iter().flat_map(|field| names(&description, field)) {
            let libraries = LIBRARIES.iter().filter_map(|place| scene.find(place.as_bytes()));
            let mut places = std::iter::once(library.clone()).chain(libraries);
            if let Some(found) = places.find_map(|place| described(scene, &place, name.as_bytes())) {
                draft.keep(&found, Rule::R, Some(path));
            }
        }
        if package.name() == b"base" {
            keep_home(scene, draft, &library, path)?;
        }
    }
    Ok(())
}

/// The directory of the package that this path shows to be in use: its code or plug-in was used, or its description stays
/// because another package imports it. R reads the descriptions of all packages when it lists them.
fn package(scene: &Scene<'_>, draft: &Draft<'_>, path: &ImagePath) -> Option<ImagePath> {
    let directory = path.parent()?;
    let is_imported = path.name() == DESCRIPTION && draft.reason(path)?.rule == Rule::R;
    let package = match directory.name() {
        _ if is_imported => directory,
        b"R" | b"libs" if scene.is_in_use(draft, path) => directory.parent()?,
        _ => return None,
    };
    let has = |name: &[u8]| package.join(name).is_ok_and(|path| scene.tree().get(&path).is_some());
    (has(DESCRIPTION) && has(b"Meta")).then_some(package)
}

/// The files of a package that running it may need.
fn parts(scene: &Scene<'_>, package: &ImagePath) -> Vec<ImagePath> {
    let depth = package.components().count();
    let is_part = |path: &ImagePath| !path.components().nth(depth).is_some_and(|top| IDLE.contains(&top));
    let files = scene.tree().within(package).filter(|(_, node)| node.kind != NodeKind::Directory);
    files.map(|(path, _)| path.clone()).filter(is_part).collect()
}

/// The names in a field of a description: `Imports: stats, jsonlite (>= 0.9.16)`, continued on indented lines.
fn names<'d>(description: &'d str, field: &str) -> Vec<&'d str> {
    let mut lines = description
        .lines()
        .skip_while(|line| line.strip_prefix(field).is_none_or(|rest| !rest.starts_with(':')));
    let first = lines.next().and_then(|line| line.split_once(':')).map(|(_, rest)| rest);
    let further = lines.take_while(|line| line.starts_with([' ', '\t']));
    let words = first.into_iter().chain(further).flat_map(|line| line.split(','));
    let names = words.filter_map(|word| word.trim().split(['(', ' ']).next());
    let is_name = |name: &&str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
    };
    names.filter(is_name).collect()
}

/// The description of a package in a library, if it is there.
fn described(scene: &Scene<'_>, library: &ImagePath, name: &[u8]) -> Option<ImagePath> {
    let path = library.join(name).ok()?.join(DESCRIPTION).ok()?;
    scene.file_size(&path).map(|_| path)
}

/// Keeps the packages that are part of R itself, and the modules that it loads by name.
fn keep_home(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    library: &ImagePath,
    because: &ImagePath,
) -> Result<(), PlanError> {
    for (path, _) in scene.tree().children(library).filter(|(path, _)| !FOR_SCREENS.contains(&path.name())) {
        if let Some(found) = described(scene, library, path.name())
            && scene.text(&found)?.lines().any(|line| line == "Priority: base")
        {
            draft.keep(&found, Rule::R, Some(because));
        }
    }
    let Some(home) = library.parent() else { return Ok(()) };
    for directory in HOME.iter().filter_map(|name| home.join(name).ok()) {
        for (path, _) in scene.tree().children(&directory) {
            if !FOR_SCREENS.contains(&path.name()) {
                draft.keep_way(&ImagePath::root(), &path.to_absolute(), Rule::R, Some(because));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::names;
    use crate::Rule;
    use crate::fixture::image;
    use testkit::{TarBuilder, TarEntry};

    #[test]
    fn hard_45_a_used_package_of_r_stays_with_those_that_it_imports_and_with_r_itself() {
        let package = |library: &str, name: &str| {
            ["Meta/package.rds", &format!("R/{name}.rdb"), "help/x.rdb", "include/x.h", "www/page.html"]
                .map(|file| format!("usr/lib/R/{library}/{name}/{file} "))
                .concat()
        };
        let words = [
            package("library", "base"),
            package("library", "parallel"),
            package("library", "tcltk"),
            package("library", "MASS"),
            package("site-library", "web"),
            package("site-library", "json"),
            package("site-library", "idle"),
            "usr/lib/R/modules/lapack.so usr/lib/R/modules/R_X11.so usr/lib/R/etc/Renviron".to_owned(),
        ];
        let describe = |layer: TarBuilder, (place, text): (&str, &str)| {
            layer.entry(TarEntry::file(format!("usr/lib/R/{place}/DESCRIPTION"), text))
        };
        let layer = [
            ("library/base", "Package: base\nPriority: base\n"),
            ("library/parallel", "Package: parallel\nPriority: base\nImports: tools, compiler\n"),
            ("library/tcltk", "Package: tcltk\nPriority: base\n"),
            ("library/MASS", "Package: MASS\nPriority: recommended\n"),
            ("site-library/web", "Package: web\nImports: base,\n json (>= 1.0)\nSuggests: idle\n"),
            ("site-library/json", "Package: json\n"),
            ("site-library/idle", "Package: idle\n"),
        ]
        .into_iter()
        .fold(TarBuilder::from_text(&words.concat()), describe);
        let uses = "/usr/lib/R/library/base/R/base.rdb /usr/lib/R/site-library/web/R/web.rdb \
            /usr/lib/R/site-library/idle/Meta/package.rds /usr/lib/R/site-library/idle/DESCRIPTION";
        let kept = image(layer).uses(uses).by(Rule::R);
        let kept: Vec<&str> = kept.iter().filter_map(|path| path.strip_prefix("/usr/lib/R/")).collect();
        let expected = [
            "etc/Renviron",
            "library/base/DESCRIPTION",
            "library/base/Meta/package.rds",
            "library/base/www/page.html",
            "library/parallel/DESCRIPTION",
            "library/parallel/Meta/package.rds",
            "library/parallel/R/parallel.rdb",
            "library/parallel/www/page.html",
            "modules/lapack.so",
            "site-library/json/DESCRIPTION",
            "site-library/json/Meta/package.rds",
            "site-library/json/R/json.rdb",
            "site-library/json/www/page.html",
            "site-library/web/DESCRIPTION",
            "site-library/web/Meta/package.rds",
            "site-library/web/www/page.html",
        ];
        assert_eq!(kept, expected);
    }

    #[test]
    fn a_field_of_a_description_goes_on_in_indented_lines() {
        let text = "Package: web\nDepends: R (>= 3.0.0)\nImports: R6 (>= 2.0.0), stringi,\n jsonlite,\n\thttpuv\nTitle: x, y\n";
        assert_eq!(names(text, "Imports"), ["R6", "stringi", "jsonlite", "httpuv"]);
        assert_eq!(names(text, "Depends"), ["R"]);
        assert_eq!(names(text, "Enhances"), [""; 0]);
    }
}
