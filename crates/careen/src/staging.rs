//! Where an output is built before it bears its final name.

use std::path::{Path, PathBuf};

use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{context, hints};

/// A temporary directory beside the final place, on the same file system.
pub(crate) struct Staging {
    dir: tempfile::TempDir,
    /// Where the image is built.
    pub(crate) image: PathBuf,
}

impl Staging {
    /// Makes one; the directory above the target must exist.
    pub(crate) fn beside(target: &Path) -> Result<Self, Failure> {
        let parent =
            target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = tempfile::Builder::new().prefix(".careen-").tempdir_in(parent).map_err(|source| {
            hints::plain(ExitCode::Output, format!("cannot write to {}", parent.display()), source)
                .hint("make that directory, or choose another output with -o".to_owned())
        })?;
        let image = dir.path().join("image");
        Ok(Self { dir, image })
    }

    /// Gives the image its final name; what was there before goes only then.
    pub(crate) fn publish(self, target: &Path, force: bool) -> Result<(), Failure> {
        context::refuse_existing(target, force)?;
        let failed =
            |source| hints::plain(ExitCode::Output, format!("cannot write {}", target.display()), source);
        if std::fs::symlink_metadata(target).is_ok() {
            std::fs::rename(target, self.dir.path().join("previous")).map_err(failed)?;
        }
        std::fs::rename(&self.image, target).map_err(failed)
    }
}
