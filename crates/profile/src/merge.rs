//! The union of profiles of one image.

use std::collections::{BTreeMap, BTreeSet};

use image::Digest;

use crate::document::FORMAT_VERSION;
use crate::{PathUsage, Process, Profile, Step, Surroundings, Usage};

/// Why profiles cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Nothing to merge.
    #[error("there is no profile to merge")]
    Empty,
    /// Profiles of different images.
    #[error("profile {position} is of image {other}, the first one of {first}")]
    DifferentImages {
        /// Which profile, counted from 1 in the order given.
        position: usize,
        /// Image ID of the first one.
        first: Digest,
        /// Image ID of this one.
        other: Digest,
    },
    /// More runs than a document can number.
    #[error("the profiles hold more runs than one document can")]
    TooManyRuns,
}

impl MergeError {
    /// What the user can try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::DifferentImages { .. } => {
                Some("record the coverage again on one and the same image".to_owned())
            }
            Self::Empty | Self::TooManyRuns => None,
        }
    }
}

/// The union of these profiles: a path is used if one of them used it, and the verdict is the worst of theirs.
///
/// Runs are concatenated in the order given, and "first used" follows that order; everything else does not depend on
/// it. The reference and the manifest digest are those of the first profile.
///
/// # Errors
/// [`MergeError`] if there is none, or if their image IDs differ.
pub fn merge(profiles: &[Profile]) -> Result<Profile, MergeError> {
    let first = profiles.first().ok_or(MergeError::Empty)?;
    for (position, profile) in (1..).zip(profiles) {
        if profile.image.image_id != first.image.image_id {
            let (first, other) = (first.image.image_id, profile.image.image_id);
            return Err(MergeError::DifferentImages { position, first, other });
        }
    }
    let processes: BTreeSet<&Process> = profiles.iter().flat_map(Profile::processes_in_use).collect();
    let index: BTreeMap<&Process, u32> = processes.iter().copied().zip(0..).collect();
    let mut merged = Profile {
        format_version: FORMAT_VERSION,
        image: first.image.clone(),
        runs: Vec::new(),
        processes: processes.iter().map(|&process| process.clone()).collect(),
        paths: BTreeMap::new(),
        surroundings: Surroundings::union(profiles.iter().map(|profile| &profile.surroundings)),
        carried: BTreeMap::new(),
    };
    for profile in profiles {
        let offset = u32::try_from(merged.runs.len()).map_err(|_| MergeError::TooManyRuns)?;
        merged.runs.extend(profile.runs.iter().cloned());
        for (path, usages) in &profile.paths {
            let into = merged.paths.entry(path.clone()).or_default();
            add(into, usages, offset, |old| {
                profile.process(old).and_then(|process| index.get(process).copied())
            })?;
        }
        // Of several old names the first in path order, so that the order of merging does not matter.
        for (path, old) in &profile.carried {
            let known = merged.carried.entry(path.clone()).or_insert_with(|| old.clone());
            *known = old.min(known).clone();
        }
    }
    Ok(merged)
}

impl Profile {
    fn processes_in_use(&self) -> impl Iterator<Item = &Process> {
        let usages = self.paths.values().flat_map(|usages| usages.0.values());
        let indexes: BTreeSet<u32> = usages.flat_map(|usage| usage.processes.iter().copied()).collect();
        indexes.into_iter().filter_map(|index| self.process(index))
    }
}

/// Adds the uses of one path, its runs moved by `offset`, its processes renumbered.
fn add(
    into: &mut PathUsage,
    from: &PathUsage,
    offset: u32,
    renumber: impl Fn(u32) -> Option<u32>,
) -> Result<(), MergeError> {
    for (&kind, usage) in from.0.iter() {
        let runs = moved(usage, offset)?;
        let processes = usage.processes.iter().filter_map(|&old| renumber(old));
        let mut moved = Usage { processes: processes.collect(), ..usage.clone() };
        moved.set_runs(runs);
        match into.0.get_mut(&kind) {
            None => into.0.insert(kind, moved),
            Some(known) => known.unite(&moved),
        }
    }
    Ok(())
}

/// The runs of a use, moved behind those that are there already.
fn moved(usage: &Usage, offset: u32) -> Result<BTreeMap<u32, Step>, MergeError> {
    let run = |run: u32| run.checked_add(offset).ok_or(MergeError::TooManyRuns);
    usage.runs().into_iter().map(|(old, step)| Ok((run(old)?, step))).collect()
}
