//! Owner, mode, times and extended attributes of what was made.

use std::os::fd::BorrowedFd;

use rustix::fs::{Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use super::{Rights, UnpackError, failed};
use crate::{ImagePath, Metadata};

/// Owner first, since changing it clears setuid and file capabilities; time last.
pub(super) fn set_metadata(
    path: &ImagePath,
    metadata: &Metadata,
    rights: Rights,
    fd: BorrowedFd<'_>,
) -> Result<(), UnpackError> {
    let (uid, gid) = owner(metadata);
    rights
        .forgive(Errno::INVAL, rustix::fs::fchown(fd, uid, gid))
        .map_err(failed("set the owner of", path))?;
    rustix::fs::fchmod(fd, mode(metadata)).map_err(failed("set the mode of", path))?;
    set_xattrs(path, metadata, rights, |name, value| {
        rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty())
    })?;
    rustix::fs::futimens(fd, &times(metadata)).map_err(failed("set the time of", path))
}

/// Attributes that the file system does not know are left out, as container engines do.
pub(super) fn set_xattrs(
    path: &ImagePath,
    metadata: &Metadata,
    rights: Rights,
    set: impl Fn(&[u8], &[u8]) -> rustix::io::Result<()>,
) -> Result<(), UnpackError> {
    for (name, value) in &metadata.xattrs {
        if name.starts_with(rights.overlay_prefix()) {
            let what = crate::path::escape(name);
            return Err(UnpackError::Overlay { path: path.clone(), what });
        }
        match set(name, value) {
            Err(Errno::NOTSUP) => {
                let name = crate::path::escape(name);
                tracing::warn!(%path, name, "the file system cannot keep the attribute {name} of {path}");
            }
            other => {
                rights.forgive(Errno::PERM, other).map_err(failed("set an extended attribute of", path))?;
            }
        }
    }
    Ok(())
}

pub(super) fn owner(metadata: &Metadata) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(metadata.uid)), Some(Gid::from_raw(metadata.gid)))
}

pub(super) fn mode(metadata: &Metadata) -> Mode {
    Mode::from_raw_mode(metadata.mode & 0o7777)
}

pub(super) fn times(metadata: &Metadata) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec {
            tv_sec: metadata.mtime.seconds,
            tv_nsec: metadata.mtime.nanoseconds.into(),
        },
    }
}
