//! The result of a hardening as a document (`result.json`, and `careen harden --output json`).

use std::path::PathBuf;

use advisories::ScanReport;
use advisories::scan::Counts;
use harden::{CarryReport, Evaluation, HealedPath, Metrics, PackagesLeft, Verification, VerificationVerdict};
use image::{Digest, Platform};
use profile::Run;
use serde::{Deserialize, Serialize};

/// The version of the result document that this build writes.
pub const FORMAT_VERSION: u32 = 1;

/// What one hardening did. Schema: `docs/formats/result.schema.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hardening {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The version of Careen that made it.
    pub careen_version: String,
    /// The image that came in.
    pub original: ImageSummary,
    /// The image that went out.
    pub hardened: ImageSummary,
    /// Whether hardening would not have shrunk the image, so that the result is the original.
    pub unchanged: bool,
    /// Layers of the result.
    pub layers: usize,
    /// Of those, the ones that are the original's to the byte.
    pub layers_reused: usize,
    /// What is left of each package of the original.
    #[serde(default)]
    pub packages: PackagesLeft,
    /// The runs that the profile consists of.
    pub runs: Vec<Run>,
    /// What running the coverage on the result showed; absent where it was not run.
    pub verification: Option<Verification>,
    /// How many paths were kept because a verification of an earlier round had found them missing.
    pub healed: usize,
    /// These paths, with who asked for them.
    #[serde(default)]
    pub healed_paths: Vec<HealedPath>,
    /// How the steps of the coverage fare on an image that was hardened without them; absent where nobody asked.
    #[serde(default)]
    pub evaluation: Option<Evaluation>,
    /// Vulnerabilities before and after; absent where there was no database of advisories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<FindingsSummary>,
    /// What the plan wants the user to know.
    pub warnings: Vec<String>,
    /// What became of each profile of another version of the image.
    #[serde(default)]
    pub carry: Vec<CarryReport>,
    /// Where the page lies.
    pub report: PathBuf,
    /// Where the ledger lies.
    pub ledger: PathBuf,
    /// Where the profile lies.
    pub profile: PathBuf,
    /// Where the statements lie that were wanted of the hardening.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attestations: Vec<PathBuf>,
}

/// Vulnerabilities before and after, counted on the original by the files that are left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingsSummary {
    /// When the database of advisories was built, RFC 3339.
    pub database_built: String,
    /// Before and after.
    pub change: advisories::scan::Change,
    /// What is left, by severity and heat.
    pub counts: Counts,
}

impl FindingsSummary {
    /// The figures of a scan that compares; none of one that does not.
    pub fn of(scan: &ScanReport) -> Option<Self> {
        let change = scan.change.clone()?;
        Some(Self { database_built: scan.database.built.clone(), change, counts: scan.counts.clone() })
    }
}

/// One side of the comparison.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImageSummary {
    /// The reference as the user wrote it.
    pub reference: String,
    /// Digest of the manifest.
    pub manifest_digest: Digest,
    /// Digest of the config.
    pub image_id: Digest,
    /// Its platform.
    pub platform: Platform,
    /// What it holds.
    pub metrics: Metrics,
}

/// One figure of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricValue {
    /// What is counted.
    pub name: &'static str,
    /// How much.
    pub value: u64,
    /// Whether that is bytes, not a count.
    pub is_bytes: bool,
}

/// One figure before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What is counted.
    pub name: &'static str,
    /// In the original.
    pub before: u64,
    /// In the result.
    pub after: u64,
    /// Whether that is bytes, not a count.
    pub is_bytes: bool,
}

/// A figure that most images do not have; tables leave it out where it is 0.
pub const LANGUAGE_PACKAGES: &str = "language packages";

/// The figures of an image, in the order in which every table shows them.
pub fn metric_values(metrics: &Metrics) -> Vec<MetricValue> {
    let value = |name, value, is_bytes| MetricValue { name, value, is_bytes };
    vec![
        value("size", metrics.uncompressed_bytes, true),
        value("compressed", metrics.compressed_bytes, true),
        value("files", metrics.files, false),
        value("executables", metrics.executables, false),
        value("libraries", metrics.libraries, false),
        value("packages", metrics.packages, false),
        value(LANGUAGE_PACKAGES, metrics.language_packages, false),
        value("setuid files", metrics.setuid_files, false),
        value("shells", metrics.shells, false),
    ]
}

impl Hardening {
    /// Whether the result passed its verification; none where it was not verified.
    pub fn verified(&self) -> Option<bool> {
        self.verification.as_ref().map(|verification| verification.verdict == VerificationVerdict::Passed)
    }

    /// The figures before and after, in the order of [`metric_values`]; packages of languages only where there are any.
    pub fn changes(&self) -> Vec<Change> {
        let after = metric_values(&self.hardened.metrics);
        metric_values(&self.original.metrics)
            .into_iter()
            .zip(after)
            .map(|(before, after)| Change {
                name: before.name,
                before: before.value,
                after: after.value,
                is_bytes: before.is_bytes,
            })
            .filter(|change| change.name != LANGUAGE_PACKAGES || change.before + change.after > 0)
            .collect()
    }
}

impl Change {
    /// The change as a person reads it: `−78 %`, `0 %`, or `–` where there was nothing before.
    pub fn percent_text(&self) -> String {
        if self.before == 0 {
            return if self.after == 0 { "–".to_owned() } else { format!("+{}", self.after) };
        }
        let percent = (self.after as f64 - self.before as f64) / self.before as f64 * 100.0;
        let rounded = format!("{:.0} %", percent.abs());
        match percent {
            p if p <= -0.5 => format!("−{rounded}"),
            p if p >= 0.5 => format!("+{rounded}"),
            _ => "0 %".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_say_the_direction() {
        let text = |before, after| Change { name: "x", before, after, is_bytes: false }.percent_text();
        assert_eq!(text(100, 22), "−78 %");
        assert_eq!(text(100, 100), "0 %");
        assert_eq!(text(100, 103), "+3 %");
        assert_eq!(text(0, 0), "–");
        assert_eq!(text(0, 2), "+2");
        assert_eq!(text(1, 0), "−100 %");
    }
}
