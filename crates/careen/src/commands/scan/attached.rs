//! VEX that is attached to an image: in its registry, or in its OCI layout.
//!
//! Read are OpenVEX, CSAF and CycloneDX as they are, as in-toto statements, in signed envelopes and in Sigstore's bundles,
//! listed by the referrers of the image or under cosign's tag. A statement must be about this image. With a key, only
//! what it signed counts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use advisories::vex::{self, Document};
use attest::{Envelope, PublicKey};
use image::{Descriptor, Digest, ImageSource, Index, Manifest, Platform};
use registry::BlobStore;
use serde_json::Value;

use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, registries, scanning};

/// The word for it on the command line.
pub(crate) const WORD: &str = "referrers";
const MAX_DOCUMENT_BYTES: u64 = 64 << 20;
const MAX_MANIFEST_BYTES: u64 = 8 << 20;
/// What the types of documents, artifacts and predicates that may be VEX have in them.
const TYPES: [&str; 6] = ["vex", "in-toto", "dsse", "sigstore.bundle", "csaf", "cyclonedx"];

/// What is attached, and what was left out of it.
#[derive(Debug, Default)]
pub(crate) struct Attached {
    pub(crate) documents: Vec<Document>,
    pub(crate) warnings: Vec<String>,
    /// The digests that the image goes by, with that of an index above it.
    pub(crate) digests: BTreeSet<Digest>,
}

/// Where attached documents are.
trait Place {
    /// Manifests that refer to a digest, and documents that cosign laid under its tag.
    fn listed(&self, subject: Digest) -> Result<(Vec<Descriptor>, Vec<Descriptor>), Failure>;
    /// A manifest.
    fn manifest(&self, digest: Digest) -> Result<Vec<u8>, Failure>;
    /// A document.
    fn document(&self, digest: Digest) -> Result<Vec<u8>, Failure>;
}

/// Reads the key that attached documents must be signed with.
pub(crate) fn key(file: Option<&Path>) -> Result<Option<PublicKey>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let tried = format!("cannot use the key {}", file.display());
    let pem = fs::read_to_string(file)
        .map_err(|source| Failure::caused_by(ExitCode::Document, tried.clone(), source))?;
    pem.parse().map(Some).map_err(|error: attest::KeyError| {
        let hint = error.hint();
        hints::plain(ExitCode::Document, tried, error).hint(hint)
    })
}

/// Reads what is attached to an image.
pub(crate) fn read(
    context: &Context,
    source: &ImageSource,
    platform: Option<Platform>,
    key: Option<&PublicKey>,
) -> Result<Attached, Failure> {
    match source {
        ImageSource::Registry { .. } => {
            let pulled = registries::documents(context, source, platform)?;
            let reference = registries::parse(&source.to_string())?;
            let place = InRegistry {
                registry: registries::connect(context, &reference.host)?,
                repository: reference.repository,
            };
            collect(&place, &[pulled.outline.manifest_digest, pulled.top.digest], key)
        }
        ImageSource::OciLayout { dir, .. } => {
            let outline = scanning::outline(context, source, platform)?;
            collect(&InLayout { dir: dir.clone() }, &[outline.manifest_digest], key)
        }
        _ => Err(Failure::new(ExitCode::Usage, format!("nothing can be attached to {source}"))
            .hint("--vex referrers is for images in registries and in OCI layouts (oci:DIR)".to_owned())),
    }
}

fn collect(place: &dyn Place, subjects: &[Digest], key: Option<&PublicKey>) -> Result<Attached, Failure> {
    let mut attached = Attached { digests: subjects.iter().copied().collect(), ..Attached::default() };
    let mut seen = BTreeSet::new();
    for subject in attached.digests.clone() {
        let (manifests, mut documents) = place.listed(subject)?;
        for manifest in manifests.iter().filter(|manifest| may_be_vex(manifest)) {
            let bytes = place.manifest(manifest.digest)?;
            if let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) {
                documents.extend(manifest.layers);
            }
        }
        for document in documents {
            if !is_of_type(&document.media_type) || !says_vex(&document) || !seen.insert(document.digest) {
                continue;
            }
            if document.size_bytes > MAX_DOCUMENT_BYTES {
                attached.warnings.push(format!("{} is attached and too large to be VEX", document.digest));
                continue;
            }
            let bytes = place.document(document.digest)?;
            match understand(&bytes, &attached.digests, key) {
                Ok(Some(mut said)) => {
                    let id = if said.id.is_empty() { document.digest.to_string() } else { said.id };
                    let trust = if key.is_some() { "signed" } else { "not verified" };
                    said.id = format!("{id} (attached, {trust})");
                    attached.documents.push(said);
                }
                Ok(None) => {}
                Err(reason) => attached
                    .warnings
                    .push(format!("{} is attached to the image and was left out: {reason}", document.digest)),
            }
        }
    }
    if key.is_none() && !attached.documents.is_empty() {
        attached.warnings.push(format!(
            "{} attached to the image settled findings and nobody verified who says so: name the key with --vex-key",
            match attached.documents.len() {
                1 => "a VEX document".to_owned(),
                count => format!("{count} VEX documents"),
            }
        ));
    }
    Ok(attached)
}

/// Whether a listed manifest may have VEX, by its types; those without a type may have anything.
fn may_be_vex(manifest: &Descriptor) -> bool {
    let kind = manifest.extra.get("artifactType").and_then(Value::as_str).unwrap_or_default();
    (kind.is_empty() || is_of_type(kind) || kind == "application/vnd.oci.empty.v1+json") && says_vex(manifest)
}

fn is_of_type(media_type: &str) -> bool {
    let lower = media_type.to_ascii_lowercase();
    TYPES.iter().any(|part| lower.contains(part))
}

/// Whether the predicate that a descriptor tells of is VEX; where it tells of none, it may be.
fn says_vex(descriptor: &Descriptor) -> bool {
    let told = ["in-toto.io/predicate-type", "predicateType", "dev.sigstore.bundle.predicateType"]
        .into_iter()
        .find_map(|name| descriptor.annotations.get(name));
    told.is_none_or(|kind| is_predicate(kind))
}

fn is_predicate(kind: &str) -> bool {
    let lower = kind.to_ascii_lowercase();
    ["vex", "csaf", "cyclonedx"].iter().any(|part| lower.contains(part))
}

/// The VEX in some bytes; none if they are something else; a reason if they may not be believed.
fn understand(
    bytes: &[u8],
    subjects: &BTreeSet<Digest>,
    key: Option<&PublicKey>,
) -> Result<Option<Document>, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|_| "it is no JSON".to_owned())?;
    let envelope = if value["dsseEnvelope"].is_object() { value["dsseEnvelope"].clone() } else { value };
    let statement = if envelope["payloadType"].is_string() {
        let envelope: Envelope =
            serde_json::from_value(envelope).map_err(|_| "it is no signed envelope".to_owned())?;
        match key {
            Some(key) => {
                let verified = envelope.verify(key).map_err(|error| error.to_string())?;
                serde_json::to_value(verified).map_err(|error| error.to_string())?
            }
            None => {
                let payload = envelope.unverified().map_err(|error| error.to_string())?;
                serde_json::from_slice(&payload).map_err(|_| "its payload is no JSON".to_owned())?
            }
        }
    } else if key.is_some() {
        return Err("it is not signed".to_owned());
    } else {
        envelope
    };
    if let Some(kind) = statement["predicateType"].as_str() {
        if !is_predicate(kind) {
            return Ok(None);
        }
        let about: Vec<&str> = statement["subject"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|subject| subject["digest"]["sha256"].as_str())
            .collect();
        if !subjects.iter().any(|digest| about.contains(&digest.hex().as_str())) {
            return Err("it is about another image".to_owned());
        }
    }
    let bytes = serde_json::to_vec(&statement).map_err(|error| error.to_string())?;
    let document = vex::read(&bytes).map_err(|error| error.to_string())?;
    // A list of components is CycloneDX, too.
    Ok((!document.statements.is_empty() || document.skipped > 0).then_some(document))
}

struct InRegistry {
    registry: std::sync::Arc<registry::Registry>,
    repository: String,
}

impl Place for InRegistry {
    fn listed(&self, subject: Digest) -> Result<(Vec<Descriptor>, Vec<Descriptor>), Failure> {
        let failed = |error| hints::registry(&format!("cannot list what is attached to {subject}"), error);
        let referrers = self.registry.referrers(&self.repository, subject).map_err(failed)?;
        Ok((referrers, self.registry.attestations(&self.repository, subject).map_err(failed)?))
    }

    fn manifest(&self, digest: Digest) -> Result<Vec<u8>, Failure> {
        let reference = registry::Reference {
            host: self.registry.host().to_owned(),
            repository: self.repository.clone(),
            tag: None,
            digest: Some(digest),
        };
        let fetched = self.registry.manifest(&reference);
        fetched.map(|fetched| fetched.bytes).map_err(|error| failed(digest, error))
    }

    fn document(&self, digest: Digest) -> Result<Vec<u8>, Failure> {
        let read = self.registry.small_blob(&self.repository, digest, MAX_DOCUMENT_BYTES);
        read.map_err(|error| failed(digest, error))
    }
}

fn failed(digest: Digest, error: registry::RegistryError) -> Failure {
    hints::registry(&format!("cannot read {digest}, which is attached to the image"), error)
}

struct InLayout {
    dir: PathBuf,
}

impl InLayout {
    fn blob(&self, digest: Digest, limit: u64) -> Result<Vec<u8>, Failure> {
        BlobStore::at(self.dir.join("blobs")).read(digest, limit).ok_or_else(|| {
            let tried =
                format!("cannot read {digest}, which is attached to the image in {}", self.dir.display());
            Failure::new(ExitCode::Image, tried)
        })
    }
}

impl Place for InLayout {
    fn listed(&self, subject: Digest) -> Result<(Vec<Descriptor>, Vec<Descriptor>), Failure> {
        let path = self.dir.join("index.json");
        let failed = |source: std::io::Error| {
            Failure::caused_by(ExitCode::Image, format!("cannot read {}", path.display()), source)
        };
        let bytes = fs::read(&path).map_err(failed)?;
        let index: Index = serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?;
        let tag = format!("sha256-{}", subject.hex());
        let (mut manifests, mut documents) = (Vec::new(), Vec::new());
        for entry in &index.manifests {
            if entry.ref_name() == Some(tag.as_str()) {
                let listed = self.blob(entry.digest, MAX_MANIFEST_BYTES)?;
                manifests.extend(
                    serde_json::from_slice::<Index>(&listed).map_or_else(|_| Vec::new(), |i| i.manifests),
                );
            } else if entry.ref_name() == Some(format!("{tag}.att").as_str()) {
                let listed = self.blob(entry.digest, MAX_MANIFEST_BYTES)?;
                documents.extend(
                    serde_json::from_slice::<Manifest>(&listed).map_or_else(|_| Vec::new(), |m| m.layers),
                );
            } else if entry.ref_name().is_none() && entry.digest != subject {
                // Tools that copy referrers list them without a name.
                let Ok(bytes) = self.blob(entry.digest, MAX_MANIFEST_BYTES) else { continue };
                let manifest: Value = serde_json::from_slice(&bytes).unwrap_or_default();
                if manifest["subject"]["digest"] == subject.to_string() {
                    manifests.push(entry.clone());
                }
            }
        }
        Ok((manifests, documents))
    }

    fn manifest(&self, digest: Digest) -> Result<Vec<u8>, Failure> {
        self.blob(digest, MAX_MANIFEST_BYTES)
    }

    fn document(&self, digest: Digest) -> Result<Vec<u8>, Failure> {
        self.blob(digest, MAX_DOCUMENT_BYTES)
    }
}
