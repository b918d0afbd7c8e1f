//! What a walk found of one image, in figures.

use std::collections::{BTreeMap, BTreeSet};

use ::scan::Gate;
use advisories::ScanReport;
use advisories::matching::Rank;
use image::Digest;
use registry::Reference;
use serde::{Deserialize, Serialize};

/// The version of the documents that this build writes: the result and the state.
pub(super) const FORMAT_VERSION: u32 = 1;

/// One image of a walk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    /// Registry and repository.
    pub(super) repository: String,
    pub(super) tag: Option<String>,
    /// What the tag leads to: a manifest, or an index of several platforms.
    pub(super) digest: Option<Digest>,
    pub(super) status: Status,
    /// Why it was not scanned.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) reason: String,
    /// Figures, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) found: Option<Found>,
}

/// What became of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    /// It was scanned.
    Scanned,
    /// It was scanned by an earlier walk, and nothing changed since.
    Unchanged,
    /// It is no image, or has none for the platform.
    Skipped,
    /// It cannot be scanned.
    Failed,
}

/// The findings of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) manifest_digest: Option<Digest>,
    pub(super) image_id: Option<Digest>,
    pub(super) platform: Option<String>,
    pub(super) distribution: Option<String>,
    pub(super) packages: u64,
    pub(super) findings: u64,
    /// Known to be exploited.
    pub(super) exploited: u64,
    pub(super) fixable: u64,
    pub(super) settled: u64,
    /// Only severities that occur, worst last.
    pub(super) by_severity: BTreeMap<Rank, u64>,
    /// How many findings meet each condition of `--fail-on`.
    pub(super) met: BTreeMap<String, u64>,
    pub(super) warnings: BTreeSet<String>,
}

impl Row {
    fn of(reference: &Reference, digest: Option<Digest>, status: Status) -> Self {
        Self {
            repository: format!("{}/{}", reference.host, reference.repository),
            tag: reference.tag.clone(),
            digest: digest.or(reference.digest),
            status,
            reason: String::new(),
            found: None,
        }
    }

    /// An image that was scanned.
    pub(super) fn scanned(
        reference: &Reference,
        digest: Digest,
        report: &ScanReport,
        gates: &[Gate],
    ) -> Self {
        let counts = &report.counts;
        let open = |heat: &advisories::scan::HeatCounts| heat.hot + heat.warm + heat.cold + heat.not_recorded;
        let by_severity = counts.by_severity.iter().map(|(rank, heat)| (*rank, open(heat)));
        let found = Found {
            manifest_digest: report.subject.manifest_digest,
            image_id: report.subject.image_id,
            platform: report.subject.platform.clone(),
            distribution: report.subject.distribution.clone(),
            packages: report.packages.len() as u64,
            findings: counts.total,
            exploited: counts.exploited,
            fixable: counts.fixable,
            settled: counts.settled,
            by_severity: by_severity.filter(|(_, count)| *count > 0).collect(),
            met: gates.iter().map(|gate| (gate.to_string(), gate.count(report) as u64)).collect(),
            warnings: report.warnings.iter().cloned().collect(),
        };
        Self { found: Some(found), ..Self::of(reference, Some(digest), Status::Scanned) }
    }

    /// An image that was not.
    pub(super) fn unscanned(
        reference: &Reference,
        digest: Option<Digest>,
        status: Status,
        reason: impl Into<String>,
    ) -> Self {
        Self { reason: reason.into(), ..Self::of(reference, digest, status) }
    }

    /// A repository whose tags could not be listed.
    pub(super) fn unlisted(repository: String, reason: String) -> Self {
        Self { repository, tag: None, digest: None, status: Status::Failed, reason, found: None }
    }

    /// The name of the image.
    pub(super) fn name(&self) -> String {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => format!("{}:{tag}", self.repository),
            (None, Some(digest)) => format!("{}@{digest}", self.repository),
            (None, None) => self.repository.clone(),
        }
    }

    /// How many findings are of one severity.
    pub(super) fn count(&self, rank: Rank) -> u64 {
        self.found.as_ref().and_then(|found| found.by_severity.get(&rank)).copied().unwrap_or(0)
    }
}
