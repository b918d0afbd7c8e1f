//! The place of a document beside an image in an OCI layout.
//!
//! Three ways lead to it. Its manifest names the image as `subject`, which registries with the referrers API list by
//! themselves; an index under the tag `sha256-DIGEST` lists it for those without; and under `sha256-DIGEST.att` lie
//! the signed attestations where cosign looks for them.
//!
//! Source: OCI image-spec 1.1, "manifest.md"; distribution-spec 1.1, "Referrers Tag Schema"; cosign, `SIGNATURE_SPEC.md`.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use image::Digest;
use image::model::media_type::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use serde_json::{Value, json};

use crate::envelope;

/// The config of an artifact that has none.
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Most bytes of the layout's index.
const MAX_INDEX_BYTES: u64 = 16 << 20;

/// A document to lay beside an image.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// Its media type, which is the type of the artifact too.
    pub media_type: String,
    /// The type of what it says, of a statement.
    pub predicate_type: Option<String>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why a document could not be attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// A file of the layout could not be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of the layout could not be written.
    #[error("cannot write {path}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The index is no index.
    #[error("{0} is no index of an OCI layout")]
    Index(PathBuf),
    /// The layout has no manifest of this digest.
    #[error("the layout has no manifest {0}")]
    Missing(Digest),
}

/// Lays documents beside the image of this manifest, and returns the digests of their manifests.
///
/// What is there already is not laid there again; documents of earlier calls stay listed. The image itself, its tags
/// and its digest do not change.
///
/// # Errors
/// [`AttachError`] if the layout lacks the image, or cannot be read or written. Until the index is replaced at the end,
/// nothing refers to what was written.
pub fn attach(layout: &Path, image: Digest, attachments: &[Attachment]) -> Result<Vec<Digest>, AttachError> {
    let index_path = layout.join("index.json");
    let mut index = read_json(&index_path)?;
    let is_index = index["manifests"].is_array();
    if !is_index {
        return Err(AttachError::Index(index_path));
    }
    let manifest_path = blob_path(layout, image);
    let size = std::fs::metadata(&manifest_path).map_err(|_| AttachError::Missing(image))?.len();
    let subject =
        json!({"mediaType": media_type(&manifest_path)?, "digest": image.to_string(), "size": size});

    let tag = format!("sha256-{}", image.hex());
    let mut listed = tagged(layout, &index, &tag, "manifests")?;
    let mut signed = tagged(layout, &index, &format!("{tag}.att"), "layers")?;
    let mut manifests = Vec::new();
    put(layout, EMPTY)?;
    for attachment in attachments {
        let layer =
            descriptor(&attachment.media_type, put(layout, &attachment.bytes)?, attachment.bytes.len());
        let mut annotations = BTreeMap::new();
        if let Some(predicate_type) = &attachment.predicate_type {
            annotations.insert("in-toto.io/predicate-type", predicate_type);
        }
        let manifest = bytes(&json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": attachment.media_type,
            "config": descriptor(EMPTY_TYPE, Digest::of(EMPTY), EMPTY.len()),
            "layers": [layer],
            "subject": subject,
            "annotations": annotations,
        }));
        let digest = put(layout, &manifest)?;
        manifests.push(digest);
        let mut entry = descriptor(OCI_MANIFEST, digest, manifest.len());
        entry["artifactType"] = json!(attachment.media_type);
        entry["annotations"] = json!(annotations);
        add(&mut listed, entry.clone());
        if let Some(all) = index["manifests"].as_array_mut() {
            add(all, entry);
        }
        if attachment.media_type == envelope::MEDIA_TYPE {
            let mut layer = layer;
            layer["annotations"] = json!({
                "dev.cosignproject.cosign/signature": "",
                "predicateType": attachment.predicate_type,
            });
            add(&mut signed, layer);
        }
    }
    let referrers = bytes(&json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}));
    set_tag(layout, &mut index, &tag, OCI_INDEX, &referrers)?;
    if !signed.is_empty() {
        let diff_ids: Vec<&Value> = signed.iter().map(|layer| &layer["digest"]).collect();
        let config = bytes(&json!({
            "architecture": "",
            "os": "",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }));
        let config = descriptor(OCI_CONFIG, put(layout, &config)?, config.len());
        let manifest = bytes(&json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config,
            "layers": signed,
        }));
        set_tag(layout, &mut index, &format!("{tag}.att"), OCI_MANIFEST, &manifest)?;
    }
    replace(&index_path, &bytes(&index))?;
    Ok(manifests)
}

/// Gives a document a tag, in the place of what bore it before.
fn set_tag(
    layout: &Path,
    index: &mut Value,
    tag: &str,
    kind: &str,
    document: &[u8],
) -> Result<(), AttachError> {
    let mut entry = descriptor(kind, put(layout, document)?, document.len());
    // With an artifact's type nobody takes it for an image to run.
    entry["artifactType"] = json!(kind);
    entry["annotations"] = json!({REF_NAME: tag});
    if let Some(manifests) = index["manifests"].as_array_mut() {
        manifests.retain(|one| one["annotations"][REF_NAME] != tag);
        manifests.push(entry);
    }
    Ok(())
}

/// The list of a document that bears a tag; empty where none does.
fn tagged(layout: &Path, index: &Value, tag: &str, list: &str) -> Result<Vec<Value>, AttachError> {
    let mut entries = index["manifests"].as_array().into_iter().flatten();
    let digest = entries
        .find(|entry| entry["annotations"][REF_NAME] == tag)
        .and_then(|entry| entry["digest"].as_str()?.parse().ok());
    let Some(digest) = digest else { return Ok(Vec::new()) };
    Ok(read_json(&blob_path(layout, digest))?[list].as_array().cloned().unwrap_or_default())
}

fn add(list: &mut Vec<Value>, entry: Value) {
    if !list.iter().any(|known| known["digest"] == entry["digest"]) {
        list.push(entry);
    }
}

fn descriptor(media_type: &str, digest: Digest, size: usize) -> Value {
    json!({"mediaType": media_type, "digest": digest.to_string(), "size": size})
}

fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("every key is text")
}

fn blob_path(layout: &Path, digest: Digest) -> PathBuf {
    layout.join("blobs").join("sha256").join(digest.hex())
}

/// The media type that a manifest gives itself; OCI's where it gives none.
fn media_type(path: &Path) -> Result<String, AttachError> {
    let manifest = read_json(path)?;
    Ok(manifest["mediaType"].as_str().unwrap_or(OCI_MANIFEST).to_owned())
}

fn read_json(path: &Path) -> Result<Value, AttachError> {
    use std::io::Read as _;
    let failed = |source| AttachError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_INDEX_BYTES).read_to_end(&mut bytes))
        .map_err(failed)?;
    serde_json::from_slice(&bytes).map_err(|_| AttachError::Index(path.to_owned()))
}

fn put(layout: &Path, bytes: &[u8]) -> Result<Digest, AttachError> {
    let digest = Digest::of(bytes);
    let path = blob_path(layout, digest);
    if !path.is_file() {
        replace(&path, bytes)?;
    }
    Ok(digest)
}

/// Writes a file whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), AttachError> {
    use std::os::unix::fs::PermissionsExt as _;
    let write = || {
        let parent = path.parent().unwrap_or(Path::new("."));
        let permissions = std::fs::Permissions::from_mode(0o644);
        let mut file = tempfile::Builder::new().permissions(permissions).tempfile_in(parent)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| AttachError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Image, OpenOptions};
    use testkit::{ImageBuilder, TarBuilder, TarEntry};

    fn documents() -> [Attachment; 2] {
        let one = |media_type: &str, kind: &str| Attachment {
            media_type: media_type.into(),
            predicate_type: Some(kind.into()),
            bytes: format!("{{\"of\": \"{kind}\"}}").into_bytes(),
        };
        [one(envelope::MEDIA_TYPE, "urn:signed"), one(crate::statement::MEDIA_TYPE, "urn:unsigned")]
    }

    fn entry<'i>(index: &'i Value, tag: &str) -> Option<&'i Value> {
        index["manifests"].as_array().unwrap().iter().find(|entry| entry["annotations"][REF_NAME] == tag)
    }

    #[test]
    fn documents_lie_beside_the_image_in_all_three_ways_and_the_image_stays() {
        let layout =
            ImageBuilder::new().layer(TarBuilder::new().entry(TarEntry::file("a", "x"))).oci_layout();
        let open = || Image::open(&layout.source().parse().unwrap(), &OpenOptions::new()).unwrap();
        let before = open();
        let image::ImageSource::OciLayout { dir, .. } = before.source() else { panic!("no layout") };
        let digest = before.manifest_digest();
        let manifests = attach(dir, digest, &documents()).unwrap();
        assert_eq!(manifests.len(), 2);

        let after = open();
        assert_eq!((after.manifest_digest(), after.name()), (digest, before.name()));
        image::validate(&layout.source().parse().unwrap(), &OpenOptions::new()).unwrap();

        for (manifest, document) in manifests.iter().zip(documents()) {
            let manifest = read_json(&blob_path(dir, *manifest)).unwrap();
            assert_eq!(manifest["subject"]["digest"], digest.to_string());
            assert_eq!(manifest["artifactType"], document.media_type);
            let layer: Digest = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
            assert_eq!(std::fs::read(blob_path(dir, layer)).unwrap(), document.bytes);
        }
        let index = read_json(&dir.join("index.json")).unwrap();
        let tag = format!("sha256-{}", digest.hex());
        assert_eq!(tagged(dir, &index, &tag, "manifests").unwrap().len(), 2);
        // Only what is signed lies where cosign looks.
        let signed = tagged(dir, &index, &format!("{tag}.att"), "layers").unwrap();
        assert_eq!(signed.len(), 1);
        assert_eq!(signed[0]["annotations"]["predicateType"], "urn:signed");
        assert!(entry(&index, &tag).is_some());

        // Once more changes nothing; another joins those that are there.
        let bytes = std::fs::read(dir.join("index.json")).unwrap();
        attach(dir, digest, &documents()).unwrap();
        let again = read_json(&dir.join("index.json")).unwrap();
        assert_eq!(
            again["manifests"].as_array().unwrap().len(),
            index["manifests"].as_array().unwrap().len()
        );
        assert_eq!(std::fs::read(dir.join("index.json")).unwrap().len(), bytes.len());
        let more = Attachment { bytes: b"{}".to_vec(), ..documents()[0].clone() };
        attach(dir, digest, &[more]).unwrap();
        let index = read_json(&dir.join("index.json")).unwrap();
        assert_eq!(tagged(dir, &index, &tag, "manifests").unwrap().len(), 3);
        assert_eq!(tagged(dir, &index, &format!("{tag}.att"), "layers").unwrap().len(), 2);
    }

    #[test]
    fn what_the_layout_lacks_gets_nothing() {
        let layout =
            ImageBuilder::new().layer(TarBuilder::new().entry(TarEntry::file("a", "x"))).oci_layout();
        let source: image::ImageSource = layout.source().parse().unwrap();
        let image::ImageSource::OciLayout { dir, .. } = &source else { panic!("no layout") };
        let error = attach(dir, Digest::of(b"other"), &documents()).unwrap_err();
        assert!(matches!(error, AttachError::Missing(_)), "{error}");
        std::fs::write(dir.join("index.json"), "{}").unwrap();
        let error = attach(dir, Digest::of(b"other"), &documents()).unwrap_err();
        assert!(matches!(error, AttachError::Index(_)), "{error}");
    }
}
