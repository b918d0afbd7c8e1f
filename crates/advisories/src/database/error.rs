//! Why a database cannot be read.

use std::io;
use std::path::PathBuf;

/// What of the file is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is damaged")]
pub struct Corrupt(pub(super) &'static str);

/// Why a database cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// There is none.
    #[error("there is no database of advisories at {path}")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the database of advisories {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is something else.
    #[error("this is no database of advisories")]
    Foreign,
    /// The file was written by another version of the program.
    #[error(
        "this database of advisories has format {found}, and this version of careen reads format {wanted}"
    )]
    Version {
        /// What the file says.
        found: u32,
        /// What we read.
        wanted: u32,
    },
    /// The file was cut short, or changed.
    #[error("the database of advisories is damaged")]
    Corrupt {
        /// Where.
        #[from]
        source: Corrupt,
    },
}

impl DatabaseError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some(
                "make one with `careen db update`, or from files at hand with `careen db build --from DIR`"
                    .into(),
            ),
            Self::Read { .. } => None,
            Self::Foreign => {
                Some("name the file that `careen db build` or `careen db update` wrote with --db FILE".into())
            }
            Self::Version { .. } | Self::Corrupt { .. } => {
                Some("write it anew with `careen db update` or `careen db build`".into())
            }
        }
    }
}
