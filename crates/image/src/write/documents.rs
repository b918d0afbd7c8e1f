//! The new config, manifest and index: only what the new layers force changes.
//!
//! Config and manifest are edited as JSON values, so that unknown fields and the order of keys survive.

use serde_json::{Map, Value, json};

use super::names::CONTAINERD_NAME;
use super::{WriteError, WrittenLayer};
use crate::model::descriptor::REF_NAME;
use crate::model::media_type as types;
use crate::{Compression, Descriptor, Digest, Index};

/// Annotations that describe the bytes of a blob (seekable formats). They would be lies on a rewritten one.
const BLOB_ANNOTATIONS: [&str; 4] = [
    "containerd.io/snapshot/",
    "io.containers.estargz.",
    "io.github.containers.zstd-chunked.",
    "containerd.io/uncompressed",
];

/// Where BuildKit says which manifest of an index an attestation is about.
const ATTESTED: &str = "vnd.docker.reference.digest";

/// The config with these layers.
///
/// History is matched from the base: its entries without `empty_layer` belong to the layers in turn, as many as it
/// has. That of a layer that is gone says so; where all were merged into one, a last step stands for that one.
pub(super) fn config(
    original: &[u8],
    layers: &[WrittenLayer],
    original_layers: usize,
) -> Result<Vec<u8>, WriteError> {
    let bad = |problem| WriteError::Document { document: "config", problem };
    let mut config = object(original, "config")?;
    let rootfs =
        config.get_mut("rootfs").and_then(Value::as_object_mut).ok_or_else(|| bad("it has no rootfs"))?;
    rootfs.insert("diff_ids".to_owned(), layers.iter().map(|layer| json!(layer.diff_id)).collect());
    let created = config.get("created").cloned();
    let Some(history) = config.get_mut("history").and_then(Value::as_array_mut) else {
        return Ok(render(&config));
    };
    let of_layers = history.iter_mut().filter_map(Value::as_object_mut);
    let of_layers = of_layers.filter(|step| step.get("empty_layer") != Some(&Value::Bool(true)));
    for (layer, step) in of_layers.enumerate().take(original_layers) {
        if !layers.iter().any(|written| written.from_layer == Some(layer)) {
            step.insert("empty_layer".to_owned(), Value::Bool(true));
        }
    }
    if layers.iter().any(|layer| layer.from_layer.is_none()) {
        let mut step = Map::new();
        step.extend(created.map(|created| ("created".to_owned(), created)));
        step.insert("comment".to_owned(), json!(format!("merge of {original_layers} layers")));
        history.push(Value::Object(step));
    }
    Ok(render(&config))
}

/// The manifest with this config and these layers. `as_oci` turns Docker's media types into OCI's.
pub(super) fn manifest(
    original: &[u8],
    config: &Descriptor,
    layers: &[WrittenLayer],
    as_oci: bool,
) -> Result<Vec<u8>, WriteError> {
    let bad = |problem| WriteError::Document { document: "manifest", problem };
    let mut manifest = object(original, "manifest")?;
    if as_oci {
        manifest.insert("mediaType".to_owned(), json!(types::OCI_MANIFEST));
    }
    let old_config =
        manifest.get_mut("config").and_then(Value::as_object_mut).ok_or_else(|| bad("it has no config"))?;
    point_to(old_config, config);
    let old_layers =
        manifest.get_mut("layers").and_then(Value::as_array_mut).ok_or_else(|| bad("it has no layers"))?;
    let new_layers = layers.iter().map(|layer| {
        let original = layer.from_layer.and_then(|layer| old_layers.get(layer));
        let mut descriptor = original.and_then(Value::as_object).cloned().unwrap_or_default();
        point_to(&mut descriptor, &layer.descriptor);
        if !layer.reused {
            forget_blob(&mut descriptor);
        }
        Value::Object(descriptor)
    });
    *old_layers = new_layers.collect();
    Ok(render(&manifest))
}

/// The index with this manifest in the place of the original one; its annotations and platform stay.
///
/// Attestations of the original go with it: they tell how it was built and what is in it, and would be untrue of this.
pub(super) fn index(original: &Index, replaced: &Digest, manifest: &Descriptor, as_oci: bool) -> Index {
    let mut index = original.clone();
    if manifest.digest != *replaced {
        let attested = replaced.to_string();
        index.manifests.retain(|other| other.annotations.get(ATTESTED) != Some(&attested));
    }
    if as_oci && index.media_type.as_deref() == Some(types::DOCKER_INDEX) {
        index.media_type = Some(types::OCI_INDEX.to_owned());
    }
    for descriptor in index.manifests.iter_mut().filter(|descriptor| descriptor.digest == *replaced) {
        descriptor.digest = manifest.digest;
        descriptor.size_bytes = manifest.size_bytes;
        descriptor.media_type.clone_from(&manifest.media_type);
        descriptor.extra.shift_remove("data");
        descriptor.urls.clear();
    }
    index
}

/// The images of an `index.json` that have the name of this one, without the name: an index to be nested.
///
/// They are one image for several platforms; a layout usually nests such an index itself.
pub(super) fn of_one_name(index: &Index, digest: &Digest) -> Index {
    let mut index = index.clone();
    let named = index.manifests.iter().find(|descriptor| descriptor.digest == *digest);
    let name = named.and_then(Descriptor::ref_name).map(str::to_owned);
    index.manifests.retain(|other| other.is_companion() || other.ref_name() == name.as_deref());
    for descriptor in &mut index.manifests {
        descriptor.annotations.retain(|key, _| key != REF_NAME && key != CONTAINERD_NAME);
    }
    index
}

/// Media type of a layer blob in a manifest of OCI's or Docker's kind.
pub(super) fn layer_type(compression: Compression, is_oci: bool) -> &'static str {
    match (compression, is_oci) {
        (Compression::None, true) => types::OCI_LAYER,
        (Compression::Gzip, true) => types::OCI_LAYER_GZIP,
        (Compression::Zstd, _) => types::OCI_LAYER_ZSTD,
        (Compression::None, false) => types::DOCKER_LAYER,
        (Compression::Gzip, false) => types::DOCKER_LAYER_GZIP,
    }
}

/// JSON as we write it: compact, keys in their order.
pub(super) fn render(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("documents have text keys and no failing serializers")
}

fn object(bytes: &[u8], document: &'static str) -> Result<Map<String, Value>, WriteError> {
    serde_json::from_slice(bytes)
        .map_err(|_| WriteError::Document { document, problem: "it is not a JSON object" })
}

/// Gives a descriptor another blob. Whatever repeats or fetches the old one goes.
fn point_to(descriptor: &mut Map<String, Value>, blob: &Descriptor) {
    if descriptor.get("digest") != Some(&json!(blob.digest)) {
        descriptor.shift_remove("data");
        descriptor.shift_remove("urls");
    }
    descriptor.insert("mediaType".to_owned(), json!(blob.media_type));
    descriptor.insert("digest".to_owned(), json!(blob.digest));
    descriptor.insert("size".to_owned(), json!(blob.size_bytes));
}

fn forget_blob(descriptor: &mut Map<String, Value>) {
    let Some(annotations) = descriptor.get_mut("annotations").and_then(Value::as_object_mut) else { return };
    annotations.retain(|key, _| !BLOB_ANNOTATIONS.iter().any(|prefix| key.starts_with(prefix)));
    if annotations.is_empty() {
        descriptor.shift_remove("annotations");
    }
}
