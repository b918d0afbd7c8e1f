//! The figures before and after, as rows of a table.

use crate::findings::Findings;
use crate::text::{bytes_text, count_text};
use crate::{Change, Hardening};

/// One row.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) change: String,
    /// What remains, in percent.
    pub(crate) remains: u64,
}

/// All figures of the result, and the number of findings where the images were scanned.
pub(crate) fn figures(result: &Hardening, findings: Option<&Findings>) -> Vec<Figure> {
    let scanned = findings.map(|findings| Change {
        name: "findings",
        before: findings.rows.len() as u64,
        after: findings.left() as u64,
        is_bytes: false,
    });
    result.changes().iter().chain(&scanned).map(Figure::from).collect()
}

impl From<&Change> for Figure {
    fn from(change: &Change) -> Self {
        let show = if change.is_bytes { bytes_text } else { count_text };
        Self {
            name: change.name,
            before: show(change.before),
            after: show(change.after),
            change: change.percent_text(),
            remains: change.after.saturating_mul(100).checked_div(change.before).unwrap_or(0).min(100),
        }
    }
}
