//! Checking everything that an image's documents claim: the oracle of our tests, and a question users may ask.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::AtomicU64;

use crate::inflate::Inflater;
use crate::layer::{Layer, OpenLayerError};
use crate::limits::{Limit, Tally};
use crate::model::media_type as types;
use crate::pick::{self, PickError};
use crate::store::{DocumentError, OpenStoreError, Store};
use crate::{Config, Descriptor, Digest, ImageSource, Index, Manifest, OpenOptions, Platform};

/// Indexes within indexes that are followed.
const MAX_DEPTH: usize = 8;

/// What was checked and found true.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Validation {
    /// Every manifest that is there, of images and of their companions, in the order of the indexes.
    pub manifests: Vec<ValidManifest>,
    /// Manifests that an index lists but that are not there: images for other platforms that nobody fetched.
    pub absent: Vec<Descriptor>,
    /// How many different blobs were read.
    pub blobs: usize,
    /// Their bytes as stored.
    pub blob_bytes: u64,
}

/// A manifest all of whose blobs are there and are what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidManifest {
    /// Its digest.
    pub digest: Digest,
    /// For an image, what it is for; none for an attestation, a signature, ….
    pub platform: Option<Platform>,
    /// How many layers it has.
    pub layers: usize,
}

/// Why an image is not what it claims to be.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// The layout or archive cannot be opened.
    #[error("cannot open {place}")]
    Open {
        /// The source as it is written.
        place: String,
        /// Why.
        source: OpenStoreError,
    },
    /// There is no image of the name that the source has.
    #[error("cannot pick an image of {place}")]
    Name {
        /// The source as it is written.
        place: ImageSource,
        /// Why.
        source: Box<PickError>,
    },
    /// There is no image in it.
    #[error("there is no image in {0}")]
    Empty(String),
    /// An index, manifest or config is missing or not what its descriptor says.
    #[error("the {what} {digest} is broken")]
    Document {
        /// `index`, `manifest` or `config`.
        what: &'static str,
        /// Its digest, as the descriptor says.
        digest: Digest,
        /// Why.
        source: DocumentError,
    },
    /// Indexes within indexes without end.
    #[error("index {0} is nested more than {MAX_DEPTH} deep")]
    Nesting(Digest),
    /// A layer is missing or not what its descriptor or diff ID says.
    #[error("layer {digest} is broken")]
    Layer {
        /// Its digest, as the descriptor says.
        digest: Digest,
        /// Why.
        source: Box<OpenLayerError>,
    },
    /// A blob that is no layer of an image is missing or cannot be read.
    #[error("cannot read blob {digest}")]
    Blob {
        /// Its digest, as the descriptor says.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
    /// A blob that is no layer of an image is not what its descriptor says.
    #[error(
        "blob {digest} has {actual_bytes} bytes with the digest {actual}, its descriptor says {expected_bytes} bytes"
    )]
    BlobDiffers {
        /// Its digest, as the descriptor says.
        digest: Digest,
        /// What is there.
        actual: Digest,
        /// What the descriptor says.
        expected_bytes: u64,
        /// What is there.
        actual_bytes: u64,
    },
    /// Manifest and config disagree.
    #[error("manifest {manifest} has {layers} layers, its config {diff_ids} diff IDs")]
    LayerCount {
        /// The manifest.
        manifest: Digest,
        /// Layers of the manifest.
        layers: usize,
        /// Diff IDs of the config.
        diff_ids: usize,
    },
    /// History tells of layers that do not exist. Telling of fewer is allowed.
    #[error("config {config} has {diff_ids} diff IDs, but its history tells of {history} layers")]
    HistoryCount {
        /// The config.
        config: Digest,
        /// Steps of the history without `empty_layer`.
        history: usize,
        /// Diff IDs of the config.
        diff_ids: usize,
    },
    /// It exceeds a limit.
    #[error("manifest {manifest} asks for {limit}")]
    Limit {
        /// The manifest.
        manifest: Digest,
        /// Which.
        limit: Limit,
    },
}

impl ValidateError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Name { place, source } => return source.hint(place),
            Self::Document { .. } | Self::Layer { .. } | Self::Blob { .. } | Self::BlobDiffers { .. } => {
                "the image is damaged: pull or save it again".to_owned()
            }
            Self::LayerCount { .. } | Self::HistoryCount { .. } => {
                "the tool that made the image made it wrong: build it again with another one".to_owned()
            }
            _ => return None,
        })
    }
}

/// Recomputes every digest, size and diff ID of the image that the source names, for all of its platforms; of every
/// image in the place where it names none.
///
/// # Errors
/// [`ValidateError`] for the first thing that is not true.
pub fn validate(source: &ImageSource, options: &OpenOptions<'_>) -> Result<Validation, ValidateError> {
    let place = source.to_string();
    let store = Store::open(source, options);
    let store = store.map_err(|source| ValidateError::Open { place: place.clone(), source })?;
    let mut run = Run {
        store: &store,
        options,
        out: Validation::default(),
        blobs: BTreeMap::new(),
        done: BTreeSet::new(),
    };
    let mut index = store.index().clone();
    if let Some(name) = source.name() {
        index.manifests = pick::named(&store, Some(name), options)
            .map_err(|error| ValidateError::Name { place: source.clone(), source: Box::new(error) })?;
    }
    run.index(&index, 0)?;
    if run.out.manifests.is_empty() {
        return Err(ValidateError::Empty(place));
    }
    run.out.blobs = run.blobs.len();
    run.out.blob_bytes = run.blobs.values().sum();
    Ok(run.out)
}

struct Run<'a> {
    store: &'a Store,
    options: &'a OpenOptions<'a>,
    out: Validation,
    /// Sizes of the blobs read so far.
    blobs: BTreeMap<Digest, u64>,
    /// Layers by digest and diff ID, and indexes and manifests by digest, that need no second look.
    done: BTreeSet<(Digest, Digest)>,
}

impl Run<'_> {
    fn index(&mut self, index: &Index, depth: usize) -> Result<(), ValidateError> {
        for descriptor in &index.manifests {
            let digest = descriptor.digest;
            if !self.done.insert((digest, digest)) {
                continue;
            }
            let is_missing =
                matches!(self.store.blob(&digest), Err(error) if error.kind() == io::ErrorKind::NotFound);
            if is_missing && depth > 0 {
                self.out.absent.push(descriptor.clone());
            } else if types::is_index(&descriptor.media_type) {
                if depth == MAX_DEPTH {
                    return Err(ValidateError::Nesting(digest));
                }
                let nested: Index = self.document("index", descriptor)?;
                self.index(&nested, depth + 1)?;
            } else if types::is_manifest(&descriptor.media_type) {
                self.manifest(descriptor)?;
            } else {
                self.blob(descriptor)?;
            }
        }
        Ok(())
    }

    fn manifest(&mut self, descriptor: &Descriptor) -> Result<(), ValidateError> {
        let value: serde_json::Value = self.document("manifest", descriptor)?;
        let json = |source| broken("manifest", descriptor.digest, DocumentError::Json(source));
        let is_image = matches!(
            value.pointer("/config/mediaType").and_then(serde_json::Value::as_str),
            Some(types::OCI_CONFIG | types::DOCKER_CONFIG)
        );
        let mut valid = ValidManifest { digest: descriptor.digest, platform: None, layers: 0 };
        if is_image && !descriptor.is_companion() {
            let manifest: Manifest = serde_json::from_value(value).map_err(json)?;
            let config: Config = self.document("config", &manifest.config)?;
            self.layers(descriptor.digest, &manifest, &config)?;
            valid.layers = manifest.layers.len();
            valid.platform = Some(config.platform);
        } else {
            // A companion's documents are its own business; its blobs are checked as bytes.
            let list = |name: &str| value.get(name).cloned().unwrap_or_default();
            let config: Option<Descriptor> = serde_json::from_value(list("config")).map_err(json)?;
            let layers: Option<Vec<Descriptor>> = serde_json::from_value(list("layers")).map_err(json)?;
            valid.layers = layers.as_ref().map_or(0, Vec::len);
            for blob in config.iter().chain(layers.iter().flatten()) {
                self.blob(blob)?;
            }
        }
        self.out.manifests.push(valid);
        Ok(())
    }

    fn layers(&mut self, digest: Digest, manifest: &Manifest, config: &Config) -> Result<(), ValidateError> {
        let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers != diff_ids {
            return Err(ValidateError::LayerCount { manifest: digest, layers, diff_ids });
        }
        let limit = self.options.limits.layers;
        if layers > limit as usize {
            return Err(ValidateError::Limit { manifest: digest, limit: Limit::Layers(limit) });
        }
        let history = config.history.iter().filter(|step| !step.empty_layer).count();
        if history > diff_ids {
            return Err(ValidateError::HistoryCount { config: manifest.config.digest, history, diff_ids });
        }
        let (total, tally) = (AtomicU64::new(0), Tally::new(&self.options.limits));
        let inflater = Inflater {
            limits: &self.options.limits,
            total: &total,
            scratch_dir: &self.options.scratch_dir,
            on_bytes: self.options.on_bytes,
            interrupt: self.options.interrupt,
            unread: None,
        };
        for (layer, diff_id) in manifest.layers.iter().zip(&config.rootfs.diff_ids) {
            if self.done.insert((layer.digest, *diff_id)) {
                Layer::open(layer, *diff_id, self.store.blob(&layer.digest), &inflater, &tally).map_err(
                    |source| ValidateError::Layer { digest: layer.digest, source: Box::new(source) },
                )?;
            }
            self.blobs.insert(layer.digest, layer.size_bytes);
        }
        Ok(())
    }

    fn document<T: serde::de::DeserializeOwned>(
        &mut self,
        what: &'static str,
        descriptor: &Descriptor,
    ) -> Result<T, ValidateError> {
        let bytes = self.store.document(descriptor, self.options);
        let bytes = bytes.map_err(|source| broken(what, descriptor.digest, source))?;
        self.blobs.insert(descriptor.digest, descriptor.size_bytes);
        serde_json::from_slice(&bytes)
            .map_err(|source| broken(what, descriptor.digest, DocumentError::Json(source)))
    }

    fn blob(&mut self, descriptor: &Descriptor) -> Result<(), ValidateError> {
        let digest = descriptor.digest;
        let blob = self.store.blob(&digest).and_then(|blob| Ok((blob.digest()?, blob.size_bytes())));
        let (actual, actual_bytes) = blob.map_err(|source| ValidateError::Blob { digest, source })?;
        if (actual, actual_bytes) != (digest, descriptor.size_bytes) {
            let expected_bytes = descriptor.size_bytes;
            return Err(ValidateError::BlobDiffers { digest, actual, expected_bytes, actual_bytes });
        }
        self.blobs.insert(digest, actual_bytes);
        Ok(())
    }
}

fn broken(what: &'static str, digest: Digest, source: DocumentError) -> ValidateError {
    ValidateError::Document { what, digest, source }
}
