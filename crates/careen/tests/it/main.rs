//! The real binary on real images. These tests need root, BPF, overlayfs and the images of `cargo xtask images`.

mod cli;
mod docker;
mod errors;
mod nginx;
mod redis;
mod support;
