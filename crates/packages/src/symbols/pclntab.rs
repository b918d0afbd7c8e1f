//! The names of all functions of a Go program: `pclntab`, which tracebacks need and no stripping removes.
//!
//! | written by | magic | where the names are |
//! | --- | --- | --- |
//! | Go 1.2 to 1.15 | `0xfffffffb` | anywhere in the table, among other things |
//! | Go 1.16, 1.17 | `0xfffffffa` | a region of its own |
//! | Go 1.18, 1.19 | `0xfffffff0` | the same, after one more word |
//! | Go 1.20 and later | `0xfffffff1` | the same |
//!
//! The names of functions that were inlined wherever they are called are there too, since a traceback shows them. They
//! are no function of the table, so the names are searched as a whole.
//!
//! Source: Go's `debug/gosym`, `cmd/link/internal/ld/pcln.go`, `cmd/internal/objabi/path.go`.

use memchr::memmem;

use super::{Answer, Functions, Sighting, conclude};
use crate::catalog::elf::{Elf, read_at};
use crate::catalog::found::Content;

/// The largest programs have some 10 MiB of names; before Go 1.16 the whole table is taken.
const MAX_BYTES: u64 = 256 << 20;
/// How much is searched for the table where no section names it.
const MAX_SEARCHED_BYTES: u64 = 1 << 30;
const CHUNK_BYTES: u64 = 4 << 20;
const HEADER_BYTES: u64 = 72;
const MAX_FUNCTIONS: u64 = 50_000_000;
const MAX_NAME_BYTES: usize = 16 << 10;
const SECTIONS: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];
/// Functions that are in every program: a table that does not name them is not whole, or was made unreadable.
const ALWAYS: [&[u8]; 2] = [b"runtime.mallocgc\0", b"runtime.gopanic\0"];

/// The names of a program's functions.
#[derive(Debug)]
pub(super) struct Names {
    /// Names that end in a zero byte.
    bytes: Vec<u8>,
    /// Whether nothing but names is there, so that each begins where another ended.
    is_pure: bool,
    /// Which table it is.
    table: String,
}

/// What stands at the beginning of a table.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    version: &'static str,
    /// The region of the names, from the beginning of the table; none for all of it.
    names: Option<(u64, u64)>,
}

/// The names of this program; none where it has no table, or one that cannot be trusted.
pub(super) fn read(elf: &Elf, content: &mut dyn Content) -> Option<Names> {
    let named = SECTIONS.iter().find_map(|name| elf.place(name)).into_iter();
    let named: Vec<(u64, u64)> = named.collect();
    let tables = if named.is_empty() { search(elf, content) } else { named };
    tables.into_iter().find_map(|(offset, bytes)| names(elf, content, offset, bytes))
}

fn names(elf: &Elf, content: &mut dyn Content, offset: u64, bytes: u64) -> Option<Names> {
    let start = read_at(content, offset, bytes.min(HEADER_BYTES)).ok()?;
    let header = header(&start, elf.is_big())?;
    let (from, length) = header.names.unwrap_or((0, bytes.min(MAX_BYTES)));
    if length > MAX_BYTES || from.checked_add(length)? > bytes {
        return None;
    }
    let names = Names {
        bytes: read_at(content, offset.checked_add(from)?, length).ok()?,
        is_pure: header.names.is_some(),
        table: format!("pclntab of Go {}", header.version),
    };
    ALWAYS.iter().all(|name| memmem::find(&names.bytes, name).is_some()).then_some(names)
}

/// Reads the header of a table; none if it is no such header.
fn header(bytes: &[u8], is_big: bool) -> Option<Header> {
    let number = |at: usize, length: usize| {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        let add = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
        Some(if is_big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    };
    let (padding, quantum, width) = (number(4, 2)?, *bytes.get(6)?, usize::from(*bytes.get(7)?));
    if padding != 0 || ![1, 2, 4].contains(&quantum) || ![4, 8].contains(&width) {
        return None;
    }
    let (version, at) = match number(0, 4)? {
        0xffff_fffb => ("1.2", None),
        0xffff_fffa => ("1.16", Some(2)),
        0xffff_fff0 => ("1.18", Some(3)),
        0xffff_fff1 => ("1.20", Some(3)),
        _ => return None,
    };
    let word = |at: usize| number(8 + at * width, width);
    if !(1..=MAX_FUNCTIONS).contains(&word(0)?) {
        return None;
    }
    let names = match at {
        None => None,
        Some(at) => {
            let (from, end) = (word(at)?, word(at + 1)?);
            Some((from, end.checked_sub(from).filter(|length| *length > 0)?))
        }
    };
    Some(Header { version, names })
}

/// Where a table may begin, in a program without sections or with others: its place and the bytes from there to the
/// end of the segment.
fn search(elf: &Elf, content: &mut dyn Content) -> Vec<(u64, u64)> {
    let magics: Vec<[u8; 4]> = [0xffff_fff1_u32, 0xffff_fff0, 0xffff_fffa, 0xffff_fffb]
        .into_iter()
        .map(|magic| if elf.is_big() { magic.to_be_bytes() } else { magic.to_le_bytes() })
        .collect();
    let mut found = Vec::new();
    let mut budget = MAX_SEARCHED_BYTES;
    for (offset, bytes) in elf.loaded() {
        let mut at = 0;
        while at < bytes && budget > 0 {
            let length = CHUNK_BYTES.min(bytes - at);
            let Ok(chunk) = read_at(content, offset.saturating_add(at), length) else { break };
            for magic in &magics {
                for hit in memmem::find_iter(&chunk, magic) {
                    let is_header = hit % 4 == 0
                        && chunk
                            .get(hit..)
                            .is_some_and(|rest| rest.len() < 64 || header(rest, elf.is_big()).is_some());
                    if is_header && found.len() < 64 {
                        found.push((offset + at + hit as u64, bytes - at - hit as u64));
                    }
                }
            }
            budget = budget.saturating_sub(length);
            // A magic number across two chunks is in the next one.
            at += if length == CHUNK_BYTES { length - HEADER_BYTES } else { length };
        }
    }
    found
}

impl Names {
    /// Which of these functions are named. `paths` says under which import paths a package stands in the program.
    pub(super) fn answer(&self, functions: &[Functions], paths: &dyn Fn(&str) -> Vec<String>) -> Answer {
        let mut seen = Vec::new();
        for Functions { path, names } in functions {
            if path.is_empty() {
                return Answer::Unknown;
            }
            let rests: Vec<(String, Sighting)> =
                paths(path).iter().flat_map(|path| self.functions_of(path)).collect();
            if names.is_empty() {
                let all = rests.iter().map(|(rest, sighting)| (format!("{path}.{rest}"), *sighting));
                seen.extend(all);
            }
            for name in names {
                let found = rests.iter().filter(|(rest, _)| is_part_of(rest, name));
                let best = found.map(|(_, sighting)| *sighting).max().unwrap_or(Sighting::None);
                seen.push((format!("{path}.{name}"), best));
            }
        }
        conclude(&seen, functions.iter().any(is_public), &self.table)
    }

    /// What stands behind an import path in all names, as `Type.Method` or `Function`.
    fn functions_of(&self, path: &str) -> Vec<(String, Sighting)> {
        let mut found = Vec::new();
        let mut prefixes = vec![escaped(path), path.to_owned()];
        prefixes.dedup();
        for prefix in prefixes {
            let needle = format!("{prefix}.");
            for at in memmem::find_iter(&self.bytes, needle.as_bytes()) {
                let rest = &self.bytes[at + needle.len()..];
                let rest = &rest[..rest.len().min(MAX_NAME_BYTES)];
                let rest = &rest[..memchr::memchr(0, rest).unwrap_or(rest.len())];
                let before = &self.bytes[..at];
                let is_start = before.last().is_none_or(|byte| *byte == 0) || before.ends_with(b"vendor/");
                // Among other things a name may begin behind any byte that no name has.
                let is_certain =
                    is_start || (!self.is_pure && before.last().is_some_and(|byte| !byte.is_ascii_graphic()));
                let sighting = if is_certain { Sighting::Certain } else { Sighting::Doubtful };
                found.push((plain(rest), sighting));
            }
        }
        found
    }
}

/// Whether a user of the package can name one of these functions. Others may have had another name, or lain elsewhere,
/// in the version that the program was built with; what is public keeps its name, and advisories list from where the
/// vulnerable part is reached.
fn is_public(functions: &Functions) -> bool {
    let is_exported =
        |name: &String| name.split('.').all(|part| part.chars().next().is_some_and(char::is_uppercase));
    let is_internal = functions.path.split('/').any(|part| part == "internal");
    !is_internal && (functions.names.is_empty() || functions.names.iter().any(is_exported))
}

/// Whether a name is this function, or something that was made of it: a closure, a wrapper, an instance.
fn is_part_of(name: &str, function: &str) -> bool {
    // Functions `init` have numbers: of the linker's own counting, not of the advisory's.
    let function = function.split('#').next().unwrap_or(function);
    name.strip_prefix(function).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '·']))
}

/// A name without what instances of generics and pointers add: `(*T[...]).M` is `T.M`.
fn plain(name: &[u8]) -> String {
    let mut depth = 0_usize;
    let mut plain = String::with_capacity(name.len());
    for letter in String::from_utf8_lossy(name).chars() {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            '(' | ')' | '*' => {}
            _ if depth == 0 => plain.push(letter),
            _ => {}
        }
    }
    plain
}

/// An import path as the linker writes it: dots of the last element are escaped, and so are odd bytes.
fn escaped(path: &str) -> String {
    let last = path.rfind('/').map_or(0, |at| at + 1);
    let mut escaped = String::with_capacity(path.len());
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'.' if at >= last => escaped.push_str("%2e"),
            b'%' | b'"' | 0..=b' ' | 0x7f.. => escaped.push_str(&format!("%{byte:02x}")),
            _ => escaped.push(char::from(byte)),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(bytes: &[u8], is_pure: bool) -> Names {
        Names { bytes: bytes.to_vec(), is_pure, table: "t".into() }
    }

    fn answer(names: &Names, path: &str, functions: &[&str]) -> Answer {
        let functions =
            Functions { path: path.into(), names: functions.iter().map(|name| (*name).to_owned()).collect() };
        names.answer(&[functions], &|path| vec![path.to_owned()])
    }

    fn present(symbol: &str) -> Answer {
        Answer::Present { symbols: vec![symbol.into()], table: "t".into() }
    }

    #[test]
    fn functions_methods_closures_and_instances_are_found_under_their_names() {
        let absent = Answer::Absent { table: "t".into() };
        let table = names(
            b"\0a/b.F\0a/b.(*T).M.func1\0a/b.(*G[...]).N\0a/b.H[go.shape.int]\0gopkg.in/y%2ev3.U\0x/a/b.Q\0\
              a/b.init.0\0vendor/c/d.V\0a/b.Long\0a/b.W-fm\0",
            true,
        );
        for (path, function, expected) in [
            ("a/b", "F", present("a/b.F")),
            ("a/b", "T.M", present("a/b.T.M")),
            ("a/b", "G.N", present("a/b.G.N")),
            ("a/b", "H", present("a/b.H")),
            ("a/b", "W", present("a/b.W")),
            ("a/b", "init#1", present("a/b.init#1")),
            ("gopkg.in/y.v3", "U", present("gopkg.in/y.v3.U")),
            ("c/d", "V", present("c/d.V")),
            ("a/b", "T.Other", absent.clone()),
            ("a/b", "Lon", absent.clone()),
            ("a/b", "hidden", Answer::Unknown),
            ("a/b", "hidden.M", Answer::Unknown),
            ("a/internal/b", "F", Answer::Unknown),
            ("b", "F", Answer::Unknown),
            ("a/b", "Q", Answer::Unknown),
            ("e/f", "F", absent),
        ] {
            assert_eq!(answer(&table, path, &[function]), expected, "{path}.{function}");
        }
        assert_eq!(answer(&table, "c/d", &[]), present("c/d.V"));
        assert!(matches!(answer(&table, "zz", &[]), Answer::Absent { .. }));
    }

    #[test]
    fn among_other_things_a_name_is_certain_only_behind_a_byte_that_no_name_has() {
        let table = names(b"\x01\x02a/b.F\0xa/b.G\0", false);
        assert_eq!(answer(&table, "a/b", &["F"]), present("a/b.F"));
        assert_eq!(answer(&table, "a/b", &["G"]), Answer::Unknown);
    }

    #[test]
    fn headers_of_all_versions_widths_and_orders_are_read() {
        for (magic, version, at) in [
            (0xffff_fffb_u32, "1.2", None),
            (0xffff_fffa, "1.16", Some(2)),
            (0xffff_fff0, "1.18", Some(3)),
            (0xffff_fff1, "1.20", Some(3)),
        ] {
            for (width, is_big) in [(4, false), (4, true), (8, false), (8, true)] {
                let put = |value: u64, width: usize| {
                    let bytes = value.to_le_bytes()[..width].to_vec();
                    if is_big { bytes.into_iter().rev().collect::<Vec<u8>>() } else { bytes }
                };
                let mut bytes = put(u64::from(magic), 4);
                bytes.extend([0, 0, 1, width as u8]);
                for at_word in 0..7_usize {
                    let value = match at {
                        _ if at_word == 0 => 9,
                        Some(at) if at_word == at => 100,
                        Some(at) if at_word == at + 1 => 140,
                        _ => 3,
                    };
                    bytes.extend(put(value, width));
                }
                let names = at.map(|_| (100, 40));
                assert_eq!(header(&bytes, is_big), Some(Header { version, names }), "{version} {width}");
                assert_eq!(header(&bytes, !is_big), None);
                assert_eq!(header(&bytes[..8], is_big), None);
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..80), big: bool) {
            let _ = header(&bytes, big);
            let table = names(&bytes, big);
            let _ = answer(&table, "a", &["b"]);
        }
    }
}
