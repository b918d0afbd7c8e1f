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
    /// Where the text starts, and that as a place; of an absolute one, if it goes through a descriptor of the caller's own
    /// in `/proc`, or its working directory. `None` if the descriptor is none.
    pub(super) fn base(&mut self, text: &[u8], dirfd: i32, bits: &mut u8) -> Option<(Base, Option<Chain>)> {
        if text.starts_with(b"/") && *bits & IN_ROOT == 0 {
            *bits |= ABSOLUTE;
            let own = own_link(text).filter(|(link, _)| link != "exe" && link != "root");
            let own = own.and_then(|(link, _)| self.task.open_link(&link).ok());
            return Some((Base::Root, own.and_then(|fd| self.atlas.chain(&self.task, &fd))));
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
        let (link, beyond) = own_link(path).filter(|(_, beyond)| follow || !beyond.is_empty())?;
        let fd = self.task.open_link(&link).map_err(|_| Errno::NOENT);
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

/// What of `/proc/PID` a path means that goes through the caller's own, and the rest of the path.
fn own_link(path: &[u8]) -> Option<(String, &[u8])> {
    let rest = [&b"/proc/self/"[..], b"/proc/thread-self/"].iter().find_map(|own| path.strip_prefix(*own));
    let (link, rest) = match (rest, path.strip_prefix(b"/dev/fd/")) {
        (Some(rest), _) if rest.starts_with(b"fd/") => ("fd/", &rest[3..]),
        (Some(rest), _) => ("", rest),
        (None, Some(rest)) => ("fd/", rest),
        (None, None) => return None,
    };
    let end = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
    let (name, beyond) = rest.split_at(end);
    let is_number = !name.is_empty() && name.iter().all(u8::is_ascii_digit);
    let is_own = if link.is_empty() { [&b"exe"[..], b"cwd", b"root"].contains(&name) } else { is_number };
    Some((format!("{link}{}", std::str::from_utf8(name).ok()?), beyond)).filter(|_| is_own)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_links_are_told_from_other_paths() {
        for (path, expected) in [
            ("/proc/self/fd/7", Some(("fd/7", ""))),
            ("/proc/thread-self/fd/12/a/b", Some(("fd/12", "/a/b"))),
            ("/dev/fd/0", Some(("fd/0", ""))),
            ("/proc/self/cwd/x", Some(("cwd", "/x"))),
            ("/proc/thread-self/root", Some(("root", ""))),
            ("/proc/self/fd/x", None),
            ("/proc/self/fd/", None),
            ("/proc/self/maps", None),
            ("/proc/self/cwdx", None),
            ("/dev/fd", None),
            ("/proc/7/cwd/x", None),
        ] {
            let expected = expected.map(|(link, beyond)| (link.to_owned(), beyond.as_bytes()));
            assert_eq!(own_link(path.as_bytes()), expected, "{path}");
        }
    }
}
