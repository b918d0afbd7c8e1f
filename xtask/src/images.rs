//! `cargo xtask images`: look-alikes of official images, built here out of Debian packages.
//!
//! An image is one declaration, `images/NAME.toml`. Built ones lie in the user's cache directory as OCI layouts with
//! the tag `latest`; `target/images/NAME` links to them.

mod archive;
mod build;
mod compile;
mod declaration;
mod layers;
mod layout;
mod npm;
mod pip;
mod rootfs;
mod versions;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::{apt, workspace};

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let mut names: Vec<String> = Vec::new();
    let (mut force, mut all, mut list) = (false, false, false);
    for argument in arguments {
        match argument.as_str() {
            "--force" => force = true,
            "--all" => all = true,
            "--list" => list = true,
            option if option.starts_with('-') => bail!("`images` has no option {option}"),
            name => names.push(name.to_owned()),
        }
    }
    let declarations = workspace::root().join("images");
    if all || list {
        names = declaration::names(&declarations)?;
    }
    if list {
        for name in &names {
            println!("{name:12} {}", declaration::read(&declarations, name)?.declaration.description);
        }
        return Ok(());
    }
    if names.is_empty() {
        bail!(
            "name an image, or give --all; declared are: {}",
            declaration::names(&declarations)?.join(", ")
        );
    }
    build(&names, force).map(drop)
}

/// The names of all declared images that are tested, sorted; variants of another image are not among them.
pub(crate) fn declared() -> Result<Vec<String>> {
    declaration::originals(&workspace::root().join("images"))
}

/// Builds those of the images that the cache lacks. Returns where they lie, in order.
///
/// # Errors
/// Names the image that failed; those before it are in place.
pub(crate) fn build(names: &[String], force: bool) -> Result<Vec<PathBuf>> {
    let declarations = workspace::root().join("images");
    let images =
        names.iter().map(|name| declaration::read(&declarations, name)).collect::<Result<Vec<_>>>()?;
    apt::ensure(&["mmdebstrap", "umoci", "skopeo", "debian-archive-keyring"])?;
    let store = workspace::cache()?.join("images");
    let store = build::Store::open(&store)?;
    let _lock = store.lock()?;
    let links = workspace::root().join("target/images");
    fs::create_dir_all(&links).with_context(|| format!("cannot make {}", links.display()))?;
    let mut layouts = Vec::new();
    for image in &images {
        let name = &image.name;
        let receipt = store.build(image, force).with_context(|| format!("cannot build image {name}"))?;
        let (layout, link) = (store.layout(name), links.join(name));
        if fs::read_link(&link).ok().as_deref() != Some(&layout) {
            // Whatever is there, a link or nothing, gives way.
            let _ = fs::remove_file(&link);
            symlink(&layout, &link).with_context(|| format!("cannot link {}", link.display()))?;
        }
        let (files, packages) = (receipt.files, receipt.packages.len());
        eprintln!(
            "{name}: {} MB ({} MB compressed), {files} files, {packages} packages, in {}",
            megabytes(receipt.bytes),
            megabytes(receipt.stored_bytes),
            link.strip_prefix(workspace::root()).unwrap_or(&link).display()
        );
        layouts.push(layout);
    }
    Ok(layouts)
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{}", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}
