//! The writer: an image without what is not kept.
//!
//! [`write`](write()) decides; `filter` says which entries stay, `squash` puts them into one layer, `share` joins what
//! several images want of the layers that they share, `header` and `stream` make the new layers' tars, `compress` their
//! blobs, `documents` the JSON, `output` the directory or archive.

mod archive;
mod compress;
mod documents;
mod error;
mod estargz;
mod filter;
mod header;
mod names;
mod output;
mod rewrite;
mod share;
mod squash;
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
pub(crate) use header::{BLOCK, EntryHeader};
pub use share::shared_layers;
pub use target::{ImageTarget, ImageTargetError};

use crate::{Descriptor, Digest, Image, ImagePath};
use rewrite::Writer;

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
    /// One layer instead of as many as the original has.
    pub squash: bool,
    /// Replace a target that exists.
    pub overwrite: bool,
    /// Return only once everything is on disk, so that a power cut cannot leave half an image under its name.
    pub durable: bool,
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
            squash: false,
            overwrite: false,
            durable: true,
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
            .field("squash", &self.squash)
            .field("overwrite", &self.overwrite)
            .field("durable", &self.durable)
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
    /// Bytes of the manifest and the config.
    pub document_bytes: u64,
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
    /// The original layer that it was made from; none for one that was made of several.
    pub from_layer: Option<usize>,
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
/// With [`WriteOptions::squash`] there is one layer of what all of them show, unless only one would be left anyway. It
/// is compressed more strongly where it would otherwise be longer than the layers that it is made of.
///
/// # Errors
/// [`WriteError`]; nothing is left behind then, and an existing target is as it was.
pub fn write(
    image: &Image,
    edits: &Edits,
    target: &ImageTarget,
    options: &WriteOptions<'_>,
) -> Result<Written, WriteError> {
    let writer = Writer { image, options };
    let wanted = writer.wanted(edits)?;
    let layers = writer.entries();
    let mut plans = filter::plan(&layers, &wanted);
    filter::complete(&layers, &mut plans, false);
    if options.squash && plans.iter().filter(|plan| !plan.is_empty()).count() > 1 {
        return writer.run(target, |output| Ok(vec![writer.squash(&wanted, &plans, output)?]));
    }
    writer.run(target, |output| writer.layers(&plans, output))
}

/// Writes the image as it is: every layer, config and manifest byte for byte.
///
/// # Errors
/// As [`write`](write()).
pub fn copy(image: &Image, target: &ImageTarget, options: &WriteOptions<'_>) -> Result<Written, WriteError> {
    let writer = Writer { image, options };
    writer.run(target, |output| (0..image.layers().len()).map(|layer| writer.reuse(layer, output)).collect())
}

/// One of several images that are written together.
#[derive(Debug, Clone, Copy)]
pub struct Share<'a> {
    /// The original.
    pub image: &'a Image,
    /// What to change in it.
    pub edits: &'a Edits,
    /// Where it goes.
    pub target: &'a ImageTarget,
}

/// Writes several images so that the layers which they share stay shared.
///
/// As [`write`](write()), but a layer that several of the images have, above the same layers, holds what any of them
/// keeps of it. What one image keeps and another one replaces in such a layer differs, and so does then the layer.
/// `options.squash` has no effect.
///
/// # Errors
/// [`WriteError`] for the first image that cannot be written, `Edits` with [`EditError::Shared`] for a path that one
/// image removes from a shared layer and another keeps; those before it have been written then.
pub fn write_shared(images: &[Share<'_>], options: &WriteOptions<'_>) -> Result<Vec<Written>, WriteError> {
    let writers: Vec<_> = images.iter().map(|share| Writer { image: share.image, options }).collect();
    let wanted: Vec<_> = writers
        .iter()
        .zip(images)
        .map(|(writer, share)| writer.wanted(share.edits))
        .collect::<Result<_, WriteError>>()?;
    let mut plans = Vec::new();
    for (nth, (writer, share)) in writers.iter().zip(images).enumerate() {
        let (mut joined, mut added) = (wanted[nth].clone(), Vec::new());
        for (other, also_wanted) in wanted.iter().enumerate().filter(|(other, _)| *other != nth) {
            let shared = shared_layers(share.image, images[other].image);
            added.extend(share::join(&mut joined, also_wanted, shared));
        }
        let layers = writer.entries();
        let mut plan = filter::plan(&layers, &joined);
        filter::complete(&layers, &mut plan, true);
        share::check_hidden(share.image, &layers, &plan, share.edits, &added)?;
        plans.push(plan);
    }
    let all = writers.iter().zip(images).zip(&plans);
    all.map(|((writer, share), plans)| writer.run(share.target, |output| writer.layers(plans, output)))
        .collect()
}
