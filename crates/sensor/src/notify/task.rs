//! A thread that waits for an answer: its memory, its descriptors, its places.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

/// The longest path that the kernel takes, with its end.
const PATH_MAX: usize = 4096;
const PAGE: u64 = 4096;
/// Most files of `/proc` fit into it, so that one call reads them.
const ROOM: usize = 16 << 10;

/// Why memory cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// There is nothing, or no end within the limit: the kernel fails likewise.
    Nothing,
    /// There may be something, but we may not look.
    Refused,
}

/// The thread.
#[derive(Debug)]
pub(crate) struct Task {
    thread: u32,
    /// `/proc/THREAD`, which never comes to mean another thread.
    proc: OwnedFd,
    /// Whether something could not be looked at although it may be there.
    failed: Cell<bool>,
}

impl Task {
    pub(crate) fn open(thread: u32) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = openat(CWD, format!("/proc/{thread}"), flags, Mode::empty())?;
        Ok(Self { thread, proc, failed: Cell::new(false) })
    }

    pub(super) fn thread(&self) -> u32 {
        self.thread
    }

    /// Notes that something could not be looked at, so that nobody takes it for absent.
    pub(super) fn fail(&self) {
        self.failed.set(true);
    }

    /// The same if a look-up failed for a reason of ours.
    pub(super) fn fail_if_ours(&self, errno: Errno) {
        if is_of_ours(errno) {
            self.fail();
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.get()
    }

    /// What is not there is not there for the caller either; all else is a failure of ours.
    fn noted<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.as_ref().is_err_and(|error| !is_absence(error)) {
            self.fail();
        }
        result
    }

    /// Something that `/proc/THREAD` links to: `root`, `cwd`, `exe`, `fd/N`. Nothing is opened but the place.
    pub(crate) fn open_link(&self, name: &str) -> io::Result<OwnedFd> {
        self.noted(
            openat(&self.proc, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(Into::into),
        )
    }

    /// What a descriptor of the thread stands for.
    pub(super) fn descriptor(&self, number: i32) -> io::Result<OwnedFd> {
        self.open_link(&format!("fd/{number}"))
    }

    /// Whether it is ending or gone: then it holds nothing any more, and `/proc` may answer with any error.
    pub(super) fn is_ending(&self) -> bool {
        const PF_EXITING: u32 = 4;
        match self.read("stat", PAGE) {
            Ok(text) => flags(&text).is_some_and(|flags| flags & PF_EXITING != 0),
            Err(error) => is_absence(&error),
        }
    }

    /// A file of `/proc/THREAD`, cut after `limit` bytes.
    pub(crate) fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        use std::io::Read as _;
        let read = || {
            let file = openat(&self.proc, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
            let mut bytes = Vec::with_capacity(ROOM);
            std::fs::File::from(file).take(limit).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        self.noted(read())
    }

    /// Bytes of its memory, all of them.
    pub(super) fn bytes<const N: usize>(&self, address: u64) -> Result<[u8; N], Unread> {
        let mut bytes = [0; N];
        match sys::seccomp::read_memory(self.thread, address, &mut bytes) {
            Ok(count) if count == N => Ok(bytes),
            Ok(_) => Err(Unread::Nothing),
            Err(error) => Err(unread(&error)),
        }
    }

    /// An array of words, each of `size` bytes, 4 or 8.
    pub(super) fn word(&self, address: u64, size: u64) -> Result<u64, Unread> {
        match size {
            4 => self.bytes::<4>(address).map(|bytes| u64::from(u32::from_ne_bytes(bytes))),
            _ => self.bytes::<8>(address).map(u64::from_ne_bytes),
        }
    }

    /// A text that ends with NUL, without it.
    pub(super) fn text(&self, address: u64) -> Result<Vec<u8>, Unread> {
        self.text_within(address, PATH_MAX, false)
    }

    /// A text that ends with NUL or, if `open_end`, after `limit` bytes. One page at a time, since a read that reaches
    /// into a missing page gives nothing at all.
    pub(super) fn text_within(&self, address: u64, limit: usize, open_end: bool) -> Result<Vec<u8>, Unread> {
        let mut text = Vec::new();
        let mut buffer = [0; PATH_MAX];
        while text.len() < limit {
            let at = address.checked_add(text.len() as u64).ok_or(Unread::Nothing)?;
            let in_page = usize::try_from(PAGE - at % PAGE).unwrap_or(PATH_MAX);
            let piece = &mut buffer[..in_page.min(limit - text.len())];
            let count = sys::seccomp::read_memory(self.thread, at, piece).map_err(|error| unread(&error))?;
            let piece = piece.get(..count).unwrap_or_default();
            if let Some(end) = piece.iter().position(|&byte| byte == 0) {
                text.extend_from_slice(&piece[..end]);
                return Ok(text);
            }
            text.extend_from_slice(piece);
            if piece.is_empty() {
                return Err(Unread::Nothing);
            }
        }
        if open_end { Ok(text) } else { Err(Unread::Nothing) }
    }
}

/// The kernel's flags of a thread, from its `stat`: the seventh word after the name, which may hold anything.
///
/// Source: `proc_pid_stat(5)`.
fn flags(stat: &[u8]) -> Option<u32> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    std::str::from_utf8(&stat[name_end + 1..]).ok()?.split_whitespace().nth(6)?.parse().ok()
}

const ESRCH: i32 = 3;

/// Whether an error says that there is nothing.
pub(super) fn is_absence(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

/// Whether an error says that there is no room for one more look, or that it came at a bad time, and nothing of what is
/// looked for.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(is_of_ours)
}

/// The same of a look-up.
pub(super) fn is_of_ours(errno: Errno) -> bool {
    matches!(errno, Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::INTR)
}

fn unread(error: &io::Error) -> Unread {
    const EFAULT: i32 = 14;
    match error.raw_os_error() {
        Some(EFAULT | ESRCH) | None => Unread::Nothing,
        Some(_) => Unread::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_has_ended_is_told_from_one_that_lives() {
        assert_eq!(flags(b"7 (a) b 3) S 1 7 7 0 -1 4194560 0 0\n"), Some(4_194_560));
        assert_eq!((flags(b"7 (a"), flags(b"7 (a) S 1")), (None, None));
        assert!(!Task::open(std::process::id()).unwrap().is_ending());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let task = Task::open(child.id()).unwrap();
        while !task.is_ending() {}
        assert!(Task::open(child.id()).unwrap().is_ending(), "a zombie");
        child.wait().unwrap();
        assert!(task.is_ending());
        assert!(task.open_link("exe").is_err());
    }

    #[test]
    fn texts_are_read_over_page_borders_and_end_where_the_kernel_would_end_them() {
        let own = Task::open(std::process::id()).unwrap();
        let mut text = vec![b'x'; 3 * PAGE as usize];
        let start = text.as_ptr() as u64;
        assert_eq!(own.text(start), Err(Unread::Nothing), "no end within PATH_MAX");
        text[4095] = 0;
        assert_eq!(own.text(start).map(|t| t.len()), Ok(4095));
        text[..4].copy_from_slice(b"/a\0b");
        assert_eq!(own.text(start), Ok(b"/a".to_vec()));
        assert_eq!(own.text_within(start + 4, 10, true), Ok(vec![b'x'; 10]));
        assert_eq!(own.text(8), Err(Unread::Nothing));
        assert_eq!(own.text(u64::MAX - 1), Err(Unread::Nothing));
    }
}
