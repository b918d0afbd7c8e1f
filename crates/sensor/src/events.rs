//! Distinct events, as small as they can be kept.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use crate::wire::{Chain, Event, Program};

/// Each distinct event with the time at which it was first seen, in nanoseconds of the monotonic clock.
///
/// Many events are of few programs, roots and directories: those are kept once.
#[derive(Debug, Default)]
pub(crate) struct Events {
    table: HashTable<Entry>,
    chains: HashSet<Arc<Chain>>,
    programs: HashSet<Arc<Program>>,
    hasher: RandomState,
    footprint: usize,
}

#[derive(Debug)]
struct Entry {
    /// Kept, so that no event is read again when the table grows.
    hash: u64,
    time: u64,
    event: Arc<Event>,
}

/// What became of an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is a new one.
    New(Arc<Event>),
    /// It was there already.
    Known,
    /// It is a new one for which there is no room.
    NoRoom,
}

impl Events {
    /// Keeps an event, if all that are kept do not take more than `limit` bytes then, roughly.
    pub(crate) fn keep(&mut self, event: Event, time: u64, limit: usize) -> Kept {
        let hash = self.hasher.hash_one(&event);
        if let Some(known) = self.table.find_mut(hash, |entry| *entry.event == event) {
            known.time = known.time.min(time);
            return Kept::Known;
        }
        let footprint = event.footprint();
        if self.footprint + footprint > limit {
            return Kept::NoRoom;
        }
        self.footprint += footprint;
        let event = Arc::new(self.shared(event));
        self.table.insert_unique(hash, Entry { hash, time, event: Arc::clone(&event) }, |entry| entry.hash);
        Kept::New(event)
    }

    /// The same event, its parts those of others where they are alike.
    fn shared(&mut self, event: Event) -> Event {
        Event {
            base: event.base.map(|base| one_of(&mut self.chains, base)),
            root: event.root.map(|root| one_of(&mut self.chains, root)),
            program: one_of(&mut self.programs, event.program),
            ..event
        }
    }

    /// Whether this event is there.
    pub(crate) fn contains(&self, event: &Event) -> bool {
        self.table.find(self.hasher.hash_one(event), |entry| *entry.event == *event).is_some()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// All of them, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Event> {
        self.table.iter().map(|entry| &*entry.event)
    }

    /// All of them with their times, in their order: what is made of them does not depend on when they came.
    pub(crate) fn in_order(&self) -> Vec<(&Event, u64)> {
        let mut events: Vec<_> = self.table.iter().map(|entry| (&*entry.event, entry.time)).collect();
        events.sort_unstable();
        events
    }
}

/// What is kept already in place of its like; else it is kept from now on.
fn one_of<T: Eq + Hash>(known: &mut HashSet<Arc<T>>, one: Arc<T>) -> Arc<T> {
    if let Some(known) = known.get(&one) {
        return Arc::clone(known);
    }
    known.insert(Arc::clone(&one));
    one
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Op;
    use crate::wire::tests::record;

    fn event(text: &[u8]) -> Event {
        let none = (0, 0, &b""[..]);
        let [root, exe] = [(1, 7, &b"jail\0"[..]), (1, 7, &b"cat\0bin\0"[..])];
        Event::parse(&record(Op::Stat, [(1, 0, text), none, root, root, exe, none])).unwrap().0
    }

    #[test]
    fn an_event_is_kept_once_with_its_first_time_and_shares_what_is_alike() {
        let mut events = Events::default();
        let Kept::New(first) = events.keep(event(b"/b\0"), 7, usize::MAX) else { panic!() };
        let Kept::New(second) = events.keep(event(b"/a\0"), 9, usize::MAX) else { panic!() };
        assert_eq!(events.keep(event(b"/b\0"), 5, usize::MAX), Kept::Known);
        assert!(Arc::ptr_eq(&first.program, &second.program));
        assert!(Arc::ptr_eq(first.root.as_ref().unwrap(), second.base.as_ref().unwrap()));
        assert_eq!(events.in_order(), [(&event(b"/a\0"), 9), (&event(b"/b\0"), 5)]);
        assert!(size_of::<Event>() <= 96, "there may be millions");
        assert!(events.contains(&event(b"/a\0")) && !events.contains(&event(b"/c\0")));
    }
}
