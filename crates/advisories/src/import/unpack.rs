//! Compressed files and archives, with limits.

use std::borrow::Cow;
use std::io::{Cursor, Read};

use flate2::read::MultiGzDecoder;
use zip::ZipArchive;

use super::Limits;

/// The first bytes of a zip archive.
pub(super) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// The bytes of a file that may be compressed by zstd or gzip.
pub(super) fn decompress(bytes: &[u8], limit: u64) -> Result<Cow<'_, [u8]>, String> {
    if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::stream::read::Decoder::new(bytes).map_err(|error| format!("zstd: {error}"))?;
        return read(decoder, limit, "zstd").map(Cow::Owned);
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return read(MultiGzDecoder::new(bytes), limit, "gzip").map(Cow::Owned);
    }
    Ok(Cow::Borrowed(bytes))
}

/// Hands every file of a zip archive to `on_member`.
pub(super) fn each_member(
    bytes: &[u8],
    limits: &Limits,
    on_member: &mut dyn FnMut(&str, &[u8]),
) -> Result<(), String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| format!("zip: {error}"))?;
    if archive.len() > limits.members {
        return Err(format!("zip: more than {} members", limits.members));
    }
    let mut left = limits.archive_bytes;
    for number in 0..archive.len() {
        let member = archive.by_index(number).map_err(|error| format!("zip: {error}"))?;
        if !member.is_file() {
            continue;
        }
        let name = member.name().map_err(|error| format!("zip: {error}"))?.into_owned();
        let content = read(member, left.min(limits.file_bytes), "zip")?;
        left = left.saturating_sub(content.len() as u64);
        on_member(&name, &content);
    }
    Ok(())
}

/// A file's name without what its compression added.
pub(super) fn bare_name(name: &str) -> &str {
    [".zst", ".gz"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

fn read(reader: impl Read, limit: u64, what: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut out).map_err(|error| format!("{what}: {error}"))?;
    if out.len() as u64 > limit {
        return Err(format!("{what}: more than {limit} bytes once decompressed"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let bomb = zstd::bulk::compress(&vec![0; 1 << 20], 3).unwrap();
        assert_eq!(decompress(&bomb, 1 << 20).unwrap().len(), 1 << 20);
        assert!(decompress(&bomb, (1 << 20) - 1).is_err());
    }
}
