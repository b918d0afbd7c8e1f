//! Which programs were started by which, from the stream of forks, executions and ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::wire::{Event, Op, Program};

/// Distinct programs that are kept at most.
const MAX_NODES: usize = profile::activity::MAX_STARTED;
/// Processes alive at a time that are followed at most: all that Linux can number.
const MAX_LIVE: usize = 1 << 22;

/// A program with its arguments, started by another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    parent: Option<usize>,
    program: Arc<Program>,
    argv: Box<[u8]>,
}

/// What is known of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    pub(crate) parent: Option<usize>,
    pub(crate) program: Option<Arc<Program>>,
    /// Arguments, each ended by NUL; the last one may be cut.
    pub(crate) argv: Box<[u8]>,
    pub(crate) users: BTreeSet<u32>,
    pub(crate) count: u64,
    pub(crate) forks: u64,
    pub(crate) first_time: u64,
}

/// Where a live process stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    node: Option<usize>,
    /// Whether it has executed its program itself, and not got it from the process that made it.
    executed: bool,
}

/// The programs, each after the one that started it.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    pub(crate) nodes: Vec<Node>,
    known: BTreeMap<Key, usize>,
    live: BTreeMap<u32, Place>,
    /// Records that were taken in.
    pub(crate) received: u64,
    /// Whether there were more than are kept.
    pub(crate) cut: bool,
}

impl Processes {
    /// Takes in a record of a process.
    pub(crate) fn take(&mut self, event: Event, time: u64, process: &ProcessRecord) {
        self.received += 1;
        match event.op {
            Op::Forked => self.forked(process),
            Op::Started => self.started(event, time, process),
            _ => self.exited(process),
        }
    }

    fn forked(&mut self, process: &ProcessRecord) {
        let node = self.live.get(&process.parent).and_then(|place| place.node);
        self.place(process.pid, Place { node, executed: false });
        if let Some(node) = node {
            self.nodes[node].forks += 1;
        }
    }

    fn started(&mut self, event: Event, time: u64, process: &ProcessRecord) {
        let before = self.live.get(&process.pid).copied();
        let parent = match before {
            Some(place) => place.node,
            None => self.live.get(&process.parent).and_then(|place| place.node),
        };
        if let (Some(node), Some(Place { executed: false, .. })) = (parent, before) {
            self.nodes[node].forks = self.nodes[node].forks.saturating_sub(1);
        }
        let key = Key { parent, program: event.program, argv: event.text.unwrap_or_default() };
        let node = match self.known.get(&key) {
            Some(&node) => Some(node),
            None if self.nodes.len() < MAX_NODES => {
                self.nodes.push(Node {
                    parent,
                    program: Some(Arc::clone(&key.program)),
                    argv: key.argv.clone(),
                    first_time: time,
                    ..Node::default()
                });
                self.known.insert(key, self.nodes.len() - 1);
                Some(self.nodes.len() - 1)
            }
            None => {
                self.cut = true;
                None
            }
        };
        if let Some(node) = node {
            let node = &mut self.nodes[node];
            node.count += 1;
            node.users.insert(process.user);
            node.first_time = node.first_time.min(time);
        }
        self.place(process.pid, Place { node, executed: true });
    }

    fn exited(&mut self, process: &ProcessRecord) {
        if let Some(Place { node: Some(node), .. }) = self.live.remove(&process.pid) {
            self.nodes[node].users.insert(process.user);
        }
    }

    fn place(&mut self, pid: u32, place: Place) {
        if self.live.len() < MAX_LIVE {
            self.live.insert(pid, place);
        } else {
            self.cut = true;
        }
    }
}

/// What the head of a record says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessRecord {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) user: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::record;

    fn take(processes: &mut Processes, op: Op, pid: u32, parent: u32, argv: &str) {
        let none = (0, 0, &b""[..]);
        let bytes = record(op, [(1, 0, argv.as_bytes()), none, none, none, none, none]);
        let (event, time, _) = Event::parse(&bytes).unwrap();
        processes.take(event, time, &ProcessRecord { pid, parent, user: pid });
    }

    #[test]
    fn a_program_belongs_to_the_one_whose_fork_executed_it() {
        let mut processes = Processes::default();
        take(&mut processes, Op::Started, 1, 999, "sh\0");
        for child in [10, 20] {
            take(&mut processes, Op::Forked, child, 1, "");
            take(&mut processes, Op::Forked, child + 1, child, "");
            take(&mut processes, Op::Exited, child, 0, "");
            // Its parent is gone, and the kernel names another one.
            take(&mut processes, Op::Started, child + 1, 1, "ls\0-l\0");
            take(&mut processes, Op::Exited, child + 1, 0, "");
        }
        take(&mut processes, Op::Started, 1, 999, "redis\0");
        let nodes: Vec<_> = processes.nodes.iter().map(|n| (&*n.argv, n.parent, n.count, n.forks)).collect();
        let expected: [(&[u8], _, _, _); 3] =
            [(b"sh", None, 1, 2), (b"ls\0-l", Some(0), 2, 0), (b"redis", Some(0), 1, 0)];
        assert_eq!(nodes, expected);
        assert_eq!(processes.nodes[1].users, BTreeSet::from([11, 21]));
    }

    #[test]
    fn beyond_the_limit_programs_are_cut_and_not_mixed_up() {
        let mut processes = Processes::default();
        for number in 0..=MAX_NODES {
            take(&mut processes, Op::Started, 7, 1, &format!("{number}\0"));
        }
        assert_eq!((processes.nodes.len(), processes.cut), (MAX_NODES, true));
    }
}
