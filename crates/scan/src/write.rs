//! One entry for all forms.

use advisories::ScanReport;

use crate::table::{self, Look};
use crate::{cyclonedx, gitlab, junit, markdown, sarif};

/// The forms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Format {
    /// For a terminal.
    Table(Look),
    /// Our own document: `docs/formats/scan.schema.json`; of several reports, an array.
    Json,
    /// SARIF 2.1.0, one run a report: code hosts show it.
    Sarif,
    /// CycloneDX 1.6 with components and vulnerabilities.
    CycloneDx,
    /// JUnit XML: a failed test a finding.
    JUnit,
    /// Markdown for pull requests; at most so many rows.
    Markdown(usize),
    /// GitLab's container scanning report.
    GitLab,
}

/// Why reports cannot be written in a form.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The form holds one image.
    #[error("{format} describes one image, not {reports}")]
    Several {
        /// The form.
        format: &'static str,
        /// How many reports there are.
        reports: usize,
    },
    /// A value has no JSON.
    #[error("cannot write JSON")]
    Json(#[from] serde_json::Error),
}

/// Writes reports. `now` is the time of the scan, RFC 3339, for forms that ask for one.
///
/// # Errors
/// `Several` for a form that holds one image, `Json` if a number has no form in JSON.
pub fn write(reports: &[ScanReport], format: Format, now: &str) -> Result<String, WriteError> {
    let one = |name: &'static str| match reports {
        [report] => Ok(report),
        several => Err(WriteError::Several { format: name, reports: several.len() }),
    };
    let json = |value: serde_json::Value| serde_json::to_string_pretty(&value).map(|text| text + "\n");
    Ok(match format {
        Format::Table(look) => reports.iter().map(|report| table::text(report, look)).collect(),
        Format::Json => match reports {
            [report] => serde_json::to_string_pretty(report)? + "\n",
            several => serde_json::to_string_pretty(several)? + "\n",
        },
        Format::Sarif => json(sarif::document(reports))?,
        Format::CycloneDx => json(cyclonedx::document(one("CycloneDX")?, now))?,
        Format::JUnit => junit::document(reports),
        Format::Markdown(rows) => {
            reports.iter().map(|report| markdown::text(report, rows)).collect::<Vec<_>>().join("\n")
        }
        Format::GitLab => json(gitlab::document(one("GitLab's report")?, now))?,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A report of a hot critical finding that is exploited, a warm high one, a cold high one, a gone critical one and a
    /// settled hot critical one.
    pub(crate) fn report() -> ScanReport {
        serde_json::from_str(include_str!("../tests/data/report.json")).unwrap()
    }

    #[test]
    fn forms_of_one_image_refuse_several() {
        let two = [report(), report()];
        for format in [Format::CycloneDx, Format::GitLab] {
            let error = write(&two, format, "2026-11-22T00:00:00Z").unwrap_err();
            assert!(matches!(error, WriteError::Several { reports: 2, .. }), "{error}");
        }
        let json = write(&two, Format::Json, "").unwrap();
        assert_eq!(serde_json::from_str::<Vec<ScanReport>>(&json).unwrap(), two);
        assert_eq!(
            serde_json::from_str::<ScanReport>(&write(&two[..1], Format::Json, "").unwrap()).unwrap(),
            two[0]
        );
    }
}
