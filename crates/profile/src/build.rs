//! From the observations of one run to a profile.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::FORMAT_VERSION;
use crate::{
    AccessKind, FewSet, ImageIdentity, Observation, PathUsage, Process, Profile, Run, Surroundings, Usage,
};

impl Profile {
    /// The profile of one run. The order of the observations does not matter: the result is canonical, that is, its
    /// processes are sorted, unique and all referred to.
    pub fn from_run(image: ImageIdentity, run: Run, observations: &BTreeSet<Observation>) -> Self {
        let processes: BTreeSet<&Process> =
            observations.iter().map(|observation| &*observation.process).collect();
        let index: BTreeMap<&Process, u32> = processes.iter().copied().zip(0..).collect();
        // Those of one path stand together.
        let mut left = observations.iter().peekable();
        let paths = std::iter::from_fn(|| {
            let path = &left.peek()?.path;
            let mut usages = PathUsage::default();
            while let Some(observation) = left.next_if(|observation| observation.path == *path) {
                add(&mut usages, observation, index.get(&*observation.process));
            }
            Some((path.clone(), usages))
        });
        let paths = paths.collect();
        let processes = processes.into_iter().cloned().collect();
        Self {
            format_version: FORMAT_VERSION,
            image,
            runs: vec![run],
            processes,
            paths,
            surroundings: Surroundings::default(),
            carried: BTreeMap::new(),
        }
    }
}

/// Adds what was observed once to the uses of its path.
fn add(usages: &mut PathUsage, observation: &Observation, process: Option<&u32>) {
    let usage = usages.0.get_or_insert_with(observation.kind, || Usage {
        first_run: 0,
        first_step: observation.step,
        processes: FewSet::default(),
        errnos: FewSet::default(),
        also_in: BTreeMap::new(),
    });
    usage.first_step = usage.first_step.min(observation.step);
    if let Some(&process) = process {
        usage.processes.insert(process);
    }
    if observation.kind == AccessKind::Missing {
        usage.errnos.insert(observation.errno);
    }
}
