//! The container's mounted root file system, as far as the sensor needs it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use image::ImagePath;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, fstatfs, openat2, readlinkat};

use crate::SensorError;

const OVERLAYFS_SUPER_MAGIC: u64 = 0x794c_7630;
/// What the kernel reads of a file to tell how to execute it (`BINPRM_BUF_SIZE`).
const BEGINNING_BYTES: u64 = 256;

/// The overlay mount and the device numbers that it has had.
///
/// A restarted container may be mounted anew, under another number, so the mount is looked at again now and then.
#[derive(Debug)]
pub(crate) struct Rootfs {
    path: PathBuf,
    devices: BTreeSet<u32>,
}

/// What is there beside what the image has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LiveNode {
    Symlink(Vec<u8>),
    Directory,
    Other,
}

impl Rootfs {
    pub(crate) fn new(path: &Path) -> Result<Self, SensorError> {
        let mut this = Self { path: path.to_owned(), devices: BTreeSet::new() };
        let seen =
            this.look_again().map_err(|source| SensorError::Rootfs { rootfs: path.to_owned(), source })?;
        if seen { Ok(this) } else { Err(SensorError::NotAnOverlay { rootfs: path.to_owned() }) }
    }

    /// One that is no longer mounted, with the device numbers that it had.
    pub(crate) fn gone(devices: impl Iterator<Item = u32>) -> Self {
        Self { path: PathBuf::new(), devices: devices.collect() }
    }

    /// A directory in its place.
    #[cfg(test)]
    pub(crate) fn directory(path: &Path, device: u32) -> Self {
        Self { path: path.to_owned(), devices: [device].into() }
    }

    /// The device numbers that it has had.
    pub(crate) fn devices(&self) -> impl Iterator<Item = u32> {
        self.devices.iter().copied()
    }

    /// Notes the device number that the mount has now. False if nothing is mounted there, or no overlay.
    pub(crate) fn look_again(&mut self) -> io::Result<bool> {
        let directory = File::open(&self.path)?;
        let kind = fstatfs(&directory)?.f_type;
        let is_overlay = kind as u64 & 0xffff_ffff == OVERLAYFS_SUPER_MAGIC;
        if is_overlay {
            self.devices.insert(kernel_device(directory.metadata()?.dev()));
        }
        Ok(is_overlay)
    }

    /// The number of the mount that was seen, the highest of several.
    pub(crate) fn device(&self) -> Option<u32> {
        self.devices.last().copied()
    }

    /// Whether a device, as the kernel side numbers it, is this root file system.
    pub(crate) fn is(&self, device: u32) -> bool {
        self.devices.contains(&device)
    }

    /// The first bytes of a regular file, links not followed, if the container is still mounted and has it.
    pub(crate) fn beginning(&self, path: &ImagePath) -> Option<Vec<u8>> {
        let read = || -> io::Result<Vec<u8>> {
            let flags =
                OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let file = File::from(open(&self.open_root()?, path, flags)?);
            if !file.metadata()?.is_file() {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let mut bytes = Vec::new();
            file.take(BEGINNING_BYTES).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().ok()
    }

    /// The root directory, if it is still mounted.
    pub(crate) fn open_root(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// What the running container with this root directory has at a path, links not followed.
    pub(crate) fn live(root: &File, path: &ImagePath) -> Option<LiveNode> {
        let find = || -> io::Result<LiveNode> {
            let node = open(root, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC)?;
            Ok(match FileType::from_raw_mode(fstat(&node)?.st_mode) {
                FileType::Symlink => LiveNode::Symlink(readlinkat(&node, "", Vec::new())?.into_bytes()),
                FileType::Directory => LiveNode::Directory,
                _ => LiveNode::Other,
            })
        };
        find().ok()
    }
}

/// Opens what lies in the overlay itself, not in a mount on it.
fn open(root: &File, path: &ImagePath, flags: OFlags) -> io::Result<OwnedFd> {
    let relative = if path.is_root() { b"." } else { path.as_bytes() };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV;
    Ok(openat2(root, relative, flags, Mode::empty(), resolve)?)
}

/// A device number as the kernel has it inside (12 bits major, 20 bits minor), from the form that stat gives.
pub(crate) fn kernel_device(stat_device: u64) -> u32 {
    rustix::fs::major(stat_device) << 20 | rustix::fs::minor(stat_device)
}
