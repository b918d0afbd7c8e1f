//! What can go wrong with a coverage file.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a coverage cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadCoverageError {
    /// Neither a built-in coverage nor a file.
    #[error("there is neither a built-in coverage nor a file {reference:?}")]
    NotFound {
        /// As the user wrote it.
        reference: String,
        /// A built-in name that is close to it.
        similar: Option<&'static str>,
    },
    /// The file cannot be read.
    #[error("cannot read coverage {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is larger than a coverage can be.
    #[error("coverage {} is larger than {limit_bytes} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The limit.
        limit_bytes: u64,
    },
    /// The file is none of the forms that a coverage can have.
    #[error("{} is neither YAML nor a shell script nor a list of redis commands", path.display())]
    UnknownForm {
        /// Which file.
        path: PathBuf,
    },
    /// A script that no shell can run.
    #[error("script {}: {problem}", path.display())]
    Script {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The YAML is broken, or says what a coverage cannot say.
    #[error("{}", list(origin, problems))]
    Invalid {
        /// File or built-in name.
        origin: String,
        /// What is wrong, in the order of the file; at least one.
        problems: Vec<Problem>,
    },
}

/// One thing that is wrong in a coverage file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: u64,
    /// From 1, in characters.
    pub column: u64,
    /// The field, such as `steps[2].exec`; empty for the whole file. Lists are counted from 0.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)?;
        self.suggestion.iter().try_for_each(|suggestion| write!(f, ", did you mean {suggestion}?"))
    }
}

fn list(origin: &str, problems: &[Problem]) -> String {
    match problems {
        [problem] => format!("{origin}:{problem}"),
        _ => {
            let lines: Vec<_> = problems.iter().map(|problem| format!("\n  {origin}:{problem}")).collect();
            format!("coverage has {} problems:{}", problems.len(), lines.concat())
        }
    }
}

impl LoadCoverageError {
    /// What the user can try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { similar: Some(name), .. } => {
                Some(format!("did you mean the built-in coverage {name}?"))
            }
            Self::NotFound { similar: None, .. } => {
                let names: Vec<_> = crate::builtins().iter().map(|builtin| builtin.name).collect();
                Some(format!(
                    "built-in coverages are {}; anything else is the path of a file",
                    names.join(", ")
                ))
            }
            Self::UnknownForm { .. } => {
                Some("name it *.yaml, *.sh or *.redis, or begin a shell script with #!/bin/sh".to_owned())
            }
            Self::Invalid { .. } => Some("careen coverage show redis prints an example".to_owned()),
            Self::Read { .. } | Self::TooLarge { .. } | Self::Script { .. } => None,
        }
    }
}
