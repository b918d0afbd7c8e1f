//! A profile of one version of an image serves the next one: [`carry`].
//!
//! Paths are carried by package and role: the same path; else the path whose names differ in versions and hashes only
//! ([`role`]), new in this version and of the same package; else what the package has moved, or what has the same
//! content. What fits less well is kept and called uncertain; what nothing fits is dropped, and said so.
//! See ADR 12, `docs/adr/0012-profiles-are-carried-by-package-and-role.md`.

mod matching;
mod news;
pub mod report;
mod role;
mod surroundings;

use std::collections::BTreeMap;

use image::{Digest, Image, ImagePath, ReadFileError};
use packages::PackageDatabase;
use profile::{AccessKind, ImageIdentity, MergeError, PathUsage, Profile, Run, Step};

pub use report::{CarriedPath, CarryReason, CarryReport, DropReason, DroppedPath, NewPath};
pub use surroundings::surroundings;

use matching::{Matcher, Outcome};

/// Least share of what a profile used, in percent, that another version of its image still has. Below, and where most
/// of the programs that ran at the start are gone, it is another image and not another version.
const MIN_FOUND_PERCENT: u64 = 50;

/// Why a profile cannot be carried.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// The profile is of another image altogether.
    #[error(
        "the profile is of {profile} ({profile_id}), not of the image with the ID {image_id}, and that is no other \
         version of it: {}", kinship(*.found, *.used)
    )]
    OtherImage {
        /// The reference that the profile names.
        profile: String,
        /// Image ID in the profile.
        profile_id: Digest,
        /// Image ID of the image.
        image_id: Digest,
        /// Used paths that the image has in some form.
        found: u64,
        /// Used paths.
        used: u64,
    },
    /// Too much is uncertain or lost.
    #[error(
        "the profile is of another version of the image, {}: of {} used paths {} are lost and {} uncertain in this one, \
         {} % of them, more than {limit} %", .report.from.reference, .report.used, .report.dropped.len(),
        .report.uncertain.len(), .report.doubtful_percent()
    )]
    TooUncertain {
        /// What became of each path.
        report: Box<CarryReport>,
        /// The share that was allowed, in percent.
        limit: u8,
    },
    /// A file of the image cannot be read.
    #[error("cannot look into the image's files")]
    ReadFile(#[from] ReadFileError),
    /// The profiles cannot be joined.
    #[error("cannot join the profiles")]
    Merge(#[from] MergeError),
}

fn kinship(found: u64, used: u64) -> String {
    match found.saturating_mul(100) < used.saturating_mul(MIN_FOUND_PERCENT) {
        true => format!("of {used} paths that were used it has {found}"),
        false => {
            "it lacks most of the programs that the image starts with, or is for another platform".to_owned()
        }
    }
}

impl CarryError {
    /// What the user can try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::OtherImage { .. } => Some(
                "record the coverage on this image, or harden the image that the profile is of".to_owned(),
            ),
            Self::TooUncertain { report, .. } => Some(format!(
                "record the coverage on this image; or, if what was lost does not matter, allow it with \
                 --max-uncertain {}. What was lost: {}",
                report.doubtful_percent(),
                lost(report)
            )),
            Self::ReadFile(_) | Self::Merge(_) => None,
        }
    }
}

/// The first paths that are lost or uncertain, programs and libraries first.
fn lost(report: &CarryReport) -> String {
    const MOST: usize = 8;
    let mut dropped: Vec<_> = report.dropped.iter().collect();
    dropped.sort_by_key(|dropped| !dropped.was_executed);
    let lost = dropped.iter().map(|dropped| dropped.from.to_string());
    let uncertain = report.uncertain.iter().map(|path| format!("{} (uncertain)", path.from));
    let names: Vec<String> = lost.chain(uncertain).collect();
    let more = names.len().saturating_sub(MOST);
    let shown = names.into_iter().take(MOST).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// Brings profiles to an image: those of it stay as they are, those of other versions are carried, and all are joined.
/// Gives a report for each that was carried, in the order of the profiles.
///
/// # Errors
/// [`CarryError`]; also where more than `max_uncertain` percent of what one of them used is uncertain or lost.
pub fn fit(
    profiles: &[Profile],
    image: &Image,
    packages: &PackageDatabase,
    max_uncertain: u8,
) -> Result<(Profile, Vec<CarryReport>), CarryError> {
    let mut fitting = Vec::new();
    let mut reports = Vec::new();
    for profile in profiles {
        if profile.image.image_id == image.image_id() {
            fitting.push(profile.clone());
            continue;
        }
        let (carried, report) = carry(profile, image, packages)?;
        if report.doubtful_percent() > u64::from(max_uncertain) {
            return Err(CarryError::TooUncertain { report: Box::new(report), limit: max_uncertain });
        }
        fitting.push(carried);
        reports.push(report);
    }
    Ok((profile::merge(&fitting)?, reports))
}

/// Carries a profile of one version of an image to another version of it, with a report of what became of each path.
///
/// Every run of the result names the image that it was recorded on, so that a plan can tell what was seen from what was
/// carried. Lookups that failed are carried as they are. The result depends on the values given alone; a profile of
/// the same files comes back with the same paths.
///
/// # Errors
/// `OtherImage` if the two have too little in common, and `ReadFile`. How much may be lost is for the caller to judge.
pub fn carry(
    profile: &Profile,
    image: &Image,
    packages: &PackageDatabase,
) -> Result<(Profile, CarryReport), CarryError> {
    let mut matcher = Matcher::new(image, packages, &profile.surroundings);
    let mut report = CarryReport {
        from: profile.image.clone(),
        used: 0,
        unchanged: 0,
        carried: Vec::new(),
        uncertain: Vec::new(),
        dropped: Vec::new(),
        new: Vec::new(),
    };
    let mut paths: BTreeMap<ImagePath, PathUsage> = BTreeMap::new();
    let mut names: BTreeMap<ImagePath, ImagePath> = BTreeMap::new();
    let mut started = (0, 0);
    for (path, usage) in &profile.paths {
        if !usage.is_used() {
            unite(paths.entry(path.clone()).or_default(), usage);
            continue;
        }
        report.used += 1;
        let is_directory = usage.kinds().any(|kind| kind == AccessKind::Readdir);
        let outcome = matcher.find(path, is_directory)?;
        let is_found = !matches!(outcome, Outcome::Dropped(_));
        if usage.0.get(&AccessKind::Exec).is_some_and(|exec| exec.first_step == Step(0)) {
            started = (started.0 + u64::from(is_found), started.1 + 1);
        }
        let from = path.clone();
        let to = match outcome {
            Outcome::Unchanged => {
                report.unchanged += 1;
                vec![from]
            }
            Outcome::Carried(to, why) => {
                report.carried.push(CarriedPath { from, to: to.clone(), why });
                to
            }
            Outcome::Uncertain(to, why) => {
                report.uncertain.push(CarriedPath { from, to: to.clone(), why });
                to
            }
            Outcome::Dropped(why) => {
                let was_executed =
                    usage.kinds().any(|kind| matches!(kind, AccessKind::Exec | AccessKind::MapExec));
                let packages = matcher.old_packages(path);
                report.dropped.push(DroppedPath { from, why, packages, was_executed });
                continue;
            }
        };
        for new in to {
            // What this profile itself was carried from is the older name.
            let old = profile.carried.get(path).unwrap_or(path);
            if old != &new && names.get(&new).is_none_or(|known| old < known) {
                names.insert(new.clone(), old.clone());
            }
            unite(paths.entry(new).or_default(), usage);
        }
    }
    check_kinship(profile, image, &report, started)?;
    let news = news::find(profile, image, packages, &matcher);
    for (new, sibling) in &news.kept {
        if let Some(usage) = profile.usage(sibling) {
            names.entry(new.clone()).or_insert_with(|| sibling.clone());
            unite(paths.entry(new.clone()).or_default(), usage);
        }
    }
    report.new = news.new;
    let mut carried = Profile {
        format_version: profile.format_version,
        image: ImageIdentity {
            reference: image.source().to_string(),
            manifest_digest: image.manifest_digest(),
            image_id: image.image_id(),
            platform: image.platform().clone(),
        },
        runs: profile.runs.iter().map(|run| from_other(run, &profile.image)).collect(),
        processes: profile.processes.clone(),
        paths,
        surroundings: profile::Surroundings::default(),
        carried: names,
    };
    carried.surroundings = surroundings(&carried, image, packages)?;
    Ok((carried, report))
}

/// A run as one of another version; a run that was carried before keeps the image that it was really recorded on.
fn from_other(run: &Run, image: &ImageIdentity) -> Run {
    let carried_from = run.carried_from.clone().or_else(|| Some(image.clone()));
    Run { carried_from, ..run.clone() }
}

/// Whether the image is another version of the profile's.
fn check_kinship(
    profile: &Profile,
    image: &Image,
    report: &CarryReport,
    (started_found, started): (u64, u64),
) -> Result<(), CarryError> {
    let found = report.used - report.dropped.len() as u64;
    let (ours, theirs) = (image.platform(), &profile.image.platform);
    let enough = found * 100 >= report.used * MIN_FOUND_PERCENT
        && started_found * 100 >= started * MIN_FOUND_PERCENT
        && ours.os == theirs.os
        && ours.architecture == theirs.architecture;
    if enough {
        return Ok(());
    }
    Err(CarryError::OtherImage {
        profile: profile.image.reference.clone(),
        profile_id: profile.image.image_id,
        image_id: image.image_id(),
        found,
        used: report.used,
    })
}

/// Adds uses to those of a path that several old ones have become.
fn unite(into: &mut PathUsage, usages: &PathUsage) {
    for (kind, usage) in usages.0.iter() {
        match into.0.get_mut(kind) {
            None => into.0.insert(*kind, usage.clone()),
            Some(known) => known.unite(usage),
        }
    }
}

#[cfg(test)]
mod tests;
