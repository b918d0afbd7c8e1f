//! The names in a compiled Erlang module.
//!
//! Source: the BEAM file format as `beam_lib` and `beam_asm` of OTP have it.

use std::collections::BTreeSet;
use std::io::Read;

/// Longest module, or part of one, after inflating.
const MAX_BYTES: u64 = 32 << 20;

/// What a module names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Beam {
    /// Modules whose functions it calls by name.
    pub(super) imports: BTreeSet<Vec<u8>>,
    /// All its atoms, among them those in its literals: modules that it hands to others, such as a supervisor's children.
    pub(super) atoms: BTreeSet<Vec<u8>>,
}

/// Reads a module; `None` for what is none.
pub(super) fn read(content: &[u8]) -> Option<Beam> {
    if content.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(content).take(MAX_BYTES).read_to_end(&mut plain).ok()?;
        return if plain.starts_with(b"FOR1") { read(&plain) } else { None };
    }
    if content.get(..4)? != b"FOR1" || content.get(8..12)? != b"BEAM" {
        return None;
    }
    let mut beam = Beam::default();
    let (mut names, mut imports): (Vec<Vec<u8>>, &[u8]) = Default::default();
    let mut rest = &content[12..];
    while let Some((chunk, data, after)) = next_chunk(rest) {
        match chunk {
            b"AtU8" | b"Atom" => names = atoms(data),
            b"ImpT" => imports = data,
            b"LitT" => beam.atoms.extend(literal_atoms(data)),
            _ => {}
        }
        rest = after;
    }
    for entry in imports.get(4..).unwrap_or_default().chunks_exact(12) {
        let index = number(entry).and_then(|index| usize::try_from(index).ok()?.checked_sub(1));
        beam.imports.extend(index.and_then(|index| names.get(index)).cloned());
    }
    beam.atoms.extend(names);
    Some(beam)
}

/// Name, content, and what follows after the padding to four bytes.
fn next_chunk(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let length = usize::try_from(number(bytes.get(4..)?)?).ok()?;
    let data = bytes.get(8..8usize.checked_add(length)?)?;
    let padded = 8 + length.checked_next_multiple_of(4)?;
    Some((&bytes[..4], data, bytes.get(padded..).unwrap_or_default()))
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?))
}

/// Each a length and its bytes. Since OTP 28 the number of atoms is negative, and lengths are compact: the high nibble
/// of the first byte below 16, else eleven bits over two bytes.
fn atoms(data: &[u8]) -> Vec<Vec<u8>> {
    let is_compact = number(data).is_some_and(|count| count > i32::MAX as u32);
    let mut rest = data.get(4..).unwrap_or_default();
    let mut out = Vec::new();
    while let Some(&first) = rest.first() {
        let (length, skip) = match is_compact {
            false => (usize::from(first), 1),
            true if first & 0b1000 == 0 => (usize::from(first >> 4), 1),
            true => {
                let second = rest.get(1).copied().unwrap_or_default();
                (usize::from(first >> 5) << 8 | usize::from(second), 2)
            }
        };
        let Some(name) = rest.get(skip..skip + length) else { break };
        out.push(name.to_vec());
        rest = &rest[skip + length..];
    }
    out
}

/// What looks like an atom among the literals: a tag, a length, and a name of lower-case letters.
fn literal_atoms(data: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut plain = Vec::new();
    let inflated = match number(data) {
        // Since OTP 28 the literals are not compressed.
        Some(0) => data.get(4..).unwrap_or_default(),
        _ => {
            let mut reader =
                flate2::read::ZlibDecoder::new(data.get(4..).unwrap_or_default()).take(MAX_BYTES);
            if reader.read_to_end(&mut plain).is_err() {
                return BTreeSet::new();
            }
            &plain
        }
    };
    let mut out = BTreeSet::new();
    for (at, _) in inflated.iter().enumerate().filter(|(_, byte)| matches!(byte, 119 | 115)) {
        let Some(&length) = inflated.get(at + 1) else { continue };
        let Some(name) = inflated.get(at + 2..at + 2 + usize::from(length)) else { continue };
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_@.".contains(byte);
        if name.len() > 1 && name.iter().all(is_name) {
            out.insert(name.to_vec());
        }
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let mut out = [&name[..], &(data.len() as u32).to_be_bytes(), data].concat();
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    /// A module that imports from these others.
    pub(in crate::rules::erlang) fn module(name: &str, imports: &[&str], atoms: &[&str]) -> Vec<u8> {
        let all: Vec<&str> = [&[name], imports, atoms].concat();
        let mut names = (all.len() as u32).to_be_bytes().to_vec();
        all.iter().for_each(|name| names.extend([&[name.len() as u8], name.as_bytes()].concat()));
        let mut table = (imports.len() as u32).to_be_bytes().to_vec();
        for at in 0..imports.len() {
            [at as u32 + 2, 1, 0].iter().for_each(|number| table.extend(number.to_be_bytes()));
        }
        let body = [&b"BEAM"[..], &chunk(b"AtU8", &names), &chunk(b"ImpT", &table)].concat();
        [&b"FOR1"[..], &(body.len() as u32).to_be_bytes(), &body].concat()
    }

    #[test]
    fn imports_and_atoms_are_read() {
        let beam = read(&module("a", &["lists", "other"], &["child"])).unwrap();
        assert_eq!(beam.imports, BTreeSet::from([b"lists".to_vec(), b"other".to_vec()]));
        assert!(beam.atoms.contains(&b"child"[..]));
        assert_eq!(read(b"#!/usr/bin/env escript"), None);
    }

    proptest::proptest! {
        #[test]
        fn broken_modules_never_panic(cut in 0usize..80, at in 0usize..80, byte in proptest::prelude::any::<u8>()) {
            let mut bytes = module("a", &["lists"], &["child"]);
            if let Some(place) = bytes.get_mut(at) { *place = byte; }
            bytes.truncate(cut);
            let _ = read(&bytes);
        }
    }
}
