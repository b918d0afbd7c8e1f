//! Runs containers of an image: embedded, without a daemon and without an external runtime.
//!
//! Start at [`Engine`]: `open`, `unpack`, `create`, then [`Container`]: `start`, `exec`, `stop`, `remove`. Each
//! container is supervised by a process of its own, this program re-executed ([`helper_main`]).
#![forbid(unsafe_code)]

mod command;
mod container;
mod engine;
mod error;
mod options;
mod unpacked;

use std::ffi::OsString;

pub use command::{CommandEnd, CommandOutput, ExecOptions, Exit, HostCommand, MAX_OUTPUT_BYTES, Stdin};
pub use container::{Container, HostMount};
pub use engine::Engine;
pub use error::{EngineError, Refusal};
pub use options::{Bind, EngineOptions, Helper, Network, RunOptions};
pub use unpacked::Unpacked;

/// Entry of the re-executed helper: the arguments after [`Helper::leading_args`]. Must be called before any thread starts.
pub fn helper_main(_args: &[OsString]) -> i32 {
    1
}
