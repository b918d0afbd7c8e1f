//! Sorted tables of keys and values, in compressed blocks that are read one by one.

use std::collections::BTreeMap;

use super::bytes::Reader;
use super::error::Corrupt;

/// A block is closed once it holds this many bytes: small enough to be read for one record, large enough to compress.
const BLOCK_BYTES: usize = 32 << 10;

/// The largest block that is read: one record of a package with many thousand advisories.
const MAX_BLOCK_BYTES: usize = 256 << 20;

/// Level of zstd: higher ones cost much more time for little.
const LEVEL: i32 = 12;

/// Where one block lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// Key of its first record.
    pub(super) first_key: String,
    /// From the beginning of the file.
    pub(super) offset: u64,
    /// Compressed, as stored.
    pub(super) stored_bytes: u32,
    /// Once decompressed.
    pub(super) raw_bytes: u32,
}

/// The blocks of one table, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) blocks: Vec<Block>,
    /// Of all blocks together.
    pub(super) records: u64,
}

impl Table {
    /// Compresses `records` into blocks at the end of `file`.
    pub(super) fn write(records: &BTreeMap<String, Vec<u8>>, file: &mut Vec<u8>) -> std::io::Result<Self> {
        let mut table = Self { blocks: Vec::new(), records: records.len() as u64 };
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        compressor.include_checksum(true)?;
        let mut raw = Vec::with_capacity(BLOCK_BYTES * 2);
        let mut first_key = None;
        let mut last = records.len();
        for (key, value) in records {
            first_key.get_or_insert(key);
            put(&mut raw, key.as_bytes())?;
            put(&mut raw, value)?;
            last -= 1;
            if raw.len() < BLOCK_BYTES && last > 0 {
                continue;
            }
            let stored = compressor.compress(&raw)?;
            table.blocks.push(Block {
                first_key: first_key.take().cloned().unwrap_or_default(),
                offset: file.len() as u64,
                stored_bytes: length(stored.len())?,
                raw_bytes: length(raw.len())?,
            });
            file.extend_from_slice(&stored);
            raw.clear();
        }
        Ok(table)
    }

    /// The block that holds `key`, if any does.
    pub(super) fn block_of(&self, key: &str) -> Option<usize> {
        self.blocks.partition_point(|block| block.first_key.as_str() <= key).checked_sub(1)
    }

    /// Describes the table for the index.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        out.extend_from_slice(&self.records.to_le_bytes());
        out.extend_from_slice(&length(self.blocks.len())?.to_le_bytes());
        for block in &self.blocks {
            put(out, block.first_key.as_bytes())?;
            out.extend_from_slice(&block.offset.to_le_bytes());
            out.extend_from_slice(&block.stored_bytes.to_le_bytes());
            out.extend_from_slice(&block.raw_bytes.to_le_bytes());
        }
        Ok(())
    }

    /// The inverse of [`Table::encode`]; blocks outside of `file_bytes`, out of order or too large are refused.
    pub(super) fn decode(reader: &mut Reader<'_>, file_bytes: u64) -> Result<Self, Corrupt> {
        let records = reader.u64()?;
        let count = reader.u32()?;
        let mut blocks: Vec<Block> = Vec::new();
        for _ in 0..count {
            let first_key = reader.text()?.to_owned();
            let block = Block {
                first_key,
                offset: reader.u64()?,
                stored_bytes: reader.u32()?,
                raw_bytes: reader.u32()?,
            };
            let is_inside =
                block.offset.checked_add(u64::from(block.stored_bytes)).is_some_and(|end| end <= file_bytes);
            let is_sorted = blocks.last().is_none_or(|last| last.first_key < block.first_key);
            if !is_inside || !is_sorted || block.raw_bytes as usize > MAX_BLOCK_BYTES {
                return Err(Corrupt("a block's place"));
            }
            blocks.push(block);
        }
        Ok(Self { blocks, records })
    }
}

impl Block {
    /// Decompresses the block out of the whole file; zstd's own checksum tells whether it is what was written.
    pub(super) fn read(&self, file: &[u8]) -> Result<Vec<u8>, Corrupt> {
        let start = usize::try_from(self.offset).map_err(|_| Corrupt("a block's place"))?;
        let end = start.checked_add(self.stored_bytes as usize).ok_or(Corrupt("a block's place"))?;
        let stored = file.get(start..end).ok_or(Corrupt("a block's place"))?;
        let raw = zstd::bulk::decompress(stored, self.raw_bytes as usize).map_err(|_| Corrupt("a block"))?;
        if raw.len() != self.raw_bytes as usize {
            return Err(Corrupt("a block"));
        }
        Ok(raw)
    }
}

/// The records of a decompressed block, in order of their keys.
pub(super) fn records(raw: &[u8]) -> impl Iterator<Item = Result<(&str, &[u8]), Corrupt>> {
    let mut reader = Reader::new(raw);
    std::iter::from_fn(move || {
        if reader.is_empty() {
            return None;
        }
        let record = reader.text().and_then(|key| Ok((key, reader.bytes()?)));
        if record.is_err() {
            reader = Reader::new(&[]);
        }
        Some(record)
    })
}

/// Where in a decompressed block the value of `key` lies.
pub(super) fn find(raw: &[u8], key: &str) -> Result<Option<std::ops::Range<usize>>, Corrupt> {
    let mut reader = Reader::new(raw);
    while !reader.is_empty() {
        let found = reader.text()?;
        let length = reader.bytes()?.len();
        if found == key {
            let end = raw.len() - reader.left();
            return Ok(Some(end - length..end));
        }
    }
    Ok(None)
}

/// Bytes with their length before them.
pub(super) fn put(out: &mut Vec<u8>, bytes: &[u8]) -> std::io::Result<()> {
    out.extend_from_slice(&length(bytes.len())?.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

fn length(bytes: usize) -> std::io::Result<u32> {
    u32::try_from(bytes).map_err(|_| std::io::Error::other("more than 4 GiB in one record"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_found_in_the_block_its_key_points_to() {
        let records: BTreeMap<String, Vec<u8>> =
            (0..5_000).map(|number| (format!("key-{number:05}"), vec![b'v'; number % 97])).collect();
        let mut file = b"header".to_vec();
        let table = Table::write(&records, &mut file).unwrap();
        assert!(table.blocks.len() > 3, "one block shows nothing");
        for (key, value) in &records {
            let block = &table.blocks[table.block_of(key).unwrap()];
            let raw = block.read(&file).unwrap();
            assert_eq!(&raw[find(&raw, key).unwrap().unwrap()], value.as_slice());
        }
        assert_eq!(table.block_of("a"), None);
        let raw = table.blocks[table.block_of("key-00001x").unwrap()].read(&file).unwrap();
        assert_eq!(find(&raw, "key-00001x").unwrap(), None);
    }

    #[test]
    fn a_table_survives_its_encoding() {
        let records = BTreeMap::from([("a".to_owned(), b"1".to_vec())]);
        let mut file = Vec::new();
        let table = Table::write(&records, &mut file).unwrap();
        let mut index = Vec::new();
        table.encode(&mut index).unwrap();
        assert_eq!(Table::decode(&mut Reader::new(&index), file.len() as u64).unwrap(), table);
        assert!(
            Table::decode(&mut Reader::new(&index), file.len() as u64 - 1).is_err(),
            "a block beyond the end"
        );
    }
}
