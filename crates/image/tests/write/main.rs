//! The writer on images of every kind: what comes out is the original without what was not kept.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

extern crate careen_image as image;

mod contents;
mod failures;
mod layers;
mod properties;
mod share;
mod squash;
mod support;
mod targets;
mod tools;
