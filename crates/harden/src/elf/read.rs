//! What the dynamic loader needs to know of one ELF file, read by ranges.
//!
//! Only the program headers, the interpreter's name, the dynamic section and its string table are read, each within a
//! limit, so that neither a huge nor a lying file costs more than that. Source: `elf(5)`; System V ABI, "Dynamic
//! Linking".

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom};

use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, ReadRef};

/// Most program headers that we look at.
const MAX_PROGRAM_HEADERS: u16 = 512;
/// Most bytes of a dynamic section.
const MAX_DYNAMIC_BYTES: u64 = 1 << 20;
/// Most bytes of a dynamic string table; that of a big C++ library has a few MiB.
const MAX_STRING_BYTES: u64 = 64 << 20;
/// Most bytes of an interpreter's name.
const MAX_INTERPRETER_BYTES: u64 = 4096;
/// Longest name of a library or path that we take from a file.
const MAX_NAME_BYTES: usize = 4096;

/// What one ELF file says to the dynamic loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ElfFile {
    pub(crate) target: Target,
    /// `PT_INTERP`; a program has one unless it is static, a library has none.
    pub(crate) interpreter: Option<Vec<u8>>,
    /// `DT_NEEDED`, and `DT_AUXILIARY` and `DT_FILTER`, which the loader also loads.
    pub(crate) needed: Vec<Vec<u8>>,
    /// `DT_RPATH`, not split; only counts where there is no `DT_RUNPATH`.
    pub(crate) rpath: Option<Vec<u8>>,
    /// `DT_RUNPATH`, not split.
    pub(crate) runpath: Option<Vec<u8>>,
    pub(crate) soname: Option<Vec<u8>>,
    /// `DF_1_NODEFLIB`: neither the cache nor the default directories are searched.
    pub(crate) no_default_directories: bool,
    /// Which of [`FUNCTIONS`] it names: those it calls, and those it provides.
    pub(crate) functions: BTreeSet<&'static str>,
    /// Built by Go's own linker, without the C library's ways to find files.
    pub(crate) is_go: bool,
}

/// Which machine a file is for. The loader skips libraries for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) is_64_bit: bool,
    pub(crate) is_little_endian: bool,
    pub(crate) machine: u16,
}

/// Functions whose callers make the C library read files that no link names.
pub(crate) const FUNCTIONS: [&str; 3] = ["iconv_open", "newlocale", "setlocale"];

/// Why a file that begins like ELF cannot be read as such.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ElfError {
    #[error("its layer cannot be read")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Malformed(&'static str),
}

/// Reads an ELF file; `None` for a file of another format, and for one that nothing loads (an object file, a core).
pub(crate) fn read<R: Read + Seek>(file: &mut R) -> Result<Option<ElfFile>, ElfError> {
    let mut header = Vec::with_capacity(64);
    file.seek(SeekFrom::Start(0))?;
    file.by_ref().take(64).read_to_end(&mut header)?;
    if !header.starts_with(&elf::ELFMAG) {
        return Ok(None);
    }
    match header.get(4) {
        Some(&1) => read_class::<elf::FileHeader32<Endianness>, R>(file, &header),
        Some(&2) => read_class::<elf::FileHeader64<Endianness>, R>(file, &header),
        _ => Err(ElfError::Malformed("it is neither of 32 nor of 64 bits")),
    }
}

fn read_class<H: FileHeader<Endian = Endianness>, R: Read + Seek>(
    file: &mut R,
    header: &[u8],
) -> Result<Option<ElfFile>, ElfError> {
    let header = H::parse(header).map_err(|_| ElfError::Malformed("its header is broken"))?;
    let endian = header.endian().map_err(|_| ElfError::Malformed("its byte order is unknown"))?;
    if !matches!(header.e_type(endian), elf::ET_EXEC | elf::ET_DYN) {
        return Ok(None);
    }
    let count = header.e_phnum(endian);
    if count > MAX_PROGRAM_HEADERS {
        return Err(ElfError::Malformed("it has too many program headers"));
    }
    if usize::from(header.e_phentsize(endian)) != size_of::<H::ProgramHeader>() {
        return Err(ElfError::Malformed("its program headers have a wrong size"));
    }
    let length = u64::from(count) * size_of::<H::ProgramHeader>() as u64;
    let bytes = read_range(file, header.e_phoff(endian).into(), length)?;
    let segments: &[H::ProgramHeader] = bytes
        .as_slice()
        .read_slice_at(0, usize::from(count))
        .map_err(|()| ElfError::Malformed("its program headers are cut off"))?;

    let target = Target {
        is_64_bit: header.is_class_64(),
        is_little_endian: header.is_little_endian(),
        machine: header.e_machine(endian).0,
    };
    let mut interpreter = None;
    let mut dynamic = Vec::new();
    let mut is_go = false;
    for segment in segments {
        let (offset, size) = segment.file_range(endian);
        match segment.p_type(endian) {
            elf::PT_INTERP if size <= MAX_INTERPRETER_BYTES => {
                let mut name = read_range(file, offset, size)?;
                name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
                interpreter = Some(name);
            }
            elf::PT_INTERP => return Err(ElfError::Malformed("its interpreter's name is too long")),
            elf::PT_DYNAMIC if size <= MAX_DYNAMIC_BYTES => dynamic = read_range(file, offset, size)?,
            elf::PT_DYNAMIC => return Err(ElfError::Malformed("its dynamic section is too long")),
            // Go's build ID is a note of the owner "Go".
            elf::PT_NOTE if size <= 4096 => {
                is_go |= read_range(file, offset, size)?.get(12..16) == Some(b"Go\0\0");
            }
            _ => {}
        }
    }
    let mut out = ElfFile {
        target,
        interpreter,
        needed: Vec::new(),
        rpath: None,
        runpath: None,
        soname: None,
        no_default_directories: false,
        functions: BTreeSet::new(),
        is_go,
    };
    let entries = dynamic.len() / size_of::<H::Dyn>();
    let entries: &[H::Dyn] = dynamic.as_slice().read_slice_at(0, entries).unwrap_or_default();
    read_dynamic::<H, R>(file, endian, segments, entries, &mut out)?;
    Ok(Some(out))
}

fn read_dynamic<H: FileHeader<Endian = Endianness>, R: Read + Seek>(
    file: &mut R,
    endian: Endianness,
    segments: &[H::ProgramHeader],
    entries: &[H::Dyn],
    out: &mut ElfFile,
) -> Result<(), ElfError> {
    let entries: Vec<(i64, u64)> = entries
        .iter()
        .map(|entry| (entry.tag(endian).0, entry.val(endian)))
        .take_while(|&(tag, _)| tag != elf::DT_NULL.0)
        .collect();
    let value =
        |wanted: elf::DynamicTag| entries.iter().find(|(tag, _)| *tag == wanted.0).map(|&(_, value)| value);
    let (Some(address), Some(size)) = (value(elf::DT_STRTAB), value(elf::DT_STRSZ)) else { return Ok(()) };
    if size > MAX_STRING_BYTES {
        return Err(ElfError::Malformed("its string table is too long"));
    }
    let offset = segments.iter().find_map(|segment| {
        let start: u64 = segment.p_vaddr(endian).into();
        let inside = address.checked_sub(start)?;
        let (offset, length) = segment.file_range(endian);
        (segment.p_type(endian) == elf::PT_LOAD && inside < length).then(|| offset.checked_add(inside))?
    });
    let Some(offset) = offset else { return Err(ElfError::Malformed("its string table lies in no segment")) };
    let strings = read_range(file, offset, size)?;
    let string = |at: u64| {
        let rest = strings.get(usize::try_from(at).ok()?..)?;
        let end = rest.iter().take(MAX_NAME_BYTES).position(|&byte| byte == 0)?;
        Some(rest[..end].to_vec()).filter(|name| !name.is_empty())
    };
    for &(tag, value) in &entries {
        match elf::DynamicTag(tag) {
            elf::DT_NEEDED | elf::DT_AUXILIARY | elf::DT_FILTER => out.needed.extend(string(value)),
            elf::DT_RPATH => out.rpath = string(value),
            elf::DT_RUNPATH => out.runpath = string(value),
            elf::DT_SONAME => out.soname = string(value),
            elf::DT_FLAGS_1 => out.no_default_directories = value & elf::DF_1_NODEFLIB.0 != 0,
            _ => {}
        }
    }
    let known: BTreeSet<&str> = FUNCTIONS.into_iter().collect();
    let longest = FUNCTIONS.iter().map(|name| name.len()).max().unwrap_or(0);
    let names = strings.split(|&byte| byte == 0).filter(|name| (7..=longest).contains(&name.len()));
    out.functions = names.filter_map(|name| known.get(std::str::from_utf8(name).ok()?).copied()).collect();
    Ok(())
}

/// Reads exactly this range, which the caller has bounded.
fn read_range<R: Read + Seek>(file: &mut R, offset: u64, length: u64) -> Result<Vec<u8>, ElfError> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.by_ref().take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(ElfError::Malformed("it is cut off")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn own_program() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn a_program_names_its_interpreter_and_libraries() {
        let file = read(&mut Cursor::new(own_program())).unwrap().unwrap();
        assert!(file.interpreter.unwrap().starts_with(b"/lib"));
        assert!(file.needed.iter().any(|name| name == b"libc.so.6"), "{:?}", file.needed);
        assert!(!file.is_go);
    }

    #[test]
    fn other_files_are_not_elf() {
        for bytes in [&b""[..], b"\x7fEL", b"#!/bin/sh\n"] {
            assert!(read(&mut Cursor::new(bytes)).unwrap().is_none());
        }
    }

    #[test]
    fn a_file_cut_off_is_an_error_not_a_panic() {
        let whole = own_program();
        for length in [4, 5, 16, 52, 63, 64, 100, 500, 1000] {
            assert!(
                matches!(read(&mut Cursor::new(&whole[..length])), Err(ElfError::Malformed(_))),
                "{length}"
            );
        }
    }

    proptest! {
        #[test]
        fn broken_headers_never_panic(changes in proptest::collection::vec((0usize..1024, any::<u8>()), 1..20)) {
            static START: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
            let mut bytes = START.get_or_init(|| own_program()[..1 << 16].to_vec()).clone();
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            let _ = read(&mut Cursor::new(bytes));
        }
    }
}
