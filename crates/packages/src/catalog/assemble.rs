//! From what files say to packages beside those of the databases.

use std::collections::{BTreeMap, BTreeSet};

use image::{Image, ImagePath, NodeKind, Tree};

use super::found::{Findings, Found, Owned};
use super::{add_problems, python, scripts};
use crate::locate::Locator;
use crate::read::Problems;
use crate::{
    Ecosystem, InstallState, Limits, Origin, Package, PackageDatabase, ReadPackagesError, lines, purl,
};

/// The database with all that was found.
pub(super) fn assemble(
    image: &Image,
    limits: &Limits,
    database: PackageDatabase,
    findings: Vec<(ImagePath, Findings)>,
) -> Result<PackageDatabase, ReadPackagesError> {
    let systems = system_files(&database);
    let PackageDatabase { mut packages, os_release, alternatives, problems, .. } = database;
    let mut problems = Problems::from(problems);
    packages.iter_mut().for_each(|package| python::add_direct_url(image, package));
    let mut files: usize = packages.iter().map(|package| package.files.len()).sum();
    let mut locator = Locator::new(image.tree());
    let mut seen = BTreeSet::new();
    let described = described(&findings);
    let mut libraries: BTreeMap<String, usize> = BTreeMap::new();
    for (path, findings) in findings {
        add_problems(&mut problems, &path, &findings.problems);
        for found in findings.found {
            // A package names its program better than the program's text does.
            if found.ecosystem == Ecosystem::Generic && systems.contains(&path) {
                continue;
            }
            // Where Perl's metadata are, the list beside them says nothing else.
            if found.ecosystem == Ecosystem::Cpan && described.contains(&path) {
                continue;
            }
            if !seen.insert((found.ecosystem, found.purl.clone(), path.clone(), found.within.clone())) {
                continue;
            }
            let mut package = package(image, limits, &mut locator, &path, found);
            add_perl_version(image, limits, &mut package);
            files = files.saturating_add(package.files.len());
            // One library is many scripts: its parts, its translations, each as it is and made small.
            if package.ecosystem == Ecosystem::Javascript {
                if let Some(known) = libraries.get(&package.purl) {
                    packages[*known].files.extend(package.files);
                    continue;
                }
                libraries.insert(package.purl.clone(), packages.len());
            }
            packages.push(package);
            if packages.len() > limits.packages {
                return Err(ReadPackagesError::Packages { limit: limits.packages });
            }
            if files > limits.files {
                return Err(ReadPackagesError::Files { limit: limits.files });
            }
        }
    }
    Ok(PackageDatabase::new(packages, os_release, alternatives, problems.into_vec()))
}

/// The lists that a component of another file owns.
fn described(findings: &[(ImagePath, Findings)]) -> BTreeSet<ImagePath> {
    let all = findings.iter().flat_map(|(path, findings)| {
        findings.found.iter().flat_map(|found| &found.owns).map(move |owned| (path, owned))
    });
    let lists = all.filter_map(|(path, owned)| match owned {
        Owned::ListedIn(list) if list != path => Some(list.clone()),
        _ => None,
    });
    lists.collect()
}

/// A list of Perl's has no version; the module that the distribution is named after has.
fn add_perl_version(image: &Image, limits: &Limits, package: &mut Package) {
    if package.ecosystem != Ecosystem::Cpan || !package.version.is_empty() {
        return;
    }
    let ending = format!("/{}.pm", package.name.replace('-', "/"));
    let module = package.files.iter().find(|path| path.as_bytes().ends_with(ending.as_bytes()));
    let bytes = module.and_then(|path| image.read_file(path, limits.manifest_bytes).ok());
    if let Some(version) = bytes.and_then(|bytes| scripts::perl_version(&bytes)) {
        package.purl = purl::of("cpan", &[&package.name], &version, &[]);
        package.source_version.clone_from(&version);
        package.version = version;
    }
}

/// All files of the distribution's packages, and of others in its format.
fn system_files(database: &PackageDatabase) -> BTreeSet<ImagePath> {
    let system = database.packages.iter().filter(|package| package.ecosystem.is_system());
    system.flat_map(|package| package.files.iter().cloned()).collect()
}

fn package(
    image: &Image,
    limits: &Limits,
    locator: &mut Locator<'_>,
    path: &ImagePath,
    found: Found,
) -> Package {
    let is_file = matches!(image.tree().get(path).map(|node| &node.kind), Some(NodeKind::File { .. }));
    let mut files: BTreeSet<ImagePath> = is_file.then(|| path.clone()).into_iter().collect();
    for owned in &found.owns {
        match owned {
            Owned::Path(owned) => files.extend(beneath(image.tree(), owned)),
            Owned::ListedIn(list) => files.extend(listed(image, limits, locator, list)),
        }
    }
    Package {
        ecosystem: found.ecosystem,
        source_name: found.name.clone(),
        source_version: found.version.clone(),
        name: found.name,
        version: found.version,
        architecture: String::new(),
        licence: found.licence,
        maintainer: None,
        state: InstallState::Installed,
        purl: found.purl,
        file_list: found.file_list,
        files,
        origin: Origin::Embedded { file: path.clone(), within: found.within },
    }
}

/// This file, or everything beneath this directory.
fn beneath(tree: &Tree, path: &ImagePath) -> Vec<ImagePath> {
    let files = tree.within(path).filter(|(_, node)| node.kind != NodeKind::Directory);
    files.map(|(path, _)| path.clone()).collect()
}

/// The paths of a list that exist: its lines up to the first blank, which Perl follows with a file's type.
fn listed(image: &Image, limits: &Limits, locator: &mut Locator<'_>, list: &ImagePath) -> Vec<ImagePath> {
    let Ok(bytes) = image.read_file(list, limits.manifest_bytes) else { return Vec::new() };
    let names = lines::contents(&bytes).filter_map(|line| line.split(|byte| *byte == b' ').next());
    let paths = names.filter_map(|name| locator.real(&ImagePath::from_absolute(name).ok()?));
    let exists =
        |path: &ImagePath| image.tree().get(path).is_some_and(|node| node.kind != NodeKind::Directory);
    paths.filter(exists).chain([list.clone()]).collect()
}
