//! Following a path in the running container at once, while what it leads through is still there.
//!
//! The base sees of most calls the text alone. Where that leads through a link or a mount that the container made, only
//! the container knows where it ends, and only as long as they are there. So each new text is looked up again as soon as
//! it comes out of the ring, in the caller's mount namespace and from its root: what was met in the image on the way
//! counts beside what the text tells on the image's tree. Most texts lead through nothing of the kind; one call shows
//! that.
//!
//! A thread of its own does it: a file system that does not answer, such as one that the container itself serves, makes
//! nobody wait.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, StatxFlags, openat, readlinkat};
use rustix::io::Errno;

use crate::notify::place::{Atlas, look_up, status};
use crate::notify::task::Task;
use crate::rootfs::Rootfs;
use crate::text::follows;
use crate::wire::{Chain, Event, Op};
use crate::{SensorError, Target};

/// The kernel's own limit.
const MAX_LINKS: usize = 40;
/// Paths that wait to be followed. What comes beyond is not.
const MAX_WAITING: usize = 1 << 16;
/// Ways that are kept.
const MAX_TRACES: usize = 1 << 18;
/// How long the end waits for paths that are still to be followed.
const PATIENCE: Duration = Duration::from_secs(5);
const ENOENT: i32 = 2;
/// What calls fail with that did not look at their path: EBADF, EFAULT, ENAMETOOLONG, ENOSYS; and ELOOP.
const NOWHERE: [i32; 5] = [9, 14, 36, 38, 40];

/// What was met on the way of a path.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Trace {
    /// Links, in the order in which they were followed.
    pub(crate) links: Vec<Chain>,
    /// Where it ended, or would have, had something been there.
    pub(crate) end: Option<Chain>,
}

pub(crate) type Traces = HashMap<Arc<Event>, Trace>;

/// An event, and the process whose it is.
type Asked = (Arc<Event>, u32);

/// Whether there is a path in an event that may have led through something.
pub(crate) fn may_tell(event: &Event) -> bool {
    let is_of_a_path = event.op != Op::Made && !event.flags.hook() && !event.flags.moved();
    is_of_a_path && event.text.is_some() && !NOWHERE.contains(&event.errno)
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Follower {
    sender: Mutex<Option<SyncSender<Asked>>>,
    traces: Arc<Mutex<Traces>>,
    thread: JoinHandle<()>,
}

impl Follower {
    pub(crate) fn start(target: &Target) -> Result<Self, SensorError> {
        let guide = Guide::new(target)?;
        let (sender, events) = sync_channel(MAX_WAITING);
        let traces = Arc::new(Mutex::new(Traces::new()));
        let found = Arc::clone(&traces);
        let thread = std::thread::Builder::new()
            .name("follower".to_owned())
            .spawn(move || guide.follow_all(&events, &found))
            .map_err(|source| SensorError::Follower { source })?;
        Ok(Self { sender: Mutex::new(Some(sender)), traces, thread })
    }

    /// Takes in a new event of a process, if there is a path in it that may have led through something.
    pub(crate) fn note(&self, event: Arc<Event>, process: u32) {
        if !may_tell(&event) {
            return;
        }
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        if sender.as_ref().is_none_or(|sender| sender.try_send((event, process)).is_err()) {
            tracing::debug!("paths come faster than they can be followed");
        }
    }

    /// What was found. Waits for what is still to be followed, though not long.
    pub(crate) fn finish(&self) -> Traces {
        drop(self.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
        let start = Instant::now();
        while !self.thread.is_finished() && start.elapsed() < PATIENCE {
            sleep(Duration::from_millis(5));
        }
        std::mem::take(&mut *self.traces.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Follows paths of one container.
#[derive(Debug)]
pub(crate) struct Guide {
    cgroup: PathBuf,
    atlas: Atlas,
    /// A process of the container that does not end soon.
    other: Option<u32>,
}

/// Where a lookup begins.
struct Begin {
    task: Task,
    root: OwnedFd,
    base: OwnedFd,
}

impl Guide {
    pub(crate) fn new(target: &Target) -> Result<Self, SensorError> {
        let atlas = Atlas::new(Rootfs::new(&target.rootfs)?);
        Ok(Self { cgroup: target.cgroup_dir.clone(), atlas, other: None })
    }

    /// The first process of the container, anew after each start.
    pub(crate) fn begin_with(&mut self, first: u32) {
        self.atlas.begin(first);
    }

    fn follow_all(mut self, events: &Receiver<Asked>, traces: &Mutex<Traces>) {
        for (event, process) in events {
            let Some(trace) = self.trace(&event, process) else { continue };
            let mut traces = traces.lock().unwrap_or_else(PoisonError::into_inner);
            if traces.len() < MAX_TRACES {
                traces.insert(event, trace);
            }
        }
    }

    /// What the path of an event, looked up by this process, leads through now. Nothing if that is what it says.
    pub(crate) fn trace(&mut self, event: &Event, process: u32) -> Option<Trace> {
        let text = event.text.as_deref()?;
        let follow = follows(event);
        self.atlas.turn_to(process);
        let begin = self.begin(event, process)?;
        if is_plain(&begin, text, follow) {
            return None;
        }
        let mut trace = Trace::default();
        let _cut_short = self.go(&begin, text, follow, event.errno == ENOENT, &mut trace);
        Some(trace).filter(|trace| *trace != Trace::default())
    }

    /// Finds root and base of a lookup: of the process itself, if it is still where it was, else by way of another process
    /// of the container.
    fn begin(&mut self, event: &Event, process: u32) -> Option<Begin> {
        let own = Task::open(process).ok().and_then(|task| {
            let root = task.open_link("root").ok()?;
            (self.atlas.chain(&task, &root).as_ref() == event.root.as_deref()).then_some((task, root))
        });
        let (task, root, is_own) = match own {
            Some((task, root)) => (task, root, true),
            None => {
                let (task, root) = self.of_another(event)?;
                (task, root, false)
            }
        };
        if event.flags.absolute() {
            let base = root.try_clone().ok()?;
            return Some(Begin { task, root, base });
        }
        let base = is_own.then(|| task.open_link("cwd").ok()).flatten();
        let base = match base {
            Some(base) if self.atlas.chain(&task, &base).as_ref() == event.base.as_deref() => base,
            _ => within(&root, beneath(event.base.as_ref()?, event.root.as_deref())?)?,
        };
        let root = if event.flags.in_root() { base.try_clone().ok()? } else { root };
        Some(Begin { task, root, base })
    }

    /// The root of an event's process, as another process of the container sees it.
    fn of_another(&mut self, event: &Event) -> Option<(Task, OwnedFd)> {
        let find = |this: &mut Self, process: u32| {
            let task = Task::open(process).ok()?;
            let top = task.open_link("root").ok()?;
            let whole = this.atlas.chain(&task, &top).filter(|chain| chain.path.is_empty() && !chain.mounted);
            whole.filter(|chain| event.root.as_ref().is_some_and(|root| root.dev == chain.dev))?;
            Some((task, top))
        };
        let found = self.other.and_then(|process| find(self, process)).or_else(|| {
            let processes = std::fs::read_to_string(self.cgroup.join("cgroup.procs")).ok()?;
            processes.lines().filter_map(|line| line.parse().ok()).find_map(|process| {
                self.atlas.begin(process);
                let found = find(self, process)?;
                self.other = Some(process);
                Some(found)
            })
        });
        let (task, top) = found?;
        let root = event.root.as_ref().filter(|root| !root.path.is_empty());
        match root {
            None => Some((task, top)),
            Some(root) => within(&top, &root.path).map(|root| (task, root)),
        }
    }

    /// Goes the way of a path, name by name; `failed` if it led nowhere then. Nothing if it leads nowhere now.
    fn go(
        &mut self,
        begin: &Begin,
        text: &[u8],
        follow_last: bool,
        failed: bool,
        trace: &mut Trace,
    ) -> Option<()> {
        let mut at = begin.base.try_clone().ok()?;
        let mut todo: VecDeque<Vec<u8>> = names(text);
        let mut followed = 0;
        while let Some(name) = todo.pop_front() {
            if name == b".." {
                if !is_same(&at, &begin.root)? {
                    at = open(&at, b"..").ok()?;
                }
                continue;
            }
            let next = match open(&at, &name) {
                Ok(next) => next,
                Err(Errno::NOENT) if todo.is_empty() || failed => {
                    // It was there, or it would be: what a call removed, or was missing.
                    let mut chain = self.atlas.chain(&begin.task, &at).filter(|chain| !chain.mounted)?;
                    todo.push_front(name);
                    if todo.iter().any(|name| name == b"..") {
                        return None;
                    }
                    let rest = todo.make_contiguous().join(&b'/');
                    let slash = if chain.path.is_empty() { &b""[..] } else { b"/" };
                    chain.path = [&*chain.path, slash, &rest].concat().into();
                    trace.end = Some(chain);
                    return Some(());
                }
                Err(_) => return None,
            };
            let is_link = kind(&next)? == FileType::Symlink;
            if !is_link || todo.is_empty() && !follow_last && !text.ends_with(b"/") {
                at = next;
                continue;
            }
            followed += 1;
            if followed > MAX_LINKS {
                return None;
            }
            if let Some(target) = own_number(&begin.task, &next, &name) {
                names(target.as_bytes()).into_iter().rev().for_each(|name| todo.push_front(name));
                continue;
            }
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            if look_up(&at, &name, flags, ResolveFlags::NO_MAGICLINKS).err() == Some(Errno::LOOP)
                && let Ok(beyond) = openat(&at, &*name, flags, Mode::empty())
            {
                at = beyond; // a link of /proc that leads where no text says
                continue;
            }
            trace.links.extend(self.atlas.chain(&begin.task, &next).filter(|chain| !chain.mounted));
            let target = readlinkat(&next, "", Vec::new()).ok()?.into_bytes();
            if target.starts_with(b"/") {
                at = begin.root.try_clone().ok()?;
            }
            names(&target).into_iter().rev().for_each(|name| todo.push_front(name));
        }
        if !failed {
            trace.end = self.atlas.chain(&begin.task, &at).filter(|chain| !chain.mounted);
        }
        Some(())
    }
}

/// Whether a path leads through no link and into no mount: then it means the same on the image's tree.
fn is_plain(begin: &Begin, text: &[u8], follow: bool) -> bool {
    let relative = text.iter().position(|&byte| byte != b'/').map_or(&b"."[..], |start| &text[start..]);
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let flags = if follow { flags } else { flags | OFlags::NOFOLLOW };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    match look_up(&begin.base, relative, flags, resolve) {
        Ok(_) | Err(Errno::NOENT) => true,
        Err(_) => false,
    }
}

/// A place of the container by its path from the root of another.
fn within(root: &OwnedFd, path: &[u8]) -> Option<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    look_up(root, path, OFlags::PATH | OFlags::CLOEXEC, ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS)
        .ok()
}

/// The path of a place from a root, if it lies beneath that in the image.
fn beneath<'a>(place: &'a Chain, root: Option<&Chain>) -> Option<&'a [u8]> {
    let root = root.filter(|root| !place.detached && root.dev == place.dev)?;
    let rest = place.path.strip_prefix(&*root.path)?;
    match rest.strip_prefix(b"/") {
        Some(rest) => Some(rest),
        None if rest.is_empty() || root.path.is_empty() => Some(rest),
        None => None,
    }
}

fn names(text: &[u8]) -> VecDeque<Vec<u8>> {
    let names = text.split(|&byte| byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
    names.map(<[u8]>::to_vec).collect()
}

/// Opens an entry as a place only, links not followed.
fn open(directory: &OwnedFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    openat(directory, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn kind(place: &OwnedFd) -> Option<FileType> {
    Some(FileType::from_raw_mode(u32::from(status(place, StatxFlags::empty())?.stx_mode)))
}

fn is_same(one: &OwnedFd, other: &OwnedFd) -> Option<bool> {
    let id = |place| {
        let status = status(place, StatxFlags::MNT_ID)?;
        Some((status.stx_mnt_id, status.stx_ino, status.stx_dev_major, status.stx_dev_minor))
    };
    Some(id(one)? == id(other)?)
}

/// Where `self` and `thread-self` of `/proc` lead the process: for us they would lead elsewhere.
fn own_number(task: &Task, link: &OwnedFd, name: &[u8]) -> Option<String> {
    const PROC_SUPER_MAGIC: u64 = 0x9fa0;
    if name != b"self" && name != b"thread-self" {
        return None;
    }
    let kind = rustix::fs::fstatfs(link).ok()?.f_type;
    if kind as u64 & 0xffff_ffff != PROC_SUPER_MAGIC {
        return None;
    }
    let status = task.read("status", 1 << 16).ok()?;
    let status = String::from_utf8_lossy(&status);
    let number = status.lines().find_map(|line| line.strip_prefix("NStgid:"))?.split_whitespace().last()?;
    Some(if name == b"self" { number.to_owned() } else { format!("{number}/task/{number}") })
}
