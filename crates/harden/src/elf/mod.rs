//! ELF files and the libraries that the dynamic loader would load for them, found without running anything.

pub(crate) mod cache;
pub(crate) mod read;
pub(crate) mod search;
