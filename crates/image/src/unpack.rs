//! One layer as a directory that overlayfs can stack.

mod edits;
mod error;
mod metadata;
mod rights;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

pub use edits::unpack_edits;
pub use error::UnpackError;
use metadata::{mode, owner, set_metadata, set_xattrs, times};
pub use rights::Rights;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, XattrFlags};
use rustix::io::Errno;

use crate::limits::Tally;
use crate::merge::Stack;
use crate::{EntryKind, Image, ImagePath, Layer, Metadata, Node, NodeKind, file};

/// Bytes of a file between two looks at the interrupt.
const PIECE_BYTES: u64 = 8 << 20;

/// Unpacks one layer into an existing, empty directory, as a lower directory for overlayfs.
///
/// Nothing is written outside `into`, whatever the tar says. Owners, modes, times, extended attributes, devices,
/// FIFOs and holes are exact. A whiteout becomes a character device 0:0, an opaque whiteout the extended attribute
/// `trusted.overlay.opaque=y`; a hard link to a lower layer's file becomes a copy of it. Needs root, or else
/// [`Rights::OfUserNamespace`] tells what is not kept.
///
/// The result depends on the layers beneath too: a directory that this layer uses without an entry gets the metadata
/// that it has there. Whoever stores the result must name it by all diff IDs up to this one.
///
/// Once `interrupt` is true it ends soon, in the midst of a file too.
///
/// # Errors
/// [`UnpackError`]; what was unpacked so far then stays in `into`.
pub fn unpack_layer(
    image: &Image,
    layer: usize,
    into: &Path,
    rights: Rights,
    interrupt: Option<&AtomicBool>,
) -> Result<(), UnpackError> {
    let layers = image.layers().get(..=layer).ok_or(UnpackError::NoSuchLayer(layer))?;
    let mut stack = image.take_stack(layer)?;
    let hidden = hidden(&layers[layer], &stack);
    stack.add(&layers[layer].entries, &Tally::unbounded())?;
    let unpacked = unpack(layers, &stack, &hidden, into, rights, interrupt);
    image.give_back_stack(stack);
    unpacked
}

/// Unpacks the topmost of these layers. `merged` is all of them, `hidden` what the topmost one hides.
fn unpack(
    layers: &[Layer],
    merged: &Stack,
    hidden: &BTreeMap<ImagePath, bool>,
    into: &Path,
    rights: Rights,
    interrupt: Option<&AtomicBool>,
) -> Result<(), UnpackError> {
    let layer = layers.len() - 1;
    let marks = Marks::of(&layers[layer], hidden, merged);
    let mut unpacker = Unpacker::new(layers, open_root(into)?, rights, interrupt);
    let mut directories = Vec::new();
    let own = layers[layer].entries.iter().map(|entry| &entry.path);
    let paths: BTreeSet<_> = own.chain(&marks.needed).collect();
    for path in paths {
        unpacker.check_interrupt()?;
        let Some(node) = merged.get(path) else { continue };
        if node.kind == NodeKind::Directory {
            if node.layer != layer && !marks.needed.contains(path) {
                continue;
            }
            if !path.is_root() {
                unpacker.make_directory(path)?;
            }
            directories.push((path, node));
        } else if node.layer == layer {
            unpacker.make(path, node)?;
        }
    }
    for path in &marks.whiteouts {
        unpacker.make_whiteout(path)?;
    }
    // Last and innermost first, since each new name changes the time of the directory above.
    for (path, node) in directories.into_iter().rev() {
        unpacker.finish_directory(path, &node.metadata, marks.opaque.contains(path))?;
    }
    Ok(())
}

fn open_root(into: &Path) -> Result<OwnedFd, UnpackError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, into, flags, Mode::empty())
        .map_err(|error| UnpackError::Open { dir: into.to_owned(), source: error.into() })
}

/// What lower layers have where this layer has whiteouts, and whether it is a directory.
fn hidden(layer: &Layer, lower: &Stack) -> BTreeMap<ImagePath, bool> {
    let mut hidden = BTreeMap::new();
    for entry in &layer.entries {
        match entry.kind {
            // overlayfs does not ask the root of a layer whether it is opaque.
            EntryKind::OpaqueWhiteout if entry.path.is_root() => hidden.extend(
                lower
                    .children(&entry.path)
                    .map(|(path, node)| (path.clone(), node.kind == NodeKind::Directory)),
            ),
            EntryKind::OpaqueWhiteout if !lower.is_directory(&entry.path) => {}
            EntryKind::Whiteout | EntryKind::OpaqueWhiteout if lower.get(&entry.path).is_some() => {
                hidden.insert(entry.path.clone(), lower.is_directory(&entry.path));
            }
            _ => {}
        }
    }
    hidden
}

/// What a layer needs beside the nodes that it provides.
struct Marks {
    /// Lower directories that must be there too, since something beneath them is.
    needed: BTreeSet<ImagePath>,
    /// Paths to hide.
    whiteouts: BTreeSet<ImagePath>,
    /// Directories of which nothing lower may show.
    opaque: BTreeSet<ImagePath>,
}

impl Marks {
    fn of(layer: &Layer, hidden: &BTreeMap<ImagePath, bool>, merged: &Stack) -> Self {
        let (mut whiteouts, mut opaque) = (BTreeSet::new(), BTreeSet::new());
        // In order, so the last outermost opaque directory is the one that this path may lie beneath.
        let mut outermost: Option<&ImagePath> = None;
        for (path, was_directory) in hidden {
            let is_covered = outermost.is_some_and(|dir| path.is_within(dir));
            if merged.get(path).is_none() {
                // Whiteouts that hide nothing would show up in listings.
                if !is_covered && path.parent().is_some_and(|parent| merged.is_directory(&parent)) {
                    whiteouts.insert(path.clone());
                }
            } else if *was_directory && merged.is_directory(path) {
                opaque.insert(path.clone());
                outermost = if is_covered { outermost } else { Some(path) };
            }
        }
        let mut needed = BTreeSet::from([ImagePath::root()]);
        let own = layer.entries.iter().map(|entry| &entry.path);
        for path in own.chain(&whiteouts) {
            for dir in path.ancestors() {
                if !needed.insert(dir) {
                    break;
                }
            }
        }
        needed.extend(opaque.iter().cloned());
        Self { needed, whiteouts, opaque }
    }
}

struct Unpacker<'a> {
    layers: &'a [Layer],
    root: OwnedFd,
    /// The directory opened last: neighbours follow each other.
    parent: Option<(ImagePath, OwnedFd)>,
    /// The name under which each content was made first.
    names: BTreeMap<(usize, usize), ImagePath>,
    rights: Rights,
    interrupt: Option<&'a AtomicBool>,
}

impl<'a> Unpacker<'a> {
    fn new(layers: &'a [Layer], root: OwnedFd, rights: Rights, interrupt: Option<&'a AtomicBool>) -> Self {
        Self { layers, root, parent: None, names: BTreeMap::new(), rights, interrupt }
    }

    fn check_interrupt(&self) -> Result<(), UnpackError> {
        match self.interrupt {
            Some(interrupt) if interrupt.load(Ordering::Relaxed) => Err(UnpackError::Interrupted),
            _ => Ok(()),
        }
    }

    /// Opens a directory beneath the root; links and mounts on the way are errors.
    fn open_directory(&self, path: &ImagePath, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let name = if path.is_root() { &b"."[..] } else { path.as_bytes() };
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        rustix::fs::openat2(
            &self.root,
            name,
            flags | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            resolve,
        )
    }

    /// The directory that holds this path.
    fn parent(&mut self, path: &ImagePath) -> Result<BorrowedFd<'_>, UnpackError> {
        let dir = path.parent().unwrap_or_default();
        if self.parent.as_ref().is_none_or(|(open, _)| *open != dir) {
            let opened =
                self.open_directory(&dir, OFlags::PATH).map_err(failed("open the directory of", path))?;
            self.parent = Some((dir, opened));
        }
        let (_, opened) = self.parent.as_ref().expect("it was set above");
        Ok(opened.as_fd())
    }

    fn make_directory(&mut self, path: &ImagePath) -> Result<(), UnpackError> {
        let parent = self.parent(path)?;
        rustix::fs::mkdirat(parent, path.name(), Mode::RWXU).map_err(failed("create", path))
    }

    fn make_whiteout(&mut self, path: &ImagePath) -> Result<(), UnpackError> {
        let parent = self.parent(path)?;
        rustix::fs::mknodat(parent, path.name(), FileType::CharacterDevice, Mode::empty(), 0)
            .map_err(failed("create the whiteout of", path))
    }

    fn make(&mut self, path: &ImagePath, node: &Node) -> Result<(), UnpackError> {
        let metadata = &node.metadata;
        if let NodeKind::File { content, .. } = node.kind {
            return match self.names.get(&content) {
                Some(first) => self.link(&first.clone(), path),
                None => {
                    self.names.insert(content, path.clone());
                    self.make_file(path, metadata, content)
                }
            };
        }
        let rights = self.rights;
        let (parent, name) = (self.parent(path)?, path.name());
        let node_of = |kind: FileType, major, minor| {
            rustix::fs::mknodat(parent, name, kind, Mode::empty(), rustix::fs::makedev(major, minor))
        };
        let made = match &node.kind {
            NodeKind::Symlink { target } => rustix::fs::symlinkat(&**target, parent, name),
            NodeKind::Fifo => node_of(FileType::Fifo, 0, 0),
            NodeKind::CharDevice(0, 0) => {
                return Err(UnpackError::Overlay {
                    path: path.clone(),
                    what: "the device number 0:0".to_owned(),
                });
            }
            NodeKind::CharDevice(major, minor) => node_of(FileType::CharacterDevice, *major, *minor),
            NodeKind::BlockDevice(major, minor) => node_of(FileType::BlockDevice, *major, *minor),
            NodeKind::File { .. } | NodeKind::Directory => Ok(()),
        };
        if made == Err(Errno::PERM) && rights == Rights::OfUserNamespace {
            tracing::warn!(%path, "left out the device {path}, which a user namespace cannot make");
            return Ok(());
        }
        made.map_err(failed("create", path))?;
        let (uid, gid) = owner(metadata);
        let owned = rustix::fs::chownat(parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW);
        rights.forgive(Errno::INVAL, owned).map_err(failed("set the owner of", path))?;
        if !matches!(node.kind, NodeKind::Symlink { .. }) {
            rustix::fs::chmodat(parent, name, mode(metadata), AtFlags::empty())
                .map_err(failed("set the mode of", path))?;
        }
        // There is no such call for a name in a directory, so it goes through the directory's descriptor.
        let by_name = [format!("/proc/self/fd/{}/", parent.as_raw_fd()).as_bytes(), name].concat();
        set_xattrs(path, metadata, rights, |name, value| {
            rustix::fs::lsetxattr(&*by_name, name, value, XattrFlags::empty())
        })?;
        rustix::fs::utimensat(parent, name, &times(metadata), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed("set the time of", path))
    }

    fn link(&mut self, first: &ImagePath, path: &ImagePath) -> Result<(), UnpackError> {
        let dir = first.parent().unwrap_or_default();
        let from = self.open_directory(&dir, OFlags::PATH).map_err(failed("link", path))?;
        let parent = self.parent(path)?;
        rustix::fs::linkat(from, first.name(), parent, path.name(), AtFlags::empty())
            .map_err(failed("link", path))
    }

    fn make_file(
        &mut self,
        path: &ImagePath,
        metadata: &Metadata,
        content: (usize, usize),
    ) -> Result<(), UnpackError> {
        let layer = &self.layers[content.0];
        let entry = &layer.entries[content.1];
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(self.parent(path)?, path.name(), flags, Mode::RUSR | Mode::WUSR)
            .map_err(failed("create", path))?;
        if let EntryKind::File { size_bytes, sparse: Some(_) } = entry.kind {
            rustix::fs::ftruncate(&file, size_bytes).map_err(failed("set the size of", path))?;
        }
        for part in file::segments(entry) {
            self.copy(path, layer, part, &file)?;
        }
        set_metadata(path, metadata, self.rights, file.as_fd())
    }

    /// Copies a stored part of a file to its place, a bounded piece at a time.
    fn copy(
        &self,
        path: &ImagePath,
        layer: &Layer,
        part: file::Segment,
        file: &OwnedFd,
    ) -> Result<(), UnpackError> {
        let mut done = 0;
        while done < part.length {
            self.check_interrupt()?;
            let piece = file::Segment {
                offset: part.offset + done,
                tar_offset: part.tar_offset + done,
                length: (part.length - done).min(PIECE_BYTES),
            };
            copy(layer, piece, file).map_err(|source| UnpackError::Entry {
                action: "write",
                path: path.clone(),
                source,
            })?;
            done += piece.length;
        }
        Ok(())
    }

    fn finish_directory(
        &mut self,
        path: &ImagePath,
        metadata: &Metadata,
        opaque: bool,
    ) -> Result<(), UnpackError> {
        let dir = self.open_directory(path, OFlags::RDONLY).map_err(failed("open", path))?;
        if opaque {
            rustix::fs::fsetxattr(&dir, self.rights.opaque(), b"y", XattrFlags::empty())
                .map_err(failed("mark as opaque", path))?;
        }
        set_metadata(path, metadata, self.rights, dir.as_fd())
    }
}

fn failed(action: &'static str, path: &ImagePath) -> impl Fn(Errno) -> UnpackError {
    move |error| UnpackError::Entry { action, path: path.clone(), source: error.into() }
}

/// Copies a stored part of a file to its place.
fn copy(layer: &Layer, part: file::Segment, file: &OwnedFd) -> io::Result<()> {
    let mut buffer = vec![0; usize::try_from(part.length).unwrap_or(usize::MAX).min(256 << 10)];
    let mut done = 0;
    while done < part.length {
        let wanted = usize::try_from(part.length - done).unwrap_or(usize::MAX).min(buffer.len());
        let read = layer.read_at(part.tar_offset + done, &mut buffer[..wanted])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut chunk = &buffer[..read];
        while !chunk.is_empty() {
            let written = rustix::io::pwrite(file, chunk, part.offset + done)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            done += written as u64;
            chunk = &chunk[written..];
        }
    }
    Ok(())
}
