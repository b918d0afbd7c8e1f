//! The layers that a declaration puts on its base, in the order in which a person would write them down.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::build::timestamp;
use super::compile::Outputs;
use super::declaration::{Image, SCRATCH};
use super::layout::Layout;
use super::{npm, pip, rootfs};

/// Adds all layers; returns the time that stands for the last one.
///
/// Debian packages and files share a layer unless packages of a language come between them.
pub(crate) fn add(
    layout: &Layout<'_>,
    image: &Image,
    outputs: Option<&Outputs>,
    started_seconds: i64,
    log: &Path,
) -> Result<String> {
    let declaration = &image.declaration;
    let root = layout.rootfs();
    let nothing_runs = declaration.users.is_empty()
        && declaration.packages.is_empty()
        && declaration.python.is_empty()
        && declaration.run.is_empty();
    if declaration.base == SCRATCH && !nothing_runs {
        bail!("on {SCRATCH} nothing can be run or installed: let `build` do it");
    }
    let at_least = outputs.map_or(0, |outputs| outputs.newest_seconds);
    let settle = || timestamp(rootfs::settle(&root, started_seconds, at_least)?);
    rootfs::install(&root, &declaration.users, &declaration.packages, log)?;
    let mut created_by = format!("apt-get install {}", declaration.packages.join(" "));
    if !declaration.python.is_empty() {
        layout.pack(&created_by, &settle()?)?;
        pip::install(&root, &declaration.python, log)?;
        // The times of sources stand in the bytecode.
        settle()?;
        pip::compile(&root, log)?;
        created_by = format!("pip install {}", declaration.python.join(" "));
    }
    if let Some(dir) = &declaration.npm {
        layout.pack(&created_by, &settle()?)?;
        npm::install(&root, dir, &image.files_dir, log)?;
        created_by = "npm ci --omit=dev".to_owned();
    }
    if !declaration.python.is_empty() || declaration.npm.is_some() {
        layout.pack(&created_by, &settle()?)?;
        created_by = "COPY files".to_owned();
    }
    if let Some(outputs) = outputs {
        outputs.place(&root, log).context("cannot put what was compiled into the image")?;
    }
    if declaration.base == SCRATCH {
        created_by = "COPY files".to_owned();
    }
    rootfs::finish(&root, &declaration.files, &declaration.run, &image.files_dir, log)?;
    let created = settle()?;
    layout.pack(&created_by, &created)?;
    Ok(created)
}
