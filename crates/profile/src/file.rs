//! The profile on disk: JSON, compressed with zstd.

use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::document::FORMAT_VERSION;
use crate::{AccessKind, Activity, Profile};

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Level 3 writes 200 MB/s; profiles are small.
const ZSTD_LEVEL: i32 = 3;

/// What a reader takes in at most. The numbers of runs, steps, processes and paths are limited too, by the `MAX_…`
/// constants of [`crate::document`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Bytes of the file as stored.
    pub file_bytes: u64,
    /// Bytes of the JSON document after decompression.
    pub document_bytes: u64,
}

impl Default for ReadLimits {
    /// 256 MiB stored, 1 GiB decompressed: about a hundred times the profile of an image with 60,000 files in use.
    fn default() -> Self {
        Self { file_bytes: 256 << 20, document_bytes: 1 << 30 }
    }
}

/// Why a profile could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadProfileError {
    /// The file could not be read.
    #[error("cannot read profile {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its content is not a profile.
    #[error("cannot use {path} as profile")]
    Content {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: ParseProfileError,
    },
}

/// Why some bytes are not a profile.
#[derive(Debug, thiserror::Error)]
pub enum ParseProfileError {
    /// More bytes than allowed.
    #[error("the {what} is longer than {limit_bytes} bytes")]
    TooLarge {
        /// File or document.
        what: &'static str,
        /// The limit.
        limit_bytes: u64,
    },
    /// Neither zstd nor JSON.
    #[error("it is neither compressed with zstd nor JSON")]
    NotAProfile,
    /// The zstd stream is broken or cut.
    #[error("cannot decompress it")]
    Decompress(#[source] io::Error),
    /// It is no JSON, or cut.
    #[error("it is broken JSON")]
    Syntax(#[source] serde_json::Error),
    /// JSON without a version.
    #[error("it has no format version")]
    NoVersion(#[source] serde_json::Error),
    /// A version that this build does not know.
    #[error("its format version is {found}, this build reads {FORMAT_VERSION}")]
    Version {
        /// The version found.
        found: u64,
    },
    /// A field is missing, unknown in value, or of another type.
    #[error("field {field} is wrong")]
    Field {
        /// Path of the field from the document's root, such as `runs[0].steps[2].outcome`.
        field: String,
        /// What is wrong, with line and column in the decompressed document.
        source: serde_json::Error,
    },
    /// A number refers to something that the document does not hold.
    #[error("field {field} refers to {what} {index}, but there are {count}")]
    DanglingIndex {
        /// Path of the field.
        field: String,
        /// Run, step or process.
        what: &'static str,
        /// The number found.
        index: u32,
        /// How many there are.
        count: usize,
    },
    /// Errnos where no lookup failed, or a failed lookup without one.
    #[error("field {field}: errnos belong to `missing`, and only there")]
    Errnos {
        /// Path of the field.
        field: String,
    },
}

/// Why a profile could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write profile {path}")]
pub struct WriteProfileError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl ReadProfileError {
    /// What the user can try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("record one first, with careen record IMAGE --coverage COVERAGE".to_owned())
            }
            Self::Read { .. } => None,
            Self::Content { source, .. } => source.hint(),
        }
    }
}

impl ParseProfileError {
    /// What the user can try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Version { found } if *found > u64::from(FORMAT_VERSION) => {
                Some("it was written by a newer Careen: use that one, or record the profile again".to_owned())
            }
            Self::Version { .. } | Self::Decompress(_) => Some("record the profile again".to_owned()),
            Self::NotAProfile | Self::NoVersion(_) | Self::Syntax(_) => Some(
                "profiles are what `careen record` writes with -o, and what lies beside a hardened image as *.profile"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

impl Profile {
    /// Reads a profile from disk, with the default [`ReadLimits`].
    ///
    /// # Errors
    /// [`ReadProfileError`] if the file cannot be read or is no profile.
    pub fn read(path: &Path) -> Result<Self, ReadProfileError> {
        let limits = ReadLimits::default();
        let mut bytes = Vec::new();
        let read = std::fs::File::open(path)
            .and_then(|file| file.take(limits.file_bytes.saturating_add(1)).read_to_end(&mut bytes));
        read.map_err(|source| ReadProfileError::Read { path: path.into(), source })?;
        Self::from_bytes(&bytes, &limits)
            .map_err(|source| ReadProfileError::Content { path: path.into(), source })
    }

    /// Writes the profile. An existing file is replaced at once, so that no reader sees half of it; a device or a
    /// pipe is written to.
    ///
    /// # Errors
    /// [`WriteProfileError`] with the path.
    pub fn write(&self, path: &Path) -> Result<(), WriteProfileError> {
        self.to_bytes()
            .and_then(|bytes| replace_file(path, &bytes))
            .map_err(|source| WriteProfileError { path: path.into(), source })
    }

    /// Reads a profile from the bytes of a file: zstd, or the bare JSON document.
    ///
    /// # Errors
    /// [`ParseProfileError`] for bytes that are no profile, beyond the limits, or whose parts do not fit together.
    pub fn from_bytes(bytes: &[u8], limits: &ReadLimits) -> Result<Self, ParseProfileError> {
        let too_large = |what, limit_bytes| ParseProfileError::TooLarge { what, limit_bytes };
        if bytes.len() as u64 > limits.file_bytes {
            return Err(too_large("file", limits.file_bytes));
        }
        if bytes.starts_with(&ZSTD_MAGIC) {
            let mut document = Vec::new();
            zstd::stream::read::Decoder::with_buffer(bytes)
                .and_then(|decoder| {
                    decoder.take(limits.document_bytes.saturating_add(1)).read_to_end(&mut document)
                })
                .map_err(ParseProfileError::Decompress)?;
            if document.len() as u64 > limits.document_bytes {
                return Err(too_large("document", limits.document_bytes));
            }
            return Self::from_json(&document);
        }
        if bytes.len() as u64 > limits.document_bytes {
            return Err(too_large("document", limits.document_bytes));
        }
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => Self::from_json(bytes),
            _ => Err(ParseProfileError::NotAProfile),
        }
    }

    /// The bytes of the file; the same profile gives the same bytes.
    ///
    /// # Errors
    /// An I/O error of the compressor, which works in memory.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
        encoder.include_checksum(true)?;
        // The document is many times as long as what becomes of it: it is never there as a whole.
        let mut out = io::BufWriter::with_capacity(1 << 16, encoder);
        serde_json::to_writer_pretty(&mut out, self)?;
        out.write_all(b"\n")?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.finish()
    }

    /// The document, one field a line and a line feed at its end.
    ///
    /// # Errors
    /// Never in practice: every key of the document is a string.
    pub fn to_json(&self) -> io::Result<Vec<u8>> {
        let mut out = serde_json::to_vec_pretty(self)?;
        out.push(b'\n');
        Ok(out)
    }

    /// Reads the document and checks that its parts fit together.
    ///
    /// # Errors
    /// As [`Profile::from_bytes`].
    pub fn from_json(json: &[u8]) -> Result<Self, ParseProfileError> {
        #[derive(Deserialize)]
        struct Header {
            format_version: u64,
        }
        let header: Header = serde_json::from_slice(json).map_err(|error| {
            if error.is_data() {
                ParseProfileError::NoVersion(error)
            } else {
                ParseProfileError::Syntax(error)
            }
        })?;
        if header.format_version != u64::from(FORMAT_VERSION) {
            return Err(ParseProfileError::Version { found: header.format_version });
        }
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let profile: Self = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            ParseProfileError::Field { field: error.path().to_string(), source: error.into_inner() }
        })?;
        profile.check()?;
        Ok(profile)
    }

    /// Every number refers to something, and errnos stand where they belong.
    fn check(&self) -> Result<(), ParseProfileError> {
        for (number, run) in self.runs.iter().enumerate() {
            let activity = run.activity.as_ref();
            if let Some((at, index)) = activity.and_then(Activity::dangling_parent) {
                let field = format!("runs[{number}].activity.processes[{at}].parent");
                return Err(ParseProfileError::DanglingIndex { field, what: "process", index, count: at });
            }
        }
        for (path, usages) in &self.paths {
            for (kind, usage) in usages.0.iter() {
                let field = |name: &str| format!("paths.{path}.{kind}.{name}");
                let dangling = |name, what, index, count| {
                    Err(ParseProfileError::DanglingIndex { field: field(name), what, index, count })
                };
                let Some(run) = self.run(usage.first_run) else {
                    return dangling("first_run", "run", usage.first_run, self.runs.len());
                };
                if run.step_name(usage.first_step).is_none() {
                    return dangling("first_step", "step", usage.first_step.0, run.steps.len());
                }
                for (&run, &step) in &usage.also_in {
                    let Some(later) = self.run(run).filter(|_| run > usage.first_run) else {
                        return dangling("also_in", "run", run, self.runs.len());
                    };
                    if later.step_name(step).is_none() {
                        return dangling("also_in", "step", step.0, later.steps.len());
                    }
                }
                if let Some(&index) = usage.processes.last().filter(|&&index| self.process(index).is_none()) {
                    return dangling("processes", "process", index, self.processes.len());
                }
                if usage.errnos.is_empty() == (*kind == AccessKind::Missing) {
                    return Err(ParseProfileError::Errnos { field: field("errnos") });
                }
            }
        }
        Ok(())
    }
}

/// Replaces a regular file through a neighbour and a rename; writes into anything else.
fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return std::fs::OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let permissions = std::fs::Permissions::from_mode(0o666);
    let mut file =
        tempfile::Builder::new().prefix(".profile-").permissions(permissions).tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
