//! What a tree of files is, seen from the kernel and from the merged tree, in one form to compare.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::print_stdout,
    reason = "each test binary uses its own part, and a skip must be seen"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use careen_image::{
    Digest, Edits, Image, NodeKind, OpenImageError, OpenOptions, Rights, unpack_edits, unpack_layer,
};
use tempfile::TempDir;

/// Everything that must be equal, of each path.
pub type Seen = BTreeMap<String, Node>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub kind: String,
    pub mode: u32,
    pub owner: (u32, u32),
    pub mtime: (i64, u32),
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// The first name of the same content.
    pub same_as: String,
}

pub fn open(source: &str) -> Result<Image, OpenImageError> {
    Image::open(&source.parse().unwrap(), &OpenOptions::default())
}

/// An error with its causes, a line each.
pub fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error: &&dyn Error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join("\n  caused by: ")
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The merged tree.
pub fn of_image(image: &Image) -> Seen {
    let mut first = BTreeMap::new();
    let mut seen = Seen::new();
    for (path, node) in image.tree().iter() {
        let text = path.to_text();
        let mut same_as = text.clone();
        let kind = match &node.kind {
            NodeKind::File { content, size_bytes } => {
                same_as = first.entry(*content).or_insert_with(|| text.clone()).clone();
                format!("file {size_bytes} {}", Digest::of(&image.read_file(path, 1 << 30).unwrap()))
            }
            NodeKind::Directory => "directory".to_owned(),
            NodeKind::Symlink { target } => format!("link to {}", String::from_utf8_lossy(target)),
            NodeKind::Fifo => "fifo".to_owned(),
            NodeKind::CharDevice(major, minor) => format!("char {major}:{minor}"),
            NodeKind::BlockDevice(major, minor) => format!("block {major}:{minor}"),
        };
        let meta = &node.metadata;
        let xattrs = meta.xattrs.iter();
        let node = Node {
            kind,
            // A link's mode is no part of it on Linux.
            mode: if matches!(node.kind, NodeKind::Symlink { .. }) { 0o777 } else { meta.mode },
            owner: (meta.uid, meta.gid),
            mtime: (meta.mtime.seconds, meta.mtime.nanoseconds),
            xattrs: xattrs
                .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value.to_vec()))
                .collect(),
            same_as,
        };
        seen.insert(text, node);
    }
    seen
}

/// A directory of the host, overlayfs' own attributes left out.
pub fn of_directory(root: &Path) -> Seen {
    let mut seen = Seen::new();
    walk(root, root, &mut seen);
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    for (path, node) in &mut seen {
        if node.kind.starts_with("file") {
            node.same_as =
                first.entry(std::mem::take(&mut node.same_as)).or_insert_with(|| path.clone()).clone();
        } else {
            node.same_as.clone_from(path);
        }
    }
    seen
}

fn walk(root: &Path, path: &Path, seen: &mut Seen) {
    let meta = path.symlink_metadata().unwrap();
    let kind = meta.file_type();
    let device = || format!("{}:{}", rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev()));
    let kind = if kind.is_dir() {
        "directory".to_owned()
    } else if kind.is_symlink() {
        format!("link to {}", String::from_utf8_lossy(fs::read_link(path).unwrap().as_os_str().as_bytes()))
    } else if kind.is_file() {
        format!("file {} {}", meta.len(), Digest::of(&fs::read(path).unwrap()))
    } else if kind.is_fifo() {
        "fifo".to_owned()
    } else if kind.is_char_device() {
        format!("char {}", device())
    } else {
        format!("block {}", device())
    };
    let node = Node {
        kind,
        mode: meta.mode() & 0o7777,
        owner: (meta.uid(), meta.gid()),
        mtime: (meta.mtime(), u32::try_from(meta.mtime_nsec()).unwrap()),
        xattrs: xattrs(path),
        same_as: format!("{}", meta.ino()),
    };
    let inside = path.strip_prefix(root).unwrap();
    let inside = careen_image::ImagePath::from_absolute(inside.as_os_str().as_bytes()).unwrap();
    seen.insert(inside.to_text(), node);
    if meta.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            walk(root, &entry.unwrap().path(), seen);
        }
    }
}

pub fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0; 1 << 16];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let names = names[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty());
    let read = |name: &[u8]| {
        let mut value = vec![0; 1 << 16];
        let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
        (String::from_utf8_lossy(name).into_owned(), value[..length].to_vec())
    };
    names.map(read).filter(|(name, _)| !name.starts_with("trusted.overlay.")).collect()
}

/// Says where two trees differ, path by path.
pub fn differences(ours: &Seen, theirs: &Seen) -> Vec<String> {
    let paths: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let differ = paths.into_iter().filter(|path| ours.get(*path) != theirs.get(*path));
    differ
        .map(|path| format!("{path}:\n  ours   {:?}\n  theirs {:?}", ours.get(path), theirs.get(path)))
        .collect()
}

/// Says that a test could not run; in CI, where `CAREEN_NO_SKIP` is set, that is a failure.
pub fn skip(reason: &str) {
    println!("SKIP {reason}");
    assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here: {reason}");
}

/// Unpacks all layers to directories `0`, `1`, ….
pub fn unpack(image: &Image) -> TempDir {
    let dir = TempDir::new().unwrap();
    for layer in 0..image.layers().len() {
        let into = dir.path().join(layer.to_string());
        fs::create_dir(&into).unwrap();
        unpack_layer(image, layer, &into, Rights::All, None).unwrap();
    }
    dir
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg(&self.0).status().unwrap().success());
    }
}

/// What overlayfs makes of the layers, where it can be mounted; hard links across layers are copies there.
pub fn stacked(image: &Image) -> Option<Seen> {
    stacked_with(image, None)
}

/// The same with these edits on top.
pub fn stacked_with(image: &Image, edits: Option<&Edits>) -> Option<Seen> {
    let dir = unpack(image);
    let mut lower: Vec<_> =
        (0..image.layers().len()).rev().map(|layer| dir.path().join(layer.to_string())).collect();
    if let Some(edits) = edits {
        let top = dir.path().join("edits");
        fs::create_dir(&top).unwrap();
        unpack_edits(image, edits, &top, Rights::All).unwrap();
        lower.insert(0, top);
    }
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    // overlayfs asks for two lower directories where there is no upper one.
    if lower.len() == 1 {
        lower.push(empty);
    }
    let merged = dir.path().join("merged");
    fs::create_dir(&merged).unwrap();
    let lower: Vec<_> = lower.iter().map(|dir| dir.display().to_string()).collect();
    let options = format!("lowerdir={}", lower.join(":"));
    let status =
        Command::new("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(&merged).status();
    if !status.is_ok_and(|status| status.success()) {
        return None;
    }
    let _mounted = Mounted(merged.clone());
    Some(of_directory(&merged))
}

pub fn without_links(mut seen: Seen) -> Seen {
    seen.values_mut().for_each(|node| node.same_as.clear());
    seen
}
