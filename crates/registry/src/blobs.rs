//! Blobs on disk, by digest: each fetched once, whoever asks, and never there by halves.
//!
//! A blob is written to a part beside its name, locked while somebody writes it, and gets its name when it is whole and
//! has its digest. A part that was broken off is where the next attempt begins.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use image::{Descriptor, Digest};
use sha2::{Digest as _, Sha256};

use crate::registry::Question;
use crate::retry::{ATTEMPTS, backoff, pause};
use crate::{Registry, RegistryError};

const CHUNK_BYTES: usize = 128 << 10;

/// A directory of blobs, `sha256/HEX`.
#[derive(Debug, Clone)]
pub struct BlobStore {
    dir: PathBuf,
}

/// A blob that is being written.
struct Part {
    file: File,
    path: PathBuf,
    hasher: Sha256,
    size_bytes: u64,
}

impl BlobStore {
    /// The blobs beneath a directory, which is made when the first one comes.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where they are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a blob is, or would be.
    pub fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join("sha256").join(digest.hex())
    }

    /// Whether a blob of this length is there. Its digest was verified when it came.
    pub fn has(&self, descriptor: &Descriptor) -> bool {
        fs::metadata(self.path(descriptor.digest))
            .is_ok_and(|found| found.is_file() && found.len() == descriptor.size_bytes)
    }

    /// Removes a blob, if it is there.
    pub fn remove(&self, digest: Digest) {
        let _ = fs::remove_file(self.path(digest));
    }

    /// Whether a blob that is there is another than its name says.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn is_damaged(&self, digest: Digest) -> io::Result<bool> {
        let mut hasher = Sha256::new();
        copy_into(&mut hasher, &mut File::open(self.path(digest))?)?;
        Ok(Digest::from_hasher(hasher) != digest)
    }

    /// Takes a blob over from another store, without a copy where both are on one disk.
    pub fn adopt(&self, other: &Self, descriptor: &Descriptor) -> bool {
        let link = || -> io::Result<()> {
            fs::create_dir_all(self.dir.join("sha256"))?;
            match fs::hard_link(other.path(descriptor.digest), self.path(descriptor.digest)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                done => done,
            }
        };
        other.has(descriptor) && link().is_ok() && self.has(descriptor)
    }

    /// All bytes of a small blob; none if it is not there, or damaged.
    pub fn read(&self, digest: Digest, limit: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = File::open(self.path(digest)).ok()?;
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).ok()?;
        (bytes.len() as u64 <= limit && Digest::of(&bytes) == digest).then_some(bytes)
    }

    /// Keeps bytes.
    ///
    /// # Errors
    /// The disk is full, or not ours to write.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, RegistryError> {
        let digest = Digest::of(bytes);
        let path = self.path(digest);
        let write = || -> io::Result<()> {
            let dir = self.dir.join("sha256");
            fs::create_dir_all(&dir)?;
            let mut file = tempfile::Builder::new().prefix(".part-").tempfile_in(dir)?;
            file.write_all(bytes)?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|source| RegistryError::Store { path: path.clone(), source })?;
        Ok(digest)
    }

    /// Fetches a blob unless it is there, and verifies it. `on_bytes` is told of what came, piece by piece.
    ///
    /// # Errors
    /// [`RegistryError`]; what came of it is kept for another time, unless it was wrong.
    pub fn fetch(
        &self,
        registry: &Registry,
        repository: &str,
        descriptor: &Descriptor,
        on_bytes: &(dyn Fn(u64) + Sync),
    ) -> Result<(), RegistryError> {
        let digest = descriptor.digest;
        let store = |source| RegistryError::Store { path: self.path(digest), source };
        if self.has(descriptor) {
            return Ok(());
        }
        let Some(mut part) = self.part(registry, descriptor)? else { return Ok(()) };
        if part.size_bytes > descriptor.size_bytes {
            part.restart().map_err(store)?;
        }
        on_bytes(part.size_bytes);
        let what = format!("{}/{repository}@{digest}", registry.host());
        for attempt in 0..ATTEMPTS {
            let before = part.size_bytes;
            match part.receive(registry, repository, &what, descriptor, on_bytes) {
                Ok(()) if part.size_bytes == descriptor.size_bytes => break,
                // The line broke, and the next attempt goes on from there.
                Ok(()) | Err(RegistryError::Read { .. }) if attempt + 1 < ATTEMPTS => {}
                Ok(()) => {
                    let (expected, actual) = (descriptor.size_bytes, part.size_bytes);
                    return Err(RegistryError::Size { what, expected, actual });
                }
                Err(error) => return Err(error),
            }
            if part.size_bytes == before {
                pause(backoff(attempt), registry.interrupt())?;
            }
        }
        let actual = Digest::from_hasher(part.hasher.clone());
        if actual != digest {
            part.restart().map_err(store)?;
            return Err(RegistryError::Digest { what, expected: digest, actual });
        }
        fs::rename(&part.path, self.path(digest)).map_err(store)
    }

    /// The part of a blob, locked; none if somebody else finished it meanwhile.
    fn part(&self, registry: &Registry, descriptor: &Descriptor) -> Result<Option<Part>, RegistryError> {
        let dir = self.dir.join("sha256");
        let path = dir.join(format!(".part-{}", descriptor.digest.hex()));
        let store = |source| RegistryError::Store { path: path.clone(), source };
        fs::create_dir_all(&dir).map_err(store)?;
        loop {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)
                .map_err(store)?;
            while let Err(error) = file.try_lock() {
                match error {
                    TryLockError::WouldBlock => pause(Duration::from_millis(100), registry.interrupt())?,
                    TryLockError::Error(source) => return Err(store(source)),
                }
            }
            if self.has(descriptor) {
                // The part was made anew after somebody finished.
                if is_at(&file, &path) {
                    let _ = fs::remove_file(&path);
                }
                return Ok(None);
            }
            // Whoever held the lock may have given the file its name.
            if !is_at(&file, &path) {
                continue;
            }
            let mut part = Part { file, path, hasher: Sha256::new(), size_bytes: 0 };
            part.size_bytes = copy_into(&mut part.hasher, &mut part.file)
                .map_err(|source| RegistryError::Store { path: part.path.clone(), source })?;
            return Ok(Some(part));
        }
    }
}

impl Part {
    fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.hasher = Sha256::new();
        self.size_bytes = 0;
        Ok(())
    }

    /// Asks for what is missing, and takes what comes.
    fn receive(
        &mut self,
        registry: &Registry,
        repository: &str,
        what: &str,
        descriptor: &Descriptor,
        on_bytes: &(dyn Fn(u64) + Sync),
    ) -> Result<(), RegistryError> {
        if self.size_bytes == descriptor.size_bytes {
            return Ok(());
        }
        let store = |path: &Path, source| RegistryError::Store { path: path.to_owned(), source };
        let path = format!("/v2/{repository}/blobs/{}", descriptor.digest);
        let question = Question { from: self.size_bytes, ..Question::of(&path, what, repository) };
        let answer = match registry.get(&question) {
            Err(RegistryError::Status { status: 416, .. }) if self.size_bytes > 0 => {
                self.restart().map_err(|source| store(&self.path, source))?;
                registry.get(&Question::of(&path, what, repository))?
            }
            answer => answer?,
        };
        let starts_where_asked = || {
            let range = answer.header("content-range")?.strip_prefix("bytes ")?;
            range.split('-').next()?.trim().parse::<u64>().ok()
        };
        if self.size_bytes > 0 && (answer.status != 206 || starts_where_asked() != Some(self.size_bytes)) {
            // It sends all of it, or something else than was asked for: nothing to go on with.
            self.restart().map_err(|source| store(&self.path, source))?;
            if answer.status == 206 {
                return Ok(());
            }
        }
        let mut reader = answer.reader();
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            if registry.interrupt().load(Ordering::Relaxed) {
                return Err(RegistryError::Interrupted);
            }
            let count = reader.read(&mut buffer).map_err(|source| RegistryError::Read {
                host: registry.host().to_owned(),
                what: what.to_owned(),
                source,
            })?;
            if count == 0 {
                return Ok(());
            }
            if self.size_bytes + count as u64 > descriptor.size_bytes {
                self.restart().map_err(|source| store(&self.path, source))?;
                return Err(RegistryError::TooLarge { what: what.to_owned(), limit: descriptor.size_bytes });
            }
            self.file.write_all(&buffer[..count]).map_err(|source| store(&self.path, source))?;
            self.hasher.update(&buffer[..count]);
            self.size_bytes += count as u64;
            on_bytes(count as u64);
        }
    }
}

/// Whether an open file is the one that has this name.
fn is_at(file: &File, path: &Path) -> bool {
    let same = || -> io::Result<bool> {
        let (open, named) = (file.metadata()?, fs::symlink_metadata(path)?);
        Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
    };
    same().unwrap_or(false)
}

fn copy_into(hasher: &mut Sha256, file: &mut File) -> io::Result<u64> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut total = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(total);
        }
        hasher.update(&buffer[..count]);
        total += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_blobs_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let (store, other) = (BlobStore::at(dir.path().join("a")), BlobStore::at(dir.path().join("b")));
        let digest = store.put(b"hello").unwrap();
        let descriptor = Descriptor::of("x", b"hello");
        assert!(store.has(&descriptor) && !store.has(&Descriptor { size_bytes: 6, ..descriptor.clone() }));
        assert_eq!(store.read(digest, 5).as_deref(), Some(&b"hello"[..]));
        assert_eq!(store.read(digest, 4), None);
        assert!(other.adopt(&store, &descriptor) && other.has(&descriptor));
        assert!(other.adopt(&store, &descriptor));
        store.remove(digest);
        assert!(!store.has(&descriptor) && other.has(&descriptor));
        assert!(!other.is_damaged(digest).unwrap());
        fs::write(other.path(digest), "hullo").unwrap();
        assert!(other.is_damaged(digest).unwrap());
        assert_eq!(other.read(digest, 5), None);
    }
}
