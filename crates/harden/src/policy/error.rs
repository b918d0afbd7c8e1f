//! What can go wrong with a policy file.

use std::io;
use std::path::PathBuf;

use settings::Problem;

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
    #[error("{}", settings::list("the policy", name, problems))]
    Invalid {
        /// Which file, as the user wrote it.
        name: String,
        /// What is wrong, in the order of the file; at least one.
        problems: Vec<Problem>,
    },
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
