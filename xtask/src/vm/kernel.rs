//! What the virtual machine is made of: an emulator that works, and kernels of Debian's, unpacked and not installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{apt, command, workspace};

/// The kernel for machines in clouds: small, and with all of BPF.
const PACKAGE: &str = "linux-image-cloud-amd64";
/// Modules that the machine cannot do without, in the order in which they are loaded. What a package lacks of them is
/// part of its kernel.
const MODULES: [&str; 8] = [
    "virtio",
    "virtio_ring",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
    "virtio_console",
    "overlay",
];
const EMULATOR: &str = "qemu-system-x86_64";
/// With this one, guests die at random when their processor is emulated.
const BROKEN_EMULATOR: &str = "version 7.";

/// Which kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Edition {
    /// The newest that Debian has for this release.
    Newest,
    /// The one with which this release came.
    OfRelease,
}

impl Edition {
    pub(crate) const ALL: [Self; 2] = [Self::Newest, Self::OfRelease];

    fn folder(self) -> &'static str {
        match self {
            Self::Newest => "vm/kernel",
            Self::OfRelease => "vm/kernel-of-release",
        }
    }

    fn suite(self) -> Result<String> {
        match self {
            Self::Newest => apt::newest_suite(),
            Self::OfRelease => apt::release(),
        }
    }
}

/// A kernel, ready to be booted.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) image: PathBuf,
    /// In the order in which they must be loaded.
    pub(crate) modules: Vec<PathBuf>,
}

/// Makes sure that the emulator is there, and the kernel in the user's cache directory.
///
/// # Errors
/// Says what cannot be had here, and how to have it by hand.
pub(crate) fn ensure(edition: Edition) -> Result<Kernel> {
    let dir = workspace::cache()?.join(edition.folder());
    ensure_in(&dir, edition).with_context(|| {
        format!(
            "cannot have a virtual machine here: it takes an x86_64 host, QEMU 8 or newer (qemu-system-x86; for \
             Debian 12 from its backports), busybox-static, e2fsprogs, and of the package {PACKAGE} vmlinuz, and as far as they are there {} in {}",
            MODULES.map(|module| format!("{module}.ko")).join(", "),
            dir.display()
        )
    })
}

fn ensure_in(dir: &Path, edition: Edition) -> Result<Kernel> {
    if !cfg!(target_arch = "x86_64") {
        bail!("this host is not one of x86_64");
    }
    let tools = [("/bin/busybox", "busybox-static"), ("/sbin/mke2fs", "e2fsprogs")];
    let missing: Vec<_> = tools.into_iter().filter(|(program, _)| !Path::new(program).exists()).collect();
    apt::ensure(&missing.into_iter().map(|(_, package)| package).collect::<Vec<_>>())?;
    ensure_emulator().context("there is no emulator that works")?;
    if !dir.join("vmlinuz").is_file() {
        apt::ensure(&["xz-utils"])
            .and_then(|()| fetch(dir, edition))
            .context("there is no kernel to boot")?;
    }
    let modules = MODULES.iter().map(|name| dir.join(format!("{name}.ko")));
    Ok(Kernel { image: dir.join("vmlinuz"), modules: modules.filter(|module| module.is_file()).collect() })
}

fn ensure_emulator() -> Result<()> {
    let works = || {
        let version = command::output(Command::new(EMULATOR).arg("--version"));
        version.is_ok_and(|version| !version.contains(BROKEN_EMULATOR))
    };
    if works() {
        return Ok(());
    }
    apt::ensure_from(&apt::newest_suite()?, &["qemu-system-x86"])?;
    if !works() {
        bail!("{EMULATOR} is missing, or of {BROKEN_EMULATOR}x, with which guests die");
    }
    Ok(())
}

/// Downloads the kernel's package and takes out what is booted.
fn fetch(dir: &Path, edition: Edition) -> Result<()> {
    let parent = dir.parent().context("the cache has no name")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let temporary = tempfile::tempdir_in(parent)?;
    let unpacked = temporary.path().join("unpacked");
    let archive = apt::download_dependency(&edition.suite()?, PACKAGE, temporary.path())?;
    command::run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&unpacked))?;
    let kernel = temporary.path().join("kernel");
    fs::create_dir(&kernel)?;
    let image = find(&unpacked.join("boot"), "vmlinuz")?.context("the kernel's package has no vmlinuz")?;
    fs::rename(&image, kernel.join("vmlinuz"))?;
    for module in MODULES {
        let Some(packed) = find(&unpacked.join("lib/modules"), &format!("{module}.ko"))? else { continue };
        let to = kernel.join(format!("{module}.ko"));
        if packed.extension().is_some_and(|ending| ending == "xz") {
            let bytes = Command::new("xz").arg("-dc").arg(&packed).output()?;
            if !bytes.status.success() {
                bail!("cannot unpack {}", packed.display());
            }
            fs::write(&to, bytes.stdout)?;
        } else {
            fs::rename(&packed, &to)?;
        }
    }
    fs::rename(&kernel, dir).with_context(|| format!("cannot make {}", dir.display()))
}

/// The file beneath a folder whose name starts so.
fn find(dir: &Path, beginning: &str) -> Result<Option<PathBuf>> {
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                todo.push(entry.path());
            } else if entry.file_name().to_string_lossy().starts_with(beginning) {
                return Ok(Some(entry.path()));
            }
        }
    }
    Ok(None)
}
