//! Where the path of a call leads, never leaving the caller's root.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;

use super::ask::{ABSOLUTE, AT_FDCWD, IN_ROOT, Question};
use super::mounts::beneath as beneath_name;
use super::place::{look_up, status};
use crate::wire::Chain;

/// Where a path starts.
pub(super) enum Base {
    /// At the root of the process.
    Root,
    /// At a directory, which is the root as well with RESOLVE_IN_ROOT.
    Directory(OwnedFd),
}

impl Question<'_> {
    /// Where the text starts, and that as a place. `None` if the descriptor is none.
    pub(super) fn base(&mut self, text: &[u8], dirfd: i32, bits: &mut u8) -> Option<(Base, Option<Chain>)> {
        if text.starts_with(b"/") && *bits & IN_ROOT == 0 {
            *bits |= ABSOLUTE;
            return Some((Base::Root, None));
        }
        let fd = match dirfd {
            AT_FDCWD => self.task.open_link("cwd"),
            number => self.task.descriptor(number),
        };
        let fd = fd.ok()?;
        let chain = self.atlas.chain(&self.task, &fd);
        Some((Base::Directory(fd), chain))
    }

    /// What is there now, never leaving the caller's root.
    pub(super) fn find(
        &self,
        base: &Base,
        text: &[u8],
        in_root: bool,
        follow: bool,
    ) -> rustix::io::Result<OwnedFd> {
        self.find_from(base, text, in_root, follow).inspect_err(|errno| self.task.fail_if_ours(*errno))
    }

    fn find_from(
        &self,
        base: &Base,
        text: &[u8],
        in_root: bool,
        follow: bool,
    ) -> rustix::io::Result<OwnedFd> {
        let whole = match base {
            Base::Root => text.to_vec(),
            Base::Directory(fd) if in_root => {
                return beneath(fd, text, follow, self.restricted | ResolveFlags::IN_ROOT);
            }
            Base::Directory(fd) => match self.root.path_of(fd) {
                Some(path) => [&*path, b"/", text].concat(),
                None => return beneath(fd, text, follow, ResolveFlags::BENEATH),
            },
        };
        match self.through_own(&whole, follow) {
            Some(found) => found,
            None => self.root.look_up(&self.by_number(whole), follow, self.restricted),
        }
    }

    /// A path through the caller's own `/proc/self`, which for us would mean ourselves.
    fn through_own(&self, path: &[u8], follow: bool) -> Option<rustix::io::Result<OwnedFd>> {
        const OWN: [(&[u8], &str); 6] = [
            (b"/proc/self/fd/", "fd/"),
            (b"/proc/thread-self/fd/", "fd/"),
            (b"/dev/fd/", "fd/"),
            (b"/proc/self/exe", "exe"),
            (b"/proc/self/cwd", "cwd"),
            (b"/proc/self/root", "root"),
        ];
        let (rest, link) = OWN.iter().find_map(|(own, link)| Some((path.strip_prefix(*own)?, *link)))?;
        let end = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
        let (name, beyond) = rest.split_at(end);
        let name = std::str::from_utf8(name).ok()?;
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty();
        if is_number != link.ends_with('/') || beyond.is_empty() && !follow {
            return None;
        }
        let fd = self.task.open_link(&format!("{link}{name}")).map_err(|_| Errno::NOENT);
        let beyond = beyond.strip_prefix(b"/").unwrap_or(beyond);
        Some(match fd {
            Ok(fd) if !beyond.is_empty() => beneath(&fd, beyond, follow, ResolveFlags::BENEATH),
            other => other,
        })
    }

    /// The same path with the caller's number for its `/proc/self`, as its own PID namespace counts.
    fn by_number(&self, path: Vec<u8>) -> Vec<u8> {
        let own = [(&b"/proc/self"[..], "NStgid:"), (b"/proc/thread-self", "NSpid:")];
        let Some((rest, field)) =
            own.iter().find_map(|(own, field)| Some((beneath_name(&path, own)?, field)))
        else {
            return path;
        };
        let status = self.task.read("status", 1 << 16).unwrap_or_default();
        let status = String::from_utf8_lossy(&status);
        let number = |field: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(field))?
                .split_whitespace()
                .last()
                .map(str::to_owned)
        };
        let (Some(process), Some(thread)) = (number("NStgid:"), number(field)) else { return path };
        let directory = match *field {
            "NSpid:" => format!("/proc/{process}/task/{thread}"),
            _ => format!("/proc/{process}"),
        };
        [directory.as_bytes(), rest].concat()
    }

    /// What is at a path, for an exec.
    pub(super) fn program_at(&mut self, text: &[u8], dirfd: Option<i32>) -> rustix::io::Result<OwnedFd> {
        let mut bits = 0;
        let (base, _) = self.base(text, dirfd.unwrap_or(AT_FDCWD), &mut bits).ok_or(Errno::BADF)?;
        self.find(&base, text, false, true)
    }

    /// Where a relative text starts.
    pub(super) fn base_chain(&mut self, text: &[u8], dirfd: Option<i32>) -> (u8, Option<Chain>) {
        let mut bits = 0;
        let found = self.base(text, dirfd.unwrap_or(AT_FDCWD), &mut bits);
        (bits, found.and_then(|(_, chain)| chain))
    }
}

fn beneath(fd: &OwnedFd, text: &[u8], follow: bool, resolve: ResolveFlags) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let flags = if follow { flags } else { flags | OFlags::NOFOLLOW };
    look_up(fd, text, flags, resolve | ResolveFlags::NO_MAGICLINKS)
}

/// The regular file behind a descriptor that only names a place, opened for reading.
pub(super) fn open_file(place: &OwnedFd) -> std::io::Result<std::fs::File> {
    use std::os::fd::AsRawFd as _;
    let mode = status(place, StatxFlags::empty()).map_or(0, |stat| u32::from(stat.stx_mode));
    if FileType::from_raw_mode(mode) != FileType::RegularFile {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    std::fs::File::open(format!("/proc/self/fd/{}", place.as_raw_fd()))
}
