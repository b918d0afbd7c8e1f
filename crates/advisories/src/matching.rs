//! Which advisory hits which package.
//!
//! [`find`] asks the database about every package of an image and makes one [`Finding`] of all that speaks of one
//! vulnerability in one package. What to ask of which package stands in [`question`](mod@question), whether an answer
//! hits in [`range`], how bad it is in [`severity`].

mod finding;
mod generic;
mod question;
mod range;
mod release;
mod severity;
mod support;

use std::collections::{BTreeMap, BTreeSet};

use packages::{Package, PackageDatabase, PackageIndex};

pub use finding::{Evidence, Finding, FoundIn};
pub(crate) use question::pypi_name;
pub use question::{Question, questions};
pub use range::{Hit, hit};
pub use severity::{Rank, Rated};

use crate::database::{Database, DatabaseError, Match, Vulnerability};
use crate::{FixState, Symbols, version};

/// The known vulnerabilities of an image's packages, in order of package, then vulnerability.
///
/// One finding for each vulnerability in each installed package, whichever sources and names know it. Packages of a
/// distribution are looked up by their source, in the distribution's own data and nowhere else; those of other
/// archives never there. A package without a version makes no finding: nothing can be said of it.
///
/// # Errors
/// [`DatabaseError`] if a part of the database that is needed is damaged.
pub fn find(packages: &PackageDatabase, database: &Database) -> Result<Vec<Finding>, DatabaseError> {
    let mut search = Search { database, answers: BTreeMap::new(), vulnerabilities: BTreeMap::new() };
    let mut findings = Vec::new();
    for (index, package) in packages.packages.iter().enumerate() {
        if !package.state.is_installed() {
            continue;
        }
        let mut questions = questions(package, packages.os_release.as_ref());
        if let Some(by_cpe) = question::by_cpe(package)
            && !search.knows_any(&questions)?
        {
            questions.push(by_cpe);
        }
        for (vulnerability, hits) in search.hits(&questions)? {
            findings.push(search.finding(PackageIndex(index), package, &vulnerability, hits)?);
        }
    }
    Ok(findings)
}

/// What the database said so far: binary packages share sources, packages share vulnerabilities.
struct Search<'a> {
    database: &'a Database,
    answers: BTreeMap<(String, String), Vec<Match>>,
    vulnerabilities: BTreeMap<String, Vulnerability>,
}

/// One advisory that hits, and the question that it answers.
struct Hitting {
    question: Question,
    answer: Match,
    hit: Hit,
}

impl Search<'_> {
    /// What hits, by vulnerability.
    fn hits(&mut self, questions: &[Question]) -> Result<BTreeMap<String, Vec<Hitting>>, DatabaseError> {
        let mut hits: BTreeMap<String, Vec<Hitting>> = BTreeMap::new();
        let mut cleared: BTreeSet<String> = BTreeSet::new();
        for question in questions {
            for answer in self.answers(question)? {
                match answer.affected.state {
                    FixState::NotAffected => {
                        cleared.insert(answer.vulnerability.clone());
                    }
                    FixState::Undetermined => {}
                    _ => {
                        if let Some(hit) = hit(question.scheme, &question.version, &answer.affected) {
                            let (question, answer) = (question.clone(), answer.clone());
                            let hitting = Hitting { question, answer, hit };
                            hits.entry(hitting.answer.vulnerability.clone()).or_default().push(hitting);
                        }
                    }
                }
            }
        }
        hits.retain(|vulnerability, _| !cleared.contains(vulnerability));
        Ok(hits)
    }

    /// Whether anything is known of what these ask about, in whichever version.
    fn knows_any(&mut self, questions: &[Question]) -> Result<bool, DatabaseError> {
        for question in questions {
            if !self.answers(question)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn answers(&mut self, question: &Question) -> Result<&[Match], DatabaseError> {
        let key = (question.ecosystem.clone(), question.package.clone());
        if !self.answers.contains_key(&key) {
            let answers = self.database.affected(&question.ecosystem, &question.package)?;
            self.answers.insert(key.clone(), answers);
        }
        Ok(self.answers.get(&key).map_or(&[], Vec::as_slice))
    }

    fn vulnerability(&mut self, id: &str) -> Result<&Vulnerability, DatabaseError> {
        if !self.vulnerabilities.contains_key(id) {
            let unknown = || Vulnerability { id: id.to_owned(), ..Vulnerability::default() };
            let known = self.database.vulnerability(id)?.unwrap_or_else(unknown);
            self.vulnerabilities.insert(id.to_owned(), known);
        }
        Ok(&self.vulnerabilities[id])
    }

    /// Makes one finding of all that hits one package for one vulnerability: at least one.
    fn finding(
        &mut self,
        index: PackageIndex,
        package: &Package,
        id: &str,
        hits: Vec<Hitting>,
    ) -> Result<Finding, DatabaseError> {
        let state = support::state(decided(&hits), &hits, self.database.about());
        let known = self.vulnerability(id)?;
        let words = hits.iter().filter_map(|hit| {
            let word = hit.answer.affected.severity.clone()?;
            Some((hit.answer.source.clone(), word))
        });
        let is_distribution = hits.iter().any(|hit| hit.question.is_distribution);
        let (severity, ratings) = severity::rank(&known.severities, words, is_distribution);
        let symbols = symbols(&hits);
        Ok(Finding {
            vulnerability: id.to_owned(),
            aliases: known.aliases.clone(),
            summary: known.summary.clone(),
            package: index,
            name: package.name.clone(),
            purl: package.purl.clone(),
            installed: package.version.clone(),
            fixed: fixed_versions(&hits),
            state,
            severity,
            ratings,
            epss: known.epss,
            exploited: known.exploited.clone(),
            symbols,
            found_in: FoundIn::of(package),
            evidence: evidence(hits),
        })
    }
}

/// What the sources decided. Where one knows a fix, that is what there is to say, unless it is of no consequence.
fn decided(hits: &[Hitting]) -> FixState {
    // A notice is the whole truth only where nobody calls it a vulnerability.
    let is_notice = |state: &FixState| *state == FixState::Informational;
    if hits.iter().all(|hit| is_notice(&hit.answer.affected.state)) {
        return FixState::Informational;
    }
    let states = || hits.iter().map(|hit| hit.answer.affected.state).filter(|state| !is_notice(state));
    if states().any(|state| state == FixState::Unimportant) {
        return FixState::Unimportant;
    }
    let fixed = |hit: &&Hitting| hit.answer.affected.state == FixState::Affected && !hit.hit.fixed.is_empty();
    if hits.iter().any(|hit| fixed(&hit)) {
        return FixState::Affected;
    }
    states().max().unwrap_or_default()
}

/// The vulnerable functions that all who know functions name. A source that names some here and none there means all of
/// the package there.
fn symbols(hits: &[Hitting]) -> Vec<Symbols> {
    let named = |hit: &&Hitting| !hit.answer.affected.symbols.is_empty();
    let knowing: BTreeSet<&str> = hits.iter().filter(named).map(|hit| hit.answer.source.as_str()).collect();
    if hits.iter().any(|hit| knowing.contains(hit.answer.source.as_str()) && !named(&hit)) {
        return Vec::new();
    }
    let mut symbols: Vec<_> = hits.iter().flat_map(|hit| hit.answer.affected.symbols.clone()).collect();
    symbols.sort();
    symbols.dedup();
    symbols
}

/// The versions that fix it, lowest first.
fn fixed_versions(hits: &[Hitting]) -> Vec<String> {
    let mut fixed: Vec<String> = hits.iter().flat_map(|hit| hit.hit.fixed.clone()).collect();
    let Some(scheme) = hits.first().map(|hit| hit.question.scheme) else { return fixed };
    fixed.sort_by(|a, b| version::compare(scheme, a, b).then_with(|| a.cmp(b)));
    fixed.dedup();
    fixed
}

fn evidence(hits: Vec<Hitting>) -> Vec<Evidence> {
    let mut evidence: Vec<Evidence> = hits
        .into_iter()
        .map(|Hitting { question, answer, hit }| Evidence {
            source: answer.source,
            advisory: answer.advisory,
            ecosystem: question.ecosystem,
            package: question.package,
            version: question.version,
            range: hit.range,
        })
        .collect();
    evidence.sort();
    evidence.dedup();
    evidence
}

#[cfg(test)]
#[path = "matching/tests.rs"]
mod tests;
