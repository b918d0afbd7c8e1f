//! Blobs that nobody reads any more.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::BlobStore;

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// How many blobs, and parts of such.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl BlobStore {
    /// Removes what came, and was last read, longer ago than `age`; parts of a broken download, too.
    ///
    /// Where the file system keeps no time of access, the time of arrival counts. What somebody has open stays readable
    /// for him, and what is wanted again is fetched again.
    pub fn remove_unused(&self, age: Duration) -> Removed {
        self.each_unused(age, |path| fs::remove_file(path).is_ok())
    }

    /// What [`BlobStore::remove_unused`] would remove.
    pub fn unused(&self, age: Duration) -> Removed {
        self.each_unused(age, |_| true)
    }

    /// Counts those for which `act` holds.
    fn each_unused(&self, age: Duration, act: impl Fn(&Path) -> bool) -> Removed {
        let mut removed = Removed::default();
        let Some(oldest) = SystemTime::now().checked_sub(age) else { return removed };
        let Ok(entries) = fs::read_dir(self.dir().join("sha256")) else { return removed };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            let is_unused = metadata.is_file() && last_use(&metadata).is_some_and(|time| time < oldest);
            if is_unused && act(&entry.path()) {
                removed.blobs += 1;
                removed.bytes = removed.bytes.saturating_add(metadata.len());
            }
        }
        removed
    }
}

fn last_use(metadata: &Metadata) -> Option<SystemTime> {
    metadata.accessed().ok().max(metadata.modified().ok())
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};

    use super::*;

    #[test]
    fn what_was_not_read_for_long_goes_and_what_was_read_or_came_lately_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::at(dir.path());
        let day = Duration::from_secs(24 * 3600);
        let now = SystemTime::now();
        let put = |text: &str, came: u32, read: u32| {
            let digest = store.put(text.as_bytes()).unwrap();
            let times = FileTimes::new().set_modified(now - day * came).set_accessed(now - day * read);
            File::options().write(true).open(store.path(digest)).unwrap().set_times(times).unwrap();
            digest
        };
        let (unused, read, new) = (put("unused", 40, 31), put("read", 40, 1), put("new", 2, 40));
        let part = dir.path().join("sha256/.part-x");
        fs::write(&part, "half").unwrap();
        assert_eq!(store.unused(day * 30), Removed { blobs: 1, bytes: 6 });
        assert_eq!(store.remove_unused(day * 30), Removed { blobs: 1, bytes: 6 });
        let is_there = |digest| store.path(digest).is_file();
        assert_eq!((is_there(unused), is_there(read), is_there(new)), (false, true, true));
        assert!(part.is_file());
        assert_eq!(store.remove_unused(day * 30), Removed::default());
        assert_eq!(BlobStore::at(dir.path().join("none")).remove_unused(day), Removed::default());
    }
}
