//! What Debian says, from whichever of its lists is at hand.
//!
//! No single file tells which version fixes a CVE in a release: the tracker's lists say it for unstable and leave the
//! releases to annotations, to DSAs and to DLAs. So the importers collect facts, and [`resolve`] decides for each
//! (CVE, source package, release) once all are known.

pub(super) mod advisories;
pub(super) mod archive;
pub(super) mod changelogs;
pub(super) mod cve_list;
pub(super) mod lifecycle;
mod resolve;
pub(super) mod tracker;

use std::collections::{BTreeMap, BTreeSet};

/// A release that findings are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Release {
    /// By its number: 12.
    Stable(u8),
    /// Unstable.
    Sid,
}

/// Releases that an image may still be built on, with their code names.
const RELEASES: [(u8, &str); 5] =
    [(10, "buster"), (11, "bullseye"), (12, "bookworm"), (13, "trixie"), (14, "forky")];

impl Release {
    /// Every release that rows are made for.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        RELEASES.iter().map(|(number, _)| Self::Stable(*number)).chain([Self::Sid])
    }

    /// `bookworm`; none for what is older or unknown.
    pub(super) fn of_codename(name: &str) -> Option<Self> {
        if name == "sid" || name == "unstable" {
            return Some(Self::Sid);
        }
        RELEASES.iter().find(|(_, codename)| *codename == name).map(|(number, _)| Self::Stable(*number))
    }

    /// `12`, `sid`.
    pub(super) fn of_number(text: &str) -> Option<Self> {
        let number: Option<u8> = text.parse().ok();
        match number {
            Some(number) => {
                RELEASES.iter().any(|(known, _)| *known == number).then_some(Self::Stable(number))
            }
            None => Self::of_codename(text),
        }
    }

    /// As OSV names it: `Debian:12`.
    pub(super) fn ecosystem(self) -> String {
        match self {
            Self::Stable(number) => format!("Debian:{number}"),
            Self::Sid => "Debian:sid".to_owned(),
        }
    }
}

/// What a list says of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// Fixed in this version; `0` where it was never hit.
    Fixed(String),
    Unfixed,
    NotAffected,
    Removed,
    Undetermined,
    NoDsa,
    Postponed,
    Ignored,
    EndOfLife,
}

/// One thing that one list says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    word: Word,
    /// The name of the source in the database.
    source: String,
    /// The advisory's name: the DSA, or the CVE itself.
    advisory: String,
    /// `unimportant`, `low`, ….
    urgency: Option<String>,
}

/// All that is said of one CVE in one source package.
#[derive(Debug, Default)]
struct Story {
    /// Of unstable, which stands for all releases that nothing is said of.
    sid: Vec<Fact>,
    /// Of a release: annotations, DSAs, DLAs.
    releases: BTreeMap<Release, Vec<Fact>>,
    /// Versions whose changelog entry names the CVE, and the releases whose changelog has that entry.
    changelogs: Vec<(String, BTreeSet<Release>)>,
}

/// All that was read of Debian.
#[derive(Debug, Default)]
pub(super) struct Facts {
    stories: BTreeMap<(String, String), Story>,
    /// The newest version of each source package in each release, where the archive's indices were read.
    archive: BTreeMap<String, BTreeMap<Release, String>>,
    /// Releases whose indices were read.
    archived: BTreeSet<Release>,
    summaries: BTreeMap<String, String>,
    /// When support of a source package ended.
    ended: BTreeMap<(Release, String), String>,
}

impl Facts {
    /// Something is said of a release.
    #[expect(clippy::too_many_arguments, reason = "the columns of a table, each of which every caller has")]
    pub(super) fn release(
        &mut self,
        cve: &str,
        package: &str,
        release: Release,
        word: Word,
        source: &str,
        advisory: &str,
        urgency: Option<&str>,
    ) {
        let fact = fact(word, source, advisory, urgency);
        let story = self.story(cve, package);
        let known = story.releases.entry(release).or_default();
        if !known.contains(&fact) {
            known.push(fact);
        }
    }

    /// Something is said of unstable.
    pub(super) fn unstable(
        &mut self,
        cve: &str,
        package: &str,
        word: Word,
        source: &str,
        urgency: Option<&str>,
    ) {
        let fact = fact(word, source, cve, urgency);
        let story = self.story(cve, package);
        if !story.sid.contains(&fact) {
            story.sid.push(fact);
        }
    }

    fn story(&mut self, cve: &str, package: &str) -> &mut Story {
        self.stories.entry((cve.to_owned(), package.to_owned())).or_default()
    }
}

fn fact(word: Word, source: &str, advisory: &str, urgency: Option<&str>) -> Fact {
    Fact {
        word,
        source: source.to_owned(),
        advisory: advisory.to_owned(),
        urgency: urgency.map(str::to_owned),
    }
}
