//! Whether the disk that containers write to is full.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;

use crate::Standing;

/// Less than this is no room: what a program writes at once is often larger than what is left.
const LEAST_FREE_BYTES: u64 = 1 << 20;

/// A data directory whose file system has no room left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullDisk {
    /// The directory.
    pub directory: PathBuf,
    /// Its file system: kind, and where it is mounted; none where that cannot be told.
    pub mount: Option<(String, PathBuf)>,
    /// The size of the file system.
    pub size_bytes: u64,
    /// Whether it is file numbers (inodes) that it lacks, not bytes.
    pub lacks_inodes: bool,
}

impl FullDisk {
    /// The state of the file system of this directory now, if it is full.
    pub(crate) fn at(directory: &Path) -> Option<Self> {
        let stat = statvfs(directory).ok()?;
        // Some blocks may be kept for the host's root user.
        let blocks = if Standing::of_this_process().is_rootless() { stat.f_bavail } else { stat.f_bfree };
        let lacks_bytes = blocks.saturating_mul(stat.f_frsize) < LEAST_FREE_BYTES;
        let lacks_inodes = stat.f_files > 0 && stat.f_ffree == 0;
        if !lacks_bytes && !lacks_inodes {
            return None;
        }
        let mountinfo = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
        Some(Self {
            directory: directory.to_owned(),
            mount: mount_of(directory, &mountinfo),
            size_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            lacks_inodes: !lacks_bytes,
        })
    }

    /// What a user can try next.
    pub fn hint(&self) -> String {
        "make room there, with `careen clean --all` for instance, or name a directory on a larger disk with --data-dir"
            .to_owned()
    }
}

impl fmt::Display for FullDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the file system of the data directory {} ", self.directory.display())?;
        f.write_str(if self.lacks_inodes { "has no inode left" } else { "is full" })?;
        let size = self.size_bytes as f64 / 1e6;
        match &self.mount {
            Some((kind, point)) => write!(f, ": {kind} of {size:.1} MB, mounted at {}", point.display()),
            None => write!(f, ": it has {size:.1} MB"),
        }
    }
}

/// Kind and mount point of the file system that a directory lies in: of what is mounted nearest above it the last one,
/// which hides the others.
///
/// Source: `proc_pid_mountinfo(5)`.
fn mount_of(directory: &Path, mountinfo: &[u8]) -> Option<(String, PathBuf)> {
    let mount = |line: &[u8]| {
        let fields: Vec<_> = line.split(|&byte| byte == b' ').collect();
        let kind = fields.iter().position(|field| *field == b"-")? + 1;
        let point = PathBuf::from(OsString::from_vec(unescape(fields.get(4)?)));
        let kind = String::from_utf8_lossy(fields.get(kind)?).into_owned();
        directory.starts_with(&point).then_some((kind, point))
    };
    let mounts = mountinfo.split(|&byte| byte == b'\n').filter_map(mount);
    mounts.max_by_key(|(_, point)| point.components().count())
}

/// A path in which a backslash stands before the three octal digits of a byte.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| first == b'\\').and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_nearest_above_a_directory_is_its_own() {
        let mountinfo = b"22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
            30 22 0:30 / /data rw shared:3 - tmpfs none rw,size=8192k\n\
            31 30 0:31 / /data/with\\040space\\134 rw - xfs /dev/vdb rw\n\
            32 22 0:32 / /database rw - tmpfs none rw\nnonsense\n\
            33 22 0:33 / /data rw - btrfs /dev/vdc rw\n";
        for (directory, kind, point) in [
            ("/data/careen", "btrfs", "/data"),
            ("/data/with space\\/careen", "xfs", "/data/with space\\"),
            ("/database", "tmpfs", "/database"),
            ("/databases", "ext4", "/"),
        ] {
            let mount = mount_of(Path::new(directory), mountinfo);
            assert_eq!(mount, Some((kind.to_owned(), point.into())), "{directory}");
        }
        assert_eq!(mount_of(Path::new("/data"), b""), None);
    }

    #[test]
    fn a_full_disk_is_told_with_its_mount() {
        let mut full = FullDisk {
            directory: "/data/careen".into(),
            mount: Some(("tmpfs".to_owned(), "/data".into())),
            size_bytes: 8 << 20,
            lacks_inodes: false,
        };
        assert_eq!(
            full.to_string(),
            "the file system of the data directory /data/careen is full: tmpfs of 8.4 MB, mounted at /data"
        );
        (full.mount, full.lacks_inodes) = (None, true);
        assert!(full.to_string().ends_with("/data/careen has no inode left: it has 8.4 MB"), "{full}");
    }
}
