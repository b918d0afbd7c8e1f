//! The in-toto statement: some artifacts by digest, and what is said of them.
//!
//! Source: in-toto attestation framework, `spec/v1/statement.md`.

use image::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The media type of a statement.
pub const MEDIA_TYPE: &str = "application/vnd.in-toto+json";

/// Something said of artifacts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// Always `https://in-toto.io/Statement/v1`.
    #[serde(rename = "_type")]
    kind: String,
    /// What it is said of.
    pub subject: Vec<Resource>,
    /// The type of what is said.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What is said.
    pub predicate: Value,
}

/// An artifact by digest. Source: `spec/v1/resource_descriptor.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// What people call it.
    pub name: String,
    /// Its digest.
    pub digest: Sha256,
}

/// A digest in the form of in-toto.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sha256 {
    /// In hex.
    pub sha256: String,
}

impl Resource {
    /// An artifact.
    pub fn new(name: impl Into<String>, digest: Digest) -> Self {
        Self { name: name.into(), digest: Sha256 { sha256: digest.hex() } }
    }

    /// As a value with a package URL beside it.
    pub(crate) fn with_uri(&self, uri: &str) -> Value {
        json!({"uri": uri, "name": self.name, "digest": self.digest})
    }
}

impl Statement {
    /// A statement about one artifact.
    pub fn new(subject: Resource, predicate_type: impl Into<String>, predicate: Value) -> Self {
        Self {
            kind: "https://in-toto.io/Statement/v1".to_owned(),
            subject: vec![subject],
            predicate_type: predicate_type.into(),
            predicate,
        }
    }

    /// The bytes that are signed: the same statement gives the same ones.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("every key is text")
    }
}
