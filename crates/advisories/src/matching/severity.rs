//! How bad a vulnerability is: every word and score that the sources have, and one word to rank by.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Severity;
use crate::database::Rating;

/// How bad, in one word. In order: what is unknown is least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rank {
    /// Nobody says.
    #[default]
    Unknown,
    /// Of no practical consequence.
    Negligible,
    /// CVSS 0.1 to 3.9.
    Low,
    /// CVSS 4.0 to 6.9; `moderate`.
    Medium,
    /// CVSS 7.0 to 8.9; `important`.
    High,
    /// CVSS 9.0 and above.
    Critical,
}

/// How bad, in the words of one who says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rated {
    /// A source of the database, or the name of who scored: `NVD`, `CISA-ADP`.
    pub by: String,
    /// What they say.
    #[serde(flatten)]
    pub severity: Severity,
    /// The score of a CVSS vector, 0 to 10; none for a word, and for a vector that cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// What they say, as a rank.
    pub rank: Rank,
}

/// Where a rating may stand in the order of who is believed, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Authority {
    Word,
    Cvss2,
    Cvss3,
    Cvss4,
    /// The distribution's own word for its own package.
    Distribution,
}

/// One word for all ratings: that of the highest authority, and of these the worst. `words` are what sources say of
/// the package itself; of these a distribution's beats every score.
pub(super) fn rank(
    ratings: &BTreeSet<Rating>,
    words: impl Iterator<Item = (String, String)>,
    is_distribution: bool,
) -> (Rank, Vec<Rated>) {
    let of_package = if is_distribution { Authority::Distribution } else { Authority::Word };
    let mut all: Vec<(Authority, Rated)> = ratings.iter().map(rate).collect();
    for (by, word) in words {
        let rating = Rating { by, severity: Severity::Word(word) };
        let (_, rated) = rate(&rating);
        if all.iter().all(|(_, known)| *known != rated) {
            all.push((of_package, rated));
        }
    }
    let believed = all
        .iter()
        .filter(|(_, rated)| rated.rank != Rank::Unknown)
        .max_by_key(|(authority, rated)| (*authority, rated.rank))
        .map_or(Rank::Unknown, |(_, rated)| rated.rank);
    all.sort_by(|(_, a), (_, b)| {
        let scores = b.score.unwrap_or(-1.0).total_cmp(&a.score.unwrap_or(-1.0));
        b.rank.cmp(&a.rank).then(scores).then_with(|| (&a.by, &a.severity).cmp(&(&b.by, &b.severity)))
    });
    (believed, all.into_iter().map(|(_, rated)| rated).collect())
}

fn rate(rating: &Rating) -> (Authority, Rated) {
    let (authority, score, rank) = match &rating.severity {
        Severity::Word(word) => (Authority::Word, None, Rank::of_word(word)),
        Severity::Cvss(vector) => match score(vector) {
            Some((authority, score)) => (authority, Some(score), Rank::of_score(score)),
            None => (Authority::Word, None, Rank::Unknown),
        },
    };
    (authority, Rated { by: rating.by.clone(), severity: rating.severity.clone(), score, rank })
}

fn score(vector: &str) -> Option<(Authority, f64)> {
    let vector = vector.trim();
    // Version 2 has no prefix, but some write one.
    let vector = vector.strip_prefix("CVSS:2.0/").unwrap_or(vector).trim_matches(['(', ')']);
    // No vector of any version is longer; a parser need not see more.
    if vector.len() > 512 {
        return None;
    }
    let cvss: cvss::Cvss = vector.parse().ok()?;
    let (authority, base) = match cvss {
        cvss::Cvss::CvssV20(_) => (Authority::Cvss2, "AV AC Au C I A"),
        cvss::Cvss::CvssV40(_) => (Authority::Cvss4, "AV AC AT PR UI VC VI VA SC SI SA"),
        _ => (Authority::Cvss3, "AV AC PR UI S C I A"),
    };
    // A vector without one of these has no score, though the parser gives it 0.
    let has = |metric: &str| vector.split('/').any(|part| part.split(':').next() == Some(metric));
    if !base.split(' ').all(has) {
        return None;
    }
    Some((authority, (cvss.score() * 10.0).round() / 10.0))
}

impl Rank {
    /// The rank of a source's word.
    pub fn of_word(word: &str) -> Self {
        match word.trim().to_ascii_lowercase().trim_end_matches('*') {
            "critical" => Self::Critical,
            "high" | "important" => Self::High,
            "medium" | "moderate" => Self::Medium,
            "low" => Self::Low,
            "negligible" | "unimportant" | "minor" | "none" | "notice" | "unmaintained" => Self::Negligible,
            _ => Self::Unknown,
        }
    }

    /// The rank of a CVSS score.
    ///
    /// Source: CVSS 4.0 Specification, 6 "Qualitative Severity Rating Scale".
    pub fn of_score(score: f64) -> Self {
        match score {
            _ if score >= 9.0 => Self::Critical,
            _ if score >= 7.0 => Self::High,
            _ if score >= 4.0 => Self::Medium,
            _ if score > 0.0 => Self::Low,
            _ => Self::Negligible,
        }
    }

    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Negligible => "negligible",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_vector_has_a_score_between_0_and_10_or_none(
            start in "(CVSS:(2.0|3.0|3.1|4.0)/)?",
            metrics in "(/?(AV|AC|AT|Au|PR|UI|S|C|I|A|VC|VI|VA|SC|SI|SA|E|RL|RC|CR|MAV|MSI|X|é):[NALPHCURMSXFéW0-9]{0,2}){0,14}",
            text in ".{0,30}",
        ) {
            for vector in [format!("{start}{metrics}"), format!("{start}{text}"), text] {
                if let Some((_, score)) = score(&vector) {
                    prop_assert!((0.0..=10.0).contains(&score), "{vector}: {score}");
                }
            }
        }

        #[test]
        fn every_complete_vector_has_a_score(
            three in "CVSS:3[.][01]/AV:[NALP]/AC:[LH]/PR:[NLH]/UI:[NR]/S:[UC]/C:[NLH]/I:[NLH]/A:[NLH](/E:[XHFPU])?",
            four in "CVSS:4[.]0/AV:[NALP]/AC:[LH]/AT:[NP]/PR:[NLH]/UI:[NPA]/VC:[NLH]/VI:[NLH]/VA:[NLH]/SC:[NLH]\
                     /SI:[NLH]/SA:[NLH](/E:[XAPU])?",
        ) {
            for vector in [three, four] {
                prop_assert!(score(&vector).is_some(), "{vector}");
            }
        }
    }

    fn cvss(by: &str, vector: &str) -> Rating {
        Rating { by: by.into(), severity: Severity::Cvss(vector.into()) }
    }

    #[test]
    fn vectors_of_every_version_have_a_score() {
        for (vector, expected) in [
            ("AV:N/AC:L/Au:N/C:C/I:C/A:C", Some((Authority::Cvss2, 10.0))),
            ("CVSS:2.0/AV:N/AC:M/Au:N/C:N/I:P/A:N", Some((Authority::Cvss2, 4.3))),
            ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Some((Authority::Cvss3, 9.8))),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", Some((Authority::Cvss3, 6.1))),
            (
                "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
                Some((Authority::Cvss4, 9.3)),
            ),
            ("CVSS:3.1/AV:N", None),
            ("CVSS:9.0/AV:N/AC:L", None),
            ("", None),
        ] {
            assert_eq!(score(vector), expected, "{vector}");
        }
    }

    #[test]
    fn the_distributions_word_beats_scores_and_newer_scores_beat_older_ones() {
        let scores = BTreeSet::from([
            cvss("NVD", "AV:N/AC:L/Au:N/C:C/I:C/A:C"),
            cvss("NVD", "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"),
            Rating { by: "ghsa/npm".into(), severity: Severity::Word("critical".into()) },
        ]);
        let words = |word: &str| vec![("debian/tracker".to_owned(), word.to_owned())].into_iter();
        assert_eq!(rank(&scores, words("low"), true).0, Rank::Low);
        assert_eq!(rank(&scores, words("not yet assigned"), true).0, Rank::Medium);
        assert_eq!(rank(&scores, words("low"), false).0, Rank::Medium);
        assert_eq!(rank(&BTreeSet::new(), words("moderate"), false).0, Rank::Medium);
        assert_eq!(rank(&BTreeSet::new(), std::iter::empty(), true), (Rank::Unknown, Vec::new()));
        let shown = rank(&scores, words("low"), true).1;
        assert_eq!(
            shown.iter().map(|rated| rated.score).collect::<Vec<_>>(),
            [Some(10.0), None, Some(6.1), None]
        );
    }
}
