//! The kernel, wrapped: the few calls that neither std nor rustix offers as safe functions.
//!
//! Each function is one call. Everything else that talks to the kernel uses rustix directly.
#![expect(unsafe_code, reason = "this crate is where unsafe code lives")]

mod memory;
mod network;
mod process;
pub mod seccomp;

pub use memory::{Mapping, map_file};
pub use network::loopback_up;
pub use process::{
    Standard, execve, kill_process, redirect, restore_default_signals, unshare, unshare_mount_namespace,
};
