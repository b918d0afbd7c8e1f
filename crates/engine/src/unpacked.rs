//! An image whose layers lie unpacked on disk.

use std::path::PathBuf;

/// An image ready to be run: its layers as directories of the store, and what its config says about running it.
#[derive(Debug, Clone)]
pub struct Unpacked {
    /// Base first.
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) defaults: Defaults,
}

/// What an image's config says about running it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Defaults {
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) user: String,
    pub(crate) working_dir: String,
    pub(crate) volumes: Vec<String>,
    pub(crate) stop_signal: String,
}
