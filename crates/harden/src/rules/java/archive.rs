//! The entries of a jar, read from its directory. Source: APPNOTE.TXT, the ZIP file format.

use std::io::Read;

/// Most entries of one archive.
const MAX_ENTRIES: usize = 200_000;
/// Longest comment behind the directory, and the record that points to it.
const MAX_TAIL_BYTES: usize = 65_535 + 22;

/// One entry.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a [u8],
    data: &'a [u8],
    is_deflated: bool,
}

impl<'a> Entry<'a> {
    /// Its content; nothing if that is longer than `max_bytes` or broken.
    pub(super) fn read(&self, max_bytes: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let read = match self.is_deflated {
            true => flate2::read::DeflateDecoder::new(self.data).take(max_bytes + 1).read_to_end(&mut out),
            false => self.data.take(max_bytes + 1).read_to_end(&mut out),
        };
        if read.is_err() || out.len() as u64 > max_bytes { Vec::new() } else { out }
    }

    /// The content as it stands in the archive, if it is not compressed.
    pub(super) fn stored(&self) -> Option<&'a [u8]> {
        (!self.is_deflated).then_some(self.data)
    }
}

/// The entries in the order of the directory; empty for what is no archive.
pub(super) fn entries(content: &[u8]) -> Vec<Entry<'_>> {
    let Some(mut at) = directory(content) else { return Vec::new() };
    let mut out = Vec::new();
    while out.len() < MAX_ENTRIES
        && let Some((entry, next)) = entry(content, at)
    {
        out.extend(entry);
        at = next;
    }
    out
}

/// Where the directory begins.
fn directory(content: &[u8]) -> Option<usize> {
    let tail = content.len().saturating_sub(MAX_TAIL_BYTES);
    let end = tail + content[tail..].windows(4).rposition(|window| window == b"PK\x05\x06")?;
    usize::try_from(long(content, end + 16)?).ok()
}

/// One record of the directory, and where the next one begins.
fn entry(content: &[u8], at: usize) -> Option<(Option<Entry<'_>>, usize)> {
    if content.get(at..at.checked_add(46)?)?.get(..4)? != b"PK\x01\x02" {
        return None;
    }
    let method = short(content, at + 10)?;
    let length = usize::try_from(long(content, at + 20)?).ok()?;
    let [name_length, extra, comment] =
        [28, 30, 32].map(|offset| short(content, at + offset).map(usize::from));
    let name = content.get(at + 46..at + 46 + name_length?)?;
    let next = at + 46 + name_length? + extra? + comment?;
    let local = usize::try_from(long(content, at + 42)?).ok()?;
    let data = (|| {
        let skip =
            usize::from(short(content, local.checked_add(26)?)?) + usize::from(short(content, local + 28)?);
        let start = local.checked_add(30)?.checked_add(skip)?;
        content.get(start..start.checked_add(length)?)
    })();
    let is_known = method == 0 || method == 8;
    Some((data.filter(|_| is_known).map(|data| Entry { name, data, is_deflated: method == 8 }), next))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::Write;

    /// An archive of these files, every other one compressed.
    pub(in crate::rules::java) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut out, mut directory) = (Vec::new(), Vec::new());
        for (nth, (name, content)) in files.iter().enumerate() {
            let is_deflated = nth % 2 == 1;
            let mut data = content.to_vec();
            if is_deflated {
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(content).unwrap();
                data = encoder.finish().unwrap();
            }
            let local = out.len() as u32;
            let method: u16 = if is_deflated { 8 } else { 0 };
            let lengths = [data.len() as u32, content.len() as u32].map(u32::to_le_bytes).concat();
            let common =
                [&method.to_le_bytes()[..], &[0; 8], &lengths, &(name.len() as u16).to_le_bytes(), &[0, 0]]
                    .concat();
            out.extend([b"PK\x03\x04\x14\0\0\0", &common[..], name.as_bytes(), &data].concat());
            directory.extend(
                [b"PK\x01\x02\x14\0\x14\0\0\0", &common[..], &[0; 10], &local.to_le_bytes(), name.as_bytes()]
                    .concat(),
            );
        }
        let at = (out.len() as u32).to_le_bytes();
        let count = (files.len() as u16).to_le_bytes();
        let length = (directory.len() as u32).to_le_bytes();
        [&out[..], &directory, b"PK\x05\x06\0\0\0\0", &count, &count, &length, &at, &[0, 0]].concat()
    }

    #[test]
    fn entries_are_read_stored_and_deflated() {
        let bytes = archive(&[("a", b"one"), ("b/c", b"two two two two"), ("d", b"")]);
        let found = entries(&bytes);
        let found: Vec<_> = found.iter().map(|entry| (entry.name, entry.read(100))).collect();
        assert_eq!(
            found,
            [(&b"a"[..], b"one".to_vec()), (b"b/c", b"two two two two".to_vec()), (b"d", Vec::new())]
        );
        assert_eq!(entries(&bytes)[1].read(3), b"");
    }

    proptest::proptest! {
        #[test]
        fn broken_archives_never_panic(cut in 0usize..200, at in 0usize..200, byte in proptest::prelude::any::<u8>()) {
            let mut bytes = archive(&[("a", b"one"), ("b", b"two two two")]);
            if let Some(place) = bytes.get_mut(at) { *place = byte; }
            bytes.truncate(bytes.len() - cut.min(bytes.len()));
            entries(&bytes).iter().for_each(|entry| drop(entry.read(100)));
        }
    }
}
