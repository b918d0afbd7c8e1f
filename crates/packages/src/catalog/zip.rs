//! Archives of the zip format, by their central directory: nothing is read but what is asked for.
//!
//! Lengths in the archive are claims. What is inflated counts against a budget that all archives within one file share,
//! so that neither overlapping entries nor archives within archives cost more than that. Several files are examined at
//! once; only one of them may hold more than a little at a time, so that the budget bounds all of them together.
//!
//! Source: PKWARE `APPNOTE.TXT` 6.3.10, sections 4.3 and 4.5.3 (zip64).

use std::io::{self, Read as _, SeekFrom};
use std::sync::{Mutex, MutexGuard, PoisonError};

use flate2::read::DeflateDecoder;

use super::found::Content;

/// The record at the end, and the longest comment after it.
const END_BYTES: u64 = 22;
const MAX_COMMENT: u64 = 65_535;
const END_MAGIC: &[u8] = b"PK\x05\x06";
const END64_LOCATOR_BYTES: usize = 20;
const END64_LOCATOR_MAGIC: &[u8] = b"PK\x06\x07";
const END64_MAGIC: &[u8] = b"PK\x06\x06";
const ENTRY_BYTES: usize = 46;
const ENTRY_MAGIC: &[u8] = b"PK\x01\x02";
const LOCAL_BYTES: usize = 30;
const LOCAL_MAGIC: &[u8] = b"PK\x03\x04";
/// A directory of more bytes is no program's archive: 64 MiB are some 500,000 entries.
const MAX_DIRECTORY_BYTES: u64 = 64 << 20;

/// Why an archive, or an entry of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ZipError {
    #[error("no zip archive")]
    NotZip,
    #[error("its central directory is broken")]
    Directory,
    #[error("its central directory has {0} bytes, more than we read")]
    DirectoryBytes(u64),
    #[error("entry {0:?} is broken")]
    Entry(String),
    #[error("entry {0:?} is compressed in a way we do not read, or encrypted")]
    Method(String),
    #[error("it inflates to more than we read")]
    Budget,
    #[error("cannot read it")]
    Read(#[from] io::Error),
}

/// One entry that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ZipEntry {
    /// Its name, lossy.
    pub(super) name: String,
    method: u16,
    is_encrypted: bool,
    compressed_bytes: u64,
    header_offset: u64,
}

/// What a file's archives may inflate to before the file has to wait for others that hold more.
const LIGHT_BYTES: u64 = 32 << 20;

/// Held by the one file that holds more than [`LIGHT_BYTES`].
static HEAVY: Mutex<()> = Mutex::new(());

/// How much may still be inflated for one file.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
    light: u64,
    heavy: Option<MutexGuard<'static, ()>>,
}

impl Budget {
    /// So many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        Self { left: bytes, light: LIGHT_BYTES, heavy: None }
    }

    /// Whether nothing more may be inflated.
    pub(super) fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// Reads at most so many bytes; those beyond a little, once no other file holds more than a little.
    fn read(&mut self, reader: &mut dyn io::Read, most: u64, out: &mut Vec<u8>) -> io::Result<()> {
        let first = if self.heavy.is_some() { most } else { most.min(self.light) };
        let read = io::Read::take(&mut *reader, first).read_to_end(out);
        self.light = self.light.saturating_sub(out.len() as u64);
        if read? as u64 == first && first < most {
            self.heavy = Some(HEAVY.lock().unwrap_or_else(PoisonError::into_inner));
            io::Read::take(&mut *reader, most - first).read_to_end(out)?;
        }
        Ok(())
    }
}

/// The entries of an archive for whose names `wanted` is true, in the archive's order.
pub(super) fn entries(
    content: &mut dyn Content,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<ZipEntry>, ZipError> {
    let size = content.seek(SeekFrom::End(0))?;
    let tail_bytes = size.min(END_BYTES + MAX_COMMENT + END64_LOCATOR_BYTES as u64);
    let tail = read_at(content, size - tail_bytes, tail_bytes)?;
    let end = (0..tail.len().saturating_sub(END_BYTES as usize - 1))
        .rev()
        .find(|&at| tail[at..].starts_with(END_MAGIC))
        .ok_or(ZipError::NotZip)?;
    let record = &tail[end..];
    let mut directory_bytes = u64::from(u32_at(record, 12).ok_or(ZipError::Directory)?);
    let mut directory_offset = u64::from(u32_at(record, 16).ok_or(ZipError::Directory)?);
    let mut directory_end = size - tail_bytes + end as u64;
    let locator = end.checked_sub(END64_LOCATOR_BYTES).map(|at| &tail[at..end]);
    if let Some(locator) = locator.filter(|locator| locator.starts_with(END64_LOCATOR_MAGIC)) {
        let at = u64_at(locator, 8).ok_or(ZipError::Directory)?;
        let record = read_at(content, at, 56).map_err(|_| ZipError::Directory)?;
        if !record.starts_with(END64_MAGIC) {
            return Err(ZipError::Directory);
        }
        directory_bytes = u64_at(&record, 40).ok_or(ZipError::Directory)?;
        directory_offset = u64_at(&record, 48).ok_or(ZipError::Directory)?;
        directory_end = at;
    }
    if directory_bytes > MAX_DIRECTORY_BYTES {
        return Err(ZipError::DirectoryBytes(directory_bytes));
    }
    // What stands before the archive (a shell script that starts it) shifts every offset.
    let start = directory_end.checked_sub(directory_bytes).ok_or(ZipError::Directory)?;
    let shift = start.checked_sub(directory_offset).ok_or(ZipError::Directory)?;
    let directory = read_at(content, start, directory_bytes)?;
    let mut found = Vec::new();
    let mut rest = &directory[..];
    while rest.starts_with(ENTRY_MAGIC) && rest.len() >= ENTRY_BYTES {
        let length = |at| usize::from(u16_at(rest, at).unwrap_or_default());
        let (name_bytes, extra_bytes, comment_bytes) = (length(28), length(30), length(32));
        let Some(variable) = rest.get(ENTRY_BYTES..ENTRY_BYTES + name_bytes + extra_bytes + comment_bytes)
        else {
            return Err(ZipError::Directory);
        };
        let name = String::from_utf8_lossy(&variable[..name_bytes]);
        if wanted(&name) {
            let extra = &variable[name_bytes..name_bytes + extra_bytes];
            let entry = entry(rest, extra, name.into_owned(), shift).ok_or(ZipError::Directory)?;
            found.push(entry);
        }
        rest = &rest[ENTRY_BYTES + variable.len()..];
    }
    Ok(found)
}

fn entry(record: &[u8], extra: &[u8], name: String, shift: u64) -> Option<ZipEntry> {
    let compressed = u32_at(record, 20)?;
    let uncompressed = u32_at(record, 24)?;
    let offset = u32_at(record, 42)?;
    // A field of all ones stands in the extra field 1 instead, in this order.
    let mut long = long_fields(extra).into_iter();
    let mut wide = |value: u32| if value == u32::MAX { long.next() } else { Some(u64::from(value)) };
    wide(uncompressed)?;
    let compressed_bytes = wide(compressed)?;
    let header_offset = wide(offset)?.checked_add(shift)?;
    let is_encrypted = u16_at(record, 8)? & 1 != 0;
    Some(ZipEntry { name, method: u16_at(record, 10)?, is_encrypted, compressed_bytes, header_offset })
}

fn long_fields(mut extra: &[u8]) -> Vec<u64> {
    while let (Some(id), Some(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let Some(body) = extra.get(4..4 + usize::from(length)) else { break };
        if id == 1 {
            return body.chunks_exact(8).filter_map(|field| u64_at(field, 0)).collect();
        }
        extra = &extra[4 + body.len()..];
    }
    Vec::new()
}

impl ZipEntry {
    /// Its uncompressed content.
    ///
    /// # Errors
    /// `Budget` if it is longer than `max_bytes` or than the budget.
    pub(super) fn read(
        &self,
        content: &mut dyn Content,
        max_bytes: u64,
        budget: &mut Budget,
    ) -> Result<Vec<u8>, ZipError> {
        let broken = |_| ZipError::Entry(self.name.clone());
        let header = read_at(content, self.header_offset, LOCAL_BYTES as u64).map_err(broken)?;
        if !header.starts_with(LOCAL_MAGIC) {
            return Err(ZipError::Entry(self.name.clone()));
        }
        let skipped = [26, 28].into_iter().filter_map(|at| u16_at(&header, at)).map(u64::from).sum::<u64>();
        let start = self.header_offset.saturating_add(LOCAL_BYTES as u64 + skipped);
        content.seek(SeekFrom::Start(start))?;
        let limit = max_bytes.min(budget.left);
        let stored = content.take(self.compressed_bytes);
        let mut out = Vec::new();
        let read = match self.method {
            _ if self.is_encrypted => return Err(ZipError::Method(self.name.clone())),
            0 => budget.read(&mut { stored }, limit.saturating_add(1), &mut out),
            8 => budget.read(&mut DeflateDecoder::new(stored), limit.saturating_add(1), &mut out),
            _ => return Err(ZipError::Method(self.name.clone())),
        };
        budget.left = budget.left.saturating_sub(out.len() as u64);
        if out.len() as u64 > limit {
            return Err(ZipError::Budget);
        }
        read.map_err(broken)?;
        Ok(out)
    }
}

/// Exactly these bytes.
fn read_at(content: &mut dyn Content, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    content.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    content.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// An archive of these stored or deflated entries, for tests.
#[cfg(test)]
pub(super) fn made(entries: &[(&str, &[u8], bool)]) -> Vec<u8> {
    use std::io::Write as _;
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content, deflated) in entries {
        let body = if *deflated {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        } else {
            content.to_vec()
        };
        let method: u16 = if *deflated { 8 } else { 0 };
        let offset = u32::try_from(out.len()).unwrap();
        let mut common = Vec::new();
        common.extend(20_u16.to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        common.extend(method.to_le_bytes());
        common.extend([0; 8]);
        common.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        common.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
        common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        common.extend([0; 2]);
        out.extend(LOCAL_MAGIC);
        out.extend(&common);
        out.extend(name.bytes());
        out.extend(body);
        directory.extend(ENTRY_MAGIC);
        directory.extend([20, 0]);
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.bytes());
    }
    let (start, length) = (u32::try_from(out.len()).unwrap(), u32::try_from(directory.len()).unwrap());
    out.extend(directory);
    out.extend(END_MAGIC);
    out.extend([0; 8]);
    out.extend(length.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0; 2]);
    out
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entries_are_found_behind_a_script_and_read() {
        for prefix in [&b""[..], b"#!/bin/sh\nexec java -jar $0\n"] {
            let archive = made(&[("a", b"stored", false), ("b", b"deflated", true), ("c", b"", true)]);
            let mut content = Cursor::new([prefix, &archive].concat());
            let entries = entries(&mut content, |name| name != "c").unwrap();
            let mut budget = Budget::new(100);
            let read: Vec<_> =
                entries.iter().map(|entry| entry.read(&mut content, 100, &mut budget).unwrap()).collect();
            assert_eq!(read, [b"stored".to_vec(), b"deflated".to_vec()]);
            assert_eq!(budget.left, 100 - 14);
        }
    }

    #[test]
    fn an_entry_is_read_at_its_bound_and_refused_past_it() {
        let zeros = vec![0; 1 << 20];
        let mut content = Cursor::new(made(&[("bomb", &zeros, true)]));
        let entry = entries(&mut content, |_| true).unwrap().remove(0);
        assert!(entry.read(&mut content, 1 << 20, &mut Budget::new(1 << 20)).is_ok());
        for (max_bytes, budget) in [(1 << 20, (1 << 20) - 1), ((1 << 20) - 1, 1 << 30)] {
            let read = entry.read(&mut content, max_bytes, &mut Budget::new(budget));
            assert!(matches!(read, Err(ZipError::Budget)), "{read:?}");
        }
    }

    #[test]
    fn of_many_files_only_one_at_a_time_holds_more_than_a_little() {
        let zeros = vec![0; LIGHT_BYTES as usize + 1000];
        let archive = made(&[("large", &zeros, true), ("small", b"x", true)]);
        let (holding, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut content = Cursor::new(&archive);
                    let mut budget = Budget::new(1 << 30);
                    for entry in entries(&mut content, |_| true).unwrap() {
                        entry.read(&mut content, 1 << 30, &mut budget).unwrap();
                        let now = holding.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::sleep(std::time::Duration::from_millis(5));
                        holding.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_archive_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = entries(&mut Cursor::new(bytes), |_| true);
        }

        #[test]
        fn a_changed_archive_is_read_or_refused(at in 0_usize..200, byte: u8) {
            let mut archive = made(&[("a", b"stored", false), ("b", b"deflated", true)]);
            let length = archive.len();
            archive[at % length] = byte;
            let mut content = Cursor::new(archive);
            for entry in entries(&mut content, |_| true).unwrap_or_default() {
                let read = entry.read(&mut content, 50, &mut Budget::new(60));
                prop_assert!(read.is_err() || read.is_ok_and(|bytes| bytes.len() <= 50));
            }
        }
    }
}
