//! The disk of the virtual machine: what is tested, with the libraries that it needs, and images to harden.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::kernel::{Edition, Kernel};
use super::parts::Run;
use crate::{command, images, workspace};

/// Test programs of the sensor that run in the machine.
const TESTS: [&str; 2] = ["torture", "accounting"];
/// What those tests would compile, were there a compiler, and how.
const PROGRAMS: [(&str, &[&str]); 4] = [
    ("torture", &["-static", "-no-pie", "-pthread"]),
    ("storm", &["-static", "-no-pie", "-pthread"]),
    ("nothing", &["-nostdlib", "-pie", "-Wl,--dynamic-linker=/t/f_loader"]),
    ("nothing32", &["-m32", "-nostdlib", "-pie", "-Wl,--dynamic-linker=/t/f_loader32"]),
];
const IMAGES: [&str; 1] = ["busybox"];
const CAREEN: &str = "careen";
const CANARY: &str = "sensor-canary";

/// Names of what is made, beneath the directory for all of it: the disk, what it is made of.
pub(crate) const DISK: &str = "disk";
pub(crate) const ROOT: &str = "root";

/// The same of the initial RAM disk for a kernel.
pub(crate) fn initial(edition: Edition) -> String {
    format!("initial-{edition:?}").to_lowercase()
}

const FOLDERS: [&str; 14] = [
    "usr/bin",
    "usr/sbin",
    "usr/lib",
    "usr/lib64",
    "etc",
    "dev",
    "proc",
    "sys",
    "tmp",
    "run",
    "root",
    "vm/out",
    "vm/programs",
    "vm/images",
];

/// Makes the disk out of what is built here and now.
pub(crate) fn make(dir: &Path, runs: &[Run]) -> Result<PathBuf> {
    let layouts = images::build(&IMAGES.map(str::to_owned), false)?;
    let (careen, tests, canary) = build(dir)?;
    let root = dir.join(ROOT);
    for folder in FOLDERS {
        fs::create_dir_all(root.join(folder))?;
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        symlink(Path::new("usr").join(name), root.join(name))?;
    }
    busybox(&root.join("usr/bin"))?;
    let mut programs = vec![
        (careen, root.join("usr/bin/careen")),
        (PathBuf::from("/bin/bash"), root.join("usr/bin/bash")),
        // The tests look for it where cargo built it.
        (canary.clone(), beneath(&root, &canary)),
    ];
    programs.extend(TESTS.iter().zip(tests).map(|(name, test)| (test, root.join("vm").join(name))));
    let mut libraries = BTreeSet::new();
    for (program, to) in &programs {
        copy(program, to)?;
        libraries.extend(libraries_of(program)?);
    }
    for library in &libraries {
        copy(library, &beneath(&root, library))?;
    }
    for (name, flags) in PROGRAMS {
        let source = workspace::root().join(format!("crates/sensor/tests/{name}.c"));
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-w"]).args(flags).arg(source).arg("-o").arg(root.join("vm/programs").join(name));
        command::run(&mut cc)?;
    }
    for (name, layout) in IMAGES.iter().zip(layouts) {
        command::run(Command::new("cp").arg("-a").arg(layout).arg(root.join("vm/images").join(name)))?;
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\n")?;
    fs::write(root.join("vm/busybox.yaml"), include_str!("busybox.yaml"))?;
    executable(&root.join("vm/run"), include_str!("run.sh"))?;
    fs::create_dir(root.join("vm/parts"))?;
    for run in runs {
        let lines = run.parts.iter();
        let lines = lines.map(|part| format!("{} {} {}\n", part.name, part.limit_seconds, part.command));
        fs::write(root.join("vm/parts").join(run.name), lines.collect::<String>())?;
    }
    let disk = dir.join(DISK);
    let mut make = Command::new("/sbin/mke2fs");
    make.args(["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d"]).arg(&root).arg(&disk).arg("1G");
    command::run(&mut make).context("cannot make the disk of the virtual machine")?;
    fs::remove_dir_all(&root)?;
    Ok(disk)
}

/// Makes the initial RAM disk, which loads the modules and goes over to the disk.
pub(crate) fn make_initial(dir: &Path, edition: Edition, kernel: &Kernel) -> Result<PathBuf> {
    let temporary = tempfile::tempdir_in(dir)?;
    let root = temporary.path();
    for folder in ["bin", "modules", "dev", "proc", "disk"] {
        fs::create_dir(root.join(folder))?;
    }
    busybox(&root.join("bin"))?;
    executable(&root.join("init"), include_str!("init.sh"))?;
    for (index, module) in kernel.modules.iter().enumerate() {
        let name = module.file_name().context("a module without a name")?.to_string_lossy().into_owned();
        copy(module, &root.join("modules").join(format!("{index}-{name}")))?;
    }
    let names = command::output(Command::new("find").current_dir(root).arg("."))?;
    let archive = dir.join(initial(edition));
    let mut cpio = Command::new("busybox");
    cpio.args(["cpio", "-o", "-H", "newc", "-R", "0:0"]).current_dir(root);
    let mut child = cpio
        .stdin(Stdio::piped())
        .stdout(fs::File::create(&archive)?)
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start busybox")?;
    child.stdin.take().context("busybox has no input")?.write_all(names.as_bytes())?;
    if !child.wait()?.success() {
        bail!("busybox cannot make the initial RAM disk");
    }
    Ok(archive)
}

/// What is tested, the test programs in order, and the program that lets out canaries: as all tests of the workspace are
/// built, so that nothing is built twice.
fn build(dir: &Path) -> Result<(PathBuf, Vec<PathBuf>, PathBuf)> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root()).args(["build", "--release", "--locked", "--workspace"]);
    cargo.args(["--bin", CAREEN, "--bin", CANARY]).args(TESTS.iter().flat_map(|name| ["--test", name]));
    cargo.arg("--message-format=json-render-diagnostics");
    // Into a file, since who waits for a pipe to close cannot be interrupted.
    let told = tempfile::NamedTempFile::new_in(dir)?;
    cargo.stdout(told.reopen()?);
    command::run(&mut cargo).context("cannot build what is tested")?;
    let messages = fs::read_to_string(told.path())?;
    let built = |name: &str, kind: &str| {
        messages.lines().find_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            let target = &message["target"];
            let is_it = target["name"] == name && target["kind"][0] == kind;
            is_it.then(|| message["executable"].as_str().map(PathBuf::from))?
        })
    };
    let find =
        |name: &str, kind: &str| built(name, kind).with_context(|| format!("cargo did not build {name}"));
    let tests = TESTS.iter().map(|name| find(name, "test")).collect::<Result<_>>()?;
    Ok((find(CAREEN, "bin")?, tests, find(CANARY, "bin")?))
}

/// Busybox under all its names.
fn busybox(to: &Path) -> Result<()> {
    copy(Path::new("/bin/busybox"), &to.join("busybox"))?;
    for applet in command::output(Command::new("/bin/busybox").arg("--list"))?.lines() {
        if applet != "busybox" {
            symlink("busybox", to.join(applet))?;
        }
    }
    Ok(())
}

/// The shared libraries of a program and its loader, by the paths under which it finds them.
fn libraries_of(program: &Path) -> Result<BTreeSet<PathBuf>> {
    let list = command::output(Command::new("ldd").arg(program))?;
    Ok(list.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

fn beneath(root: &Path, absolute: &Path) -> PathBuf {
    root.join(absolute.strip_prefix("/").unwrap_or(absolute))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn executable(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}
