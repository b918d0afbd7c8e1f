//! Package databases of an image: which packages it has, which files they own, and what is left of them.
//!
//! Start at [`read()`] and [`PackageDatabase`]. [`filter()`] makes the database of a hardened image,
//! [`licences()`] says which licence texts go with it. One module per package manager: [`dpkg`].
#![forbid(unsafe_code)]

pub mod database;
pub mod documents;
pub mod dpkg;
pub mod filter;
pub mod licences;
pub mod os_release;
pub mod purl;
pub mod read;

pub use database::{
    FileList, InstallState, Origin, Package, PackageDatabase, PackageIndex, Presence, Problem,
};
pub use documents::{is_document, is_licence};
pub use filter::{FilteredDatabase, filter};
pub use licences::licences;
pub use os_release::OsRelease;
pub use read::{Limits, ReadPackagesError, read, read_within};
