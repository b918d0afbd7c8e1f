//! The suites of programs that an image is about: those whose programs the workload ran, the base system apart.
//!
//! Packages of one source are one suite. What a workload ran of `coreutils` says nothing about the rest of `coreutils`;
//! what it ran of a database says that this is an image of that database.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use image::{ImagePath, NodeKind};
use packages::{Package, PackageIndex};
use profile::AccessKind;

use super::data_file::is_code_by_name;

use crate::draft::Draft;
use crate::scene::Scene;
use crate::{Generalize, PlanError};

/// Where dpkg keeps its database; an image of a few packages may have one file for each.
const DPKG_STATUS: &str = "/var/lib/dpkg/status";
const MAX_STATUS_BYTES: u64 = 32 << 20;
/// System package managers: the packages of languages have rules of their own.
const SYSTEM: [&str; 3] = ["pkg:deb/", "pkg:apk/", "pkg:rpm/"];
/// Beginnings of the versionless name of Alpine's base system, where packages state no priority.
const ALPINE_BASE: [&str; 3] = ["alpine-base", "apk-tools", "busybox"];
/// Packages of one source.
#[derive(Debug, Default)]
pub(crate) struct Suite {
    /// Programs in machine code that were run, with the package that owns them.
    pub(crate) programs: BTreeMap<ImagePath, PackageIndex>,
    /// Its libraries that were mapped: some know where plug-ins and data lie that no program of the suite names.
    pub(crate) libraries: BTreeSet<ImagePath>,
    /// Packages of which any program or script was run.
    pub(crate) run: BTreeMap<PackageIndex, ImagePath>,
    /// Everything that packages of this source own.
    pub(crate) files: BTreeMap<ImagePath, PackageIndex>,
}

impl Suite {
    /// What was run of the package that this file of the suite belongs to.
    pub(crate) fn runner(&self, path: &ImagePath) -> Option<&ImagePath> {
        self.run.get(self.files.get(path)?)
    }
}

/// The suites of the image by the name of their source.
pub(crate) fn suites(scene: &Scene<'_>, draft: &Draft<'_>) -> Result<BTreeMap<String, Suite>, PlanError> {
    let base = base_system(scene)?;
    let counts = |package: &Package| {
        SYSTEM.iter().any(|system| package.purl.starts_with(system)) && !base.contains(&package.name)
    };
    let mut suites: BTreeMap<String, Suite> = BTreeMap::new();
    let was_run = |path: &ImagePath| {
        let usage = scene.profile.usage(path);
        usage.is_some_and(|usage| usage.kinds().any(|kind| kind == AccessKind::Exec))
    };
    for path in draft.kept_paths().filter(|path| was_run(path)) {
        for &index in scene.packages.owners(path) {
            let Some(package) = scene.packages.package(index).filter(|package| counts(package)) else {
                continue;
            };
            let suite = suites.entry(package.source_name.clone()).or_default();
            suite.run.entry(index).or_insert_with(|| path.clone());
            if is_machine_code(scene, path)? {
                suite.programs.insert(path.clone(), index);
            }
        }
    }
    let was_mapped = |path: &ImagePath| {
        let usage = scene.profile.usage(path);
        usage.is_some_and(|usage| usage.kinds().any(|kind| kind == AccessKind::MapExec))
    };
    for path in draft.kept_paths().filter(|path| was_mapped(path)) {
        for &index in scene.packages.owners(path) {
            let package = scene.packages.package(index);
            if let Some(suite) = package.and_then(|package| suites.get_mut(&package.source_name))
                && !suite.programs.contains_key(path)
            {
                suite.libraries.insert(path.clone());
            }
        }
    }
    for (index, package) in scene.packages.packages.iter().enumerate().filter(|(_, package)| counts(package))
    {
        if let Some(suite) = suites.get_mut(&package.source_name) {
            for path in &package.files {
                suite.files.entry(path.clone()).or_insert(PackageIndex(index));
            }
        }
    }
    Ok(suites)
}

/// Packages of the distribution that are nothing but data, of which a file was read, the base system apart: messages in
/// many languages, fonts, lists.
pub(crate) fn data_packages(scene: &Scene<'_>) -> Result<Vec<Suite>, PlanError> {
    let base = base_system(scene)?;
    let is_read = |path: &ImagePath| {
        scene.profile.usage(path).is_some_and(|usage| usage.0.contains_key(&AccessKind::OpenRead))
    };
    let mut found = Vec::new();
    for (index, package) in scene.packages.packages.iter().enumerate() {
        let is_candidate = SYSTEM.iter().any(|system| package.purl.starts_with(system))
            && !base.contains(&package.name)
            && package.files.iter().any(|path| path.as_bytes().starts_with(b"usr/") && is_read(path))
            && !package.files.iter().any(|path| scene.is_executable(path) || is_code_by_name(path));
        if is_candidate {
            let files = package.files.iter().map(|path| (path.clone(), PackageIndex(index))).collect();
            found.push(Suite { files, ..Suite::default() });
        }
    }
    Ok(found)
}

/// How many bytes of files that no run has touched a rule may keep: a tenth of what is kept already, or as much again
/// where the policy keeps units whole.
pub(crate) fn budget_bytes(scene: &Scene<'_>, draft: &Draft<'_>) -> u64 {
    let mut contents = HashSet::new();
    let mut kept_bytes = 0u64;
    for path in draft.kept_paths() {
        if let Some(NodeKind::File { content, size_bytes }) = scene.tree().get(path).map(|node| &node.kind)
            && contents.insert(*content)
        {
            kept_bytes = kept_bytes.saturating_add(*size_bytes);
        }
    }
    match scene.policy.generalize {
        Generalize::Package => kept_bytes,
        Generalize::References => kept_bytes / 10,
        Generalize::None => 0,
    }
}

/// The cheapest of these files, as far as the budget goes. Each comes with what it needs and is not kept yet, which
/// counts too; a file's other names cost nothing.
pub(crate) fn within(
    scene: &Scene<'_>,
    budget_bytes: u64,
    candidates: &BTreeMap<ImagePath, BTreeSet<ImagePath>>,
) -> BTreeSet<ImagePath> {
    let mut sized: Vec<(u64, &ImagePath)> = candidates
        .iter()
        .filter_map(|(path, needed)| {
            let needed: u64 = needed.iter().filter_map(|path| scene.file_size(path)).sum();
            Some((scene.file_size(path)?.saturating_add(needed), path))
        })
        .collect();
    sized.sort();
    let (mut left, mut contents) = (budget_bytes, BTreeSet::new());
    let (mut within, mut brought) = (BTreeSet::new(), BTreeSet::new());
    for (_, path) in sized {
        // A library that several need comes once.
        let needed = candidates[path].iter().filter(|needed| !brought.contains(needed));
        let needed: u64 = needed.filter_map(|needed| scene.file_size(needed)).sum();
        let size = scene.file_size(path).unwrap_or_default().saturating_add(needed);
        let content = match scene.tree().get(path).map(|node| &node.kind) {
            Some(NodeKind::File { content, .. }) => *content,
            _ => continue,
        };
        if !contents.contains(&content) {
            if size > left {
                break;
            }
            left -= size;
            contents.insert(content);
            brought.extend(&candidates[path]);
        }
        within.insert(path.clone());
    }
    within
}

fn is_machine_code(scene: &Scene<'_>, path: &ImagePath) -> Result<bool, PlanError> {
    use std::io::Read as _;
    if scene.file_size(path).is_none_or(|size| size < 4) {
        return Ok(false);
    }
    let mut magic = [0; 4];
    let mut file = scene.image.open_file(path)?;
    let read = file.read_exact(&mut magic);
    read.map_err(|source| image::ReadFileError::Read { path: path.clone(), source })?;
    Ok(magic == *b"\x7fELF")
}

/// Names of packages that every system of the distribution has: dpkg's essential ones, and those of the two highest
/// priorities.
fn base_system(scene: &Scene<'_>) -> Result<BTreeSet<String>, PlanError> {
    let mut base: BTreeSet<String> = ALPINE_BASE.map(str::to_owned).into();
    let Some(status) = scene.find(DPKG_STATUS.as_bytes()) else { return Ok(base) };
    if scene.file_size(&status).is_none_or(|size| size > MAX_STATUS_BYTES) {
        return Ok(base);
    }
    let content = scene.image.read_file(&status, MAX_STATUS_BYTES)?;
    for stanza in String::from_utf8_lossy(&content).split("\n\n") {
        let field = |name: &str| stanza.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let is_base = field("Essential:") == Some("yes")
            || matches!(field("Priority:"), Some("required" | "important"));
        if let Some(name) = field("Package:").filter(|_| is_base) {
            base.insert(name.to_owned());
        }
    }
    Ok(base)
}

#[cfg(test)]
pub(crate) mod fixture {
    use testkit::{TarBuilder, TarEntry};

    /// Adds dpkg's database: for each package its name, one more line of its stanza, and its files.
    pub(crate) fn installed(layer: TarBuilder, packages: &[(&str, &str, &str)]) -> TarBuilder {
        let mut status = String::new();
        let mut layer = layer;
        for (name, line, files) in packages {
            status += &format!(
                "Package: {name}\nStatus: install ok installed\n{line}\nVersion: 1\nArchitecture: all\n\n"
            );
            let list: String = files.split_whitespace().map(|file| format!("{file}\n")).collect();
            layer = layer.entry(TarEntry::file(format!("var/lib/dpkg/info/{name}.list"), list));
        }
        layer.entry(TarEntry::file("var/lib/dpkg/status", status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::image;

    #[test]
    fn the_cheapest_files_stay_within_the_budget_and_other_names_of_a_file_cost_nothing() {
        let fixture =
            image("a:aaaaaaaaaa b:bbbbbbbbbbbbbbbbbbbb c=>a d:ddddd e:eeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
        let profile = fixture.profile();
        let scene = Scene::new(&fixture.image, &fixture.packages, &profile, &fixture.policy);
        let path = crate::fixture::path;
        let candidates: BTreeMap<_, BTreeSet<_>> =
            ["/a", "/b", "/c", "/d"].map(|name| (path(name), BTreeSet::new())).into();
        let names = |budget| {
            let paths = within(&scene, budget, &candidates);
            paths.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(4), [""; 0]);
        assert_eq!(names(15), ["/a", "/c", "/d"]);
        assert_eq!(names(35), ["/a", "/b", "/c", "/d"]);
        let costly =
            BTreeMap::from([(path("/a"), BTreeSet::from([path("/e")])), (path("/d"), BTreeSet::new())]);
        assert_eq!(within(&scene, 39, &costly), [path("/d")].into());
        let shared = BTreeSet::from([path("/b")]);
        let sharing = BTreeMap::from([(path("/a"), shared.clone()), (path("/d"), shared)]);
        assert_eq!(within(&scene, 35, &sharing), [path("/a"), path("/d")].into());
    }
}
