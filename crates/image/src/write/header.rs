//! Changing one tar entry's header without touching what it says otherwise.
//!
//! Kept entries are copied verbatim. Only three kinds are rewritten: a hard link that becomes the file because the
//! name it linked to goes ([`EntryHeader::set_name`] on the file's header), a hard link whose target moved
//! ([`EntryHeader::set_link`]), and a file that gets new content ([`EntryHeader::set_content`]). Every PAX record and
//! header field that is not about name, link or size stays as it was.
//!
//! Sources: POSIX.1-2017 `pax`, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual, "Basic Tar
//! Format" and "Storing Sparse Files".

use std::ops::Range;

use crate::{ImagePath, Metadata};

/// The unit of tar: headers are one block, contents are padded to whole blocks.
pub(crate) const BLOCK: usize = 512;

const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..265;
const PREFIX: Range<usize> = 345..500;
/// `star` keeps times behind a shorter prefix and says so in the last four bytes.
const STAR_PREFIX: Range<usize> = 345..476;
const STAR_TRAILER: Range<usize> = 508..512;
/// Sparse map, continuation flag and real size in a header of GNU type `S`.
const GNU_SPARSE: Range<usize> = 386..495;
const POSIX_MAGIC: &[u8] = b"ustar\x0000";
const MAX_OCTAL_SIZE: u64 = 0o77_777_777_777;

/// Why header blocks cannot be taken apart. The reader accepted them, so the layer changed meanwhile or we disagree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tar header blocks are broken: {0}")]
pub struct HeaderError(pub(crate) &'static str);

/// All header blocks of one entry, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct EntryHeader {
    extensions: Vec<Extension>,
    main: [u8; BLOCK],
    /// What follows the main header and belongs to it: GNU sparse continuation blocks.
    tail: Vec<u8>,
}

/// Key and value of a PAX record.
type Record = (Vec<u8>, Vec<u8>);

#[derive(Debug, Clone)]
enum Extension {
    /// PAX records for this entry, in order.
    Pax { header: Box<[u8; BLOCK]>, records: Vec<Record> },
    /// GNU `L` (name) or `K` (link), blocks as they are.
    GnuLong { kind: u8, blocks: Vec<u8> },
    /// Global PAX headers and whatever else precedes the header, blocks as they are.
    Other(Vec<u8>),
}

/// The global PAX headers (`g`) among these blocks, whole. They apply to every later entry, so they outlive theirs.
///
/// Stops at the first thing that is not a header.
pub(crate) fn global_headers(blocks: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = blocks;
    while let Some(header) = rest.first_chunk::<BLOCK>() {
        let Some(length) = parse_size(header).and_then(padded).and_then(|size| size.checked_add(BLOCK))
        else {
            break;
        };
        if header.iter().all(|&b| b == 0) || length > rest.len() {
            break;
        }
        if header[TYPE] == b'g' {
            out.extend_from_slice(&rest[..length]);
        } else if !matches!(header[TYPE], b'x' | b'X' | b'L' | b'K') {
            break;
        }
        rest = &rest[length..];
    }
    out
}

impl EntryHeader {
    /// Takes the header blocks of one entry apart.
    pub(crate) fn parse(blocks: &[u8]) -> Result<Self, HeaderError> {
        let mut extensions = Vec::new();
        let mut rest = blocks;
        loop {
            let header = *rest.first_chunk::<BLOCK>().ok_or(HeaderError("they end early"))?;
            let kind = header[TYPE];
            if !matches!(kind, b'x' | b'X' | b'g' | b'L' | b'K') {
                return Ok(Self { extensions, main: header, tail: rest[BLOCK..].to_vec() });
            }
            let size = parse_size(&header).ok_or(HeaderError("a size is not a number"))?;
            let end = padded(size).and_then(|size| size.checked_add(BLOCK)).filter(|&end| end <= rest.len());
            let end = end.ok_or(HeaderError("an extension is longer than they are"))?;
            extensions.push(match kind {
                b'x' | b'X' => Extension::Pax {
                    header: Box::new(header),
                    records: parse_records(&rest[BLOCK..][..size])?,
                },
                b'L' | b'K' => Extension::GnuLong { kind, blocks: rest[..end].to_vec() },
                _ => Extension::Other(rest[..end].to_vec()),
            });
            rest = &rest[end..];
        }
    }

    /// A header for a directory that no entry describes.
    pub(crate) fn directory(path: &ImagePath, metadata: &Metadata) -> Self {
        Self::new(path, metadata, b'5')
    }

    /// A header for a file that no entry describes.
    pub(crate) fn file(path: &ImagePath, metadata: &Metadata, size_bytes: u64) -> Self {
        let mut header = Self::new(path, metadata, b'0');
        header.set_content(path, size_bytes);
        header
    }

    /// A header for a hard (`1`) or symbolic (`2`) link that no entry describes.
    pub(crate) fn link(path: &ImagePath, metadata: &Metadata, kind: u8, target: &[u8]) -> Self {
        let mut header = Self::new(path, metadata, kind);
        if !fill_text(&mut header.main[LINK], target) {
            header.set_record(b"linkpath", Some(target));
        }
        header
    }

    fn new(path: &ImagePath, metadata: &Metadata, kind: u8) -> Self {
        let mut main = [0; BLOCK];
        main[MAGIC].copy_from_slice(POSIX_MAGIC);
        main[TYPE] = kind;
        octal(&mut main[MODE], u64::from(metadata.mode & 0o7777));
        octal(&mut main[UID], u64::from(metadata.uid & 0o7_777_777));
        octal(&mut main[GID], u64::from(metadata.gid & 0o7_777_777));
        octal(&mut main[SIZE], 0);
        octal(&mut main[MTIME], u64::try_from(metadata.mtime.seconds).unwrap_or(0).min(MAX_OCTAL_SIZE));
        let mut header = Self { extensions: Vec::new(), main, tail: Vec::new() };
        header.set_name(path);
        header
    }

    /// Removes the global PAX headers: [`global_headers`] has them.
    pub(crate) fn without_globals(mut self) -> Self {
        self.extensions.retain(|extension| !matches!(extension, Extension::Other(_)));
        self
    }

    /// Gives the entry another name.
    pub(crate) fn set_name(&mut self, path: &ImagePath) {
        let slash = if self.main[TYPE] == b'5' { &b"/"[..] } else { b"" };
        let name = [path.as_bytes(), slash].concat();
        if self.has_record(b"GNU.sparse.name") {
            self.set_record(b"GNU.sparse.name", Some(&name));
            return;
        }
        self.set_record(b"path", None);
        self.drop_gnu_long(b'L');
        if self.main[MAGIC] == *POSIX_MAGIC {
            let star = self.main[STAR_TRAILER] == *b"tar\0";
            self.main[if star { STAR_PREFIX } else { PREFIX }].fill(0);
        }
        if !fill_text(&mut self.main[NAME], &name) {
            self.set_record(b"path", Some(&name));
        }
    }

    /// Makes a hard link point to another name.
    pub(crate) fn set_link(&mut self, target: &ImagePath) {
        self.set_record(b"linkpath", None);
        self.drop_gnu_long(b'K');
        if !fill_text(&mut self.main[LINK], target.as_bytes()) {
            self.set_record(b"linkpath", Some(target.as_bytes()));
        }
    }

    /// Makes the entry a plain file of this size under this name; a sparse file's map goes.
    pub(crate) fn set_content(&mut self, path: &ImagePath, size_bytes: u64) {
        if self.main[TYPE] == b'S' {
            self.main[GNU_SPARSE].fill(0);
        }
        self.tail.clear();
        self.main[TYPE] = b'0';
        self.main[LINK].fill(0);
        self.set_record(b"linkpath", None);
        self.drop_gnu_long(b'K');
        let was_sparse = self.has_record(b"GNU.sparse.name");
        for extension in &mut self.extensions {
            if let Extension::Pax { records, .. } = extension {
                records.retain(|(key, _)| {
                    !key.starts_with(b"GNU.sparse.") && key != b"size" && key != b"SCHILY.realsize"
                });
            }
        }
        if was_sparse {
            self.set_name(path);
        }
        octal(&mut self.main[SIZE], size_bytes.min(MAX_OCTAL_SIZE));
        if size_bytes > MAX_OCTAL_SIZE {
            self.set_record(b"size", Some(size_bytes.to_string().as_bytes()));
        }
    }

    /// The blocks, checksums set.
    pub(crate) fn to_blocks(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 * BLOCK);
        for extension in &self.extensions {
            match extension {
                Extension::Pax { records, .. } if records.is_empty() => {}
                Extension::Pax { header, records } => {
                    let body: Vec<u8> =
                        records.iter().flat_map(|(key, value)| render_record(key, value)).collect();
                    let mut header = **header;
                    octal(&mut header[SIZE], body.len() as u64);
                    set_checksum(&mut header);
                    out.extend_from_slice(&header);
                    out.extend_from_slice(&body);
                    out.resize(out.len().next_multiple_of(BLOCK), 0);
                }
                Extension::GnuLong { blocks, .. } | Extension::Other(blocks) => out.extend_from_slice(blocks),
            }
        }
        let mut main = self.main;
        set_checksum(&mut main);
        out.extend_from_slice(&main);
        out.extend_from_slice(&self.tail);
        out
    }

    fn has_record(&self, wanted: &[u8]) -> bool {
        self.extensions.iter().any(|extension| match extension {
            Extension::Pax { records, .. } => records.iter().any(|(key, _)| key == wanted),
            _ => false,
        })
    }

    fn drop_gnu_long(&mut self, unwanted: u8) {
        self.extensions
            .retain(|extension| !matches!(extension, Extension::GnuLong { kind, .. } if *kind == unwanted));
    }

    /// Sets or removes a PAX record; a new one goes last into the last PAX header, which is made if there is none.
    fn set_record(&mut self, wanted: &[u8], value: Option<&[u8]>) {
        for extension in &mut self.extensions {
            if let Extension::Pax { records, .. } = extension {
                records.retain(|(key, _)| key != wanted);
            }
        }
        let Some(value) = value else { return };
        let record = (wanted.to_vec(), value.to_vec());
        let last = self.extensions.iter_mut().rev().find_map(|extension| match extension {
            Extension::Pax { records, .. } => Some(records),
            _ => None,
        });
        match last {
            Some(records) => records.push(record),
            None => {
                let header = Box::new(pax_header(&self.main));
                self.extensions.push(Extension::Pax { header, records: vec![record] });
            }
        }
    }
}

/// Header of a new PAX extension for this entry.
fn pax_header(main: &[u8; BLOCK]) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    fill_text(&mut header[NAME], b"PaxHeaders/entry");
    octal(&mut header[MODE], 0o644);
    octal(&mut header[UID], 0);
    octal(&mut header[GID], 0);
    header[MTIME].copy_from_slice(&main[MTIME]);
    header[TYPE] = b'x';
    header[MAGIC].copy_from_slice(POSIX_MAGIC);
    header
}

/// Writes a text into a field, cut to its length; whether all of it fitted.
fn fill_text(field: &mut [u8], text: &[u8]) -> bool {
    let fitting = text.len().min(field.len());
    field.fill(0);
    field[..fitting].copy_from_slice(&text[..fitting]);
    fitting == text.len()
}

/// Writes a number as zero-padded octal digits and a NUL. The caller has checked that it fits.
fn octal(field: &mut [u8], mut value: u64) {
    let (last, digits) = field.split_last_mut().expect("a numeric field is not empty");
    *last = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value & 7) as u8;
        value >>= 3;
    }
}

fn set_checksum(header: &mut [u8; BLOCK]) {
    header[CHECKSUM].fill(b' ');
    let sum: u64 = header.iter().map(|&b| u64::from(b)).sum();
    octal(&mut header[CHECKSUM.start..CHECKSUM.end - 1], sum);
}

/// The size field: octal digits, or base 256 when the high bit of its first byte is set.
fn parse_size(header: &[u8; BLOCK]) -> Option<usize> {
    let field = &header[SIZE];
    if field[0] & 0x80 != 0 {
        let first = usize::from(field[0] & 0x7f);
        return field[1..]
            .iter()
            .try_fold(first, |sum, &b| sum.checked_mul(256)?.checked_add(usize::from(b)));
    }
    let digits = field.split(|&b| b == 0).next().unwrap_or_default().trim_ascii();
    digits.iter().try_fold(0_usize, |sum, &b| match b {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(usize::from(b - b'0')),
        _ => None,
    })
}

fn padded(size: usize) -> Option<usize> {
    size.checked_next_multiple_of(BLOCK)
}

/// `LENGTH KEY=VALUE\n`, length in decimal and including itself.
fn render_record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

fn parse_records(mut body: &[u8]) -> Result<Vec<Record>, HeaderError> {
    let mut records = Vec::new();
    while body.first().is_some_and(|&b| b != 0) {
        let bad = HeaderError("a PAX record is malformed");
        let record = (|| {
            let space = body.iter().take(20).position(|&b| b == b' ')?;
            let length: usize = std::str::from_utf8(&body[..space]).ok()?.parse().ok()?;
            let text = body.get(space + 1..length)?.strip_suffix(b"\n")?;
            let equals = text.iter().position(|&b| b == b'=')?;
            Some((text[..equals].to_vec(), text[equals + 1..].to_vec(), length))
        })();
        let (key, value, length) = record.ok_or(bad)?;
        records.push((key, value));
        body = &body[length..];
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::TarEntry;

    fn path(text: &str) -> ImagePath {
        ImagePath::from_absolute(text.as_bytes()).unwrap()
    }

    /// The header blocks of an entry made by the testkit.
    fn blocks(entry: &TarEntry) -> Vec<u8> {
        let mut bytes = entry.to_bytes();
        bytes.truncate(bytes.len() - entry.content.len().next_multiple_of(BLOCK));
        bytes
    }

    fn edited(entry: &TarEntry, edit: impl FnOnce(&mut EntryHeader)) -> Vec<u8> {
        let mut header = EntryHeader::parse(&blocks(entry)).unwrap();
        edit(&mut header);
        header.to_blocks()
    }

    #[test]
    fn unedited_headers_are_the_same_bytes() {
        let long = "d/".repeat(80) + "file";
        for entry in [
            TarEntry::file("a", "content"),
            TarEntry::file(&long, "x").xattr("user.a", b"\0=\n\xff").pax("mtime", "1.000000001"),
            TarEntry { gnu: true, ..TarEntry::hardlink(&long, long.clone() + "2") },
            TarEntry::gnu_sparse(
                "s",
                &[(0, b"a"), (512, b"b"), (1024, b"c"), (2048, b"d"), (4096, b"e")],
                1 << 33,
            ),
            TarEntry::pax_sparse("s", &[(1 << 34, b"end")], (1 << 34) + 3),
            TarEntry::file("big", "").size(1 << 40),
            TarEntry::file("owner", "").owner(3_000_000, 3_000_001).mode(0o4755),
        ] {
            assert_eq!(edited(&entry, |_| {}), blocks(&entry), "{entry:?}");
        }
    }

    #[test]
    fn a_new_name_changes_nothing_else() {
        let long = "d/".repeat(80) + "file";
        let other = "e/".repeat(80) + "file";
        let base = TarEntry::file("a", "content").mode(0o6755).owner(3_000_000, 5);
        let named = |name: &str| TarEntry { name: name.as_bytes().to_vec(), ..base.clone() };
        let with_xattr = |name: &str| named(name).xattr("security.capability", b"\x01\0\0\x02\0\x04\0\0");
        let gnu = |name: &str| TarEntry { gnu: true, ..named(name) };
        let prefixed = base.clone().patch(345, "some/directory");
        for (before, name, after) in [
            (base.clone(), "b", named("b")),
            (prefixed, "b", named("b")),
            (named(&long), "b", named("b")),
            (with_xattr("a"), &other, with_xattr(&other)),
            (with_xattr(&long), &other, with_xattr(&other)),
            (gnu(&long), "b", gnu("b")),
            (
                TarEntry::pax_sparse("a", &[(512, b"x")], 4096),
                "b",
                TarEntry {
                    name: b"GNUSparseFile.0/a".to_vec(),
                    ..TarEntry::pax_sparse("b", &[(512, b"x")], 4096)
                },
            ),
        ] {
            // Records of a sparse file may change their order; the name goes last.
            let sorted = |bytes: Vec<u8>| {
                let mut header = EntryHeader::parse(&bytes).unwrap();
                for extension in &mut header.extensions {
                    if let Extension::Pax { records, .. } = extension {
                        records.sort();
                    }
                }
                header.to_blocks()
            };
            assert_eq!(
                sorted(edited(&before, |header| header.set_name(&path(name)))),
                sorted(blocks(&after)),
                "{name}"
            );
        }
    }

    #[test]
    fn a_long_new_name_gets_a_record_of_its_own() {
        let long = "d/".repeat(80) + "file";
        let bytes = edited(&TarEntry::file("a", "x"), |header| header.set_name(&path(&long)));
        assert_eq!(bytes.len(), 3 * BLOCK);
        assert_eq!(parse_records(&bytes[BLOCK..2 * BLOCK]), Ok(vec![(b"path".to_vec(), long.into_bytes())]));
    }

    #[test]
    fn a_new_link_target_changes_nothing_else() {
        let long = "d/".repeat(80) + "file";
        let link = |target: &str| TarEntry::hardlink("a", target).mode(0o755).pax("comment", "c");
        for (before, target) in [("b", "c"), (&*long, "c"), ("b", &*long)] {
            let bytes = edited(&link(before), |header| header.set_link(&path(target)));
            assert_eq!(bytes, blocks(&link(target)));
        }
        let gnu = |target: &str| TarEntry { gnu: true, ..TarEntry::hardlink("a", target) };
        assert_eq!(edited(&gnu(&long), |header| header.set_link(&path("c"))), blocks(&gnu("c")));
    }

    #[test]
    fn new_content_makes_a_plain_file_of_its_size() {
        let plain = |content: &str| TarEntry::file("s", content).mode(0o600).xattr("user.a", "b");
        let size = |size: u64| move |header: &mut EntryHeader| header.set_content(&path("s"), size);
        assert_eq!(edited(&plain("old"), size(7)), blocks(&plain("content")));
        assert_eq!(edited(&plain("old").pax("size", "3"), size(7)), blocks(&plain("content")));

        let sparse = TarEntry::gnu_sparse(
            "s",
            &[(0, b"a"), (512, b"b"), (1024, b"c"), (2048, b"d"), (4096, b"e")],
            9999,
        );
        assert_eq!(
            edited(&sparse, size(7)),
            blocks(&TarEntry { gnu: true, ..TarEntry::file("s", "content") })
        );
        let sparse = TarEntry::pax_sparse("s", &[(512, b"x")], 4096);
        assert_eq!(edited(&sparse, size(7)), blocks(&TarEntry::file("s", "content")));

        let huge = edited(&TarEntry::file("s", ""), size(1 << 33));
        assert_eq!(
            parse_records(&huge[BLOCK..2 * BLOCK]),
            Ok(vec![(b"size".to_vec(), b"8589934592".to_vec())])
        );
    }

    #[test]
    fn broken_blocks_are_errors() {
        let good = blocks(&TarEntry::file("a", "").pax("k", "v"));
        for bad in [
            vec![],
            vec![0; 100],
            good[..BLOCK].to_vec(),
            good[..2 * BLOCK].to_vec(),
            [
                blocks(&TarEntry { kind: b'x', ..TarEntry::file("a", "9 k=v\n") }),
                b"9 k=v\n".to_vec(),
                good.clone(),
            ]
            .concat(),
            TarEntry { kind: b'L', ..TarEntry::file("a", "").size(u64::MAX) }.to_bytes(),
        ] {
            assert!(EntryHeader::parse(&bad).is_err());
        }
    }

    #[test]
    fn global_headers_are_found_before_an_entry() {
        let global = testkit::TarBuilder::new().global_pax(&[("mtime", "1")]).unfinished();
        let entry = blocks(&TarEntry::file("a", "").pax("k", "v"));
        assert_eq!(global_headers(&[global.clone(), entry.clone()].concat()), global);
        assert!(global_headers(&entry).is_empty());
        assert!(global_headers(&[0; 1024]).is_empty());
        assert!(global_headers(&global[..700]).is_empty());
    }
}
