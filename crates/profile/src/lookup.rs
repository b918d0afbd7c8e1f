//! Questions to a profile.

use std::collections::BTreeMap;

use image::ImagePath;

use crate::{AccessKind, Incomplete, PathUsage, Process, Profile, Run, Step, Usage, Verdict};

/// Name of what happens from the first instruction of PID 1 until the first step begins.
pub const START: &str = "start";

impl Profile {
    /// Whether this profile can be trusted: complete only if each of its runs is, and there is at least one.
    ///
    /// Reasons stand in the order of the runs, each once.
    pub fn verdict(&self) -> Verdict {
        let mut reasons = Vec::new();
        for run in &self.runs {
            if let Verdict::Incomplete { reasons: more } = run.verdict() {
                reasons.extend(more);
            }
        }
        if self.runs.is_empty() {
            reasons.push(Incomplete::CutOff);
        }
        Verdict::from_reasons(reasons)
    }

    /// The process with this number.
    pub fn process(&self, index: u32) -> Option<&Process> {
        self.processes.get(usize::try_from(index).ok()?)
    }

    /// The processes of a use, in the order of [`Profile::processes`].
    pub fn processes_of(&self, usage: &Usage) -> impl Iterator<Item = &Process> {
        usage.processes.iter().filter_map(|&index| self.process(index))
    }

    /// Name of the step in which a use was first seen; [`START`] before the first step.
    pub fn first_step_name(&self, usage: &Usage) -> &str {
        self.run(usage.first_run).and_then(|run| run.step_name(usage.first_step)).unwrap_or(START)
    }

    /// The run with this number.
    pub fn run(&self, index: u32) -> Option<&Run> {
        self.runs.get(usize::try_from(index).ok()?)
    }

    /// How a path was used; `None` if it never was. A path that was only looked up and not there counts as used here:
    /// ask [`PathUsage::is_used`].
    pub fn usage(&self, path: &ImagePath) -> Option<&PathUsage> {
        self.paths.get(path)
    }

    /// Paths that exist in the image and were used, in path order.
    pub fn used(&self) -> impl Iterator<Item = (&ImagePath, &PathUsage)> {
        self.paths.iter().filter(|(_, usage)| usage.is_used())
    }

    /// Paths that were looked up and not there, in path order.
    pub fn missing(&self) -> impl Iterator<Item = (&ImagePath, &Usage)> {
        self.paths.iter().filter_map(|(path, usage)| Some((path, usage.0.get(&AccessKind::Missing)?)))
    }

    /// Uses first seen in a step of this name ([`START`] for what came before the first step), in path order.
    pub fn first_used_in<'a>(
        &'a self,
        step_name: &'a str,
    ) -> impl Iterator<Item = (&'a ImagePath, AccessKind, &'a Usage)> {
        self.paths
            .iter()
            .flat_map(|(path, usages)| usages.0.iter().map(move |(&kind, usage)| (path, kind, usage)))
            .filter(move |(_, _, usage)| self.first_step_name(usage) == step_name)
    }

    /// For each kind of use that occurs, the number of paths that were used so.
    pub fn totals(&self) -> BTreeMap<AccessKind, u64> {
        let mut totals = BTreeMap::new();
        for kind in self.paths.values().flat_map(|usage| usage.0.keys()) {
            *totals.entry(*kind).or_insert(0) += 1;
        }
        totals
    }
}

impl PathUsage {
    /// Whether the path was there and used: some kind other than [`AccessKind::Missing`].
    pub fn is_used(&self) -> bool {
        self.0.keys().any(|kind| kind.is_use())
    }

    /// The kinds of use, in their fixed order.
    pub fn kinds(&self) -> impl Iterator<Item = AccessKind> {
        self.0.keys().copied()
    }

    /// The use seen first, by run, step and kind, [`AccessKind::Missing`] left out.
    pub fn first(&self) -> Option<(AccessKind, &Usage)> {
        let uses = self.0.iter().filter(|(kind, _)| kind.is_use());
        uses.min_by_key(|(kind, usage)| (usage.first_run, usage.first_step, **kind))
            .map(|(&k, usage)| (k, usage))
    }
}

impl Usage {
    /// The runs in which it was seen, each with the first step of it in which it was.
    pub fn runs(&self) -> BTreeMap<u32, Step> {
        let mut runs = self.also_in.clone();
        runs.insert(self.first_run, self.first_step);
        runs
    }

    /// Adds what another use of the same document says: a path that stands for two has the uses of both.
    pub fn unite(&mut self, other: &Self) {
        let mut runs = self.runs();
        for (run, step) in other.runs() {
            let first = runs.entry(run).or_insert(step);
            *first = step.min(*first);
        }
        self.set_runs(runs);
        self.processes.extend(other.processes.iter().copied());
        self.errnos.extend(other.errnos.iter().copied());
    }

    /// Sets the runs in which it was seen; without any, nothing changes.
    pub(crate) fn set_runs(&mut self, mut runs: BTreeMap<u32, Step>) {
        if let Some((run, step)) = runs.pop_first() {
            (self.first_run, self.first_step, self.also_in) = (run, step, runs);
        }
    }
}

impl Run {
    /// The name of one of its steps; [`START`] for step 0, `None` past the last one.
    pub fn step_name(&self, step: Step) -> Option<&str> {
        match usize::try_from(step.0).ok()?.checked_sub(1) {
            None => Some(START),
            Some(index) => self.steps.get(index).map(|step| step.name.as_str()),
        }
    }

    /// What its sensor's report says together with what the counters say, whichever is worse: a document that calls
    /// itself complete is not believed against its own counters.
    pub fn verdict(&self) -> Verdict {
        let counted = self.sensor.counters.verdict();
        let reasons = self.sensor.verdict.reasons().iter().chain(counted.reasons());
        Verdict::from_reasons(reasons.cloned().collect())
    }
}

impl Verdict {
    /// Complete if there is no reason against it; repeated reasons count once.
    pub fn from_reasons(reasons: Vec<Incomplete>) -> Self {
        let mut unique = Vec::new();
        for reason in reasons {
            if !unique.contains(&reason) {
                unique.push(reason);
            }
        }
        if unique.is_empty() { Self::Complete } else { Self::Incomplete { reasons: unique } }
    }

    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        *self == Self::Complete
    }

    /// The reasons against it; empty when complete.
    pub fn reasons(&self) -> &[Incomplete] {
        match self {
            Self::Complete => &[],
            Self::Incomplete { reasons } => reasons,
        }
    }
}
