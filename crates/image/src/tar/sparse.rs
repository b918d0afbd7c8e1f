//! Sparse maps: which parts of a file a tar stores.

use super::TarProblem;
use super::header::number;
use super::pax::decimal;

/// Data segments as (offset in the file, length).
pub(super) type Segments = Vec<(u64, u64)>;

/// Reads segments of an old GNU header or extension block; false once the list has ended.
pub(super) fn gnu_segments(fields: &[u8], segments: &mut Segments) -> Result<bool, TarProblem> {
    for pair in fields.chunks_exact(24) {
        if pair[12] == 0 {
            return Ok(false);
        }
        let part = |field: &[u8]| -> Result<u64, TarProblem> {
            u64::try_from(number(field, "sparse map")?).map_err(|_| TarProblem::Sparse)
        };
        segments.push((part(&pair[..12])?, part(&pair[12..])?));
    }
    Ok(true)
}

/// Pairs up the numbers of a PAX map.
pub(super) fn paired(numbers: &[u64]) -> Result<Segments, TarProblem> {
    if !numbers.len().is_multiple_of(2) {
        return Err(TarProblem::Sparse);
    }
    Ok(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// A map of form 1.0 as it is read block by block from the head of the content: a count, then pairs, each number on
/// its own line.
#[derive(Default)]
pub(super) struct LineMap {
    numbers: Vec<u64>,
    digits: Vec<u8>,
}

impl LineMap {
    /// Takes one block; true once the map is complete.
    pub(super) fn take(&mut self, block: &[u8]) -> Result<bool, TarProblem> {
        for &byte in block {
            if byte != b'\n' {
                self.digits.push(byte);
                if self.digits.len() > 20 {
                    return Err(TarProblem::Sparse);
                }
                continue;
            }
            self.numbers.push(decimal(&self.digits).ok_or(TarProblem::Sparse)?);
            self.digits.clear();
            let pairs = self.numbers[0];
            if (self.numbers.len() as u64 - 1) / 2 == pairs && self.numbers.len() % 2 == 1 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn segments(&self) -> Result<Segments, TarProblem> {
        paired(self.numbers.get(1..).unwrap_or_default())
    }
}

/// Checks that the segments are in order, within the file, and make up the stored bytes exactly; leaves out empty ones.
pub(super) fn checked(
    segments: Segments,
    file_bytes: u64,
    stored_bytes: u64,
) -> Result<Segments, TarProblem> {
    let (mut end, mut sum) = (0_u64, 0_u64);
    for &(offset, length) in &segments {
        let next = offset.checked_add(length).ok_or(TarProblem::Sparse)?;
        if offset < end || next > file_bytes {
            return Err(TarProblem::Sparse);
        }
        end = next;
        sum += length;
    }
    if sum != stored_bytes {
        return Err(TarProblem::Sparse);
    }
    Ok(segments.into_iter().filter(|(_, length)| *length > 0).collect())
}
