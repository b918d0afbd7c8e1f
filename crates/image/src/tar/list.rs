//! Walking over the blocks of a tar.

use super::header::{BLOCK, Header, text};
use super::pax::Pax;
use super::sparse::{self, LineMap, Segments};
use super::{TarError, TarProblem};
use crate::blob::Blob;
use crate::limits::{Limit, Limits, Tally};
use crate::path::MAX_PATH_BYTES;
use crate::{Entry, EntryKind, ImagePath, Metadata, Timestamp};

/// Lists the entries of a tar, in order.
///
/// `tally` counts the entries of all tars of the image.
pub(crate) fn list(tar: &Blob, limits: &Limits, tally: &Tally) -> Result<Vec<Entry>, TarError> {
    let mut lister = Lister { tar, limits, at: 0, pending: Pending::default(), ahead: Ahead::default() };
    let mut out = Vec::new();
    loop {
        let start = lister.at;
        match lister.next() {
            Ok(Some(Some(entry))) => {
                let counted = tally.entry(entry.listing_bytes());
                counted.map_err(|limit| TarError { at: start, problem: TarProblem::Limit(limit) })?;
                out.push(entry);
            }
            Ok(Some(None)) => {}
            Ok(None) => return Ok(out),
            Err(problem) => return Err(TarError { at: start, problem }),
        }
    }
}

struct Lister<'a> {
    tar: &'a Blob,
    limits: &'a Limits,
    at: u64,
    pending: Pending,
    ahead: Ahead,
}

/// How much is read at once: small files lie close together, and behind a large one little is read for nothing.
const AHEAD_BYTES: usize = 16 << 10;

/// What was read last.
#[derive(Default)]
struct Ahead {
    start: u64,
    bytes: Vec<u8>,
}

impl Ahead {
    /// What is at hand from this offset on, which is something unless the tar ends there.
    fn from(&mut self, tar: &Blob, offset: u64) -> std::io::Result<&[u8]> {
        let end = self.start + self.bytes.len() as u64;
        if !(self.start..end).contains(&offset) {
            self.bytes.resize(AHEAD_BYTES, 0);
            // After a failure nothing is at hand.
            let read = tar.read_at(offset, &mut self.bytes);
            self.bytes.truncate(*read.as_ref().unwrap_or(&0));
            self.start = offset;
            read?;
        }
        let into = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        Ok(self.bytes.get(into..).unwrap_or_default())
    }
}

/// What extension headers said about the entry to come.
#[derive(Default)]
struct Pending {
    start: Option<u64>,
    bytes: u64,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Pax,
}

impl Lister<'_> {
    /// The next entry; `Some(None)` for one that is of no concern to images.
    fn next(&mut self) -> Result<Option<Option<Entry>>, TarProblem> {
        loop {
            let at = self.at;
            if at == self.tar.size_bytes() {
                return if self.pending.start.is_some() { Err(TarProblem::Dangling) } else { Ok(None) };
            }
            let block = self.block()?;
            if block == [0; 512] {
                return self.end().map(|()| None);
            }
            let header = Header::new(&block)?;
            let kind = header.kind();
            if kind != b'g' {
                self.pending.start.get_or_insert(at);
            }
            match kind {
                b'x' | b'X' => self.pending.pax = Pax::parse(&self.extension(header.size()?)?)?,
                b'g' => drop(Pax::parse(&self.extension(header.size()?)?)?),
                b'L' => self.pending.name = Some(text(&self.extension(header.size()?)?).to_vec()),
                b'K' => self.pending.link = Some(text(&self.extension(header.size()?)?).to_vec()),
                _ => {
                    let pending = std::mem::take(&mut self.pending);
                    return self.entry(&header, pending).map(Some);
                }
            }
        }
    }

    fn block(&mut self) -> Result<[u8; 512], TarProblem> {
        let mut block = [0; 512];
        self.read(self.at, &mut block)?;
        self.at += BLOCK;
        Ok(block)
    }

    fn read(&mut self, mut offset: u64, mut buffer: &mut [u8]) -> Result<(), TarProblem> {
        while !buffer.is_empty() {
            let at_hand = self.ahead.from(self.tar, offset).map_err(TarProblem::Read)?;
            let read = at_hand.len().min(buffer.len());
            if read == 0 {
                return Err(TarProblem::Truncated);
            }
            buffer[..read].copy_from_slice(&at_hand[..read]);
            offset += read as u64;
            buffer = &mut buffer[read..];
        }
        Ok(())
    }

    /// After a block of zeros: a second one, or the end of the file.
    fn end(&mut self) -> Result<(), TarProblem> {
        if self.pending.start.is_some() {
            return Err(TarProblem::Dangling);
        }
        if self.at != self.tar.size_bytes() && self.block()? != [0; 512] {
            return Err(TarProblem::LoneZeroBlock);
        }
        Ok(())
    }

    /// The content of an extension header.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>, TarProblem> {
        self.charge(size)?;
        let range = self.content(size)?;
        let mut bytes = vec![0; usize::try_from(size).map_err(|_| TarProblem::Truncated)?];
        self.read(range.start, &mut bytes)?;
        Ok(bytes)
    }

    /// Counts bytes of metadata against the limit for one entry.
    fn charge(&mut self, bytes: u64) -> Result<(), TarProblem> {
        let limit = self.limits.metadata_bytes;
        self.pending.bytes = self.pending.bytes.saturating_add(bytes);
        if self.pending.bytes > limit {
            return Err(TarProblem::Limit(Limit::MetadataBytes(limit)));
        }
        Ok(())
    }

    /// Steps over content of this size with its padding.
    fn content(&mut self, size: u64) -> Result<std::ops::Range<u64>, TarProblem> {
        let start = self.at;
        let end = start.checked_add(size).ok_or(TarProblem::Number { field: "size" })?;
        let next = end.checked_next_multiple_of(BLOCK).ok_or(TarProblem::Number { field: "size" })?;
        let whole = self.tar.size_bytes();
        if end > whole {
            return Err(TarProblem::Truncated);
        }
        // Some writers leave out the padding of the last entry.
        self.at = next.min(whole);
        Ok(start..end)
    }

    fn entry(&mut self, header: &Header<'_>, pending: Pending) -> Result<Option<Entry>, TarProblem> {
        let Pending { start, name, link, pax, .. } = pending;
        let link = link.or(pax.link).unwrap_or_else(|| header.link());
        let metadata = Metadata {
            mode: header.mode()?,
            uid: id(pax.uid, header.uid(), "owner")?,
            gid: id(pax.gid, header.gid(), "group")?,
            mtime: match pax.mtime {
                Some(mtime) => mtime,
                None => Timestamp { seconds: header.mtime()?, nanoseconds: 0 },
            },
            xattrs: pax.xattrs,
        };
        let name = name.or(pax.path).unwrap_or_else(|| header.name());
        let is_file = matches!(header.kind(), b'0' | b'7') || (header.kind() == 0 && !name.ends_with(b"/"));
        let name = if is_file { pax.sparse.name.unwrap_or(name) } else { name };
        // As in Go's reader, only files have content, whatever the size field of other types says.
        let stored = |pax_size: Option<u64>| pax_size.map_or_else(|| header.size(), Ok);
        let mut content = self.at..self.at;
        let kind = match header.kind() {
            b'S' => {
                let (segments, size_bytes) = self.gnu_map(header)?;
                content = self.content(stored(pax.size)?)?;
                let segments = sparse::checked(segments, size_bytes, content.end - content.start)?;
                EntryKind::File { size_bytes, sparse: Some(segments) }
            }
            _ if is_file => {
                let stored = stored(pax.size)?;
                let (segments, map_bytes) = match (pax.sparse.version, pax.sparse.map) {
                    ((1, 0), _) => self.line_map(stored).map(|(segments, bytes)| (Some(segments), bytes))?,
                    ((0, 0 | 1), Some(map)) => (Some(sparse::paired(&map)?), 0),
                    ((0, 0), None) => (None, 0),
                    _ => return Err(TarProblem::Sparse),
                };
                content = self.content(stored - map_bytes)?;
                match segments {
                    None => EntryKind::File { size_bytes: stored, sparse: None },
                    Some(segments) => {
                        let size_bytes = pax.sparse.size.ok_or(TarProblem::Sparse)?;
                        let segments = sparse::checked(segments, size_bytes, content.end - content.start)?;
                        EntryKind::File { size_bytes, sparse: Some(segments) }
                    }
                }
            }
            b'1' => {
                EntryKind::Hardlink { target: ImagePath::from_absolute(&link).map_err(TarProblem::Target)? }
            }
            b'2' if link.is_empty() || link.contains(&0) || link.len() > MAX_PATH_BYTES + 1 => {
                return Err(TarProblem::SymlinkTarget);
            }
            b'2' => EntryKind::Symlink { target: link.into() },
            b'3' => header.device().map(|(major, minor)| EntryKind::CharDevice { major, minor })?,
            b'4' => header.device().map(|(major, minor)| EntryKind::BlockDevice { major, minor })?,
            b'5' | 0 => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            other => return Err(TarProblem::Kind(other)),
        };
        let header_bytes = start.unwrap_or(content.start)..content.start;
        let Some((path, kind)) = self.named(&name, kind)? else { return Ok(None) };
        Ok(Some(Entry { path, kind, metadata, header_bytes, content_bytes: content }))
    }

    /// The path, and the whiteout that a name may stand for. Nothing for the notes that aufs left in old layers.
    fn named(&self, name: &[u8], kind: EntryKind) -> Result<Option<(ImagePath, EntryKind)>, TarProblem> {
        let path = ImagePath::from_tar_name(name).map_err(TarProblem::Name)?;
        let depth = self.limits.depth;
        if path.components().count() > depth as usize {
            return Err(TarProblem::Limit(Limit::Depth(depth)));
        }
        if path.components().any(|name| name.starts_with(b".wh..wh.") && name != b".wh..wh..opq") {
            return Ok(None);
        }
        let Some(parent) = path.parent() else {
            return if kind == EntryKind::Directory { Ok(Some((path, kind))) } else { Err(TarProblem::Root) };
        };
        let reserved = || TarProblem::Whiteout(path.to_string());
        if parent.components().any(|name| name.starts_with(b".wh.")) {
            return Err(reserved());
        }
        match path.name().strip_prefix(b".wh.") {
            None => Ok(Some((path, kind))),
            Some(b".wh..opq") => Ok(Some((parent, EntryKind::OpaqueWhiteout))),
            Some(b"" | b"." | b"..") => Err(reserved()),
            Some(hidden) => {
                let hidden = parent.join(hidden).map_err(TarProblem::Name)?;
                Ok(Some((hidden, EntryKind::Whiteout)))
            }
        }
    }

    /// The map of an old GNU sparse entry, with its extension blocks.
    fn gnu_map(&mut self, header: &Header<'_>) -> Result<(Segments, u64), TarProblem> {
        let (fields, mut more, size_bytes) = header.gnu_sparse()?;
        let mut segments = Vec::new();
        let mut open = sparse::gnu_segments(fields, &mut segments)?;
        while more {
            self.charge(BLOCK)?;
            let block = self.block()?;
            if open {
                open = sparse::gnu_segments(&block[..504], &mut segments)?;
            }
            more = block[504] != 0;
        }
        self.pending.bytes = 0;
        Ok((segments, size_bytes))
    }

    /// The map of a sparse entry of form 1.0, and how many bytes of the content it takes.
    fn line_map(&mut self, stored: u64) -> Result<(Segments, u64), TarProblem> {
        let start = self.at;
        let mut map = LineMap::default();
        loop {
            if self.at - start + BLOCK > stored {
                return Err(TarProblem::Sparse);
            }
            self.charge(BLOCK)?;
            if map.take(&self.block()?)? {
                break;
            }
        }
        self.pending.bytes = 0;
        Ok((map.segments()?, self.at - start))
    }
}

/// An owner or group that the kernel can store; all ones means "leave it" to chown(2).
fn id(pax: Option<i64>, header: Result<i64, TarProblem>, field: &'static str) -> Result<u32, TarProblem> {
    let id = pax.map_or(header, Ok)?;
    u32::try_from(id).ok().filter(|&id| id != u32::MAX).ok_or(TarProblem::Number { field })
}
