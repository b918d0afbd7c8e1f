//! What fails a build: `hot-high`, `kev`, `critical`, `epss-10`.

use std::fmt;
use std::str::FromStr;

use advisories::matching::Rank;
use advisories::scan::ScannedFinding;
use advisories::{Heat, ScanReport};

/// A condition that a finding may meet.
///
/// Written `[HEAT-]CONDITION`. The heat is a least one: `warm-high` is met by hot and by warm packages. What nobody
/// recorded must be taken for hot; where the vulnerable functions are not in the program, it is cold. What is gone or settled meets none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gate {
    heat: Option<Heat>,
    condition: Condition,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Condition {
    Any,
    Exploited,
    Fixable,
    Severity(Rank),
    Epss(u8),
}

/// A word that is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no condition for --fail-on")]
pub struct ParseGateError(String);

impl ParseGateError {
    /// What to write.
    pub fn hint(&self) -> String {
        "write [hot-|warm-|cold-] and one of any, kev, fixable, critical, high, medium, low, negligible, epss-PERCENT: \
         for example `hot-high,kev,epss-10`"
            .to_owned()
    }
}

impl Gate {
    /// Whether a finding meets it.
    pub fn is_met(&self, found: &ScannedFinding) -> bool {
        let path = found.path();
        let as_hot = if path == Heat::NotRecorded { Heat::Hot } else { path };
        found.is_open()
            && self.heat.is_none_or(|least| as_hot <= least)
            && match self.condition {
                Condition::Any => true,
                Condition::Exploited => found.finding.exploited.is_some(),
                Condition::Fixable => !found.finding.fixed.is_empty(),
                Condition::Severity(least) => found.finding.severity >= least,
                Condition::Epss(percent) => {
                    found.finding.epss.is_some_and(|epss| epss.score * 100.0 >= f64::from(percent))
                }
            }
    }

    /// How many findings of a report meet it.
    pub fn count(&self, report: &ScanReport) -> usize {
        report.findings.iter().filter(|found| self.is_met(found)).count()
    }
}

impl FromStr for Gate {
    type Err = ParseGateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseGateError(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let (heat, rest) = [("hot", Heat::Hot), ("warm", Heat::Warm), ("cold", Heat::Cold)]
            .into_iter()
            .find_map(|(name, heat)| {
                let rest = lower.strip_prefix(name)?;
                // `hot` alone is any finding that is hot.
                let rest = if rest.is_empty() { "any" } else { rest.strip_prefix('-')? };
                Some((Some(heat), rest))
            })
            .unwrap_or((None, lower.as_str()));
        let condition = match rest {
            "any" => Condition::Any,
            "kev" | "exploited" => Condition::Exploited,
            "fixable" => Condition::Fixable,
            "critical" => Condition::Severity(Rank::Critical),
            "high" => Condition::Severity(Rank::High),
            "medium" => Condition::Severity(Rank::Medium),
            "low" => Condition::Severity(Rank::Low),
            "negligible" => Condition::Severity(Rank::Negligible),
            other => {
                let percent = other.strip_prefix("epss-").ok_or_else(error)?;
                let percent = percent.parse().ok().filter(|percent| *percent <= 100).ok_or_else(error)?;
                Condition::Epss(percent)
            }
        };
        Ok(Self { heat, condition })
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(heat) = self.heat {
            write!(f, "{}-", crate::words::heat(heat))?;
        }
        match self.condition {
            Condition::Any => f.write_str("any"),
            Condition::Exploited => f.write_str("kev"),
            Condition::Fixable => f.write_str("fixable"),
            Condition::Severity(rank) => f.write_str(rank.name()),
            Condition::Epss(percent) => write!(f, "epss-{percent}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::tests::report;

    #[test]
    fn the_heat_is_a_least_one_and_what_is_gone_or_settled_meets_nothing() {
        // Hot critical and exploited, warm high, cold high, gone critical, settled hot critical.
        let report = report();
        for (gate, expected) in [
            ("any", 3),
            ("hot", 1),
            ("hot-high", 1),
            ("warm-high", 2),
            ("cold-high", 3),
            ("high", 3),
            ("critical", 1),
            ("kev", 1),
            ("cold-kev", 1),
            ("fixable", 1),
            ("epss-10", 1),
            ("epss-100", 0),
        ] {
            let parsed: Gate = gate.parse().unwrap();
            assert_eq!(parsed.count(&report), expected, "{gate}");
            let shown = parsed.to_string();
            assert_eq!(shown.parse::<Gate>().unwrap(), parsed, "{gate} is shown as {shown}");
        }
        for wrong in ["", "hot-", "hott", "lukewarm-high", "epss-101", "epss-", "severe", "hothigh"] {
            assert!(wrong.parse::<Gate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_nobody_recorded_is_taken_for_hot() {
        let mut report = report();
        report.findings.iter_mut().for_each(|found| found.heat = Heat::NotRecorded);
        assert_eq!("hot-high".parse::<Gate>().unwrap().count(&report), 4);
    }
}
