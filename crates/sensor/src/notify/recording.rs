//! A recording by notification, from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use image::Tree;
use profile::{PassedOver, Step};
use rustix::pipe::{PipeFlags, pipe_with};
use sys::seccomp::Instruction;

use super::held::Listed;
use super::place::Atlas;
use super::serve::{Account, Order, Server, note, wake};
use crate::follow::Guide;
use crate::journal::Entries;
use crate::observe::Observer;
use crate::recording::{Uses, compare_held, now};
use crate::rootfs::Rootfs;
use crate::snapshot::Held;
use crate::{Journal, Record, SensorError, Target, making};

/// The name under which this backend stands in profiles.
pub const BACKEND: &str = "seccomp-notify";

/// What this backend cannot see, and why that does little harm.
pub const NOT_SEEN: [&str; 7] = [
    "io_uring: its rings pass no filter, so programs are told that the kernel has none (ENOSYS)",
    "opening by handle: there is no path to read, and a user namespace has no right to it",
    "whether a call that found its path was refused for lack of permission: it counts as a use",
    "what a process changes in its own memory between our look at a path and the kernel's",
    "lookups through a link of the container's own into /proc, or that fail through /proc of another process",
    "what is done beside using files: system calls, capabilities, sockets, processes",
    "what a seccomp listener of the workload's own would let it do: the kernel allows one, which is ours (EBUSY)",
];

/// How long the thread may take to tell what processes hold.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(10);

/// What the engine needs to let a container be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// A path that exists nowhere and is looked up through each listener before the workload runs.
    pub path: String,
}

/// The backend, before it watches.
#[derive(Debug)]
pub struct Watcher {
    canary: Canary,
    journal: Option<Arc<Journal>>,
    passed_over: Vec<PassedOver>,
}

impl Default for Watcher {
    fn default() -> Self {
        Self::new()
    }
}

impl Watcher {
    /// A watcher for one recording.
    pub fn new() -> Self {
        let path = format!("/careen-canary-{}-{}/stat", std::process::id(), now());
        Self { canary: Canary { path }, journal: None, passed_over: Vec::new() }
    }

    /// A watcher for one recording that others cannot make.
    pub(crate) fn in_place_of(passed_over: Vec<PassedOver>) -> Self {
        Self { passed_over, ..Self::new() }
    }

    /// Keeps the recording in a journal while it goes on.
    pub fn keep(&mut self, journal: Arc<Journal>) {
        self.journal = Some(journal);
    }

    /// The filter to put on what is to be watched.
    pub fn filter(&self) -> Vec<Instruction> {
        super::filter()
    }

    /// What must be looked up first thing under the filter.
    pub fn canary(&self) -> &Canary {
        &self.canary
    }

    /// Watches a container from now on, through the listeners that the recording's sink is given.
    ///
    /// # Errors
    /// [`SensorError`] if the target is not what it should be.
    pub fn watch(self, target: &Target) -> Result<Recording, SensorError> {
        let rootfs = Rootfs::new(&target.rootfs)?;
        let thread = |source| SensorError::Thread { source };
        let (orders, received) = channel();
        let (reader, writer) =
            pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(|e| thread(e.into()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let server = Server {
            orders: received,
            wake: reader,
            stop: Arc::clone(&stop),
            guide: Guide::new(target)?,
            atlas: Atlas::new(Rootfs::new(&target.rootfs)?),
            canary: self.canary.path.into_bytes(),
            one_user: target.one_user,
            journal: self.journal.clone(),
        };
        let handle = std::thread::Builder::new().name("notify".to_owned()).spawn(|| server.run());
        let mut recording = Recording {
            rootfs,
            sink: Sink { orders, wake: Arc::new(writer) },
            stop,
            thread: Some(handle.map_err(thread)?),
            journal: self.journal,
            marks: Vec::new(),
            held: BTreeMap::new(),
            passed_over: self.passed_over,
            unlisted: None,
        };
        recording.look_again();
        Ok(recording)
    }
}

/// Where listeners go.
#[derive(Debug, Clone)]
pub struct Sink {
    orders: Sender<Order>,
    wake: Arc<OwnedFd>,
}

impl Sink {
    /// Hands over the listener of a process that was just started.
    pub fn give(&self, listener: OwnedFd, process: u32) {
        // Without the thread the listener closes, and the process cannot go on.
        let _gone = self.orders.send(Order::Listen(listener, process));
        wake(&self.wake);
    }
}

/// A recording in progress.
#[derive(Debug)]
pub struct Recording {
    rootfs: Rootfs,
    sink: Sink,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Account>>,
    journal: Option<Arc<Journal>>,
    /// Beginnings of steps, in order of time.
    marks: Vec<(u64, Step)>,
    held: BTreeMap<Held, u64>,
    passed_over: Vec<PassedOver>,
    /// Why what processes held could not be listed, the first time.
    unlisted: Option<String>,
}

/// What was listed if no answer came.
fn unlisted(error: &RecvTimeoutError) -> Listed {
    let missing = match error {
        RecvTimeoutError::Timeout => format!("no answer came within {SNAPSHOT_PATIENCE:?}"),
        RecvTimeoutError::Disconnected => "the thread that answers has ended".to_owned(),
    };
    Listed { missing: Some(missing), ..Listed::default() }
}

impl Recording {
    /// Where listeners go.
    pub fn sink(&self) -> Sink {
        self.sink.clone()
    }

    fn look_again(&mut self) {
        if let Err(error) = self.rootfs.look_again() {
            tracing::debug!(%error, "the root file system is not there now");
        }
        let devices = self.rootfs.devices();
        self.keep(|entries| devices.for_each(|device| entries.add(b'D', &device.to_le_bytes())));
    }

    fn keep(&self, fill: impl FnOnce(&mut Entries)) {
        if let Some(journal) = &self.journal {
            let mut entries = Entries::default();
            fill(&mut entries);
            journal.append(&entries);
        }
    }

    /// Uses from now on belong to this step.
    pub fn begin_step(&mut self, step: Step) {
        self.look_again();
        let time = now();
        self.marks.push((time, step));
        self.keep(|entries| entries.step(time, step));
    }

    /// Notes which files live processes hold open or mapped, to be compared with the record.
    pub fn snapshot(&mut self) {
        self.look_again();
        let (to, from) = channel();
        if self.sink.orders.send(Order::Snapshot(to)).is_ok() {
            wake(&self.sink.wake);
        }
        let listed = from.recv_timeout(SNAPSHOT_PATIENCE).unwrap_or_else(|error| unlisted(&error));
        note(&mut self.held, listed.held);
        if let Some(why) = listed.missing {
            self.unlisted.get_or_insert(why);
        }
    }

    /// Ends the recording and resolves it on the image's tree. The processes of the container should have ended.
    ///
    /// # Errors
    /// [`SensorError::Consumer`] if the thread has panicked.
    pub fn finish(mut self, tree: &Tree) -> Result<Record, SensorError> {
        self.look_again();
        let account = self.end().ok_or(SensorError::Consumer)?;
        let mut counters = account.counters();
        let mut observer = Observer::new(tree, &self.rootfs);
        let events = account.harvest.events.in_order();
        making::find(&mut observer, &events.iter().map(|(event, _)| *event));
        observer.look_for_places(events.iter().map(|(event, _)| *event));
        let mut uses = Uses::default();
        let mut named = BTreeSet::new();
        for (event, time) in events {
            uses.add(&observer, observer.uses(event), &event.program, time);
            if let Some(trace) = account.harvest.traces.get(event) {
                uses.add(&observer, observer.traced(event, trace), &event.program, time);
            }
            named.extend(observer.named(event).map(|path| uses.shared(tree, path)));
        }
        compare_held(&self.held, &observer, &mut uses, &mut counters);
        let passed_over = std::mem::take(&mut self.passed_over);
        let mut record = Record::new(uses, named, &self.marks, counters, BACKEND);
        record.not_seen.extend(observer.not_followed());
        Ok(Record { passed_over, unlisted: self.unlisted.take(), ..record })
    }

    fn end(&mut self) -> Option<Account> {
        self.stop.store(true, Ordering::Release);
        wake(&self.sink.wake);
        self.thread.take()?.join().ok()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // The thread ends once the container is gone, and keeps nobody waiting.
        self.stop.store(true, Ordering::Release);
        wake(&self.sink.wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_does_not_come_is_missing() {
        let missing = |error| unlisted(&error).missing.unwrap();
        assert_eq!(missing(RecvTimeoutError::Timeout), "no answer came within 10s");
        assert_eq!(missing(RecvTimeoutError::Disconnected), "the thread that answers has ended");
    }
}
