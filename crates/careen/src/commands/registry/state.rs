//! What earlier walks did, kept in a file: an image that did not change is not scanned again.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use image::Digest;
use serde::{Deserialize, Serialize};

use super::row::{FORMAT_VERSION, Row, Status};
use crate::artifacts;
use crate::exit::ExitCode;
use crate::failure::Failure;

const MAX_BYTES: u64 = 1 << 30;
/// A walk that is killed loses no more than this.
const EVERY: Duration = Duration::from_secs(2);

/// The state of a walk; without a file, of this walk alone.
pub(super) struct State {
    file: Option<PathBuf>,
    document: Document,
    saved: Instant,
    is_changed: bool,
}

/// As it is stored. Schema: `docs/formats/registry-scan.schema.json`.
#[derive(Serialize, Deserialize)]
struct Document {
    format_version: u32,
    /// Digest of all that findings depend on beside the image: the database, and what was asked for.
    basis: Digest,
    /// What was found, by reference.
    images: BTreeMap<String, Row>,
}

impl State {
    /// Reads the state of earlier walks. That of another database or of other options is begun anew.
    pub(super) fn open(file: Option<&Path>, basis: Digest) -> Result<Self, Failure> {
        let mut document = Document { format_version: FORMAT_VERSION, basis, images: BTreeMap::new() };
        if let Some(file) = file
            && let Some(known) = read(file)?
            && known.basis == basis
        {
            document = known;
        }
        Ok(Self { file: file.map(Path::to_owned), document, saved: Instant::now(), is_changed: false })
    }

    /// What is known of an image, if its tag still leads to the same.
    pub(super) fn get(&self, reference: &str, digest: Digest) -> Option<Row> {
        let known = self.document.images.get(reference)?;
        let status = match known.status {
            Status::Scanned => Status::Unchanged,
            other => other,
        };
        (known.digest == Some(digest)).then(|| Row { status, ..known.clone() })
    }

    /// Remembers an image. What failed is tried again.
    pub(super) fn keep(&mut self, reference: &str, row: &Row) -> Result<(), Failure> {
        if self.file.is_none() || !matches!(row.status, Status::Scanned | Status::Skipped) {
            return Ok(());
        }
        self.document.images.insert(reference.to_owned(), row.clone());
        self.is_changed = true;
        if self.saved.elapsed() > EVERY { self.save() } else { Ok(()) }
    }

    /// Writes what changed.
    pub(super) fn save(&mut self) -> Result<(), Failure> {
        let Some(file) = self.file.as_ref().filter(|_| self.is_changed) else { return Ok(()) };
        let write = || -> io::Result<()> {
            let mut bytes = serde_json::to_vec_pretty(&self.document)?;
            bytes.push(b'\n');
            artifacts::write_whole(file, &bytes)
        };
        write().map_err(|source| {
            Failure::caused_by(ExitCode::Output, format!("cannot write the state {}", file.display()), source)
        })?;
        (self.saved, self.is_changed) = (Instant::now(), false);
        Ok(())
    }
}

fn read(file: &Path) -> Result<Option<Document>, Failure> {
    let failed = |source: io::Error| {
        Failure::caused_by(ExitCode::Document, format!("cannot use the state {}", file.display()), source)
            .hint("name another file with --state, or delete this one to begin anew".to_owned())
    };
    let open = match fs::File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    open.take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    let document: Document = serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?;
    match document.format_version {
        FORMAT_VERSION => Ok(Some(document)),
        other => Err(failed(io::Error::other(format!("it is of version {other}, not {FORMAT_VERSION}")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_change_is_known_and_what_failed_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("state");
        let (basis, digest) = (Digest::of(b"database"), Digest::of(b"image"));
        let reference = "reg.example/a:1".parse().unwrap();
        let mut state = State::open(Some(&file), basis).unwrap();
        let skipped = Row::unscanned(&reference, Some(digest), Status::Skipped, "a chart");
        state.keep("reg.example/a:1", &skipped).unwrap();
        state
            .keep("reg.example/b:1", &Row::unscanned(&reference, Some(digest), Status::Failed, "x"))
            .unwrap();
        state.save().unwrap();
        let again = State::open(Some(&file), basis).unwrap();
        assert_eq!(again.get("reg.example/a:1", digest), Some(skipped));
        assert_eq!(again.get("reg.example/a:1", Digest::of(b"other")), None);
        assert_eq!(again.get("reg.example/b:1", digest), None);
        let other = State::open(Some(&file), Digest::of(b"newer")).unwrap();
        assert_eq!(other.get("reg.example/a:1", digest), None);
        fs::write(&file, "{}").unwrap();
        let error = State::open(Some(&file), basis).err().unwrap();
        assert!(error.render().contains("hint: name another file"), "{}", error.render());
    }
}
