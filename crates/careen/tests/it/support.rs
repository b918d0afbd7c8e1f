//! Running the binary, finding the images, counting what remains.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The binary under test.
pub(crate) const CAREEN: &str = env!("CARGO_BIN_EXE_careen");

/// What a test says when it cannot run here: a failure in CI, a visible skip elsewhere.
pub(crate) fn skip(reason: &str) {
    println!("SKIP {reason}");
    assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here: {reason}");
}

/// Whether the end-to-end tests can run; says why not.
pub(crate) fn can_run() -> bool {
    if !rustix_is_root() {
        skip("not root");
        return false;
    }
    true
}

fn rustix_is_root() -> bool {
    fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}

/// The OCI layout of a test image; `None` (after a skip) where it was not built.
pub(crate) fn image(name: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
    let found = [workspace.join("target/images").join(name), cache.join("careen/images").join(name)]
        .into_iter()
        .find(|dir| dir.join("index.json").is_file());
    if found.is_none() {
        skip(&format!("image {name} is not built: cargo xtask images {name}"));
    }
    found.map(|dir| dir.canonicalize().unwrap())
}

/// A directory for one test on a real file system (overlayfs needs one), gone afterwards.
pub(crate) fn workdir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("careen-it-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A data directory shared by all tests of one run, so that layers are unpacked once.
pub(crate) fn data_dir() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("data");
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// Runs careen with the shared data directory.
pub(crate) fn careen(args: &[&str]) -> Output {
    careen_command(args).output().unwrap()
}

/// The same, to be changed before it runs.
pub(crate) fn careen_command(args: &[&str]) -> Command {
    let mut command = Command::new(CAREEN);
    command
        .args(args)
        .env("CAREEN_DATA_DIR", data_dir())
        .env_remove("CAREEN_LOG")
        .stdin(std::process::Stdio::null());
    command
}

/// Runs careen, which must succeed, and returns its JSON.
pub(crate) fn careen_json(args: &[&str]) -> Value {
    let output = careen(&[args, &["--output", "json"]].concat());
    assert!(
        output.status.success(),
        "careen {args:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Hardens a test image with its own coverage or a built-in one, once for all tests that ask for it, and returns the directory that
/// holds `NAME` (OCI layout) and `NAME.careen` (artifacts).
pub(crate) fn hardened(name: &str) -> Option<PathBuf> {
    let source = image(name)?;
    let meta = fs::metadata(CAREEN).unwrap();
    let stamp = meta.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hardened");
    fs::create_dir_all(&shared).unwrap();
    let lock = File::create(shared.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let dir = shared.join(format!("{name}-{stamp:x}"));
    if !dir.join("done").exists() {
        fs::create_dir_all(&dir).unwrap();
        let target = format!("oci:{}", dir.join(name).display());
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images").join(name).join("coverage.yaml");
        let coverage = if own.is_file() { own.display().to_string() } else { name.to_owned() };
        careen_json(&[
            "harden",
            &format!("oci:{}", source.display()),
            "--coverage",
            &coverage,
            "-o",
            &target,
            "--force",
        ]);
        fs::write(dir.join("done"), "").unwrap();
    }
    Some(dir)
}

/// Builds a database of these advisories, and nothing else, in a directory; returns its file.
pub(crate) fn database(dir: &Path, advisories: &testkit::Advisories) -> String {
    let from = advisories.write(dir);
    let file = dir.join("advisories.db").display().to_string();
    let built = careen(&["db", "build", "--from", &from.display().to_string(), "-o", &file]);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    file
}

/// A JSON Schema.
pub(crate) struct Schema(jsonschema::Validator);

impl Schema {
    /// Fails with the first differences.
    pub(crate) fn conforms(&self, document: &Value) {
        let errors: Vec<_> =
            self.0.iter_errors(document).take(5).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
}

/// A schema by its path from this crate, with those that it refers to, by their addresses.
pub(crate) fn schema(path: &str, others: &[(&str, &str)]) -> Schema {
    let read = |path: &str| document(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    let mut registry = jsonschema::Registry::new();
    for (address, path) in others {
        registry = registry.add(*address, read(path)).unwrap();
    }
    let registry = registry.prepare().unwrap();
    Schema(jsonschema::options().with_registry(&registry).build(&read(path)).unwrap())
}

/// That of CycloneDX 1.6.
pub(crate) fn cyclonedx() -> Schema {
    let dir = "../sbom/tests/data/cyclonedx";
    schema(
        &format!("{dir}/bom-1.6.schema.json.zst"),
        &[
            ("http://cyclonedx.org/schema/jsf-0.82.schema.json", &format!("{dir}/jsf-0.82.schema.json.zst")),
            ("http://cyclonedx.org/schema/spdx.schema.json", &format!("{dir}/spdx.schema.json.zst")),
        ],
    )
}

/// Reads a document of ours (JSON, zstd where the name says so).
pub(crate) fn document(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap();
    let bytes = if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) { unzstd(path) } else { bytes };
    serde_json::from_slice(&bytes).unwrap()
}

fn unzstd(path: &Path) -> Vec<u8> {
    let output = Command::new("zstd").arg("-dc").arg(path).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// Regular files of an image by an independent tool, as (paths, bytes, hard links once). Unpacked with umoci.
pub(crate) struct Unpacked {
    _dir: tempfile::TempDir,
    pub(crate) rootfs: PathBuf,
}

/// Unpacks an OCI layout with umoci.
pub(crate) fn umoci(layout: &Path) -> Unpacked {
    let dir = workdir();
    let bundle = dir.path().join("bundle");
    let tag = tag(layout);
    let output = Command::new("umoci")
        .args(["unpack", "--image", &format!("{}:{tag}", layout.display())])
        .arg(&bundle)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Unpacked { rootfs: bundle.join("rootfs"), _dir: dir }
}

fn tag(layout: &Path) -> String {
    let index = document(&layout.join("index.json"));
    index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
        .as_str()
        .unwrap_or("latest")
        .to_owned()
}

impl Unpacked {
    /// Regular files beneath the root: names relative to it and the sum of their sizes, hard links counted once.
    pub(crate) fn files(&self) -> (BTreeSet<PathBuf>, u64) {
        use std::os::unix::fs::MetadataExt as _;
        let (mut names, mut bytes, mut inodes) = (BTreeSet::new(), 0, BTreeSet::new());
        let mut pending = vec![self.rootfs.clone()];
        while let Some(dir) = pending.pop() {
            for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
                let meta = entry.metadata().unwrap();
                if meta.is_dir() {
                    pending.push(entry.path());
                } else if meta.is_file() {
                    names.insert(entry.path().strip_prefix(&self.rootfs).unwrap().to_owned());
                    if inodes.insert(meta.ino()) {
                        bytes += meta.len();
                    }
                }
            }
        }
        (names, bytes)
    }

    /// Packages that dpkg itself finds in the image.
    pub(crate) fn dpkg_packages(&self) -> BTreeSet<String> {
        let output = Command::new("dpkg-query")
            .arg(format!("--admindir={}", self.rootfs.join("var/lib/dpkg").display()))
            .args(["-W", "-f=${Package}\n"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }
}

/// Mounts and cgroups of ours, to compare before and after: nothing may remain.
pub(crate) fn traces_of_ours(data_dir: &Path) -> Vec<String> {
    let data = data_dir.canonicalize().unwrap().display().to_string();
    let mut found: Vec<String> = fs::read_to_string("/proc/self/mountinfo")
        .unwrap()
        .lines()
        .filter(|line| line.contains(&data))
        .map(str::to_owned)
        .collect();
    for dir in [data_dir.join("run"), data_dir.join("scratch")] {
        if let Ok(entries) = fs::read_dir(&dir) {
            found.extend(
                entries
                    .map(|entry| entry.unwrap().path())
                    .filter(|path| path.is_dir() || path.extension().is_none_or(|e| e != "lock"))
                    .map(|path| path.display().to_string()),
            );
        }
    }
    found
}
