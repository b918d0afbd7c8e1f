//! The database of advisories: one read-only file.
//!
//! [`DatabaseBuilder`] writes it, [`Database`] reads it: the file is mapped into memory, its small index is checked and
//! read when it is opened, and every record lies in a compressed block that is read when it is asked for.
//! `docs/formats/advisories.md` describes the bytes.

mod aliases;
mod builder;
mod bytes;
mod error;
mod file;
mod table;
mod values;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;

pub(crate) use aliases::is_cve;
pub use builder::{BuildError, DatabaseBuilder};
pub use error::{Corrupt, DatabaseError};
use file::Index;
#[cfg(feature = "fuzz")]
pub use file::seal;
pub use file::{FORMAT_VERSION, write};
pub use values::{
    About, AdvisoryName, Epss, Kev, Match, Rating, Release, Source, Ssvc, Support, Vulnerability,
};

/// Decompressed blocks that are kept at hand: neighbours are often asked for in a row.
const CACHED_BLOCKS: usize = 256;

/// An open database. Threads may share it.
#[derive(Debug)]
pub struct Database {
    bytes: Bytes,
    index: Index,
    cache: Mutex<BTreeMap<u64, Arc<Vec<u8>>>>,
}

/// A value in a decompressed block.
struct Found {
    block: Arc<Vec<u8>>,
    range: Range<usize>,
}

#[derive(Debug)]
enum Bytes {
    Mapped(sys::Mapping),
    Owned(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(mapping) => mapping,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl Database {
    /// Opens the file that [`write`] wrote.
    ///
    /// # Errors
    /// [`DatabaseError`]: there is no such file, it is something else, of another version, or damaged. Only the index
    /// is checked here; a damaged block is found when it is read, or by [`Database::check`].
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let read = |source| DatabaseError::Read { path: path.to_owned(), source };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(DatabaseError::Missing { path: path.to_owned() });
            }
            file => file.map_err(read)?,
        };
        if !file.metadata().map_err(read)?.is_file() {
            return Err(DatabaseError::Foreign);
        }
        if file.metadata().map_err(read)?.len() == 0 {
            return Err(DatabaseError::Foreign);
        }
        Self::new(Bytes::Mapped(sys::map_file(&file).map_err(read)?))
    }

    /// The same for bytes in memory.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, DatabaseError> {
        Self::new(Bytes::Owned(bytes))
    }

    fn new(bytes: Bytes) -> Result<Self, DatabaseError> {
        let index = Index::read(&bytes)?;
        Ok(Self { bytes, index, cache: Mutex::default() })
    }

    /// What the advisories say of a package, in order of vulnerability, source and advisory. Withdrawn ones are left
    /// out.
    ///
    /// # Errors
    /// `Corrupt` if the block that holds the package is damaged.
    pub fn affected(&self, ecosystem: &str, package: &str) -> Result<Vec<Match>, DatabaseError> {
        let key = package_key(ecosystem, package);
        Ok(self.record(&self.index.packages, &key)?.unwrap_or_default())
    }

    /// What is known of a vulnerability, by any of its names. A name that stands for several, such as that of an
    /// advisory that fixes many, gives none: see [`Database::resolve`].
    ///
    /// # Errors
    /// `Corrupt` if a block is damaged.
    pub fn vulnerability(&self, name: &str) -> Result<Option<Vulnerability>, DatabaseError> {
        let resolved = self.resolve(name)?;
        let [id] = resolved.as_slice() else { return Ok(None) };
        let known: Option<Vulnerability> = self.record(&self.index.vulnerabilities, id)?;
        let score: Option<(f64, f64)> = self.record(&self.index.scores, id)?;
        let epss = score.map(|(score, percentile)| Epss { score, percentile });
        Ok(match known {
            Some(known) => Some(Vulnerability { epss, ..known }),
            None => epss.map(|epss| Vulnerability {
                id: id.clone(),
                epss: Some(epss),
                ..Vulnerability::default()
            }),
        })
    }

    /// The canonical names of what is called `name`: one for a vulnerability, several for an advisory that fixes
    /// several, none for a name that nothing has.
    ///
    /// # Errors
    /// `Corrupt` if a block is damaged.
    pub fn resolve(&self, name: &str) -> Result<Vec<String>, DatabaseError> {
        if let Some(names) = self.record(&self.index.names, name)? {
            return Ok(names);
        }
        let is_known = self.raw(&self.index.vulnerabilities, name)?.is_some()
            || self.raw(&self.index.scores, name)?.is_some();
        Ok(if is_known { vec![name.to_owned()] } else { Vec::new() })
    }

    /// Every package of every ecosystem that an advisory speaks of, as (ecosystem, package), in order.
    ///
    /// # Errors
    /// `Corrupt` if a block is damaged.
    pub fn packages(&self) -> Result<Vec<(String, String)>, DatabaseError> {
        let mut packages = Vec::new();
        for block in &self.index.packages.blocks {
            let raw = block.read(&self.bytes)?;
            for record in table::records(&raw) {
                if let Some((ecosystem, package)) = record?.0.split_once('\0') {
                    packages.push((ecosystem.to_owned(), package.to_owned()));
                }
            }
        }
        Ok(packages)
    }

    /// Whether any advisory speaks of a package of this ecosystem (with its release). A damaged block counts as one
    /// that does.
    pub fn has_ecosystem(&self, ecosystem: &str) -> bool {
        let prefix = package_key(ecosystem, "");
        let table = &self.index.packages;
        // The first key that is not less lies in the block where the prefix would, or begins the next one.
        let first = table.block_of(&prefix).unwrap_or(0);
        table.blocks.iter().skip(first).take(2).any(|block| match block.read(&self.bytes) {
            Ok(raw) => {
                table::records(&raw).any(|record| record.map_or(true, |(key, _)| key.starts_with(&prefix)))
            }
            Err(_) => true,
        })
    }

    /// What the database was built from, in order of name and place.
    pub fn sources(&self) -> &[Source] {
        &self.index.about.sources
    }

    /// What the database says of itself: when it was built, from what, and the support of distributions.
    pub fn about(&self) -> &About {
        &self.index.about
    }

    /// How long a release of a distribution is looked after.
    pub fn release(&self, ecosystem: &str) -> Option<&Release> {
        self.index.about.releases.iter().find(|release| release.ecosystem == ecosystem)
    }

    /// Packages that advisories speak of, vulnerabilities, other names, and exploitation scores.
    pub fn counts(&self) -> Counts {
        Counts {
            packages: self.index.packages.records,
            vulnerabilities: self.index.vulnerabilities.records,
            names: self.index.names.records,
            scores: self.index.scores.records,
        }
    }

    /// Bytes of the file.
    pub fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Reads the whole file and compares it with the checksum in its header.
    ///
    /// # Errors
    /// `Corrupt` if a byte is not what was written.
    pub fn check(&self) -> Result<(), DatabaseError> {
        self.index.check(&self.bytes).map_err(DatabaseError::from)
    }

    fn record<T: DeserializeOwned>(
        &self,
        table: &table::Table,
        key: &str,
    ) -> Result<Option<T>, DatabaseError> {
        let Some(found) = self.raw(table, key)? else { return Ok(None) };
        let value = found.block.get(found.range).ok_or(Corrupt("a record"))?;
        Ok(Some(serde_json::from_slice(value).map_err(|_| Corrupt("a record"))?))
    }

    /// The value of `key`, still in its block.
    fn raw(&self, table: &table::Table, key: &str) -> Result<Option<Found>, DatabaseError> {
        let Some(block) = table.block_of(key).map(|number| &table.blocks[number]) else { return Ok(None) };
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(&block.offset).cloned();
        let raw = match cached {
            Some(raw) => raw,
            None => {
                let raw = Arc::new(block.read(&self.bytes)?);
                let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
                if cache.len() >= CACHED_BLOCKS {
                    cache.clear();
                }
                cache.insert(block.offset, Arc::clone(&raw));
                raw
            }
        };
        let found = table::find(&raw, key)?;
        Ok(found.map(|range| Found { block: raw, range }))
    }
}

/// How much a database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Packages that advisories speak of, each release of a distribution for itself.
    pub packages: u64,
    /// Vulnerabilities of which something is known beside a score.
    pub vulnerabilities: u64,
    /// Other names of vulnerabilities, and names of advisories.
    pub names: u64,
    /// Vulnerabilities with a score of exploitation.
    pub scores: u64,
}

fn package_key(ecosystem: &str, package: &str) -> String {
    format!("{ecosystem}\0{package}")
}

#[cfg(test)]
#[path = "database/tests.rs"]
mod tests;
