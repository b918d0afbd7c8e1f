//! Reading what upstreams publish, each in its own format, into a [`DatabaseBuilder`].
//!
//! A file's format is found by its content (and, for a few lists without any mark of their own, by its name). A broken
//! record is counted and named in the status of its source; it never stops the rest. What Debian says is collected
//! over all files first and decided at the end: see [`debian`].

mod alpine;
mod cpe;
mod debian;
mod detect;
mod epss;
mod exploited;
mod kind;
mod nodejs;
mod npm_range;
mod nvd;
mod osv;
mod retire;
mod sink;
mod unpack;
mod vulnrichment;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::DatabaseBuilder;
use crate::database::Source;
use detect::Format;
use sink::{Origin, Sink};

/// How much an upstream's file may ask of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file, as it is and decompressed.
    pub file_bytes: u64,
    /// Bytes of all members of a zip archive together, decompressed.
    pub archive_bytes: u64,
    /// Members of a zip archive.
    pub members: usize,
    /// Files in a directory.
    pub files: usize,
    /// Directories within each other.
    pub depth: u32,
}

impl Default for Limits {
    /// 1 GiB a file, 8 GiB and a million members an archive, a million files, 16 directories deep.
    fn default() -> Self {
        Self { file_bytes: 1 << 30, archive_bytes: 8 << 30, members: 1_000_000, files: 1_000_000, depth: 16 }
    }
}

/// Why an import ended. What is wrong within a file does not end it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file or directory that was named cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory holds more than we read.
    #[error("{path} holds more than {limit} files, or is too deep")]
    TooMany {
        /// Which.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
}

/// Files on their way into a database.
#[derive(Debug)]
pub struct Import {
    builder: DatabaseBuilder,
    debian: debian::Facts,
    sources: BTreeMap<(String, String), Source>,
    today: String,
    limits: Limits,
}

impl Import {
    /// Nothing yet. `built` is the date of the database, RFC 3339: records from after it do not count as its newest,
    /// and support that ends after it has not ended.
    pub fn new(built: &str, limits: Limits) -> Self {
        let mut builder = DatabaseBuilder::new();
        builder.built(built);
        let today = built.get(..10).unwrap_or_default().to_owned();
        Self { builder, debian: debian::Facts::default(), sources: BTreeMap::new(), today, limits }
    }

    /// Reads a file, or every file beneath a directory, in order of their names.
    ///
    /// `on_file` hears of each before it is read, by its path beneath `path`, and may say false to stop.
    ///
    /// # Errors
    /// [`ImportError`]: `path` cannot be read, or holds too much.
    pub fn path(&mut self, path: &Path, on_file: &mut dyn FnMut(&str) -> bool) -> Result<(), ImportError> {
        let read = |source| ImportError::Read { path: path.to_owned(), source };
        if !fs::metadata(path).map_err(read)?.is_dir() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return if on_file(&name) { self.file(path, &name) } else { Ok(()) };
        }
        let mut files = Vec::new();
        list(path, self.limits.depth, self.limits.files, &mut files)?;
        for file in files {
            let name = file.strip_prefix(path).unwrap_or(&file).to_string_lossy().into_owned();
            if !on_file(&name) {
                return Ok(());
            }
            self.file(&file, &name)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: &str) -> Result<(), ImportError> {
        let read = |source| ImportError::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = fs::File::open(path).map_err(read)?;
        file.take(self.limits.file_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(read)?;
        self.bytes(name, &bytes);
        Ok(())
    }

    /// Reads the bytes of a file that came from `location`: a path or an URL.
    pub fn bytes(&mut self, location: &str, bytes: &[u8]) {
        let origin = Origin {
            location: location.to_owned(),
            sha256: hex(&Sha256::digest(bytes)),
            size_bytes: bytes.len() as u64,
        };
        let mut sink = Sink {
            builder: &mut self.builder,
            debian: &mut self.debian,
            sources: &mut self.sources,
            origin: &origin,
            today: &self.today,
        };
        if bytes.len() as u64 > self.limits.file_bytes {
            sink.unused("larger than what is read");
            return;
        }
        let name = location.rsplit('/').next().unwrap_or(location);
        let outcome = if unpack::is_zip(bytes) {
            unpack::each_member(bytes, &self.limits, &mut |member, bytes| text(member, bytes, &mut sink))
        } else {
            unpack::decompress(bytes, self.limits.file_bytes)
                .map(|bytes| text(unpack::bare_name(name), &bytes, &mut sink))
        };
        if let Err(problem) = outcome {
            sink.unused(&problem);
        }
    }

    /// Notes that a source could not be fetched, and why. What was read from an older copy of it stays.
    pub fn not_fetched(&mut self, location: &str, why: &str) {
        let why = Some(why.to_owned());
        let mut older = self.sources.values_mut().filter(|source| source.location == location).peekable();
        if older.peek().is_some() {
            older.for_each(|source| source.not_fetched.clone_from(&why));
            return;
        }
        let source = Source {
            name: "-".to_owned(),
            format: "-".to_owned(),
            location: location.to_owned(),
            unused: Some("it could not be fetched".to_owned()),
            not_fetched: why,
            ..Source::default()
        };
        self.sources.insert((source.name.clone(), source.location.clone()), source);
    }

    /// Decides what Debian's sources say together, and hands over the builder.
    pub fn finish(mut self) -> DatabaseBuilder {
        self.debian.resolve(&self.today, &mut self.builder);
        for source in self.sources.into_values() {
            self.builder.source(source);
        }
        self.builder
    }
}

/// Reads one document.
fn text(name: &str, bytes: &[u8], sink: &mut Sink<'_>) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        sink.unused("not UTF-8 text");
        return;
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match detect::format(name, text) {
        Format::Osv => osv::read(text, sink),
        Format::DebianTracker => debian::tracker::read(text, sink),
        Format::DebianAdvisories => debian::advisories::read(text, sink),
        Format::DebianCveList => debian::cve_list::read(text, sink),
        Format::DebianChangelogs => debian::changelogs::read(text, sink),
        Format::DebianArchive => debian::archive::read(text, sink),
        Format::DistroInfo => debian::lifecycle::releases(text, sink),
        Format::SecuritySupport => debian::lifecycle::support(name, text, sink),
        Format::AlpineSecdb => alpine::read(text, sink),
        Format::Kev => exploited::read(text, sink),
        Format::Epss => epss::read(text, sink),
        Format::Vulnrichment => vulnrichment::reduced(text, sink),
        Format::CveRecord => vulnrichment::record(text, sink),
        Format::Nvd => nvd::read(text, sink),
        Format::CpeConfigurations => cpe::read(text, sink),
        Format::RetireJs => retire::read(text, sink),
        Format::NodeCore => nodejs::core(text, sink),
        Format::NodeNpm => nodejs::npm(text, sink),
        Format::Other(what) => sink.unused(what),
    }
}

/// Hands over the JSON values that follow each other in a text, one a line or not. After a broken one, the next line
/// is tried.
fn json_values(text: &str, on_value: &mut dyn FnMut(Result<serde_json::Value, String>)) {
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<serde_json::Value>();
        let next = stream.next();
        let end = stream.byte_offset();
        match next {
            Some(Ok(value)) => {
                on_value(Ok(value));
                rest = rest.get(end..).unwrap_or_default().trim_start();
            }
            Some(Err(error)) => {
                let excerpt = &rest[..rest.floor_char_boundary(60)];
                on_value(Err(format!("{error}, in: {excerpt}")));
                rest = rest.split_once('\n').map_or("", |(_, next)| next).trim_start();
            }
            None => return,
        }
    }
}

/// Lines that hold something.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
}

fn list(dir: &Path, depth: u32, limit: usize, files: &mut Vec<PathBuf>) -> Result<(), ImportError> {
    let read = |source| ImportError::Read { path: dir.to_owned(), source };
    let mut entries = fs::read_dir(dir).map_err(read)?.collect::<Result<Vec<_>, _>>().map_err(read)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(read)?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if is_hidden {
            continue;
        }
        if files.len() >= limit || depth == 0 {
            return Err(ImportError::TooMany { path: dir.to_owned(), limit });
        }
        if kind.is_dir() {
            list(&entry.path(), depth - 1, limit, files)?;
        } else if fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file()) {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
