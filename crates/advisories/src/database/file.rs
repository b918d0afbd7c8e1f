//! The file as a whole: header, blocks, index.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::bytes::Reader;
use super::error::{Corrupt, DatabaseError};
use super::table::{Table, put};
use super::values::About;

/// The version of the format that this program writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// The first byte is no text, the last ones are damaged by whatever converts line ends.
const MAGIC: &[u8; 8] = b"\x89CRNADV\n";
const HEADER_BYTES: usize = 128;

/// What is read when the file is opened.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) about: About,
    /// Matches by ecosystem, NUL and package.
    pub(super) packages: Table,
    /// Vulnerabilities by canonical name.
    pub(super) vulnerabilities: Table,
    /// Canonical names by other names.
    pub(super) names: Table,
    /// Scores of exploitation by canonical name.
    pub(super) scores: Table,
    /// SHA-256 of everything between header and index.
    blocks_sha256: [u8; 32],
    blocks_end: usize,
}

/// A file in the making.
pub(super) struct Writer {
    pub(super) file: Vec<u8>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { file: vec![0; HEADER_BYTES] }
    }

    /// Appends the index and fills in the header.
    pub(super) fn finish(mut self, about: &About, tables: [&Table; 4]) -> io::Result<Vec<u8>> {
        let mut index = Vec::new();
        put(&mut index, &serde_json::to_vec(about)?)?;
        for table in tables {
            table.encode(&mut index)?;
        }
        let index_start = self.file.len();
        let blocks = Sha256::digest(&self.file[HEADER_BYTES..]);
        self.file.extend_from_slice(&index);
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        header.extend_from_slice(&0_u32.to_le_bytes());
        header.extend_from_slice(&(self.file.len() as u64).to_le_bytes());
        header.extend_from_slice(&(index_start as u64).to_le_bytes());
        header.extend_from_slice(&Sha256::digest(&index));
        header.extend_from_slice(&blocks);
        let own = Sha256::digest(&header);
        header.extend_from_slice(&own);
        self.file[..HEADER_BYTES].copy_from_slice(&header);
        Ok(self.file)
    }
}

impl Index {
    /// Reads header and index, and checks their checksums.
    pub(super) fn read(file: &[u8]) -> Result<Self, DatabaseError> {
        let (header, _) = file.split_at_checked(HEADER_BYTES).ok_or(DatabaseError::Foreign)?;
        let mut reader = Reader::new(header);
        if reader.take(MAGIC.len())? != MAGIC {
            return Err(DatabaseError::Foreign);
        }
        let version = reader.u32()?;
        if version != FORMAT_VERSION {
            return Err(DatabaseError::Version { found: version, wanted: FORMAT_VERSION });
        }
        let _reserved = reader.u32()?;
        let file_bytes = reader.u64()?;
        let index_start = reader.u64()?;
        let index_sha256 = reader.take(32)?;
        let blocks_sha256: [u8; 32] = reader.take(32)?.try_into().map_err(|_| Corrupt("the header"))?;
        let (before, own_sha256) = header.split_at(HEADER_BYTES - 32);
        if Sha256::digest(before)[..] != *own_sha256 {
            return Err(Corrupt("the header").into());
        }
        if file_bytes != file.len() as u64 {
            return Err(Corrupt("the length").into());
        }
        let blocks_end = usize::try_from(index_start).map_err(|_| Corrupt("the index"))?;
        let index = file.get(blocks_end..).ok_or(Corrupt("the index"))?;
        if blocks_end < HEADER_BYTES || Sha256::digest(index)[..] != *index_sha256 {
            return Err(Corrupt("the index").into());
        }
        let mut reader = Reader::new(index);
        let about = serde_json::from_slice(reader.bytes()?).map_err(|_| Corrupt("the index"))?;
        let mut table = || Table::decode(&mut reader, index_start);
        Ok(Self {
            about,
            packages: table()?,
            vulnerabilities: table()?,
            names: table()?,
            scores: table()?,
            blocks_sha256,
            blocks_end,
        })
    }

    /// Compares all blocks with the checksum in the header.
    pub(super) fn check(&self, file: &[u8]) -> Result<(), Corrupt> {
        let blocks = file.get(HEADER_BYTES..self.blocks_end).ok_or(Corrupt("the index"))?;
        let is_same = Sha256::digest(blocks)[..] == self.blocks_sha256;
        if is_same { Ok(()) } else { Err(Corrupt("a block")) }
    }
}

/// Makes the checksums of a damaged file right again, so that the fuzzer gets to what they protect.
#[cfg(feature = "fuzz")]
pub fn seal(file: &mut [u8]) {
    const INDEX_START: std::ops::Range<usize> = 24..32;
    let length = file.len() as u64;
    if file.len() < HEADER_BYTES {
        return;
    }
    let (header, rest) = file.split_at_mut(HEADER_BYTES);
    let start = header[INDEX_START].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let index_start = start.clamp(HEADER_BYTES as u64, length);
    let blocks_bytes = usize::try_from(index_start).map_or(0, |start| start - HEADER_BYTES);
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    header[16..24].copy_from_slice(&length.to_le_bytes());
    header[INDEX_START].copy_from_slice(&index_start.to_le_bytes());
    header[32..64].copy_from_slice(&Sha256::digest(&rest[blocks_bytes..]));
    header[64..96].copy_from_slice(&Sha256::digest(&rest[..blocks_bytes]));
    let own = Sha256::digest(&header[..96]);
    header[96..].copy_from_slice(&own);
}

/// Writes a database so that whoever opens `path` sees the old one or the new one, whole: into a temporary file beside
/// it, synced and renamed over it.
///
/// # Errors
/// What the file system says.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    fs::create_dir_all(dir)?;
    let name = path.file_name().ok_or_else(|| io::Error::other("this is no name of a file"))?;
    let mut temporary_name = std::ffi::OsString::from(".");
    temporary_name.push(name);
    temporary_name.push(format!(".{}", std::process::id()));
    let temporary = dir.join(temporary_name);
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(dir)?.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}
