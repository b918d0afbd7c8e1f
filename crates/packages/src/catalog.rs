//! Everything that an image holds: what its package databases list, and what its files say of themselves.
//!
//! A plan needs to know who owns a file, and asks [`read()`](crate::read()) for that, which reads databases alone. A list
//! of components goes further: archives, programs and manifests are opened too.
//!
//! **Ownership wins**: what a package of the distribution owns is that package's, whatever it says of itself, and is not
//! listed a second time. Packages of third parties' archives ([`Package::third_party`]) are looked into, since no
//! advisories of the distribution speak of them.
//!
//! One pass over the tree finds the files (`kind`); each is examined alone, on several threads; what it says depends on
//! nothing but its path and its bytes, so that a cache can keep it by layer ([`Cache`]).

mod assemble;
mod cache;
mod cargo;
pub(crate) mod elf;
pub(crate) mod found;
#[cfg(feature = "fuzz")]
pub(crate) mod fuzz;
pub(crate) mod go;
mod java;
pub(crate) mod javascript;
mod json;
mod kind;
mod locks;
mod nix;
pub(crate) mod programs;
mod python;
mod ruby;
mod scripts;
mod zip;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::{Image, ImagePath};

pub use self::cache::Cache;
use self::found::Findings;
use self::kind::Kind;
use crate::read::{Problems, read_within};
use crate::{Limits, Package, PackageDatabase, ReadPackagesError};

/// All packages of an image, those of its databases and those that files embed.
///
/// # Errors
/// As [`read()`](crate::read()). A file that cannot be understood is no error: see [`PackageDatabase::problems`].
pub fn catalog(image: &Image) -> Result<PackageDatabase, ReadPackagesError> {
    catalog_within(image, &Limits::default(), None)
}

/// As [`catalog()`], within other limits, and with a cache of what layers and images hold.
///
/// # Errors
/// As [`catalog()`]. A cache that cannot be read or written is no error.
pub fn catalog_within(
    image: &Image,
    limits: &Limits,
    cache: Option<&Cache>,
) -> Result<PackageDatabase, ReadPackagesError> {
    if let Some(known) = cache.and_then(|cache| cache.image(image, limits)) {
        return Ok(known);
    }
    let database = read_within(image, limits)?;
    let files = files(image, &database);
    let mut findings = examine(image, &files, limits, cache);
    findings.extend(nix::find(image.tree()));
    let database = assemble::assemble(image, limits, database, findings)?;
    if let Some(cache) = cache {
        cache.keep_image(image, limits, &database);
    }
    Ok(database)
}

/// The files to examine, in the order of the tree: those of a kind that says something, unless the distribution's own
/// package owns them.
fn files(image: &Image, database: &PackageDatabase) -> Vec<(ImagePath, Kind)> {
    let os = database.os_release.as_ref();
    let is_distributions = |package: &Package| package.ecosystem.is_system() && !package.is_third_party(os);
    let skipped: BTreeSet<usize> =
        (0..database.packages.len()).filter(|&index| is_distributions(&database.packages[index])).collect();
    let is_skipped = |path: &ImagePath| database.owners(path).iter().any(|index| skipped.contains(&index.0));
    let tree = image.tree();
    let known = tree.iter().filter_map(|(path, node)| Some((path, kind::of(tree, path, node)?)));
    known.filter(|(path, _)| !is_skipped(path)).map(|(path, kind)| (path.clone(), kind)).collect()
}

/// What each of these files says, in their order.
fn examine(
    image: &Image,
    files: &[(ImagePath, Kind)],
    limits: &Limits,
    cache: Option<&Cache>,
) -> Vec<(ImagePath, Findings)> {
    let known = cache.map(|cache| cache.layers(image, limits));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done: Vec<(usize, Findings)> = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((path, kind)) = files.get(at) else { return done };
            let kept = known.as_ref().and_then(|known| known.get(image, path));
            done.push((at, kept.unwrap_or_else(|| kind.examine(image, path, limits))));
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(8).min(files.len().max(1));
    let mut all: Vec<(usize, Findings)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("examining a file does not panic"))
            .collect()
    });
    all.sort_by_key(|(at, _)| *at);
    let all: Vec<_> = all.into_iter().map(|(at, findings)| (files[at].0.clone(), findings)).collect();
    if let (Some(cache), Some(known)) = (cache, known) {
        cache.keep_layers(image, limits, known, &all);
    }
    all
}

/// Adds what is wrong with a file as a whole.
fn add_problems(problems: &mut Problems, path: &ImagePath, messages: &[String]) {
    problems.extend(path, messages.iter().map(|message| (0, message.clone())).collect());
}
