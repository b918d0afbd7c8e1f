//! Picking one image of an index: by name, then by platform.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::image::AGAIN;
use crate::model::media_type;
use crate::store::{DocumentError, Store};
use crate::{Config, Descriptor, Digest, ImageSource, Index, Manifest, OpenOptions, Platform};

/// How deep indexes may be nested.
const MAX_NESTING: usize = 8;

/// The image that was picked.
pub(crate) struct Picked {
    /// What it is called where it is stored.
    pub(crate) name: Option<String>,
    pub(crate) descriptor: Descriptor,
    pub(crate) manifest_bytes: Vec<u8>,
    pub(crate) manifest: Manifest,
    pub(crate) config_bytes: Vec<u8>,
    pub(crate) config: Config,
    /// The innermost index that a choice had to be made from.
    pub(crate) index: Option<Index>,
    /// The outermost index that is stored as a document of its own.
    pub(crate) index_digest: Option<Digest>,
}

/// Why no image could be picked.
#[derive(Debug, thiserror::Error)]
pub enum PickError {
    /// Nothing has the name.
    #[error("there is no image named {name}; there is {}", list(available))]
    NoSuchName {
        /// What was asked for.
        name: String,
        /// The names that there are.
        available: Vec<String>,
    },
    /// Nothing has the digest.
    #[error("there is no image with the digest {digest}; there is {}", list(available))]
    NoSuchDigest {
        /// What was asked for.
        digest: Digest,
        /// The digests of the images that have the name, or of all.
        available: Vec<Digest>,
    },
    /// Several images, and no name to tell them apart.
    #[error("there are several images: {}", list(available))]
    SeveralImages {
        /// The names that there are.
        available: Vec<String>,
    },
    /// No image at all.
    #[error("there is no image in it")]
    Empty,
    /// None for the platform.
    #[error("there is no image for {wanted}; there is {}", list(available))]
    NoSuchPlatform {
        /// What was asked for.
        wanted: Platform,
        /// The platforms that there are.
        available: Vec<Platform>,
    },
    /// Indexes within indexes without end.
    #[error("indexes are nested more than {MAX_NESTING} deep")]
    Nesting,
    /// Something else that is stored like an image: a chart, a signature, ….
    #[error("{digest} is not an image but {media_type:?}")]
    NotAnImage {
        /// Digest of the manifest.
        digest: Digest,
        /// What its config is.
        media_type: String,
    },
    /// An index, manifest or config is broken.
    #[error("cannot read the {what} {digest}")]
    Document {
        /// `index`, `manifest` or `config`.
        what: &'static str,
        /// Its digest, as the descriptor says.
        digest: Digest,
        /// Why.
        source: DocumentError,
    },
}

impl PickError {
    /// What to try next.
    pub fn hint(&self, place: &ImageSource) -> Option<String> {
        match self {
            Self::SeveralImages { available } | Self::NoSuchName { available, .. } => {
                available.first().map(|name| format!("name one of them: {}", place.named(name)))
            }
            Self::NoSuchDigest { available, .. } => {
                let first = available.first();
                first.map(|digest| format!("name one of them: {}", place.named(&format!("@{digest}"))))
            }
            Self::NoSuchPlatform { available, .. } => available
                .first()
                .map(|platform| format!("ask for one that is there, such as --platform {platform}")),
            Self::Empty | Self::Document { .. } => Some(AGAIN.to_owned()),
            Self::NotAnImage { .. } => Some("this holds something other than a container image".to_owned()),
            Self::Nesting => None,
        }
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

/// Picks the image of this name and platform. A name leads to one descriptor; several without a name are one image
/// for several platforms. Where there is only one image, it is taken unless a platform was asked for.
pub(crate) fn pick(
    store: &Store,
    name: Option<&str>,
    options: &OpenOptions<'_>,
) -> Result<Picked, PickError> {
    let named = named(store, name, options)?;
    let choices: Vec<_> = named.iter().collect();
    let mut picked = Picker { store, options }.among(store.index(), &choices, MAX_NESTING)?;
    picked.name = named.first().and_then(|descriptor| name_of(descriptor)).map(str::to_owned);
    Ok(picked)
}

/// The descriptors that a name, `@` and a digest, both, or the absence of both leave to choose from.
pub(crate) fn named(
    store: &Store,
    name: Option<&str>,
    options: &OpenOptions<'_>,
) -> Result<Vec<Descriptor>, PickError> {
    let top = store.index();
    let is_name = |name: &str| top.manifests.iter().any(|descriptor| has_name(descriptor, name));
    // Names of other tools may have a digest in them.
    let with_digest = name.filter(|name| !is_name(name)).and_then(|name| name.rsplit_once('@'));
    if let Some((name, digest)) = with_digest
        && let Ok(digest) = digest.parse()
    {
        let name = Some(name).filter(|name| !name.is_empty());
        return Picker { store, options }.with_digest(top, name, digest).map(|found| vec![found]);
    }
    Ok(with_name(top, name)?.into_iter().cloned().collect())
}

/// The descriptors of `index.json` that a name, or its absence, leaves to choose from.
fn with_name<'i>(index: &'i Index, name: Option<&str>) -> Result<Vec<&'i Descriptor>, PickError> {
    let images: Vec<_> = index.manifests.iter().filter(|descriptor| is_image(descriptor)).collect();
    let names: BTreeSet<_> =
        images.iter().filter_map(|descriptor| name_of(descriptor)).map(str::to_owned).collect();
    let available = || names.iter().cloned().collect();
    match name {
        None if images.is_empty() => Err(PickError::Empty),
        None => {
            let digests: BTreeSet<_> =
                images.iter().map(|descriptor| (name_of(descriptor), descriptor.digest)).collect();
            let distinct: BTreeSet<_> = digests.iter().map(|(_, digest)| digest).collect();
            let first = digests.first().and_then(|(name, _)| *name);
            // One image under several names, or one name (or none) for several platforms.
            if distinct.len() > 1 && digests.iter().any(|(name, _)| *name != first) {
                // What has no name has a digest.
                let nameless = digests.iter().filter(|(name, _)| name.is_none());
                let nameless = nameless.map(|(_, digest)| format!("@{digest}"));
                return Err(PickError::SeveralImages {
                    available: names.into_iter().chain(nameless).collect(),
                });
            }
            Ok(images)
        }
        Some(name) => {
            let wanted: Vec<_> = images.into_iter().filter(|descriptor| has_name(descriptor, name)).collect();
            if wanted.is_empty() {
                return Err(PickError::NoSuchName { name: name.to_owned(), available: available() });
            }
            Ok(wanted)
        }
    }
}

fn is_image(descriptor: &Descriptor) -> bool {
    let known =
        media_type::is_index(&descriptor.media_type) || media_type::is_manifest(&descriptor.media_type);
    known && !descriptor.is_companion()
}

/// containerd keeps the full name in an annotation of its own, and only the tag in the standard one.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

fn name_of(descriptor: &Descriptor) -> Option<&str> {
    descriptor.ref_name().or_else(|| descriptor.annotations.get(CONTAINERD_NAME).map(String::as_str))
}

fn has_name(descriptor: &Descriptor, wanted: &str) -> bool {
    let names = [descriptor.ref_name(), descriptor.annotations.get(CONTAINERD_NAME).map(String::as_str)];
    names.into_iter().flatten().any(|name| name == wanted || full_name(name) == full_name(wanted))
}

/// Docker's short names written out: `redis` is `docker.io/library/redis:latest`.
fn full_name(name: &str) -> String {
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
        _ => ("docker.io", name),
    };
    let library = if host == "docker.io" && !path.contains('/') { "library/" } else { "" };
    let tag =
        if path.rsplit('/').next().is_some_and(|last| last.contains([':', '@'])) { "" } else { ":latest" };
    format!("{host}/{library}{path}{tag}")
}

struct Picker<'a> {
    store: &'a Store,
    options: &'a OpenOptions<'a>,
}

impl Picker<'_> {
    fn among(&self, index: &Index, choices: &[&Descriptor], nesting: usize) -> Result<Picked, PickError> {
        let mut unique: Vec<&Descriptor> = Vec::new();
        for choice in choices {
            if !unique.iter().any(|other| other.digest == choice.digest) {
                unique.push(choice);
            }
        }
        match unique.as_slice() {
            [] => Err(PickError::Empty),
            [only] if media_type::is_index(&only.media_type) => self.nested(only, nesting),
            [only] => {
                let picked = self.read(only)?;
                match &self.options.platform {
                    Some(wanted) if !picked.config.platform.serves(wanted) => {
                        Err(PickError::NoSuchPlatform {
                            wanted: wanted.clone(),
                            available: vec![picked.config.platform],
                        })
                    }
                    _ => Ok(picked),
                }
            }
            several => self.by_platform(index, several, nesting),
        }
    }

    /// The image or index with this digest, among those of this name if there is one, and what is in them.
    fn with_digest(&self, top: &Index, name: Option<&str>, digest: Digest) -> Result<Descriptor, PickError> {
        let images = top.manifests.iter().filter(|descriptor| is_image(descriptor));
        let images: Vec<_> = images.filter(|image| name.is_none_or(|name| has_name(image, name))).collect();
        let mut level: Vec<Descriptor> = images.iter().map(|&descriptor| descriptor.clone()).collect();
        for _ in 0..MAX_NESTING {
            if let Some(found) = level.iter().find(|descriptor| descriptor.digest == digest) {
                return Ok(found.clone());
            }
            let mut beneath = Vec::new();
            for descriptor in level.iter().filter(|one| media_type::is_index(&one.media_type)) {
                let bytes = self.document("index", descriptor)?;
                let index: Index = parse("index", descriptor, &bytes)?;
                beneath.extend(index.manifests.into_iter().filter(is_image));
            }
            level = beneath;
        }
        let available = images.iter().map(|descriptor| descriptor.digest).collect();
        Err(PickError::NoSuchDigest { digest, available })
    }

    fn nested(&self, descriptor: &Descriptor, nesting: usize) -> Result<Picked, PickError> {
        let nesting = nesting.checked_sub(1).ok_or(PickError::Nesting)?;
        let bytes = self.document("index", descriptor)?;
        let index: Index = parse("index", descriptor, &bytes)?;
        let choices: Vec<_> = index.manifests.iter().filter(|descriptor| is_image(descriptor)).collect();
        let mut picked = self.among(&index, &choices, nesting)?;
        picked.index.get_or_insert(index);
        picked.index_digest = Some(descriptor.digest);
        Ok(picked)
    }

    /// The first that serves the platform with the very same variant, else the first that serves it at all.
    fn by_platform(
        &self,
        index: &Index,
        choices: &[&Descriptor],
        nesting: usize,
    ) -> Result<Picked, PickError> {
        let wanted = self.options.platform.clone().unwrap_or_else(Platform::host);
        let mut available = Vec::new();
        let mut serving: Option<(&Descriptor, Platform)> = None;
        for &descriptor in choices {
            let platform = match &descriptor.platform {
                Some(known) => known.platform.clone(),
                None if media_type::is_index(&descriptor.media_type) => continue,
                None => self.read(descriptor)?.config.platform,
            };
            let better = serving.as_ref().is_none_or(|(_, other)| other != &wanted && platform == wanted);
            if platform.serves(&wanted) && better {
                serving = Some((descriptor, platform.clone()));
            }
            available.push(platform);
        }
        if let Some((descriptor, _)) = serving {
            let mut picked = if media_type::is_index(&descriptor.media_type) {
                self.nested(descriptor, nesting)?
            } else {
                self.read(descriptor)?
            };
            picked.index.get_or_insert_with(|| index.clone());
            return Ok(picked);
        }
        // Indexes that do not say what is in them.
        for &descriptor in choices {
            if descriptor.platform.is_none() && media_type::is_index(&descriptor.media_type) {
                match self.nested(descriptor, nesting) {
                    Err(PickError::NoSuchPlatform { available: more, .. }) => available.extend(more),
                    other => return other,
                }
            }
        }
        available.sort();
        available.dedup();
        Err(PickError::NoSuchPlatform { wanted, available })
    }

    /// Reads a manifest and its config.
    fn read(&self, descriptor: &Descriptor) -> Result<Picked, PickError> {
        let manifest_bytes = self.document("manifest", descriptor)?;
        let manifest: Manifest = parse("manifest", descriptor, &manifest_bytes)?;
        let config_type = &manifest.config.media_type;
        if !matches!(config_type.as_str(), media_type::OCI_CONFIG | media_type::DOCKER_CONFIG) {
            return Err(PickError::NotAnImage { digest: descriptor.digest, media_type: config_type.clone() });
        }
        let config_bytes = self.document("config", &manifest.config)?;
        let config = serde_json::from_slice(&config_bytes)
            .map_err(|error| broken("config", &manifest.config, DocumentError::Json(error)))?;
        Ok(Picked {
            name: None,
            descriptor: descriptor.clone(),
            manifest_bytes,
            manifest,
            config_bytes,
            config,
            index: None,
            index_digest: None,
        })
    }

    fn document(&self, what: &'static str, descriptor: &Descriptor) -> Result<Vec<u8>, PickError> {
        self.store.document(descriptor, self.options).map_err(|error| broken(what, descriptor, error))
    }
}

fn broken(what: &'static str, descriptor: &Descriptor, source: DocumentError) -> PickError {
    PickError::Document { what, digest: descriptor.digest, source }
}

/// Reads an index or a manifest. A document that could be read as both is refused: tools would disagree about it.
fn parse<T: serde::de::DeserializeOwned>(
    what: &'static str,
    from: &Descriptor,
    bytes: &[u8],
) -> Result<T, PickError> {
    let check = || {
        let value: Value = serde_json::from_slice(bytes).map_err(DocumentError::Json)?;
        if value.get("manifests").is_some()
            && (value.get("layers").is_some() || value.get("config").is_some())
        {
            return Err(DocumentError::Ambiguous);
        }
        match value.get("schemaVersion").and_then(Value::as_u64) {
            Some(2) | None => serde_json::from_value(value).map_err(DocumentError::Json),
            Some(other) => Err(DocumentError::SchemaVersion(u32::try_from(other).unwrap_or(u32::MAX))),
        }
    };
    check().map_err(|error| broken(what, from, error))
}
