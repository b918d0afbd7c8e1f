//! Packages from PyPI.
//!
//! They are fetched outside, with this machine's own settings, and installed inside from files: nothing of where they
//! came from gets into an image.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::rootfs;
use crate::{apt, command};

/// Newest C libraries that wheels may ask for, as their names state it: not newer than that of our oldest base.
const PLATFORMS: [&str; 3] = ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"];

/// Installs packages, given with their versions, for the image's own Python. None is added because another asks.
pub(crate) fn install(rootfs: &Path, packages: &[String], log: &Path) -> Result<()> {
    if !Command::new("python3")
        .args(["-m", "pip", "--version"])
        .output()
        .is_ok_and(|pip| pip.status.success())
    {
        apt::ensure(&["python3-pip"])?;
    }
    let wheels = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut download = Command::new("python3");
    download.args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--implementation=cp", "-d"]);
    download.arg(wheels.path()).arg(format!("--python-version={}", version(rootfs)?));
    download.args(PLATFORMS.map(|platform| format!("--platform={platform}"))).args(packages);
    command::run_logged(&mut download, log)?;
    // What the distribution brought stays: it has no list by which pip could remove it.
    let script = format!(
        "python3 -m pip install --break-system-packages --ignore-installed --root-user-action=ignore --no-cache-dir \
         --no-index --no-deps --find-links /run/input {}",
        packages.join(" ")
    );
    rootfs::run_inside(rootfs, Some(wheels.path()), &script, log).context("cannot install the wheels")
}

/// Compiles what pip installed once more, after the times of the sources were set.
pub(crate) fn compile(rootfs: &Path, log: &Path) -> Result<()> {
    rootfs::run_inside(rootfs, None, "python3 -m compileall -q -f /usr/local/lib/python3*/dist-packages", log)
        .context("cannot compile the packages")
}

/// `3.11`, by the name of the file that `python3` leads to.
fn version(rootfs: &Path) -> Result<String> {
    let link = rootfs.join("usr/bin/python3");
    let target = fs::read_link(&link).context("the image has no python3")?;
    match target.to_str().and_then(|name| name.strip_prefix("python")) {
        Some(version) => Ok(version.to_owned()),
        None => bail!("{} leads to {}", link.display(), target.display()),
    }
}
