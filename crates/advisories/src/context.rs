//! CVSS in context: the score of a vulnerability for one who knows how the workload uses what is vulnerable.
//!
//! A base score speaks of the worst that can happen to anybody. Two things that are known here are put into it as the
//! standard provides, and both inputs are shown beside the result:
//!
//! | what is known | CVSS 3.0, 3.1 | CVSS 4.0 |
//! | --- | --- | --- |
//! | no code of the package was in the execution path (warm) | `MAC:H` | `MAC:H` |
//! | nothing of the package was used at all (cold) | `MAV:L` (unless `AV:P`), `MAC:H` | the same |
//! | exploitation is known (CISA KEV) | `E:H` | `E:A` |
//! | no exploitation is known: not in KEV, EPSS below 1 % | `E:U` | `E:U` |
//!
//! What nobody runs cannot be reached by a request; who wants to use it must first run code beside it (`MAV:L`), and
//! must bring the workload to do what it did not do in any recorded run (`MAC:H`). What a hardening removed scores 0,
//! since the vulnerable component is not there. Without a profile nothing is known of the path, and nothing is changed.
//! Metrics that the vector has already stay as its author set them.
//!
//! Source: CVSS 3.1 Specification, sections 3 and 4; CVSS 4.0 Specification, sections 3 and 4.

use serde::{Deserialize, Serialize};

use crate::matching::{Finding, Rank, Rated};
use crate::{Heat, Severity};

/// EPSS below this is no sign of an exploit: the next 30 days see one for fewer than one in a hundred.
pub const NO_KNOWN_EXPLOIT_EPSS: f64 = 0.01;

/// A score in context, with what it was made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contextual {
    /// Who gave the vector.
    pub by: String,
    /// The base score.
    pub base: f64,
    /// The score in context, 0 to 10; 0 where the component is gone.
    pub score: f64,
    /// The same as a word.
    pub severity: Rank,
    /// The vector in context: that of the source with the metrics that were added.
    pub vector: String,
    /// What is known of the execution path: `hot`, `warm`, `cold`, `gone`, or that nobody looked.
    pub path: Heat,
    /// What is known of exploitation.
    pub exploitation: Exploitation,
}

/// What is known of exploitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exploitation {
    /// It is in CISA's catalogue.
    Known,
    /// It may be: there is no score, or one of 1 % or more.
    Possible,
    /// Not in the catalogue, and EPSS below [`NO_KNOWN_EXPLOIT_EPSS`].
    NoneKnown,
}

/// What is known of the exploitation of a finding's vulnerability.
pub fn exploitation(finding: &Finding) -> Exploitation {
    match (&finding.exploited, &finding.epss) {
        (Some(_), _) => Exploitation::Known,
        (None, Some(epss)) if epss.score < NO_KNOWN_EXPLOIT_EPSS => Exploitation::NoneKnown,
        _ => Exploitation::Possible,
    }
}

/// The score in context; none where no source gives a vector of CVSS 3 or 4.
///
/// Of several vectors the newest version counts, and of these the worst.
pub fn contextual(finding: &Finding, path: Heat) -> Option<Contextual> {
    let version = |vector: &str| vector.get(..8).map(str::to_owned);
    let (rated, vector, base) = finding
        .ratings
        .iter()
        .filter_map(|rated| Some((rated, vector(rated)?, rated.score?)))
        .max_by(|a, b| version(a.1).cmp(&version(b.1)).then(a.2.total_cmp(&b.2)))?;
    let exploitation = exploitation(finding);
    let mut added = vector.to_owned();
    let four = vector.starts_with("CVSS:4");
    match exploitation {
        Exploitation::Known => add(&mut added, "E", if four { "A" } else { "H" }),
        Exploitation::NoneKnown => add(&mut added, "E", "U"),
        Exploitation::Possible => {}
    }
    if path == Heat::Cold && metric(vector, "AV") != Some("P") {
        add(&mut added, "MAV", "L");
    }
    if matches!(path, Heat::Cold | Heat::Warm) {
        add(&mut added, "MAC", "H");
    }
    let score = match path {
        Heat::Gone => 0.0,
        _ => environmental(&added)?,
    };
    let severity = Rank::of_score(score);
    Some(Contextual { by: rated.by.clone(), base, score, severity, vector: added, path, exploitation })
}

fn vector(rated: &Rated) -> Option<&str> {
    match &rated.severity {
        Severity::Cvss(vector) if vector.starts_with("CVSS:3") || vector.starts_with("CVSS:4") => {
            Some(vector.trim_end_matches('/'))
        }
        _ => None,
    }
}

fn environmental(vector: &str) -> Option<f64> {
    let score = match vector.parse().ok()? {
        cvss::Cvss::CvssV30(vector) | cvss::Cvss::CvssV31(vector) => vector.environmental_score().value(),
        other => other.score(),
    };
    Some(((score * 10.0).round() / 10.0).clamp(0.0, 10.0))
}

fn metric<'a>(vector: &'a str, name: &str) -> Option<&'a str> {
    vector.split('/').find_map(|part| part.strip_prefix(name)?.strip_prefix(':'))
}

/// Adds a metric, or gives a value to one that is there as not defined (`X`).
fn add(vector: &mut String, name: &str, value: &str) {
    match metric(vector, name) {
        None => *vector += &format!("/{name}:{value}"),
        Some("X") => *vector = vector.replace(&format!("/{name}:X"), &format!("/{name}:{value}")),
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::{Epss, Kev};
    use crate::scan::tests::finding;

    fn rated(vector: &str, score: f64) -> Rated {
        Rated {
            by: "NVD".into(),
            severity: Severity::Cvss(vector.into()),
            score: Some(score),
            rank: Rank::of_score(score),
        }
    }

    const THREE: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
    const FOUR: &str = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N";

    #[test]
    fn what_is_not_in_the_path_and_not_exploited_scores_less() {
        // The scores of version 3 are those of FIRST's calculator for the same vectors.
        for (base, base_score, path, epss, expected, added) in [
            (THREE, 9.8, Heat::Hot, Some(0.5), 9.8, ""),
            (THREE, 9.8, Heat::NotRecorded, None, 9.8, ""),
            (THREE, 9.8, Heat::Hot, Some(0.001), 9.0, "/E:U"),
            (THREE, 9.8, Heat::Warm, None, 8.1, "/MAC:H"),
            (THREE, 9.8, Heat::Cold, None, 7.4, "/MAV:L/MAC:H"),
            (THREE, 9.8, Heat::Cold, Some(0.001), 6.8, "/E:U/MAV:L/MAC:H"),
            (THREE, 9.8, Heat::Gone, None, 0.0, ""),
            (FOUR, 9.3, Heat::Hot, None, 9.3, ""),
        ] {
            let mut finding = finding("CVE-1", "tool");
            finding.ratings = vec![rated("AV:N/AC:L/Au:N/C:C/I:C/A:C", 10.0), rated(base, base_score)];
            finding.epss = epss.map(|score| Epss { score, percentile: 0.5 });
            let found = contextual(&finding, path).unwrap();
            assert_eq!((found.base, found.score), (base_score, expected), "{path:?} {epss:?}");
            assert_eq!(found.vector, format!("{base}{added}"));
        }
    }

    #[test]
    fn the_newest_version_counts_and_cold_never_scores_more_than_hot() {
        let mut finding = finding("CVE-1", "tool");
        finding.ratings = vec![rated(THREE, 9.8), rated(FOUR, 9.3)];
        finding.exploited = Some(Kev::default());
        let score = |path| contextual(&finding, path).unwrap();
        assert_eq!(score(Heat::Hot).vector, format!("{FOUR}/E:A"));
        let scores = [Heat::Hot, Heat::Warm, Heat::Cold].map(|path| score(path).score);
        assert!(scores[0] > scores[1] && scores[1] >= scores[2] && scores[2] > 0.0, "{scores:?}");
    }

    #[test]
    fn metrics_of_the_author_stay_and_without_a_vector_there_is_no_score() {
        let mut found = finding("CVE-1", "tool");
        found.ratings = vec![rated(&format!("{THREE}/E:P/MAC:X"), 9.8)];
        found.exploited = Some(Kev::default());
        let vector = contextual(&found, Heat::Warm).unwrap().vector;
        assert_eq!(vector, format!("{THREE}/E:P/MAC:H"));
        found.ratings = vec![rated("AV:N/AC:L/Au:N/C:C/I:C/A:C", 10.0)];
        assert_eq!(contextual(&found, Heat::Hot), None);
    }
}
