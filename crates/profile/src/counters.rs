//! What a sensor counted, and whether its record can be trusted.

use serde::{Deserialize, Serialize};

use crate::counted;

/// Counts of one sensor over one run. All are events, summed over CPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// File uses of the workload that the sensor looked at.
    pub seen: u64,
    /// Of those, the ones already recorded.
    pub duplicate: u64,
    /// Of those, the ones handed to user space.
    pub emitted: u64,
    /// Of those, the ones for which there was no room.
    pub dropped: u64,
    /// Of those, the ones whose path could not be read.
    pub faulted: u64,
    /// Runs of the sensor's programs that the kernel skipped (`recursion_misses`).
    pub skipped: u64,
    /// Events that user space took in.
    pub received: u64,
    /// Known files that the sensor was given to see at start and stop.
    pub canaries_expected: u64,
    /// Of those, the ones in the record.
    pub canaries_seen: u64,
    /// Files that running processes held open or mapped at start and stop.
    pub snapshot_files: u64,
    /// Of those, the ones that the record lacked.
    pub snapshot_unrecorded: u64,
}

/// A reason why a record may lack something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Incomplete {
    /// Events were dropped.
    #[error("{}", counted(*count, "event was dropped", "events were dropped"))]
    Dropped {
        /// How many.
        count: u64,
    },
    /// Paths could not be read.
    #[error("{} could not be read", counted(*count, "path", "paths"))]
    Faulted {
        /// How many.
        count: u64,
    },
    /// The kernel skipped runs of the sensor's programs.
    #[error("the kernel skipped the sensor {}", counted(*count, "time", "times"))]
    Skipped {
        /// How many times.
        count: u64,
    },
    /// The counters do not add up.
    #[error("the counters do not add up: {seen} seen, {accounted} accounted for")]
    Unbalanced {
        /// Uses seen.
        seen: u64,
        /// duplicate + emitted + dropped + faulted.
        accounted: u64,
    },
    /// User space took in fewer events than the kernel emitted.
    #[error("{}, {received} received", counted(*emitted, "event was emitted", "events were emitted"))]
    Unreceived {
        /// Emitted by the kernel.
        emitted: u64,
        /// Received.
        received: u64,
    },
    /// A canary was not seen.
    #[error("{}", match expected { 0 => "nothing shows that anything was watched: there was no canary".to_owned(), _ => format!("of {} {seen} {} seen", counted(*expected, "canary", "canaries"), if *seen == 1 { "was" } else { "were" }) })]
    Canary {
        /// Opened.
        expected: u64,
        /// In the record.
        seen: u64,
    },
    /// A process held a file that the record lacks.
    #[error("{} not in the record", counted(*count, "file in use was", "files in use were"))]
    Snapshot {
        /// How many.
        count: u64,
    },
    /// What processes held open or mapped could not be listed, so the record was not compared with it.
    #[error("what processes held open could not be listed: {why}")]
    Unlisted {
        /// The first reason.
        why: String,
    },
    /// The sensor ended before the workload did.
    #[error("the recording was cut off")]
    CutOff,
}

/// Whether a record is complete, with the reasons if it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// Every use was recorded.
    Complete,
    /// Something may be missing.
    Incomplete {
        /// Why: at least one reason.
        reasons: Vec<Incomplete>,
    },
}

impl Counters {
    /// Judges these counts: complete means that all seen is accounted for, nothing was lost, and every check held.
    pub fn verdict(&self) -> Verdict {
        let accounted = [self.emitted, self.dropped, self.faulted]
            .iter()
            .fold(self.duplicate, |sum, &n| sum.saturating_add(n));
        let mut reasons = Vec::new();
        let mut add = |bad: bool, reason: Incomplete| {
            if bad {
                reasons.push(reason);
            }
        };
        add(self.dropped > 0, Incomplete::Dropped { count: self.dropped });
        add(self.faulted > 0, Incomplete::Faulted { count: self.faulted });
        add(self.skipped > 0, Incomplete::Skipped { count: self.skipped });
        add(self.seen != accounted, Incomplete::Unbalanced { seen: self.seen, accounted });
        add(
            self.received != self.emitted,
            Incomplete::Unreceived { emitted: self.emitted, received: self.received },
        );
        add(
            self.canaries_seen != self.canaries_expected || self.canaries_expected == 0,
            Incomplete::Canary { expected: self.canaries_expected, seen: self.canaries_seen },
        );
        add(self.snapshot_unrecorded > 0, Incomplete::Snapshot { count: self.snapshot_unrecorded });
        if reasons.is_empty() { Verdict::Complete } else { Verdict::Incomplete { reasons } }
    }
}
