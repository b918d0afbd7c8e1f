//! The files at the top of a layout or archive that lead to the image and give it a name.

use serde_json::{Value, json};

use super::documents::render;
use super::output::Output;
use super::{ImageTarget, WriteError, WrittenLayer};
use crate::model::descriptor::REF_NAME;
use crate::model::media_type as types;
use crate::{Descriptor, Digest};

/// What containerd's importer, and thus `docker load` with its image store, takes as the full name.
pub(super) const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Writes them. `top` leads to the image: its manifest, or the index that it is in.
pub(super) fn put(
    target: &ImageTarget,
    mut top: Descriptor,
    image_id: Digest,
    layers: &[WrittenLayer],
    output: &mut Output<'_>,
) -> Result<(), WriteError> {
    match target {
        ImageTarget::OciLayout { tag, .. } | ImageTarget::OciArchive { tag, .. } => {
            if let Some(tag) = tag {
                top.annotations.insert(REF_NAME.to_owned(), tag.clone());
            }
        }
        ImageTarget::DockerArchive { reference, .. } => {
            let reference = reference.as_deref().map(with_tag);
            if let Some(reference) = &reference {
                let (_, tag) = split_tag(reference);
                top.annotations.insert(CONTAINERD_NAME.to_owned(), full_name(reference));
                top.annotations.insert(REF_NAME.to_owned(), tag.unwrap_or_default().to_owned());
            }
            put_docker_manifest(reference.as_deref(), image_id, layers, output)?;
        }
    }
    let index = json!({ "schemaVersion": 2, "mediaType": types::OCI_INDEX, "manifests": [top] });
    output.put_file("index.json", &render(&index))?;
    output.put_file("oci-layout", &render(&json!({ "imageLayoutVersion": "1.0.0" })))
}

/// `manifest.json` as `docker save` writes it since version 25.
fn put_docker_manifest(
    reference: Option<&str>,
    image_id: Digest,
    layers: &[WrittenLayer],
    output: &mut Output<'_>,
) -> Result<(), WriteError> {
    let blob = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
    let sources = layers.iter().map(|layer| {
        let descriptor = &layer.descriptor;
        let source = json!({
            "mediaType": descriptor.media_type, "size": descriptor.size_bytes, "digest": descriptor.digest,
        });
        (layer.diff_id.to_string(), source)
    });
    let manifest = json!([{
        "Config": blob(&image_id),
        "RepoTags": reference.map(|reference| [reference]),
        "Layers": layers.iter().map(|layer| blob(&layer.descriptor.digest)).collect::<Vec<_>>(),
        "LayerSources": sources.collect::<Value>(),
    }]);
    output.put_file("manifest.json", &render(&manifest))
}

/// A reference without a tag means `latest`.
fn with_tag(reference: &str) -> String {
    match split_tag(reference) {
        (_, Some(_)) => reference.to_owned(),
        (repository, None) => format!("{repository}:latest"),
    }
}

/// Splits at the tag's colon; one before a slash belongs to a port.
fn split_tag(reference: &str) -> (&str, Option<&str>) {
    match reference.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (reference, None),
    }
}

/// The name with registry, as Docker completes it.
fn full_name(reference: &str) -> String {
    match reference.split_once('/') {
        None => format!("docker.io/library/{reference}"),
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => reference.to_owned(),
        Some(_) => format!("docker.io/{reference}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_as_docker_does() {
        for (typed, tagged, full) in [
            ("redis", "redis:latest", "docker.io/library/redis:latest"),
            ("shop/app:1.4", "shop/app:1.4", "docker.io/shop/app:1.4"),
            ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
            ("localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest"),
            ("ghcr.io/a/b:2", "ghcr.io/a/b:2", "ghcr.io/a/b:2"),
        ] {
            assert_eq!(with_tag(typed), tagged);
            assert_eq!(full_name(tagged), full);
        }
    }
}
