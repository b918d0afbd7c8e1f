//! Which package needs which other, as their databases say.

use std::collections::{BTreeMap, BTreeSet};

use image::{Image, ImagePath};
use serde_json::Value;

use crate::read::{self, Limits, ReadPackagesError};
use crate::{Ecosystem, Origin, PackageDatabase, PackageIndex, apk, dpkg, python, rpm};

/// What one package of a database answers to, and what it needs.
pub(crate) struct Needs {
    pub(crate) name: String,
    pub(crate) architecture: String,
    /// Names that it stands in for.
    pub(crate) provides: BTreeSet<String>,
    /// What it needs: each of these is met by any one of its names.
    pub(crate) needs: Vec<Vec<String>>,
}

/// What each installed package needs directly: dpkg's `Depends` and `Pre-Depends`, apk's `D`, rpm's requirements,
/// npm's `dependencies`, what Python distributions require without being asked for an extra.
///
/// A need that nothing installed meets is left out: a hardened image keeps parts of packages, and what the database
/// of such a part still asks for may be gone. Of alternatives the first that is installed counts. Packages of other
/// managers have no entry: what they need is not known here.
///
/// # Errors
/// [`ReadPackagesError`], as [`crate::read()`].
pub fn dependencies(
    image: &Image,
    database: &PackageDatabase,
) -> Result<BTreeMap<PackageIndex, BTreeSet<PackageIndex>>, ReadPackagesError> {
    let limits = Limits::default();
    let mut found = BTreeMap::new();
    for (ecosystem, all) in [
        (Ecosystem::Dpkg, dpkg::dependencies(image, &limits)?),
        (Ecosystem::Apk, apk::dependencies(image, &limits)?),
        (Ecosystem::Rpm, rpm::dependencies(image, &limits)?),
    ] {
        system(database, ecosystem, &all, &mut found);
    }
    npm(image, database, &limits, &mut found)?;
    distributions(image, database, &mut found)?;
    Ok(found)
}

fn system(
    database: &PackageDatabase,
    ecosystem: Ecosystem,
    all: &[Needs],
    found: &mut BTreeMap<PackageIndex, BTreeSet<PackageIndex>>,
) {
    let installed: BTreeMap<(&str, &str), PackageIndex> = database
        .packages
        .iter()
        .enumerate()
        .filter(|(_, package)| package.ecosystem == ecosystem && package.state.is_installed())
        .map(|(index, package)| ((package.name.as_str(), package.architecture.as_str()), PackageIndex(index)))
        .collect();
    let index = |needs: &Needs| installed.get(&(needs.name.as_str(), needs.architecture.as_str())).copied();
    // A package of this name comes before those that only provide it.
    let mut answering: BTreeMap<&str, Vec<&Needs>> = BTreeMap::new();
    for package in all {
        answering.entry(&package.name).or_default().push(package);
    }
    for package in all {
        for name in &package.provides {
            answering.entry(name).or_default().push(package);
        }
    }
    for package in all {
        let Some(own) = index(package) else { continue };
        let meet = |name: &String| {
            let candidates = answering.get(name.as_str())?;
            let same = candidates.iter().filter(|candidate| candidate.architecture == package.architecture);
            same.chain(candidates.iter()).find_map(|candidate| index(candidate))
        };
        let met = package.needs.iter().filter_map(|names| names.iter().find_map(meet));
        found.entry(own).or_default().extend(met.filter(|met| *met != own));
    }
}

/// npm looks for a dependency in the `node_modules` of the package itself, then of each directory above.
///
/// Source: Node.js documentation, "Loading from node_modules folders".
fn npm(
    image: &Image,
    database: &PackageDatabase,
    limits: &Limits,
    found: &mut BTreeMap<PackageIndex, BTreeSet<PackageIndex>>,
) -> Result<(), ReadPackagesError> {
    let mut manifests: BTreeMap<&ImagePath, PackageIndex> = BTreeMap::new();
    for (index, package) in database.packages.iter().enumerate() {
        if let Origin::Npm { manifest } = &package.origin {
            manifests.insert(manifest, PackageIndex(index));
        }
    }
    for (manifest, own) in &manifests {
        let bytes = read::file(image, manifest, limits.list_bytes)?;
        let parsed: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let names =
            ["dependencies", "optionalDependencies"].into_iter().filter_map(|key| parsed[key].as_object());
        let needs = found.entry(*own).or_default();
        for name in names.flat_map(|names| names.keys()).filter(|name| name.len() <= 214) {
            let place = format!("node_modules/{name}/package.json");
            let met = manifest.ancestors().find_map(|directory| {
                let candidate = directory.join(place.as_bytes()).ok()?;
                manifests.get(&candidate).copied()
            });
            needs.extend(met.filter(|met| met != own));
        }
    }
    Ok(())
}

/// Python looks for a distribution beside the one that requires it first, then wherever else there is one.
fn distributions(
    image: &Image,
    database: &PackageDatabase,
    found: &mut BTreeMap<PackageIndex, BTreeSet<PackageIndex>>,
) -> Result<(), ReadPackagesError> {
    let mut known: BTreeMap<String, Vec<(PackageIndex, &ImagePath)>> = BTreeMap::new();
    for (index, package) in database.packages.iter().enumerate() {
        if let Origin::Python { place, .. } = &package.origin {
            known.entry(python::normal_name(&package.name)).or_default().push((PackageIndex(index), place));
        }
    }
    for (index, package) in database.packages.iter().enumerate() {
        let Origin::Python { place, metadata, .. } = &package.origin else { continue };
        let own = PackageIndex(index);
        let needs = found.entry(own).or_default();
        for name in python::requirements(image, place, metadata)? {
            let candidates = known.get(&name).map(Vec::as_slice).unwrap_or_default();
            let beside = candidates.iter().find(|(_, other)| other.parent() == place.parent());
            needs.extend(beside.or(candidates.first()).map(|(met, _)| *met).filter(|met| *met != own));
        }
    }
    Ok(())
}
