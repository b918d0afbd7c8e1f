//! A recording in progress and its result.

use std::collections::BTreeSet;

use image::Tree;
use profile::{Counters, Observation, Step};

use crate::SensorError;

/// A recording in progress.
#[derive(Debug)]
pub struct Recording(());

/// What was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Each distinct use, with the first step in which it was seen.
    pub observations: BTreeSet<Observation>,
    /// The account; [`Counters::verdict`] judges it.
    pub counters: Counters,
    /// `ebpf-base`.
    pub backend: &'static str,
    /// The kernel's release, as `uname -r` gives it.
    pub kernel: String,
}

impl Recording {
    /// Uses from now on belong to this step.
    pub fn begin_step(&mut self, step: Step) {
        let _ = step;
    }

    /// Notes which files live processes hold open or mapped, to be compared with the record.
    pub fn snapshot(&mut self) {}

    /// Ends the recording and resolves it on the image's tree.
    ///
    /// # Errors
    /// [`SensorError`].
    pub fn finish(self, tree: &Tree) -> Result<Record, SensorError> {
        let _ = tree;
        let source = std::io::Error::other("the sensor is not complete");
        Err(SensorError::OpenCgroup { cgroup: "".into(), source })
    }
}
