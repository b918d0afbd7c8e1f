//! One module a command: resolves what was typed, calls the crates, prints the result.

pub(crate) mod attest;
pub(crate) mod clean;
pub(crate) mod coverage;
pub(crate) mod db;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod evaluate;
pub(crate) mod explain;
pub(crate) mod harden;
pub(crate) mod inspect;
pub(crate) mod man;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod profile;
pub(crate) mod rbom;
pub(crate) mod record;
pub(crate) mod recover;
pub(crate) mod registry;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod sbom;
pub(crate) mod scan;
pub(crate) mod validate;
pub(crate) mod verify;
pub(crate) mod vex;
