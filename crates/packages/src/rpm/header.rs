//! Package headers: tags with typed values.
//!
//! Two big-endian numbers (entries, bytes of data), then for each entry four (tag, type, offset into the data, count),
//! then the data. The entries that came with the package are covered by its signature, as one region; what rpm noted
//! when it installed the package follows after it, the states of the files among it.

use std::ops::Range;

use super::{Broken, be32};

/// The tags that we read.
pub(super) mod tag {
    pub(in super::super) const NAME: u32 = 1000;
    pub(in super::super) const VERSION: u32 = 1001;
    pub(in super::super) const RELEASE: u32 = 1002;
    pub(in super::super) const EPOCH: u32 = 1003;
    pub(in super::super) const VENDOR: u32 = 1011;
    pub(in super::super) const LICENSE: u32 = 1014;
    pub(in super::super) const ARCH: u32 = 1022;
    pub(in super::super) const OLD_FILE_NAMES: u32 = 1027;
    pub(in super::super) const FILE_STATES: u32 = 1029;
    pub(in super::super) const FILE_FLAGS: u32 = 1037;
    pub(in super::super) const SOURCERPM: u32 = 1044;
    pub(in super::super) const PROVIDE_NAME: u32 = 1047;
    pub(in super::super) const REQUIRE_NAME: u32 = 1049;
    pub(in super::super) const DIR_INDEXES: u32 = 1116;
    pub(in super::super) const BASE_NAMES: u32 = 1117;
    pub(in super::super) const DIR_NAMES: u32 = 1118;
}

/// What rpm itself accepts.
const MAX_ENTRIES: usize = 0xffff;
const MAX_DATA_BYTES: usize = 256 << 20;
const ENTRY_BYTES: usize = 16;

const CHAR: u32 = 1;
const INT32: u32 = 4;
const STRING: u32 = 6;
const STRING_ARRAY: u32 = 8;
const I18N_STRING: u32 = 9;

/// rpm's states of a file: all but the first mean that the package does not have it there.
const STATE_NORMAL: u8 = 0;
pub(super) const STATE_NOT_INSTALLED: u8 = 2;
const STATE_NET_SHARED: u8 = 3;
/// The flag of a file that the package owns without bringing it.
const FLAG_GHOST: u32 = 1 << 6;

/// A header over its bytes.
#[derive(Debug)]
pub(super) struct Header<'a> {
    blob: &'a [u8],
    data: Range<usize>,
    entries: usize,
}

/// One file that a package owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// As written: absolute.
    pub(super) path: Vec<u8>,
    pub(super) state: u8,
    pub(super) is_ghost: bool,
}

impl File {
    /// Whether the package has the file there, as far as rpm knows.
    pub(super) fn is_installed(&self) -> bool {
        matches!(self.state, STATE_NORMAL | STATE_NET_SHARED)
    }
}

struct Entry {
    kind: u32,
    offset: usize,
    count: usize,
}

impl<'a> Header<'a> {
    /// Checks the sizes that the blob begins with.
    pub(super) fn parse(blob: &'a [u8]) -> Result<Self, Broken> {
        let cut = Broken::CutOff("a package header");
        let number = |at| be32(blob, at).and_then(|number| usize::try_from(number).ok()).ok_or(cut.clone());
        let (entries, data_bytes) = (number(0)?, number(4)?);
        if entries > MAX_ENTRIES || data_bytes > MAX_DATA_BYTES {
            return Err(Broken::Wrong("a package header that is larger than rpm allows"));
        }
        let start = 8 + entries * ENTRY_BYTES;
        let data = start..start + data_bytes;
        if data.end > blob.len() {
            return Err(cut);
        }
        Ok(Self { blob, data, entries })
    }

    /// The last entry with this tag: what rpm noted replaces what the package brought.
    fn entry(&self, tag: u32) -> Option<Entry> {
        let field = |index: usize, nth: usize| be32(self.blob, 8 + index * ENTRY_BYTES + nth * 4);
        let index = (0..self.entries).rev().find(|&index| field(index, 0) == Some(tag))?;
        Some(Entry {
            kind: field(index, 1)?,
            offset: usize::try_from(field(index, 2)?).ok()?,
            count: usize::try_from(field(index, 3)?).ok()?,
        })
    }

    fn data_from(&self, offset: usize) -> Option<&'a [u8]> {
        self.blob.get(self.data.clone())?.get(offset..)
    }

    /// A printable text of one line.
    pub(super) fn text(&self, tag: u32) -> Option<String> {
        let entry = self.entry(tag).filter(|entry| matches!(entry.kind, STRING | I18N_STRING))?;
        let bytes = self.data_from(entry.offset)?.split(|&byte| byte == 0).next()?;
        let text = std::str::from_utf8(bytes).ok()?;
        let good = !text.is_empty() && text.len() <= 1000 && !text.chars().any(char::is_control);
        good.then(|| text.to_owned())
    }

    /// The first number of a tag.
    pub(super) fn number(&self, tag: u32) -> Option<u32> {
        let entry = self.entry(tag).filter(|entry| entry.kind == INT32 && entry.count > 0)?;
        be32(self.data_from(entry.offset)?, 0)
    }

    fn numbers(&self, tag: u32) -> Option<impl Iterator<Item = u32> + use<'a>> {
        let entry = self.entry(tag).filter(|entry| entry.kind == INT32)?;
        let bytes = self.data_from(entry.offset)?.get(..entry.count.checked_mul(4)?)?;
        Some(bytes.chunks_exact(4).filter_map(|chunk| be32(chunk, 0)))
    }

    /// As many strings as the entry says and the data has.
    fn strings(&self, tag: u32) -> Option<Vec<&'a [u8]>> {
        let entry = self.entry(tag).filter(|entry| entry.kind == STRING_ARRAY)?;
        let mut rest = self.data_from(entry.offset)?;
        let mut strings = Vec::new();
        for _ in 0..entry.count {
            let end = rest.iter().position(|&byte| byte == 0)?;
            strings.push(&rest[..end]);
            rest = &rest[end + 1..];
        }
        Some(strings)
    }

    /// Names in a list, those that are text.
    pub(super) fn names(&self, tag: u32) -> Vec<String> {
        let all = self.strings(tag).unwrap_or_default().into_iter();
        all.filter_map(|name| std::str::from_utf8(name).ok()).map(str::to_owned).collect()
    }

    /// All that the package owns, directories included, in the order of the header.
    pub(super) fn files(&self) -> Vec<File> {
        let states = self.file_states().and_then(|range| self.blob.get(range)).unwrap_or_default();
        let flags: Vec<u32> = self.numbers(tag::FILE_FLAGS).into_iter().flatten().collect();
        let file = |(index, path): (usize, Vec<u8>)| File {
            path,
            state: states.get(index).copied().unwrap_or(STATE_NORMAL),
            is_ghost: flags.get(index).is_some_and(|flags| flags & FLAG_GHOST != 0),
        };
        self.paths().into_iter().enumerate().map(file).collect()
    }

    fn paths(&self) -> Vec<Vec<u8>> {
        let (names, directories) = (self.strings(tag::BASE_NAMES), self.strings(tag::DIR_NAMES));
        let (Some(names), Some(directories)) = (names, directories) else {
            let whole = self.strings(tag::OLD_FILE_NAMES).unwrap_or_default();
            return whole.into_iter().map(<[u8]>::to_vec).collect();
        };
        let indexes = self.numbers(tag::DIR_INDEXES).into_iter().flatten();
        names
            .into_iter()
            .zip(indexes)
            .map(|(name, index)| {
                let directory = usize::try_from(index).ok().and_then(|index| directories.get(index));
                [directory.copied().unwrap_or_default(), name].concat()
            })
            .collect()
    }

    /// Where the blob has the states of the files, one byte for each.
    pub(super) fn file_states(&self) -> Option<Range<usize>> {
        let entry = self.entry(tag::FILE_STATES).filter(|entry| entry.kind == CHAR)?;
        let start = self.data.start.checked_add(entry.offset)?;
        let end = start.checked_add(entry.count)?;
        (end <= self.data.end).then_some(start..end)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A header of these entries: tag, type, count, data.
    pub(in super::super) fn blob(entries: &[(u32, u32, u32, &[u8])]) -> Vec<u8> {
        let mut index = Vec::new();
        let mut data = Vec::new();
        for (tag, kind, count, bytes) in entries {
            let offset = u32::try_from(data.len()).unwrap();
            [*tag, *kind, offset, *count].iter().for_each(|field| index.extend(field.to_be_bytes()));
            data.extend_from_slice(bytes);
        }
        let sizes = [entries.len(), data.len()].map(|size| u32::try_from(size).unwrap().to_be_bytes());
        [&sizes.concat()[..], &index, &data].concat()
    }

    fn bash() -> Vec<u8> {
        blob(&[
            (tag::NAME, STRING, 1, b"bash\0"),
            (tag::EPOCH, INT32, 1, &[0, 0, 0, 1]),
            (tag::BASE_NAMES, STRING_ARRAY, 3, b"bash\0sh\0log\0"),
            (tag::DIR_INDEXES, INT32, 3, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            (tag::DIR_NAMES, STRING_ARRAY, 2, b"/usr/bin/\0/var/\0"),
            (tag::FILE_FLAGS, INT32, 3, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64]),
            (tag::FILE_STATES, CHAR, 3, &[0, 2, 0]),
        ])
    }

    #[test]
    fn files_have_paths_states_and_flags() {
        let blob = bash();
        let header = Header::parse(&blob).unwrap();
        assert_eq!((header.text(tag::NAME).as_deref(), header.number(tag::EPOCH)), (Some("bash"), Some(1)));
        let files: Vec<_> = header
            .files()
            .into_iter()
            .map(|file| (String::from_utf8(file.path).unwrap(), file.state, file.is_ghost))
            .collect();
        let expected = [("/usr/bin/bash", 0, false), ("/usr/bin/sh", 2, false), ("/var/log", 0, true)];
        assert_eq!(files, expected.map(|(path, state, ghost)| (path.to_owned(), state, ghost)));
        assert_eq!(blob[header.file_states().unwrap()], [0, 2, 0]);
    }

    #[test]
    fn lying_sizes_are_refused_and_lying_counts_give_nothing() {
        for sizes in [[0xffff_ffff_u32, 0], [0x1_0000, 0], [0, 0xffff_ffff], [1, 0], [0, 9]] {
            let bytes: Vec<u8> = sizes.iter().flat_map(|size| size.to_be_bytes()).collect();
            assert!(Header::parse(&bytes).is_err(), "{sizes:?}");
        }
        let lying = blob(&[
            (tag::BASE_NAMES, STRING_ARRAY, 0xffff_ffff, b"a\0b\0"),
            (tag::DIR_INDEXES, INT32, 0x4000_0001, &[0; 4]),
            (tag::DIR_NAMES, STRING_ARRAY, 1, b"/\0"),
            (tag::FILE_STATES, CHAR, 0xffff_ffff, &[0]),
            (tag::NAME, STRING, 1, b"no end"),
        ]);
        let header = Header::parse(&lying).unwrap();
        assert_eq!((header.files(), header.file_states()), (vec![], None));
        assert_eq!(header.text(tag::NAME).as_deref(), Some("no end"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), entries in 0u32..20) {
            if let Some(head) = bytes.get_mut(..8) {
                head.copy_from_slice(&[entries.to_be_bytes(), 8u32.to_be_bytes()].concat());
            }
            if let Ok(header) = Header::parse(&bytes) {
                header.files();
                header.text(tag::NAME);
                header.number(tag::EPOCH);
            }
        }

        #[test]
        fn a_flipped_byte_breaks_nothing(at in 0usize..260, bit in 0u8..8) {
            let mut blob = bash();
            let at = at % blob.len();
            blob[at] ^= 1 << bit;
            if let Ok(header) = Header::parse(&blob) {
                header.files();
                header.file_states();
            }
        }
    }
}
