//! An opened image.

use std::fmt;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::blob::Blob;
use crate::file::{FileReader, ReadFileError};
use crate::inflate::Inflater;
use crate::limits::{Limit, Limits, Tally};
use crate::merge::{MergeError, Stack, merge};
use crate::pick::{PickError, pick};
use crate::store::{OpenStoreError, Store};
use crate::{
    Config, Digest, ImagePath, ImageSource, Index, Layer, Manifest, NodeKind, OpenLayerError, Platform, Tree,
    Unread,
};

/// How to open an image.
#[derive(Clone)]
pub struct OpenOptions<'a> {
    /// Which image of an index; none = that of this machine.
    pub platform: Option<Platform>,
    /// How much the image may ask of us.
    pub limits: Limits,
    /// Directory for the uncompressed layers, in files without a name.
    pub scratch_dir: PathBuf,
    /// Told how many more stored bytes were read, from several threads.
    pub on_bytes: Option<&'a (dyn Fn(u64) + Sync)>,
    /// Once true, opening ends soon with an error.
    pub interrupt: Option<&'a AtomicBool>,
    /// Files whose content will not be read. Reading one all the same gives the right bytes, and takes long.
    pub unread: Option<Unread>,
}

impl OpenOptions<'_> {
    /// The host's platform, default limits, scratch files in the system's directory for them.
    pub fn new() -> Self {
        Self {
            platform: None,
            limits: Limits::default(),
            scratch_dir: std::env::temp_dir(),
            on_bytes: None,
            interrupt: None,
            unread: None,
        }
    }
}

impl Default for OpenOptions<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for OpenOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions")
            .field("platform", &self.platform)
            .field("limits", &self.limits)
            .field("scratch_dir", &self.scratch_dir)
            .finish_non_exhaustive()
    }
}

/// An image whose documents and layers were all read and verified.
#[derive(Debug)]
pub struct Image {
    source: ImageSource,
    name: Option<String>,
    store: Store,
    manifest_digest: Digest,
    manifest_bytes: Vec<u8>,
    manifest: Manifest,
    config_bytes: Vec<u8>,
    config: Config,
    index: Option<Index>,
    index_digest: Option<Digest>,
    layers: Vec<Layer>,
    tree: Tree,
    /// What unpacking the last layer left for the next one.
    stack: Mutex<Option<Stack>>,
}

/// Why an image could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenImageError {
    /// The layout or archive cannot be read.
    #[error("cannot open {place}")]
    Store {
        /// The source as a person writes it.
        place: ImageSource,
        /// Why.
        source: Box<OpenStoreError>,
    },
    /// There is no such image in it.
    #[error("cannot pick an image of {place}")]
    Pick {
        /// The source as a person writes it.
        place: ImageSource,
        /// Why.
        source: Box<PickError>,
    },
    /// Manifest and config list different numbers of layers.
    #[error("the manifest lists {layers} layers, the config {diff_ids}")]
    LayerCount {
        /// Layers of the manifest.
        layers: usize,
        /// Diff IDs of the config.
        diff_ids: usize,
    },
    /// It has too many layers.
    #[error("the image asks for {0}")]
    Limit(Limit),
    /// A layer cannot be read.
    #[error("cannot read layer {digest}")]
    Layer {
        /// Digest of the layer's blob, as the manifest says.
        digest: Digest,
        /// Why.
        source: Box<OpenLayerError>,
    },
    /// A layer does not fit on those beneath it.
    #[error("cannot apply layer {digest}")]
    Merge {
        /// Digest of the layer's blob.
        digest: Digest,
        /// Why.
        source: MergeError,
    },
}

impl OpenImageError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store { source, .. } => source.hint(),
            Self::Pick { place, source } => source.hint(place),
            Self::LayerCount { .. } => Some(AGAIN.to_owned()),
            Self::Limit(_) | Self::Merge { .. } => None,
            Self::Layer { source, .. } => source.hint(),
        }
    }
}

/// The hint for an image that was damaged on its way.
pub(crate) const AGAIN: &str = "pull or save the image again: it was damaged, cut short or changed";

impl Image {
    /// Opens an image: reads and verifies its documents and every layer, and merges the layers to a [`Tree`].
    ///
    /// # Errors
    /// [`OpenImageError`]; nothing stays on disk then.
    pub fn open(source: &ImageSource, options: &OpenOptions<'_>) -> Result<Self, OpenImageError> {
        let place = || source.clone();
        let store = Store::open(source, options)
            .map_err(|error| OpenImageError::Store { place: place(), source: Box::new(error) })?;
        let picked = pick(&store, source.name(), options)
            .map_err(|error| OpenImageError::Pick { place: place(), source: Box::new(error) })?;
        let tally = Tally::new(&options.limits);
        let layers = open_layers(&store, &picked.manifest, &picked.config, options, &tally)?;
        let merged = merge(layers.iter().map(|layer| layer.entries.as_slice()), &tally);
        let tree = merged.map_err(|(layer, source)| OpenImageError::Merge {
            digest: layers[layer].descriptor.digest,
            source,
        })?;
        Ok(Self {
            source: source.clone(),
            store,
            name: picked.name,
            manifest_digest: picked.descriptor.digest,
            manifest_bytes: picked.manifest_bytes,
            manifest: picked.manifest,
            config_bytes: picked.config_bytes,
            config: picked.config,
            index: picked.index,
            index_digest: picked.index_digest,
            layers,
            tree,
            stack: Mutex::default(),
        })
    }

    /// What it is called where it is stored: a layout's tag, or one of a Docker archive's `RepoTags`.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where it was opened from.
    pub fn source(&self) -> &ImageSource {
        &self.source
    }

    /// Digest of the manifest as stored; of the one that we make for archives of `docker save`, which have none.
    pub fn manifest_digest(&self) -> Digest {
        self.manifest_digest
    }

    /// Digest of the config as stored.
    pub fn image_id(&self) -> Digest {
        self.manifest.config.digest
    }

    /// Which machine it is for.
    pub fn platform(&self) -> &Platform {
        &self.config.platform
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest, byte for byte.
    pub fn manifest_bytes(&self) -> &[u8] {
        &self.manifest_bytes
    }

    /// The config.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The config, byte for byte.
    pub fn config_bytes(&self) -> &[u8] {
        &self.config_bytes
    }

    /// The index that it was picked from: none where its name leads straight to a manifest.
    pub fn index(&self) -> Option<&Index> {
        self.index.as_ref()
    }

    /// Digest of the index that its name leads to, which others may know it by: none where that is the manifest, or only
    /// the layout's own list.
    pub fn index_digest(&self) -> Option<Digest> {
        self.index_digest
    }

    /// Layers, base first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The merged root file system.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The layers beneath this one, merged. Whoever gives the stack back, with more on it, spares the next call the
    /// work for those.
    pub(crate) fn take_stack(&self, layer: usize) -> Result<Stack, MergeError> {
        let kept = self.stack.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut stack = kept.filter(|stack| stack.layers() <= layer).unwrap_or_default();
        for layer in &self.layers[stack.layers()..layer] {
            // What this image asks for was counted when it was opened.
            stack.add(&layer.entries, &Tally::unbounded())?;
        }
        Ok(stack)
    }

    /// Keeps a stack for the next layer, if there is one.
    pub(crate) fn give_back_stack(&self, stack: Stack) {
        let useful = Some(stack).filter(|stack| stack.layers() < self.layers.len());
        *self.stack.lock().unwrap_or_else(PoisonError::into_inner) = useful;
    }

    /// Whether [`Image::index`] is the place's outermost one, which lists images under other names too.
    pub(crate) fn is_from_outermost_index(&self) -> bool {
        self.index.as_ref() == Some(self.store.index())
    }

    /// Bytes of all layer blobs as stored.
    pub fn compressed_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.descriptor.size_bytes).sum()
    }

    /// Any blob of the place that the image was opened from, for instance another platform's; not verified.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub fn blob(&self, digest: &Digest) -> io::Result<Blob> {
        self.store.blob(digest)
    }

    /// Opens the regular file at exactly this path of the tree; links are not followed.
    ///
    /// # Errors
    /// [`ReadFileError`] if there is none.
    pub fn open_file(&self, path: &ImagePath) -> Result<FileReader<'_>, ReadFileError> {
        let node = self.tree.get(path).ok_or_else(|| ReadFileError::NotFound { path: path.clone() })?;
        let NodeKind::File { content: (layer, entry), .. } = node.kind else {
            return Err(ReadFileError::NotAFile { path: path.clone() });
        };
        let layer = &self.layers[layer];
        Ok(FileReader::new(layer, &layer.entries[entry]))
    }

    /// Reads the regular file at exactly this path of the tree; links are not followed.
    ///
    /// # Errors
    /// [`ReadFileError`] if there is none, or if it has more than `max_bytes`.
    pub fn read_file(&self, path: &ImagePath, max_bytes: u64) -> Result<Vec<u8>, ReadFileError> {
        let mut bytes = Vec::new();
        self.read_file_into(path, max_bytes, &mut bytes)?;
        Ok(bytes)
    }

    /// The same into room that was used before, for who reads many files: what it held is gone, its size grows to that
    /// of the largest file. Gives the content.
    ///
    /// # Errors
    /// As [`Image::read_file`].
    pub fn read_file_into<'b>(
        &self,
        path: &ImagePath,
        max_bytes: u64,
        room: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], ReadFileError> {
        let mut reader = self.open_file(path)?;
        let size_bytes = reader.size_bytes();
        if size_bytes > max_bytes {
            return Err(ReadFileError::TooLarge { path: path.clone(), size_bytes, max_bytes });
        }
        let size = usize::try_from(size_bytes).unwrap_or(usize::MAX);
        if room.is_empty() {
            // In room that the kernel clears: a file of which nobody reads the end costs nothing there.
            *room = vec![0; size];
        } else if room.len() < size {
            room.resize(size, 0);
        }
        let content = &mut room[..size];
        let read = reader.read_exact(content);
        read.map_err(|source| ReadFileError::Read { path: path.clone(), source })?;
        Ok(content)
    }
}

/// Opens all layers, two at a time; on failure gives the error of the lowest layer that failed.
fn open_layers(
    store: &Store,
    manifest: &Manifest,
    config: &Config,
    options: &OpenOptions<'_>,
    tally: &Tally,
) -> Result<Vec<Layer>, OpenImageError> {
    let diff_ids = &config.rootfs.diff_ids;
    if manifest.layers.len() > options.limits.layers as usize {
        return Err(OpenImageError::Limit(Limit::Layers(options.limits.layers)));
    }
    if manifest.layers.len() != diff_ids.len() {
        return Err(OpenImageError::LayerCount { layers: manifest.layers.len(), diff_ids: diff_ids.len() });
    }
    let total = AtomicU64::new(0);
    let inflater = Inflater {
        limits: &options.limits,
        total: &total,
        scratch_dir: &options.scratch_dir,
        on_bytes: options.on_bytes,
        interrupt: options.interrupt,
        unread: options.unread,
    };
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            let Some(descriptor) = manifest.layers.get(nth) else { break };
            let layer =
                Layer::open(descriptor, diff_ids[nth], store.blob(&descriptor.digest), &inflater, tally);
            failed.fetch_or(layer.is_err(), Ordering::Relaxed);
            done.push((nth, layer));
        }
        done
    };
    let mut done = std::thread::scope(|scope| {
        let helper = scope.spawn(work);
        let mut done = work();
        done.extend(helper.join().expect("opening a layer has no way to panic"));
        done
    });
    done.sort_by_key(|(nth, _)| *nth);
    let layer_error = |nth: usize, error| OpenImageError::Layer {
        digest: manifest.layers[nth].digest,
        source: Box::new(error),
    };
    done.into_iter().map(|(nth, layer)| layer.map_err(|error| layer_error(nth, error))).collect()
}
