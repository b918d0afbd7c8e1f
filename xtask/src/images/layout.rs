//! OCI layouts, made with umoci: unpack, pack what changed as a layer, set the config.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::declaration::{Config, expand};
use crate::command;

/// The tag that every image of ours has.
const TAG: &str = "latest";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A layout that is being built, and the bundle that it is unpacked into.
#[derive(Debug)]
pub(crate) struct Layout<'a> {
    dir: PathBuf,
    bundle: PathBuf,
    log: &'a Path,
}

impl<'a> Layout<'a> {
    /// An image without layers, in `scratch`.
    pub(crate) fn new(scratch: &Path, log: &'a Path) -> Result<Layout<'a>> {
        let layout = Layout { dir: scratch.join("layout"), bundle: scratch.join("bundle"), log };
        command::run_logged(Command::new("umoci").arg("init").arg("--layout").arg(&layout.dir), log)?;
        layout.umoci("new", &[])?;
        layout.unpack()?;
        Ok(layout)
    }

    /// A copy of a finished image, in `scratch`.
    pub(crate) fn on_top_of(base: &Path, scratch: &Path, log: &'a Path) -> Result<Layout<'a>> {
        let layout = Layout { dir: scratch.join("layout"), bundle: scratch.join("bundle"), log };
        command::run_logged(Command::new("cp").arg("-a").arg(base).arg(&layout.dir), log)?;
        layout.unpack()?;
        Ok(layout)
    }

    pub(crate) fn rootfs(&self) -> PathBuf {
        self.bundle.join("rootfs")
    }

    /// Adds the difference to what was unpacked as a layer.
    pub(crate) fn pack(&self, created_by: &str, created: &str) -> Result<()> {
        let bundle = self.bundle.as_os_str().to_str().context("the cache directory is not UTF-8")?;
        self.umoci(
            "repack",
            &["--refresh-bundle", "--history.created", created, "--history.created_by", created_by, bundle],
        )
    }

    /// Sets the config; versions of packages are filled into its environment.
    pub(crate) fn configure(
        &self,
        config: &Config,
        versions: &BTreeMap<String, String>,
        created_by: &str,
        created: &str,
    ) -> Result<()> {
        let mut arguments = vec!["--created".to_owned(), created.to_owned()];
        for (option, value) in [("--history.created", created), ("--history.created_by", created_by)] {
            arguments.extend([option.to_owned(), value.to_owned()]);
        }
        for field in ["config.entrypoint", "config.cmd", "config.env"] {
            arguments.extend(["--clear".to_owned(), field.to_owned()]);
        }
        let mut add = |field: &str, value: &str| arguments.push(format!("--config.{field}={value}"));
        add("env", &format!("PATH={PATH}"));
        for (name, value) in &config.env {
            add("env", &format!("{name}={}", expand(value, versions)?));
        }
        config.entrypoint.iter().for_each(|word| add("entrypoint", word));
        config.cmd.iter().for_each(|word| add("cmd", word));
        config.exposed_ports.iter().for_each(|port| add("exposedports", port));
        config.volumes.iter().for_each(|volume| add("volume", volume));
        for (field, value) in
            [("workingdir", &config.working_dir), ("stopsignal", &config.stop_signal), ("user", &config.user)]
        {
            if let Some(value) = value {
                add(field, value);
            }
        }
        self.umoci("config", &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Drops blobs that nothing refers to, asks another tool whether it can read the image, and hands it over.
    pub(crate) fn finish(self) -> Result<PathBuf> {
        command::run_logged(Command::new("umoci").arg("gc").arg("--layout").arg(&self.dir), self.log)?;
        command::output(
            Command::new("skopeo").arg("inspect").arg(format!("oci:{}:{TAG}", self.dir.display())),
        )
        .context("the built image is not readable")?;
        fs::remove_dir_all(&self.bundle)
            .with_context(|| format!("cannot remove {}", self.bundle.display()))?;
        Ok(self.dir)
    }

    fn unpack(&self) -> Result<()> {
        let bundle = self.bundle.as_os_str().to_str().context("the cache directory is not UTF-8")?;
        self.umoci("unpack", &[bundle])
    }

    fn umoci(&self, action: &str, arguments: &[&str]) -> Result<()> {
        let mut umoci = Command::new("umoci");
        umoci.arg(action).arg("--image").arg(format!("{}:{TAG}", self.dir.display())).args(arguments);
        command::run_logged(&mut umoci, self.log)
    }
}

/// The bytes of all blobs of a layout.
pub(crate) fn stored_bytes(layout: &Path) -> Result<u64> {
    let dir = layout.join("blobs/sha256");
    let mut bytes = 0;
    for entry in fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
