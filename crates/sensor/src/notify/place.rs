//! Where in the image a descriptor is.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Statx, StatxFlags, openat2, statx};
use rustix::io::Errno;

use super::mounts::{Mount, beneath, link_of, parse};
use super::task::{Task, is_shortage};
use crate::rootfs::Rootfs;
use crate::wire::Chain;

/// A number that no later mount has again (Linux 6.8).
const UNIQUE_MOUNT_ID: u32 = 0x4000;
/// Larger lists of mounts are cut: nobody has them in earnest.
const MAX_MOUNTINFO: u64 = 4 << 20;
/// Mounts that are remembered at most.
const MAX_KNOWN: usize = 4096;
/// How often a path is looked up while others get in the way.
const MAX_TRIES: usize = 100;

/// Turns descriptors into places of the image.
#[derive(Debug)]
pub(super) struct Atlas {
    rootfs: Rootfs,
    /// The first process of the container: it sees the mounts that a process in a chroot does not.
    first: Option<u32>,
    /// Mounts by unique ID, and the root of the process that they were asked of.
    known: std::collections::BTreeMap<u64, (Mount, Vec<u8>)>,
    /// Whether a process has changed mounts; then what is known may be old.
    changing: bool,
    /// Whether a place could not be found out since the last [`Atlas::take_failure`].
    failed: bool,
}

/// The root directory of a thread: nothing that is looked up for it leaves that.
#[derive(Debug)]
pub(super) struct Root {
    fd: OwnedFd,
    link: Vec<u8>,
}

impl Root {
    pub(super) fn of(task: &Task) -> std::io::Result<Self> {
        let fd = task.open_link("root")?;
        let link = link_of(&fd)?;
        Ok(Self { fd, link })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The path of a descriptor as the thread itself would write it, if it lies beneath its root.
    pub(super) fn path_of(&self, fd: &impl AsFd) -> Option<Vec<u8>> {
        let link = link_of(fd).ok()?;
        beneath(&link, &self.link).map(<[u8]>::to_vec)
    }

    /// Looks an absolute path up as the thread would, without opening what is there.
    pub(super) fn look_up(
        &self,
        path: &[u8],
        follow: bool,
        restricted: ResolveFlags,
    ) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let flags = if follow { flags } else { flags | OFlags::NOFOLLOW };
        let trimmed = path.iter().position(|&byte| byte != b'/').map_or(&b"."[..], |start| &path[start..]);
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | restricted;
        look_up(&self.fd, trimmed, flags, resolve)
    }
}

impl Atlas {
    pub(super) fn new(rootfs: Rootfs) -> Self {
        Self { rootfs, first: None, known: std::collections::BTreeMap::new(), changing: false, failed: false }
    }

    /// The first process of the container, anew after each start.
    pub(super) fn begin(&mut self, first: u32) {
        self.first = Some(first);
        self.known.clear();
        // It may have been mounted anew; if nothing is there now, what was known remains.
        let _at_the_end = self.rootfs.look_again();
    }

    /// A process is about to change mounts: from then on nothing is remembered.
    pub(super) fn unsettle(&mut self) {
        self.changing = true;
        self.known.clear();
    }

    /// Whether a place could not be found out, though it may be one, since this was asked before.
    pub(super) fn take_failure(&mut self) -> bool {
        std::mem::take(&mut self.failed)
    }

    /// The place of a descriptor. What lies in a mount over a path of the image has that path.
    pub(super) fn chain(&mut self, task: &Task, fd: &impl AsFd) -> Option<Chain> {
        let (Ok(link), Some(stat)) = (link_of(fd), status(fd, StatxFlags::MNT_ID)) else {
            self.failed = true;
            return None;
        };
        let device = kernel_device(&stat);
        if link.first() != Some(&b'/') {
            return Some(Chain { path: link.into(), dev: device, detached: true, mounted: false });
        }
        let link = link.strip_suffix(b" (deleted)").filter(|_| stat.stx_nlink == 0).unwrap_or(&link);
        let Some((mount, root)) = self.mount(task, fd, stat.stx_mnt_id) else {
            if self.rootfs.is(device) {
                // Of a mount namespace that nobody shows us: the path is what there is.
                return Some(in_image(device, link, false));
            }
            let name = link.strip_prefix(b"/").unwrap_or(link);
            return Some(Chain { path: name.into(), dev: device, detached: true, mounted: false });
        };
        let path = beneath(link, &root).unwrap_or(link);
        if self.rootfs.is(mount.device) {
            let rest = beneath(path, &mount.point).unwrap_or(path);
            return Some(in_image(mount.device, &[&*mount.root, b"/", rest].concat(), false));
        }
        let image = self.rootfs.device()?;
        Some(in_image(image, path, true))
    }

    fn mount(&mut self, task: &Task, fd: &impl AsFd, id: u64) -> Option<(Mount, Vec<u8>)> {
        let unique = match self.changing {
            true => None,
            false => status(fd, StatxFlags::from_bits_retain(UNIQUE_MOUNT_ID))
                .filter(|stat| stat.stx_mask & UNIQUE_MOUNT_ID != 0)
                .map(|stat| stat.stx_mnt_id),
        };
        if let Some(known) = unique.and_then(|unique| self.known.get(&unique)) {
            return Some(known.clone());
        }
        let found = self.ask(task, id)?;
        if let Some(unique) = unique
            && self.known.len() < MAX_KNOWN
        {
            self.known.insert(unique, found.clone());
        }
        Some(found)
    }

    /// Looks for a mount where the caller sees it, then where the first process does, then where we do, for what came
    /// from outside.
    fn ask(&mut self, task: &Task, id: u64) -> Option<(Mount, Vec<u8>)> {
        if let Ok(Some(found)) = entry(task, id) {
            return Some(found);
        }
        let first = self.first.filter(|first| *first != task.thread());
        for other in first.into_iter().chain([std::process::id()]) {
            match Task::open(other).and_then(|other| entry(&other, id)) {
                Ok(Some(found)) => return Some(found),
                // Unlike the caller, the first process may have ended.
                Err(error) if is_shortage(&error) => self.failed = true,
                Ok(None) | Err(_) => {}
            }
        }
        None
    }
}

/// What a process sees of a mount, and its root.
fn entry(task: &Task, id: u64) -> std::io::Result<Option<(Mount, Vec<u8>)>> {
    let Some(mount) = parse(&task.read("mountinfo", MAX_MOUNTINFO)?).remove(&id) else { return Ok(None) };
    Ok(Some((mount, link_of(&task.open_link("root")?)?)))
}

/// Looks a path up. One with `..` has to be tried again while somebody renames or mounts.
pub(super) fn look_up(
    fd: &impl AsFd,
    path: &[u8],
    flags: OFlags,
    resolve: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    for _ in 1..MAX_TRIES {
        match openat2(fd, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            found => return found,
        }
    }
    openat2(fd, path, flags, Mode::empty(), resolve)
}

fn in_image(device: u32, path: &[u8], mounted: bool) -> Chain {
    let mut joined = Vec::with_capacity(path.len());
    for name in path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
        if !joined.is_empty() {
            joined.push(b'/');
        }
        joined.extend_from_slice(name);
    }
    Chain { path: joined.into(), dev: device, detached: false, mounted }
}

/// What is known of a descriptor without opening it.
pub(super) fn status(fd: &impl AsFd, wanted: StatxFlags) -> Option<Statx> {
    statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | wanted).ok()
}

/// The device as the kernel has it inside.
pub(super) fn kernel_device(stat: &Statx) -> u32 {
    stat.stx_dev_major << 20 | stat.stx_dev_minor
}
