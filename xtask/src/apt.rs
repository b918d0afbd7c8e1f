//! Debian packages that a command of ours needs on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;

/// Installs the packages of this list that are missing, which takes root.
///
/// # Errors
/// Says which command to run where we are not root.
pub(crate) fn ensure(packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !is_present(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        bail!("these Debian packages are missing: run `apt-get install {}` as root", missing.join(" "));
    }
    eprintln!("installing {}", missing.join(" "));
    // The lists of a fresh machine are empty or old: they are fetched when the first try shows it.
    if install(&missing).is_err() {
        command::run(apt_get().arg("update")).context("cannot fetch the package lists")?;
        install(&missing)?;
    }
    Ok(())
}

fn install(packages: &[&str]) -> Result<()> {
    command::run(apt_get().args(["install", "-y", "--no-install-recommends"]).args(packages))
        .with_context(|| format!("cannot install {}", packages.join(" ")))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    // In runlevel 1 packages that bring a service do not start it.
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    command.args(["-q", "-o", "DPkg::Lock::Timeout=600"]);
    command
}

fn is_present(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Status} ", package])
        .output()
        .is_ok_and(|output| output.status.success() && output.stdout.starts_with(b"installed"))
}

/// The code name of this release of Debian.
///
/// # Errors
/// If this is none.
pub(crate) fn release() -> Result<String> {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(codename.context("/etc/os-release names no release")?.trim_matches('"').to_owned())
}

/// The suite with the newest packages that fit this release of Debian; it is entered into apt's sources if it is not
/// there, from where the release itself comes.
///
/// # Errors
/// Says what to do where we are not root, or not on Debian.
pub(crate) fn newest_suite() -> Result<String> {
    let codename = release()?;
    let suite = format!("{codename}-backports");
    let format = "$(CODENAME) $(REPO_URI)";
    let targets = command::output(Command::new("apt-get").args(["indextargets", "--format", format]))?;
    let find =
        |name: &str| targets.lines().filter_map(|line| line.split_once(' ')).find(|(of, _)| *of == name);
    if find(&suite).is_none() {
        let (_, origin) = find(&codename).context("apt has no source of this release")?;
        if !rustix::process::geteuid().is_root() {
            bail!("add the suite {suite} to apt's sources as root");
        }
        let source = format!(
            "Types: deb\nURIs: {origin}\nSuites: {suite}\nComponents: main\n\
             Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        );
        let file = format!("/etc/apt/sources.list.d/{suite}.sources");
        std::fs::write(&file, source).with_context(|| format!("cannot write {file}"))?;
        command::run(apt_get().arg("update")).context("cannot fetch the package lists")?;
    }
    Ok(suite)
}

/// Installs packages in the version of this suite, which takes root.
///
/// # Errors
/// Says which command to run where we are not root.
pub(crate) fn ensure_from(suite: &str, packages: &[&str]) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("run `apt-get install -t {suite} {}` as root", packages.join(" "));
    }
    eprintln!("installing {} from {suite}", packages.join(" "));
    let options = ["install", "-y", "--no-install-recommends", "-t", suite];
    command::run(apt_get().args(options).args(packages))
        .with_context(|| format!("cannot install {} from {suite}", packages.join(" ")))
}

/// Downloads what a package that holds nothing itself stands for, in the version of this suite. Returns the archive.
pub(crate) fn download_dependency(suite: &str, package: &str, to: &Path) -> Result<PathBuf> {
    let mut show = Command::new("apt-cache");
    show.args(["-o", &format!("APT::Default-Release={suite}"), "depends", package]);
    let depends = command::output(&mut show)?;
    let name = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let name = name.with_context(|| format!("apt knows no package {package}"))?;
    eprintln!("downloading {name}");
    let mut download = apt_get();
    // As root, apt would hand the download to a user who cannot write here.
    download.current_dir(to).args(["-o", "APT::Sandbox::User=root", "-t", suite, "download", name]);
    command::run(&mut download).with_context(|| format!("cannot download {name}"))?;
    let files = std::fs::read_dir(to)?.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let archive = files.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "deb"));
    archive.with_context(|| format!("apt downloaded no {name}"))
}
