//! Whether anybody still looks after a package.

use super::Hitting;
use crate::FixState;
use crate::database::{About, Support};

/// The state of a finding, with what the database knows of support on the day it was built: what is hit and not fixed,
/// in a release or a package that nobody looks after, will stay so.
pub(super) fn state(decided: FixState, hits: &[Hitting], about: &About) -> FixState {
    let open = decided == FixState::Affected && hits.iter().all(|hit| hit.hit.fixed.is_empty());
    let of_distribution = |hit: &&Hitting| hit.question.is_distribution;
    let ended = |hit: &Hitting| has_ended(&hit.question.ecosystem, &hit.question.package, about);
    if open && hits.iter().filter(of_distribution).any(ended) { FixState::EndOfLife } else { decided }
}

fn has_ended(ecosystem: &str, package: &str, about: &About) -> bool {
    // A date sorts as text; the build's may have a time after it.
    let Some(today) = about.built.get(..10) else { return false };
    let over = |date: &Option<String>| date.as_deref().is_some_and(|date| date < today);
    let release =
        about.releases.iter().find(|release| release.ecosystem == ecosystem).is_some_and(|release| {
            over(&release.end_of_life)
                && (release.end_of_long_term.is_none() || over(&release.end_of_long_term))
        });
    let speaks_of = |support: &&Support| {
        let release = support.ecosystem == ecosystem
            || ecosystem.split_once(':').is_some_and(|(name, _)| support.ecosystem == name);
        release && matches(&support.package, package)
    };
    release || about.support.iter().filter(speaks_of).any(|support| over(&support.ended))
}

/// Whether a name has the form of a pattern in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(start) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Release;

    #[test]
    fn support_ends_with_the_release_or_for_the_package_alone() {
        let about = About {
            built: "2026-08-22T00:00:00Z".into(),
            releases: vec![
                Release {
                    ecosystem: "Debian:10".into(),
                    end_of_life: Some("2022-09-10".into()),
                    end_of_long_term: Some("2024-06-30".into()),
                    ..Release::default()
                },
                Release {
                    ecosystem: "Debian:12".into(),
                    end_of_life: Some("2026-06-10".into()),
                    end_of_long_term: Some("2028-06-30".into()),
                    ..Release::default()
                },
            ],
            support: vec![
                Support {
                    ecosystem: "Debian:12".into(),
                    package: "node-*".into(),
                    ended: Some("2025-01-01".into()),
                    ..Support::default()
                },
                Support { ecosystem: "Debian".into(), package: "binutils".into(), ..Support::default() },
            ],
            ..About::default()
        };
        for (ecosystem, package, expected) in [
            ("Debian:10", "anything", true),
            ("Debian:12", "curl", false),
            ("Debian:12", "node-tar", true),
            ("Debian:13", "node-tar", false),
            ("Debian:12", "binutils", false),
        ] {
            assert_eq!(has_ended(ecosystem, package, &about), expected, "{ecosystem} {package}");
        }
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, expected) in [
            ("a*", "abc", true),
            ("a*c", "abc", true),
            ("a*b*c", "axbxc", true),
            ("a*b*c", "axc", false),
            ("a", "ab", false),
            ("*", "", true),
            ("ab*b", "ab", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
