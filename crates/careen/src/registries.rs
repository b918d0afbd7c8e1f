//! Images of registries: brought into the data directory, then opened as any other.
//!
//! Blobs lie in `blobs/` by digest, whatever image they are of; `pulled/` has a small layout for each reference. What a
//! tag means is asked once in a run, so that all of a command speaks of one image.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use image::{Descriptor, Digest, Image, ImageSource, Limits, OpenImageError, OpenOptions, Platform};
use registry::{BlobStore, Logins, Pulled, Puller, Reference, Registry, Settings};

use crate::cli::Global;
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, output};

/// How long blobs and unpacked layers are kept that no command uses.
pub(crate) const UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);

/// The registries of a run, and what it read of them.
pub(crate) struct Registries {
    settings: Settings,
    logins: OnceLock<Arc<Logins>>,
    connected: Mutex<BTreeMap<String, Arc<Registry>>>,
    pulled: Mutex<BTreeMap<(String, Option<Platform>), Pulled>>,
}

impl Registries {
    /// None of them is spoken to yet.
    pub(crate) fn new(global: &Global) -> Self {
        let settings = Settings {
            plain_http: global.plain_http,
            ca_file: global.ca_file.clone(),
            user_agent: concat!("careen/", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        Self { settings, logins: OnceLock::new(), connected: Mutex::default(), pulled: Mutex::default() }
    }
}

/// The registry of this name, connected to once.
pub(crate) fn connect(context: &Context, host: &str) -> Result<Arc<Registry>, Failure> {
    let registries = &context.registries;
    let mut connected = registries.connected.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = connected.get(host) {
        return Ok(Arc::clone(known));
    }
    let tried = format!("cannot use the registry {host}");
    let logins = match registries.logins.get() {
        Some(logins) => Arc::clone(logins),
        None => {
            let found = Logins::of_user(&|name| env::var_os(name)).map_err(|source| {
                hints::registry(&tried, registry::RegistryError::Logins { host: host.to_owned(), source })
            })?;
            Arc::clone(registries.logins.get_or_init(|| Arc::new(found)))
        }
    };
    let registry = Registry::connect(host, &registries.settings, &logins, &context.interrupt)
        .map_err(|error| hints::registry(&tried, error))?;
    let registry = Arc::new(registry);
    connected.insert(host.to_owned(), Arc::clone(&registry));
    Ok(registry)
}

/// The authorities of `--ca-file` and of the host; none without that option.
pub(crate) fn authorities(context: &Context) -> Result<Option<ureq::tls::RootCerts>, Failure> {
    let file = context.registries.settings.ca_file.as_deref();
    file.map(registry::authorities)
        .transpose()
        .map_err(|error| hints::registry("cannot use the authorities of --ca-file", error))
}

/// The blobs that all images share.
pub(crate) fn blobs(context: &Context) -> BlobStore {
    BlobStore::at(context.data_dir.join("blobs"))
}

/// Makes room after something new came: what no command read for a month goes.
pub(crate) fn remove_unused(blobs: &BlobStore) {
    let removed = blobs.remove_unused(UNUSED);
    if removed.blobs > 0 {
        let (count, bytes) = (removed.blobs, output::bytes_text(removed.bytes));
        tracing::info!(
            count,
            bytes = removed.bytes,
            "removed {} of registries, {bytes}, unused for a month",
            output::counted(count, "blob", "blobs")
        );
    }
}

/// Where the layouts of pulled images lie.
fn layouts(context: &Context) -> PathBuf {
    context.data_dir.join("pulled")
}

/// The same source with its reference written out; others as they are.
pub(crate) fn canonical(source: ImageSource) -> Result<ImageSource, Failure> {
    let ImageSource::Registry { reference, layout } = source else { return Ok(source) };
    Ok(ImageSource::Registry { reference: parse(&reference)?.to_string(), layout })
}

/// The same image by digest, where it lies in a registry; none if its name is none.
pub(crate) fn pinned(source: ImageSource, digest: Digest) -> Option<ImageSource> {
    let ImageSource::Registry { reference, layout } = source else { return Some(source) };
    let reference: Reference = reference.parse().ok()?;
    Some(ImageSource::Registry { reference: reference.pinned(digest).to_string(), layout })
}

/// Reads a reference as typed.
pub(crate) fn parse(text: &str) -> Result<Reference, Failure> {
    text.parse().map_err(|error: registry::ReferenceError| {
        let hint = error.hint();
        hints::plain(ExitCode::Image, format!("cannot find an image at {text}"), error)
            .hint(hint.map(|hint| format!("there is no such file; for an image of a registry, {hint}")))
    })
}

/// Options that a source is opened with.
pub(crate) fn options<'a>(
    context: &'a Context,
    platform: Option<Platform>,
) -> Result<OpenOptions<'a>, Failure> {
    Ok(OpenOptions {
        platform,
        scratch_dir: context.scratch_dir()?,
        interrupt: Some(&context.interrupt),
        ..OpenOptions::default()
    })
}

/// Brings manifest and config of an image here, and none of its layers.
pub(crate) fn documents(
    context: &Context,
    source: &ImageSource,
    platform: Option<Platform>,
) -> Result<Pulled, Failure> {
    let tried = format!("cannot open {source}");
    let reference = parse(&source.to_string())?;
    let key = (reference.to_string(), platform.clone());
    let lock = || context.registries.pulled.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = lock().get(&key) {
        return Ok(known.clone());
    }
    let (blobs, layouts) = (blobs(context), layouts(context));
    let options = options(context, platform)?;
    let pulled = match registry::at_hand(&blobs, &layouts, &reference, &options) {
        Some(pulled) => pulled,
        None => {
            let registry = connect(context, &reference.host)?;
            let puller = Puller { registry: &registry, blobs: &blobs, layouts: &layouts };
            puller.documents(&reference, &options).map_err(|error| hints::pull(&tried, error))?
        }
    };
    lock().insert(key, pulled.clone());
    Ok(pulled)
}

/// Brings an image here, and opens it.
pub(crate) fn open(
    context: &Context,
    source: &ImageSource,
    platform: Option<Platform>,
) -> Result<Image, Failure> {
    let pulled = documents(context, source, platform.clone())?;
    fetch(context, &pulled, &pulled.layers)?;
    context.progress.stage(format!("open {source}"), None);
    let on_bytes = |bytes| context.progress.add_bytes(bytes);
    let options = OpenOptions { on_bytes: Some(&on_bytes), ..options(context, platform)? };
    let opened = match Image::open(&pulled.source, &options) {
        // A blob was damaged on the disk after it came: it is fetched again.
        Err(OpenImageError::Layer { digest, .. }) if blobs(context).is_damaged(digest).unwrap_or(false) => {
            blobs(context).remove(digest);
            fetch(context, &pulled, &pulled.layers)?;
            Image::open(&pulled.source, &options)
        }
        opened => opened,
    };
    opened.map_err(|error| hints::open_image(&format!("cannot open {source}"), error))
}

/// Brings all of an image here, every platform; others than those of registries are here already.
pub(crate) fn everything(context: &Context, source: ImageSource) -> Result<ImageSource, Failure> {
    let ImageSource::Registry { reference, .. } = &source else { return Ok(source) };
    let reference = parse(reference)?;
    let registry = connect(context, &reference.host)?;
    let (blobs, layouts) = (blobs(context), layouts(context));
    let puller = Puller { registry: &registry, blobs: &blobs, layouts: &layouts };
    context.progress.stage(format!("fetch {source}"), None);
    puller
        .everything(&reference, &options(context, None)?, &|bytes| context.progress.add_bytes(bytes))
        .map_err(|error| hints::pull(&format!("cannot fetch {source}"), error))
}

fn fetch(context: &Context, pulled: &Pulled, layers: &[Descriptor]) -> Result<(), Failure> {
    let reference = parse(&pulled.source.to_string())?;
    let (blobs, layouts) = (blobs(context), layouts(context));
    if layers.iter().all(|layer| blobs.has(layer)) {
        return Ok(());
    }
    let registry = connect(context, &reference.host)?;
    let puller = Puller { registry: &registry, blobs: &blobs, layouts: &layouts };
    let missing = puller.missing(layers);
    let total = missing.iter().fold(0_u64, |total, layer| total.saturating_add(layer.size_bytes));
    context.progress.stage(format!("fetch {reference}"), Some(total));
    puller
        .fetch(&reference.repository, &missing, &Limits::default(), &|bytes| {
            context.progress.add_bytes(bytes);
        })
        .map_err(|error| hints::registry(&format!("cannot fetch {reference}"), error))?;
    context.progress.done(&output::bytes_text(total));
    remove_unused(&blobs);
    Ok(())
}
