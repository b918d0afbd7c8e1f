//! What whoever unpacks may do.

use rustix::io::Errno;

/// As whom a layer is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// As root: all of it is kept.
    All,
    /// As root of a user namespace: what belongs to users whom it does not have becomes root's, device nodes are left
    /// out, attributes that it may not set too, and opaque directories are marked as overlayfs wants it there
    /// (`userxattr`).
    OfUserNamespace,
}

impl Rights {
    /// The prefix of the attributes that overlayfs takes for its own.
    pub(super) fn overlay_prefix(self) -> &'static [u8] {
        match self {
            Self::All => b"trusted.overlay.",
            Self::OfUserNamespace => b"user.overlay.",
        }
    }

    /// The attribute of an opaque directory.
    pub(super) fn opaque(self) -> &'static str {
        match self {
            Self::All => "trusted.overlay.opaque",
            Self::OfUserNamespace => "user.overlay.opaque",
        }
    }

    /// Forgives what a user namespace cannot have: `EINVAL` for an owner, `EPERM` for the rest.
    pub(super) fn forgive(self, expected: Errno, result: rustix::io::Result<()>) -> rustix::io::Result<()> {
        match result {
            Err(errno) if errno == expected && self == Self::OfUserNamespace => Ok(()),
            other => other,
        }
    }
}
