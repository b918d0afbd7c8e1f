//! Descriptors: what a blob is, where it is found, how long it must be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Digest, Platform};

/// A reference to a blob. Source: OCI image-spec 1.1, `descriptor.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    #[serde(default)]
    pub media_type: String,
    /// Digest of the blob as stored.
    pub digest: Digest,
    /// Length of the blob as stored.
    #[serde(rename = "size")]
    pub size_bytes: u64,
    /// Other places that have the blob. Kept, never followed.
    #[serde(
        default,
        deserialize_with = "super::config::null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub urls: Vec<String>,
    /// Free texts, such as the tag in an OCI layout (`org.opencontainers.image.ref.name`).
    #[serde(
        default,
        deserialize_with = "super::config::null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// In an index: which machine the manifest is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<DescriptorPlatform>,
    /// All other fields, in their order.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The platform of an index entry, with the fields that we do not choose by (`os.version`, `os.features`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescriptorPlatform {
    /// What we choose by.
    #[serde(flatten)]
    pub platform: Platform,
    /// All other fields, in their order.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Descriptor {
    /// A descriptor of these bytes, with nothing optional.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// A descriptor with nothing optional.
    pub fn new(media_type: &str, digest: Digest, size_bytes: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size_bytes,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            extra: Map::new(),
        }
    }

    /// The tag or full name that an OCI layout gives to this manifest.
    pub fn ref_name(&self) -> Option<&str> {
        self.annotations.get(REF_NAME).map(String::as_str)
    }

    /// Whether this is a build attestation or another companion, never an image to run.
    ///
    /// BuildKit lists its attestation manifests beside the images with the platform `unknown/unknown`.
    pub fn is_companion(&self) -> bool {
        self.annotations.contains_key("vnd.docker.reference.type")
            || self.extra.contains_key("artifactType")
            || self
                .platform
                .as_ref()
                .is_some_and(|p| p.platform.os == "unknown" || p.platform.architecture == "unknown")
    }
}

/// The annotation that carries a tag in an OCI layout. Source: OCI image-spec 1.1, `annotations.md`.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
