//! The thread that answers: it takes listeners in, reads each call that waits, says that it may go on, and keeps what
//! it read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use profile::Counters;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sys::seccomp::{self, Answer, Notification};

use super::ask::{Tables, Told, examine};
use super::held::{Listed, Threads};
use super::place::Atlas;
use crate::Journal;
use crate::consumer::{Harvest, MEMORY_LIMIT};
use crate::events::Kept;
use crate::follow::{Guide, may_tell};
use crate::journal::Entries;
use crate::recording::now;
use crate::snapshot::Held;
use crate::wire::Event;

/// How long the thread sleeps at most before it looks whether it should end.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
const NONE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// Calls that are taken in before one is looked at, so that a storm of them does not keep all waiting.
const MAX_WAITING: usize = 1024;
/// How long processes that were stopped may take to be gone.
const LAST: Duration = Duration::from_secs(2);

/// What the thread is told.
pub(super) enum Order {
    /// Take this listener in; the process that made it, and whether that is the first of the container.
    Listen(OwnedFd, u32),
    /// Tell what live processes hold.
    Snapshot(Sender<Listed>),
}

/// What the thread did.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) harvest: Harvest,
    /// Uses found in calls, counted where they were found.
    pub(super) seen: u64,
    pub(super) duplicate: u64,
    /// Uses that were new.
    pub(super) emitted: u64,
    pub(super) dropped: u64,
    pub(super) faulted: u64,
    /// Listeners taken in.
    pub(super) listeners: u64,
    /// Of those, the ones through which the canary came.
    pub(super) canaries: u64,
    /// Of those, the ones that were still in use at the end.
    pub(super) unfinished: u64,
}

struct Listener {
    fd: OwnedFd,
    /// Calls that were taken in, and not looked at yet.
    waiting: VecDeque<Notification>,
    canary_seen: bool,
}

pub(super) struct Server {
    pub(super) orders: Receiver<Order>,
    /// Readable when there is an order.
    pub(super) wake: OwnedFd,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) atlas: Atlas,
    pub(super) guide: Guide,
    /// The path whose look-up proves that a listener is heard.
    pub(super) canary: Vec<u8>,
    /// Whether the container has one user only, so that changes of owner are to be pretended.
    pub(super) one_user: bool,
    pub(super) journal: Option<Arc<Journal>>,
}

impl Server {
    pub(super) fn run(mut self) -> Account {
        let tables = Tables::new();
        let mut account = Account::default();
        let mut listeners: Vec<Listener> = Vec::new();
        let mut threads = Threads::default();
        let mut deadline = None;
        loop {
            if self.stop.load(Ordering::Acquire) {
                // What was handed over just before counts, too.
                self.take_orders(&mut listeners, &mut account, &mut threads);
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + LAST);
                if listeners.is_empty() || Instant::now() > deadline {
                    account.unfinished = listeners.len() as u64;
                    return account;
                }
            }
            let mut fds = vec![PollFd::new(&self.wake, PollFlags::IN)];
            fds.extend(listeners.iter().map(|listener| PollFd::new(&listener.fd, PollFlags::IN)));
            let waiting: usize = listeners.iter().map(|listener| listener.waiting.len()).sum();
            let _looked_at_below = poll(&mut fds, Some(if waiting == 0 { &PATIENCE } else { &NONE }));
            let ready: Vec<_> = fds.iter().map(PollFd::revents).collect();
            let mut ready_of = ready[1..].iter();
            listeners.retain_mut(|listener| {
                let ready = ready_of.next().copied().unwrap_or(PollFlags::empty());
                if ready.contains(PollFlags::IN) {
                    // An error: the caller was killed meanwhile.
                    listener.waiting.extend(seccomp::receive(&listener.fd));
                }
                // Else nobody is left who could ask, or wait.
                !ready.contains(PollFlags::HUP) || ready.contains(PollFlags::IN)
            });
            if !ready[0].is_empty() {
                self.take_orders(&mut listeners, &mut account, &mut threads);
            }
            // What was not taken in yet may be broken by a signal, so that goes before all looks.
            let has_more = ready[1..].iter().any(|ready| ready.contains(PollFlags::IN));
            if has_more && waiting < MAX_WAITING {
                continue;
            }
            for listener in &mut listeners {
                if let Some(call) = listener.waiting.pop_front() {
                    self.serve(listener, &call, &tables, &mut account, &mut threads);
                    break;
                }
            }
            // Each in its turn.
            if !listeners.is_empty() {
                listeners.rotate_left(1);
            }
        }
    }

    fn take_orders(&mut self, listeners: &mut Vec<Listener>, account: &mut Account, threads: &mut Threads) {
        let _only_to_wake = rustix::io::read(&self.wake, &mut [0; 64]);
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Listen(fd, process) => {
                    let _before_linux_6_6 = seccomp::wake_synchronously(&fd);
                    if listeners.is_empty() {
                        self.atlas.begin(process);
                        self.guide.begin_with(process);
                    }
                    account.listeners += 1;
                    listeners.push(Listener { fd, waiting: VecDeque::new(), canary_seen: false });
                }
                Order::Snapshot(to) => {
                    let _gave_up = to.send(threads.held(&mut self.atlas));
                }
            }
        }
    }

    /// Reads and answers one call.
    fn serve(
        &mut self,
        listener: &mut Listener,
        call: &Notification,
        tables: &Tables,
        account: &mut Account,
        threads: &mut Threads,
    ) {
        let told = examine(tables, call, &mut self.atlas).unwrap_or_else(|error| {
            tracing::debug!(%error, "cannot look at a call of thread {}", call.thread);
            Told { faulted: true, ..Told::default() }
        });
        // The caller waits, so what its path leads through is still there.
        let is_new = |event: &&Event| may_tell(event) && !account.harvest.events.contains(event);
        let traces: Vec<_> = told
            .events
            .iter()
            .filter(is_new)
            .filter_map(|event| Some((Arc::new(event.clone()), self.guide.trace(event, call.thread)?)))
            .collect();
        let time = now();
        let is_whole = seccomp::is_waiting(&listener.fd, call.id);
        let answer = match self.one_user
            && seccomp::changes_owner(call.arch, call.number)
            && told.events.iter().all(|e| e.errno == 0)
        {
            true => Answer::Return(0),
            false => Answer::Continue,
        };
        let _killed_meanwhile = seccomp::answer(&listener.fd, call.id, answer);
        if !is_whole {
            return;
        }
        threads.insert(call.thread);
        let is_canary = |text: &Option<Box<[u8]>>| text.as_deref() == Some(&*self.canary);
        if told.events.iter().any(|event| is_canary(&event.text)) {
            account.canaries += u64::from(!std::mem::replace(&mut listener.canary_seen, true));
            return;
        }
        account.harvest.traces.extend(traces);
        let fresh = account.keep(told, time, self.journal.is_some());
        if let Some(journal) = &self.journal {
            journal.append(&fresh);
        }
    }
}

impl Account {
    /// As the profile has it. Each number is counted at a place of its own, so that what is lost between two of them
    /// shows: uses where they are found, new ones where they are kept, received ones in the record itself.
    pub(super) fn counters(&self) -> Counters {
        Counters {
            seen: self.seen,
            duplicate: self.duplicate,
            emitted: self.emitted,
            dropped: self.dropped,
            faulted: self.faulted,
            skipped: self.unfinished,
            received: self.harvest.events.len() as u64,
            canaries_expected: self.listeners,
            canaries_seen: self.canaries,
            ..Counters::default()
        }
    }

    /// Takes in what a call told; gives the records of what is new, if they are wanted.
    fn keep(&mut self, told: Told, time: u64, wants_records: bool) -> Entries {
        let mut fresh = Entries::default();
        self.seen += told.seen;
        if told.faulted {
            self.seen += 1;
            self.faulted += 1;
        }
        for event in told.events {
            let is_wanted = wants_records && !self.harvest.events.contains(&event);
            let record = is_wanted.then(|| event.to_record(time)).flatten();
            match self.harvest.keep(event, time, MEMORY_LIMIT) {
                Kept::New(_) => {
                    self.emitted += 1;
                    record.iter().for_each(|record| fresh.add(b'E', record));
                }
                Kept::Known => self.duplicate += 1,
                Kept::NoRoom => self.dropped += 1,
            }
        }
        fresh
    }
}

/// Files by the time at which they were first held.
pub(super) fn note(held: &mut BTreeMap<Held, u64>, found: BTreeSet<Held>) {
    let time = now();
    for file in found {
        held.entry(file).or_insert(time);
    }
}

/// Wakes the thread.
pub(super) fn wake(pipe: &impl AsFd) {
    // A full pipe wakes, too.
    let _full = rustix::io::write(pipe, &[1]);
}

#[cfg(test)]
mod tests {
    use profile::{Incomplete, Verdict};

    use super::*;
    use crate::events::Events;
    use crate::wire::tests::record;
    use crate::wire::{Event, Op};

    fn event(text: &[u8]) -> Event {
        let none = (0, 0, &b""[..]);
        Event::parse(&record(Op::Stat, [(1, 0, text), none, none, none, none, none])).unwrap().0
    }

    fn verdict(account: &Account) -> Verdict {
        Counters { canaries_expected: 1, canaries_seen: 1, ..account.counters() }.verdict()
    }

    #[test]
    fn an_event_that_is_lost_on_its_way_into_the_record_shows_in_the_account() {
        let mut account = Account::default();
        let told = |seen, texts: &[&[u8]]| Told {
            seen,
            events: texts.iter().map(|text| event(text)).collect(),
            faulted: false,
        };
        account.keep(told(3, &[b"/a\0", b"/b\0", b"/a\0"]), 1, false);
        assert_eq!((account.seen, account.emitted, account.duplicate), (3, 2, 1));
        assert_eq!(verdict(&account), Verdict::Complete);
        account.keep(told(2, &[b"/c\0"]), 1, false);
        let unbalanced = Incomplete::Unbalanced { seen: 5, accounted: 4 };
        assert_eq!(verdict(&account), Verdict::Incomplete { reasons: vec![unbalanced] });
        account.seen -= 1;
        account.harvest.events = Events::default();
        let unreceived = Incomplete::Unreceived { emitted: 3, received: 0 };
        assert_eq!(verdict(&account), Verdict::Incomplete { reasons: vec![unreceived] });
    }
}
