//! What can go wrong with a coverage file.

use std::io;
use std::path::PathBuf;

use settings::Problem;

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
    #[error("{}", settings::list("coverage", origin, problems))]
    Invalid {
        /// File or built-in name.
        origin: String,
        /// What is wrong, in the order of the file; at least one.
        problems: Vec<Problem>,
    },
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
