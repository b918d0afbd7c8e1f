//! A recording on disk while it goes on, so that one whose process is killed is not lost.
//!
//! A journal is a magic line, then entries: a kind (1 byte), a length (4 bytes, little-endian), a payload. One thread
//! writes at a time to a file that is only appended to, so whoever reads it after a kill finds whole entries and at most
//! one torn one at the end. What does not fit on the disk is cut off again, and nothing follows it.
//!
//! The file is locked as long as its writer lives, and gets its name once it is: a journal that nobody has locked is
//! that of a killed recording.
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

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use profile::Step;
use rustix::fs::{FlockOperation, flock};

use crate::activity::Noted;
use crate::events::Events;
use crate::processes::Processes;
use crate::wire::Event;

const MAGIC: &[u8] = b"careen journal 1\n";
const SUFFIX: &str = "journal";
/// Of one that is being made: nobody looks at it.
const NEW_SUFFIX: &str = "new";
const MAX_ATTEMPTS: u32 = 10_000;
/// Largest entry that is believed.
const MAX_ENTRY_BYTES: u32 = 64 << 20;
/// Largest journal that is read: about four million uses.
const MAX_JOURNAL_BYTES: u64 = 4 << 30;

/// The journal of a recording that goes on. The file is removed when this is dropped: then the recording has ended,
/// and whoever made it has what it gave.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    writer: Mutex<Writer>,
}

#[derive(Debug)]
struct Writer {
    file: File,
    /// Bytes up to the end of the last whole entry.
    whole: u64,
    /// Whether something could not be written: then nothing more is.
    has_failed: bool,
}

impl Journal {
    /// Begins a journal in a directory, which is made if need be.
    ///
    /// # Errors
    /// An I/O error if the file cannot be made.
    pub fn create(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let pid = std::process::id();
        for attempt in 0..MAX_ATTEMPTS {
            let name = |suffix| directory.join(format!("{pid}-{attempt}.{suffix}"));
            let path = name(SUFFIX);
            if let Some(file) = begin(&name(NEW_SUFFIX), &path)? {
                let writer = Writer { file, whole: MAGIC.len() as u64, has_failed: false };
                return Ok(Self { path, writer: Mutex::new(writer) });
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Notes what the owner wants to find again, in place of what was noted before.
    pub fn note(&self, head: &[u8]) {
        let mut entries = Entries::default();
        entries.add(b'H', head);
        self.append(&entries);
    }

    /// Writes these, if nothing has failed before.
    pub(crate) fn append(&self, entries: &Entries) {
        // Whoever panicked while it wrote has left a torn entry at most, which is at the end.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writer.append(&entries.0) {
            let path = self.path.display();
            tracing::warn!(%error, "cannot write {path}: if careen is killed, this recording is lost from here on");
        }
    }
}

impl Writer {
    /// Writes whole entries: one that is written in part is cut off again.
    fn append(&mut self, entries: &[u8]) -> io::Result<()> {
        if entries.is_empty() || self.has_failed {
            return Ok(());
        }
        self.has_failed = true;
        if let Err(error) = self.file.write_all(entries) {
            // If that fails, too, a reader leaves the torn entry out.
            let _still_torn = self.cut(entries);
            return Err(error);
        }
        self.whole += entries.len() as u64;
        self.has_failed = false;
        Ok(())
    }

    /// Ends the file after the last whole entry of those of which some were written.
    fn cut(&self, entries: &[u8]) -> io::Result<()> {
        let written = self.file.metadata()?.len().saturating_sub(self.whole);
        let written = usize::try_from(written).map_or(entries.len(), |written| written.min(entries.len()));
        self.file.set_len(self.whole + whole_entries(&entries[..written]) as u64)
    }
}

/// The length of the whole entries at the beginning of these bytes.
fn whole_entries(bytes: &[u8]) -> usize {
    let mut whole = 0;
    while let Some(&[_, a, b, c, d]) = bytes[whole..].first_chunk() {
        let next = (u32::from_le_bytes([a, b, c, d]) as usize).saturating_add(whole + 5);
        if next > bytes.len() {
            break;
        }
        whole = next;
    }
    whole
}

/// Makes a locked journal under a name that is not taken for one, then gives it its own. `None` if one of them is taken.
///
/// Only who has locked what lies under the first name may take that away, by giving it the second or as abandoned.
fn begin(new: &Path, path: &Path) -> io::Result<Option<File>> {
    let mut file = match OpenOptions::new().append(true).create_new(true).open(new) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            remove_abandoned(new);
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    if !has_locked(&file, new) {
        // Somebody takes it for abandoned, and removes it.
        return Ok(None);
    }
    let named = file.write_all(MAGIC).and_then(|()| match path.exists() {
        true => Err(io::ErrorKind::AlreadyExists.into()),
        false => std::fs::rename(new, path),
    });
    match named {
        Ok(()) => Ok(Some(file)),
        Err(error) => {
            std::fs::remove_file(new)?;
            if error.kind() == io::ErrorKind::AlreadyExists { Ok(None) } else { Err(error) }
        }
    }
}

/// Removes what somebody left who was killed before it had its name.
fn remove_abandoned(new: &Path) {
    if let Ok(file) = File::open(new)
        && has_locked(&file, new)
        && let Err(error) = std::fs::remove_file(new)
    {
        tracing::debug!(%error, "cannot remove {}", new.display());
    }
}

/// Locks a file; whether it is then the one of this name.
fn has_locked(file: &File, name: &Path) -> bool {
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
        && file.metadata().map(identity).ok() == std::fs::metadata(name).map(identity).ok()
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

    pub(crate) fn len(&self) -> usize {
        self.0.len()
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
    pub(crate) events: Events,
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
        // One that ended in order is removed before it is unlocked.
        let is_abandoned = |file: File| {
            flock(&file, FlockOperation::NonBlockingLockShared).is_ok()
                && file.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
        };
        let is_left = |path: &PathBuf| {
            path.extension().is_some_and(|suffix| suffix == SUFFIX)
                && File::open(path).is_ok_and(is_abandoned)
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
                    let _known_or_new = self.events.keep(event, time, usize::MAX);
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

    #[test]
    fn of_entries_written_in_part_the_whole_ones_are_counted() {
        let mut entries = Entries::default();
        entries.add(b'H', b"one");
        entries.add(b'H', b"");
        entries.add(b'H', b"three");
        for length in 0..=entries.0.len() {
            let expected = [0, 8, 13, 23].into_iter().rfind(|whole| *whole <= length);
            assert_eq!(Some(whole_entries(&entries.0[..length])), expected, "{length}");
        }
    }

    #[test]
    fn a_journal_that_is_being_made_is_taken_for_no_killed_one() {
        let directory = tempfile::tempdir().unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let made = std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        assert_eq!(Unfinished::list(directory.path()), Vec::<PathBuf>::new());
                    }
                });
            }
            let make = || (0..1000).all(|_| Journal::create(directory.path()).is_ok());
            let makers = [scope.spawn(make), scope.spawn(make)];
            let made = makers.into_iter().all(|maker| maker.join().unwrap());
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            made
        });
        assert!(made);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn names_that_are_taken_are_left_alone_and_abandoned_ones_go() {
        let directory = tempfile::tempdir().unwrap();
        let pid = std::process::id();
        let path = |name: &str| directory.path().join(format!("{pid}-{name}"));
        std::fs::write(path("0.journal"), "of a killed one").unwrap();
        std::fs::write(path("1.new"), "").unwrap();
        let being_made = File::create(path("2.new")).unwrap();
        flock(&being_made, FlockOperation::NonBlockingLockExclusive).unwrap();
        let journal = Journal::create(directory.path()).unwrap();
        assert_eq!(journal.path, path("3.journal"));
        assert_eq!(std::fs::read(path("0.journal")).unwrap(), b"of a killed one");
        assert!(path("2.new").exists() && !path("1.new").exists() && !path("0.new").exists());
        assert_eq!(Unfinished::list(directory.path()), [path("0.journal")]);
    }
}
