//! The sensor that needs no privilege: the kernel asks us about each system call that uses a path (seccomp user
//! notification), and each time we say that it may go on.
//!
//! The engine puts [`filter`] on what it starts in a container and hands out the listener; [`Watcher::watch`] gives
//! the [`Recording`] that takes listeners in ([`Recording::sink`]). A thread of ours reads the path from the caller's
//! memory, resolves it in the caller's root without ever leaving that, and makes of it the same [`Event`] that the eBPF
//! programs make, so all that follows is common to both.
//!
//! The caller waits until it is answered, so nothing can be lost for lack of room or time. What the caller changes in
//! its memory between our look and the kernel's makes the record wrong about that caller, and nothing else: no answer
//! depends on it.
//!
//! [`Event`]: crate::wire::Event

mod address;
mod ask;
mod exec;
mod filter;
mod held;
mod lookup;
mod made;
mod mounts;
mod movers;
pub(crate) mod place;
mod recording;
mod serve;
pub(crate) mod task;

pub use filter::filter;
pub use recording::{BACKEND, Canary, NOT_SEEN, Recording, Sink, Watcher};
