//! The `careen` command.
#![forbid(unsafe_code)]

fn main() {}
