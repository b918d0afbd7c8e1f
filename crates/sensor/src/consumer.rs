//! The thread that takes events in, from loading to the end.
//!
//! It keeps each distinct event once with the earliest time, so the result does not depend on order, and memory is
//! bounded by the number of distinct uses. Beyond [`MEMORY_LIMIT`] an event is thrown away and not counted as received,
//! which makes the verdict incomplete.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use aya::maps::{MapData, RingBuf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::events::{Events, Kept};
use crate::follow::{Follower, Traces};
use crate::journal::{Entries, Journal};
use crate::processes::Processes;
use crate::wire::Event;

/// Bytes of events that are kept at most, roughly.
pub(crate) const MEMORY_LIMIT: usize = 2 << 30;

/// Bytes of entries that the journal is given with one call, roughly.
const MOST_AT_ONCE: usize = 1 << 20;

/// How long the thread sleeps at most before it looks whether it should end, and for what is new: links that a path led
/// through may not be there long.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// What was taken in.
#[derive(Debug, Default)]
pub(crate) struct Harvest {
    /// Each distinct event.
    pub(crate) events: Events,
    /// How many were understood and kept (or were already there).
    pub(crate) received: u64,
    /// Who started whom.
    pub(crate) processes: Processes,
    /// What paths led through in the running container.
    pub(crate) traces: Traces,
}

impl Harvest {
    /// Takes in a record; one of a new use goes to `fresh` as well.
    fn take(&mut self, bytes: &[u8], limit: usize, fresh: &mut Entries, follower: Option<&Follower>) {
        let (event, time) = match Event::parse(bytes) {
            Ok((event, time, _)) => (event, time),
            Err(error) => {
                tracing::error!(%error, "threw away a record: {error}");
                return;
            }
        };
        if event.op.is_of_process() {
            self.processes.take(event, time, &Event::process(bytes));
            fresh.add(b'P', bytes);
            return;
        }
        if let Kept::New(event) = self.keep(event, time, limit) {
            fresh.add(b'E', bytes);
            if let Some(follower) = follower {
                follower.note(event, Event::process(bytes).pid);
            }
        }
    }

    /// Keeps an event. One for which there is no room does not count as received.
    pub(crate) fn keep(&mut self, event: Event, time: u64, limit: usize) -> Kept {
        let kept = self.events.keep(event, time, limit);
        self.received += u64::from(kept != Kept::NoRoom);
        kept
    }
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Consumer {
    stop: Arc<AtomicBool>,
    journal: Arc<OnceLock<Arc<Journal>>>,
    follower: Arc<OnceLock<Follower>>,
    thread: Option<JoinHandle<Harvest>>,
}

impl Consumer {
    pub(crate) fn start(mut ring: RingBuf<MapData>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let journal = Arc::new(OnceLock::<Arc<Journal>>::new());
        let written = Arc::clone(&journal);
        let follower = Arc::new(OnceLock::<Follower>::new());
        let following = Arc::clone(&follower);
        let thread = std::thread::Builder::new().name("sensor".to_owned()).spawn(move || {
            let mut harvest = Harvest::default();
            let mut fresh = Entries::default();
            let write = |fresh: &mut Entries| {
                if let Some(journal) = written.get() {
                    journal.append(fresh);
                }
                fresh.clear();
            };
            loop {
                let last = stopped.load(Ordering::Acquire);
                while let Some(item) = ring.next() {
                    harvest.take(&item, MEMORY_LIMIT, &mut fresh, following.get());
                    // The ring may stay full for as long as the workload goes on.
                    if fresh.len() >= MOST_AT_ONCE {
                        write(&mut fresh);
                    }
                }
                write(&mut fresh);
                if last {
                    return harvest;
                }
                // Whatever poll says, the ring is looked at again.
                let _ = poll(&mut [PollFd::new(&ring, PollFlags::IN)], Some(&PATIENCE));
            }
        })?;
        Ok(Self { stop, journal, follower, thread: Some(thread) })
    }

    /// Has the paths followed of what comes from now on.
    pub(crate) fn follow(&self, follower: Follower) {
        let _first = self.follower.set(follower);
    }

    /// Writes what comes from now on into this journal too.
    pub(crate) fn keep(&self, journal: Arc<Journal>) {
        let _ = self.journal.set(journal);
    }

    /// Takes in what is left and ends. `None` if the thread panicked.
    pub(crate) fn finish(mut self) -> Option<Harvest> {
        self.stop.store(true, Ordering::Release);
        let mut harvest = self.thread.take()?.join().ok()?;
        harvest.traces = self.follower.get().map(Follower::finish).unwrap_or_default();
        Some(harvest)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Op;
    use crate::wire::tests::record;

    #[test]
    fn an_event_beyond_the_limit_is_not_received() {
        let none = (0, 0, &b""[..]);
        let bytes = |text| record(Op::Stat, [(1, 0, text), none, none, none, none, none]);
        let mut harvest = Harvest::default();
        let limit = 2 * Event::parse(&bytes(b"/a\0")).unwrap().0.footprint();
        for text in [&b"/a\0"[..], b"/b\0", b"/c\0", b"/a\0"] {
            harvest.take(&bytes(text), limit, &mut Entries::default(), None);
        }
        assert_eq!((harvest.events.len(), harvest.received), (2, 3));
    }
}
