//! Where an output is built before it bears its final name.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use image::{ImageSource, ImageTarget, WriteError};

use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::hints;

/// Refuses an output that cannot be written, or must not be: also with `force` only an image gives way.
pub(crate) fn check(target: &ImageTarget, source: &ImageSource, force: bool) -> Result<(), Failure> {
    target.check(source, force).map_err(|error| {
        let hint = match error {
            WriteError::Exists { .. } => Some("choose another output, or replace it with --force".to_owned()),
            _ => error.hint(),
        };
        hints::plain(ExitCode::Output, format!("cannot write {target}"), error).hint(hint)
    })
}

/// What the names of staging directories begin with.
const PREFIX: &str = ".careen-";

/// A temporary directory beside the final place, on the same file system.
pub(crate) struct Staging {
    dir: tempfile::TempDir,
    _record: Record,
    /// Where the image is built.
    pub(crate) image: PathBuf,
}

impl Staging {
    /// Makes one; the directory above the target must exist. It is recorded in the data directory, so that the next
    /// start removes it should this run be killed.
    pub(crate) fn beside(target: &Path, data_dir: &Path) -> Result<Self, Failure> {
        sweep(data_dir);
        let parent =
            target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent).map_err(|source| {
            hints::plain(ExitCode::Output, format!("cannot write to {}", parent.display()), source)
                .hint("make that directory, or choose another output with -o".to_owned())
        })?;
        let image = dir.path().join("image");
        let record = Record::new(data_dir, dir.path()).map_err(|source| {
            hints::plain(ExitCode::Host, format!("cannot write to {}", data_dir.display()), source)
        })?;
        Ok(Self { dir, _record: record, image })
    }

    /// Gives the image its final name; what was there before goes only then.
    pub(crate) fn publish(
        self,
        target: &ImageTarget,
        source: &ImageSource,
        force: bool,
    ) -> Result<(), Failure> {
        check(target, source, force)?;
        let target = target.path();
        let failed =
            |source| hints::plain(ExitCode::Output, format!("cannot write {}", target.display()), source);
        if fs::symlink_metadata(target).is_ok() {
            fs::rename(target, self.dir.path().join("previous")).map_err(failed)?;
        }
        fs::rename(&self.image, target).map_err(failed)?;
        // The image itself was synced when it was written; its new name is not yet. Some file systems cannot do it.
        let parent =
            target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _ = File::open(parent).and_then(|parent| parent.sync_all());
        Ok(())
    }
}

/// A file of the data directory that names a staging directory, locked as long as its process lives.
struct Record {
    path: PathBuf,
    _locked: File,
}

impl Record {
    fn new(data_dir: &Path, staging: &Path) -> io::Result<Self> {
        let records = data_dir.join("staging");
        fs::create_dir_all(&records)?;
        let staging = staging.canonicalize()?;
        let name =
            format!("{}-{}", std::process::id(), staging.file_name().unwrap_or_default().to_string_lossy());
        let mut file = tempfile::Builder::new().prefix(".").tempfile_in(&records)?;
        file.write_all(staging.as_os_str().as_bytes())?;
        // Locked before it has its name, so that nobody finds it unlocked while we live.
        file.as_file().lock()?;
        let path = records.join(name);
        let locked = file.persist(&path).map_err(|error| error.error)?;
        Ok(Self { path, _locked: locked })
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the staging directories of runs that were killed.
pub(crate) fn sweep(data_dir: &Path) {
    let Ok(records) = fs::read_dir(data_dir.join("staging")) else { return };
    for record in records.flatten().filter(|record| !record.file_name().as_bytes().starts_with(b".")) {
        let Ok(file) = File::open(record.path()) else { continue };
        if file.try_lock().is_err() {
            continue;
        }
        let staging = fs::read(record.path()).map(|bytes| PathBuf::from(OsString::from_vec(bytes)));
        if let Ok(staging) = staging
            && staging.file_name().is_some_and(|name| name.as_bytes().starts_with(PREFIX.as_bytes()))
        {
            let _ = fs::remove_dir_all(&staging);
        }
        let _ = fs::remove_file(record.path());
    }
}
