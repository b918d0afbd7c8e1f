//! What can go wrong, and what to try next.

use std::io;
use std::path::PathBuf;

/// Why the sensor cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Not yet written.
    #[error("the sensor is not complete")]
    Unfinished,
}

/// Why a recording failed.
#[derive(Debug, thiserror::Error)]
pub enum SensorError {
    /// The cgroup cannot be opened.
    #[error("cannot open cgroup {cgroup}")]
    OpenCgroup {
        /// The directory.
        cgroup: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl LoadError {
    /// What the user can try.
    pub fn hint(&self) -> Option<String> {
        None
    }
}

impl SensorError {
    /// What the user can try.
    pub fn hint(&self) -> Option<String> {
        None
    }
}
