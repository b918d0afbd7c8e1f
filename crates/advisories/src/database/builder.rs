//! Building a database from advisories.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::aliases::Aliases;
use super::file::Writer;
use super::package_key;
use super::table::Table;
use super::values::{
    About, AdvisoryName, Epss, Kev, Match, Rating, Release, Source, Ssvc, Support, Vulnerability,
};
use crate::{Advisory, Severity};

/// References of one vulnerability that are kept: the first of each advisory come first.
const MAX_REFERENCES: usize = 24;
/// Characters of a summary that are kept.
const MAX_SUMMARY: usize = 240;

/// Why a database cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot compress the database")]
pub struct BuildError(#[source] io::Error);

/// Collects what sources say, in any order; [`DatabaseBuilder::finish`] makes the file of it.
///
/// The same calls in another order make the same bytes, as long as no two advisories have the same source and ID.
#[derive(Debug, Default)]
pub struct DatabaseBuilder {
    advisories: BTreeMap<(String, String), Vec<Advisory>>,
    exploited: BTreeMap<String, Kev>,
    scores: BTreeMap<String, Epss>,
    ratings: BTreeMap<String, BTreeSet<Rating>>,
    weaknesses: BTreeMap<String, BTreeSet<String>>,
    decisions: BTreeMap<String, Ssvc>,
    about: About,
}

impl DatabaseBuilder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// An advisory of a source.
    pub fn advisory(&mut self, advisory: Advisory) -> &mut Self {
        let key = (advisory.source.clone(), advisory.id.clone());
        let same = self.advisories.entry(key).or_default();
        // The same file may be given twice.
        if !same.contains(&advisory) {
            same.push(advisory);
        }
        self
    }

    /// That a vulnerability is known to be exploited.
    pub fn exploited(&mut self, entry: Kev) -> &mut Self {
        self.exploited.insert(entry.cve.clone(), entry);
        self
    }

    /// How likely a vulnerability is to be exploited.
    pub fn epss(&mut self, cve: impl Into<String>, epss: Epss) -> &mut Self {
        self.scores.insert(cve.into(), epss);
        self
    }

    /// How bad a vulnerability is, in the words of somebody who wrote no advisory.
    pub fn cvss(&mut self, cve: impl Into<String>, rating: Rating) -> &mut Self {
        self.ratings.entry(cve.into()).or_default().insert(rating);
        self
    }

    /// A weakness behind a vulnerability: `CWE-79`.
    pub fn weakness(&mut self, cve: impl Into<String>, weakness: impl Into<String>) -> &mut Self {
        self.weaknesses.entry(cve.into()).or_default().insert(weakness.into());
        self
    }

    /// What CISA decided of a vulnerability.
    pub fn ssvc(&mut self, cve: impl Into<String>, decision: Ssvc) -> &mut Self {
        self.decisions.insert(cve.into(), decision);
        self
    }

    /// Where records came from.
    pub fn source(&mut self, source: Source) -> &mut Self {
        self.about.sources.push(source);
        self
    }

    /// How long a release is looked after.
    pub fn release(&mut self, release: Release) -> &mut Self {
        self.about.releases.push(release);
        self
    }

    /// A package with less support than its release.
    pub fn support(&mut self, support: Support) -> &mut Self {
        self.about.support.push(support);
        self
    }

    /// When the database is built, RFC 3339. Nothing looks at a clock: without this it says nothing.
    pub fn built(&mut self, date: impl Into<String>) -> &mut Self {
        self.about.built = date.into();
        self
    }

    /// The file.
    ///
    /// # Errors
    /// [`BuildError`] if zstd cannot compress, for want of memory.
    pub fn finish(mut self) -> Result<Vec<u8>, BuildError> {
        self.about.generator = concat!("careen ", env!("CARGO_PKG_VERSION")).into();
        self.about.sources.sort();
        self.about.releases.sort();
        self.about.releases.dedup();
        self.about.support.sort();
        self.about.support.dedup();
        let aliases = self.join_names();
        let about = std::mem::take(&mut self.about);
        let scores: BTreeMap<_, _> = std::mem::take(&mut self.scores)
            .into_iter()
            .map(|(cve, epss)| (cve, json(&(epss.score, epss.percentile))))
            .collect();
        let packages = encode(self.packages(&aliases));
        let names = encode(self.names(&aliases));
        let vulnerabilities = encode(self.vulnerabilities(&aliases));
        let mut writer = Writer::new();
        let mut table = |records| Table::write(records, &mut writer.file).map_err(BuildError);
        let (packages, vulnerabilities) = (table(&packages)?, table(&vulnerabilities)?);
        let (names, scores) = (table(&names)?, table(&scores)?);
        writer.finish(&about, [&packages, &vulnerabilities, &names, &scores]).map_err(BuildError)
    }

    fn all(&self) -> impl Iterator<Item = &Advisory> {
        self.advisories.values().flatten()
    }

    fn join_names(&mut self) -> Aliases {
        for same in self.advisories.values_mut() {
            same.sort_by_cached_key(json);
        }
        let mut aliases = Aliases::default();
        // An advisory that is a vulnerability itself is joined with all of its aliases. One that names several CVEs
        // is about each of them, and joins nothing.
        for advisory in self.all().filter(|advisory| subjects(advisory) == [advisory.id.as_str()]) {
            for alias in &advisory.aliases {
                aliases.join(&advisory.id, alias);
            }
        }
        aliases
    }

    fn packages(&self, aliases: &Aliases) -> BTreeMap<String, Vec<Match>> {
        let mut packages: BTreeMap<String, Vec<Match>> = BTreeMap::new();
        for advisory in self.all().filter(|advisory| advisory.withdrawn.is_none()) {
            for subject in subjects(advisory) {
                for affected in &advisory.affected {
                    packages.entry(package_key(&affected.ecosystem, &affected.package)).or_default().push(
                        Match {
                            vulnerability: aliases.canonical(subject).to_owned(),
                            advisory: advisory.id.clone(),
                            source: advisory.source.clone(),
                            affected: affected.clone(),
                        },
                    );
                }
            }
        }
        for matches in packages.values_mut() {
            matches.sort();
            matches.dedup();
        }
        packages
    }

    fn names(&self, aliases: &Aliases) -> BTreeMap<String, BTreeSet<String>> {
        let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (canonical, others) in aliases.groups() {
            for other in others {
                names.entry(other).or_default().insert(canonical.clone());
            }
        }
        for advisory in self.all() {
            for subject in subjects(advisory).into_iter().filter(|subject| *subject != advisory.id) {
                names.entry(advisory.id.clone()).or_default().insert(aliases.canonical(subject).to_owned());
            }
        }
        names
    }

    fn vulnerabilities(&self, aliases: &Aliases) -> BTreeMap<String, Vulnerability> {
        let mut known: BTreeMap<String, Vulnerability> = BTreeMap::new();
        let mut valid: BTreeSet<String> = BTreeSet::new();
        for advisory in self.all() {
            for subject in subjects(advisory) {
                let id = aliases.canonical(subject);
                if advisory.withdrawn.is_none() {
                    valid.insert(id.to_owned());
                }
                add(known.entry(id.to_owned()).or_default(), advisory, subject);
            }
        }
        for (canonical, others) in aliases.groups() {
            known.entry(canonical).or_default().aliases.extend(others);
        }
        for (cve, entry) in &self.exploited {
            known.entry(aliases.canonical(cve).to_owned()).or_default().exploited = Some(entry.clone());
        }
        for (cve, ratings) in &self.ratings {
            let id = aliases.canonical(cve).to_owned();
            known.entry(id).or_default().severities.extend(ratings.iter().cloned());
        }
        for (cve, weaknesses) in &self.weaknesses {
            let id = aliases.canonical(cve).to_owned();
            known.entry(id).or_default().weaknesses.extend(weaknesses.iter().cloned());
        }
        for (cve, decision) in &self.decisions {
            known.entry(aliases.canonical(cve).to_owned()).or_default().ssvc = Some(decision.clone());
        }
        for (id, vulnerability) in &mut known {
            if valid.contains(id) {
                vulnerability.withdrawn = None;
            }
            vulnerability.id.clone_from(id);
        }
        known
    }
}

/// What an advisory is about: itself, or the vulnerabilities that it fixes.
fn subjects(advisory: &Advisory) -> Vec<&str> {
    if !advisory.fixes.is_empty() {
        return advisory.fixes.iter().map(String::as_str).collect();
    }
    let cves: Vec<&str> =
        advisory.aliases.iter().map(String::as_str).filter(|alias| super::is_cve(alias)).collect();
    if cves.len() > 1 { cves } else { vec![&advisory.id] }
}

/// Adds what an advisory says to what is known of one of its subjects.
fn add(known: &mut Vulnerability, advisory: &Advisory, subject: &str) {
    let is_own = advisory.fixes.len() < 2;
    let is_longer = advisory.summary.len() > known.summary.len();
    // A DSA's text is about all of its CVEs; what is about this one alone says more.
    if !advisory.summary.is_empty() && (known.summary.is_empty() || (is_own && is_longer)) {
        known.summary = advisory.summary.chars().take(MAX_SUMMARY).collect();
    }
    let rate = |severity: &Severity| Rating { by: advisory.source.clone(), severity: severity.clone() };
    known.severities.extend(advisory.severities.iter().map(rate));
    known.weaknesses.extend(advisory.weaknesses.iter().cloned());
    let room = MAX_REFERENCES.saturating_sub(known.references.len());
    known.references.extend(advisory.references.iter().take(room).cloned());
    known.published = match (known.published.take(), &advisory.published) {
        (Some(known), Some(other)) => Some(known.min(other.clone())),
        (known, other) => known.or_else(|| other.clone()),
    };
    known.withdrawn = known.withdrawn.take().max(advisory.withdrawn.clone());
    if advisory.id != subject || subject != known.id {
        known.advisories.insert(AdvisoryName { source: advisory.source.clone(), id: advisory.id.clone() });
    }
}

fn encode<T: serde::Serialize>(records: BTreeMap<String, T>) -> BTreeMap<String, Vec<u8>> {
    records.into_iter().map(|(key, value)| (key, json(&value))).collect()
}

fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("these values have text keys and finite numbers")
}
