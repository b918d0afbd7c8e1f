//! Progress of a recording, for whoever shows it.

use std::path::Path;
use std::time::Duration;

use profile::{Counters, StepOutcome};

/// Is told what a recording does, while it does it.
pub trait Observer {
    /// Something happened. Called on the thread that records; should return soon.
    fn event(&self, event: &RecordEvent<'_>);
}

/// Something that happened during a recording, in the order of a run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RecordEvent<'a> {
    /// The sensor is attached.
    SensorLoaded,
    /// The container exists, not yet started.
    Created {
        /// Its identifier.
        id: &'a str,
        /// Its directory in the cgroup2 tree.
        cgroup_dir: &'a Path,
    },
    /// PID 1 runs.
    Started,
    /// A condition is waited for.
    Waiting {
        /// Which, as people read it.
        condition: &'a str,
    },
    /// All conditions hold.
    Ready {
        /// Since the start.
        after: Duration,
    },
    /// A step begins; the stop is the last one.
    StepStarted {
        /// Its number, from 1.
        n: u32,
        /// How many there are, the stop included.
        of: u32,
        /// Its name.
        name: &'a str,
    },
    /// A step ended.
    StepEnded {
        /// Its number, from 1.
        n: u32,
        /// How many there are, the stop included.
        of: u32,
        /// Its name.
        name: &'a str,
        /// How it ended.
        outcome: StepOutcome,
        /// Whether it failed although the coverage lets it.
        tolerated: bool,
        /// How long it took.
        duration: Duration,
    },
    /// The workload was sent its stop signal.
    Stopping,
    /// The record is complete or not; see [`Counters::verdict`].
    Finished {
        /// What the sensor counted.
        counters: Counters,
    },
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _event: &RecordEvent<'_>) {}
}
