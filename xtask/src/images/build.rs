//! Builds one image, unless the cache holds the very same already.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::declaration::{Config, Declaration, Image, SCRATCH};
use super::layout::{self, Layout};
use super::versions::Release;
use super::{archive, compile, layers, rootfs};
use crate::command;

/// Part of every key: raise it when the same declaration and packages make another image.
const RECIPE: u32 = 2;

/// What is remembered about a finished image, beside it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Receipt {
    /// Hash of all that the image depends on.
    key: String,
    pub(crate) files: u64,
    /// Of regular files, unpacked.
    pub(crate) bytes: u64,
    /// Of the layout, compressed.
    pub(crate) stored_bytes: u64,
    pub(crate) packages: BTreeMap<String, String>,
}

/// A release of Debian, and whether its updates count.
#[derive(Debug)]
struct Suite {
    codename: String,
    release_only: bool,
}

impl Suite {
    /// How it is called in the cache.
    fn name(&self) -> String {
        if self.release_only { format!("{}-release", self.codename) } else { self.codename.clone() }
    }
}

/// The folder with the images, and what is kept to build the next ones.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
}

impl Store {
    pub(crate) fn open(dir: &Path) -> Result<Store> {
        for part in ["", ".base", ".apt", ".log"] {
            let part = dir.join(part);
            fs::create_dir_all(&part).with_context(|| format!("cannot make {}", part.display()))?;
        }
        Ok(Store { dir: dir.to_owned() })
    }

    /// Keeps everybody else from building until the lock is dropped.
    pub(crate) fn lock(&self) -> Result<fs::File> {
        let path = self.dir.join(".lock");
        let file = fs::File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(file)
    }

    /// Where the layout of an image lies once it is built.
    pub(crate) fn layout(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes sure that the store holds this image as it would be built today.
    pub(crate) fn build(&self, image: &Image, force: bool) -> Result<Receipt> {
        let Declaration { base, packages, build, release_only, .. } = &image.declaration;
        let suite = |codename: &'_ str| Suite { codename: codename.to_owned(), release_only: *release_only };
        let mut versions = self.resolve(&suite(base), packages)?;
        if let Some(build) = build {
            versions.extend(self.resolve(&suite(&build.base), &build.packages)?);
        }
        let key = key(image, &versions)?;
        let name = &image.name;
        if !force
            && let Some(receipt) = self.receipt(name)
            && receipt.key == key
        {
            return Ok(receipt);
        }
        if !rustix::process::geteuid().is_root() {
            bail!("files in an image belong to many users: run this as root");
        }

        let built_from = match build {
            Some(build) => Some(self.base(&suite(&build.base))?),
            None => None,
        };
        let base = if base == SCRATCH { None } else { Some(self.base(&suite(base))?) };
        eprintln!("building {name}");
        let log = self.log(name)?;
        let scratch = self.scratch()?;
        let started = now();
        let outputs = match (build, built_from) {
            (Some(build), Some(base)) => {
                Some(compile::outputs(build, &base, scratch.path(), &image.files_dir, started, &log)?)
            }
            _ => None,
        };
        let layout = match base {
            Some(base) => Layout::on_top_of(&base, scratch.path(), &log)?,
            None => Layout::new(scratch.path(), &log)?,
        };
        let created = layers::add(&layout, image, outputs.as_ref(), started, &log)?;
        let content = rootfs::measure(&layout.rootfs())?;
        layout.configure(&image.declaration.config, &content.packages, "config", &created)?;
        let built = layout.finish()?;

        let rootfs::Content { files, bytes, packages } = content;
        let receipt = Receipt { key, files, bytes, stored_bytes: layout::stored_bytes(&built)?, packages };
        self.replace(name, &built, &receipt)?;
        Ok(receipt)
    }

    /// The packages, with versions, that an installation of these on a base would have today.
    fn resolve(&self, base: &Suite, packages: &[String]) -> Result<BTreeMap<String, String>> {
        if base.codename == SCRATCH {
            return Ok(BTreeMap::new());
        }
        self.release(base)?.1.resolve(packages)
    }

    /// What apt knows about a release, and from which sources.
    fn release(&self, suite: &Suite) -> Result<(String, Release)> {
        let archives = archive::of_this_machine()?;
        let sources = archive::source_lines(&archives, &suite.codename, suite.release_only);
        let release = Release::open(&self.dir.join(".apt").join(suite.name()), &sources)?;
        Ok((sources, release))
    }

    /// The layout of a release's base image, built at most once for the same packages.
    fn base(&self, suite: &Suite) -> Result<PathBuf> {
        let (sources, release) = self.release(suite)?;
        let versions = release.resolve(&[])?;
        let codename = suite.codename.as_str();
        let name = format!(".base/{}", suite.name());
        let mut hash = Sha256::new();
        hash.update(format!("{RECIPE}\n{codename}\n{versions:?}"));
        let key = hex(&hash.finalize());
        let dir = self.dir.join(&name);
        if self.receipt(&name).is_some_and(|receipt| receipt.key == key) {
            return Ok(dir);
        }
        eprintln!("building the base image of {}", suite.name());
        let log = self.log(&suite.name())?;
        let scratch = self.scratch()?;
        let started = now();
        let layout = Layout::new(scratch.path(), &log)?;
        rootfs::bootstrap(&layout.rootfs(), codename, &sources, &log)?;
        let created = timestamp(rootfs::settle(&layout.rootfs(), started, 0)?)?;
        let rootfs::Content { files, bytes, packages } = rootfs::measure(&layout.rootfs())?;
        layout.pack(&format!("mmdebstrap --variant=minbase {codename}"), &created)?;
        let shell = Config { cmd: vec!["bash".to_owned()], ..Config::default() };
        layout.configure(&shell, &packages, "config", &created)?;
        let built = layout.finish()?;
        let receipt = Receipt { key, files, bytes, stored_bytes: layout::stored_bytes(&built)?, packages };
        self.replace(&name, &built, &receipt)?;
        Ok(dir)
    }

    /// The receipt of an image that is there.
    fn receipt(&self, name: &str) -> Option<Receipt> {
        let text = fs::read_to_string(self.receipt_file(name)).ok()?;
        self.layout(name).join("index.json").is_file().then(|| serde_json::from_str(&text).ok())?
    }

    /// Puts a finished layout in the place of an older one; the receipt comes last, so it never lies.
    fn replace(&self, name: &str, built: &Path, receipt: &Receipt) -> Result<()> {
        let (dir, file) = (self.layout(name), self.receipt_file(name));
        let replace = || -> std::io::Result<()> {
            if file.exists() {
                fs::remove_file(&file)?;
            }
            if dir.exists() {
                fs::remove_dir_all(&dir)?;
            }
            fs::rename(built, &dir)?;
            fs::write(&file, serde_json::to_string_pretty(receipt)? + "\n")
        };
        replace().with_context(|| format!("cannot put the image into {}", dir.display()))
    }

    fn receipt_file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.json"))
    }

    /// A fresh log of this build.
    fn log(&self, name: &str) -> Result<PathBuf> {
        let log = self.dir.join(".log").join(format!("{name}.log"));
        fs::write(&log, "").with_context(|| format!("cannot write {}", log.display()))?;
        Ok(log)
    }

    /// A folder to build in, on the same filesystem, gone when it is dropped.
    fn scratch(&self) -> Result<tempfile::TempDir> {
        tempfile::Builder::new()
            .prefix(".build-")
            .tempdir_in(&self.dir)
            .with_context(|| format!("cannot make a folder in {}", self.dir.display()))
    }
}

/// Over the recipe, the declaration, each file beside it, and the packages it would get.
fn key(image: &Image, versions: &BTreeMap<String, String>) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(format!("{RECIPE}\n{}\n{versions:?}\n", image.text));
    // What lies beside them, coverages and their files, is not in the image.
    let mut pending: Vec<String> = image.sources().into_iter().rev().map(str::to_owned).collect();
    while let Some(source) = pending.pop() {
        let path = image.files_dir.join(&source);
        if path.is_dir() {
            let mut names = Vec::new();
            for entry in fs::read_dir(&path).with_context(|| format!("cannot list {}", path.display()))? {
                names.push(format!("{source}/{}", entry?.file_name().to_string_lossy()));
            }
            names.sort();
            pending.extend(names.into_iter().rev());
            continue;
        }
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        hash.update(format!("{source:?} {}\n", content.len()));
        hash.update(&content);
    }
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Now, in seconds since 1970.
fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}

/// Seconds since 1970 as a config states times.
pub(crate) fn timestamp(seconds: i64) -> Result<String> {
    let text = command::output(Command::new("date").args([
        "-u",
        "-d",
        &format!("@{seconds}"),
        "+%Y-%m-%dT%H:%M:%SZ",
    ]))?;
    Ok(text.trim_end().to_owned())
}
