//! What hardening changes, as one more directory for overlayfs over the unpacked layers.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::{Rights, UnpackError, Unpacker, failed, open_root, set_metadata};
use crate::write::Edits;
use crate::{Image, ImagePath, NodeKind};

/// Makes the difference between an image and its edited self in an existing, empty directory: stacked by overlayfs
/// over the image's unpacked layers it shows the same tree that the written image has, without a byte of it written.
///
/// What goes is hidden by character devices 0:0, a directory with all beneath by one; directories above those have the
/// owner, mode, time and attributes that they have in the image; replaced files lie there whole. Needs root.
///
/// # Errors
/// [`UnpackError`]; what was made so far then stays in `into`.
pub fn unpack_edits(image: &Image, edits: &Edits, into: &Path, rights: Rights) -> Result<(), UnpackError> {
    let tree = image.tree();
    let stays = |path: &ImagePath| path.is_root() || edits.keep.contains(path);
    let hidden: BTreeSet<&ImagePath> = tree
        .iter()
        .map(|(path, _)| path)
        .filter(|path| !stays(path) && path.parent().is_none_or(|parent| stays(&parent)))
        .collect();
    let mut directories = BTreeSet::from([ImagePath::root()]);
    for path in hidden.iter().copied().chain(edits.replace.keys()) {
        for dir in path.ancestors() {
            if !directories.insert(dir) {
                break;
            }
        }
    }

    let mut unpacker = Unpacker::new(image.layers(), open_root(into)?, rights, None);
    for dir in directories.iter().filter(|dir| !dir.is_root()) {
        unpacker.make_directory(dir)?;
    }
    for path in hidden {
        unpacker.make_whiteout(path)?;
    }
    for (path, content) in &edits.replace {
        let Some(node) = tree.get(path).filter(|node| matches!(node.kind, NodeKind::File { .. })) else {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file of the image");
            return Err(UnpackError::Entry { action: "replace", path: path.clone(), source });
        };
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(unpacker.parent(path)?, path.name(), flags, Mode::RUSR | Mode::WUSR)
            .map_err(failed("create", path))?;
        let mut file = std::fs::File::from(file);
        io::Write::write_all(&mut file, content).map_err(|source| UnpackError::Entry {
            action: "write",
            path: path.clone(),
            source,
        })?;
        set_metadata(path, &node.metadata, rights, std::os::fd::AsFd::as_fd(&file))?;
    }
    // Innermost first, since each new name changes the time of the directory above.
    for dir in directories.iter().rev() {
        if let Some(node) = tree.get(dir) {
            unpacker.finish_directory(dir, &node.metadata, false)?;
        }
    }
    Ok(())
}
