//! Debian's rule: what holds for a CVE, a source package and a release.
//!
//! 1. A DSA, a DLA or an annotation with a version for the release: fixed there, the highest version of several.
//! 2. Else an annotation `<not-affected>`, `<removed>`, `<undetermined>`: no row.
//! 3. Else an annotation `<no-dsa>`, `<postponed>`, `<ignored>`, `<end-of-life>`, `<unfixed>`: hit, with that state.
//! 4. Else an entry of the release's own changelog that names the CVE: fixed there.
//! 5. Else what holds for unstable, as long as the release has the package.
//!
//! Where rules 3 and 5 end in a version that the release does not have yet, there is no fix in the release.

use std::cmp::Ordering;

use super::{Fact, Facts, Release, Story, Word, fact};
use crate::import::kind::DEBIAN_CHANGELOGS;
use crate::version::{Scheme, compare};
use crate::{Advisory, Affected, DatabaseBuilder, FixState, Range};

/// What was decided: the fact that decided it, the version that fixes it, the state.
struct Verdict {
    by: Fact,
    fixed: Option<String>,
    state: FixState,
}

impl Facts {
    /// Decides everything and hands it to the builder, one advisory for each CVE and deciding source.
    pub(in crate::import) fn resolve(&self, today: &str, builder: &mut DatabaseBuilder) {
        for ((cve, package), story) in &self.stories {
            let mut advisories: Vec<Advisory> = Vec::new();
            for release in Release::all() {
                let Some(verdict) = self.verdict(cve, package, story, release, today) else { continue };
                let affected = Affected {
                    ecosystem: release.ecosystem(),
                    package: package.clone(),
                    ranges: vec![Range { fixed: verdict.fixed, ..Range::default() }],
                    state: verdict.state,
                    severity: verdict.by.urgency,
                    ..Affected::default()
                };
                let same = advisories.iter_mut().find(|advisory| {
                    advisory.id == verdict.by.advisory && advisory.source == verdict.by.source
                });
                match same {
                    Some(advisory) => advisory.affected.push(affected),
                    None => advisories.push(Advisory {
                        id: verdict.by.advisory,
                        source: verdict.by.source,
                        fixes: [cve.clone()].into(),
                        summary: self.summaries.get(cve).cloned().unwrap_or_default(),
                        affected: vec![affected],
                        ..Advisory::default()
                    }),
                }
            }
            for advisory in advisories {
                builder.advisory(advisory);
            }
        }
    }

    fn verdict(
        &self,
        cve: &str,
        package: &str,
        story: &Story,
        release: Release,
        today: &str,
    ) -> Option<Verdict> {
        let own = story.releases.get(&release).map_or(&[][..], Vec::as_slice);
        let urgency = urgency(own).or_else(|| urgency(&story.sid)).map(str::to_owned);
        let named = |by: &Fact| Fact { urgency: urgency.clone(), ..by.clone() };
        if let Some((by, version)) = highest(own) {
            let state = if urgency.as_deref() == Some("unimportant") {
                FixState::Unimportant
            } else {
                FixState::Affected
            };
            return Some(Verdict { by: named(by), fixed: Some(version.to_owned()), state });
        }
        if own.iter().any(|fact| is_silent(&fact.word)) {
            return None;
        }
        let in_changelog = lowest(story, release);
        let ended =
            self.ended.get(&(release, package.to_owned())).is_some_and(|ended| ended.as_str() <= today);
        let (by, fixed, word) = if let Some(by) = own.first() {
            let fixed = in_changelog
                .map(str::to_owned)
                .or_else(|| self.in_unstable(story, package, release).flatten());
            (named(by), fixed, by.word.clone())
        } else if let Some(version) = in_changelog {
            let by = fact(Word::Unfixed, DEBIAN_CHANGELOGS.name, cve, urgency.as_deref());
            (by, Some(version.to_owned()), Word::Unfixed)
        } else {
            let is_absent = self.archived.contains(&release)
                && !self.archive.get(package).is_some_and(|releases| releases.contains_key(&release));
            if is_absent {
                return None;
            }
            let fixed = self.in_unstable(story, package, release)?;
            let by = match story.sid.first() {
                Some(by) => named(by),
                None => fact(Word::Unfixed, DEBIAN_CHANGELOGS.name, cve, urgency.as_deref()),
            };
            (by, fixed, Word::Unfixed)
        };
        let state = match word {
            _ if urgency.as_deref() == Some("unimportant") => FixState::Unimportant,
            Word::EndOfLife => FixState::EndOfLife,
            _ if ended && fixed.is_none() => FixState::EndOfLife,
            Word::NoDsa => FixState::NoAdvisory,
            Word::Postponed => FixState::Postponed,
            Word::Ignored => FixState::Ignored,
            _ => FixState::Affected,
        };
        Some(Verdict { by, fixed, state })
    }

    /// The version that fixes it by the word of unstable, as far as the release can have it; none (outside) if
    /// unstable is not hit, or nothing is known of it.
    fn in_unstable(&self, story: &Story, package: &str, release: Release) -> Option<Option<String>> {
        if story.sid.iter().any(|fact| is_silent(&fact.word)) {
            return None;
        }
        let by_list = highest(&story.sid).map(|(_, version)| version);
        let version = match by_list.or_else(|| lowest(story, Release::Sid)) {
            Some(version) => version,
            None if story.sid.is_empty() => return None,
            None => return Some(None),
        };
        let newest = self.archive.get(package).and_then(|releases| releases.get(&release));
        let is_out_of_reach = release != Release::Sid
            && newest.is_some_and(|newest| compare(Scheme::Debian, newest, version) == Ordering::Less);
        Some((!is_out_of_reach).then(|| version.to_owned()))
    }
}

/// Words that make no row.
fn is_silent(word: &Word) -> bool {
    match word {
        Word::NotAffected | Word::Removed | Word::Undetermined => true,
        Word::Fixed(version) => version == "0",
        _ => false,
    }
}

/// The highest version that any of these gives.
fn highest(facts: &[Fact]) -> Option<(&Fact, &str)> {
    let versions = facts.iter().filter_map(|fact| match &fact.word {
        Word::Fixed(version) if version != "0" => Some((fact, version.as_str())),
        _ => None,
    });
    versions.max_by(|(_, a), (_, b)| compare(Scheme::Debian, a, b))
}

/// The first version in the release's own changelog that names the CVE. Later entries name it again: to drop a patch,
/// to mention it.
fn lowest(story: &Story, release: Release) -> Option<&str> {
    let versions = story.changelogs.iter().filter(|(_, releases)| releases.contains(&release));
    versions.map(|(version, _)| version.as_str()).min_by(|a, b| compare(Scheme::Debian, a, b))
}

fn urgency(facts: &[Fact]) -> Option<&str> {
    facts.iter().find_map(|fact| fact.urgency.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Database;
    use crate::import::{Import, Limits};

    /// Rows of `pkg` as (ecosystem, CVE, advisory, fixed, state).
    fn rows(files: &[(&str, &str)]) -> Vec<(String, String, String, Option<String>, FixState)> {
        let mut import = Import::new("2026-07-01T00:00:00Z", Limits::default());
        for (name, text) in files {
            import.bytes(name, text.as_bytes());
        }
        let database = Database::from_bytes(import.finish().finish().unwrap()).unwrap();
        Release::all()
            .flat_map(|release| database.affected(&release.ecosystem(), "pkg").unwrap())
            .map(|row| {
                let fixed = row.affected.ranges[0].fixed.clone();
                (row.affected.ecosystem, row.vulnerability, row.advisory, fixed, row.affected.state)
            })
            .collect()
    }

    fn of(
        rows: &[(String, String, String, Option<String>, FixState)],
        release: &str,
    ) -> Vec<(String, Option<String>, FixState)> {
        let ours = rows.iter().filter(|row| row.0 == format!("Debian:{release}"));
        ours.map(|row| (row.2.clone(), row.3.clone(), row.4)).collect()
    }

    const ARCHIVE: &str = "bookworm\tmain\tpkg\t1.0-1\nbookworm\tsecurity\tpkg\t1.0-1+deb12u2\n\
                           trixie\tmain\tpkg\t2.0-1\nsid\tmain\tpkg\t3.0-1\nbullseye\tmain\tother\t1-1\n";

    #[test]
    fn an_advisory_for_the_release_beats_unstable_and_the_highest_of_several_wins() {
        let list = "CVE-2026-1 (a flaw)\n\t- pkg 2.5-1\n\t[bookworm] - pkg 1.0-1+deb12u1\n";
        let dsa =
            "[02 Jan 2026] DSA-2-1 pkg - security update\n\t{CVE-2026-1}\n\t[bookworm] - pkg 1.0-1+deb12u2\n";
        let rows = rows(&[("list", list), ("DSA", dsa), ("archive", ARCHIVE)]);
        let fixed = |version: &str| Some(version.to_owned());
        assert_eq!(of(&rows, "12"), [("DSA-2-1".into(), fixed("1.0-1+deb12u2"), FixState::Affected)]);
        assert_eq!(
            of(&rows, "13"),
            [("CVE-2026-1".into(), None, FixState::Affected)],
            "2.5-1 is not in trixie"
        );
        assert_eq!(of(&rows, "sid"), [("CVE-2026-1".into(), fixed("2.5-1"), FixState::Affected)]);
        assert_eq!(of(&rows, "11"), [], "bullseye does not have the package");
    }

    #[test]
    fn words_of_a_release_become_states_or_no_row() {
        for (word, state) in [
            ("<no-dsa> (Minor issue)", Some(FixState::NoAdvisory)),
            ("<postponed> (Minor issue)", Some(FixState::Postponed)),
            ("<ignored> (Too intrusive)", Some(FixState::Ignored)),
            ("<end-of-life> (No longer supported)", Some(FixState::EndOfLife)),
            ("<unfixed>", Some(FixState::Affected)),
            ("<not-affected> (Vulnerable code introduced later)", None),
            ("<removed>", None),
            ("<undetermined>", None),
        ] {
            let list = format!("CVE-2026-1 (a flaw)\n\t- pkg 2.5-1\n\t[bookworm] - pkg {word}\n");
            let rows = rows(&[("list", &list), ("archive", ARCHIVE)]);
            let states: Vec<_> = of(&rows, "12").into_iter().map(|row| row.2).collect();
            assert_eq!(states, state.into_iter().collect::<Vec<_>>(), "{word}");
        }
    }

    #[test]
    fn what_is_unimportant_in_unstable_is_so_in_every_release() {
        let rows = rows(&[("list", "CVE-2026-1 (a flaw)\n\t- pkg <unfixed> (bug #1; unimportant)\n")]);
        assert_eq!(rows.len(), 6);
        assert!(rows.iter().all(|row| row.4 == FixState::Unimportant && row.3.is_none()));
    }

    #[test]
    fn unstable_that_is_not_hit_leaves_the_releases_alone() {
        for word in ["<not-affected> (Windows only)", "<removed>", "<undetermined>"] {
            assert_eq!(rows(&[("list", &format!("CVE-2026-1 (a flaw)\n\t- pkg {word}\n"))]), []);
        }
    }

    #[test]
    fn a_changelog_fixes_where_the_tracker_is_silent() {
        let line = |version: &str, seen: &str| {
            format!(
                r#"{{"source":"pkg","version":"{version}","date":"Tue, 04 Aug 2026 16:49:18 +0800","cves":["CVE-2026-1"],"seen_in":[{seen}]}}"#
            )
        };
        let lines = [
            line("1.0-1+deb12u1", r#""bookworm""#),
            line("1.0-1+deb12u2", r#""bookworm""#),
            line("2.5-1", r#""sid""#),
        ];
        let rows = rows(&[("changelogs.jsonl", &lines.join("\n")), ("archive", ARCHIVE)]);
        assert_eq!(of(&rows, "12")[0].1.as_deref(), Some("1.0-1+deb12u1"), "the first entry that names it");
        assert_eq!(of(&rows, "13")[0].1, None, "fixed in unstable only");
        assert_eq!(of(&rows, "sid")[0].1.as_deref(), Some("2.5-1"));
    }

    #[test]
    fn support_that_has_ended_is_the_state_of_what_nobody_fixed() {
        let list = "CVE-2026-1 (a flaw)\n\t- pkg <unfixed>\n";
        for (ended, state) in [("2026-06-12", FixState::EndOfLife), ("2026-08-12", FixState::Affected)] {
            let support = format!("# columns\npkg 1.0-1 {ended} nobody has time\n");
            let rows = rows(&[("list", list), ("security-support-ended.deb12", &support)]);
            assert_eq!(of(&rows, "12")[0].2, state, "{ended}");
            assert_eq!(of(&rows, "13")[0].2, FixState::Affected);
        }
    }

    #[test]
    fn the_trackers_json_says_the_same_in_other_words() {
        let json = r#"{"pkg":{"CVE-2026-1":{"description":"a flaw","releases":{
            "bookworm":{"status":"open","urgency":"not yet assigned","nodsa":"Minor","nodsa_reason":"postponed"},
            "trixie":{"status":"resolved","fixed_version":"0","urgency":"low"},
            "bullseye":{"status":"undetermined","urgency":"low"},
            "sid":{"status":"resolved","fixed_version":"2.5-1","urgency":"low**"}}}}}"#;
        let rows = rows(&[("tracker.json", json)]);
        assert_eq!(of(&rows, "12")[0].2, FixState::Postponed);
        assert_eq!((of(&rows, "13"), of(&rows, "11")), (vec![], vec![]));
        assert_eq!(of(&rows, "sid")[0].1.as_deref(), Some("2.5-1"));
    }
}
