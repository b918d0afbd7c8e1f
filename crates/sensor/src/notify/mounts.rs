//! Which mount lies where: from a path as the kernel tells it to a path of the image.
//!
//! Source: `proc_pid_mountinfo(5)`.

use std::os::unix::ffi::OsStringExt as _;

/// A line of mountinfo, as far as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Of its file system, as the kernel has it inside.
    pub(super) device: u32,
    /// Which directory of the file system is mounted.
    pub(super) root: Vec<u8>,
    /// Where it is mounted, relative to the root of the process that was asked.
    pub(super) point: Vec<u8>,
}

/// The mount of this ID. Only its own line is taken apart.
pub(super) fn find(mountinfo: &[u8], id: u64) -> Option<Mount> {
    let wanted = format!("{id} ");
    let line =
        mountinfo.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(wanted.as_bytes()))?;
    let mut fields = line.split(|&byte| byte == b' ');
    let _parent = fields.next()?;
    let mut device = fields.next()?.split(|&byte| byte == b':');
    let (major, minor) = (number(device.next()?)?, number(device.next()?)?);
    let device = u32::try_from(major << 20 | minor).ok()?;
    Some(Mount { device, root: unescape(fields.next()?), point: unescape(fields.next()?) })
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Space, tab, newline and backslash stand as three octal digits.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|digits| digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        match digits {
            Some(digits) if first == b'\\' => {
                out.push(digits.iter().fold(0u8, |sum, d| sum.wrapping_mul(8).wrapping_add(d - b'0')));
                rest = &after[3..];
            }
            _ => {
                out.push(first);
                rest = after;
            }
        }
    }
    out
}

/// What of `path` lies beneath `directory`, with its leading slash; empty for the directory itself.
pub(super) fn beneath<'a>(path: &'a [u8], directory: &[u8]) -> Option<&'a [u8]> {
    let directory = directory.strip_suffix(b"/").unwrap_or(directory);
    let rest = path.strip_prefix(directory)?;
    (rest.is_empty() || rest.starts_with(b"/")).then_some(rest)
}

/// A path as `readlink` gives it for a descriptor.
pub(super) fn link_of(fd: &impl std::os::fd::AsFd) -> std::io::Result<Vec<u8>> {
    use std::os::fd::AsRawFd as _;
    let link = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    Ok(std::fs::read_link(link)?.into_os_string().into_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_is_read_with_its_escapes() {
        let text = b"36 35 0:52 / / rw,relatime - overlay overlay rw\n\
            37 36 0:52 /t/b\\040src /t/b\\134dst rw - overlay overlay rw\nnonsense\n38 36 x\n";
        assert_eq!(find(text, 36), Some(Mount { device: 52, root: b"/".to_vec(), point: b"/".to_vec() }));
        let bound = find(text, 37).unwrap();
        assert_eq!((&*bound.root, &*bound.point), (&b"/t/b src"[..], &b"/t/b\\dst"[..]));
        assert_eq!([3, 6, 7, 38].map(|id| find(text, id)), [None, None, None, None]);
    }

    #[test]
    fn what_lies_beneath_ends_at_a_whole_name() {
        assert_eq!(beneath(b"/a/b", b"/"), Some(&b"/a/b"[..]));
        assert_eq!(beneath(b"/", b"/"), Some(&b"/"[..]));
        assert_eq!(beneath(b"/a/b", b"/a"), Some(&b"/b"[..]));
        assert_eq!(beneath(b"/a", b"/a"), Some(&b""[..]));
        assert_eq!(beneath(b"/ab", b"/a"), None);
    }
}
