//! Where in the image a descriptor is.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Mode, OFlags, ResolveFlags, Statx, StatxAttributes, StatxFlags, openat, openat2, statx,
};
use rustix::io::Errno;
use sys::seccomp::Notification;

use super::mounts::{Mount, beneath, find, link_of};
use super::movers::{Movers, moves};
use super::task::{Task, is_shortage};
use crate::rootfs::Rootfs;
use crate::wire::Chain;

/// A number that no later mount has again (Linux 6.8).
const UNIQUE_MOUNT_ID: u32 = 0x4000;
/// Larger lists of mounts are cut: nobody has them in earnest.
const MAX_MOUNTINFO: u64 = 4 << 20;
/// Mounts that are remembered at most.
const MAX_KNOWN: usize = 4096;
/// Directories, one in the other, as many as a path can name.
const MAX_DEPTH: usize = 2048;
/// How often a path is looked up while others get in the way.
const MAX_TRIES: usize = 100;

/// Turns descriptors into places of the image.
#[derive(Debug)]
pub(crate) struct Atlas {
    rootfs: Rootfs,
    /// The first process of the container: it sees the mounts that a process in a chroot does not.
    first: Option<u32>,
    /// Mounts by unique ID, and the root of the process that they were asked of. Before Linux 6.8 nothing is: a number
    /// comes again once a namespace has gone with its last process, of which no call tells.
    known: BTreeMap<u64, (Mount, Vec<u8>)>,
    /// Directories of which mounts were made that are attached nowhere, by device and inode.
    cloned: BTreeMap<(u32, u64), Chain>,
    /// The roots of such mounts, by unique ID.
    detached: BTreeMap<u64, Chain>,
    movers: Movers,
    /// Whether what is learnt now will hold.
    is_settled: bool,
    /// What processes see of mounts, by process: while one call waits, that is asked once.
    views: BTreeMap<u32, View>,
    /// Whether a place could not be found out since the last [`Atlas::take_failure`].
    failed: bool,
}

/// What a process sees.
#[derive(Debug)]
struct View {
    mountinfo: Vec<u8>,
    root: Vec<u8>,
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
    pub(crate) fn new(rootfs: Rootfs) -> Self {
        Self {
            rootfs,
            first: None,
            known: BTreeMap::new(),
            cloned: BTreeMap::new(),
            detached: BTreeMap::new(),
            movers: Movers::default(),
            is_settled: true,
            views: BTreeMap::new(),
            failed: false,
        }
    }

    /// The first process of the container, anew after each start.
    pub(crate) fn begin(&mut self, first: u32) {
        self.first = Some(first);
        self.known.clear();
        // It may have been mounted anew; if nothing is there now, what was known remains.
        let _at_the_end = self.rootfs.look_again();
    }

    /// A thread calls: what was seen during the call before is old.
    pub(crate) fn turn_to(&mut self, thread: u32) {
        self.views.clear();
        self.is_settled = self.movers.are_done(thread);
    }

    /// A call that was found to lead somewhere goes on. If it moves mounts, nothing is remembered until it has ended.
    pub(super) fn let_go(&mut self, call: &Notification) {
        if moves(call) {
            self.movers.add(call);
            self.is_settled = false;
            self.known.clear();
        }
    }

    /// Whether a place could not be found out, though it may be one, since this was asked before.
    pub(super) fn take_failure(&mut self) -> bool {
        std::mem::take(&mut self.failed)
    }

    /// The place of a descriptor. What lies in a mount over a path of the image has that path.
    pub(crate) fn chain(&mut self, task: &Task, fd: &impl AsFd) -> Option<Chain> {
        let (Ok(link), Some(stat)) = (link_of(fd), status(fd, StatxFlags::from_bits_retain(UNIQUE_MOUNT_ID)))
        else {
            self.failed = true;
            return None;
        };
        let device = kernel_device(&stat);
        if link.first() != Some(&b'/') {
            return Some(Chain { path: link.into(), dev: device, detached: true, mounted: false });
        }
        let link = link.strip_suffix(b" (deleted)").filter(|_| stat.stx_nlink == 0).unwrap_or(&link);
        let Some((mount, root)) = self.mount(task, fd, &stat, link) else {
            if let Some(top) = self.detached_root(fd, &stat) {
                let whole = [&*top.path, b"/", link].concat();
                return Some(Chain { dev: top.dev, ..in_image(top.dev, &whole, top.mounted) });
            }
            if self.rootfs.is(device) {
                // Of a mount namespace that nobody shows us: the path is what there is.
                return Some(in_image(device, link, false));
            }
            let name = link.strip_prefix(b"/").unwrap_or(link);
            return Some(Chain { path: name.into(), dev: device, detached: false, mounted: false });
        };
        let path = beneath(link, &root).unwrap_or(link);
        if self.rootfs.is(mount.device) {
            let rest = beneath(path, &mount.point).unwrap_or(path);
            return Some(in_image(mount.device, &[&*mount.root, b"/", rest].concat(), false));
        }
        let image = self.rootfs.device()?;
        Some(in_image(image, path, true))
    }

    /// A mount of this directory will be made that is attached nowhere.
    pub(super) fn note_clone(&mut self, fd: &impl AsFd, place: Option<&Chain>) {
        if let (Some(stat), Some(place)) = (status(fd, StatxFlags::empty()), place)
            && self.cloned.len() < MAX_KNOWN
        {
            self.cloned.insert((kernel_device(&stat), stat.stx_ino), place.clone());
        }
    }

    /// The root of the mount in which a descriptor is that nobody shows, if it is one that was made of a directory: that
    /// is found by climbing up to it.
    fn detached_root(&mut self, fd: &impl AsFd, stat: &Statx) -> Option<Chain> {
        let unique = (stat.stx_mask & UNIQUE_MOUNT_ID != 0).then_some(stat.stx_mnt_id);
        if let Some(known) = unique.and_then(|unique| self.detached.get(&unique)) {
            return Some(known.clone());
        }
        if self.cloned.is_empty() {
            return None;
        }
        let mut at = fd.as_fd().try_clone_to_owned().ok()?;
        for _ in 0..MAX_DEPTH {
            let stat = status(&at, StatxFlags::empty())?;
            if stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
                let root = self.cloned.get(&(kernel_device(&stat), stat.stx_ino))?.clone();
                if let Some(unique) = unique.filter(|_| self.detached.len() < MAX_KNOWN) {
                    self.detached.insert(unique, root.clone());
                }
                return Some(root);
            }
            at = openat(&at, "..", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        }
        None
    }

    /// The mount in which a descriptor is, and the root of the process that told of it.
    fn mount(&mut self, task: &Task, fd: &impl AsFd, stat: &Statx, link: &[u8]) -> Option<(Mount, Vec<u8>)> {
        let unique = (stat.stx_mask & UNIQUE_MOUNT_ID != 0).then_some(stat.stx_mnt_id);
        let Some(unique) = unique else { return self.ask(task, stat.stx_mnt_id) };
        // Whoever renames a directory above it moves a mount without a call that says so.
        let lies_there = |(mount, root): &(Mount, Vec<u8>)| {
            beneath(beneath(link, root).unwrap_or(link), &mount.point).is_some()
        };
        if let Some(known) = self.known.get(&unique).filter(|known| lies_there(known)) {
            return Some(known.clone());
        }
        let Some(stat) = status(fd, StatxFlags::MNT_ID) else {
            self.failed = true;
            return None;
        };
        let found = self.ask(task, stat.stx_mnt_id)?;
        if self.is_settled && (self.known.len() < MAX_KNOWN || self.known.contains_key(&unique)) {
            self.known.insert(unique, found.clone());
        }
        Some(found)
    }

    /// Looks for a mount where the caller sees it, then where the first process does, then where we do, for what came
    /// from outside.
    fn ask(&mut self, task: &Task, id: u64) -> Option<(Mount, Vec<u8>)> {
        if let Ok(Some(found)) = self.seen_by(task, id) {
            return Some(found);
        }
        let first = self.first.filter(|first| *first != task.thread());
        for other in first.into_iter().chain([std::process::id()]) {
            match Task::open(other).and_then(|other| self.seen_by(&other, id)) {
                Ok(Some(found)) => return Some(found),
                // Unlike the caller, the first process may have ended.
                Err(error) if is_shortage(&error) => self.failed = true,
                Ok(None) | Err(_) => {}
            }
        }
        None
    }

    /// What a process sees of a mount, and its root.
    fn seen_by(&mut self, task: &Task, id: u64) -> std::io::Result<Option<(Mount, Vec<u8>)>> {
        let view = match self.views.entry(task.thread()) {
            Entry::Occupied(view) => view.into_mut(),
            Entry::Vacant(free) => {
                let mountinfo = task.read("mountinfo", MAX_MOUNTINFO)?;
                free.insert(View { mountinfo, root: link_of(&task.open_link("root")?)? })
            }
        };
        Ok(find(&view.mountinfo, id).map(|mount| (mount, view.root.clone())))
    }
}

/// Looks a path up. One with `..` has to be tried again while somebody renames or mounts.
pub(crate) fn look_up(
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
pub(crate) fn status(fd: &impl AsFd, wanted: StatxFlags) -> Option<Statx> {
    statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | wanted).ok()
}

/// The device as the kernel has it inside.
pub(super) fn kernel_device(stat: &Statx) -> u32 {
    stat.stx_dev_major << 20 | stat.stx_dev_minor
}
