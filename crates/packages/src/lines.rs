//! Lines of bytes that may be anything.

use std::ops::Range;

/// All lines, each with its newline.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    bytes.split_inclusive(|&byte| byte == b'\n').map(move |line| {
        let range = start..start + line.len();
        start = range.end;
        range
    })
}

/// A line without its newline.
pub(crate) fn content(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// The contents of all lines.
pub(crate) fn contents(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|&byte| byte == b'\n').map(content)
}

/// The lines for which `stays` is true, as they were.
pub(crate) fn only(bytes: &[u8], mut stays: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        if stays(content(line)) {
            out.extend_from_slice(line);
        }
    }
    out
}

/// Whether two texts differ in nothing but empty lines and the last newline.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    let lines =
        |bytes| <[u8]>::split(bytes, |&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    lines(a).eq(lines(b))
}

/// Copies what stands between two packages of a list and is none, ended by an empty line; nothing where there are only
/// empty lines.
pub(crate) fn copy_unknown(bytes: &[u8], out: &mut Vec<u8>) {
    let first = lines(bytes).find(|line| !bytes[line.clone()].trim_ascii().is_empty());
    if let Some(first) = first {
        out.extend_from_slice(bytes[first.start..].trim_ascii_end());
        out.extend_from_slice(b"\n\n");
    }
}
