//! Lists of findings that somebody has decided about: what, why, and until when.

use advisories::scan::{ScanReport, Settled};
use globset::{Glob, GlobMatcher};
use serde::Deserialize;

/// A list of what to ignore. Format: `docs/formats/scan.md`.
#[derive(Debug)]
pub struct IgnoreList {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    vulnerability: String,
    package: Option<(String, GlobMatcher)>,
    reason: String,
    until: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    ignore: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    vulnerability: String,
    package: Option<String>,
    reason: String,
    until: Option<String>,
}

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadIgnoreError {
    /// It is no TOML, or lacks something.
    #[error("it is no list in TOML")]
    Toml(#[source] Box<toml::de::Error>),
    /// It is no YAML, or lacks something.
    #[error("it is no list in YAML: {0}")]
    Yaml(String),
    /// A version that this build does not know.
    #[error("version {0} is not known")]
    Version(u32),
    /// An entry that says nothing, or something that cannot be.
    #[error("entry {number} ({vulnerability}): {problem}")]
    Entry {
        /// Counted from 1.
        number: usize,
        /// What it names.
        vulnerability: String,
        /// What is wrong.
        problem: String,
    },
}

impl ReadIgnoreError {
    /// What to write.
    pub fn hint(&self) -> String {
        "a list is `version = 1` and tables [[ignore]] with vulnerability, reason, and if wanted package (a name or a \
         glob) and until (2027-01-31); docs/formats/scan.md has examples"
            .to_owned()
    }
}

/// A larger list is none that a person wrote.
const MAX_RULES: usize = 100_000;

impl IgnoreList {
    /// Reads a list; `name` is how it is called in reports, and its ending says whether it is YAML.
    ///
    /// # Errors
    /// [`ReadIgnoreError`]: each entry needs a reason, and a date that is one.
    pub fn parse(text: &str, name: &str) -> Result<Self, ReadIgnoreError> {
        let is_yaml =
            [".yaml", ".yml", ".json"].iter().any(|ending| name.to_ascii_lowercase().ends_with(ending));
        let file: File = match is_yaml {
            true => serde_saphyr::from_str(text).map_err(|error| ReadIgnoreError::Yaml(error.to_string()))?,
            false => toml::from_str(text).map_err(|error| ReadIgnoreError::Toml(Box::new(error)))?,
        };
        if file.version != 1 {
            return Err(ReadIgnoreError::Version(file.version));
        }
        let rules = file.ignore.into_iter().take(MAX_RULES).enumerate().map(|(index, entry)| {
            let failed = |problem: &str| ReadIgnoreError::Entry {
                number: index + 1,
                vulnerability: entry.vulnerability.clone(),
                problem: problem.to_owned(),
            };
            if entry.vulnerability.trim().is_empty() {
                return Err(failed("it names no vulnerability"));
            }
            if entry.reason.trim().is_empty() {
                return Err(failed("it has no reason"));
            }
            if entry.until.as_deref().is_some_and(|date| !is_date(date)) {
                return Err(failed("`until` is no date such as 2027-01-31"));
            }
            let package = entry.package.as_ref().map(|text| {
                let glob = Glob::new(text).map_err(|_| failed("`package` is no name and no glob"))?;
                Ok::<_, ReadIgnoreError>((text.clone(), glob.compile_matcher()))
            });
            let package = package.transpose()?;
            Ok(Rule { vulnerability: entry.vulnerability, package, reason: entry.reason, until: entry.until })
        });
        Ok(Self { name: name.to_owned(), rules: rules.collect::<Result<_, _>>()? })
    }

    /// Settles what the list names, by any of the vulnerability's names. `today` is a date, `2026-11-22`; what was
    /// ignored until an earlier day counts again, and is warned about, and so is what names nothing.
    pub fn apply(&self, report: &mut ScanReport, today: &str) {
        for rule in &self.rules {
            let place = match &rule.package {
                Some((package, _)) => format!("{} in {package}", rule.vulnerability),
                None => rule.vulnerability.clone(),
            };
            if rule.until.as_deref().is_some_and(|until| until < today) {
                let until = rule.until.as_deref().unwrap_or_default();
                report
                    .warnings
                    .push(format!("{}: {place} was ignored until {until}, and counts again", self.name));
                continue;
            }
            let mut is_idle = true;
            for found in report.findings.iter_mut().filter(|found| rule.names(found)) {
                is_idle = false;
                if found.settled.is_none() {
                    found.settled = Some(Settled {
                        by: self.name.clone(),
                        status: "ignored".to_owned(),
                        reason: rule.reason.clone(),
                        until: rule.until.clone(),
                    });
                }
            }
            if is_idle {
                report.warnings.push(format!("{}: {place} is ignored, and was not found", self.name));
            }
        }
        report.recount();
    }
}

impl Rule {
    fn names(&self, found: &advisories::scan::ScannedFinding) -> bool {
        let finding = &found.finding;
        let mut names = std::iter::once(&finding.vulnerability).chain(&finding.aliases);
        names.any(|name| name.eq_ignore_ascii_case(self.vulnerability.trim()))
            && self
                .package
                .as_ref()
                .is_none_or(|(text, glob)| glob.is_match(&finding.name) || *text == finding.purl)
    }
}

/// Whether this is a date such as `2027-01-31`.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let number = |range| text.get(range).and_then(|part: &str| part.parse::<u32>().ok());
    shape && matches!(number(5..7), Some(1..=12)) && matches!(number(8..10), Some(1..=31))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::tests::report;

    #[test]
    fn findings_are_ignored_by_any_name_with_a_reason_and_until_a_day() {
        let toml = "version = 1\n[[ignore]]\nvulnerability = 'ghsa-hot'\nreason = 'not reachable'\nuntil = '2026-12-01'\n\
                    [[ignore]]\nvulnerability = 'CVE-2026-2'\npackage = 'wa*'\nreason = 'x'\n\
                    [[ignore]]\nvulnerability = 'CVE-2026-3'\npackage = 'other'\nreason = 'x'\n";
        let yaml = "version: 1\nignore:\n- {vulnerability: ghsa-hot, reason: not reachable, until: '2026-12-01'}\n\
                    - {vulnerability: CVE-2026-2, package: 'wa*', reason: x}\n\
                    - {vulnerability: CVE-2026-3, package: other, reason: x}\n";
        for (text, name) in [(toml, "list.toml"), (yaml, "list.yaml")] {
            let list = IgnoreList::parse(text, name).unwrap();
            let mut found = report();
            list.apply(&mut found, "2026-12-01");
            assert_eq!((found.counts.total, found.counts.settled), (1, 3), "{name}");
            assert_eq!(
                found.warnings,
                [format!("{name}: CVE-2026-3 in other is ignored, and was not found")]
            );
            let mut found = report();
            list.apply(&mut found, "2026-12-02");
            assert_eq!((found.counts.total, found.counts.settled), (2, 2), "{name}: a day later");
            let expired = format!("{name}: ghsa-hot was ignored until 2026-12-01, and counts again");
            assert_eq!(found.warnings[0], expired);
        }
    }

    #[test]
    fn lists_that_say_too_little_are_refused() {
        for (text, expected) in [
            ("version = 2", "version 2 is not known"),
            (
                "version = 1\n[[ignore]]\nvulnerability = 'CVE-1'\nreason = ' '",
                "entry 1 (CVE-1): it has no reason",
            ),
            (
                "version = 1\n[[ignore]]\nvulnerability = 'CVE-1'\nreason = 'x'\nuntil = '2026-13-01'",
                "entry 1 (CVE-1): `until` is no date such as 2027-01-31",
            ),
            (
                "version = 1\n[[ignore]]\nvulnerability = 'CVE-1'\nreason = 'x'\npackage = '[a'",
                "entry 1 (CVE-1): `package` is no name and no glob",
            ),
            ("version = 1\n[[ignore]]\nvulnerability = 'CVE-1'", "it is no list in TOML"),
            ("version = 1\n[[ignored]]", "it is no list in TOML"),
        ] {
            assert_eq!(IgnoreList::parse(text, "x.toml").unwrap_err().to_string(), expected, "{text}");
        }
    }
}
