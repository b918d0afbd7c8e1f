//! Watches which files a container uses, and proves that nothing was lost.
//!
//! Start at [`Sensor`]: it loads the BPF programs (`bpf/sensor.bpf.c`, with [`hooks`] where the kernel accepts them).
//! [`Sensor::watch`] points them at a container's
//! cgroup and gives a [`Recording`], which [`Recording::finish`] turns into a [`Record`]: observations as paths of the
//! image, and the counters on which the verdict rests. [`wire`] tells what goes from kernel to user space.
#![forbid(unsafe_code)]

mod activity;
pub mod backend;
mod bound;
pub mod canary;
mod consumer;
mod encode;
pub mod error;
mod events;
mod follow;
pub mod hooks;
pub mod journal;
mod made;
mod magic;
mod making;
mod names;
pub mod notify;
mod object;
mod observe;
mod origin;
mod processes;
pub mod recording;
mod rootfs;
mod running;
pub mod sensor;
mod snapshot;
mod syscalls;
pub mod target;
mod text;
mod told;
mod walk;
pub mod wire;

pub use backend::{Backend, Choice, Watching};
pub use canary::canary_main;
pub use error::{Blocker, LoadError, SensorError};
pub use hooks::{HookError, Strength};
pub use journal::{Journal, Unfinished};
pub use recording::{Record, Recording, not_seen};
pub use sensor::{Helper, Sensor, SensorOptions};
pub use target::Target;
