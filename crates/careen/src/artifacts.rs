//! Where the documents of a hardening lie: beside the result, and by digest in the data directory.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use image::{Digest, ImageSource};

use crate::exit::ExitCode;
use crate::failure::Failure;

/// The files that a hardening leaves beside its image.
#[derive(Debug, Clone)]
pub(crate) struct Artifacts {
    dir: PathBuf,
}

impl Artifacts {
    /// The directory beside an image: its path with `.careen` appended.
    pub(crate) fn beside(image: &Path) -> Self {
        // Without a trailing slash, or the directory would lie inside the image.
        let image: PathBuf = image.components().collect();
        let mut name = OsString::from(image.as_os_str());
        name.push(".careen");
        Self { dir: name.into() }
    }

    /// A directory that the user chose.
    pub(crate) fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Where they lie.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn report(&self) -> PathBuf {
        self.dir.join("report.html")
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.dir.join("ledger.json.zst")
    }

    pub(crate) fn profile(&self) -> PathBuf {
        self.dir.join("original.profile")
    }

    pub(crate) fn verify_profile(&self) -> PathBuf {
        self.dir.join("hardened.profile")
    }

    pub(crate) fn result(&self) -> PathBuf {
        self.dir.join("result.json")
    }

    pub(crate) fn scan(&self) -> PathBuf {
        self.dir.join("scan.json")
    }

    /// Writes files into the directory, each whole or not at all.
    pub(crate) fn write(&self, files: &[(PathBuf, Vec<u8>)]) -> Result<(), Failure> {
        let failed = |what: &Path, source: std::io::Error| {
            Failure::caused_by(ExitCode::Output, format!("cannot write {}", what.display()), source)
        };
        std::fs::create_dir_all(&self.dir).map_err(|source| failed(&self.dir, source))?;
        files
            .iter()
            .try_for_each(|(path, bytes)| write_whole(path, bytes).map_err(|source| failed(path, source)))
    }
}

/// Writes a file by a temporary one beside it and a rename, so that no reader ever sees half of it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let permissions = std::fs::Permissions::from_mode(0o644);
    let mut file =
        tempfile::Builder::new().prefix(".careen-").permissions(permissions).tempfile_in(parent)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The path on disk that an image reference names; of an image in a registry, the name that a file of it may have here.
pub(crate) fn source_path(source: &ImageSource) -> &Path {
    match source {
        ImageSource::Registry { reference, .. } => {
            let last = reference.split('@').next().and_then(|name| name.rsplit('/').next());
            Path::new(last.and_then(|last| last.split(':').next()).unwrap_or("image"))
        }
        ImageSource::OciLayout { dir: path, .. } | ImageSource::Rootfs { path } => path,
        ImageSource::OciArchive { file, .. } | ImageSource::DockerArchive { file, .. } => file,
    }
}

/// Results by manifest digest, so that `explain` and `verify` find a ledger wherever the image went.
pub(crate) struct ResultStore {
    dir: PathBuf,
}

/// The documents of a hardening that are remembered, as they are written.
pub(crate) struct Known<'a> {
    pub(crate) ledger: &'a [u8],
    pub(crate) profile: &'a [u8],
    pub(crate) result: &'a [u8],
    /// Where there was a database.
    pub(crate) scan: Option<&'a [u8]>,
}

impl ResultStore {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("results") }
    }

    fn entry(&self, manifest: Digest) -> Artifacts {
        Artifacts::at(&self.dir.join(manifest.hex()))
    }

    /// Remembers the documents of a hardening under the digests of both images.
    pub(crate) fn remember(&self, manifests: &[Digest], known: &Known<'_>) -> Result<(), Failure> {
        manifests.iter().try_for_each(|manifest| {
            let entry = self.entry(*manifest);
            let mut files = vec![
                (entry.ledger(), known.ledger.to_vec()),
                (entry.profile(), known.profile.to_vec()),
                (entry.result(), known.result.to_vec()),
            ];
            match known.scan {
                Some(scan) => files.push((entry.scan(), scan.to_vec())),
                // That of an earlier hardening tells of another result.
                None => drop(std::fs::remove_file(entry.scan())),
            }
            entry.write(&files)
        })
    }

    /// The documents for an image: those remembered for its digest, else those beside it.
    pub(crate) fn find(&self, source: &ImageSource, manifest: Digest) -> Option<Artifacts> {
        [self.entry(manifest), Artifacts::beside(source_path(source))]
            .into_iter()
            .find(|artifacts| artifacts.ledger().is_file())
    }
}
