//! What is watched.

use std::path::PathBuf;

use image::ImagePath;

/// The container to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A directory in the cgroup2 tree: every process in it and beneath it is watched.
    pub cgroup_dir: PathBuf,
    /// The mounted root file system of the container, an overlay mount whose root is the image's root.
    pub rootfs: PathBuf,
    /// Files and directories of the host that are mounted over paths of the image.
    ///
    /// The base backend finds them itself, by the mount points that it passes on the way up to the image's root.
    pub mounts: Vec<(PathBuf, ImagePath)>,
    /// The program that sets the container up from within, such as `/proc/PID/exe` of the engine's helper: what it
    /// does in the cgroup before it executes the workload is no use of the image. None if there is no such program.
    pub set_up_by: Option<PathBuf>,
    /// Whether the container's user namespace has one user only, so that changes of owner must be pretended.
    pub one_user: bool,
}
