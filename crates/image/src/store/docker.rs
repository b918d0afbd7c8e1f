//! Archives of `docker save`, old and new: `manifest.json` names a config and layers by file.
//!
//! Manifests are not part of it, so they are made here, with OCI media types, from the files as they are stored: the
//! same archive always gives the same manifest and digest. A new archive that is an OCI layout too is read by its
//! `manifest.json` all the same.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Map;

use super::archive::Archive;
use super::{Blobs, DocumentError, OpenStoreError, Store, json_file, read_document};
use crate::blob::Blob;
use crate::inflate::detect;
use crate::model::config::null_as_default;
use crate::model::descriptor::{DescriptorPlatform, REF_NAME};
use crate::model::media_type;
use crate::{Compression, Config, Descriptor, Digest, Index, Manifest, OpenOptions};

/// One image of `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    #[serde(default, deserialize_with = "null_as_default")]
    repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    layers: Vec<String>,
}

/// Makes a store of an archive: each image is in the index once for each of its tags.
pub(super) fn open(archive: &Archive, options: &OpenOptions<'_>) -> Result<Store, OpenStoreError> {
    let images: Vec<SavedImage> = json_file("manifest.json", &file(archive, "manifest.json")?, options)?;
    let mut blobs = archive.blobs();
    let mut manifests = Vec::new();
    for image in &images {
        let descriptor = add_image(archive, image, &mut blobs, options)?;
        if image.repo_tags.is_empty() {
            manifests.push(descriptor.clone());
        }
        for tag in &image.repo_tags {
            let mut tagged = descriptor.clone();
            tagged.annotations.insert(REF_NAME.to_owned(), tag.clone());
            manifests.push(tagged);
        }
    }
    let index = Index {
        schema_version: 2,
        media_type: None,
        manifests,
        annotations: BTreeMap::new(),
        extra: Map::new(),
    };
    Ok(Store { index, blobs: Blobs::Known(blobs) })
}

fn file(archive: &Archive, name: &str) -> Result<Blob, OpenStoreError> {
    archive.file(name).ok_or_else(|| OpenStoreError::Missing { name: name.to_owned() })
}

/// Makes the manifest of one image and adds all its blobs.
fn add_image(
    archive: &Archive,
    image: &SavedImage,
    blobs: &mut BTreeMap<Digest, Blob>,
    options: &OpenOptions<'_>,
) -> Result<Descriptor, OpenStoreError> {
    let document_error = |source| OpenStoreError::Document { name: image.config.clone(), source };
    let config_blob = file(archive, &image.config)?;
    let config_bytes = read_document(&config_blob, options).map_err(document_error)?;
    let config: Config =
        serde_json::from_slice(&config_bytes).map_err(|error| document_error(DocumentError::Json(error)))?;
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != image.layers.len() {
        let (config, layers, diff_ids) = (image.config.clone(), image.layers.len(), diff_ids.len());
        return Err(OpenStoreError::LayerCount { config, layers, diff_ids });
    }
    let platform = config.platform.clone();
    let config_descriptor = Descriptor::of(media_type::OCI_CONFIG, &config_bytes);
    blobs.insert(config_descriptor.digest, config_blob);
    let mut layers = Vec::new();
    for (name, diff_id) in image.layers.iter().zip(diff_ids) {
        let blob = file(archive, name)?;
        let compression = detect(&blob)?;
        // What these say is verified when the layer is read.
        let digest = match (archive.digest_by_name(name), compression) {
            (Some(digest), _) => digest,
            (None, Compression::None) => *diff_id,
            (None, Compression::Gzip | Compression::Zstd) => {
                blob.digest().map_err(|source| OpenStoreError::Read { name: name.clone(), source })?
            }
        };
        let media_type = match compression {
            Compression::None => media_type::OCI_LAYER,
            Compression::Gzip => media_type::OCI_LAYER_GZIP,
            Compression::Zstd => media_type::OCI_LAYER_ZSTD,
        };
        layers.push(Descriptor::new(media_type, digest, blob.size_bytes()));
        blobs.insert(digest, blob);
    }
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        config: config_descriptor,
        layers,
        annotations: BTreeMap::new(),
        extra: Map::new(),
    };
    let manifest =
        serde_json::to_vec(&manifest).map_err(|error| document_error(DocumentError::Json(error)))?;
    let mut descriptor = Descriptor::of(media_type::OCI_MANIFEST, &manifest);
    descriptor.platform = Some(DescriptorPlatform { platform, extra: Map::new() });
    blobs.insert(descriptor.digest, Blob::from_bytes(manifest));
    Ok(descriptor)
}
