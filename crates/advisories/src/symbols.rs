//! Whether the vulnerable functions of a finding are in its program at all.
//!
//! The Go and Rust databases name functions. [`question()`] says what to look for in which program, [`packages::symbols`]
//! looks, and the answer stays with the finding as a [`SymbolPresence`]. What cannot be told has none. A finding of which
//! no vulnerable function is in the program counts as one of a package that nothing uses: see
//! [`ScannedFinding::path`].

use std::collections::BTreeMap;

use packages::Ecosystem;
use packages::symbols::{Answer, Functions, Language, Question};

use crate::Heat;
use crate::context::contextual;
use crate::matching::Finding;
use crate::scan::{ScanReport, ScannedFinding, SymbolPresence};

/// What to look for in the program of a finding; none where its sources name no functions, or it is of no program.
pub fn question(finding: &Finding, ecosystem: Ecosystem) -> Option<Question> {
    let language = match ecosystem {
        Ecosystem::Go => Language::Go,
        Ecosystem::Cargo => Language::Rust,
        _ => return None,
    };
    if finding.symbols.is_empty() || !finding.found_in.within.is_empty() {
        return None;
    }
    let functions = finding.symbols.iter();
    Some(Question {
        file: finding.found_in.file.clone(),
        language,
        package: finding.evidence.first().map_or(&finding.name, |evidence| &evidence.package).clone(),
        functions: functions
            .map(|symbols| Functions { path: symbols.path.clone(), names: symbols.names.clone() })
            .collect(),
    })
}

/// What an answer says of the finding that asked.
pub fn presence(question: &Question, answer: &Answer) -> Option<SymbolPresence> {
    match answer {
        Answer::Present { symbols, table } => Some(SymbolPresence::InBinary {
            file: question.file.clone(),
            table: table.clone(),
            symbols: symbols.clone(),
        }),
        Answer::Absent { table } => Some(SymbolPresence::NotInBinary {
            file: question.file.clone(),
            table: table.clone(),
            looked_for: names(question),
        }),
        Answer::Unknown => None,
    }
}

/// Every function that was looked for, in order; a package of which all are vulnerable as `PATH.*`.
fn names(question: &Question) -> Vec<String> {
    let separator = if question.language == Language::Go { "." } else { "::" };
    let named = |functions: &Functions| match functions.names.as_slice() {
        [] => vec![format!("{}{separator}*", functions.path)],
        names if functions.path.is_empty() => names.to_vec(),
        names => names.iter().map(|name| format!("{}{separator}{name}", functions.path)).collect(),
    };
    let mut names: Vec<String> = question.functions.iter().flat_map(named).collect();
    names.sort();
    names.dedup();
    names
}

impl ScanReport {
    /// What to look for in programs.
    pub fn questions(&self) -> Vec<Question> {
        let mut questions: Vec<_> = self.findings.iter().filter_map(|found| self.question(found)).collect();
        questions.sort();
        questions.dedup();
        questions
    }

    /// Puts answers to the findings that asked, and the findings in order again.
    pub fn answer(&mut self, answers: &BTreeMap<Question, Answer>) {
        let found = self.findings.iter().map(|found| {
            let question = self.question(found)?;
            presence(&question, answers.get(&question)?)
        });
        let found: Vec<_> = found.collect();
        for (finding, presence) in self.findings.iter_mut().zip(found) {
            finding.symbols_in_binary = presence;
            finding.contextual = contextual(&finding.finding, finding.path());
        }
        self.recount();
    }

    fn question(&self, found: &ScannedFinding) -> Option<Question> {
        let package = self.packages.get(found.finding.package.0)?;
        question(&found.finding, package.ecosystem)
    }
}

impl ScannedFinding {
    /// How far the vulnerable code is in the execution path: its package's heat, and cold where the code is not in the
    /// program, however much of the package ran.
    pub fn path(&self) -> Heat {
        match (self.heat, &self.symbols_in_binary) {
            (Heat::Gone, _) => Heat::Gone,
            (_, Some(SymbolPresence::NotInBinary { .. })) => Heat::Cold,
            (heat, _) => heat,
        }
    }
}

impl SymbolPresence {
    /// What was found, as a sentence.
    pub fn text(&self) -> String {
        match self {
            Self::InBinary { file, table, symbols } => {
                let listed = listed(symbols);
                format!("Vulnerable functions are in {file}, by its {table}: {listed}.")
            }
            Self::NotInBinary { file, table, looked_for } => {
                let listed = listed(looked_for);
                format!(
                    "No vulnerable function is in {file}, by its {table}, which names inlined ones too: {listed}."
                )
            }
        }
    }
}

/// Names that a sentence holds.
const MAX_LISTED: usize = 20;

fn listed(names: &[String]) -> String {
    let shown = names[..names.len().min(MAX_LISTED)].join(", ");
    match names.len().saturating_sub(MAX_LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Symbols;
    use crate::scan::tests::{finding, scanned};

    fn asking() -> Question {
        let symbols = vec![
            Symbols { path: "a/b".into(), names: vec!["F".into(), "T.M".into()] },
            Symbols { path: "a/c".into(), names: Vec::new() },
        ];
        let finding = Finding { symbols, ..finding("CVE-1", "a") };
        question(&finding, Ecosystem::Go).unwrap()
    }

    #[test]
    fn only_programs_of_go_and_rust_are_asked_and_only_for_named_functions() {
        assert_eq!(question(&finding("CVE-1", "a"), Ecosystem::Go), None);
        let symbols = vec![Symbols { path: "a".into(), names: vec!["F".into()] }];
        let named = Finding { symbols, ..finding("CVE-1", "a") };
        assert_eq!(question(&named, Ecosystem::Npm), None);
        assert_eq!(question(&named, Ecosystem::Cargo).unwrap().language, Language::Rust);
    }

    #[test]
    fn an_answer_keeps_the_file_the_table_and_what_was_looked_for() {
        let question = asking();
        let absent = presence(&question, &Answer::Absent { table: "pclntab".into() }).unwrap();
        let SymbolPresence::NotInBinary { looked_for, .. } = &absent else { panic!("{absent:?}") };
        assert_eq!(looked_for, &["a/b.F", "a/b.T.M", "a/c.*"]);
        let file = question.file.to_string();
        assert!(absent.text().contains(&file) && absent.text().contains("a/b.T.M"), "{}", absent.text());
        assert_eq!(presence(&question, &Answer::Unknown), None);
    }

    #[test]
    fn what_is_not_in_the_program_is_cold_unless_it_is_gone() {
        let not = presence(&asking(), &Answer::Absent { table: "t".into() });
        for (heat, expected) in
            [(Heat::Hot, Heat::Cold), (Heat::NotRecorded, Heat::Cold), (Heat::Gone, Heat::Gone)]
        {
            let found =
                ScannedFinding { symbols_in_binary: not.clone(), ..scanned(finding("CVE-1", "a"), heat) };
            assert_eq!(found.path(), expected);
        }
        assert_eq!(scanned(finding("CVE-1", "a"), Heat::Hot).path(), Heat::Hot);
    }
}
