//! What an exec uses: the file, the interpreters that its first line names, the dynamic loader that its headers name.
//! The kernel opens those by itself, so no call shows them.
//!
//! Source: `execve(2)`, `elf(5)`; the kernel's `fs/binfmt_script.c`.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use rustix::fs::StatxFlags;

use super::ask::{Question, identity};
use super::lookup::open_file;
use super::place::status;
use crate::wire::{Op, Program};

/// Bytes of the file that the kernel looks at.
const HEAD: usize = 256;
/// Interpreters of interpreters.
const MAX_SCRIPTS: usize = 4;
const MAX_ARGUMENT: usize = 4096;
const MAX_HEADERS: u64 = 256;

const EACCES: i32 = 13;
const ENOENT: i32 = 2;

/// Takes apart an execve, or an execveat with its directory in argument `dirfd`.
pub(super) fn examine(question: &mut Question<'_>, path: usize, dirfd: Option<usize>) {
    let arguments = question.call.arguments;
    let at = |index: usize| arguments.get(index).copied().unwrap_or(0);
    let text = match question.task.text(at(path)) {
        Ok(text) => text,
        Err(unread) => return question.unread(unread),
    };
    let directory = dirfd.map(|index| at(index) as u32 as i32);
    let place = match (text.is_empty(), directory) {
        (true, Some(number)) => question.task.descriptor(number).ok(),
        _ => question.program_at(&text, directory).ok(),
    };
    let argv0 = argument(question, at(path + 1));
    let caller = question.program.clone();
    let runs = place.as_ref().is_some_and(|place| is_executable(question, place));
    let mut chain = None;
    let mut interpreters = Vec::new();
    let mut loader = None;
    if let (Some(place), true) = (place.as_ref(), runs) {
        let mut last = question.needed(place.try_clone());
        let mut name = argv0;
        while let Some(file) = last.as_ref().and_then(|place| question.needed(open_file(place))) {
            let mut head = [0; HEAD];
            let count = question.needed(file.read_at(&mut head, 0)).unwrap_or(0);
            match interpreter(&head[..count]) {
                Some(next) if interpreters.len() < MAX_SCRIPTS => {
                    last = question.program_at(&next, None).ok();
                    name = Some(next.clone());
                    interpreters.push(next);
                }
                _ => {
                    loader = loader_of(&file, &head[..count]);
                    break;
                }
            }
        }
        if let Some(last) = last {
            chain = question.atlas.chain(&question.task, &last);
            let argv0 = name.unwrap_or_default().into();
            question.program = Arc::new(Program { id: identity(&last), exe: chain.clone(), argv0 });
        }
    }
    let errno = match (&place, runs) {
        (None, _) => ENOENT,
        (Some(_), false) => EACCES,
        _ => 0,
    };
    let (bits, base) = question.base_chain(&text, directory);
    let named = (!text.is_empty()).then(|| text.into());
    question.push(Op::Exec, bits, errno, 0, named, chain, base);
    for interpreter in interpreters {
        let (bits, base) = question.base_chain(&interpreter, None);
        let errno = if question.program_at(&interpreter, None).is_ok() { 0 } else { ENOENT };
        question.push(Op::Interpreter, bits, errno, 0, Some(interpreter.into()), None, base);
    }
    if let Some(loader) = loader {
        let place = question.program_at(&loader, None);
        let errno = if place.is_ok() { 0 } else { ENOENT };
        let object = place.ok().and_then(|place| question.atlas.chain(&question.task, &place));
        let (bits, base) = question.base_chain(&loader, None);
        question.push(Op::Loader, bits, errno, 0, Some(loader.into()), object, base);
    }
    question.program = caller;
}

/// Whether the kernel would try to run it: a regular file that somebody may execute.
fn is_executable(question: &Question<'_>, place: &OwnedFd) -> bool {
    let Some(stat) = status(place, StatxFlags::empty()) else {
        question.task.fail();
        return false;
    };
    stat.stx_mode & 0o170_000 == 0o100_000 && stat.stx_mode & 0o111 != 0
}

/// `argv[0]` of the program to be.
fn argument(question: &mut Question<'_>, array: u64) -> Option<Vec<u8>> {
    let pointer = question.task.word(array, question.word_bytes());
    let text = pointer.and_then(|pointer| question.task.text_within(pointer, MAX_ARGUMENT, true));
    text.map_err(|unread| question.unread(unread)).ok()
}

impl Question<'_> {
    /// What cannot fail for the caller: if it does, the record lacks something. A second script may be no file.
    fn needed<T>(&self, result: io::Result<T>) -> Option<T> {
        if result.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::InvalidInput) {
            self.task.fail();
        }
        result.ok()
    }
}

fn read_at(file: &File, into: &mut [u8], offset: u64) -> usize {
    file.read_at(into, offset).unwrap_or(0)
}

/// The program after `#!`.
fn interpreter(head: &[u8]) -> Option<Vec<u8>> {
    let line = head.strip_prefix(b"#!")?;
    let line = line.split(|&byte| byte == b'\n' || byte == 0).next()?;
    let is_blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = line.iter().position(|byte| !is_blank(byte))?;
    line[start..].split(is_blank).next().map(<[u8]>::to_vec)
}

/// PT_INTERP of an ELF file of either size, little-endian.
fn loader_of(file: &File, head: &[u8]) -> Option<Vec<u8>> {
    const PT_INTERP: u64 = 3;
    const PATH_MAX: u64 = 4096;
    let wide = match head.get(..6)? {
        [0x7f, b'E', b'L', b'F', 2, 1] => true,
        [0x7f, b'E', b'L', b'F', 1, 1] => false,
        _ => return None,
    };
    let number = |bytes: &[u8], at: usize, size: usize| {
        let bytes = bytes.get(at..at.checked_add(size)?)?;
        Some(bytes.iter().rev().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte)))
    };
    let (table, size, count) = match wide {
        true => (number(head, 32, 8)?, number(head, 54, 2)?, number(head, 56, 2)?),
        false => (number(head, 28, 4)?, number(head, 42, 2)?, number(head, 44, 2)?),
    };
    for index in 0..count.min(MAX_HEADERS) {
        let mut header = [0; 56];
        let read = read_at(file, &mut header, table.checked_add(index * size)?);
        let header = &header[..read];
        if number(header, 0, 4)? != PT_INTERP {
            continue;
        }
        let (offset, length) = match wide {
            true => (number(header, 8, 8)?, number(header, 32, 8)?),
            false => (number(header, 4, 4)?, number(header, 16, 4)?),
        };
        let mut path = vec![0; usize::try_from(length.min(PATH_MAX)).ok()?];
        let read = read_at(file, &mut path, offset);
        path.truncate(read);
        let path = path.split(|&byte| byte == 0).next()?.to_vec();
        return (!path.is_empty()).then_some(path);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_read_as_the_kernel_reads_them() {
        for (head, expected) in [
            (&b"#!/bin/sh\n"[..], Some(&b"/bin/sh"[..])),
            (b"#! \t/usr/bin/env python3 -u\nx", Some(b"/usr/bin/env")),
            (b"#!relative", Some(b"relative")),
            (b"#!   \n/bin/sh", None),
            (b"\x7fELF", None),
            (b"", None),
        ] {
            assert_eq!(interpreter(head).as_deref(), expected, "{head:?}");
        }
    }

    #[test]
    fn the_loader_of_a_program_is_found_and_lies_do_no_harm() {
        let own = File::open("/proc/self/exe").unwrap();
        let mut head = [0; HEAD];
        let count = read_at(&own, &mut head, 0);
        let loader = loader_of(&own, &head[..count]).unwrap();
        assert!(std::path::Path::new(std::str::from_utf8(&loader).unwrap()).exists());
        for at in 24..64 {
            let mut lying = head;
            lying[at] = 0xff;
            let _any = loader_of(&own, &lying);
        }
        for length in 0..64 {
            assert_eq!(loader_of(&own, &head[..length]).is_some(), length >= 58, "{length}");
        }
    }
}
