//! Reading the databases of an image.

use std::collections::HashSet;

use image::tree::ResolutionEnd;
use image::{Image, ImagePath, NodeKind};

use crate::{OsRelease, PackageDatabase, Problem, apk, dpkg, npm, python, rpm};

/// How much a package database may ask of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file that lists packages.
    pub status_bytes: u64,
    /// Bytes of one file that lists a package's files, and of every other file of a database.
    pub list_bytes: u64,
    /// Bytes of an rpm database.
    pub rpm_bytes: u64,
    /// Packages.
    pub packages: usize,
    /// Paths that all packages list together.
    pub files: usize,
    /// Bytes of one manifest of a language: a lock file, a list of crates.
    pub manifest_bytes: u64,
    /// Bytes that one archive, and those within it, may inflate to while it is looked into.
    pub archive_bytes: u64,
    /// How deep archives may lie within archives.
    pub nesting: usize,
    /// Bytes of one program in which its version is looked for.
    pub program_bytes: u64,
}

impl Default for Limits {
    /// 64 MiB for each file, 512 MiB for an rpm database, 100,000 packages, five million paths: some ten times what all of a desktop needs.
    /// 32 MiB for a manifest, 512 MiB inflated of an archive, 20 archives deep, 256 MiB of a program.
    fn default() -> Self {
        Self {
            status_bytes: 64 << 20,
            list_bytes: 64 << 20,
            rpm_bytes: 512 << 20,
            packages: 100_000,
            files: 5_000_000,
            manifest_bytes: 32 << 20,
            archive_bytes: 512 << 20,
            nesting: 20,
            program_bytes: 256 << 20,
        }
    }
}

/// Why an image's packages could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadPackagesError {
    /// A file of the database cannot be read, or is larger than we read.
    #[error("cannot read the package database {path}")]
    File {
        /// The file.
        path: ImagePath,
        /// Why.
        source: image::ReadFileError,
    },
    /// There are more packages than we read.
    #[error("the image lists more than {limit} packages")]
    Packages {
        /// The limit.
        limit: usize,
    },
    /// The packages list more files than we read.
    #[error("the image's packages list more than {limit} files")]
    Files {
        /// The limit.
        limit: usize,
    },
}

impl ReadPackagesError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File { source: image::ReadFileError::TooLarge { .. }, .. }
            | Self::Packages { .. }
            | Self::Files { .. } => {
                Some("this is no database that a package manager wrote: rebuild the image".into())
            }
            Self::File { .. } => None,
        }
    }
}

/// Reads every package database that an image has; one without any gives an empty database.
///
/// # Errors
/// [`ReadPackagesError`]: a file cannot be read, or exceeds a limit. Broken content is no error: see
/// [`PackageDatabase::problems`].
pub fn read(image: &Image) -> Result<PackageDatabase, ReadPackagesError> {
    read_within(image, &Limits::default())
}

/// As [`read()`], within other limits.
///
/// # Errors
/// As [`read()`].
pub fn read_within(image: &Image, limits: &Limits) -> Result<PackageDatabase, ReadPackagesError> {
    let os_release = os_release(image, limits)?;
    let mut problems = Problems::default();
    let mut reading =
        Reading { image, os: os_release.as_ref(), limits, problems: &mut problems, packages: 0, files: 0 };
    let dpkg = dpkg::read(&mut reading)?;
    let mut packages = dpkg.packages;
    packages.append(&mut apk::read(&mut reading)?);
    packages.append(&mut rpm::read(&mut reading)?);
    // What a distribution's package owns is its own: a language's package begins where that ends.
    let owned: HashSet<ImagePath> =
        packages.iter().flat_map(|package| package.files.iter().cloned()).collect();
    packages.append(&mut python::read(&mut reading, &owned)?);
    packages.append(&mut npm::read(&mut reading, &owned)?);
    Ok(PackageDatabase::new(packages, os_release, dpkg.alternatives, problems.0))
}

/// What the readers of one image share.
pub(crate) struct Reading<'a> {
    pub(crate) image: &'a Image,
    pub(crate) os: Option<&'a OsRelease>,
    pub(crate) limits: &'a Limits,
    pub(crate) problems: &'a mut Problems,
    packages: usize,
    files: usize,
}

impl Reading<'_> {
    /// Counts packages and the paths that they list.
    ///
    /// # Errors
    /// `Packages` or `Files` where there are more than the limits allow.
    pub(crate) fn count(&mut self, packages: usize, files: usize) -> Result<(), ReadPackagesError> {
        self.packages = self.packages.saturating_add(packages);
        self.files = self.files.saturating_add(files);
        if self.packages > self.limits.packages {
            return Err(ReadPackagesError::Packages { limit: self.limits.packages });
        }
        if self.files > self.limits.files {
            return Err(ReadPackagesError::Files { limit: self.limits.files });
        }
        Ok(())
    }

    pub(crate) fn file(&self, path: &ImagePath) -> Result<Vec<u8>, ReadPackagesError> {
        file(self.image, path, self.limits.list_bytes)
    }

    /// What is wrong with a file as a whole.
    pub(crate) fn problem(&mut self, file: &ImagePath, message: impl Into<String>) {
        self.problems.extend(file, vec![(0, message.into())]);
    }
}

/// Where something of a database lies, and the links that lead there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) symlinks: Vec<ImagePath>,
    pub(crate) path: ImagePath,
}

/// The file or directory that this path leads to.
pub(crate) fn place(image: &Image, path: &[u8]) -> Option<Place> {
    let resolution = image.tree().resolve(&ImagePath::root(), path, true);
    match resolution.end {
        ResolutionEnd::Found(path) => Some(Place { symlinks: resolution.symlinks, path }),
        _ => None,
    }
}

fn os_release(image: &Image, limits: &Limits) -> Result<Option<OsRelease>, ReadPackagesError> {
    for path in [&b"etc/os-release"[..], b"usr/lib/os-release"] {
        if let Some(path) = ImagePath::from_absolute(path).ok().and_then(|path| regular(image, &path)) {
            return Ok(Some(OsRelease::parse(&file(image, &path, limits.list_bytes)?)));
        }
    }
    Ok(None)
}

/// The content of a regular file.
pub(crate) fn file(image: &Image, path: &ImagePath, limit_bytes: u64) -> Result<Vec<u8>, ReadPackagesError> {
    let failed = |source| ReadPackagesError::File { path: path.clone(), source };
    image.read_file(path, limit_bytes).map_err(failed)
}

/// The regular file that this path leads to, all links followed.
pub(crate) fn regular(image: &Image, path: &ImagePath) -> Option<ImagePath> {
    follow(image, path.as_bytes())
        .filter(|found| matches!(image.tree().get(found).map(|node| &node.kind), Some(NodeKind::File { .. })))
}

/// The directory that this path leads to, all links followed.
pub(crate) fn directory(image: &Image, path: &[u8]) -> Option<ImagePath> {
    follow(image, path)
        .filter(|found| matches!(image.tree().get(found).map(|node| &node.kind), Some(NodeKind::Directory)))
}

fn follow(image: &Image, path: &[u8]) -> Option<ImagePath> {
    match image.tree().resolve(&ImagePath::root(), path, true).end {
        ResolutionEnd::Found(found) => Some(found),
        _ => None,
    }
}

/// Collects problems, up to a number that a person would read.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

const MAX_PROBLEMS: usize = 1_000;

impl From<Vec<Problem>> for Problems {
    fn from(problems: Vec<Problem>) -> Self {
        Self(problems)
    }
}

impl Problems {
    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.0
    }

    pub(crate) fn extend(&mut self, file: &ImagePath, problems: Vec<(usize, String)>) {
        let room = MAX_PROBLEMS.saturating_sub(self.0.len());
        let problem = |(line, message)| Problem { file: file.clone(), line, message };
        self.0.extend(problems.into_iter().take(room).map(problem));
    }
}
