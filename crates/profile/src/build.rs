//! From the observations of one run to a profile.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::FORMAT_VERSION;
use crate::{AccessKind, ImageIdentity, Observation, PathUsage, Process, Profile, Run, Surroundings, Usage};

impl Profile {
    /// The profile of one run. The order of the observations does not matter: the result is canonical, that is, its
    /// processes are sorted, unique and all referred to.
    pub fn from_run(image: ImageIdentity, run: Run, observations: &BTreeSet<Observation>) -> Self {
        let processes: BTreeSet<&Process> =
            observations.iter().map(|observation| &observation.process).collect();
        let index: BTreeMap<&Process, u32> = processes.iter().copied().zip(0..).collect();
        let mut paths: BTreeMap<_, PathUsage> = BTreeMap::new();
        for observation in observations {
            let usages = &mut paths.entry(observation.path.clone()).or_default().0;
            let usage = usages.entry(observation.kind).or_insert_with(|| Usage {
                first_run: 0,
                first_step: observation.step,
                processes: BTreeSet::new(),
                errnos: BTreeSet::new(),
                also_in: BTreeMap::new(),
            });
            usage.first_step = usage.first_step.min(observation.step);
            usage.processes.extend(index.get(&observation.process));
            if observation.kind == AccessKind::Missing {
                usage.errnos.insert(observation.errno);
            }
        }
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
