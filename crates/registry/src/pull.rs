//! An image of a registry, brought to where the crate `image` opens it.
//!
//! A small OCI layout for each reference and digest has the index, and its blobs are those of the store. Which documents
//! are needed is not decided here: the crate `image` picks as it does in any layout, and what it misses is fetched.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use image::model::descriptor::REF_NAME;
use image::model::media_type;
use image::{
    Descriptor, Digest, DocumentError, ImageSource, Index, Limits, Manifest, OpenImageError, OpenOptions,
    Outline, PickError, outline,
};

use crate::{BlobStore, Reference, Registry, RegistryError};

/// Blobs that are fetched at once.
const AT_ONCE: usize = 3;
/// Documents that one image can need: an index without platforms makes us look at each manifest.
const MAX_DOCUMENTS: usize = 1000;
const MAX_NESTING: usize = 8;

/// Why an image could not be brought.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The registry does not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// What came is no image, or not one for this platform.
    #[error(transparent)]
    Image(#[from] OpenImageError),
    /// The layout cannot be written.
    #[error("cannot write {}", path.display())]
    Layout {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl PullError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::Layout { .. } => Some("choose another place with --data-dir".to_owned()),
        }
    }
}

/// Where an image comes from and goes to.
#[derive(Debug, Clone, Copy)]
pub struct Puller<'a> {
    /// From where.
    pub registry: &'a Registry,
    /// Where its blobs go.
    pub blobs: &'a BlobStore,
    /// Where its layout goes.
    pub layouts: &'a Path,
}

/// An image whose documents are there, and of which layers may be missing.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// As something to open.
    pub source: ImageSource,
    /// What the documents say.
    pub outline: Outline,
    /// The manifest or index that the reference names.
    pub top: Descriptor,
    /// Its layers, base first.
    pub layers: Vec<Descriptor>,
}

impl Puller<'_> {
    /// Fetches index, manifest and config of an image, and none of its layers. A reference by digest whose documents
    /// are there asks nobody.
    ///
    /// # Errors
    /// [`PullError`]
    pub fn documents(&self, reference: &Reference, options: &OpenOptions<'_>) -> Result<Pulled, PullError> {
        let top = match self.known(reference, options) {
            Some(top) => top,
            None => {
                let fetched = self.registry.manifest(reference)?;
                self.blobs.put(&fetched.bytes)?;
                fetched.descriptor
            }
        };
        self.lay_out(reference, top, options)
    }

    fn lay_out(
        &self,
        reference: &Reference,
        top: Descriptor,
        options: &OpenOptions<'_>,
    ) -> Result<Pulled, PullError> {
        let layout = write_layout(self.layouts, self.blobs, reference, &top)?;
        let source = ImageSource::Registry { reference: reference.to_string(), layout };
        let mut fetched = BTreeSet::new();
        let outline = loop {
            match outline(&source, options) {
                Ok(outline) => break outline,
                Err(error) => match lacking(&error) {
                    Some((what, digest)) if fetched.len() < MAX_DOCUMENTS && fetched.insert(digest) => {
                        self.fetch_document(reference, what == "config", digest, &options.limits)?;
                    }
                    _ => return Err(error.into()),
                },
            }
        };
        let bytes =
            self.blobs.read(outline.manifest_digest, options.limits.metadata_bytes).unwrap_or_default();
        let layers =
            serde_json::from_slice::<Manifest>(&bytes).map(|manifest| manifest.layers).unwrap_or_default();
        Ok(Pulled { source, outline, top, layers })
    }

    /// The document that a reference by digest names, if it is there.
    fn known(&self, reference: &Reference, options: &OpenOptions<'_>) -> Option<Descriptor> {
        known(self.blobs, reference, options)
    }

    fn fetch_document(
        &self,
        reference: &Reference,
        is_config: bool,
        digest: Digest,
        limits: &Limits,
    ) -> Result<(), RegistryError> {
        let bytes = if is_config {
            self.registry.small_blob(&reference.repository, digest, limits.metadata_bytes)?
        } else {
            self.registry.manifest(&reference.pinned(digest))?.bytes
        };
        self.blobs.put(&bytes)?;
        Ok(())
    }

    /// Fetches the blobs that are missing, some at a time. `on_bytes` is told of what came, piece by piece.
    ///
    /// # Errors
    /// [`RegistryError`] of the first blob of the list that failed.
    pub fn fetch(
        &self,
        repository: &str,
        blobs: &[Descriptor],
        limits: &Limits,
        on_bytes: &(dyn Fn(u64) + Sync),
    ) -> Result<(), RegistryError> {
        if let Some(large) = blobs.iter().find(|blob| blob.size_bytes > limits.layer_bytes) {
            let what = format!("the blob {}", large.digest);
            return Err(RegistryError::TooLarge { what, limit: limits.layer_bytes });
        }
        let total = blobs.iter().fold(0_u64, |total, blob| total.saturating_add(blob.size_bytes));
        if total > limits.total_bytes {
            return Err(RegistryError::TooLarge { what: "the image".to_owned(), limit: limits.total_bytes });
        }
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let first: Mutex<Option<(usize, RegistryError)>> = Mutex::new(None);
        let work = || {
            while !failed.load(Ordering::Relaxed) {
                let nth = next.fetch_add(1, Ordering::Relaxed);
                let Some(blob) = blobs.get(nth) else { break };
                if let Err(error) = self.blobs.fetch(self.registry, repository, blob, on_bytes) {
                    failed.store(true, Ordering::Relaxed);
                    let mut first = first.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    if first.as_ref().is_none_or(|(other, _)| nth < *other) {
                        *first = Some((nth, error));
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..AT_ONCE.min(blobs.len()) {
                scope.spawn(work);
            }
            work();
        });
        let first = first.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        first.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Fetches all that an index lists, or a manifest with its blobs: every platform.
    ///
    /// # Errors
    /// [`PullError`]
    pub fn everything(
        &self,
        reference: &Reference,
        options: &OpenOptions<'_>,
        on_bytes: &(dyn Fn(u64) + Sync),
    ) -> Result<ImageSource, PullError> {
        let fetched = self.registry.manifest(reference)?;
        self.blobs.put(&fetched.bytes)?;
        let layout = write_layout(self.layouts, self.blobs, reference, &fetched.descriptor)?;
        let (mut documents, mut blobs) = (vec![(fetched.descriptor, 0)], Vec::new());
        let mut seen = BTreeSet::new();
        while let Some((descriptor, depth)) = documents.pop() {
            let too_many = || RegistryError::TooMany {
                host: reference.host.clone(),
                what: "documents",
                limit: MAX_DOCUMENTS,
            };
            if !seen.insert(descriptor.digest) {
                continue;
            }
            if depth > MAX_NESTING || seen.len() > MAX_DOCUMENTS {
                return Err(too_many().into());
            }
            if self.blobs.read(descriptor.digest, options.limits.metadata_bytes).is_none() {
                self.fetch_document(reference, false, descriptor.digest, &options.limits)?;
            }
            let bytes = self.blobs.read(descriptor.digest, options.limits.metadata_bytes).unwrap_or_default();
            if media_type::is_index(&descriptor.media_type) {
                let manifests = serde_json::from_slice::<Index>(&bytes).map(|index| index.manifests);
                documents.extend(manifests.unwrap_or_default().into_iter().map(|one| (one, depth + 1)));
            } else if let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) {
                blobs.push(manifest.config);
                blobs.extend(manifest.layers);
            }
        }
        self.fetch(&reference.repository, &self.missing(&blobs), &options.limits, on_bytes)?;
        Ok(ImageSource::Registry { reference: reference.to_string(), layout })
    }

    /// Those of some blobs that are not there, each once.
    pub fn missing(&self, blobs: &[Descriptor]) -> Vec<Descriptor> {
        let mut seen = BTreeSet::new();
        blobs.iter().filter(|blob| seen.insert(blob.digest) && !self.blobs.has(blob)).cloned().collect()
    }
}

/// An image by digest of which all was brought before: nobody is asked. None if anything but layers is missing.
pub fn at_hand(
    blobs: &BlobStore,
    layouts: &Path,
    reference: &Reference,
    options: &OpenOptions<'_>,
) -> Option<Pulled> {
    let top = known(blobs, reference, options)?;
    let layout = write_layout(layouts, blobs, reference, &top).ok()?;
    let source = ImageSource::Registry { reference: reference.to_string(), layout };
    let outline = outline(&source, options).ok()?;
    let bytes = blobs.read(outline.manifest_digest, options.limits.metadata_bytes)?;
    let layers = serde_json::from_slice::<Manifest>(&bytes).ok()?.layers;
    Some(Pulled { source, outline, top, layers })
}

fn known(blobs: &BlobStore, reference: &Reference, options: &OpenOptions<'_>) -> Option<Descriptor> {
    let bytes = blobs.read(reference.digest?, options.limits.metadata_bytes)?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    let told = value["mediaType"].as_str();
    let guessed =
        if value["manifests"].is_array() { media_type::OCI_INDEX } else { media_type::OCI_MANIFEST };
    Some(Descriptor::of(told.unwrap_or(guessed), &bytes))
}

/// The document that was missing or damaged when an image was looked at: its kind and its digest.
fn lacking(error: &OpenImageError) -> Option<(&'static str, Digest)> {
    let OpenImageError::Pick { source, .. } = error else { return None };
    match &**source {
        PickError::Document { what, digest, source: DocumentError::Read(error) }
            if error.kind() == io::ErrorKind::NotFound =>
        {
            Some((what, *digest))
        }
        PickError::Document {
            what,
            digest,
            source: DocumentError::Size { .. } | DocumentError::Digest { .. },
        } => Some((what, *digest)),
        _ => None,
    }
}

/// Writes the layout of one manifest, whose blobs are those of the store; the same reference and digest, the same one.
fn write_layout(
    layouts: &Path,
    blobs: &BlobStore,
    reference: &Reference,
    top: &Descriptor,
) -> Result<PathBuf, PullError> {
    let key = Digest::of(format!("{reference} {} {}", top.media_type, top.digest).as_bytes());
    let dir = layouts.join(&key.hex()[..32]);
    if dir.join("index.json").is_file() {
        return Ok(dir);
    }
    let mut entry = top.clone();
    entry.annotations.insert(REF_NAME.to_owned(), reference.to_string());
    let index = Index {
        schema_version: 2,
        media_type: Some(media_type::OCI_INDEX.to_owned()),
        manifests: vec![entry],
        annotations: std::collections::BTreeMap::new(),
        extra: serde_json::Map::new(),
    };
    let write = || -> io::Result<()> {
        fs::create_dir_all(layouts)?;
        fs::create_dir_all(blobs.dir())?;
        let building = tempfile::Builder::new().prefix(".part-").tempdir_in(layouts)?;
        fs::write(building.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        fs::write(building.path().join("index.json"), serde_json::to_vec(&index)?)?;
        std::os::unix::fs::symlink(blobs.dir().canonicalize()?, building.path().join("blobs"))?;
        match fs::rename(building.path(), &dir) {
            // Another run was faster.
            Err(_) if dir.join("index.json").is_file() => Ok(()),
            done => done,
        }
    };
    write().map_err(|source| PullError::Layout { path: dir.clone(), source })?;
    Ok(dir)
}
