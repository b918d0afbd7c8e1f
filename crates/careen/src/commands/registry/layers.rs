//! The blobs of a walk: each fetched once, and gone when no image needs it any more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use image::{Descriptor, Digest};
use registry::{BlobStore, Puller, Registry};

use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::registries;

/// Where a walk keeps blobs.
pub(super) struct Layers {
    blobs: BlobStore,
    layouts: PathBuf,
    /// What other commands fetched.
    shared: BlobStore,
    /// Gone with the walk, unless layers are kept.
    temporary: Option<tempfile::TempDir>,
    /// How many images still need a layer.
    needed: Mutex<BTreeMap<Digest, usize>>,
}

impl Layers {
    /// A place for the blobs of one walk, or the one that all commands share.
    pub(super) fn new(context: &Context, keep: bool) -> Result<Self, Failure> {
        let shared = registries::blobs(context);
        let (blobs, layouts, temporary) = if keep {
            (shared.clone(), context.data_dir.join("pulled"), None)
        } else {
            let scratch = context.scratch_dir()?;
            let dir =
                tempfile::Builder::new().prefix("registry-").tempdir_in(&scratch).map_err(|source| {
                    Failure::caused_by(
                        ExitCode::Host,
                        format!("cannot write to {}", scratch.display()),
                        source,
                    )
                })?;
            (BlobStore::at(dir.path().join("blobs")), dir.path().join("pulled"), Some(dir))
        };
        Ok(Self { blobs, layouts, shared, temporary, needed: Mutex::default() })
    }

    /// Makes room where layers are kept: what nobody read for long goes.
    pub(super) fn tidy(&self) {
        if self.temporary.is_none() {
            registries::remove_unused(&self.shared);
        }
    }

    /// What brings images here.
    pub(super) fn puller<'a>(&'a self, registry: &'a Registry) -> Puller<'a> {
        Puller { registry, blobs: &self.blobs, layouts: self.layouts() }
    }

    fn layouts(&self) -> &Path {
        &self.layouts
    }

    /// Says that an image will need these.
    pub(super) fn reserve(&self, layers: &[Descriptor]) {
        let mut needed = self.needed.lock().unwrap_or_else(PoisonError::into_inner);
        layers.iter().for_each(|layer| *needed.entry(layer.digest).or_default() += 1);
    }

    /// Says that an image needs these no longer.
    pub(super) fn release(&self, layers: &[Descriptor]) {
        let mut needed = self.needed.lock().unwrap_or_else(PoisonError::into_inner);
        for layer in layers {
            let left = needed.entry(layer.digest).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 && self.temporary.is_some() {
                self.blobs.remove(layer.digest);
            }
        }
    }

    /// Those of some layers that must be fetched; what another command fetched is taken over.
    pub(super) fn missing(&self, puller: &Puller<'_>, layers: &[Descriptor]) -> Vec<Descriptor> {
        let mut missing = puller.missing(layers);
        missing.retain(|layer| self.temporary.is_none() || !self.blobs.adopt(&self.shared, layer));
        missing
    }
}
