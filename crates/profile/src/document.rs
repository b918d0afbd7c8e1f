//! The profile as a document.

use std::collections::{BTreeMap, BTreeSet};

use image::{Digest, ImagePath, Platform};
use serde::{Deserialize, Serialize};

use crate::{AccessKind, Activity, Counters, FewMap, FewSet, Process, Step, Surroundings, Verdict, bounded};

/// The format version that this build writes.
pub const FORMAT_VERSION: u32 = 1;

/// Most runs that a document may hold.
pub const MAX_RUNS: usize = 10_000;
/// Most steps that a run may have.
pub const MAX_STEPS: usize = 10_000;
/// Most processes that a document may hold.
pub const MAX_PROCESSES: usize = 1_000_000;
/// Most paths that a document may hold.
pub const MAX_PATHS: usize = 5_000_000;
/// Most packages that a document may describe.
pub const MAX_PACKAGES: usize = 1_000_000;
/// Most tags of one run.
pub const MAX_TAGS: usize = 256;
/// Most limits of one sensor.
pub const MAX_NOT_SEEN: usize = 256;
/// Most backends that a run may have passed over.
pub const MAX_PASSED_OVER: usize = 16;
/// Most errnos of one path (Linux has 133).
pub const MAX_ERRNOS: usize = 256;

/// Which paths of one image were used, by what, when: the union of one or more runs.
///
/// On disk: this document as JSON, compressed with zstd. Schema: `docs/formats/profile.schema.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The image that ran.
    pub image: ImageIdentity,
    /// The runs, in the order in which they were recorded or merged.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_RUNS>")]
    pub runs: Vec<Run>,
    /// Programs that used something; [`Usage::processes`] are indexes into this list.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_PROCESSES>")]
    pub processes: Vec<Process>,
    /// Every path of the image that was used, and every path that was looked up and not there.
    #[serde(deserialize_with = "bounded::map::<_, _, _, MAX_PATHS>")]
    pub paths: BTreeMap<ImagePath, PathUsage>,
    /// What the image held where something of it was used, so that another version of it can be recognised; empty in
    /// documents that were written without.
    #[serde(default, skip_serializing_if = "Surroundings::is_empty")]
    pub surroundings: Surroundings,
    /// For paths that a carried run used under another name in the other version of the image: that name.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "bounded::map::<_, _, _, MAX_PATHS>"
    )]
    pub carried: BTreeMap<ImagePath, ImagePath>,
}

/// Which image a document speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageIdentity {
    /// The reference as the user wrote it; for people, never compared.
    pub reference: String,
    /// Digest of the manifest.
    pub manifest_digest: Digest,
    /// Image ID: digest of the config. Two images with the same ID have the same file system and settings.
    pub image_id: Digest,
    /// Its platform.
    pub platform: Platform,
}

/// How one path was used: by kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PathUsage(pub FewMap<AccessKind, Usage>);

/// One kind of use of one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The run in which it was first seen: an index into [`Profile::runs`].
    pub first_run: u32,
    /// The first step of that run in which it was seen.
    pub first_step: Step,
    /// Who: indexes into [`Profile::processes`].
    #[serde(deserialize_with = "bounded::few::<_, _, MAX_PROCESSES>")]
    pub processes: FewSet<u32>,
    /// Errnos of failed lookups; empty for all kinds but [`AccessKind::Missing`].
    #[serde(
        default,
        skip_serializing_if = "FewSet::is_empty",
        deserialize_with = "bounded::few::<_, _, MAX_ERRNOS>"
    )]
    pub errnos: FewSet<i32>,
    /// The later runs in which it was seen too, each with the first step of it in which it was.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "bounded::map::<_, _, _, MAX_RUNS>"
    )]
    pub also_in: BTreeMap<u32, Step>,
}

/// One run of the workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Name of the coverage that exercised it.
    pub coverage: String,
    /// Start, RFC 3339, UTC.
    pub started_at: String,
    /// What watched it.
    pub sensor: SensorReport,
    /// What the coverage did, in order; [`Step`] `n` is element `n - 1`.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_STEPS>")]
    pub steps: Vec<StepResult>,
    /// What the user calls runs of this sort, such as `ci` or `load-test`.
    #[serde(
        default,
        skip_serializing_if = "BTreeSet::is_empty",
        deserialize_with = "bounded::set::<_, _, MAX_TAGS>"
    )]
    pub tags: BTreeSet<String>,
    /// The image that ran, where that was another version of [`Profile::image`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_from: Option<ImageIdentity>,
    /// What it did beyond using files; absent in documents that were written without, and from sensors that do not see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
}

/// The sensor of one run and its account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SensorReport {
    /// Which backend: `ebpf-base`, ….
    pub backend: String,
    /// The kernel it ran on (`uname -r`).
    pub kernel: String,
    /// Stronger backends that could not watch, or that lost something so that they do not count.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, MAX_PASSED_OVER>"
    )]
    pub passed_over: Vec<PassedOver>,
    /// What it counted.
    pub counters: Counters,
    /// What that means.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What this backend cannot see however complete its account is, in words; absent where there is no such thing.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, MAX_NOT_SEEN>"
    )]
    pub not_seen: Vec<String>,
}

/// A backend that was tried and is not the one that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Which.
    pub backend: String,
    /// Why.
    pub reason: String,
    /// What would have to change.
    pub hint: String,
}

/// What one coverage step did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepResult {
    /// Its name in the coverage.
    pub name: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: StepOutcome,
    /// Whether the coverage lets it fail.
    pub allow_failure: bool,
    /// What the coverage asks of its output, where the output is otherwise: `expect` or `reject`, a colon, and the pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmet: Option<String>,
    /// How outputs of two runs are to be compared; `exact` and `normalised` differences fail a verification.
    pub compare: Compare,
    /// Standard output, lossy UTF-8, cut at 64 KiB.
    pub stdout: String,
    /// Standard error, the same.
    pub stderr: String,
    /// How long it took.
    pub duration_ms: u64,
}

/// How a step's output on the hardened image is held against its output on the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compare {
    /// Only the outcome counts; a difference of the outputs is shown as a note.
    #[default]
    Outcome,
    /// The outputs count too, numbers and hex strings replaced and lines sorted.
    Normalised,
    /// The outputs count to the byte.
    Exact,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum StepOutcome {
    /// The command ended with this code.
    Exited {
        /// 0 to 255.
        code: i32,
    },
    /// A signal ended it.
    Signalled {
        /// The signal's number.
        signal: i32,
    },
    /// It was still running at its time-out and was killed.
    TimedOut,
}
