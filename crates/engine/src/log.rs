//! What a container's main process writes, kept on disk up to a bound.
//!
//! Two files: `log`, which grows to [`FILE_BYTES`], then becomes `log.old`. So at least the last [`FILE_BYTES`] are
//! always there, and never more than twice as many.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const FILE_BYTES: u64 = 8 << 20;

/// The supervisor's end.
#[derive(Debug)]
pub(crate) struct LogWriter {
    dir: PathBuf,
    file: File,
    written: u64,
}

impl LogWriter {
    pub(crate) fn create(dir: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(dir.join("log"))?;
        let written = file.metadata()?.len();
        Ok(Self { dir: dir.to_owned(), file, written })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.written >= FILE_BYTES {
            fs::rename(self.dir.join("log"), self.dir.join("log.old"))?;
            *self = Self::create(&self.dir)?;
        }
        self.file.write_all(bytes)?;
        self.written += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(())
    }
}

/// All that is kept, oldest first.
pub(crate) fn read(dir: &Path) -> Vec<u8> {
    let inode = |file: &File| file.metadata().ok().map(|metadata| metadata.ino());
    for _ in 0..20 {
        // There is a moment without it while the files are turned over.
        let Ok(mut current) = File::open(dir.join("log")) else {
            std::thread::yield_now();
            continue;
        };
        let old = File::open(dir.join("log.old"));
        // Turned over in between, the two would not fit together.
        if inode(&current) != File::open(dir.join("log")).ok().as_ref().and_then(inode) {
            continue;
        }
        let mut out = Vec::new();
        if let Ok(mut old) = old {
            let _partial = old.read_to_end(&mut out);
        }
        let _partial = current.read_to_end(&mut out);
        return out;
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_a_long_log_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogWriter::create(dir.path()).unwrap();
        let line = |n: u32| format!("{n:>63}\n");
        for n in 0..400_000 {
            log.write(line(n).as_bytes()).unwrap();
        }
        let kept = read(dir.path());
        assert!(kept.len() >= 8 << 20 && kept.len() <= (16 << 20) + 64, "{}", kept.len());
        let first: u32 = std::str::from_utf8(&kept[..64]).unwrap().trim().parse().unwrap();
        let expected: String = (first..400_000).map(line).collect();
        assert!(kept == expected.as_bytes());
    }
}
