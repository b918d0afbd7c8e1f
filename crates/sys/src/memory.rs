//! Of memory.

use std::fs::File;
use std::io;
use std::ops::Deref;

/// The bytes of a file, mapped read-only.
#[derive(Debug)]
pub struct Mapping(memmap2::Mmap);

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Maps a file into memory, read-only and private. An empty file cannot be mapped.
///
/// The file must not be written to or cut short while it is mapped: use it for files that are only ever replaced as
/// a whole, by renaming another one over them.
///
/// # Errors
/// What `mmap` says.
pub fn map_file(file: &File) -> io::Result<Mapping> {
    // SAFETY: the map is private and never written. Bytes that change under it would break the promise of `&[u8]`;
    // the callers map files that are replaced by rename only, as documented above.
    unsafe { memmap2::Mmap::map(file) }.map(Mapping)
}
