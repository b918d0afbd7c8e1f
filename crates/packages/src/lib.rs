//! Package databases of an image: which packages it has, which files they own, and what is left of them.
//!
//! Start at [`read()`] and [`PackageDatabase`]. [`filter()`] makes the databases of a hardened image,
//! [`licences()`] says which licence texts go with them. One module per package manager: [`dpkg`], `apk`, `rpm`,
//! `python`, `npm`. [`symbols`] looks for functions in programs.
#![forbid(unsafe_code)]

mod apk;
pub mod catalog;
mod cpe;
mod cut;
pub mod database;
pub mod dependencies;
pub mod documents;
pub mod dpkg;
pub mod filter;
#[cfg(feature = "fuzz")]
pub mod fuzz;
pub mod licences;
mod lines;
mod locate;
mod npm;
pub mod os_release;
mod owners;
pub mod purl;
mod python;
pub mod read;
mod rpm;
pub mod symbols;
mod unread;
mod vendor;

pub use catalog::{Cache, catalog, catalog_within};
pub use cut::FilteredDatabase;
pub use database::{
    Ecosystem, FileList, InstallState, Origin, Package, PackageDatabase, PackageIndex, Presence, Problem,
};
pub use dependencies::dependencies;
pub use documents::{is_document, is_licence};
pub use filter::{database_files, filter};
pub use licences::licences;
pub use os_release::OsRelease;
pub use read::{Limits, ReadPackagesError, read, read_within};
pub use unread::is_unread;
