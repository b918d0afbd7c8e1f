//! The directory or archive being written: complete under its name, or not there at all.
//!
//! Everything goes to a temporary neighbour of the target, which [`Output::commit`] renames. Dropped before that, it
//! is removed. Where asked for, it is on disk before it gets its name, so that after a power cut too there is all of it
//! or nothing.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, TempDir};

use super::archive::{member_header, padding};
use super::{ImageTarget, WriteError};
use crate::{Digest, ImageSource};

/// What an OCI layout has at its top; whatever else a directory holds is not ours to replace.
const LAYOUT_NAMES: [&str; 6] =
    ["blobs", "index.json", "ingest", "manifest.json", "oci-layout", "repositories"];

/// An image under construction.
pub(crate) struct Output<'a> {
    target: &'a Path,
    overwrite: bool,
    place: Place,
    blobs: BTreeSet<Digest>,
    on_bytes: Option<&'a (dyn Fn(u64) + Sync)>,
}

enum Place {
    Directory(TempDir),
    Archive(NamedTempFile),
}

/// A blob under construction. Dropped unfinished, it makes the output useless.
pub(crate) struct BlobWriter<'o, 'a> {
    output: &'o mut Output<'a>,
    file: File,
    start: u64,
    hasher: Sha256,
    size_bytes: u64,
}

impl<'a> Output<'a> {
    /// Checks that the target may be written, and starts it.
    pub(crate) fn create(
        target: &'a ImageTarget,
        source: &ImageSource,
        overwrite: bool,
        on_bytes: Option<&'a (dyn Fn(u64) + Sync)>,
    ) -> Result<Self, WriteError> {
        let is_directory = matches!(target, ImageTarget::OciLayout { .. });
        let path = target.path();
        check_target(path, is_directory, source, overwrite)?;
        let failed = |source| WriteError::Create { path: path.to_owned(), source };
        let prefix = format!(".{}.partial-", path.file_name().unwrap_or_default().to_string_lossy());
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix);
        let place = if is_directory {
            builder.permissions(Permissions::from_mode(0o777));
            Place::Directory(builder.tempdir_in(parent_of(path)).map_err(failed)?)
        } else {
            builder.permissions(Permissions::from_mode(0o666));
            Place::Archive(builder.tempfile_in(parent_of(path)).map_err(failed)?)
        };
        let mut output = Self { target: path, overwrite, place, blobs: BTreeSet::new(), on_bytes };
        output.put_directory("blobs")?;
        output.put_directory("blobs/sha256")?;
        Ok(output)
    }

    /// Whether this blob is already there.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.blobs.contains(digest)
    }

    /// Starts a blob.
    pub(crate) fn begin_blob(&mut self) -> Result<BlobWriter<'_, 'a>, WriteError> {
        let (file, start) = match &mut self.place {
            Place::Directory(dir) => (File::create(partial_blob(dir.path())), Ok(0)),
            Place::Archive(file) => {
                let start = file.as_file_mut().seek(SeekFrom::End(0));
                let header = file.write_all(&[0; 512]);
                (file.as_file().try_clone(), header.and(start))
            }
        };
        let (file, start) = file.and_then(|file| Ok((file, start?))).map_err(|source| self.failed(source))?;
        Ok(BlobWriter { output: self, file, start, hasher: Sha256::new(), size_bytes: 0 })
    }

    /// Adds a blob of these bytes.
    pub(crate) fn put_blob(&mut self, bytes: &[u8]) -> Result<Digest, WriteError> {
        let mut blob = self.begin_blob()?;
        blob.write(bytes)?;
        Ok(blob.finish()?.0)
    }

    /// Adds a file that is not a blob.
    pub(crate) fn put_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let done = match &mut self.place {
            Place::Directory(dir) => fs::write(dir.path().join(name), bytes),
            Place::Archive(file) => {
                append(file.as_file_mut(), &member_header(name, bytes.len() as u64), bytes)
            }
        };
        done.map_err(|source| self.failed(source))?;
        self.report(bytes.len());
        Ok(())
    }

    /// Gives the finished image its name; a durable one once it is on disk.
    pub(crate) fn commit(self, durable: bool) -> Result<(), WriteError> {
        let failed = |source| WriteError::Write { path: self.target.to_owned(), source };
        match self.place {
            Place::Directory(dir) => {
                if durable {
                    sync_tree(dir.path()).map_err(failed)?;
                }
                place_directory(&dir, self.target, self.overwrite).map_err(failed)?;
                // What now bears the temporary name, if anything, is the replaced layout; it goes with `dir`.
                dir.close().or_else(
                    |error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) },
                )
            }
            Place::Archive(mut file) => {
                append(file.as_file_mut(), &[0; 1024], &[]).map_err(failed)?;
                if durable {
                    file.as_file().sync_all().map_err(failed)?;
                }
                let placed = if self.overwrite {
                    file.persist(self.target)
                } else {
                    file.persist_noclobber(self.target)
                };
                placed.map(drop).map_err(|error| error.error)
            }
        }
        .and_then(|()| if durable { sync_directory(parent_of(self.target)) } else { Ok(()) })
        .map_err(failed)
    }

    fn put_directory(&mut self, name: &str) -> Result<(), WriteError> {
        let done = match &mut self.place {
            Place::Directory(dir) => fs::create_dir(dir.path().join(name)),
            Place::Archive(file) => append(file.as_file_mut(), &member_header(&format!("{name}/"), 0), &[]),
        };
        done.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> WriteError {
        WriteError::Write { path: self.target.to_owned(), source }
    }

    fn report(&self, bytes: usize) {
        if let Some(on_bytes) = self.on_bytes {
            on_bytes(bytes as u64);
        }
    }
}

impl BlobWriter<'_, '_> {
    /// Appends bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.file.write_all(bytes).map_err(|source| self.output.failed(source))?;
        self.hasher.update(bytes);
        self.size_bytes += bytes.len() as u64;
        self.output.report(bytes.len());
        Ok(())
    }

    /// How long it is so far.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Takes back everything.
    pub(crate) fn discard(self) -> Result<(), WriteError> {
        let done = match &self.output.place {
            Place::Directory(dir) => fs::remove_file(partial_blob(dir.path())),
            Place::Archive(_) => self.file.set_len(self.start),
        };
        done.map_err(|source| self.output.failed(source))
    }

    /// Ends the blob; its digest and length. A blob that is already there is not stored twice.
    pub(crate) fn finish(self) -> Result<(Digest, u64), WriteError> {
        let digest = Digest::from_hasher(self.hasher);
        let is_new = self.output.blobs.insert(digest);
        let name = format!("blobs/sha256/{}", digest.hex());
        let done = match &mut self.output.place {
            Place::Directory(dir) => fs::rename(partial_blob(dir.path()), dir.path().join(name)),
            Place::Archive(_) if !is_new => self.file.set_len(self.start),
            Place::Archive(file) => {
                append(file.as_file_mut(), &padding(self.size_bytes), &[]).and_then(|()| {
                    file.as_file().write_all_at(&member_header(&name, self.size_bytes), self.start)
                })
            }
        };
        done.map_err(|source| self.output.failed(source))?;
        Ok((digest, self.size_bytes))
    }
}

/// Sees to it that a layout is on disk: its files, then the directories that name them.
fn sync_tree(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync_directory(dir)
}

/// Sees to it that the names in a directory are on disk, where its file system can be asked to.
fn sync_directory(dir: &Path) -> io::Result<()> {
    match File::open(dir).and_then(|dir| dir.sync_all()) {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        done => done,
    }
}

fn partial_blob(dir: &Path) -> PathBuf {
    dir.join("blobs/sha256/.partial")
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a header, a content and its padding at the end of an archive.
fn append(file: &mut File, header: &[u8], content: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::End(0))?;
    file.write_all(header)?;
    file.write_all(content)?;
    file.write_all(&padding(content.len() as u64))
}

/// Refuses targets that cannot be written, or that hold something else than what we would replace.
pub(super) fn check_target(
    path: &Path,
    is_directory: bool,
    source: &ImageSource,
    overwrite: bool,
) -> Result<(), WriteError> {
    let parent = parent_of(path);
    if path.file_name().is_none() {
        return Err(WriteError::NoName { path: path.to_owned() });
    }
    let Ok(parent) = parent.canonicalize() else {
        return Err(WriteError::ParentMissing { path: path.to_owned() });
    };
    if let Ok(source) = source_path(source).canonicalize()
        && (path.canonicalize().is_ok_and(|path| path == source) || parent.starts_with(&source))
    {
        return Err(WriteError::IsSource { path: path.to_owned() });
    }
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(WriteError::Create { path: path.to_owned(), source }),
        Ok(_) if !overwrite => Err(WriteError::Exists { path: path.to_owned() }),
        Ok(found) if is_directory && found.is_dir() && is_layout_or_empty(path) => Ok(()),
        Ok(found) if !is_directory && found.is_file() => Ok(()),
        Ok(_) => Err(WriteError::NotReplaceable { path: path.to_owned() }),
    }
}

fn source_path(source: &ImageSource) -> &Path {
    match source {
        ImageSource::OciLayout { dir: path, .. }
        | ImageSource::Registry { layout: path, .. }
        | ImageSource::OciArchive { file: path, .. }
        | ImageSource::DockerArchive { file: path, .. }
        | ImageSource::Rootfs { path } => path,
    }
}

fn is_layout_or_empty(dir: &Path) -> bool {
    let Ok(entries) = fs::read_dir(dir) else { return false };
    entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .all(|name| name.is_ok_and(|name| LAYOUT_NAMES.iter().any(|known| name == *known)))
}

/// Renames the finished directory to its name; with `overwrite`, whatever bears it then has the temporary name.
fn place_directory(dir: &TempDir, target: &Path, overwrite: bool) -> io::Result<()> {
    let rename = |flags| renameat_with(CWD, dir.path(), CWD, target, flags);
    match rename(RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) if overwrite => match rename(RenameFlags::EXCHANGE) {
            Err(Errno::INVAL) => exchange_in_steps(dir.path(), target),
            done => Ok(done?),
        },
        // Some network file systems know plain renames only.
        Err(Errno::INVAL) => match target.symlink_metadata() {
            Ok(_) if overwrite => exchange_in_steps(dir.path(), target),
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(dir.path(), target),
        },
        done => Ok(done?),
    }
}

/// Exchanges two directories; for a moment there is none at the target.
fn exchange_in_steps(new: &Path, target: &Path) -> io::Result<()> {
    let aside = new.with_added_extension("old");
    fs::rename(target, &aside)?;
    if let Err(error) = fs::rename(new, target) {
        fs::rename(&aside, target)?;
        return Err(error);
    }
    fs::rename(&aside, new)
}
