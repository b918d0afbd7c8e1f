//! Where the sources, the builds and the caches lie.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{apt, command};

/// Debian packages that building the workspace takes.
pub(crate) const TO_BUILD: [&str; 5] = ["gcc", "libc6-dev", "pkg-config", "clang", "libbpf-dev"];

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    // Cargo sets it at run time too, so a build that is shared between work trees finds the right one.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    xtask.parent().map_or_else(|| xtask.clone(), PathBuf::from)
}

/// Small excerpts of what upstreams publish about vulnerabilities, enough to try everything.
pub(crate) fn excerpts() -> PathBuf {
    root().join("crates/advisories/tests/data/upstream")
}

/// Careen's folder in the user's cache directory; it outlives `cargo clean` and fresh clones.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?)
            .join(".cache"),
    };
    Ok(base.join("careen"))
}

/// Where cargo builds, as it says itself: by environment, by configuration, or `target`.
pub(crate) fn target_dir() -> Result<PathBuf> {
    #[derive(serde::Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args(["metadata", "--format-version=1", "--no-deps", "--offline"]);
    let metadata: Metadata = serde_json::from_str(&command::output(&mut cargo)?)
        .context("cargo metadata printed something else")?;
    Ok(metadata.target_directory)
}

/// The binary `careen`, built as it ships.
pub(crate) fn build_careen() -> Result<PathBuf> {
    apt::ensure(&TO_BUILD)?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args(["build", "--release", "--locked", "--package", "careen"]);
    command::run(&mut cargo).context("cannot build careen")?;
    Ok(target_dir()?.join("release/careen"))
}
