//! Findings in figures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ScannedFinding;
use crate::Heat;
use crate::matching::Rank;

/// Findings by severity and heat. What is settled is counted apart, and what is gone is in no total.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// All that are there and not settled.
    pub total: u64,
    /// Those of them that are known to be exploited.
    pub exploited: u64,
    /// Those of them that a newer version fixes.
    pub fixable: u64,
    /// Those of them whose evidence is weak.
    pub weak: u64,
    /// Those that a hardening removed.
    pub gone: u64,
    /// Those that a list or a VEX document settled.
    pub settled: u64,
    /// By severity, worst last, what is gone in a column of its own. Only severities that occur.
    pub by_severity: BTreeMap<Rank, HeatCounts>,
    /// Over all severities.
    pub by_heat: HeatCounts,
}

/// Findings by heat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HeatCounts {
    /// Code of the package ran.
    pub hot: u64,
    /// Only data of it was used.
    pub warm: u64,
    /// Nothing of it was used.
    pub cold: u64,
    /// Nobody looked.
    pub not_recorded: u64,
    /// Nothing of it is left.
    pub gone: u64,
}

/// Findings before and after a hardening, counted on the original by the files that are left.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Change {
    /// On the original.
    pub before: u64,
    /// Of these, those of packages that still have a file.
    pub after: u64,
    /// How hot the findings were on the original.
    pub before_by_heat: HeatCounts,
    /// The same for each severity that occurs, worst last.
    pub by_severity: BTreeMap<Rank, BeforeAfter>,
}

/// A figure before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BeforeAfter {
    /// On the original.
    pub before: u64,
    /// On the result.
    pub after: u64,
}

impl From<(u64, u64)> for BeforeAfter {
    fn from((before, after): (u64, u64)) -> Self {
        Self { before, after }
    }
}

impl HeatCounts {
    fn add(&mut self, heat: Heat) {
        *match heat {
            Heat::Hot => &mut self.hot,
            Heat::Warm => &mut self.warm,
            Heat::Cold => &mut self.cold,
            Heat::NotRecorded => &mut self.not_recorded,
            Heat::Gone => &mut self.gone,
        } += 1;
    }

    /// Those that are there.
    pub fn present(&self) -> u64 {
        self.hot + self.warm + self.cold + self.not_recorded
    }
}

impl Counts {
    /// Counts findings.
    pub(super) fn of<'a>(findings: impl Iterator<Item = &'a ScannedFinding>) -> Self {
        let mut counts = Self::default();
        for found in findings {
            if found.settled.is_some() {
                counts.settled += 1;
                continue;
            }
            counts.by_heat.add(found.heat);
            counts.by_severity.entry(found.finding.severity).or_default().add(found.heat);
            if found.heat == Heat::Gone {
                counts.gone += 1;
                continue;
            }
            counts.total += 1;
            counts.exploited += u64::from(found.finding.exploited.is_some());
            counts.fixable += u64::from(!found.finding.fixed.is_empty());
            counts.weak += u64::from(found.weak.is_some());
        }
        counts
    }
}

impl Change {
    /// Counts findings of an original.
    pub(super) fn of<'a>(findings: impl Iterator<Item = &'a ScannedFinding>) -> Self {
        let mut change = Self::default();
        for found in findings {
            let after = u64::from(found.heat != Heat::Gone);
            change.before += 1;
            change.after += after;
            change.before_by_heat.add(found.was.unwrap_or(found.heat));
            let severity = change.by_severity.entry(found.finding.severity).or_default();
            severity.before += 1;
            severity.after += after;
        }
        change
    }

    /// How many percent fewer there are after than before, 0 to 100; none where there was nothing.
    pub fn percent_fewer(&self) -> Option<f64> {
        (self.before > 0).then(|| (self.before - self.after) as f64 / self.before as f64 * 100.0)
    }
}
