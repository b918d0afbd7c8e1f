//! The dynamic loader's cache, `/etc/ld.so.cache`: library names with the files that `ldconfig` found for them.
//!
//! Source: glibc 2.36, `sysdeps/generic/dl-cache.h`. Both layouts that occur: the new format alone, and the old format
//! with the new one after it. Entries of hardware subdirectories (`glibc-hwcaps`) are entries like others.

use std::collections::BTreeMap;

const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";
const NEW_MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const NEW_HEADER_BYTES: usize = 48;
const NEW_ENTRY_BYTES: usize = 24;
const OLD_HEADER_BYTES: usize = 16;
const OLD_ENTRY_BYTES: usize = 12;

/// Largest cache that we read; a full desktop's has about 200 KiB.
pub(crate) const MAX_BYTES: u64 = 16 << 20;

/// Library names with their files in the order of the cache.
pub(crate) type Cache = BTreeMap<Vec<u8>, Vec<CachedLibrary>>;

/// One file of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CachedLibrary {
    /// Absolute, as `ldconfig` wrote it.
    pub(crate) file: Vec<u8>,
    /// Only for processors with certain abilities.
    pub(crate) is_variant: bool,
}

/// Reads a cache; `None` if it is not one. Broken entries are left out: the loader would not find them either.
pub(crate) fn parse(bytes: &[u8]) -> Option<Cache> {
    let new = if bytes.starts_with(OLD_MAGIC) {
        let count = usize::try_from(word(bytes, 12, false)?).ok()?;
        let end = count.checked_mul(OLD_ENTRY_BYTES)?.checked_add(OLD_HEADER_BYTES)?;
        bytes.get(end.checked_next_multiple_of(8)?..)?
    } else {
        bytes
    };
    if !new.starts_with(NEW_MAGIC) {
        return None;
    }
    // Byte 28: 0 = unset (little on the machines that wrote such), 2 = little endian, 3 = big endian.
    let big = new.get(28)? & 3 == 3;
    let count = usize::try_from(word(new, 20, big)?).ok()?;
    let entries = new.get(NEW_HEADER_BYTES..)?.chunks_exact(NEW_ENTRY_BYTES).take(count);
    let string = |entry: &[u8], at: usize| {
        let start = usize::try_from(word(entry, at, big)?).ok()?;
        let rest = new.get(start..)?;
        let end = rest.iter().take(4096).position(|&byte| byte == 0)?;
        Some(rest[..end].to_vec())
    };
    let mut cache = Cache::new();
    for entry in entries {
        if let (Some(name), Some(file)) = (string(entry, 4), string(entry, 8)) {
            let is_variant = entry.get(16..24) != Some(&[0; 8]);
            cache.entry(name).or_default().push(CachedLibrary { file, is_variant });
        }
    }
    Some(cache)
}

fn word(bytes: &[u8], at: usize, big: bool) -> Option<u32> {
    let word: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn new_format(entries: &[(&str, &str)], big: bool) -> Vec<u8> {
        let number = |n: usize| if big { (n as u32).to_be_bytes() } else { (n as u32).to_le_bytes() };
        let mut strings = Vec::new();
        let strings_at = NEW_HEADER_BYTES + entries.len() * NEW_ENTRY_BYTES;
        let mut out = NEW_MAGIC.to_vec();
        out.extend(number(entries.len()));
        out.extend(number(0));
        out.push(if big { 3 } else { 2 });
        out.resize(NEW_HEADER_BYTES, 0);
        for (name, file) in entries {
            out.extend(number(0x0303));
            for text in [name, file] {
                out.extend(number(strings_at + strings.len()));
                strings.extend(text.bytes().chain([0]));
            }
            out.extend([0; 12]);
        }
        out.extend(strings);
        out
    }

    #[test]
    fn both_layouts_and_byte_orders_are_read() {
        let entries = [("libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6"), ("liba.so", "/usr/lib/liba.so")];
        let library = |file: &str| vec![CachedLibrary { file: file.into(), is_variant: false }];
        let expected: Cache =
            entries.iter().map(|(name, file)| (name.as_bytes().to_vec(), library(file))).collect();
        for big in [false, true] {
            assert_eq!(parse(&new_format(&entries, big)), Some(expected.clone()));
        }
        let mut old = [OLD_MAGIC, b"\0", &1u32.to_le_bytes(), &[0; OLD_ENTRY_BYTES]].concat();
        old.resize(old.len().next_multiple_of(8), 0);
        old.extend(new_format(&entries, false));
        assert_eq!(parse(&old), Some(expected));
    }

    #[test]
    fn the_cache_of_this_machine_lists_the_c_library() {
        let Ok(bytes) = std::fs::read("/etc/ld.so.cache") else { return };
        assert!(parse(&bytes).unwrap().contains_key(&b"libc.so.6"[..]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(tail in proptest::collection::vec(any::<u8>(), 0..200), old: bool) {
            let magic = if old { OLD_MAGIC } else { NEW_MAGIC };
            let _ = parse(&[magic, &tail].concat());
        }
    }
}
