//! Manifests, indexes and other small documents.

use image::model::media_type::{DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use image::{Descriptor, Digest};
use serde::Deserialize;

use crate::registry::Question;
use crate::{Reference, Registry, RegistryError};

/// Largest manifest: registries take 4 MiB, and this is the limit of the crate `image`.
const MAX_MANIFEST_BYTES: u64 = 8 << 20;

/// A document as it was read, and what names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its media type, digest and size.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed {
    media_type: Option<String>,
}

impl Registry {
    /// The manifest or index that a reference names, verified where it names a digest.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub fn manifest(&self, reference: &Reference) -> Result<Fetched, RegistryError> {
        let what = reference.to_string();
        let path = format!("/v2/{}/manifests/{}", reference.repository, reference.name());
        let accept = [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST].join(", ");
        let question = Question { accept: &accept, ..Question::of(&path, &what, &reference.repository) };
        let answer = self.get(&question)?;
        let (told, declared) = (answer.digest(), answer.media_type());
        let bytes = answer.bytes(self.host(), &what, MAX_MANIFEST_BYTES)?;
        let actual = Digest::of(&bytes);
        if let Some(expected) = reference.digest.or(told).filter(|expected| *expected != actual) {
            return Err(RegistryError::Digest { what, expected, actual });
        }
        let malformed =
            |source| RegistryError::Malformed { host: self.host().to_owned(), what: what.clone(), source };
        let typed: Typed = serde_json::from_slice(&bytes).map_err(|error| malformed(Box::new(error)))?;
        let media_type = typed.media_type.filter(|media_type| !media_type.is_empty()).unwrap_or(declared);
        Ok(Fetched { descriptor: Descriptor::of(&media_type, &bytes), bytes })
    }

    /// The digest that a tag has now; none if the registry does not tell without sending the manifest.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub fn digest(&self, reference: &Reference) -> Result<Option<Digest>, RegistryError> {
        let what = reference.to_string();
        let path = format!("/v2/{}/manifests/{}", reference.repository, reference.name());
        let accept = [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST].join(", ");
        let question =
            Question { accept: &accept, head: true, ..Question::of(&path, &what, &reference.repository) };
        match self.get(&question) {
            Ok(answer) => Ok(answer.digest()),
            // Some do not know the question.
            Err(RegistryError::Status { status: 400 | 405 | 501, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A blob as a whole, verified; for documents.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub fn small_blob(&self, repository: &str, digest: Digest, limit: u64) -> Result<Vec<u8>, RegistryError> {
        let what = format!("{}/{repository}@{digest}", self.host());
        let path = format!("/v2/{repository}/blobs/{digest}");
        let bytes = self.get(&Question::of(&path, &what, repository))?.bytes(self.host(), &what, limit)?;
        let actual = Digest::of(&bytes);
        if actual == digest {
            Ok(bytes)
        } else {
            Err(RegistryError::Digest { what, expected: digest, actual })
        }
    }
}
