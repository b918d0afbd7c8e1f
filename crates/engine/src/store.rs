//! Unpacked layers by content: what one image brought serves every other that has it, and every later run.
//!
//! `data_dir/store/layers/sha256-HEX` is one layer as a directory that overlayfs can stack, by its chain ID: what
//! [`image::unpack_layer`] makes of a layer depends on those beneath, so the same layer over another base is another
//! directory. A directory under `layers` is complete: it was unpacked under `store/tmp`, written to disk, then renamed.
//! [`crate::layers`] says how they go again.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use image::{Digest, Image, ImagePath, Layer};
use rustix::fs::{FlockOperation, flock};

use crate::inside::Ownership;
use crate::{EngineError, LayerStore, Standing, Unpacked};

/// Unpacks what is missing. Several Careens take turns.
pub(crate) fn unpack(
    data_dir: &Path,
    image: &Image,
    interrupt: &AtomicBool,
    on_layer: &dyn Fn(usize),
) -> Result<Unpacked, EngineError> {
    let standing = Standing::of_this_process();
    let kept = LayerStore::of(data_dir);
    let store = kept.dir();
    let failed = |source| EngineError::DataDir { path: store.to_owned(), source };
    let tmp = store.join("tmp");
    fs::create_dir_all(store.join("layers")).map_err(failed)?;
    fs::create_dir_all(&tmp).map_err(failed)?;
    let names: Vec<_> = chain_ids(image.layers()).into_iter().map(LayerStore::name).collect();
    // Before it is seen whether they are there, so that none goes in between.
    let in_use = kept.use_layers(names.clone(), interrupt).map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => EngineError::Interrupted,
        _ => failed(error),
    })?;
    let mut layers = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let dir = kept.layer(name);
        if !dir.exists() {
            let _turn = lock(store, interrupt)?;
            // Another may have unpacked it while we waited; what is in `tmp` now is of killed runs.
            clear(&tmp).map_err(failed)?;
            if !dir.exists() {
                unpack_one(image, index, &tmp, &dir, standing, interrupt)?;
            }
        }
        if interrupt.load(Ordering::Relaxed) {
            return Err(EngineError::Interrupted);
        }
        on_layer(index);
        layers.push(dir);
    }
    let root =
        image.tree().get(&ImagePath::root()).filter(|node| node.entry.is_some()).map(|node| &node.metadata);
    let root = root.map_or(Ownership { mode: 0o755, uid: 0, gid: 0 }, |metadata| Ownership {
        mode: metadata.mode & 0o7777,
        uid: metadata.uid,
        gid: metadata.gid,
    });
    let in_use = Some(Arc::new(in_use));
    Ok(Unpacked { layers, root, defaults: (&image.config().config).into(), in_use })
}

fn unpack_one(
    image: &Image,
    index: usize,
    tmp: &Path,
    dir: &Path,
    standing: Standing,
    interrupt: &AtomicBool,
) -> Result<(), EngineError> {
    use std::os::unix::fs::PermissionsExt;
    let diff_id = image.layers()[index].diff_id;
    let fail = |source: Box<dyn Error + Send + Sync>| EngineError::Unpack {
        diff_id,
        disk_full: is_disk_full(&*source),
        source,
    };
    let into = tmp.join("layer");
    let unpack = || -> Result<(), Box<dyn Error + Send + Sync>> {
        fs::create_dir(&into)?;
        fs::set_permissions(&into, fs::Permissions::from_mode(0o755))?;
        image::unpack_layer(image, index, &into, standing.rights(), Some(interrupt))?;
        rustix::fs::syncfs(File::open(&into)?)?;
        fs::rename(&into, dir)?;
        Ok(())
    };
    unpack().map_err(|error| {
        let _best_effort = clear(tmp);
        match error.downcast_ref() {
            Some(image::UnpackError::Interrupted) => EngineError::Interrupted,
            _ => fail(error),
        }
    })
}

fn clear(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        fs::remove_dir_all(entry?.path())?;
    }
    Ok(())
}

fn lock(store: &Path, interrupt: &AtomicBool) -> Result<File, EngineError> {
    let path = store.join("lock");
    let failed = |source| EngineError::DataDir { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if interrupt.load(Ordering::Relaxed) => {
                return Err(EngineError::Interrupted);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(Duration::from_millis(50)),
            Err(error) => return Err(failed(error.into())),
        }
    }
}

/// The chain ID of each layer.
///
/// Source: OCI image-spec 1.1, `config.md`, "Layer ChainID".
fn chain_ids(layers: &[Layer]) -> Vec<Digest> {
    let above = |below: &mut Option<Digest>, layer: &Layer| {
        let next = match *below {
            None => layer.diff_id,
            Some(below) => Digest::of(format!("{below} {}", layer.diff_id).as_bytes()),
        };
        *below = Some(next);
        Some(next)
    };
    layers.iter().scan(None, above).collect()
}

fn is_disk_full(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)) {
            return true;
        }
        next = error.source();
    }
    false
}
