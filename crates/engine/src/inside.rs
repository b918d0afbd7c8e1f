//! Looking into a container's root file system without leaving it, whatever its symbolic links say.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};

/// Files of users and groups larger than this are not read further.
pub(crate) const MAX_TEXT_BYTES: u64 = 4 << 20;

/// The root of a container, opened.
#[derive(Debug)]
pub(crate) struct Inside {
    root: OwnedFd,
    /// The path that was opened, for turning paths inside to paths on the host.
    path: PathBuf,
}

/// Permission bits and owner of something in the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Ownership {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Inside {
    /// `root` is a directory of ours or `/proc/PID/root`.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let fd = rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { root: fd, path: root.to_owned() })
    }

    fn open_path(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let relative = path.trim_start_matches('/');
        let relative = if relative.is_empty() { "." } else { relative };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(rustix::fs::openat2(&self.root, relative, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?)
    }

    /// The text of a regular file, as far as it is UTF-8; `None` if there is no such file.
    pub(crate) fn read_text(&self, path: &str) -> io::Result<Option<String>> {
        // Without O_NONBLOCK a FIFO of that name would hold us up.
        let file = match self.open_path(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
            Ok(fd) => File::from(fd),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(MAX_TEXT_BYTES).read_to_end(&mut bytes)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Mode and owner of a directory; `None` if there is none.
    pub(crate) fn directory(&self, path: &str) -> Option<Ownership> {
        let fd = self.open_path(path, OFlags::PATH | OFlags::DIRECTORY).ok()?;
        let stat = rustix::fs::fstat(&fd).ok()?;
        Some(Ownership { mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid })
    }

    /// Makes a directory and those above it that are missing, owned by root, mode 755.
    pub(crate) fn make_dirs(&self, path: &str) -> io::Result<()> {
        let mut done = String::new();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let parent = self.open_path(&done, OFlags::PATH | OFlags::DIRECTORY)?;
            done.push('/');
            done.push_str(name);
            if self.open_path(&done, OFlags::PATH | OFlags::DIRECTORY).is_err() {
                rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))?;
            }
        }
        Ok(())
    }

    /// Where a path inside lies on the host, all links resolved.
    pub(crate) fn host_path(&self, path: &str) -> io::Result<PathBuf> {
        use std::os::fd::AsRawFd;
        let fd = self.open_path(path, OFlags::PATH)?;
        let target = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))?;
        if target.starts_with(&self.path) { Ok(target) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    /// Makes a place to mount a file or directory on, where there is none, also behind a link that leads nowhere yet.
    /// Gives the path inside with all links resolved.
    pub(crate) fn mount_point(&self, path: &str, directory: bool) -> io::Result<String> {
        let mut path = clean(path);
        for _ in 0..40 {
            if let Ok(host) = self.host_path(&path) {
                let inside = host.strip_prefix(&self.path).unwrap_or(&host);
                return Ok(format!("/{}", inside.display()));
            }
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let (parent, name) = (parent.to_owned(), name.to_owned());
            let parent = self.mount_point(if parent.is_empty() { "/" } else { &parent }, true)?;
            let dir = self.open_path(&parent, OFlags::PATH | OFlags::DIRECTORY)?;
            match rustix::fs::readlinkat(&dir, name.as_str(), Vec::new()) {
                Ok(target) => {
                    let target = target.to_string_lossy();
                    path = if target.starts_with('/') {
                        clean(&target)
                    } else {
                        clean(&format!("{parent}/{target}"))
                    };
                }
                Err(_) if directory => rustix::fs::mkdirat(&dir, name.as_str(), Mode::from_raw_mode(0o755))?,
                Err(_) => {
                    let flags =
                        OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
                    drop(rustix::fs::openat(&dir, name.as_str(), flags, Mode::from_raw_mode(0o644))?);
                }
            }
        }
        Err(rustix::io::Errno::LOOP.into())
    }
}

/// An absolute path without `.`, `..` and doubled slashes, as Docker cleans the paths of a config.
pub(crate) fn clean(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                out.pop();
            }
            name => out.push(name),
        }
    }
    format!("/{}", out.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_lead_nowhere_but_inside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(dir.path().join("secret"), "outside").unwrap();
        symlink("../../secret", root.join("etc/relative")).unwrap();
        symlink("/etc/inner", root.join("etc/absolute")).unwrap();
        std::fs::write(root.join("etc/inner"), "inside").unwrap();
        let inside = Inside::open(&root).unwrap();
        assert_eq!(inside.read_text("/etc/relative").unwrap(), None);
        assert_eq!(inside.read_text("/etc/absolute").unwrap().as_deref(), Some("inside"));
        assert_eq!(inside.host_path("/etc/absolute").unwrap(), root.join("etc/inner"));
        symlink("/../../../work", root.join("link")).unwrap();
        assert!(inside.make_dirs("/link/x").is_err(), "a dangling link is no place for a directory");
        inside.make_dirs("/a/b/c").unwrap();
        assert_eq!(inside.directory("/a/b/c").unwrap().mode, 0o755);
    }

    #[test]
    fn mount_points_are_made_behind_dangling_links() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("etc")).unwrap();
        symlink("../run/resolve/stub.conf", root.join("etc/resolv.conf")).unwrap();
        symlink("/etc/loop", root.join("etc/loop")).unwrap();
        let inside = Inside::open(&root).unwrap();
        assert_eq!(inside.mount_point("/etc/resolv.conf", false).unwrap(), "/run/resolve/stub.conf");
        assert!(root.join("run/resolve/stub.conf").is_file());
        assert_eq!(inside.mount_point("/etc/resolv.conf", false).unwrap(), "/run/resolve/stub.conf");
        assert_eq!(inside.mount_point("/a/b", true).unwrap(), "/a/b");
        assert!(root.join("a/b").is_dir());
        assert!(inside.mount_point("/etc/loop", false).is_err());
    }

    #[test]
    fn paths_are_cleaned_as_docker_does() {
        for (path, cleaned) in [("", "/"), ("/a//b/./c/", "/a/b/c"), ("/../a/../b", "/b"), ("x", "/x")] {
            assert_eq!(clean(path), cleaned);
        }
    }
}
