//! The merged root file system: overlayfs over the unpacked layers.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount, move_mount,
};

use crate::inside::Ownership;
use crate::{EngineError, Standing};

/// What the kernel may be built to do by default: a directory of the image that is renamed would then lead to its files
/// under names that the image does not have, and a file could have its content from elsewhere.
const OFF: [&str; 2] = ["redirect_dir", "metacopy"];
/// Longest value that the kernel takes from `fsconfig`.
const MAX_VALUE_BYTES: usize = 255;
/// No kernel has this option.
const NO_OPTION: &str = "careen_asks_what_is_refused";

/// Checks that overlays can be mounted with their writable part in `scratch`, without leaving a trace: the trial
/// mount is never attached to the tree.
pub(crate) fn probe(data_dir: &Path, scratch: &Path) -> Result<(), EngineError> {
    let unusable = |source: io::Error| EngineError::DataDir { path: scratch.to_owned(), source };
    let dirs = Dirs::make(scratch).map_err(unusable)?;
    let lower = scratch.join("lower");
    fs::create_dir_all(&lower).map_err(unusable)?;
    let context = match fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC) {
        Ok(context) => context,
        // Kernels before 5.2, and some seccomp filters: the mount itself will show.
        Err(rustix::io::Errno::NOSYS) => return Ok(()),
        Err(source) => return Err(EngineError::NoOverlay { source: source.into() }),
    };
    let tried = configure(&context, &[lower], &dirs).and_then(|layerwise| match layerwise {
        true => Ok(fsconfig_create(&context)?),
        false => Ok(()),
    });
    match tried {
        Ok(()) => Ok(()),
        Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
            Err(EngineError::NoOverlay { source })
        }
        Err(source) => Err(EngineError::Upper { path: data_dir.to_owned(), source }),
    }
}

/// The directories of one overlay's writable part, beneath a directory of its own.
#[derive(Debug)]
pub(crate) struct Dirs {
    upper: PathBuf,
    work: PathBuf,
    /// Where it is mounted.
    pub(crate) merged: PathBuf,
    links: PathBuf,
}

impl Dirs {
    /// Makes them in `dir`, if they are not there yet.
    pub(crate) fn make(dir: &Path) -> io::Result<Self> {
        let [upper, work, merged, links] = ["upper", "work", "rootfs", "layers"].map(|name| dir.join(name));
        for path in [&upper, &work, &merged, &links] {
            fs::create_dir_all(path)?;
        }
        Ok(Self { upper, work, merged, links })
    }
}

/// Mounts `layers` (base first) with the writable part of `dirs` at `dirs.merged`. The root directory of the merged
/// tree is that of the writable part, so that gets the image's owner and mode.
pub(crate) fn mount_layers(layers: &[PathBuf], root: Ownership, dirs: &Dirs, nodev: bool) -> io::Result<()> {
    match std::os::unix::fs::chown(&dirs.upper, Some(root.uid), Some(root.gid)) {
        // A user that our user namespace does not have.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
        other => other?,
    }
    fs::set_permissions(&dirs.upper, fs::Permissions::from_mode(root.mode))?;
    let attributes = if nodev { MountAttrFlags::MOUNT_ATTR_NODEV } else { MountAttrFlags::empty() };
    let context = match fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC) {
        Err(rustix::io::Errno::NOSYS) => return mount_by_links(layers, dirs, nodev),
        other => other?,
    };
    if !configure(&context, layers, dirs)? {
        return mount_by_links(layers, dirs, nodev);
    }
    fsconfig_create(&context)?;
    let detached = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    Ok(move_mount(&detached, "", CWD, &dirs.merged, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// `lowerdir+` takes one layer at a time, so no limit on the length of the options applies. False if this kernel does
/// not know it: before 6.8 it does not, and before 6.5 overlayfs says so only when it is mounted, since until then it
/// takes whatever it is given.
fn configure(context: &OwnedFd, layers: &[PathBuf], dirs: &Dirs) -> io::Result<bool> {
    if fsconfig_set_flag(context, NO_OPTION).is_ok() {
        return Ok(false);
    }
    let (upper, work) = (escaped(&dirs.upper), escaped(&dirs.work));
    let layer_lengths = layers.iter().map(|layer| layer.as_os_str().len());
    if layer_lengths.chain([upper.len(), work.len()]).any(|length| length > MAX_VALUE_BYTES) {
        return Ok(false);
    }
    for layer in layers.iter().rev() {
        match fsconfig_set_string(context, "lowerdir+", layer.as_os_str().as_bytes()) {
            Err(rustix::io::Errno::INVAL) => return Ok(false),
            other => other?,
        }
    }
    match Standing::of_this_process().is_rootless() {
        // A user namespace has no right to the usual kind, nor to what is switched off here.
        true => fsconfig_set_flag(context, "userxattr")?,
        false => OFF.iter().try_for_each(|option| fsconfig_set_string(context, *option, "off"))?,
    }
    fsconfig_set_string(context, "upperdir", upper)?;
    fsconfig_set_string(context, "workdir", work)?;
    Ok(true)
}

/// A path as overlayfs wants `upperdir` and `workdir`: it takes a backslash for the mark of an escaped character, in these
/// two even where each value is given by itself, but not in `lowerdir+`.
fn escaped(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_bytes().iter();
    bytes.flat_map(|&byte| std::iter::repeat_n(byte, if byte == b'\\' { 2 } else { 1 })).collect()
}

/// The old call takes all options in one page, so the layers get short names relative to the working directory.
/// Changes the working directory: only for the single-threaded helper.
fn mount_by_links(layers: &[PathBuf], dirs: &Dirs, nodev: bool) -> io::Result<()> {
    let mut names = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let name = index.to_string();
        match symlink(layer, dirs.links.join(&name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => names.push(name),
        }
    }
    names.reverse();
    let marks = match Standing::of_this_process().is_rootless() {
        true => ",userxattr".to_owned(),
        false => OFF.map(|option| format!(",{option}=off")).concat(),
    };
    std::env::set_current_dir(&dirs.links)?;
    let options = std::ffi::CString::new(format!(
        "lowerdir={},upperdir=../upper,workdir=../work{marks}",
        names.join(":")
    ))?;
    let flags = if nodev { MountFlags::NODEV } else { MountFlags::empty() };
    let mounted = mount("overlay", &dirs.merged, "overlay", flags, options.as_c_str());
    std::env::set_current_dir("/")?;
    Ok(mounted?)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Of a process of this test that has a mount namespace of its own: where to mount.
    const PLACE: &str = "CAREEN_TEST_OVERLAY";
    const NAMES: [&str; 8] = [
        "back\\slash",
        "com,ma",
        "co:lon",
        "white space",
        "tab\tline\nend",
        "octal\\040",
        "all\\,\\:\\\\ ",
        "last\\",
    ];

    /// Mounts two layers in each way, and looks whether it is them.
    fn mount_both_ways(place: &Path) {
        let root = Ownership { uid: 0, gid: 0, mode: 0o755 };
        for way in ["new", "old"] {
            let layers = ["base", "top"].map(|name| place.join(way).join(name));
            for layer in &layers {
                fs::create_dir_all(layer).unwrap();
                fs::write(layer.join(layer.file_name().unwrap()), "x").unwrap();
            }
            let dirs = Dirs::make(&place.join(way)).unwrap();
            match way {
                "new" => mount_layers(&layers, root, &dirs, true).unwrap(),
                _ => mount_by_links(&layers, &dirs, true).unwrap(),
            }
            fs::write(dirs.merged.join("written"), "x").unwrap();
            for path in [dirs.merged.join("base"), dirs.merged.join("top"), dirs.upper.join("written")] {
                assert!(path.exists(), "{way}: {}", path.display());
            }
        }
    }

    #[test]
    fn overlays_are_mounted_whatever_their_directory_is_called() {
        if let Some(place) = std::env::var_os(PLACE) {
            return mount_both_ways(Path::new(&place));
        }
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIP: mounting needs root");
            assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let long = ["long-".repeat(40), "names-".repeat(30)].join("/");
        for name in NAMES.into_iter().chain([&*long]) {
            let place = dir.path().join(name);
            fs::create_dir_all(&place).unwrap();
            let test = "overlay::tests::overlays_are_mounted_whatever_their_directory_is_called";
            let mut command = Command::new("unshare");
            command.arg("--mount").arg(std::env::current_exe().unwrap()).args(["--exact", test]);
            let output = command.env(PLACE, &place).output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && told.contains("1 passed"), "{name:?}: {told}");
        }
    }
}
