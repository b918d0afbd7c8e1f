//! OCI and Docker images as values: open, merge, look up, filter, write, validate.
//!
//! Start at [`Image`]: an opened image with its [`Tree`]. The writer is [`write`].
//! This crate knows no network, no clock and no terminal.
#![forbid(unsafe_code)]

pub mod blob;
pub mod digest;
pub mod entry;
pub mod file;
pub mod image;
mod inflate;
pub mod layer;
pub mod limits;
mod merge;
pub mod model;
mod outline;
pub mod path;
mod path_map;
mod pick;
pub mod platform;
pub mod resolve;
mod skip;
pub mod source;
mod store;
mod tar;
pub mod tree;
pub mod unpack;
pub mod validate;
pub mod write;

pub use digest::Digest;
pub use entry::{Entry, EntryKind, Metadata, Timestamp};
pub use file::{FileReader, ReadFileError};
pub use image::{Image, OpenImageError, OpenOptions};
pub use inflate::InflateError;
pub use layer::{Compression, Layer, OpenLayerError};
pub use limits::{Limit, Limits};
pub use merge::MergeError;
pub use model::{Config, ContainerConfig, Descriptor, Healthcheck, History, Index, Manifest, RootFs};
pub use outline::{Outline, outline};
pub use path::ImagePath;
pub use path_map::PathMap;
pub use pick::PickError;
pub use platform::Platform;
pub use skip::Unread;
pub use source::{ImageSource, ImageSourceError};
pub use store::{DocumentError, OpenStoreError};
pub use tar::{TarError, TarProblem};
pub use tree::{Node, NodeKind, Resolution, ResolutionEnd, Tree};
pub use unpack::{Rights, UnpackError, unpack_edits, unpack_layer};
pub use validate::{ValidManifest, ValidateError, Validation, validate};
pub use write::{
    EditError, Edits, ImageTarget, ImageTargetError, OutputCompression, Share, WriteError, WriteOptions,
    Written, WrittenLayer, copy, shared_layers, write, write_shared,
};
