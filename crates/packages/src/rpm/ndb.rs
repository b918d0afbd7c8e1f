//! rpm's own database "ndb": slots that say where each header lies.
//!
//! All numbers are little-endian. A header of 32 bytes (`RpmP`, version, generation, pages of slots, next number), then
//! slots of 16 bytes (`Slot`, number of the package, first block, blocks) from the third on; a block has 16 bytes. What
//! a slot leads to begins with `BlbS`, the number, a generation and the length of the header that follows.
//!
//! Source: rpm, `lib/backend/ndb/rpmpkg.c`.

use super::{Broken, Numbered, le32};

const MAGIC: u32 = u32::from_le_bytes(*b"RpmP");
const SLOT_MAGIC: u32 = u32::from_le_bytes(*b"Slot");
const BLOB_MAGIC: u32 = u32::from_le_bytes(*b"BlbS");
const PAGE_BYTES: usize = 4096;
const BLOCK_BYTES: usize = 16;
const FIRST_SLOT: usize = 32;

/// The headers, by number, up to one more than `limit`.
pub(super) fn headers(bytes: &[u8], limit: usize) -> Result<Vec<Numbered>, Broken> {
    if le32(bytes, 0) != Some(MAGIC) || le32(bytes, 4) != Some(0) {
        return Err(Broken::Wrong("this is no ndb database of a known version"));
    }
    let pages = le32(bytes, 12).and_then(|pages| usize::try_from(pages).ok());
    let slots = pages
        .and_then(|pages| pages.checked_mul(PAGE_BYTES))
        .and_then(|end| bytes.get(FIRST_SLOT..end))
        .ok_or(Broken::CutOff("its slots"))?;
    let mut headers = Vec::new();
    for slot in slots.chunks_exact(BLOCK_BYTES) {
        let number = le32(slot, 4).unwrap_or_default();
        if le32(slot, 0) != Some(SLOT_MAGIC) {
            return Err(Broken::Wrong("a slot that is none"));
        }
        if number == 0 {
            continue;
        }
        let header = le32(slot, 8)
            .and_then(|block| usize::try_from(block).ok()?.checked_mul(BLOCK_BYTES))
            .and_then(|start| blob(bytes, start, number))
            .ok_or(Broken::Wrong("a slot that leads to no header"))?;
        headers.push((number, header.to_vec()));
        if headers.len() > limit {
            break;
        }
    }
    headers.sort();
    Ok(headers)
}

fn blob(bytes: &[u8], start: usize, number: u32) -> Option<&[u8]> {
    let head = bytes.get(start..start.checked_add(BLOCK_BYTES)?)?;
    if le32(head, 0)? != BLOB_MAGIC || le32(head, 4)? != number {
        return None;
    }
    let length = usize::try_from(le32(head, 12)?).ok()?;
    let start = start.checked_add(BLOCK_BYTES)?;
    bytes.get(start..start.checked_add(length)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn database(slots: &[(u32, u32)], blobs: &[(u32, &[u8])]) -> Vec<u8> {
        let mut bytes: Vec<u8> = [MAGIC, 0, 1, 1, 9, 0, 0, 0].iter().flat_map(|n| n.to_le_bytes()).collect();
        for (number, block) in slots {
            [SLOT_MAGIC, *number, *block, 1].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        }
        while bytes.len() < PAGE_BYTES {
            [SLOT_MAGIC, 0, 0, 0].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        }
        for (number, blob) in blobs {
            let length = u32::try_from(blob.len()).unwrap();
            [BLOB_MAGIC, *number, 1, length].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
            bytes.extend_from_slice(blob);
            bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        }
        bytes
    }

    #[test]
    fn slots_lead_to_headers() {
        let good = database(&[(7, 258), (3, 256)], &[(3, b"three"), (7, b"seven")]);
        assert_eq!(headers(&good, 10).unwrap(), [(3, b"three".to_vec()), (7, b"seven".to_vec())]);
        for bad in [
            database(&[(3, 255)], &[(3, b"three")]),
            database(&[(4, 256)], &[(3, b"three")]),
            database(&[(3, u32::MAX)], &[]),
            good[..100].to_vec(),
            good[..good.len() - 12].to_vec(),
            Vec::new(),
        ] {
            assert!(headers(&bad, 10).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_flipped_byte_breaks_nothing(at in 0usize..4200, bit in 0u8..8) {
            let mut bytes = database(&[(7, 258), (3, 256)], &[(3, b"three"), (7, b"seven")]);
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            headers(&bytes, 10).ok();
        }
    }
}
