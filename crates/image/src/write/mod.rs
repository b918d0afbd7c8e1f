//! The writer: an image without what is not kept.
//!
//! [`write`](write()) decides; `filter` says which entries stay, `header` and `stream` make the new layers' tars,
//! `compress` their blobs, `documents` the JSON, `output` the directory or archive.

mod archive;
mod compress;
mod documents;
mod error;
mod filter;
mod header;
mod names;
mod output;
mod rewrite;
mod stream;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

pub use compress::OutputCompression;
pub use error::WriteError;
pub use filter::EditError;
pub use header::HeaderError;
pub use target::{ImageTarget, ImageTargetError};

use crate::model::media_type as types;
use crate::{Descriptor, Digest, Image, ImagePath};
use output::Output;
use rewrite::{Writer, as_oci_layer, is_oci};

/// What to change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edits {
    /// Paths of the merged tree that stay. Each needs the directories above it; the root always stays.
    pub keep: BTreeSet<ImagePath>,
    /// New content of kept regular files; owner, mode, times and attributes stay. Other hard links to the same file
    /// keep the old content.
    pub replace: BTreeMap<ImagePath, Vec<u8>>,
}

/// How to write.
#[derive(Clone)]
pub struct WriteOptions<'a> {
    /// How rewritten layers are compressed.
    pub compression: OutputCompression,
    /// Replace a target that exists.
    pub overwrite: bool,
    /// Compressing threads. The output does not depend on it.
    pub threads: NonZeroUsize,
    /// Told how many more bytes were written to the target.
    pub on_bytes: Option<&'a (dyn Fn(u64) + Sync)>,
    /// Once true, writing ends soon with [`WriteError::Interrupted`].
    pub interrupt: Option<&'a AtomicBool>,
}

impl Default for WriteOptions<'_> {
    fn default() -> Self {
        Self {
            compression: OutputCompression::default(),
            overwrite: false,
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            on_bytes: None,
            interrupt: None,
        }
    }
}

impl fmt::Debug for WriteOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteOptions")
            .field("compression", &self.compression)
            .field("overwrite", &self.overwrite)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Digest of the new manifest.
    pub manifest_digest: Digest,
    /// Digest of the new config.
    pub image_id: Digest,
    /// The new layers, base first.
    pub layers: Vec<WrittenLayer>,
    /// Bytes of all layer blobs as stored.
    pub compressed_bytes: u64,
    /// Bytes of all layers' tars.
    pub uncompressed_bytes: u64,
}

/// One layer of a written image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenLayer {
    /// The blob.
    pub descriptor: Descriptor,
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
    /// The original layer that it was made from.
    pub from_layer: usize,
    /// Whether it is the original blob, byte for byte.
    pub reused: bool,
    /// Length of the uncompressed tar.
    pub uncompressed_bytes: u64,
}

/// Writes the image with these edits.
///
/// Kept entries are copied byte for byte from the original layers. A layer from which nothing goes keeps its blob, one
/// that becomes empty goes and its history says so; config, manifest and index change in nothing else. The same
/// image, edits and compression give the same bytes, on every machine and any number of threads.
///
/// A rewritten layer whose blob would be longer than the original one is compressed again as strongly as its format
/// can, and in the original's format; the shortest wins.
///
/// # Errors
/// [`WriteError`]; nothing is left behind then, and an existing target is as it was.
pub fn write(
    image: &Image,
    edits: &Edits,
    target: &ImageTarget,
    options: &WriteOptions<'_>,
) -> Result<Written, WriteError> {
    let writer = Writer { image, edits, options };
    let replace = writer.effective_replacements()?;
    let entries: Vec<_> = image.layers().iter().map(|layer| layer.entries.as_slice()).collect();
    let plans = filter::plan(&entries, image.tree(), &edits.keep, &replace)?;
    let mut output = Output::create(target, image.source(), options.overwrite, options.on_bytes)?;

    let mut layers = Vec::new();
    for (from_layer, plan) in plans.iter().enumerate() {
        if plan.is_untouched() {
            layers.push(writer.reuse(from_layer, &mut output)?);
        } else if !plan.is_empty() {
            layers.push(writer.rewrite(from_layer, plan, &mut output)?);
        }
    }
    let was_oci = is_oci(image);
    let as_oci = !was_oci && layers.iter().any(|layer| layer.descriptor.media_type == types::OCI_LAYER_ZSTD);
    if as_oci {
        for layer in &mut layers {
            layer.descriptor.media_type = as_oci_layer(&layer.descriptor.media_type);
        }
    }

    let (manifest, image_id) = writer.put_documents(&layers, as_oci, &mut output)?;
    let manifest_digest = manifest.digest;
    let top = writer.put_index(manifest, as_oci, target, &mut output)?;
    names::put(target, top, image_id, &layers, &mut output)?;
    writer.check_interrupt()?;
    output.commit()?;
    Ok(Written {
        manifest_digest,
        image_id,
        compressed_bytes: layers.iter().map(|layer| layer.descriptor.size_bytes).sum(),
        uncompressed_bytes: layers.iter().map(|layer| layer.uncompressed_bytes).sum(),
        layers,
    })
}
