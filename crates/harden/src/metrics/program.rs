//! Whether a file is a program, a library or neither, from its first bytes.

use std::io::{self, Read, Seek, SeekFrom};

/// What a file's content makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// An ELF program: linked to a fixed address, or independent of it (PIE).
    Program,
    /// An ELF shared object that is no program.
    Library,
    /// A text that begins with `#!`.
    Script,
    /// Anything else, ELF relocatables (kernel modules) and broken ELF files among it.
    Other,
}

const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const ET_EXEC: u64 = 2;
const ET_DYN: u64 = 3;
const DT_SONAME: u64 = 14;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DF_1_PIE: u64 = 0x0800_0000;
/// Real files have some dozen program headers and some hundred bytes of dynamic section.
const MAX_PROGRAM_HEADERS: u64 = 256;
const MAX_DYNAMIC_BYTES: u64 = 64 << 10;

/// Looks at a file. Reads some hundred bytes; what these claim is checked, and a claim that does not hold makes it
/// [`Content::Other`].
///
/// A shared object is a program if its linker says so (`DF_1_PIE`), or if it asks for an interpreter and has no name
/// of its own: libc.so.6 can be executed and has both.
///
/// # Errors
/// Reading fails; a file that ends early is no error.
///
/// Source: `elf(5)`.
pub(super) fn content(file: &mut (impl Read + Seek)) -> io::Result<Content> {
    let head = read_at(file, 0, 64)?;
    if head.starts_with(b"#!") {
        return Ok(Content::Script);
    }
    let Some(layout) = Layout::of(&head) else { return Ok(Content::Other) };
    match layout.number(&head, 16, 2) {
        Some(ET_EXEC) => return Ok(Content::Program),
        Some(ET_DYN) => {}
        _ => return Ok(Content::Other),
    }
    Ok(shared_object(file, &head, layout)?.unwrap_or(Content::Other))
}

/// None if the file does not hold what its headers claim.
fn shared_object(file: &mut (impl Read + Seek), head: &[u8], layout: Layout) -> io::Result<Option<Content>> {
    let field = |narrow, wide| layout.number(head, layout.pick(narrow, wide), layout.pick(4, 8));
    let half = |narrow, wide| layout.number(head, layout.pick(narrow, wide), 2);
    let (Some(table), Some(size), Some(count)) = (field(28, 32), half(42, 54), half(44, 56)) else {
        return Ok(None);
    };
    if size < layout.pick(32, 56) as u64 || count == 0 {
        return Ok(None);
    }
    let headers = read_at(file, table, size * count.min(MAX_PROGRAM_HEADERS))?;
    let mut interpreter = false;
    let mut dynamic = Vec::new();
    for header in headers.chunks_exact(usize::try_from(size).unwrap_or(usize::MAX)) {
        let word = |narrow, wide| layout.number(header, layout.pick(narrow, wide), layout.pick(4, 8));
        match layout.number(header, 0, 4) {
            Some(PT_INTERP) => interpreter = true,
            Some(PT_DYNAMIC) => {
                let (Some(offset), Some(bytes)) = (word(4, 8), word(16, 32)) else { return Ok(None) };
                dynamic = read_at(file, offset, bytes.min(MAX_DYNAMIC_BYTES))?;
            }
            _ => {}
        }
    }
    let mut named = false;
    let width = layout.pick(4, 8);
    for entry in dynamic.chunks_exact(2 * width) {
        match (layout.number(entry, 0, width), layout.number(entry, width, width)) {
            (Some(0), _) => break,
            (Some(DT_SONAME), _) => named = true,
            (Some(DT_FLAGS_1), Some(flags)) if flags & DF_1_PIE != 0 => return Ok(Some(Content::Program)),
            _ => {}
        }
    }
    Ok(Some(if interpreter && !named { Content::Program } else { Content::Library }))
}

/// Width and byte order of an ELF file's numbers.
#[derive(Debug, Clone, Copy)]
struct Layout {
    wide: bool,
    big_endian: bool,
}

impl Layout {
    fn of(head: &[u8]) -> Option<Self> {
        let [0x7f, b'E', b'L', b'F', class @ (1 | 2), order @ (1 | 2), ..] = head else { return None };
        Some(Self { wide: *class == 2, big_endian: *order == 2 })
    }

    fn pick(self, narrow: usize, wide: usize) -> usize {
        if self.wide { wide } else { narrow }
    }

    fn number(self, bytes: &[u8], offset: usize, width: usize) -> Option<u64> {
        let bytes = bytes.get(offset..offset.checked_add(width)?)?;
        let append = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.big_endian { bytes.iter().fold(0, append) } else { bytes.iter().rev().fold(0, append) })
    }
}

/// Up to this many bytes from there; fewer where the file ends.
fn read_at(file: &mut (impl Read + Seek), offset: u64, bytes: u64) -> io::Result<Vec<u8>> {
    if i64::try_from(offset).is_err() {
        return Ok(Vec::new());
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut read = Vec::new();
    file.take(bytes).read_to_end(&mut read)?;
    Ok(read)
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    /// A little ELF file: its type, whether it asks for an interpreter, and its dynamic section.
    pub(in crate::metrics) fn elf(
        wide: bool,
        big_endian: bool,
        kind: u64,
        interpreter: bool,
        dynamic: &[(u64, u64)],
    ) -> Vec<u8> {
        let word = if wide { 8 } else { 4 };
        let number = |value: u64, width: usize| {
            let mut bytes = value.to_le_bytes()[..width].to_vec();
            if big_endian {
                bytes.reverse();
            }
            bytes
        };
        let (header, size) = if wide { (64, 56) } else { (52, 32) };
        let count = 1 + u64::from(interpreter);
        let mut out = vec![0x7f, b'E', b'L', b'F', 1 + u8::from(wide), 1 + u8::from(big_endian), 1, 0];
        out.resize(16, 0);
        for (value, width) in
            [(kind, 2), (0, 2), (1, 4), (0, word), (header, word), (0, word), (0, 4), (header, 2)]
        {
            out.extend(number(value, width));
        }
        out.extend([number(size, 2), number(count, 2)].concat());
        out.resize(usize::try_from(header).unwrap(), 0);
        let bytes = 2 * word as u64 * dynamic.len() as u64;
        let mut program_header = |kind, offset, bytes| {
            let fields = if wide {
                vec![(kind, 4), (0, 4), (offset, 8), (0, 8), (0, 8), (bytes, 8), (0, 8), (0, 8)]
            } else {
                vec![(kind, 4), (offset, 4), (0, 4), (0, 4), (bytes, 4), (0, 4), (0, 4), (0, 4)]
            };
            out.extend(fields.into_iter().flat_map(|(value, width)| number(value, width)));
        };
        program_header(PT_DYNAMIC, header + size * count, bytes);
        if interpreter {
            program_header(PT_INTERP, 0, 0);
        }
        for (tag, value) in dynamic {
            out.extend([number(*tag, word), number(*value, word)].concat());
        }
        out
    }

    #[test]
    fn programs_are_told_from_libraries() {
        for (wide, big_endian) in [(true, false), (false, false), (true, true), (false, true)] {
            for (kind, interpreter, dynamic, expected) in [
                (ET_EXEC, false, &[][..], Content::Program),
                (ET_DYN, true, &[], Content::Program),
                (ET_DYN, true, &[(DT_SONAME, 1)], Content::Library),
                (ET_DYN, true, &[(DT_SONAME, 1), (DT_FLAGS_1, DF_1_PIE)], Content::Program),
                (ET_DYN, false, &[(DT_FLAGS_1, DF_1_PIE | 1)], Content::Program),
                (ET_DYN, false, &[(DT_FLAGS_1, 1)], Content::Library),
                (ET_DYN, false, &[(0, 0), (DT_FLAGS_1, DF_1_PIE)], Content::Library),
                (1, false, &[], Content::Other),
                (4, false, &[], Content::Other),
            ] {
                let file = elf(wide, big_endian, kind, interpreter, dynamic);
                let found = content(&mut Cursor::new(file)).unwrap();
                assert_eq!(
                    found, expected,
                    "wide {wide}, big {big_endian}, {kind} {interpreter} {dynamic:x?}"
                );
            }
        }
    }

    #[test]
    fn scripts_and_stubs_are_what_they_are() {
        for (bytes, expected) in [
            (&b"#!/bin/sh\n"[..], Content::Script),
            (b"#!", Content::Script),
            (b"", Content::Other),
            (b"\x7fELF", Content::Other),
            (b"\x7fELF\x02\x01\x01", Content::Other),
            (b"hello", Content::Other),
        ] {
            assert_eq!(content(&mut Cursor::new(bytes)).unwrap(), expected, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_elf_header_is_read(
            wide: bool,
            big: bool,
            patches in proptest::collection::vec((16_usize..200, any::<u8>()), 0..40),
            length in 0_usize..250,
        ) {
            let mut file = elf(wide, big, ET_DYN, true, &[(DT_SONAME, 1), (DT_FLAGS_1, 7)]);
            for (at, byte) in patches {
                if let Some(place) = file.get_mut(at) {
                    *place = byte;
                }
            }
            file.truncate(length);
            content(&mut Cursor::new(file)).unwrap();
        }
    }
}
