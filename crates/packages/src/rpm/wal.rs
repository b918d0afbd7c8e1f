//! SQLite's write-ahead log: pages that a database has got and that are not in its file yet.
//!
//! Source: SQLite documentation, "WAL-mode File Format".

use super::{Broken, be32};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const MAGIC: u32 = 0x377f_0682;

/// Writes every committed page of the log into the database. A log that is empty or belongs to an earlier time changes
/// nothing: SQLite takes the frames whose salt and running checksum agree, up to the last commit among them.
pub(super) fn apply(database: &mut Vec<u8>, log: &[u8]) -> Result<(), Broken> {
    let number = |at| be32(log, at).unwrap_or_default();
    if log.len() < HEADER_BYTES + FRAME_HEADER_BYTES || number(0) & !1 != MAGIC {
        return Ok(());
    }
    let page_bytes = usize::try_from(number(8)).unwrap_or_default();
    if !page_bytes.is_power_of_two() || !(512..=65536).contains(&page_bytes) {
        return Ok(());
    }
    let mut sum = Checksum { big_endian: number(0) & 1 == 1, state: (0, 0) };
    sum.add(&log[..24]);
    if sum.state != (number(24), number(28)) {
        return Ok(());
    }
    let salt = &log[16..24];
    let mut committed = Vec::new();
    let mut pending = Vec::new();
    let mut pages = 0;
    for frame in log[HEADER_BYTES..].chunks_exact(FRAME_HEADER_BYTES + page_bytes) {
        let (header, page) = frame.split_at(FRAME_HEADER_BYTES);
        sum.add(&header[..8]);
        sum.add(page);
        let field = |at| be32(header, at).unwrap_or_default();
        if header[8..16] != *salt || sum.state != (field(16), field(20)) || field(0) == 0 {
            break;
        }
        pending.push((field(0), page));
        if field(4) != 0 {
            committed.append(&mut pending);
            pages = field(4);
        }
    }
    if committed.is_empty() {
        return Ok(());
    }
    let bytes = usize::try_from(pages).ok().and_then(|pages| pages.checked_mul(page_bytes));
    // A database grows by what the log holds, and no further.
    let bytes = bytes
        .filter(|&bytes| bytes <= database.len().saturating_add(log.len()))
        .ok_or(Broken::Wrong("a write-ahead log that lies about the size of the database"))?;
    database.resize(bytes, 0);
    for (page, content) in committed {
        let start = usize::try_from(page - 1).ok().and_then(|page| page.checked_mul(page_bytes));
        let place = start.and_then(|start| database.get_mut(start..start.checked_add(page_bytes)?));
        if let Some(place) = place {
            place.copy_from_slice(content);
        }
    }
    Ok(())
}

/// SQLite's running checksum over pairs of 32-bit numbers.
struct Checksum {
    big_endian: bool,
    state: (u32, u32),
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        let (mut first, mut second) = self.state;
        for pair in bytes.chunks_exact(8) {
            let word = |at| {
                let word = be32(pair, at).unwrap_or_default();
                if self.big_endian { word } else { word.swap_bytes() }
            };
            first = first.wrapping_add(word(0)).wrapping_add(second);
            second = second.wrapping_add(word(4)).wrapping_add(first);
        }
        self.state = (first, second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_sqlite_has_not_moved_yet_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.db");
        let writer = rusqlite::Connection::open(&file).unwrap();
        writer
            .execute_batch("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x);")
            .unwrap();
        for n in 0..500 {
            writer.execute("INSERT INTO t VALUES (?1)", [format!("{n:0>200}")]).unwrap();
        }
        let mut database = std::fs::read(&file).unwrap();
        let log = std::fs::read(dir.path().join("a.db-wal")).unwrap();
        assert!(log.len() > 100_000 && database.len() < 10_000);
        let mut cut = database.clone();
        apply(&mut cut, &log[..log.len() - 1]).unwrap();
        apply(&mut database, &log).unwrap();
        let rows = |mut bytes: Vec<u8>| {
            bytes[18] = 1;
            bytes[19] = 1;
            let mut reader = rusqlite::Connection::open_in_memory().unwrap();
            reader.deserialize_read_exact("main", &bytes[..], bytes.len(), true).unwrap();
            reader.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!((rows(database), rows(cut)), (500, 499));
    }

    proptest! {
        #[test]
        fn any_log_is_read(mut log in proptest::collection::vec(any::<u8>(), 0..1500)) {
            if let Some(head) = log.get_mut(..12) {
                head.copy_from_slice(&[MAGIC.to_be_bytes(), [0; 4], 512u32.to_be_bytes()].concat());
            }
            let mut database = vec![0; 1024];
            apply(&mut database, &log).ok();
            prop_assert!(database.len() <= 1024 + log.len());
        }
    }
}
