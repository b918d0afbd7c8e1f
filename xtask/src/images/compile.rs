//! What is compiled for an image, in a system of its own that does not get into it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::declaration::Build;
use super::layout::Layout;
use super::rootfs;
use crate::command;

/// What a build made, laid out as it goes into the image.
#[derive(Debug)]
pub(crate) struct Outputs {
    dir: PathBuf,
    /// The time that stands for the build: that of the newest file of its system, in seconds since 1970.
    pub(crate) newest_seconds: i64,
}

/// Installs the compiler on top of a base image, runs the commands, and keeps the outputs.
pub(crate) fn outputs(
    build: &Build,
    base: &Path,
    scratch: &Path,
    files_dir: &Path,
    started_seconds: i64,
    log: &Path,
) -> Result<Outputs> {
    let system = scratch.join("build");
    fs::create_dir(&system).with_context(|| format!("cannot make {}", system.display()))?;
    let layout = Layout::on_top_of(base, &system, log)?;
    let rootfs = layout.rootfs();
    rootfs::install(&rootfs, &[], &build.packages, log)?;
    let newest_seconds = rootfs::newest_file(&rootfs, started_seconds)?;
    rootfs::finish(&rootfs, &build.files, &build.run, files_dir, log)?;
    let dir = scratch.join("outputs");
    for (from, to) in &build.outputs {
        let target = dir.join(to.trim_start_matches('/'));
        let parent = target.parent().context("an output has no place")?;
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        copy(&rootfs.join(from.trim_start_matches('/')), &target, log)?;
    }
    fs::remove_dir_all(&system).with_context(|| format!("cannot remove {}", system.display()))?;
    Ok(Outputs { dir, newest_seconds })
}

impl Outputs {
    /// Puts them into the image.
    pub(crate) fn place(&self, rootfs: &Path, log: &Path) -> Result<()> {
        copy(&self.dir, rootfs, log)
    }
}

/// Copies a file, or the content of a folder.
fn copy(from: &Path, to: &Path, log: &Path) -> Result<()> {
    let mut cp = Command::new("cp");
    cp.args(["-a", "--no-target-directory"]).arg(from).arg(to);
    command::run_logged(&mut cp, log)
}
