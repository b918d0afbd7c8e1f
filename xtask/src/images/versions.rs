//! Which packages, in which versions, an image would get today: the part of its cache key that changes by itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use crate::command;

/// Package lists older than this are fetched again.
const LISTS_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// An apt of our own for one release: its lists and an empty package database, apart from the machine's.
#[derive(Debug)]
pub(crate) struct Release {
    dir: PathBuf,
}

impl Release {
    /// Opens the lists of a release in `dir`, and fetches them if they are old or come from other sources.
    ///
    /// Old lists are used, with a word about it, when they cannot be fetched.
    pub(crate) fn open(dir: &Path, sources: &str) -> Result<Release> {
        let release = Release { dir: dir.to_owned() };
        release.write_configuration(sources).with_context(|| format!("cannot prepare {}", dir.display()))?;
        let stamp = dir.join("fetched");
        let is_known = fs::read_to_string(&stamp).is_ok_and(|text| text == sources);
        let age = fs::metadata(&stamp)
            .and_then(|found| found.modified())
            .map(|at| SystemTime::now().duration_since(at));
        if is_known && matches!(age, Ok(Ok(age)) if age < LISTS_MAX_AGE) {
            return Ok(release);
        }
        match command::output(release.apt_get().args(["update", "-q", "--error-on=any"])) {
            Ok(_) => {
                fs::write(&stamp, sources).with_context(|| format!("cannot write {}", stamp.display()))?;
            }
            Err(error) if is_known => {
                eprintln!("using old package lists, new ones cannot be fetched: {error}");
            }
            Err(error) => return Err(error).context("cannot fetch package lists"),
        }
        Ok(release)
    }

    /// Name and version of every package that an installation of these onto nothing brings, the base included.
    pub(crate) fn resolve(&self, packages: &[String]) -> Result<BTreeMap<String, String>> {
        let plan = command::output(
            self.apt_get().args(["-s", "install", "?essential", "?priority(required)", "apt"]).args(packages),
        )?;
        let versions = parse_plan(&plan);
        if versions.is_empty() {
            bail!("apt plans to install nothing");
        }
        Ok(versions)
    }

    fn write_configuration(&self, sources: &str) -> Result<()> {
        for dir in [
            "etc/apt.conf.d",
            "etc/preferences.d",
            "etc/sources.list.d",
            "var/lib/dpkg",
            "lists/partial",
            "cache/archives/partial",
        ] {
            fs::create_dir_all(self.dir.join(dir))?;
        }
        let dir = self.dir.display();
        let configuration = format!(
            "Dir \"{dir}/\";\nDir::Etc \"{dir}/etc/\";\nDir::State \"{dir}/\";\nDir::State::lists \"{dir}/lists/\";\n\
             Dir::State::status \"{dir}/status\";\nDir::Cache \"{dir}/cache/\";\n\
             APT::Install-Recommends \"false\";\nAPT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\n\
             Acquire::Check-Valid-Until \"false\";\n"
        );
        for (file, content) in [
            ("status", ""),
            ("etc/sources.list", sources),
            ("etc/preferences.d/usrmerge", super::rootfs::USRMERGE_PIN),
            ("apt.conf", &configuration),
        ] {
            let file = self.dir.join(file);
            // A file that is younger than apt's cache of the lists makes apt read all lists again.
            if fs::read_to_string(&file).ok().as_deref() != Some(content) {
                fs::write(file, content)?;
            }
        }
        Ok(())
    }

    fn apt_get(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.env("APT_CONFIG", self.dir.join("apt.conf")).env("LC_ALL", "C");
        command
    }
}

/// The lines `Inst NAME (VERSION …)` of a simulated run of apt-get.
fn parse_plan(text: &str) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("Inst ") else { continue };
        let Some((name, rest)) = rest.split_once(" (") else { continue };
        let Some(version) = rest.split(' ').next() else { continue };
        versions.insert(name.to_owned(), version.to_owned());
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_gives_names_and_versions() {
        let plan = "NOTE: This is only a simulation!\n\
             Inst libc6 (2.36-9+deb12u14 Debian:12.15/oldstable [amd64]) []\n\
             Inst redis-server (5:7.0.15-1~deb12u6 Debian-Security:12/oldstable-security [amd64])\n\
             Conf libc6 (2.36-9+deb12u14 Debian:12.15/oldstable [amd64])\n";
        let expected = [("libc6", "2.36-9+deb12u14"), ("redis-server", "5:7.0.15-1~deb12u6")];
        assert_eq!(parse_plan(plan), expected.map(|(n, v)| (n.to_owned(), v.to_owned())).into());
    }
}
