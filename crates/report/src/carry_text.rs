//! What became of a profile of another version of the image, as the page shows it.

use harden::{CarriedPath, CarryReport};

use crate::text::count_text;

/// One profile that was carried.
pub(crate) struct CarryText {
    pub(crate) from: String,
    pub(crate) digest: String,
    pub(crate) account: String,
    pub(crate) lists: Vec<CarryList>,
}

/// Paths with the same fate; never empty.
pub(crate) struct CarryList {
    pub(crate) title: &'static str,
    pub(crate) is_open: bool,
    pub(crate) rows: Vec<CarryRow>,
}

/// One path.
pub(crate) struct CarryRow {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) why: String,
}

impl From<&CarryReport> for CarryText {
    fn from(report: &CarryReport) -> Self {
        let moved = |paths: &[CarriedPath]| {
            let row = |path: &CarriedPath| CarryRow {
                from: path.from.to_string(),
                to: path.to.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                why: path.why.to_string(),
            };
            paths.iter().map(row).collect()
        };
        let lost = report.dropped.iter().map(|dropped| CarryRow {
            from: dropped.from.to_string(),
            to: String::new(),
            why: match dropped.was_executed {
                true => format!("{}; it had been executed", dropped.why),
                false => dropped.why.to_string(),
            },
        });
        let new = report.new.iter().map(|new| CarryRow {
            from: "new".to_owned(),
            to: new.path.to_string(),
            why: match new.kept {
                true => "kept: all of its sort had been used".to_owned(),
                false => "kept only if a rule finds that it is needed".to_owned(),
            },
        });
        let lists = [
            ("Lost", true, lost.collect::<Vec<_>>()),
            ("Uncertain, and kept", true, moved(&report.uncertain)),
            ("Carried under a new name", false, moved(&report.carried)),
            ("New beside used files", false, new.collect()),
        ];
        Self {
            from: report.from.reference.clone(),
            digest: report.from.manifest_digest.to_string(),
            account: format!(
                "Of {} used paths {} are at the same place; {} % are uncertain or lost.",
                count_text(report.used),
                count_text(report.unchanged),
                report.doubtful_percent()
            ),
            lists: lists
                .into_iter()
                .filter(|(_, _, rows)| !rows.is_empty())
                .map(|(title, is_open, rows)| CarryList { title, is_open, rows })
                .collect(),
        }
    }
}
