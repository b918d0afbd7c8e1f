//! The parts of a program that say where its data lies: sections and segments, of either width and byte order.
//!
//! Source: `elf(5)`.

use std::io::{self, Read as _, SeekFrom};

use super::found::Content;

pub(crate) const MAGIC: &[u8] = b"\x7fELF";
const MAX_HEADERS: u64 = 4_096;
const MAX_NAMES_BYTES: u64 = 1 << 20;

/// A program's or library's layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Elf {
    sections: Vec<(Vec<u8>, u64, u64)>,
    segments: Vec<Segment>,
    is_big: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    offset: u64,
    address: u64,
    bytes: u64,
    is_writable: bool,
}

/// Reads numbers of one width and byte order.
#[derive(Clone, Copy)]
struct Words {
    is_wide: bool,
    is_big: bool,
}

impl Elf {
    /// The layout of this file; none if it is no ELF or a broken one.
    pub(crate) fn parse(content: &mut dyn Content) -> Option<Self> {
        let header = read_at(content, 0, 64).ok().filter(|header| header.starts_with(MAGIC))?;
        let words = Words { is_wide: *header.get(4)? == 2, is_big: *header.get(5)? == 2 };
        let (shift, at) = if words.is_wide { (12, [32, 40]) } else { (0, [28, 32]) };
        let [segments_at, sections_at] = at.map(|at| words.long(&header, at));
        let half = |at: usize| words.half(&header, at + shift).map(u64::from);
        let (segment_bytes, segment_count) = (half(42)?, half(44)?);
        let (section_bytes, section_count, names) = (half(46)?, half(48)?, half(50)?);
        let table = |content: &mut dyn Content, at: Option<u64>, size: u64, count: u64, least: u64| {
            if size < least || count > MAX_HEADERS {
                return Vec::new();
            }
            let bytes = at.and_then(|at| read_at(content, at, size * count).ok()).unwrap_or_default();
            bytes.chunks_exact(usize::try_from(size).unwrap_or(usize::MAX)).map(<[u8]>::to_vec).collect()
        };
        let (least_segment, least_section) = if words.is_wide { (56, 64) } else { (32, 40) };
        let segments = table(content, segments_at, segment_bytes, segment_count, least_segment);
        let segments = segments.iter().filter_map(|row| words.segment(row)).collect();
        let rows = table(content, sections_at, section_bytes, section_count, least_section);
        let places: Vec<(u32, u64, u64)> = rows.iter().filter_map(|row| words.section(row)).collect();
        let names = places.get(usize::try_from(names).ok()?).copied();
        let names = names.and_then(|(_, at, bytes)| read_at(content, at, bytes.min(MAX_NAMES_BYTES)).ok());
        let names = names.unwrap_or_default();
        let name = |at: u32| {
            let rest = names.get(usize::try_from(at).ok()?..)?;
            Some(rest.iter().take(64).take_while(|byte| **byte != 0).copied().collect::<Vec<u8>>())
        };
        let sections =
            places.iter().filter_map(|&(at, offset, bytes)| Some((name(at)?, offset, bytes))).collect();
        Some(Self { sections, segments, is_big: words.is_big })
    }

    /// Whether the most significant byte of a number stands first.
    pub(crate) fn is_big(&self) -> bool {
        self.is_big
    }

    /// Where in the file the section of this name lies, and how long it is.
    pub(crate) fn place(&self, name: &str) -> Option<(u64, u64)> {
        let found = self.sections.iter().find(|(found, _, bytes)| found == name.as_bytes() && *bytes > 0);
        found.map(|(_, offset, bytes)| (*offset, *bytes))
    }

    /// Where in the file the segments lie that are loaded, and how long they are.
    pub(crate) fn loaded(&self) -> impl Iterator<Item = (u64, u64)> {
        self.segments.iter().map(|segment| (segment.offset, segment.bytes))
    }

    /// The content of the section of this name; none where there is none, or where it is longer than `max_bytes`.
    pub(crate) fn section(&self, content: &mut dyn Content, name: &str, max_bytes: u64) -> Option<Vec<u8>> {
        let (_, offset, bytes) = self.sections.iter().find(|(found, _, _)| found == name.as_bytes())?;
        (*bytes <= max_bytes).then(|| read_at(content, *offset, *bytes).ok())?
    }

    /// The first bytes of the first writable segment.
    pub(crate) fn data(&self, content: &mut dyn Content, max_bytes: u64) -> Option<Vec<u8>> {
        let segment = self.segments.iter().find(|segment| segment.is_writable)?;
        read_at(content, segment.offset, segment.bytes.min(max_bytes)).ok()
    }

    /// What lies at this address of the running program.
    pub(crate) fn at_address(&self, content: &mut dyn Content, address: u64, bytes: u64) -> Option<Vec<u8>> {
        let segment = self.segments.iter().find(|segment| {
            address
                .checked_sub(segment.address)
                .is_some_and(|into| into < segment.bytes && bytes <= segment.bytes - into)
        })?;
        read_at(content, segment.offset.checked_add(address - segment.address)?, bytes).ok()
    }
}

impl Words {
    fn half(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = bytes.get(at..at + 2)?.try_into().ok()?;
        Some(if self.is_big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn word(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(if self.is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn long(self, bytes: &[u8], at: usize) -> Option<u64> {
        if !self.is_wide {
            return self.word(bytes, at).map(u64::from);
        }
        let bytes = bytes.get(at..at + 8)?.try_into().ok()?;
        Some(if self.is_big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// A loaded segment.
    fn segment(self, row: &[u8]) -> Option<Segment> {
        let (flags, offset, address, bytes) = if self.is_wide { (4, 8, 16, 32) } else { (24, 4, 8, 16) };
        let is_loaded = self.word(row, 0)? == 1;
        is_loaded.then(|| {
            Some(Segment {
                offset: self.long(row, offset)?,
                address: self.long(row, address)?,
                bytes: self.long(row, bytes)?,
                is_writable: self.word(row, flags)? & 2 != 0,
            })
        })?
    }

    /// Name, offset and length; a section without bytes in the file has the length 0.
    fn section(self, row: &[u8]) -> Option<(u32, u64, u64)> {
        let (offset, bytes) = if self.is_wide { (24, 32) } else { (16, 20) };
        let has_bytes = self.word(row, 4)? != 8;
        Some((
            self.word(row, 0)?,
            self.long(row, offset)?,
            if has_bytes { self.long(row, bytes)? } else { 0 },
        ))
    }
}

/// Exactly these bytes; the caller bounds their number.
pub(crate) fn read_at(content: &mut dyn Content, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    content.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    content.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sections_of_a_real_program_are_found() {
        let mut program = std::fs::File::open("/proc/self/exe").unwrap();
        let elf = Elf::parse(&mut program).unwrap();
        let interpreter = elf.section(&mut program, ".interp", 100);
        if let Some(interpreter) = interpreter {
            assert!(interpreter.starts_with(b"/"), "{interpreter:?}");
        }
        assert!(
            elf.section(&mut program, ".shstrtab", 1 << 20)
                .unwrap()
                .windows(9)
                .any(|name| name == b".shstrtab")
        );
        assert!(elf.section(&mut program, ".shstrtab", 1).is_none());
        assert!(elf.data(&mut program, 64).is_some());
    }

    proptest! {
        #[test]
        fn any_header_is_a_layout_or_none(mut bytes in proptest::collection::vec(any::<u8>(), 64..600), wide: bool) {
            bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', if wide { 2 } else { 1 }, 1]);
            let mut content = Cursor::new(bytes);
            if let Some(elf) = Elf::parse(&mut content) {
                let _ = elf.data(&mut content, 100);
                let _ = elf.at_address(&mut content, 8, 16);
            }
        }
    }
}
