//! Container registries, as far as they are read: references, log-ins, manifests, blobs, tags, referrers.
//!
//! Start at [`Reference`], what people write, and [`Registry`], one server. [`pull`] brings an image into a
//! [`BlobStore`] and leaves an OCI layout there, which the crate `image` opens as any other. Nothing is ever written to
//! a registry.
//!
//! Source: OCI distribution-spec 1.1.
#![forbid(unsafe_code)]

mod answer;
mod blobs;
mod challenge;
mod connect;
mod error;
mod helper;
mod listing;
mod logins;
mod manifest;
pub mod pull;
mod reference;
mod referrers;
mod registry;
mod retry;
mod token;
mod unused;
mod url;

pub use blobs::BlobStore;
pub use connect::{Settings, authorities};
pub use error::RegistryError;
pub use logins::{Login, Logins, LoginsError, Secret};
pub use manifest::Fetched;
pub use pull::{PullError, Pulled, Puller, at_hand};
pub use reference::{Reference, ReferenceError, is_host};
pub use registry::Registry;
pub use unused::Removed;
