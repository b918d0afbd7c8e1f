//! A recording on disk while it goes on, so that one whose process is killed is not lost.
//!
//! A journal is a magic line, then entries: a kind (1 byte), a length (4 bytes, little-endian), a payload. Each is
//! written with one call to a file that is only appended to, so that all threads may write, and whoever reads it after
//! a kill finds whole entries and at most one torn one at the end. The file is locked as long as its writer lives.
//!
//! | kind | payload |
//! |---|---|
//! | `H` | what the owner of the recording wants to find again; the last one counts |
//! | `E` | the record of a use, as the kernel side wrote it ([`crate::wire`]) |
//! | `S` | a step began: monotonic time in ns (8), number (4) |
//! | `D` | the device number of the container's root file system (4) |
//! | `C` | the word of a run of canaries |
//! | `P` | the record of a process, as the kernel side wrote it |
//! | `A` | what was noted of system calls, capabilities and sockets; the last one counts |

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use profile::Step;
use rustix::fs::{FlockOperation, flock};

use crate::activity::Noted;
use crate::processes::Processes;
use crate::wire::Event;

const MAGIC: &[u8] = b"careen journal 1\n";
const SUFFIX: &str = "journal";
/// Largest entry that is believed.
const MAX_ENTRY_BYTES: u32 = 64 << 20;
/// Largest journal that is read: about four million uses.
const MAX_JOURNAL_BYTES: u64 = 4 << 30;

/// The journal of a recording that goes on. The file is removed when this is dropped: then the recording has ended,
/// and whoever made it has what it gave.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    /// Set once something could not be written: then nothing more is, for an entry may be torn.
    failed: AtomicBool,
}

impl Journal {
    /// Begins a journal in a directory, which is made if need be.
    ///
    /// # Errors
    /// An I/O error if the file cannot be made.
    pub fn create(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let pid = std::process::id();
        let mut attempt = 0;
        let (file, path) = loop {
            let path = directory.join(format!("{pid}-{attempt}.{SUFFIX}"));
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => break (file, path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 10_000 => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        };
        let this = Self { file, path, failed: AtomicBool::new(false) };
        flock(&this.file, FlockOperation::NonBlockingLockExclusive)?;
        (&this.file).write_all(MAGIC)?;
        Ok(this)
    }

    /// Notes what the owner wants to find again, in place of what was noted before.
    pub fn note(&self, head: &[u8]) {
        let mut entries = Entries::default();
        entries.add(b'H', head);
        self.append(&entries);
    }

    pub(crate) fn append(&self, entries: &Entries) {
        if entries.0.is_empty() || self.failed.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = (&self.file).write_all(&entries.0)
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            let path = self.path.display();
            tracing::warn!(%error, "cannot write {path}: if careen is killed, this recording is lost from here on");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "cannot remove {}", self.path.display());
        }
    }
}

/// Entries to be written with one call.
#[derive(Debug, Default)]
pub(crate) struct Entries(Vec<u8>);

impl Entries {
    pub(crate) fn add(&mut self, kind: u8, payload: &[u8]) {
        self.0.push(kind);
        self.0.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.0.extend(payload);
    }

    pub(crate) fn step(&mut self, time: u64, step: Step) {
        self.add(b'S', &[&time.to_le_bytes()[..], &step.0.to_le_bytes()].concat());
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// A recording whose process was killed, as its journal tells it.
#[derive(Debug, Default)]
pub struct Unfinished {
    /// What its owner noted last.
    pub head: Vec<u8>,
    pub(crate) events: BTreeMap<Event, u64>,
    pub(crate) marks: Vec<(u64, Step)>,
    pub(crate) devices: Vec<u32>,
    pub(crate) canaries: Vec<Vec<u8>>,
    pub(crate) processes: Processes,
    pub(crate) noted: Option<Noted>,
}

impl Unfinished {
    /// The journals in a directory whose processes are gone, in order of name.
    pub fn list(directory: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_left = |path: &PathBuf| {
            path.extension().is_some_and(|suffix| suffix == SUFFIX)
                && File::open(path)
                    .is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok())
        };
        let mut paths: Vec<_> = entries.filter(is_left).collect();
        paths.sort();
        paths
    }

    /// Reads a journal up to its end, or to where it is torn.
    ///
    /// # Errors
    /// An I/O error, or `InvalidData` for what is no journal.
    pub fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut input = io::BufReader::new(file).take(MAX_JOURNAL_BYTES);
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no journal of this version"));
        }
        let mut this = Self::default();
        while let Some((kind, payload)) = next_entry(&mut input)? {
            this.take(kind, payload);
        }
        Ok(this)
    }

    fn take(&mut self, kind: u8, payload: Vec<u8>) {
        match kind {
            b'H' => self.head = payload,
            b'E' => {
                if let Ok((event, time, _)) = Event::parse(&payload) {
                    let first = self.events.entry(event).or_insert(time);
                    *first = time.min(*first);
                }
            }
            b'S' => {
                if let (Some(&time), Some(&step)) = (payload.first_chunk(), payload.last_chunk()) {
                    self.marks.push((u64::from_le_bytes(time), Step(u32::from_le_bytes(step))));
                }
            }
            b'D' => self.devices.extend(payload.first_chunk().map(|&device| u32::from_le_bytes(device))),
            b'C' => self.canaries.push(payload),
            b'P' => {
                if let Ok((event, time, _)) = Event::parse(&payload) {
                    self.processes.take(event, time, &Event::process(&payload));
                }
            }
            b'A' => self.noted = Noted::from_bytes(&payload).or(self.noted.take()),
            _ => {}
        }
    }

    /// The number of the last step that began.
    pub fn last_step(&self) -> u32 {
        self.marks.iter().map(|(_, step)| step.0).max().unwrap_or(0)
    }
}

/// The next whole entry; `None` at the end or where it is torn.
fn next_entry(input: &mut impl Read) -> io::Result<Option<(u8, Vec<u8>)>> {
    let torn = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Ok(None),
        _ => Err(error),
    };
    let mut head = [0; 5];
    if let Err(error) = input.read_exact(&mut head) {
        return torn(error);
    }
    let [kind, length @ ..] = head;
    let length = u32::from_le_bytes(length);
    if length > MAX_ENTRY_BYTES {
        return Ok(None);
    }
    let mut payload = Vec::new();
    input.take(u64::from(length)).read_to_end(&mut payload)?;
    Ok((payload.len() as u64 == u64::from(length)).then_some((kind, payload)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Op;
    use crate::wire::tests::record;

    #[test]
    fn a_journal_is_read_up_to_where_it_is_torn() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::create(directory.path()).unwrap();
        journal.note(b"old");
        let none = (0, 0, &b""[..]);
        let mut entries = Entries::default();
        entries.step(70, Step(3));
        entries.add(b'E', &record(Op::Stat, [(1, 0, &b"/etc\0"[..]), none, none, none, none, none]));
        journal.append(&entries);
        journal.note(b"new");
        assert!(Unfinished::list(directory.path()).is_empty(), "its writer lives");
        let whole = std::fs::read(&journal.path).unwrap();
        let torn = directory.path().join("1-0.journal");
        for length in MAGIC.len()..=whole.len() {
            std::fs::write(&torn, &whole[..length]).unwrap();
            let read = Unfinished::read(&torn).unwrap();
            let head: &[u8] = match length {
                _ if length == whole.len() => b"new",
                _ if length < MAGIC.len() + 8 => b"",
                _ => b"old",
            };
            assert_eq!(read.head, head, "{length} bytes");
        }
        let read = Unfinished::read(&torn).unwrap();
        assert_eq!((read.events.len(), read.last_step(), read.marks), (1, 3, vec![(70, Step(3))]));
        assert_eq!(Unfinished::list(directory.path()), std::slice::from_ref(&torn));
        drop(journal);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        std::fs::write(&torn, "something else, and long enough").unwrap();
        assert!(Unfinished::read(&torn).is_err());
    }
}
