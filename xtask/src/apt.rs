//! Debian packages that a command of ours needs on this machine.

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
