//! Directories and files of the image that the container mounted elsewhere in itself.
//!
//! The overlay alone is seen from outside, not what was mounted on it within. What processes have mounted is read from
//! `/proc/PID/mountinfo` while they live; source: `proc_pid_mountinfo(5)`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use image::ImagePath;

use crate::rootfs::Rootfs;

/// Views and mounts of each that are kept. Containers that may mount at all have one or two of each.
const MAX_VIEWS: usize = 32;
const MAX_MOUNTS: usize = 4096;
const MAX_BYTES: u64 = 4 << 20;

/// What of the image a mount namespace shows elsewhere: by mount point, what lies there.
pub(crate) type View = BTreeMap<ImagePath, ImagePath>;

/// The views that processes had.
#[derive(Debug, Default)]
pub(crate) struct Views(BTreeSet<View>);

impl Views {
    /// Notes what the processes of a cgroup, and those beneath it, have mounted now.
    pub(crate) fn look(&mut self, cgroup: &Path, rootfs: &Rootfs) {
        let mut namespaces = BTreeSet::new();
        for process in processes(cgroup) {
            let directory = PathBuf::from("/proc").join(process);
            let Ok(namespace) = fs::read_link(directory.join("ns/mnt")) else { continue };
            let root = fs::read_link(directory.join("root")).unwrap_or_default();
            if !namespaces.insert((namespace, root)) {
                continue;
            }
            let mut mountinfo = Vec::new();
            let file = File::open(directory.join("mountinfo"));
            if let Err(error) = file.and_then(|file| file.take(MAX_BYTES).read_to_end(&mut mountinfo)) {
                tracing::debug!(%error, "mounts of a process could not be read");
            }
            let view = parse(&mountinfo, rootfs);
            if !view.is_empty() && self.0.len() < MAX_VIEWS {
                self.0.insert(view);
            }
        }
    }

    pub(crate) fn into_set(self) -> BTreeSet<View> {
        self.0
    }
}

/// The numbers of the processes in a cgroup and beneath it.
fn processes(cgroup: &Path) -> BTreeSet<String> {
    let mut processes = BTreeSet::new();
    let mut todo = vec![cgroup.to_owned()];
    while let Some(directory) = todo.pop() {
        let list = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        processes.extend(list.lines().map(str::to_owned));
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        todo.extend(entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
    }
    processes
}

/// The mounts of parts of the root file system, if the process has it whole as its root: else the mount points are none
/// of the image's paths.
fn parse(mountinfo: &[u8], rootfs: &Rootfs) -> View {
    let mount = |line: &[u8]| {
        let mut fields = line.split(|&byte| byte == b' ').skip(2);
        let mut device = fields.next()?.split(|&byte| byte == b':').map(number);
        let device = device.next()?? << 20 | device.next()??;
        let (root, point) = (unescape(fields.next()?)?, unescape(fields.next()?)?);
        rootfs.is(device).then_some((point, root))
    };
    let mut mounts: View =
        mountinfo.split(|&byte| byte == b'\n').filter_map(mount).take(MAX_MOUNTS).collect();
    if mounts.remove(&ImagePath::root()).is_none_or(|whole| !whole.is_root()) {
        return View::new();
    }
    mounts.retain(|point, root| point != root);
    mounts
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A path in which a backslash stands before the three octal digits of a byte.
fn unescape(text: &[u8]) -> Option<ImagePath> {
    let mut parts = text.split(|&byte| byte == b'\\');
    let mut bytes = parts.next()?.to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(3)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()?);
        bytes.extend_from_slice(rest);
    }
    ImagePath::from_absolute(&bytes).ok()
}

/// Where a path of a view lies in the image: what is mounted nearest above it decides.
pub(crate) fn place(view: &View, path: &ImagePath) -> Option<ImagePath> {
    let (point, root) =
        std::iter::once(path.clone()).chain(path.ancestors()).find_map(|p| view.get_key_value(&p))?;
    let rest = &path.as_bytes()[point.as_bytes().len()..];
    ImagePath::from_absolute(&[root.as_bytes(), b"/", rest].concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> ImagePath {
        ImagePath::from_absolute(path.as_bytes()).unwrap()
    }

    #[test]
    fn parts_of_the_image_are_found_where_they_are_mounted() {
        let rootfs = Rootfs::gone([52, 1 << 20 | 7].into_iter());
        let text = b"36 35 0:52 / / rw,relatime - overlay overlay rw\n\
            37 36 0:52 /t/b\\040src /t/b\\134dst rw - overlay overlay rw\n\
            38 36 1:7 /t/f /t/b\\134dst/f rw shared:3 - overlay overlay rw\n\
            39 36 0:52 /same /same rw - overlay overlay rw\n\
            40 36 0:53 /other /t/other rw - tmpfs none rw\nnonsense\n41 36 x\n42 36 0:52 /\\9 /\\0\n";
        let view = parse(text, &rootfs);
        assert_eq!(view.len(), 2);
        for (seen, lies) in [
            ("/t/b\\dst", Some("/t/b src")),
            ("/t/b\\dst/x/y", Some("/t/b src/x/y")),
            ("/t/b\\dst/f", Some("/t/f")),
            ("/t/b\\dst2", None),
            ("/same/x", None),
            ("/t/other", None),
        ] {
            assert_eq!(place(&view, &path(seen)), lies.map(path), "{seen}");
        }
        let within =
            b"36 35 0:52 /jail / rw - overlay overlay rw\n37 36 0:52 /a /b rw - overlay overlay rw\n";
        assert!(parse(within, &rootfs).is_empty(), "its paths begin in a jail");
        assert!(parse(b"37 36 0:52 /a /b rw - overlay overlay rw\n", &rootfs).is_empty());
    }
}
