//! An image whose layers lie unpacked on disk.

use std::path::PathBuf;
use std::sync::Arc;

use crate::inside::Ownership;
use crate::layers::LayersInUse;
use crate::run_dir::RunLock;

/// An image ready to be run: its layers as directories of the store, and what its config says about running it.
#[derive(Debug, Clone)]
pub struct Unpacked {
    /// Base first.
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) root: Ownership,
    pub(crate) defaults: Defaults,
    /// Keeps the store's layers from being removed.
    pub(crate) in_use: Option<Arc<LayersInUse>>,
}

impl Unpacked {
    /// Of layers that lie unpacked already, as overlayfs wants them (whiteouts as character devices 0:0), base first.
    pub fn from_directories(layers: Vec<PathBuf>, config: &image::ContainerConfig) -> Self {
        let root = Ownership { mode: 0o755, uid: 0, gid: 0 };
        Self { layers, root, defaults: config.into(), in_use: None }
    }
}

/// An image as it would be with some edits: what they change lies in one more directory over the layers, which is gone
/// when this is dropped.
#[derive(Debug)]
pub struct Edited {
    unpacked: Unpacked,
    _dir: tempfile::TempDir,
    /// After the directory: whoever finds it unlocked sweeps it up.
    _lock: RunLock,
}

impl Edited {
    pub(crate) fn new(below: &Unpacked, top: PathBuf, dir: tempfile::TempDir, lock: RunLock) -> Self {
        let mut unpacked = below.clone();
        unpacked.layers.push(top);
        Self { unpacked, _dir: dir, _lock: lock }
    }

    /// What containers are made of. They must be gone before this is.
    pub fn unpacked(&self) -> &Unpacked {
        &self.unpacked
    }
}

/// What an image's config says about running it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Defaults {
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) user: String,
    pub(crate) working_dir: String,
    pub(crate) volumes: Vec<String>,
    pub(crate) stop_signal: String,
}

impl From<&image::ContainerConfig> for Defaults {
    fn from(config: &image::ContainerConfig) -> Self {
        Self {
            entrypoint: config.entrypoint.clone().unwrap_or_default(),
            cmd: config.cmd.clone().unwrap_or_default(),
            env: config.env.clone(),
            user: config.user.clone(),
            working_dir: config.working_dir.clone(),
            volumes: config.volumes.keys().cloned().collect(),
            stop_signal: config.stop_signal.clone().unwrap_or_default(),
        }
    }
}
