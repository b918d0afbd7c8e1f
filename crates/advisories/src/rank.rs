//! What to look at first.
//!
//! First what is known to be exploited (CISA KEV); what the distribution calls of no practical consequence stands after
//! all else that counts; then by the probability of exploitation in this workload, which is
//! EPSS × how far the package is in the execution path; then by severity. Probabilities that differ by less than a
//! tenth of a percent are the same. Where the vulnerable functions are not in the program, it counts as cold. What is gone, or settled by a list or a VEX document, comes last.

use std::cmp::{Ordering, Reverse};

use crate::scan::ScannedFinding;
use crate::{FixState, Heat};

/// How much of a vulnerability's probability counts, by how far its package is in the execution path.
///
/// What nobody recorded must be taken for hot.
pub fn weight(heat: Heat) -> f64 {
    match heat {
        Heat::Hot | Heat::NotRecorded => 1.0,
        Heat::Warm => 0.3,
        Heat::Cold => 0.1,
        Heat::Gone => 0.0,
    }
}

/// EPSS × weight, 0 to 1; 0 where there is no score.
pub fn probability(finding: &ScannedFinding) -> f64 {
    finding.finding.epss.map_or(0.0, |epss| epss.score) * weight(finding.path())
}

/// The order in which findings are shown: what to look at first stands first. Total, and the same on every machine.
pub fn order(a: &ScannedFinding, b: &ScannedFinding) -> Ordering {
    let key = |found: &ScannedFinding| {
        let finding = &found.finding;
        (
            found.settled.is_some(),
            found.heat == Heat::Gone,
            finding.exploited.is_none(),
            finding.state == FixState::Unimportant,
            Reverse((probability(found) * 1000.0).round() as u64),
            Reverse(finding.severity),
            found.path(),
        )
    };
    let name = |found: &ScannedFinding| {
        let finding = &found.finding;
        (finding.vulnerability.clone(), finding.name.clone(), finding.purl.clone(), finding.package)
    };
    key(a).cmp(&key(b)).then_with(|| name(a).cmp(&name(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::{Epss, Kev};
    use crate::matching::Rank;
    use crate::scan::tests::{finding, scanned};

    #[test]
    fn known_exploitation_beats_probability_beats_severity() {
        let row = |id: &str, heat, epss: f64, severity, known: bool| {
            let mut found = finding(id, "tool");
            found.severity = severity;
            found.epss = (epss > 0.0).then_some(Epss { score: epss, percentile: 0.5 });
            found.exploited = known.then(Kev::default);
            scanned(found, heat)
        };
        let mut rows = [
            row("gone-known", Heat::Gone, 0.9, Rank::Critical, true),
            row("cold-likely", Heat::Cold, 0.9, Rank::Low, false),
            row("hot-critical", Heat::Hot, 0.0, Rank::Critical, false),
            row("hot-critical-slightly", Heat::Hot, 0.0004, Rank::High, false),
            row("hot-likely", Heat::Hot, 0.2, Rank::Low, false),
            row("unrecorded-likely", Heat::NotRecorded, 0.3, Rank::Low, false),
            row("cold-known", Heat::Cold, 0.1, Rank::Low, true),
            row("cold-critical", Heat::Cold, 0.0, Rank::Critical, false),
        ];
        rows.sort_by(order);
        let ids: Vec<_> = rows.iter().map(|row| row.finding.vulnerability.as_str()).collect();
        assert_eq!(
            ids,
            [
                "cold-known",
                "unrecorded-likely",
                "hot-likely",
                "cold-likely",
                "hot-critical",
                "cold-critical",
                "hot-critical-slightly",
                "gone-known"
            ]
        );
    }
}
