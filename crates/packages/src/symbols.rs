//! Whether functions that an advisory names are in a program at all.
//!
//! A linker leaves out what nothing calls, so that a module may be built into a program without the function that makes
//! it vulnerable. Programs of Go keep the names of all their functions for tracebacks, those that were inlined
//! included, and stripping does not remove them (`pclntab`). Programs of Rust have a table of symbols unless they were
//! stripped, and what is not in it may have been inlined: of these, only presence is told (`rust`). Where a table is not
//! whole, or a name is not certain, there is no answer.

mod pclntab;
mod rust;

use std::collections::BTreeMap;

use image::{Image, ImagePath};
use serde::{Deserialize, Serialize};

use crate::catalog::elf::Elf;
use crate::catalog::found::Content;
use crate::catalog::go;

/// Names that an answer lists at most.
pub const MAX_NAMES: usize = 16;

/// Functions to look for in one program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Question {
    /// The program.
    pub file: ImagePath,
    /// What it was written in.
    pub language: Language,
    /// The module or crate that the functions belong to, as the advisory calls it.
    pub package: String,
    /// The functions.
    pub functions: Vec<Functions>,
}

/// The language of a program, which says how it names its functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// Go, as its own compiler builds it.
    Go,
    /// Rust.
    Rust,
}

/// Functions of one part of a module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Functions {
    /// The import path of a Go package (`net/http`), or the path of a Rust function without its last part
    /// (`smallvec::SmallVec`).
    pub path: String,
    /// Functions, and methods as `Type.Method`; empty for all of the package.
    pub names: Vec<String>,
}

/// What a program says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    /// These of the functions are in it, at most [`MAX_NAMES`], in order.
    Present {
        /// Their names.
        symbols: Vec<String>,
        /// The table that names them.
        table: String,
    },
    /// None of them is, and the table would name them.
    Absent {
        /// The table.
        table: String,
    },
    /// It cannot be told.
    Unknown,
}

/// The functions that a program names.
enum Table {
    Go(pclntab::Names, go::BuildInfo),
    Rust(rust::Names),
}

/// Asks the programs of an image. A program that cannot be read gives no answer.
pub fn look(image: &Image, questions: &[Question]) -> BTreeMap<Question, Answer> {
    let mut by_program: BTreeMap<(&ImagePath, Language), Vec<&Question>> = BTreeMap::new();
    for question in questions {
        by_program.entry((&question.file, question.language)).or_default().push(question);
    }
    let mut answers = BTreeMap::new();
    for ((file, language), questions) in by_program {
        let table = image.open_file(file).ok().and_then(|mut content| Table::read(language, &mut content));
        for question in questions {
            let answer = table.as_ref().map_or(Answer::Unknown, |table| table.answer(question));
            answers.insert(question.clone(), answer);
        }
    }
    answers
}

impl Table {
    fn read(language: Language, content: &mut dyn Content) -> Option<Self> {
        let elf = Elf::parse(content)?;
        match language {
            Language::Go => {
                let info = go::build_info(&elf, content)?;
                Some(Self::Go(pclntab::read(&elf, content)?, info))
            }
            Language::Rust => Some(Self::Rust(rust::read(&elf, content)?)),
        }
    }

    fn answer(&self, question: &Question) -> Answer {
        // Who names no function means the whole module, of which nothing is to be said here.
        if question.functions.is_empty() {
            return Answer::Unknown;
        }
        match self {
            Self::Go(names, info) => {
                let paths = |path: &str| info.paths_in_program(&question.package, path);
                names.answer(&question.functions, &paths)
            }
            Self::Rust(names) => names.answer(&question.functions),
        }
    }
}

/// What one function was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sighting {
    /// No name resembles it.
    None,
    /// A name resembles it, and may be another's.
    Doubtful,
    /// Its name is there.
    Certain,
}

/// Puts together what was found of each function.
fn conclude(seen: &[(String, Sighting)], absence_counts: bool, table: &str) -> Answer {
    let certain = seen.iter().filter(|(_, sighting)| *sighting == Sighting::Certain);
    let mut symbols: Vec<String> = certain.map(|(name, _)| name.clone()).collect();
    if !symbols.is_empty() {
        symbols.sort();
        symbols.dedup();
        symbols.truncate(MAX_NAMES);
        return Answer::Present { symbols, table: table.to_owned() };
    }
    match absence_counts && seen.iter().all(|(_, sighting)| *sighting == Sighting::None) {
        true => Answer::Absent { table: table.to_owned() },
        false => Answer::Unknown,
    }
}
