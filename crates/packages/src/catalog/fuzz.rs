//! What reads one file's bytes, for the fuzzer.

use std::io::Cursor;

use image::ImagePath;

use super::found::Findings;
use super::{java, javascript, json, kind, locks, python, ruby, scripts};
use crate::Limits;

/// What reads a document whole.
type Reader = fn(&ImagePath, &[u8]) -> Findings;

const READERS: [Reader; 17] = [
    json::composer_installed,
    json::composer_lock,
    json::npm_lock,
    json::conda,
    json::nuget,
    locks::yarn,
    locks::pnpm,
    ruby::lock,
    ruby::specification,
    scripts::perl_meta,
    scripts::perl_packlist,
    scripts::r_description,
    scripts::otp_version,
    scripts::java_release,
    scripts::erlang,
    scripts::rockspec,
    script,
];

fn script(path: &ImagePath, bytes: &[u8]) -> Findings {
    javascript::examine(path, &mut Cursor::new(bytes), &Limits::default())
}

pub(crate) fn archive(path: &ImagePath, bytes: &[u8], limits: &Limits) {
    let _ = java::examine(path, &mut Cursor::new(bytes), limits);
    let _ = python::egg(&mut Cursor::new(bytes), limits);
}

pub(crate) fn program(bytes: &[u8], limits: &Limits) {
    let _ = kind::program("python3.11", &mut Cursor::new(bytes), limits);
}

pub(crate) fn manifest(which: usize, path: &ImagePath, bytes: &[u8]) {
    let _ = READERS[which % READERS.len()](path, bytes);
}
