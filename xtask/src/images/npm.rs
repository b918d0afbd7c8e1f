//! Packages from npm, fetched outside with this machine's own settings.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::declaration::NPM_FILES;
use crate::{apt, command};

/// Installs the packages of the lock file in `files_dir` into a folder of the image, and the two lists beside them.
pub(crate) fn install(rootfs: &Path, dir: &str, files_dir: &Path, log: &Path) -> Result<()> {
    if !command::is_installed("npm") {
        apt::ensure(&["npm"])?;
    }
    let target = rootfs.join(dir.trim_start_matches('/'));
    fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
    for file in NPM_FILES {
        // Without the mode of whoever checked it out.
        fs::write(target.join(file), fs::read(files_dir.join(file))?)
            .with_context(|| format!("cannot copy {file}"))?;
    }
    let mut npm = Command::new("npm");
    // Addresses of a registry are nobody's business; scripts of packages could fetch anything.
    npm.args([
        "ci",
        "--omit=dev",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--omit-lockfile-registry-resolved",
    ]);
    npm.arg("--no-progress").current_dir(&target);
    command::run_logged(&mut npm, log)
}
