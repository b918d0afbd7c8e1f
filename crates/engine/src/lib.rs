//! Runs containers of an image: embedded, without a daemon and without an external runtime.
//!
//! Start at [`Engine`]: `open`, `unpack`, `create`, then [`Container`]: `start`, `exec`, `stop`, `remove`. Each
//! container is supervised by a process of its own, this program re-executed ([`helper_main`]).
#![forbid(unsafe_code)]

mod bundle;
mod capabilities;
mod cgroup;
mod check;
mod command;
mod container;
mod engine;
mod error;
mod execution;
mod executor;
mod family;
mod helper;
mod inside;
mod layers;
mod log;
mod options;
mod overlay;
mod program;
mod protocol;
mod room;
pub mod rootless;
mod run_dir;
mod settings;
mod standing;
mod store;
mod supervision;
mod unpacked;
mod users;
mod watched;

pub use command::{CommandEnd, CommandOutput, ExecOptions, Exit, HostCommand, MAX_OUTPUT_BYTES, Stdin};
pub use container::{Container, HostMount};
pub use engine::Engine;
pub use error::{EngineError, Refusal};
pub use helper::helper_main;
pub use layers::{LayerStore, RemovedLayer, RemovedLayers};
pub use options::{Bind, EngineOptions, Helper, Network, RunOptions};
pub use room::FullDisk;
pub use standing::Standing;
pub use unpacked::{Edited, Unpacked};
pub use watched::{ListenerSink, Watch};
