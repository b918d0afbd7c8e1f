//! Who is about to move mounts: from our answer until the call has ended, what is asked about mounts may be either.

use std::collections::BTreeMap;

use sys::seccomp::{AARCH64, I386, Notification, X86_64};

use super::task::Task;

/// umount, umount2, pivot_root, move_mount.
const CALLS: [(u32, &[i32]); 3] =
    [(X86_64, &[155, 166, 429]), (I386, &[22, 52, 217, 429]), (AARCH64, &[39, 41, 429])];
/// mount moves with a flag only.
const MOUNT: [(u32, i32); 3] = [(X86_64, 165), (I386, 21), (AARCH64, 40)];
const MS_MOVE: u64 = 8192;

/// Whether a call takes a mount away from its place, if it succeeds. One that adds a mount leaves the others where they
/// are, and no later mount has the number of an earlier one.
pub(super) fn moves(call: &Notification) -> bool {
    let is_named = |(arch, numbers): &(u32, &[i32])| *arch == call.arch && numbers.contains(&call.number);
    CALLS.iter().any(is_named)
        || MOUNT.contains(&(call.arch, call.number)) && call.arguments[3] & MS_MOVE != 0
}

/// Threads that were let go on with such a call.
#[derive(Debug, Default)]
pub(super) struct Movers(BTreeMap<u32, i32>);

impl Movers {
    /// This call goes on.
    pub(super) fn add(&mut self, call: &Notification) {
        self.0.insert(call.thread, call.number);
    }

    /// Whether nobody is moving mounts, now that this thread calls: its own call before has ended.
    pub(super) fn are_done(&mut self, calling: u32) -> bool {
        self.0.remove(&calling);
        self.0.retain(|thread, number| is_in_call(*thread, *number));
        self.0.is_empty()
    }
}

/// Whether a thread may still be in that call. It may if it runs: then the kernel does not say where.
fn is_in_call(thread: u32, number: i32) -> bool {
    // If it cannot be opened, it is gone.
    let Ok(task) = Task::open(thread) else { return false };
    match task.read("syscall", 4096) {
        Ok(text) => parse(&text).is_none_or(|now| now == number),
        Err(_) => task.has_failed(),
    }
}

/// The number of the call in which a thread waits.
///
/// Source: `proc_pid_syscall(5)`.
fn parse(text: &[u8]) -> Option<i32> {
    std::str::from_utf8(text).ok()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(thread: u32, number: i32, flags: u64) -> Notification {
        Notification { id: 1, thread, arch: X86_64, number, arguments: [1, 1, 1, flags, 1, 1] }
    }

    #[test]
    fn mounts_are_moved_by_few_calls() {
        for (number, flags, expected) in [
            (165, 0, false),
            (165, MS_MOVE | 1, true),
            (166, 0, true),
            (155, 0, true),
            (429, 0, true),
            (4, 0, false),
        ] {
            assert_eq!(moves(&call(1, number, flags)), expected, "{number} {flags}");
        }
    }

    #[test]
    fn a_mover_is_done_when_it_calls_again_or_is_gone_or_in_another_call() {
        let (to, from) = std::sync::mpsc::channel();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let sleeper = std::thread::spawn(move || {
            to.send(rustix::thread::gettid().as_raw_pid() as u32).unwrap();
            let _the_end = stopped.recv();
        });
        let thread = from.recv().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        let now = parse(&Task::open(thread).unwrap().read("syscall", 4096).unwrap()).unwrap();
        let mut movers = Movers::default();
        movers.add(&call(thread, now, 0));
        assert!(!movers.are_done(1), "it is in that call");
        assert!(movers.are_done(thread));
        movers.add(&call(thread, now + 1, 0));
        assert!(movers.are_done(1), "it is in another call");
        movers.add(&call(thread, now, 0));
        drop(stop);
        sleeper.join().unwrap();
        while std::fs::exists(format!("/proc/self/task/{thread}")).unwrap() {}
        assert!(movers.are_done(1), "it is gone");
        // Who runs may be anywhere.
        assert_eq!((parse(b"running\n"), parse(b"-1 0x7 0x8\n")), (None, Some(-1)));
    }
}
