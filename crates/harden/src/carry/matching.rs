//! Which path of an image is what a path of another version of it was.

use std::collections::{BTreeMap, BTreeSet};

use image::{Digest, Image, ImagePath, Node, NodeKind, ReadFileError};
use packages::{PackageDatabase, PackageIndex};
use profile::{PackageFiles, Surroundings};

use super::report::{CarryReason, DropReason};
use super::{role, surroundings};

/// Most directories that one directory of the other version may have become.
const MAX_DIRECTORIES: usize = 8;
/// Most paths that one path may have become; all are kept.
const MAX_SEVERAL: usize = 16;
/// Smaller files have the same content by chance.
const MIN_CONTENT_BYTES: u64 = 32;
/// Most files of one size whose content is compared.
const MAX_COMPARED: usize = 32;

/// What became of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Unchanged,
    Carried(Vec<ImagePath>, CarryReason),
    Uncertain(Vec<ImagePath>, CarryReason),
    Dropped(DropReason),
}

/// Finds paths of the other version in an image.
pub(crate) struct Matcher<'a> {
    image: &'a Image,
    packages: &'a PackageDatabase,
    old: &'a Surroundings,
    /// The packages that owned a path of the other version.
    owners: BTreeMap<&'a ImagePath, Vec<&'a PackageFiles>>,
    /// Packages of the image by the role of their name.
    successors: BTreeMap<Vec<u8>, Vec<PackageIndex>>,
    /// What a directory of the other version may be, each with how far the names are apart.
    directories: BTreeMap<ImagePath, Vec<(ImagePath, u32)>>,
    /// What is in a directory of the image, by the role of its name.
    children: BTreeMap<ImagePath, BTreeMap<Vec<u8>, Vec<ImagePath>>>,
    /// The same for a package of the image.
    owned: BTreeMap<PackageIndex, BTreeMap<Vec<u8>, Vec<ImagePath>>>,
    /// The files of the image that the other version did not have, by size; filled when first asked for.
    by_size: Option<BTreeMap<u64, Vec<ImagePath>>>,
    /// The digests that were computed.
    digests: BTreeMap<ImagePath, Option<Digest>>,
}

impl<'a> Matcher<'a> {
    pub(crate) fn new(image: &'a Image, packages: &'a PackageDatabase, old: &'a Surroundings) -> Self {
        let mut owners: BTreeMap<&ImagePath, Vec<&PackageFiles>> = BTreeMap::new();
        for package in &old.packages {
            package.files.iter().for_each(|path| owners.entry(path).or_default().push(package));
        }
        let mut successors: BTreeMap<Vec<u8>, Vec<PackageIndex>> = BTreeMap::new();
        for (index, package) in packages.packages.iter().enumerate() {
            successors.entry(role::of_name(package.name.as_bytes())).or_default().push(PackageIndex(index));
        }
        let (directories, children, owned, by_size, digests) = Default::default();
        Self { image, packages, old, owners, successors, directories, children, owned, by_size, digests }
    }

    /// The names of the packages that owned a path of the other version.
    pub(crate) fn old_packages(&self, path: &ImagePath) -> Vec<String> {
        let owners = self.owners.get(path).into_iter().flatten();
        owners.map(|package| package.name.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The packages of the image that are what this one of the other version was.
    pub(crate) fn successors(&self, package: &PackageFiles) -> &[PackageIndex] {
        self.successors.get(&role::of_name(package.name.as_bytes())).map_or(&[], Vec::as_slice)
    }

    /// What a path of the other version is in the image. `is_directory` where it is known to have been one.
    pub(crate) fn find(&mut self, path: &ImagePath, is_directory: bool) -> Result<Outcome, ReadFileError> {
        if self.image.tree().get(path).is_some() {
            return Ok(Outcome::Unchanged);
        }
        if let Some(outcome) = self.by_name(path, is_directory) {
            return Ok(outcome);
        }
        if let Some(outcome) = self.in_package(path) {
            return Ok(outcome);
        }
        if let Some(outcome) = self.by_content(path)? {
            return Ok(outcome);
        }
        let owners = self.owners.get(path).map_or(&[][..], Vec::as_slice);
        Ok(Outcome::Dropped(match owners {
            [] => DropReason::NothingLikeIt,
            owners if owners.iter().any(|owner| !self.successors(owner).is_empty()) => DropReason::FileGone,
            _ => DropReason::PackageGone,
        }))
    }

    /// What has the same names but for versions and hashes. What is new in this image goes before what was there, and
    /// what the same package owns before the rest; of these, the nearest.
    fn by_name(&mut self, path: &ImagePath, is_directory: bool) -> Option<Outcome> {
        let candidates = self.candidates(path, is_directory);
        let fits = |was_there: bool, owner: bool| {
            let fitting = candidates.iter().filter(|(candidate, _)| {
                self.was_there(candidate) == was_there && (!owner || self.has_same_owner(path, candidate))
            });
            let least = fitting.clone().map(|(_, changed)| *changed).min();
            fitting
                .filter(|(_, changed)| Some(*changed) == least)
                .map(|(candidate, _)| candidate.clone())
                .collect::<Vec<_>>()
        };
        let certain = match self.owners.contains_key(path) {
            true => CarryReason::SamePackage,
            false => CarryReason::SameName,
        };
        for (found, doubt) in [
            (fits(false, true), None),
            (fits(false, false), Some(CarryReason::OtherPackage)),
            (fits(true, false), Some(CarryReason::ThereBefore)),
        ] {
            match (found.len(), doubt) {
                (0, _) => {}
                (1, None) => return Some(Outcome::Carried(found, certain)),
                (1, Some(doubt)) => return Some(Outcome::Uncertain(found, doubt)),
                (2..=MAX_SEVERAL, _) => return Some(Outcome::Uncertain(found, CarryReason::Several)),
                _ => return Some(Outcome::Dropped(DropReason::TooMany)),
            }
        }
        None
    }

    /// What the successors of its package have under the same name elsewhere.
    fn in_package(&mut self, path: &ImagePath) -> Option<Outcome> {
        let role = role::of_name(path.name());
        let owners = self.owners.get(path)?;
        let successors: BTreeSet<PackageIndex> =
            owners.iter().flat_map(|owner| self.successors(owner)).copied().collect();
        let mut files: BTreeSet<ImagePath> = BTreeSet::new();
        for index in successors {
            let package = self.packages.package(index);
            let by_role = self.owned.entry(index).or_insert_with(|| {
                let mut by_role: BTreeMap<Vec<u8>, Vec<ImagePath>> = BTreeMap::new();
                for file in package.iter().flat_map(|package| &package.files) {
                    by_role.entry(role::of_name(file.name())).or_default().push(file.clone());
                }
                by_role
            });
            files.extend(by_role.get(&role).into_iter().flatten().cloned());
        }
        files.retain(|file| !self.was_there(file));
        let same_name: Vec<_> = files.iter().filter(|file| file.name() == path.name()).cloned().collect();
        let fitting = if same_name.is_empty() { files.into_iter().collect() } else { same_name };
        let ending = |file: &ImagePath| {
            let [mut one, mut other] =
                [file, path].map(|path| path.components().collect::<Vec<_>>().into_iter().rev());
            std::iter::from_fn(|| one.next().filter(|name| other.next() == Some(*name))).count()
        };
        let longest = fitting.iter().map(&ending).max()?;
        let best: Vec<ImagePath> = fitting.into_iter().filter(|file| ending(file) == longest).collect();
        match best.len() {
            1 => Some(Outcome::Carried(best, CarryReason::MovedInPackage)),
            2..=MAX_SEVERAL => Some(Outcome::Uncertain(best, CarryReason::Several)),
            _ => Some(Outcome::Dropped(DropReason::TooMany)),
        }
    }

    /// What has the same content somewhere else.
    fn by_content(&mut self, path: &ImagePath) -> Result<Option<Outcome>, ReadFileError> {
        let Some(facts) = self.old.files.get(path) else { return Ok(None) };
        let (Some(digest), size) = (facts.digest, facts.size_bytes) else { return Ok(None) };
        if size < MIN_CONTENT_BYTES {
            return Ok(None);
        }
        let by_size = match self.by_size.take() {
            Some(known) => known,
            None => self.new_files_by_size(),
        };
        let candidates: Vec<ImagePath> =
            by_size.get(&size).into_iter().flatten().take(MAX_COMPARED).cloned().collect();
        self.by_size = Some(by_size);
        let mut same = Vec::new();
        for candidate in candidates {
            if !self.digests.contains_key(&candidate) {
                let facts = surroundings::facts(self.image, &candidate, size)?;
                self.digests.insert(candidate.clone(), facts.digest);
            }
            if self.digests.get(&candidate) == Some(&Some(digest)) {
                same.push(candidate);
            }
        }
        Ok(match same.len() {
            0 => None,
            1 => Some(Outcome::Carried(same, CarryReason::SameContent)),
            2..=MAX_SEVERAL => Some(Outcome::Uncertain(same, CarryReason::Several)),
            _ => Some(Outcome::Dropped(DropReason::TooMany)),
        })
    }

    fn new_files_by_size(&self) -> BTreeMap<u64, Vec<ImagePath>> {
        let mut by_size: BTreeMap<u64, Vec<ImagePath>> = BTreeMap::new();
        for (path, node) in self.image.tree().iter() {
            if let NodeKind::File { size_bytes, .. } = node.kind
                && !self.was_there(path)
            {
                by_size.entry(size_bytes).or_default().push(path.clone());
            }
        }
        by_size
    }

    /// Whether the other version is known to have had this path.
    fn was_there(&self, path: &ImagePath) -> bool {
        self.owners.contains_key(path) || self.old.unowned.contains(path) || self.old.files.contains_key(path)
    }

    /// Whether a path of the image belongs to a successor of a package that owned the old one, or both to none. True
    /// where the profile does not tell.
    fn has_same_owner(&self, old: &ImagePath, new: &ImagePath) -> bool {
        let new_owners = self.packages.owners(new);
        match self.owners.get(old) {
            None => self.old.is_empty() || new_owners.is_empty(),
            Some(owners) => owners
                .iter()
                .any(|owner| self.successors(owner).iter().any(|index| new_owners.contains(index))),
        }
    }

    /// Every path whose names have the same roles, with how far they are apart ([`role::distance`]).
    fn candidates(&mut self, path: &ImagePath, is_directory: bool) -> Vec<(ImagePath, u32)> {
        let Some(parent) = path.parent() else { return Vec::new() };
        let mut found = Vec::new();
        for (directory, changed) in self.directories_of(&parent) {
            for child in self.alike(&directory, path.name()) {
                let fits = self.image.tree().get(&child).is_some_and(|node| fits_kind(node, is_directory));
                // A link to the directory that the old path lay in does as well.
                if fits && child != *path {
                    let differs = role::distance(path.name(), child.name());
                    found.push((child, changed.saturating_add(differs)));
                }
            }
        }
        found
    }

    /// What a directory of the other version may be in the image, the likeliest first.
    fn directories_of(&mut self, old: &ImagePath) -> Vec<(ImagePath, u32)> {
        let Some(parent) = old.parent() else { return vec![(ImagePath::root(), 0)] };
        if let Some(known) = self.directories.get(old) {
            return known.clone();
        }
        let mut found: Vec<(ImagePath, u32)> = Vec::new();
        for (directory, changed) in self.directories_of(&parent) {
            for child in self.alike(&directory, old.name()) {
                if self.image.tree().get(&child).is_some_and(|node| node.kind == NodeKind::Directory) {
                    let differs = role::distance(old.name(), child.name());
                    found.push((child, changed.saturating_add(differs)));
                }
            }
        }
        found.sort_by(|(a, changed_a), (b, changed_b)| (changed_a, a).cmp(&(changed_b, b)));
        found.truncate(MAX_DIRECTORIES);
        self.directories.insert(old.clone(), found.clone());
        found
    }

    /// What a directory of the image has under this name, and under names of the same role.
    fn alike(&mut self, directory: &ImagePath, name: &[u8]) -> Vec<ImagePath> {
        let tree = self.image.tree();
        let by_role = self.children.entry(directory.clone()).or_insert_with(|| {
            let mut by_role: BTreeMap<Vec<u8>, Vec<ImagePath>> = BTreeMap::new();
            for (child, _) in tree.children(directory) {
                by_role.entry(role::of_name(child.name())).or_default().push(child.clone());
            }
            by_role
        });
        by_role.get(&role::of_name(name)).cloned().unwrap_or_default()
    }
}

fn fits_kind(node: &Node, is_directory: bool) -> bool {
    !is_directory || node.kind == NodeKind::Directory
}
