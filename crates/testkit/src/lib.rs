//! Images from short text, for tests.
//!
//! [`image`] makes an OCI layout from one string for each layer; [`ImageBuilder`] says more about it; [`TarBuilder`]
//! makes any tar, well-formed or hostile. Everything lies in a temporary directory that goes with the value.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a fixture that cannot be made fails its test")]

pub mod authority;
pub mod builder;
pub mod host;
pub mod osv;
pub mod registry;
pub mod store;
pub mod tar;
pub mod words;

pub use authority::Authority;
pub use builder::{BuiltImage, Compression, ImageBuilder};
pub use host::in_changed_host;
pub use osv::Advisories;
pub use registry::{Auth, Registry};
pub use store::{Archive, Layout, OciStore, docker_archive, docker_archive_legacy};
pub use tar::{TarBuilder, TarEntry};

/// An OCI layout of one image, tagged `latest`, with one gzip layer for each text; see [`words`].
///
/// ```
/// # use careen_testkit as testkit;
/// let image = testkit::image(&["a/old", "a/.wh..wh..opq a/new bin->usr/bin motd:hello"]);
/// assert!(image.dir().join("oci-layout").exists());
/// ```
pub fn image(layers: &[&str]) -> Layout {
    layers.iter().fold(ImageBuilder::new(), |builder, layer| builder.layer(*layer)).oci_layout()
}
