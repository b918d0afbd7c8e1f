//! rpm's older database: a Berkeley DB hash of headers by number.
//!
//! The first page says how large pages are and in which byte order numbers stand. Pages of the hash hold pairs of
//! items, key and value, found by offsets after the page's header of 26 bytes; the value of a pair says on which page
//! the header begins, and pages of overflow are chained from there.
//!
//! Source: Berkeley DB, `dbinc/db_page.h`.

use super::{Broken, Numbered, be32, le32};

const HASH_MAGIC: u32 = 0x0006_1561;
const PAGE_HEADER_BYTES: usize = 26;
/// Types of pages: hash with unsorted and with sorted items, and overflow.
const HASH_UNSORTED: u8 = 2;
const HASH: u8 = 13;
const OVERFLOW: u8 = 7;
/// Types of items: the value itself, and where it lies.
const IN_PAGE: u8 = 1;
const OFF_PAGE: u8 = 3;
/// Larger headers are none.
const MAX_HEADER_BYTES: usize = 300 << 20;

/// A key and a value.
type Pair<'a> = (&'a [u8], &'a [u8]);

struct Pages<'a> {
    bytes: &'a [u8],
    page_bytes: usize,
    swapped: bool,
}

/// The headers, by number, up to one more than `limit`.
pub(super) fn headers(bytes: &[u8], limit: usize) -> Result<Vec<Numbered>, Broken> {
    let swapped = match (le32(bytes, 12), be32(bytes, 12)) {
        (Some(HASH_MAGIC), _) => false,
        (_, Some(HASH_MAGIC)) => true,
        _ => return Err(Broken::Wrong("this is no Berkeley DB hash")),
    };
    let number = |at| if swapped { be32(bytes, at) } else { le32(bytes, at) };
    let page_bytes = number(20).and_then(|size| usize::try_from(size).ok()).unwrap_or_default();
    if !page_bytes.is_power_of_two() || !(512..=65536).contains(&page_bytes) {
        return Err(Broken::Wrong("pages of an impossible size"));
    }
    let pages = Pages { bytes, page_bytes, swapped };
    // Headers do not share pages, so all of them together are no larger than the file.
    let mut room_bytes = bytes.len();
    let mut headers = Vec::new();
    for page in bytes.chunks_exact(page_bytes).skip(1) {
        if !matches!(page[25], HASH | HASH_UNSORTED) {
            continue;
        }
        for (key, value) in pages.pairs(page)? {
            // Number 0 holds how many there have been.
            let number = pages.number(key, 0).unwrap_or_default();
            if number == 0 || value.first() != Some(&OFF_PAGE) {
                continue;
            }
            let header = pages.chain(value, &mut room_bytes)?;
            headers.push((number, header));
            if headers.len() > limit {
                return Ok(headers);
            }
        }
    }
    headers.sort();
    Ok(headers)
}

impl<'a> Pages<'a> {
    fn number(&self, bytes: &[u8], at: usize) -> Option<u32> {
        if self.swapped { be32(bytes, at) } else { le32(bytes, at) }
    }

    fn half(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let field: [u8; 2] = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        let number = if self.swapped { u16::from_be_bytes(field) } else { u16::from_le_bytes(field) };
        Some(usize::from(number))
    }

    /// Keys, and values with their types, of a page of the hash. Items fill the page from its end.
    fn pairs(&self, page: &'a [u8]) -> Result<Vec<Pair<'a>>, Broken> {
        let wrong = Broken::Wrong("a page whose items lie outside of it");
        let count = self.half(page, 20).unwrap_or_default();
        let mut items = Vec::new();
        let mut end = page.len();
        for index in 0..count {
            let start = self.half(page, PAGE_HEADER_BYTES + index * 2).ok_or(wrong.clone())?;
            let item = page.get(start..end).filter(|item| !item.is_empty()).ok_or(wrong.clone())?;
            items.push(item);
            end = start;
        }
        let pair = |pair: &[&'a [u8]]| match pair {
            [key, value] if key.first() == Some(&IN_PAGE) => Some((&key[1..], *value)),
            _ => None,
        };
        Ok(items.chunks_exact(2).filter_map(pair).collect())
    }

    /// The bytes that an item of its own pages has: type, three of padding, first page, length.
    fn chain(&self, item: &[u8], room_bytes: &mut usize) -> Result<Vec<u8>, Broken> {
        let wrong = Broken::Wrong("a header whose pages are not there");
        let mut next = self.number(item, 4).ok_or(wrong.clone())?;
        let length = self.number(item, 8).and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|&length| length <= MAX_HEADER_BYTES).ok_or(wrong.clone())?;
        *room_bytes = room_bytes.checked_sub(length).ok_or(wrong.clone())?;
        let mut out = Vec::new();
        while next != 0 && out.len() < length {
            let start = usize::try_from(next).ok().and_then(|page| page.checked_mul(self.page_bytes));
            let page = start.and_then(|start| self.bytes.get(start..start.checked_add(self.page_bytes)?));
            let page = page.filter(|page| page[25] == OVERFLOW).ok_or(wrong.clone())?;
            let used = self.half(page, 22).unwrap_or_default();
            let content = page.get(PAGE_HEADER_BYTES..PAGE_HEADER_BYTES + used).ok_or(wrong.clone())?;
            if content.is_empty() {
                return Err(wrong);
            }
            out.extend_from_slice(content);
            next = self.number(page, 16).unwrap_or_default();
        }
        if out.len() < length {
            return Err(wrong);
        }
        out.truncate(length);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_hash_is_refused() {
        let mut bytes = vec![0; 4096];
        assert!(headers(&bytes, 10).is_err());
        bytes[12..16].copy_from_slice(&HASH_MAGIC.to_le_bytes());
        assert_eq!(headers(&bytes, 10), Err(Broken::Wrong("pages of an impossible size")));
        bytes[20..24].copy_from_slice(&512u32.to_le_bytes());
        assert_eq!(headers(&bytes, 10), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn any_pages_are_read(mut bytes in proptest::collection::vec(any::<u8>(), 1536..2048), kinds in any::<[bool; 2]>()) {
            bytes[12..16].copy_from_slice(&HASH_MAGIC.to_le_bytes());
            bytes[20..24].copy_from_slice(&512u32.to_le_bytes());
            for (page, is_hash) in kinds.into_iter().enumerate() {
                bytes[512 * (page + 1) + 25] = if is_hash { HASH } else { OVERFLOW };
                bytes[512 * (page + 1) + 21] = 0;
            }
            headers(&bytes, 10).ok();
        }
    }
}
