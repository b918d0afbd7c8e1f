//! From one call that waits to the events that it is: the path read, resolved, and its outcome foreseen.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{ResolveFlags, StatxFlags};
use rustix::io::Errno;
use sys::seccomp::{I386, Notification};

use super::place::{Atlas, Root, kernel_device, status};
use super::task::{Task, Unread, is_of_ours};
use super::{address, exec};
use crate::making::{SETTING, settings};
use crate::syscalls::{self, TABLE_LENGTH};
use crate::wire::{Chain, Event, Flags, Op, Program};

pub(super) const AT_FDCWD: i32 = -100;
const O_CREAT: u32 = 0o100;
const O_EXCL: u32 = 0o200;
const CREAT_FLAGS: u32 = 0x241;
const RESOLVE_IN_ROOT: u64 = 0x10;
const RESOLVE_NO_SYMLINKS: u64 = 4;
const PROT_EXEC: u64 = 4;

pub(super) const NOFOLLOW: u8 = 1;
pub(super) const IN_ROOT: u8 = 2;
pub(super) const ABSOLUTE: u8 = 4;
const PENDING: u8 = 8;
const EXEC: u8 = 16;

/// Where open flags come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    None,
    Argument,
    Struct,
    Creat,
}

/// What a call makes that shows elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Makes {
    Nothing,
    Link,
    Name,
    Mount,
    Root,
}

/// A word of the tables in [`syscalls`], unpacked. Arguments by index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) op: Op,
    pub(super) path: Option<usize>,
    pub(super) dirfd: Option<usize>,
    pub(super) second: Option<usize>,
    pub(super) second_dirfd: Option<usize>,
    pub(super) flags: Option<usize>,
    how: How,
    pub(super) makes: Makes,
    inverted: bool,
    nofollow: u32,
}

impl Shape {
    pub(super) fn of(word: u64) -> Option<Self> {
        let index = |shift: u32| ((word >> shift & 0xf) as usize).checked_sub(1);
        Some(Self {
            op: Op::from_wire((word & 0xff) as u8)?,
            path: index(8),
            dirfd: index(12),
            second: index(16),
            second_dirfd: index(20),
            flags: index(24),
            how: match word >> 28 & 7 {
                1 => How::Argument,
                2 => How::Struct,
                3 => How::Creat,
                _ => How::None,
            },
            makes: match (word >> 28 & 7, index(16)) {
                (5, Some(_)) => Makes::Root,
                (6, _) => Makes::Link,
                (7, _) => Makes::Mount,
                (_, Some(_)) => Makes::Name,
                (_, None) => Makes::Nothing,
            },
            inverted: word >> 31 & 1 == 1,
            nofollow: (word >> 32) as u32,
        })
    }
}

/// The tables of both ways of calling.
#[derive(Debug)]
pub(super) struct Tables {
    native: [u64; TABLE_LENGTH],
    compat: [u64; TABLE_LENGTH],
}

impl Tables {
    pub(super) fn new() -> Self {
        Self { native: syscalls::native(), compat: syscalls::compat() }
    }

    fn shape(&self, call: &Notification) -> Option<Shape> {
        let table = if call.arch == I386 { &self.compat } else { &self.native };
        Shape::of(*table.get(usize::try_from(call.number).ok()?)?)
    }
}

/// What one call tells.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Uses that were found, counted as they were: what becomes of the events is counted by others.
    pub(super) seen: u64,
    pub(super) events: Vec<Event>,
    /// Whether something of it could not be read although the kernel may be able to.
    pub(super) faulted: bool,
}

/// One call and its caller.
pub(super) struct Question<'a> {
    pub(super) call: &'a Notification,
    pub(super) task: Task,
    pub(super) root: Root,
    pub(super) atlas: &'a mut Atlas,
    pub(super) program: Arc<Program>,
    /// How the caller restricts the resolution, beyond our own restrictions.
    pub(super) restricted: ResolveFlags,
    pub(super) told: Told,
}

/// Takes a call apart. An error means that the caller is gone or, if it waits on, that we cannot look at it.
pub(super) fn examine(tables: &Tables, call: &Notification, atlas: &mut Atlas) -> std::io::Result<Told> {
    let Some(shape) = tables.shape(call) else { return Ok(Told::default()) };
    atlas.turn_to(call.thread);
    let task = Task::open(call.thread)?;
    let root = Root::of(&task)?;
    let program = Arc::new(program_of(&task, atlas));
    let mut question = Question {
        call,
        task,
        root,
        atlas,
        program,
        restricted: ResolveFlags::empty(),
        told: Told::default(),
    };
    question.take_apart(&shape);
    if question.told.events.iter().all(|event| event.errno == 0) {
        question.atlas.let_go(call);
    }
    let failed = question.task.has_failed() | question.atlas.take_failure();
    Ok(Told { faulted: question.told.faulted | failed, ..question.told })
}

fn program_of(task: &Task, atlas: &mut Atlas) -> Program {
    let exe = task.open_link("exe").ok();
    let argv0 = task.read("cmdline", 4096).unwrap_or_default();
    let argv0 = argv0.split(|&byte| byte == 0).next().unwrap_or_default();
    Program {
        id: exe.as_ref().map_or((0, 0), identity),
        exe: exe.and_then(|exe| atlas.chain(task, &exe)),
        argv0: argv0.into(),
    }
}

/// Device and inode.
pub(super) fn identity(fd: &OwnedFd) -> (u32, u64) {
    status(fd, StatxFlags::empty()).map_or((0, 0), |stat| (kernel_device(&stat), stat.stx_ino))
}

impl Question<'_> {
    pub(super) fn argument(&self, index: usize) -> u64 {
        self.call.arguments.get(index).copied().unwrap_or(0)
    }

    /// A descriptor in an argument.
    pub(super) fn number(&self, index: usize) -> i32 {
        self.argument(index) as u32 as i32
    }

    /// The size of a pointer of the caller.
    pub(super) fn word_bytes(&self) -> u64 {
        if self.call.arch == I386 { 4 } else { 8 }
    }

    fn take_apart(&mut self, shape: &Shape) {
        match shape.op {
            Op::Connect | Op::Send | Op::SendMessage | Op::SendMessages | Op::Bind | Op::SocketCall => {
                let is_bind = shape.op == Op::Bind;
                match address::paths(&self.task, self.call, shape.op, self.word_bytes()) {
                    Ok(found) => {
                        for (op, text) in found {
                            let op = if is_bind { Op::Bind } else { op };
                            self.path(op, 0, 0, Some(text), AT_FDCWD);
                        }
                    }
                    Err(unread) => self.unread(unread),
                }
            }
            Op::Map => {
                let flags = if self.argument(2) & PROT_EXEC != 0 { EXEC } else { 0 };
                self.descriptor(Op::Map, flags, self.number(4));
            }
            Op::OldMap => self.old_map(),
            Op::FsConfig => self.file_system_setting(),
            Op::Bpf => self.bpf(),
            Op::ReadDirectory | Op::Enter => self.descriptor(shape.op, 0, self.number(0)),
            Op::Exec => exec::examine(self, shape.path.unwrap_or(0), shape.dirfd),
            _ => {
                self.paths(shape);
                // The source of a mount may be no path.
                let is_mount = shape.makes == Makes::Mount;
                if is_mount || self.told.events.iter().all(|event| event.errno == 0) {
                    self.made(shape);
                }
            }
        }
    }

    /// What is not there the kernel does not find either; what we may not read counts.
    pub(super) fn unread(&mut self, unread: Unread) {
        self.told.faulted |= unread == Unread::Refused;
    }

    /// i386's mmap has its arguments in memory.
    fn old_map(&mut self) {
        const MAP_ANONYMOUS: u32 = 0x20;
        let words = match self.task.bytes::<24>(self.argument(0)) {
            Ok(words) => words,
            Err(unread) => return self.unread(unread),
        };
        let word = |n: usize| u32::from_ne_bytes(std::array::from_fn(|i| words[4 * n + i]));
        if word(3) & MAP_ANONYMOUS == 0 {
            let flags = if u64::from(word(2)) & PROT_EXEC != 0 { EXEC } else { 0 };
            self.descriptor(Op::Map, flags, word(4) as i32);
        }
    }

    /// fsconfig with a path as value: a layer of an overlay, a device.
    fn file_system_setting(&mut self) {
        const SET_STRING: u64 = 1;
        const SET_PATH: u64 = 3;
        const SET_PATH_EMPTY: u64 = 4;
        const SET_FD: u64 = 5;
        // The workdir of an overlay shows nowhere.
        let is_shown = self.text(2).is_none_or(|key| key != b"workdir");
        let how = if is_shown { self.setting() } else { 0 };
        match u64::from(self.argument(1) as u32) {
            SET_PATH | SET_PATH_EMPTY => {
                let text = self.text(3);
                self.path(Op::Use, 0, how, text, self.number(4));
            }
            // Whether a text is a path only the file system knows; absolute ones mostly are.
            SET_STRING => {
                let text = self.text(3).filter(|text| text.starts_with(b"/")).unwrap_or_default();
                for path in settings(&text) {
                    self.path(Op::Use, 0, how, Some(path), AT_FDCWD);
                }
            }
            SET_FD => {
                let Ok(fd) = self.task.descriptor(self.number(4)) else { return };
                let object = self.atlas.chain(&self.task, &fd);
                self.push(Op::Use, 0, 0, how, None, object, None);
            }
            _ => {}
        }
    }

    /// How settings of file systems are marked that this process sets up.
    pub(super) fn setting(&self) -> u32 {
        SETTING | self.task.thread() << 1
    }

    /// bpf(BPF_OBJ_GET) and its like, with a path in their attributes.
    fn bpf(&mut self) {
        const OBJECT_PIN: u64 = 6;
        const OBJECT_GET: u64 = 7;
        const PATH_FD: u32 = 1 << 14;
        let command = u64::from(self.argument(0) as u32);
        if !matches!(command, OBJECT_PIN | OBJECT_GET) {
            return;
        }
        // A pointer (8 bytes), a descriptor, flags, and the descriptor at which the path starts. Who knows of less states
        // less.
        let at = self.argument(1);
        let attributes = match self.argument(2) as u32 {
            20.. => self.task.bytes::<20>(at),
            _ => self
                .task
                .bytes::<8>(at)
                .map(|short| std::array::from_fn(|i| short.get(i).copied().unwrap_or(0))),
        };
        let word = |attributes: &[u8; 20], at: usize| {
            u32::from_ne_bytes(std::array::from_fn(|i| attributes[at + i]))
        };
        let read = attributes.and_then(|attributes| {
            let address = u64::from_ne_bytes(std::array::from_fn(|i| attributes[i]));
            let has_base = word(&attributes, 12) & PATH_FD != 0;
            let dirfd = if has_base { word(&attributes, 16) as i32 } else { AT_FDCWD };
            Ok((self.task.text(address)?, dirfd))
        });
        match read {
            Ok((text, dirfd)) if command == OBJECT_PIN => {
                self.path(Op::Create, NOFOLLOW, 0, Some(text), dirfd);
            }
            Ok((text, dirfd)) => {
                self.path(Op::Use, 0, 0, Some(text), dirfd);
            }
            Err(unread) => self.unread(unread),
        }
    }

    /// A use of what a descriptor stands for.
    fn descriptor(&mut self, op: Op, flags: u8, number: i32) {
        let Ok(fd) = self.task.descriptor(number) else { return };
        let object = self.atlas.chain(&self.task, &fd);
        self.push(op, flags, 0, 0, None, object, None);
    }

    fn paths(&mut self, shape: &Shape) {
        let Some(path) = shape.path else { return };
        let mut flags = shape.flags.map_or(0, |index| self.argument(index)) as u32;
        let mut how = 0;
        let mut bits = 0;
        match shape.how {
            How::None => {}
            How::Argument => how = flags,
            How::Creat => how = CREAT_FLAGS,
            How::Struct => {
                let at = shape.flags.map_or(0, |index| self.argument(index));
                let open_how = match self.task.bytes::<24>(at) {
                    Ok(open_how) => open_how,
                    Err(unread) => return self.unread(unread),
                };
                let word = |n: usize| u64::from_ne_bytes(std::array::from_fn(|i| open_how[8 * n + i]));
                flags = word(0) as u32;
                how = flags;
                if word(2) & RESOLVE_IN_ROOT != 0 {
                    bits |= IN_ROOT;
                }
                if word(2) & RESOLVE_NO_SYMLINKS != 0 {
                    self.restricted = ResolveFlags::NO_SYMLINKS;
                }
            }
        }
        if (flags & shape.nofollow != 0) != shape.inverted {
            bits |= NOFOLLOW;
        }
        let dirfd = |index: Option<usize>, this: &Self| index.map_or(AT_FDCWD, |index| this.number(index));
        let first = self.text(path);
        let errno = self.path(shape.op, bits, how, first, dirfd(shape.dirfd, self));
        let Some(second) = shape.second else { return };
        let op = if shape.op == Op::Use { Op::Use } else { Op::Create };
        let text = self.text(second);
        let before = self.told.events.len();
        let _foreseen = self.path(op, NOFOLLOW, 0, text, dirfd(shape.second_dirfd, self));
        for event in &mut self.told.events[before..] {
            // A rename replaces what is there; what failed at its first path does not come to the second.
            if shape.op == Op::Remove || errno != 0 {
                event.errno = errno;
            }
        }
    }

    /// The text in an argument that is a pointer.
    pub(super) fn text(&mut self, index: usize) -> Option<Vec<u8>> {
        match self.argument(index) {
            0 => None,
            address => self.task.text(address).map_err(|unread| self.unread(unread)).ok(),
        }
    }

    /// A use of a path, with the errno that the call will fail with as far as the path decides it.
    fn path(&mut self, op: Op, mut bits: u8, how: u32, text: Option<Vec<u8>>, dirfd: i32) -> i32 {
        // An empty path means the descriptor, whose opening was seen.
        let Some(text) = text.filter(|text| !text.is_empty()) else { return 0 };
        let Some((base, at)) = self.base(&text, dirfd, &mut bits) else { return 0 };
        let exclusive = how & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL && op == Op::Open;
        let found = self.find(&base, &text, bits & IN_ROOT != 0, bits & NOFOLLOW == 0 && !exclusive);
        let makes = matches!(op, Op::Create | Op::Bind) || op == Op::Open && how & O_CREAT != 0;
        let (errno, object) = match found {
            Ok(_) if matches!(op, Op::Create | Op::Bind) || exclusive => (Errno::EXIST.raw_os_error(), None),
            Ok(fd) => {
                let object = self.atlas.chain(&self.task, &fd);
                if self.clones() {
                    self.atlas.note_clone(&fd, object.as_ref());
                }
                (0, object)
            }
            Err(Errno::NOENT) if makes => {
                bits |= PENDING;
                (0, None)
            }
            // A link of /proc into another process, or out of the root: the text tells what can be told.
            Err(Errno::XDEV) => (0, None),
            // Counted as a fault; the text tells the same.
            Err(errno) if is_of_ours(errno) => (0, None),
            Err(Errno::LOOP) if self.restricted.is_empty() => (0, None),
            Err(errno) => (errno.raw_os_error(), None),
        };
        self.push(op, bits, errno, how, Some(text.into()), object, at);
        errno
    }

    /// Whether the call makes a mount that is attached nowhere yet (open_tree, open_tree_attr).
    fn clones(&self) -> bool {
        const OPEN_TREE_CLONE: u64 = 1;
        matches!(self.call.number, 428 | 467) && self.argument(2) & OPEN_TREE_CLONE != 0
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of an event, in their order")]
    pub(super) fn push(
        &mut self,
        op: Op,
        bits: u8,
        errno: i32,
        how: u32,
        text: Option<Box<[u8]>>,
        object: Option<Chain>,
        base: Option<Chain>,
    ) {
        let root = text.as_ref().and_then(|_| self.atlas.chain(&self.task, &self.root.fd()));
        let flags = Flags::new(bits);
        let program = Arc::clone(&self.program);
        let (base, root) = (base.map(Arc::new), root.map(Arc::new));
        self.told.seen += 1;
        self.told.events.push(Event { op, flags, errno, how, text, object, base, root, program });
    }
}
