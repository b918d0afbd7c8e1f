//! The real binary on real images. These tests need root, BPF, overlayfs and the images of `cargo xtask images`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on fails")]

mod attest;
mod canary;
mod carry;
mod clean;
mod cli;
mod databases;
mod db;
mod docker;
mod errors;
mod evaluate;
mod faults;
mod fidelity;
mod heal;
mod images;
mod languages;
mod look;
mod nginx;
mod packages;
mod policy;
mod rbom;
mod recover;
mod redis;
mod registry;
mod report;
mod rootless;
mod run;
mod runtimes;
mod scan;
mod share;
mod support;
mod update;
mod vex;
