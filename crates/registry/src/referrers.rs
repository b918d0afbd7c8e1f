//! What was attached to an image: signatures, lists of components, statements.
//!
//! Source: distribution-spec 1.1, "Listing Referrers" and "Unavailable Referrers API"; cosign, `SIGNATURE_SPEC.md`.

use image::{Descriptor, Digest, Index, Manifest};

use crate::{Reference, Registry, RegistryError};

/// More than that nobody attaches.
const MAX_REFERRERS: usize = 1000;

impl Registry {
    /// The manifests that refer to a manifest of this repository, in the order of the registry's list.
    ///
    /// Where the registry does not know the question, the index of the tag `sha256-DIGEST` has the answer.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub fn referrers(&self, repository: &str, subject: Digest) -> Result<Vec<Descriptor>, RegistryError> {
        let what = format!("list of what refers to {}/{repository}@{subject}", self.host());
        let mut found = Vec::new();
        let asked = self.pages(
            &format!("/v2/{repository}/referrers/{subject}"),
            &what,
            repository,
            &mut |index: Index| {
                found.extend(index.manifests);
                found.len()
            },
        );
        match asked {
            Ok(()) => {}
            Err(
                RegistryError::NotFound { .. } | RegistryError::Status { status: 400 | 405 | 406 | 501, .. },
            ) => {
                let tag = format!("sha256-{}", subject.hex());
                let Some(index) = self.tagged_document::<Index>(repository, &tag)? else {
                    return Ok(Vec::new());
                };
                found = index.manifests;
            }
            Err(error) => return Err(error),
        }
        if found.len() > MAX_REFERRERS {
            let host = self.host().to_owned();
            return Err(RegistryError::TooMany { host, what: "referrers", limit: MAX_REFERRERS });
        }
        Ok(found)
    }

    /// What cosign laid beside a manifest of this repository under a tag of its own, each a layer.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub fn attestations(&self, repository: &str, subject: Digest) -> Result<Vec<Descriptor>, RegistryError> {
        let tag = format!("sha256-{}.att", subject.hex());
        let manifest = self.tagged_document::<Manifest>(repository, &tag)?;
        Ok(manifest.map(|manifest| manifest.layers).unwrap_or_default())
    }

    /// The document of a tag; none if there is no such tag.
    fn tagged_document<T: serde::de::DeserializeOwned>(
        &self,
        repository: &str,
        tag: &str,
    ) -> Result<Option<T>, RegistryError> {
        let reference = Reference {
            host: self.host().to_owned(),
            repository: repository.to_owned(),
            tag: Some(tag.to_owned()),
            digest: None,
        };
        let fetched = match self.manifest(&reference) {
            Ok(fetched) => fetched,
            Err(RegistryError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let document = serde_json::from_slice(&fetched.bytes);
        document.map(Some).map_err(|error| RegistryError::Malformed {
            host: self.host().to_owned(),
            what: reference.to_string(),
            source: Box::new(error),
        })
    }
}
