//! What live processes hold open or mapped, asked of `/proc`: a check on the record from another side.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::ResolveFlags;

use super::ask::identity;
use super::mounts::{beneath, link_of};
use super::place::{Atlas, Root};
use super::task::{Task, is_absence};
use crate::snapshot::Held;
use crate::wire::{Chain, Program};

/// Threads that are remembered at most.
const MAX_THREADS: usize = 1 << 16;
/// Descriptors and mapped files of one process that are looked at.
const MAX_HELD: usize = 1 << 16;
const MAX_MAPS: u64 = 16 << 20;

/// The threads that have asked.
#[derive(Debug)]
pub(super) struct Threads {
    known: BTreeSet<u32>,
    limit: usize,
    /// Whether there were more that live.
    is_cut: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) held: BTreeSet<Held>,
    /// Why there may be more.
    pub(super) missing: Option<String>,
}

impl Default for Threads {
    fn default() -> Self {
        Self { known: BTreeSet::new(), limit: MAX_THREADS, is_cut: false }
    }
}

impl Threads {
    /// Remembers one.
    pub(super) fn insert(&mut self, thread: u32) {
        if self.is_cut || self.known.contains(&thread) {
            return;
        }
        if self.known.len() >= self.limit {
            self.forget_dead();
            // To look for dead ones again and again would take longer than all else.
            self.is_cut = self.known.len() > self.limit / 2;
        }
        self.known.insert(thread);
    }

    fn forget_dead(&mut self) {
        self.known.retain(|thread| Path::new("/proc").join(thread.to_string()).exists());
    }

    /// What those hold that live and are still watched.
    pub(super) fn held(&mut self, atlas: &mut Atlas) -> Listed {
        let mut listed = Listed::default();
        self.forget_dead();
        if self.is_cut {
            listed.lacks(format!("there were more than {} threads", self.limit / 2));
        }
        for thread in &self.known {
            // Nobody calls now.
            atlas.turn_to(0);
            match Task::open(*thread) {
                Ok(task) => {
                    listed.add(&task, atlas);
                    if task.has_failed() | atlas.take_failure() && !task.is_ending() {
                        listed.lacks(format!("thread {thread} cannot be looked at"));
                    }
                }
                Err(error) if is_absence(&error) => {}
                Err(error) => listed.lacks(format!("thread {thread}: {error}")),
            }
        }
        listed
    }
}

impl Listed {
    /// The first reason is told.
    fn lacks(&mut self, why: String) {
        self.missing.get_or_insert(why);
    }

    fn add(&mut self, task: &Task, atlas: &mut Atlas) {
        let is_filtered = task
            .read("status", 1 << 16)
            .is_ok_and(|status| status.split(|&byte| byte == b'\n').any(|line| line == b"Seccomp:\t2"));
        let Some(exe) = task.open_link("exe").ok().filter(|_| is_filtered) else { return };
        let argv0 = task.read("cmdline", 4096).unwrap_or_default();
        let program = Arc::new(Program {
            id: identity(&exe),
            exe: atlas.chain(task, &exe),
            argv0: argv0.split(|&byte| byte == 0).next().unwrap_or_default().into(),
        });
        let mut files = self.open_files(task, atlas);
        files.extend(self.mapped_files(task, atlas));
        self.held.extend(files.into_iter().map(|file| Held { file, program: Arc::clone(&program) }));
    }

    fn open_files(&mut self, task: &Task, atlas: &mut Atlas) -> Vec<Chain> {
        let numbers: io::Result<Vec<_>> = std::fs::read_dir(format!("/proc/{}/fd", task.thread()))
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
        let numbers = numbers.unwrap_or_else(|_| {
            task.fail();
            Vec::new()
        });
        let numbers = numbers.iter().filter_map(|name| name.to_str()?.parse().ok());
        let fds = self.cut(numbers, MAX_HELD).into_iter().filter_map(|number| task.descriptor(number).ok());
        fds.filter_map(|fd| atlas.chain(task, &fd)).filter(|chain| !chain.detached).collect()
    }

    fn mapped_files(&mut self, task: &Task, atlas: &mut Atlas) -> Vec<Chain> {
        let Ok(root) = Root::of(task) else { return Vec::new() };
        let maps = task.read("maps", MAX_MAPS).unwrap_or_default();
        if maps.len() as u64 == MAX_MAPS {
            self.lacks(format!("thread {} has mapped too much", task.thread()));
        }
        let path = |line: &[u8]| line.iter().position(|&byte| byte == b'/').map(|at| line[at..].to_vec());
        let paths: BTreeSet<_> = maps.split(|&byte| byte == b'\n').filter_map(path).collect();
        let paths = self.cut(paths.into_iter(), MAX_HELD);
        let base = link_of(&root.fd()).unwrap_or_default();
        let found = paths.iter().filter_map(|path| {
            root.look_up(beneath(path, &base).unwrap_or(path), false, ResolveFlags::empty())
                .inspect_err(|errno| task.fail_if_ours(*errno))
                .ok()
        });
        found.filter_map(|fd| atlas.chain(task, &fd)).collect()
    }

    /// No more than so many, and a note if there are.
    fn cut<T>(&mut self, all: impl Iterator<Item = T>, limit: usize) -> Vec<T> {
        let mut all = all.fuse();
        let some: Vec<_> = all.by_ref().take(limit).collect();
        if all.next().is_some() {
            self.lacks(format!("a process holds more than {limit} files"));
        }
        some
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_threads_make_room_and_too_many_that_live_are_told_of() {
        let first_dead = (1 << 22) + 1;
        let mut threads = Threads { limit: 4, ..Threads::default() };
        (first_dead..first_dead + 100).for_each(|dead| threads.insert(dead));
        assert!(!threads.is_cut && threads.known.len() <= 4, "{threads:?}");
        // Each thread of ours has a number of its own there.
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let stopped = std::sync::Mutex::new(stopped);
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| stopped.lock().unwrap().recv());
            }
            let entries = std::fs::read_dir("/proc/self/task").unwrap();
            let live = entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap());
            live.for_each(|thread| threads.insert(thread));
            drop(stop);
        });
        assert!(threads.is_cut, "{threads:?}");
    }

    #[test]
    fn what_is_beyond_the_limit_is_told_of_and_at_it_nothing_is() {
        let mut listed = Listed::default();
        assert_eq!((listed.cut(0..3, 3), &listed.missing), (vec![0, 1, 2], &None));
        assert_eq!(listed.cut(0..4, 3), [0, 1, 2]);
        assert_eq!(listed.missing.as_deref(), Some("a process holds more than 3 files"));
    }
}
