//! Some runs of a profile.

use std::collections::{BTreeMap, BTreeSet};

use crate::{FewMap, PathUsage, Profile, Run, Usage};

impl Profile {
    /// The profile of those runs for which `wanted` is true; `None` where there is none.
    ///
    /// Paths that only other runs used are left out. Who used a path, and how lookups of it failed, is known for all
    /// runs together only, and stays.
    pub fn select(&self, wanted: impl Fn(&Run) -> bool) -> Option<Self> {
        let runs: Vec<(usize, &Run)> = self.runs.iter().enumerate().filter(|(_, run)| wanted(run)).collect();
        let numbers: BTreeMap<u32, u32> = runs
            .iter()
            .zip(0u32..)
            .filter_map(|(&(old, _), new)| Some((u32::try_from(old).ok()?, new)))
            .collect();
        if numbers.is_empty() {
            return None;
        }
        let mut selected = self.clone();
        selected.runs = runs.into_iter().map(|(_, run)| run.clone()).collect();
        selected.paths = self
            .paths
            .iter()
            .filter_map(|(path, usages)| {
                let usages =
                    usages.0.iter().filter_map(|(&kind, usage)| Some((kind, part(usage, &numbers)?)));
                let usages: FewMap<_, _> = usages.collect();
                (!usages.is_empty()).then(|| (path.clone(), PathUsage(usages)))
            })
            .collect();
        selected.carried.retain(|path, _| selected.paths.contains_key(path));
        selected.drop_idle_processes();
        Some(selected)
    }

    /// The profile of the runs that bear at least one of these tags; of all runs where no tag is given.
    pub fn tagged(&self, tags: &BTreeSet<String>) -> Option<Self> {
        self.select(|run| tags.is_empty() || !run.tags.is_disjoint(tags))
    }

    /// Every tag that a run bears.
    pub fn tags(&self) -> BTreeSet<&str> {
        self.runs.iter().flat_map(|run| run.tags.iter().map(String::as_str)).collect()
    }

    /// Leaves out processes that no use refers to, and numbers the others anew.
    fn drop_idle_processes(&mut self) {
        let usages = self.paths.values().flat_map(|usages| usages.0.values());
        let busy: BTreeSet<u32> = usages.flat_map(|usage| usage.processes.iter().copied()).collect();
        let numbers: BTreeMap<u32, u32> = busy.iter().copied().zip(0..).collect();
        self.processes = busy.iter().filter_map(|&index| self.process(index).cloned()).collect();
        for usage in self.paths.values_mut().flat_map(|usages| usages.0.values_mut()) {
            usage.processes = usage.processes.iter().filter_map(|old| numbers.get(old).copied()).collect();
        }
    }
}

/// A use as these runs saw it, renumbered.
fn part(usage: &Usage, numbers: &BTreeMap<u32, u32>) -> Option<Usage> {
    let runs = usage.runs().into_iter().filter_map(|(old, step)| Some((*numbers.get(&old)?, step)));
    let runs: BTreeMap<_, _> = runs.collect();
    let mut part = usage.clone();
    (!runs.is_empty()).then(|| {
        part.set_runs(runs);
        part
    })
}
