//! Which unpacked layers are in use, and room made by removing those that are not.
//!
//! Whoever has an image unpacked names its layers in a file of `store/uses`, locked as long as the image may run; a file
//! that nobody has locked is of a killed process. `store/used` has an empty file for each layer, whose time is that of
//! its last use. `store/uses.lock` is held while a use is written down, and while layers are removed: so none goes that
//! somebody is about to run.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use image::Digest;

use crate::Standing;

/// Names of uses longer than this are not believed: an image has at most 1024 layers.
const MAX_USE_BYTES: u64 = 1 << 20;

/// How soon it is seen that a turn came, or an interrupt.
const GLANCE: Duration = Duration::from_millis(50);

/// The unpacked layers of a data directory.
#[derive(Debug, Clone)]
pub struct LayerStore {
    dir: PathBuf,
}

/// What was removed, or would be.
#[derive(Debug, Default)]
pub struct RemovedLayers {
    /// In order of their chain IDs.
    pub layers: Vec<RemovedLayer>,
    /// How many layers somebody uses right now.
    pub in_use: usize,
    /// What could not be removed, and why.
    pub failed: Vec<(PathBuf, io::Error)>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedLayer {
    /// The chain ID by which it was kept.
    pub chain_id: Digest,
    /// The room that it took.
    pub bytes: u64,
    /// When it was last in use, as far as that is known.
    pub last_use: SystemTime,
}

impl RemovedLayers {
    /// The room that all of them took.
    pub fn bytes(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.bytes))
    }
}

/// Layers that are in use as long as this lives.
#[derive(Debug)]
pub(crate) struct LayersInUse {
    store: LayerStore,
    names: Vec<String>,
    /// Removed, and its lock let go, when this is dropped.
    _use_file: tempfile::NamedTempFile,
}

impl LayerStore {
    /// The layers that somebody of our standing has unpacked beneath a data directory.
    pub fn of(data_dir: &Path) -> Self {
        Self { dir: data_dir.join(Standing::of_this_process().store_name()) }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The name under which a layer is kept.
    pub(crate) fn name(chain_id: Digest) -> String {
        format!("sha256-{}", chain_id.hex())
    }

    /// Where it lies once it is unpacked.
    pub(crate) fn layer(&self, name: &str) -> PathBuf {
        self.dir.join("layers").join(name)
    }

    /// Writes down that these layers are used, whether they are there already or not.
    ///
    /// # Errors
    /// `Interrupted` if the user wants an end while somebody else removes layers; else what the file system says.
    pub(crate) fn use_layers(&self, names: Vec<String>, interrupt: &AtomicBool) -> io::Result<LayersInUse> {
        for folder in ["uses", "used"] {
            fs::create_dir_all(self.dir.join(folder))?;
        }
        let turn = self.take_turn(true, interrupt)?;
        let _turn = turn.ok_or_else(|| io::Error::from(io::ErrorKind::Interrupted))?;
        let mut file = tempfile::Builder::new().prefix("use-").tempfile_in(self.dir.join("uses"))?;
        file.as_file().lock()?;
        file.write_all(names.join("\n").as_bytes())?;
        let in_use = LayersInUse { store: self.clone(), names, _use_file: file };
        in_use.touch()?;
        Ok(in_use)
    }

    /// Removes layers that nobody uses, and that nobody used for as long as `age`; with `dry_run` only tells which.
    ///
    /// What is no layer stays as it is. Unless `wait` is set, nothing is done while somebody else begins to use layers,
    /// or removes some.
    ///
    /// # Errors
    /// If the store cannot be listed or locked. What cannot be removed is no error: it is told.
    pub fn remove_unused(
        &self,
        age: Duration,
        dry_run: bool,
        wait: bool,
        interrupt: &AtomicBool,
    ) -> io::Result<RemovedLayers> {
        let mut removed = RemovedLayers::default();
        if !self.dir.join("layers").is_dir() {
            return Ok(removed);
        }
        let Some(_turn) = self.take_turn(wait, interrupt)? else { return Ok(removed) };
        let in_use = self.in_use()?;
        let now = SystemTime::now();
        if !dry_run {
            self.clear_doomed()?;
        }
        for (name, chain_id) in self.layers()? {
            if interrupt.load(Ordering::Relaxed) {
                break;
            }
            let last_use = self.last_use(&name);
            if in_use.contains(&name) {
                removed.in_use += 1;
                continue;
            }
            // A time to come is that of a clock that was set back.
            if now.duration_since(last_use).unwrap_or_default() < age {
                continue;
            }
            let bytes = room_of(&self.layer(&name));
            match if dry_run { Ok(()) } else { self.remove(&name) } {
                Ok(()) => removed.layers.push(RemovedLayer { chain_id, bytes, last_use }),
                Err(error) => removed.failed.push((self.layer(&name), error)),
            }
        }
        Ok(removed)
    }

    /// `None` if somebody else has it, and we do not wait for that or are interrupted.
    fn take_turn(&self, wait: bool, interrupt: &AtomicBool) -> io::Result<Option<File>> {
        let turn = self.lock_file()?;
        loop {
            match turn.try_lock() {
                Ok(()) => return Ok(Some(turn)),
                Err(TryLockError::WouldBlock) if !wait || interrupt.load(Ordering::Relaxed) => {
                    return Ok(None);
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(GLANCE),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    fn lock_file(&self) -> io::Result<File> {
        File::options().create(true).truncate(false).write(true).open(self.dir.join("uses.lock"))
    }

    /// The names in all uses whose process lives; the files of others go.
    fn in_use(&self) -> io::Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        let entries = match fs::read_dir(self.dir.join("uses")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            // Opening something else, such as a FIFO, might hold us up.
            if !fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
                continue;
            }
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            match file.try_lock() {
                Ok(()) => {
                    let _gone_already = fs::remove_file(&path);
                }
                Err(TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    io::Read::read_to_string(&mut io::Read::take(file, MAX_USE_BYTES), &mut text)?;
                    names.extend(text.lines().map(str::to_owned));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(names)
    }

    /// The layers that are there. A name that is none of ours, or no directory, is left alone.
    fn layers(&self) -> io::Result<Vec<(String, Digest)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.dir.join("layers"))? {
            let entry = entry?;
            let name = entry.file_name();
            let layer = name.to_str().and_then(|name| {
                let hex = name.strip_prefix("sha256-")?;
                Some((name.to_owned(), format!("sha256:{hex}").parse().ok()?))
            });
            match layer {
                Some(layer) if entry.file_type()?.is_dir() => found.push(layer),
                _ => tracing::debug!(name = %name.display(), "something in the store is no layer"),
            }
        }
        found.sort();
        Ok(found)
    }

    /// Layers that an earlier version unpacked have no file for it: then the time at which they got their name.
    fn last_use(&self, name: &str) -> SystemTime {
        let written =
            fs::symlink_metadata(self.dir.join("used").join(name)).and_then(|found| found.modified());
        written.unwrap_or_else(|_| {
            let named = fs::symlink_metadata(self.layer(name)).map_or(0, |found| found.ctime());
            SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(named).unwrap_or(0))
        })
    }

    /// A directory that bears the name of a layer is whole, so the name goes first.
    fn remove(&self, name: &str) -> io::Result<()> {
        fs::create_dir_all(self.doomed())?;
        let to = self.doomed().join(name);
        fs::rename(self.layer(name), &to)?;
        let _was_never_used = fs::remove_file(self.dir.join("used").join(name));
        fs::remove_dir_all(&to)
    }

    /// Where layers lie that are being removed.
    fn doomed(&self) -> PathBuf {
        self.dir.join("unused")
    }

    /// What somebody was removing who was killed.
    fn clear_doomed(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.doomed()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl LayersInUse {
    /// Writes down that the layers are used now.
    fn touch(&self) -> io::Result<()> {
        for name in &self.names {
            let file = self.store.dir.join("used").join(name);
            let file = File::options().create(true).truncate(false).write(true).open(file)?;
            file.set_modified(SystemTime::now())?;
        }
        Ok(())
    }
}

impl Drop for LayersInUse {
    fn drop(&mut self) {
        if let Err(error) = self.touch() {
            tracing::debug!(%error, "cannot write down when layers were used");
        }
    }
}

/// The room that a directory takes on disk, hard links counted once. What cannot be looked at counts nothing.
fn room_of(dir: &Path) -> u64 {
    let mut known = BTreeSet::new();
    let mut todo = vec![dir.to_owned()];
    let mut bytes = 0_u64;
    while let Some(path) = todo.pop() {
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if found.nlink() > 1 && !found.is_dir() && !known.insert(found.ino()) {
            continue;
        }
        bytes = bytes.saturating_add(found.blocks().saturating_mul(512));
        if found.is_dir() {
            todo.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// A store with layers of these names, each of which was last used so many days ago.
    fn store(layers: &[(&str, u32)]) -> (tempfile::TempDir, LayerStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = LayerStore { dir: dir.path().to_owned() };
        fs::create_dir(dir.path().join("used")).unwrap();
        for (name, days) in layers {
            fs::create_dir_all(store.layer(name).join("etc")).unwrap();
            fs::write(store.layer(name).join("etc/file"), [b'x'; 5000]).unwrap();
            fs::hard_link(store.layer(name).join("etc/file"), store.layer(name).join("etc/same")).unwrap();
            let used = File::create(dir.path().join("used").join(name)).unwrap();
            used.set_modified(SystemTime::now() - DAY * *days).unwrap();
        }
        (dir, store)
    }

    fn name(digit: char) -> String {
        format!("sha256-{}", digit.to_string().repeat(64))
    }

    fn remove(store: &LayerStore, days: u32, dry_run: bool) -> (Vec<String>, usize) {
        let removed = store.remove_unused(DAY * days, dry_run, true, &AtomicBool::new(false)).unwrap();
        assert!(removed.failed.is_empty(), "{:?}", removed.failed);
        for layer in &removed.layers {
            assert!((8192..32768).contains(&layer.bytes), "{layer:?}");
        }
        (removed.layers.iter().map(|layer| LayerStore::name(layer.chain_id)).collect(), removed.in_use)
    }

    fn there(store: &LayerStore) -> BTreeSet<String> {
        let entries = fs::read_dir(store.dir.join("layers")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn layers_that_nobody_used_for_long_go_and_those_in_use_stay() {
        let [old, used, recent] = ['a', 'b', 'c'].map(name);
        let (_dir, store) = store(&[(&old, 31), (&used, 31), (&recent, 29)]);
        let in_use = store.use_layers(vec![used.clone()], &AtomicBool::new(false)).unwrap();
        assert_eq!(remove(&store, 30, true), (vec![old.clone()], 1));
        assert_eq!(there(&store).len(), 3, "a trial removes nothing");
        assert_eq!(remove(&store, 30, false), (vec![old.clone()], 1));
        assert_eq!(there(&store), BTreeSet::from([used.clone(), recent.clone()]));
        assert!(!store.dir.join("used").join(&old).exists() && !store.doomed().join(&old).exists());
        assert_eq!(remove(&store, 0, false), (vec![recent], 1));
        drop(in_use);
        assert_eq!(remove(&store, 30, false), (vec![], 0), "it was in use a moment ago");
        assert_eq!(remove(&store, 0, false), (vec![used], 0));
        assert_eq!(fs::read_dir(store.dir.join("uses")).unwrap().count(), 0);
    }

    #[test]
    fn a_use_of_a_killed_process_keeps_nothing() {
        let (_dir, store) = store(&[(&name('a'), 40)]);
        fs::create_dir(store.dir.join("uses")).unwrap();
        fs::write(store.dir.join("uses/use-x"), name('a')).unwrap();
        fs::create_dir(store.doomed()).unwrap();
        fs::write(store.doomed().join("half"), "").unwrap();
        assert_eq!(remove(&store, 30, false), (vec![name('a')], 0));
        assert!(!store.dir.join("uses/use-x").exists() && !store.doomed().join("half").exists());
    }

    #[test]
    fn what_is_no_layer_stays_as_it_is() {
        use std::os::unix::ffi::OsStrExt as _;
        let (dir, store) = store(&[(&name('a'), 40)]);
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("precious"), "").unwrap();
        let layers = store.dir.join("layers");
        std::os::unix::fs::symlink(&outside, layers.join(name('b'))).unwrap();
        fs::write(layers.join(name('c')), "a file").unwrap();
        let foreign: [&[u8]; 5] = [b"..x", b"sha256-", b"sha256-\xff", b"line\nbreak", b"sha256-ABC"];
        for name in foreign {
            fs::create_dir(layers.join(std::ffi::OsStr::from_bytes(name))).unwrap();
        }
        fs::create_dir_all(store.dir.join("uses")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            store.dir.join("uses/fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert_eq!(remove(&store, 0, false), (vec![name('a')], 0));
        assert_eq!(fs::read_dir(&layers).unwrap().count(), 7);
        assert!(outside.join("precious").exists());
    }

    #[test]
    fn nobody_begins_to_use_a_layer_that_is_being_removed() {
        let (_dir, store) = store(&[(&name('a'), 40)]);
        let turn = store.lock_file().unwrap();
        turn.lock().unwrap();
        let interrupt = AtomicBool::new(false);
        let removed = store.remove_unused(DAY, false, false, &interrupt).unwrap();
        assert!(removed.layers.is_empty() && there(&store).len() == 1, "somebody else has the turn");
        std::thread::scope(|scope| {
            let begun = scope.spawn(|| store.use_layers(vec![name('a')], &interrupt).unwrap());
            std::thread::sleep(Duration::from_millis(200));
            assert!(!begun.is_finished());
            drop(turn);
            begun.join().unwrap()
        });
        let _turn = store.take_turn(false, &interrupt).unwrap().unwrap();
        interrupt.store(true, Ordering::Relaxed);
        let ended = store.use_layers(vec![name('a')], &interrupt).unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::Interrupted);
        assert!(store.remove_unused(Duration::ZERO, false, true, &interrupt).unwrap().layers.is_empty());
    }

    #[test]
    fn a_store_that_is_not_there_has_nothing_to_remove() {
        let dir = tempfile::tempdir().unwrap();
        let store = LayerStore { dir: dir.path().join("none") };
        assert_eq!(remove(&store, 0, false), (vec![], 0));
        assert!(!store.dir.exists());
    }
}
