//! The rules, one module each.

pub(crate) mod ancestor;
pub(crate) mod certificates;
pub(crate) mod character_conversion;
pub(crate) mod distribution;
pub(crate) mod elf;
pub(crate) mod hardlink;
pub(crate) mod image_config;
pub(crate) mod loader;
pub(crate) mod locale;
pub(crate) mod name_service;
pub(crate) mod observed;
pub(crate) mod openssl;
pub(crate) mod package_database;
pub(crate) mod pam;
pub(crate) mod policy;
pub(crate) mod runtime_directory;
pub(crate) mod shebang;
pub(crate) mod symlink;
pub(crate) mod terminfo;
pub(crate) mod time_zone;
