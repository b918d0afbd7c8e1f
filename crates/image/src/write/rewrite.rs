//! One run of the writer: layers reused or rewritten, then the documents that name them.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::atomic::Ordering;

use sha2::{Digest as _, Sha256};

use super::compress::{OutputCompression, compress};
use super::documents;
use super::filter::{self, LayerPlan, Wanted};
use super::output::{BlobWriter, Output};
use super::stream::{self, Piece, PieceReader};
use super::{Edits, ImageTarget, WriteError, WriteOptions, Written, WrittenLayer, names, squash};
use crate::model::media_type as types;
use crate::{Compression, Descriptor, Digest, Entry, Image, ImagePath, Index};

/// Indexes within indexes that are followed when other images' blobs are copied.
const MAX_INDEX_DEPTH: usize = 8;
/// Longest document of another image that is looked into for the blobs it names.
const MAX_DOCUMENT_BYTES: u64 = 8 << 20;

/// What all steps of one run need.
pub(super) struct Writer<'a> {
    pub(super) image: &'a Image,
    pub(super) options: &'a WriteOptions<'a>,
}

impl<'a> Writer<'a> {
    /// Fails once the caller asked to stop.
    pub(super) fn check_interrupt(&self) -> Result<(), WriteError> {
        match self.options.interrupt {
            Some(interrupt) if interrupt.load(Ordering::Relaxed) => Err(WriteError::Interrupted),
            _ => Ok(()),
        }
    }

    /// The entries of all layers.
    pub(super) fn entries(&self) -> Vec<&'a [Entry]> {
        self.image.layers().iter().map(|layer| layer.entries.as_slice()).collect()
    }

    /// The entries that these edits want.
    pub(super) fn wanted<'e>(&self, edits: &'e Edits) -> Result<Wanted<'e>, WriteError> {
        let replace = self.effective_replacements(edits)?;
        Ok(filter::wanted(&self.entries(), self.image.tree(), &edits.keep, &replace)?)
    }

    /// The replacements that change something: a layer is not rewritten for the sake of the bytes that it has.
    fn effective_replacements<'e>(
        &self,
        edits: &'e Edits,
    ) -> Result<BTreeMap<&'e ImagePath, &'e [u8]>, WriteError> {
        let mut out = BTreeMap::new();
        for (path, content) in &edits.replace {
            let failed = |source| WriteError::Compare { path: path.clone(), source: Box::new(source) };
            let is_comparable = edits.keep.contains(path) && self.is_file_of_size(path, content.len());
            let is_same = is_comparable
                && self.image.read_file(path, content.len() as u64).map_err(failed)? == *content;
            if !is_same {
                out.insert(path, content.as_slice());
            }
        }
        Ok(out)
    }

    /// Makes the output: the layers, then the documents that name them.
    pub(super) fn run(
        &self,
        target: &ImageTarget,
        layers: impl FnOnce(&mut Output<'_>) -> Result<Vec<WrittenLayer>, WriteError>,
    ) -> Result<Written, WriteError> {
        let options = self.options;
        let mut output = Output::create(target, self.image.source(), options.overwrite, options.on_bytes)?;
        let mut layers = layers(&mut output)?;
        let was_oci = is_oci(self.image);
        let as_oci =
            !was_oci && layers.iter().any(|layer| layer.descriptor.media_type == types::OCI_LAYER_ZSTD);
        if as_oci {
            for layer in &mut layers {
                layer.descriptor.media_type = as_oci_layer(&layer.descriptor.media_type);
            }
        }
        let (manifest, config) = self.put_documents(&layers, as_oci, &mut output)?;
        let (manifest_digest, image_id) = (manifest.digest, config.digest);
        let document_bytes = manifest.size_bytes + config.size_bytes;
        let top = self.put_index(manifest, as_oci, target, &mut output)?;
        names::put(target, top, image_id, &layers, &mut output)?;
        self.check_interrupt()?;
        output.commit(options.durable)?;
        Ok(Written {
            manifest_digest,
            image_id,
            compressed_bytes: layers.iter().map(|layer| layer.descriptor.size_bytes).sum(),
            document_bytes,
            uncompressed_bytes: layers.iter().map(|layer| layer.uncompressed_bytes).sum(),
            layers,
        })
    }

    /// Layers that stay apart: each reused, rewritten or left out.
    pub(super) fn layers(
        &self,
        plans: &[LayerPlan<'_>],
        output: &mut Output<'_>,
    ) -> Result<Vec<WrittenLayer>, WriteError> {
        let mut layers = Vec::new();
        for (from_layer, plan) in plans.iter().enumerate() {
            if plan.is_untouched() {
                layers.push(self.reuse(from_layer, output)?);
            } else if !plan.is_empty() {
                layers.push(self.rewrite(from_layer, plan, output)?);
            }
        }
        Ok(layers)
    }

    /// One layer of all that is wanted. `plans` are those of layers that stay apart.
    pub(super) fn squash(
        &self,
        wanted: &Wanted<'_>,
        plans: &[LayerPlan<'_>],
        output: &mut Output<'_>,
    ) -> Result<WrittenLayer, WriteError> {
        let pieces = squash::pieces(self.image, &self.entries(), wanted)?;
        let sources: Vec<_> =
            self.image.layers().iter().zip(plans).filter(|(_, plan)| !plan.is_empty()).collect();
        let bound = sources.iter().map(|(layer, _)| layer.descriptor.size_bytes).sum();
        let was_zstd = sources.iter().any(|(layer, _)| layer.compression == Compression::Zstd);
        let original = if was_zstd { Compression::Zstd } else { Compression::Gzip };
        self.make_layer(None, &pieces, original, bound, output)
    }

    fn is_file_of_size(&self, path: &ImagePath, size: usize) -> bool {
        let node = self.image.tree().get(path);
        node.is_some_and(
            |node| matches!(node.kind, crate::NodeKind::File { size_bytes, .. } if size_bytes == size as u64),
        )
    }

    /// Copies a layer's blob as it is.
    pub(super) fn reuse(
        &self,
        from_layer: usize,
        output: &mut Output<'_>,
    ) -> Result<WrittenLayer, WriteError> {
        let layer = &self.image.layers()[from_layer];
        let digest = layer.descriptor.digest;
        let mut blob = layer.open_blob().map_err(|source| WriteError::ReadLayer { digest, source })?;
        self.copy_blob(digest, &mut blob, output)?;
        Ok(WrittenLayer {
            descriptor: layer.descriptor.clone(),
            diff_id: layer.diff_id,
            from_layer: Some(from_layer),
            reused: true,
            uncompressed_bytes: layer.uncompressed_bytes,
        })
    }

    /// Makes a layer of what stays of this one.
    fn rewrite(
        &self,
        from_layer: usize,
        plan: &LayerPlan<'_>,
        output: &mut Output<'_>,
    ) -> Result<WrittenLayer, WriteError> {
        let original = &self.image.layers()[from_layer];
        let pieces = stream::pieces(self.image, from_layer, plan)?;
        let bound = original.descriptor.size_bytes;
        self.make_layer(Some(from_layer), &pieces, original.compression, bound, output)
    }

    /// Compresses a layer, more strongly as long as it has more than `bound` bytes.
    fn make_layer(
        &self,
        from_layer: Option<usize>,
        pieces: &[Piece<'_>],
        original: Compression,
        bound: u64,
        output: &mut Output<'_>,
    ) -> Result<WrittenLayer, WriteError> {
        let mut larger = Vec::new();
        for compression in settings(self.options.compression, original) {
            let (blob, tar) = self.compress(pieces, compression, output)?;
            if blob.size_bytes() <= bound || compression == OutputCompression::None {
                return self.finish_layer(from_layer, compression, blob, tar);
            }
            larger.push((blob.size_bytes(), compression));
            blob.discard()?;
        }
        let (_, compression) =
            larger.into_iter().min_by_key(|(size, _)| *size).expect("there is always one setting");
        let (blob, tar) = self.compress(pieces, compression, output)?;
        self.finish_layer(from_layer, compression, blob, tar)
    }

    fn compress<'o, 't>(
        &self,
        pieces: &[Piece<'_>],
        compression: OutputCompression,
        output: &'o mut Output<'t>,
    ) -> Result<(BlobWriter<'o, 't>, Tar), WriteError> {
        let mut reader = PieceReader::new(self.image.layers(), pieces.to_vec());
        let mut blob = output.begin_blob()?;
        let mut hasher = Sha256::new();
        let mut size_bytes = 0;
        let fill = |chunk: &mut Vec<u8>| {
            self.check_interrupt()?;
            reader.fill(chunk, compression.chunk_bytes())?;
            hasher.update(&chunk);
            size_bytes += chunk.len() as u64;
            Ok(())
        };
        compress(compression, self.options.threads, fill, |compressed| blob.write(compressed))?;
        Ok((blob, Tar { diff_id: Digest::from_hasher(hasher), size_bytes }))
    }

    fn finish_layer(
        &self,
        from_layer: Option<usize>,
        compression: OutputCompression,
        blob: BlobWriter<'_, '_>,
        tar: Tar,
    ) -> Result<WrittenLayer, WriteError> {
        let (digest, size_bytes) = blob.finish()?;
        let media_type = documents::layer_type(compression.format(), is_oci(self.image));
        let descriptor = Descriptor::new(media_type, digest, size_bytes);
        tracing::debug!(
            layer.from = from_layer, layer.digest = %digest, layer.bytes = size_bytes, "made a layer of {size_bytes} bytes"
        );
        Ok(WrittenLayer {
            descriptor,
            diff_id: tar.diff_id,
            from_layer,
            reused: false,
            uncompressed_bytes: tar.size_bytes,
        })
    }

    /// Writes config and manifest; their descriptors, the manifest's first.
    fn put_documents(
        &self,
        layers: &[WrittenLayer],
        as_oci: bool,
        output: &mut Output<'_>,
    ) -> Result<(Descriptor, Descriptor), WriteError> {
        let image = self.image;
        let same_layers = layers.len() == image.layers().len() && layers.iter().all(|layer| layer.reused);
        let mut config = image.manifest().config.clone();
        let config_bytes = if same_layers {
            image.config_bytes().to_vec()
        } else {
            documents::config(image.config_bytes(), layers, image.layers().len())?
        };
        config.digest = output.put_blob(&config_bytes)?;
        config.size_bytes = config_bytes.len() as u64;
        if as_oci {
            types::OCI_CONFIG.clone_into(&mut config.media_type);
        }
        let manifest_bytes = if same_layers && !as_oci {
            image.manifest_bytes().to_vec()
        } else {
            documents::manifest(image.manifest_bytes(), &config, layers, as_oci)?
        };
        let media_type = match &image.manifest().media_type {
            _ if as_oci => types::OCI_MANIFEST,
            Some(media_type) => media_type,
            None if is_oci(image) => types::OCI_MANIFEST,
            None => types::DOCKER_MANIFEST,
        };
        output.put_blob(&manifest_bytes)?;
        Ok((Descriptor::of(media_type, &manifest_bytes), config))
    }

    /// Writes the index that the image was picked from, with the new manifest, and the blobs of its other images;
    /// the descriptor that leads to the image.
    fn put_index(
        &self,
        manifest: Descriptor,
        as_oci: bool,
        target: &ImageTarget,
        output: &mut Output<'_>,
    ) -> Result<Descriptor, WriteError> {
        let Some(original) = self.image.index() else { return Ok(manifest) };
        let replaced = self.image.manifest_digest();
        let of_one_name;
        let original = if self.image.is_from_outermost_index() {
            of_one_name = documents::of_one_name(original, &replaced);
            &of_one_name
        } else {
            original
        };
        if matches!(target, ImageTarget::DockerArchive { .. }) {
            return Ok(manifest);
        }
        let index = documents::index(original, &replaced, &manifest, as_oci);
        for other in index.manifests.iter().filter(|other| other.digest != manifest.digest) {
            self.copy_image(other, 0, output)?;
        }
        let media_type = index.media_type.clone().unwrap_or_else(|| types::OCI_INDEX.to_owned());
        let bytes = documents::render(&index);
        output.put_blob(&bytes)?;
        Ok(Descriptor::of(&media_type, &bytes))
    }

    /// Copies whatever is there of another image: an index may list images that were never fetched.
    fn copy_image(
        &self,
        descriptor: &Descriptor,
        depth: usize,
        output: &mut Output<'_>,
    ) -> Result<(), WriteError> {
        if output.has(&descriptor.digest) {
            return Ok(());
        }
        let blob = match self.image.blob(&descriptor.digest) {
            Ok(blob) => blob,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(WriteError::ReadBlob { digest: descriptor.digest, source }),
        };
        self.copy_blob(descriptor.digest, &mut blob.reader(), output)?;
        let is_index = types::is_index(&descriptor.media_type);
        if !(is_index || types::is_manifest(&descriptor.media_type)) || blob.size_bytes() > MAX_DOCUMENT_BYTES
        {
            return Ok(());
        }
        let mut bytes = Vec::new();
        let read = blob.reader().read_to_end(&mut bytes);
        read.map_err(|source| WriteError::ReadBlob { digest: descriptor.digest, source })?;
        let children = if is_index {
            serde_json::from_slice(&bytes).map(|index: Index| index.manifests)
        } else {
            serde_json::from_slice(&bytes)
                .map(|manifest: crate::Manifest| [vec![manifest.config], manifest.layers].concat())
        };
        // A document that we do not understand is copied like any other blob.
        for child in children.unwrap_or_default().iter().filter(|_| depth < MAX_INDEX_DEPTH) {
            self.copy_image(child, depth + 1, output)?;
        }
        Ok(())
    }

    /// Copies a blob and checks on the way that it still is what it was.
    fn copy_blob(
        &self,
        digest: Digest,
        from: &mut impl Read,
        output: &mut Output<'_>,
    ) -> Result<(), WriteError> {
        if output.has(&digest) {
            return Ok(());
        }
        let mut blob = output.begin_blob()?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            self.check_interrupt()?;
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => blob.write(&buffer[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(WriteError::ReadBlob { digest, source }),
            }
        }
        if blob.finish()?.0 != digest {
            return Err(WriteError::Changed { digest });
        }
        Ok(())
    }
}

/// An uncompressed layer.
#[derive(Clone, Copy)]
struct Tar {
    diff_id: Digest,
    size_bytes: u64,
}

/// Settings to try in turn until the blob is no longer than the original one.
fn settings(wanted: OutputCompression, original: Compression) -> Vec<OutputCompression> {
    use OutputCompression::{Gzip, None, Zstd};
    let stronger = match (wanted, original) {
        (None, _) => vec![],
        (Gzip { .. }, Compression::Zstd) | (Zstd { .. }, _) => vec![Zstd { level: 3 }, Zstd { level: 19 }],
        (Gzip { .. }, _) => vec![Gzip { level: 9 }, Gzip { level: 12 }],
    };
    [vec![wanted], stronger].concat()
}

/// Whether the image has OCI's media types rather than Docker's.
fn is_oci(image: &Image) -> bool {
    let manifest = image.manifest();
    match manifest.media_type.as_deref() {
        Some(media_type) => media_type != types::DOCKER_MANIFEST,
        None => manifest.config.media_type != types::DOCKER_CONFIG,
    }
}

/// OCI's media type for what a manifest calls by Docker's.
fn as_oci_layer(media_type: &str) -> String {
    match media_type {
        types::DOCKER_LAYER => types::OCI_LAYER,
        types::DOCKER_LAYER_GZIP => types::OCI_LAYER_GZIP,
        types::DOCKER_LAYER_ZSTD => types::OCI_LAYER_ZSTD,
        other => other,
    }
    .to_owned()
}
