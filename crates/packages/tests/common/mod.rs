//! What the tests on real package managers share: images of a directory, and what is left of them on disk again.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a fixture that cannot be made fails its test")]
#![allow(dead_code, reason = "not every test file needs all of it")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use careen_packages as packages;
use image::{Image, ImagePath, NodeKind, OpenOptions};
use packages::{FilteredDatabase, PackageDatabase, filter, licences};
use testkit::{ImageBuilder, Layout, TarBuilder, TarEntry};

/// What a test says when it cannot run here: a failure in CI, a visible skip elsewhere.
pub(crate) fn skip(reason: &str) {
    println!("SKIP {reason}");
    assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here: {reason}");
}

/// Whether all of these programs are here; says which is not.
pub(crate) fn have(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| Command::new(program).arg("--version").output().is_err());
    if let Some(program) = missing {
        skip(&format!("no {program}"));
    }
    missing.is_none()
}

/// Runs a program, which must succeed, and returns what it printed.
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).env("LC_ALL", "C").output().unwrap();
    assert!(
        output.status.success(),
        "{program} {args:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// An opened image of one layer.
pub(crate) fn open(layer: TarBuilder) -> (Layout, Image) {
    let layout = ImageBuilder::new().layer(layer).oci_layout();
    let image = Image::open(&layout.source().parse().unwrap(), &OpenOptions::new()).unwrap();
    (layout, image)
}

/// An image of what lies in a directory.
pub(crate) fn image_of(root: &Path) -> (Layout, Image) {
    let mut tar = TarBuilder::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes();
            let meta = path.symlink_metadata().unwrap();
            let mode = u64::from(meta.permissions().mode() & 0o7777);
            if meta.is_dir() {
                tar = tar.entry(TarEntry::dir(name).mode(mode));
                pending.push(path);
            } else if meta.is_symlink() {
                tar = tar.entry(TarEntry::symlink(
                    name,
                    fs::read_link(&path).unwrap().into_os_string().into_vec(),
                ));
            } else if meta.is_file() {
                tar = tar.entry(TarEntry::file(name, fs::read(&path).unwrap()).mode(mode));
            }
        }
    }
    open(tar)
}

pub(crate) fn path(text: &str) -> ImagePath {
    ImagePath::from_text(text).unwrap()
}

pub(crate) fn paths(texts: &[&str]) -> BTreeSet<ImagePath> {
    texts.iter().map(|text| path(text)).collect()
}

pub(crate) fn texts<'a>(paths: impl IntoIterator<Item = &'a ImagePath>) -> Vec<String> {
    paths.into_iter().map(ImagePath::to_text).collect()
}

/// The names of the packages of a database, in its order.
pub(crate) fn names(database: &PackageDatabase) -> Vec<&str> {
    database.packages.iter().map(|package| package.name.as_str()).collect()
}

/// What a package owns.
pub(crate) fn owned(database: &PackageDatabase, name: &str) -> Vec<String> {
    texts(&database.packages.iter().find(|package| package.name == name).unwrap().files)
}

/// The files of an image that a test keeps by a word of their path.
pub(crate) fn matching(image: &Image, wanted: impl Fn(&str) -> bool) -> BTreeSet<ImagePath> {
    let files = image.tree().iter().filter(|(_, node)| node.kind != NodeKind::Directory);
    files.filter(|(path, _)| wanted(&path.to_text())).map(|(path, _)| path.clone()).collect()
}

/// Filters the databases for what is kept with its licences, and writes all that stays into a directory.
pub(crate) fn cut(image: &Image, kept: &BTreeSet<ImagePath>, root: &Path) -> FilteredDatabase {
    let database = packages::read(image).unwrap();
    let kept = kept | &licences(&database, image, kept).unwrap();
    let filtered = filter(&database, image, &kept).unwrap();
    let again = filter(&database, image, &kept).unwrap();
    assert_eq!(filtered, again, "the same input gave another database");
    for path in kept.iter().chain(filtered.keep.keys()) {
        let place = root.join(OsStr::from_bytes(path.as_bytes()));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        match &image.tree().get(path).unwrap().kind {
            NodeKind::File { size_bytes, .. } => {
                let content = match filtered.replace.get(path) {
                    Some(content) => content.clone(),
                    None => image.read_file(path, *size_bytes).unwrap(),
                };
                fs::write(&place, content).unwrap();
            }
            NodeKind::Symlink { target } if !place.is_symlink() => {
                std::os::unix::fs::symlink(OsStr::from_bytes(target), &place).unwrap();
            }
            _ => {}
        }
    }
    filtered
}
