//! The JSON documents of an image: index, manifest, config, and the descriptors that join them.
//!
//! Known fields are typed; every other field is kept in `extra` in its order, and written back after the known ones.

pub mod config;
pub mod descriptor;
pub mod manifest;
pub mod media_type;

pub use config::{Config, ContainerConfig, Healthcheck, History, RootFs};
pub use descriptor::{Descriptor, DescriptorPlatform};
pub use manifest::{Index, Manifest};
