//! What can go wrong with a policy file.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a policy file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadPolicyError {
    /// The file cannot be read.
    #[error("cannot read the policy {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is larger than a policy can be.
    #[error("the policy {} is larger than {limit_bytes} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The limit.
        limit_bytes: u64,
    },
    /// The file is broken, or says what a policy cannot say.
    #[error("{}", list(name, problems))]
    Invalid {
        /// Which file, as the user wrote it.
        name: String,
        /// What is wrong, in the order of the file; at least one.
        problems: Vec<PolicyProblem>,
    },
}

/// One thing that is wrong in a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyProblem {
    /// From 1.
    pub line: u64,
    /// From 1, in characters.
    pub column: u64,
    /// The key, such as `keep[2]`; empty for the whole file. Lists are counted from 0.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)?;
        self.suggestion.iter().try_for_each(|suggestion| write!(f, ", did you mean {suggestion}?"))
    }
}

fn list(name: &str, problems: &[PolicyProblem]) -> String {
    match problems {
        [problem] => format!("{name}:{problem}"),
        _ => {
            let lines: Vec<_> = problems.iter().map(|problem| format!("\n  {name}:{problem}")).collect();
            format!("the policy has {} problems:{}", problems.len(), lines.concat())
        }
    }
}

impl LoadPolicyError {
    /// What the user can try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Invalid { .. } => Some("careen policy example prints a policy with every key".to_owned()),
            Self::Read { .. } | Self::TooLarge { .. } => None,
        }
    }
}
