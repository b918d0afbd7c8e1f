//! Watches which files a container uses, and proves that nothing was lost.
//!
//! Start at [`Sensor`]: it loads the BPF programs. [`Sensor::watch`] points them at a container's cgroup and gives a
//! [`Recording`], which [`Recording::finish`] turns into a [`Record`]: observations as paths of the image, and the
//! counters on which the verdict rests.
#![forbid(unsafe_code)]

pub mod canary;
pub mod error;
pub mod recording;
pub mod sensor;
pub mod target;

pub use canary::canary_main;
pub use error::{LoadError, SensorError};
pub use recording::{Record, Recording};
pub use sensor::{Helper, Sensor, SensorOptions};
pub use target::Target;
