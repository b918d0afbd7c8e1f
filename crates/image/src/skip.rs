//! Leaving out, while a layer is stored, what nobody is going to read.
//!
//! Listing an image's components needs few of its bytes, and storing all of them takes a quarter of the time. So whoever
//! opens an image may say which files' contents it will not ask for; in place of those the scratch file has holes. Who
//! asks all the same gets the right bytes: the layer is then inflated once more, whole.
//!
//! The headers are followed here in a simpler way than [`crate::tar`] does, which decides: a hole that is not within the
//! content of a file that it lists makes the layer be stored again without holes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use crate::tar::{BLOCK, Header};
use crate::{Entry, EntryKind};

/// Whether the content of a file of this name (as the tar has it) and these permission bits is of no concern.
pub type Unread = fn(name: &[u8], mode: u32) -> bool;

/// Smaller files are not worth a hole.
const LEAST_BYTES: u64 = 64 << 10;
/// Holes begin and end where pages do.
const PAGE_BYTES: u64 = 4 << 10;

/// Writes a tar with holes.
pub(crate) struct Skipper {
    unread: Option<Unread>,
    /// Bytes that have passed.
    at: u64,
    /// Where the next header begins; none once the headers could not be followed.
    next: Option<u64>,
    /// What of it stood at the end of the last chunk.
    header: Vec<u8>,
    /// Whether other headers speak of the entry to come: what it is called is not known then.
    is_extended: bool,
    holes: Vec<Range<u64>>,
}

impl Skipper {
    /// Without a rule there are no holes.
    pub(crate) fn new(unread: Option<Unread>) -> Self {
        let next = unread.map(|_| 0);
        Self { unread, at: 0, next, header: Vec::new(), is_extended: false, holes: Vec::new() }
    }

    /// Writes the next bytes of the tar, as far as they are wanted.
    pub(crate) fn write(&mut self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let (start, end) = (self.at, self.at + bytes.len() as u64);
        self.at = end;
        let part = |from: u64, to: u64| &bytes[(from - start) as usize..(to - start) as usize];
        let mut written = start;
        if let Some(hole) = self.holes.last().filter(|hole| hole.end > start) {
            let to = hole.start.clamp(start, end);
            file.write_all_at(part(start, to), start)?;
            written = hole.end.min(end);
        }
        while let Some(header_at) = self.next.filter(|next| *next < end) {
            let from = header_at + self.header.len() as u64;
            let to = (header_at + BLOCK).min(end);
            self.header.extend_from_slice(part(from, to));
            let Ok(block) = <&[u8; 512]>::try_from(self.header.as_slice()) else { break };
            let hole = self.entry(&block.clone(), header_at + BLOCK);
            self.header.clear();
            if let Some(hole) = hole {
                let to = hole.start.min(end);
                file.write_all_at(part(written, to), written)?;
                written = hole.end.min(end);
                self.holes.push(hole);
            }
        }
        file.write_all_at(part(written, end), written)
    }

    /// The holes, once everything has passed.
    pub(crate) fn finish(self, file: &File) -> io::Result<Vec<Range<u64>>> {
        file.set_len(self.at)?;
        Ok(self.holes)
    }

    /// Follows one header, behind which its content begins; gives the hole in it, if there is one.
    fn entry(&mut self, block: &[u8; 512], content: u64) -> Option<Range<u64>> {
        self.next = None;
        let header = Header::new(block).ok()?;
        let size = header.size().ok()?;
        let end = content.checked_add(size)?;
        let is_extended = std::mem::take(&mut self.is_extended);
        let is_file = match header.kind() {
            0 | b'0' | b'7' => true,
            b'g' => false,
            b'x' | b'X' | b'L' | b'K' => {
                self.is_extended = true;
                false
            }
            b'1'..=b'6' => {
                self.next = Some(content);
                return None;
            }
            _ => return None,
        };
        self.next = Some(end.checked_next_multiple_of(BLOCK)?);
        let is_unread = is_file && !is_extended && size >= LEAST_BYTES && {
            let unread = self.unread?;
            unread(&header.name(), header.mode().ok()?)
        };
        is_unread.then(|| content.next_multiple_of(PAGE_BYTES)..end - end % PAGE_BYTES)
    }
}

/// Whether every hole is within the content of a file.
pub(crate) fn are_within_files(holes: &[Range<u64>], entries: &[Entry]) -> bool {
    let mut entries = entries.iter();
    holes.iter().all(|hole| {
        entries.any(|entry| {
            matches!(entry.kind, EntryKind::File { .. })
                && entry.content_bytes.start <= hole.start
                && hole.end <= entry.content_bytes.end
        })
    })
}

/// Whether these bytes reach into a hole; the holes are in order.
pub(crate) fn reaches_into(holes: &[Range<u64>], bytes: &Range<u64>) -> bool {
    let first = holes.partition_point(|hole| hole.end <= bytes.start);
    holes.get(first).is_some_and(|hole| hole.start < bytes.end)
}
