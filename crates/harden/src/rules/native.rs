//! What programs and libraries in machine code name literally.
//!
//! Only the strings of read-only data count, and only as far as the file can act on them: a library's name where the
//! file calls `dlopen`, a program where it calls `exec` or its kin. What the C library and the loader name has rules of
//! its own, or is read by nobody (`/usr/share/locale`, `/bin/csh`): neither is searched. The strings of Go and Rust
//! programs have no ends: see [`unended_text`].

use std::collections::BTreeSet;

use image::ImagePath;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::{Endianness, SectionIndex};

use super::reference::{Reference, is_own_code};
use super::unended_text;
use crate::scene::Scene;

/// Longest string that can be a path or a command.
const MAX_STRING_BYTES: usize = 512;
/// Most strings taken from one file.
const MAX_NAMES: usize = 4096;

const LOADS: [&str; 6] = ["dlopen", "dlmopen", "g_module_open", "lt_dlopen", "lt_dlopenext", "apr_dso_load"];
const STARTS: [&str; 12] = [
    "execl",
    "execle",
    "execlp",
    "execv",
    "execve",
    "execvp",
    "execvpe",
    "popen",
    "posix_spawn",
    "posix_spawnp",
    "system",
    "g_spawn_async",
];
/// What programs start by its mere name. Other single words are far more often an option or part of a message: `find`
/// has `date`, `true` and `mount` among its strings, and starts none of them.
const HELPERS: [&str; 12] =
    ["bzip2", "gpg", "gpgv", "gzip", "lz4", "lzma", "lzop", "sendmail", "ssh", "unzip", "xz", "zstd"];
/// Functions that find a program by its mere name.
const STARTS_BY_NAME: [&str; 6] = ["execlp", "execvp", "execvpe", "popen", "posix_spawnp", "system"];
/// Programs that start others by names that an option or an archive's first bytes choose: GNU tar reads and writes
/// compressed archives with these. Linkers store `gzip` as the end of `ungzip`, so the names themselves are not searched.
const KNOWN_STARTS: [(&[u8], &[&str]); 1] = [(b"tar", &["bzip2", "gzip", "xz", "zstd"])];
/// Libraries that are named and no container loads: only who loads a policy into the kernel needs this one.
const IDLE_LIBRARIES: [&[u8]; 1] = [b"libsepol.so"];
const STARTS_SHELL: [&str; 2] = ["popen", "system"];

/// Directories whose content is not the image's, or is for people: a name of something in them tells nothing.
const IDLE: [&[u8]; 9] = [
    b"/dev/",
    b"/proc/",
    b"/run/",
    b"/sys/",
    b"/tmp/",
    b"/usr/lib/debug/",
    b"/usr/share/doc/",
    b"/usr/share/info/",
    b"/usr/share/man/",
];

/// What an ELF file says and can do.
#[derive(Debug, Default)]
struct Code<'a> {
    strings: Vec<&'a [u8]>,
    /// The functions that it takes from elsewhere, of those above.
    calls: BTreeSet<&'static str>,
    is_searched: bool,
}

/// What the strings of an ELF file name; `None` for what is no ELF file.
pub(crate) fn references(scene: &Scene<'_>, path: &ImagePath, content: &[u8]) -> Option<BTreeSet<Reference>> {
    if !content.starts_with(&elf::ELFMAG) {
        return None;
    }
    if is_c_library(path.name()) {
        return Some(BTreeSet::new());
    }
    let code = match content.get(4) {
        Some(&1) => read::<elf::FileHeader32<Endianness>>(content),
        _ => read::<elf::FileHeader64<Endianness>>(content),
    };
    let code = code.filter(|code| code.is_searched).unwrap_or_default();
    let mut out = BTreeSet::new();
    for string in &code.strings {
        if out.len() >= MAX_NAMES {
            break;
        }
        named(scene, path, string, &code.calls, &mut out);
    }
    if STARTS_SHELL.iter().any(|function| code.calls.contains(function)) {
        out.insert(Reference::Path(b"/bin/sh".to_vec()));
    }
    if STARTS.iter().any(|function| code.calls.contains(function)) {
        let known = KNOWN_STARTS.iter().filter(|(program, _)| *program == path.name());
        let starts = known.flat_map(|(_, starts)| *starts);
        out.extend(starts.map(|name| Reference::Command(name.as_bytes().to_vec())));
    }
    if is_own_code(scene, path) {
        unended_text::references(scene, content, &mut out);
    }
    Some(out)
}

/// What one string names, given what its file can do.
fn named(
    scene: &Scene<'_>,
    path: &ImagePath,
    string: &[u8],
    calls: &BTreeSet<&'static str>,
    out: &mut BTreeSet<Reference>,
) {
    let can = |functions: &[&str]| functions.iter().any(|function| calls.contains(function));
    if string.starts_with(b"/") {
        if is_path(string) && !IDLE.iter().any(|idle| string.starts_with(idle)) {
            let Some(end) = scene.find(string) else { return };
            let name = end.name();
            let is_library = name.ends_with(b".so") || name.windows(4).any(|part| part == b".so.");
            let is_program = scene.is_executable(&end) && !is_library;
            if (!is_program || can(&STARTS)) && (!is_library || can(&LOADS)) {
                out.insert(Reference::Path(string.to_vec()));
            }
        }
    } else if is_library_name(string) {
        if can(&LOADS) && !IDLE_LIBRARIES.iter().any(|idle| string.starts_with(idle)) {
            out.insert(Reference::Library(string.to_vec()));
        }
    } else if can(&STARTS_SHELL)
        && let Some(command) = command(string)
    {
        out.insert(Reference::Command(command.to_vec()));
    } else if is_plain_name(string) && can(&STARTS) {
        // A suite of programs finds its own kin beside it.
        let directory = path.parent().unwrap_or_default();
        let is_searched = |directory: &ImagePath| {
            scene.search_path().any(|one| scene.find(one.as_bytes()).as_ref() == Some(directory))
        };
        if let Ok(own) = directory.join(string)
            && scene.is_executable(&own)
            && own != *path
            && scene.is_executable(path)
            && !is_searched(&directory)
        {
            out.insert(Reference::File(own));
        }
        if can(&STARTS_BY_NAME) && HELPERS.iter().any(|helper| helper.as_bytes() == string) {
            out.insert(Reference::Command(string.to_vec()));
        }
    }
}

fn is_c_library(name: &[u8]) -> bool {
    [&b"libc.so"[..], b"libc-2", b"ld-linux", b"ld-musl", b"ld-2", b"libc.musl"]
        .iter()
        .any(|own| name.starts_with(own))
}

/// At least two components, and nothing that a format would fill in.
fn is_path(string: &[u8]) -> bool {
    string.len() > 3 && string[1..].contains(&b'/') && !string.iter().any(|byte| b"%*? \t\n$:".contains(byte))
}

/// `libfoo.so`, `libfoo-1.2.so.3`
fn is_library_name(string: &[u8]) -> bool {
    let Some(at) = string.windows(3).position(|part| part == b".so") else { return false };
    let (stem, version) = (&string[..at], &string[at + 3..]);
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_+.-".contains(byte);
    let is_version = version.is_empty()
        || (version[0] == b'.' && version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'));
    stem.starts_with(b"lib") && stem.len() > 3 && stem.iter().all(is_name) && is_version
}

/// The first word of a line that a shell is to run: one with an option, a place to fill in, a path or an operator
/// behind it. `sort the list` is a message, `sort -u` is a command.
fn command(string: &[u8]) -> Option<&[u8]> {
    let space = string.iter().position(|&byte| byte == b' ')?;
    let (word, rest) = (&string[..space], &string[space + 1..]);
    let is_used = rest.first().is_some_and(|byte| b"-/>|\"'<".contains(byte))
        || rest.starts_with(b"%s")
        || rest.windows(3).any(|part| part == b" | " || part == b" > ");
    (is_plain_name(word) && word.len() > 1 && is_used).then_some(word)
}

fn is_plain_name(string: &[u8]) -> bool {
    (2..=40).contains(&string.len())
        && string[0].is_ascii_lowercase()
        && string
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(byte))
}

fn read<H: FileHeader<Endian = Endianness>>(content: &[u8]) -> Option<Code<'_>> {
    let header = H::parse(content).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, content).ok()?;
    let mut code = Code { is_searched: true, ..Code::default() };
    let symbols = sections.symbols(endian, content, elf::SHT_DYNSYM).ok()?;
    for symbol in symbols.iter().filter(|symbol| symbol.is_undefined(endian)) {
        let name = symbols.symbol_name(endian, symbol).unwrap_or_default();
        code.calls.extend(LOADS.iter().chain(&STARTS).find(|known| known.as_bytes() == name));
    }
    for (index, section) in sections.enumerate() {
        let name = sections.section_name(endian, section).unwrap_or_default();
        if name == b".note.go.buildid" || name == b".gopclntab" {
            return Some(Code::default());
        }
        if index != SectionIndex(0) && name.starts_with(b".rodata") {
            let data = section.data(endian, content).unwrap_or_default();
            if code.calls.is_empty() {
                absolute_paths(data, &mut code.strings);
            } else {
                strings(data, &mut code.strings);
            }
        }
    }
    Some(code)
}

fn is_text(string: &[u8]) -> bool {
    (3..=MAX_STRING_BYTES).contains(&string.len()) && string.iter().all(|byte| (b' '..=b'~').contains(byte))
}

/// What stands between two zeros and is text.
fn strings<'a>(data: &'a [u8], out: &mut Vec<&'a [u8]>) {
    // Found by memchr, since most bytes are in no string.
    let ends = memchr::memchr_iter(0, data).chain([data.len()]);
    let strings = ends.scan(0, |start, end| Some(&data[std::mem::replace(start, end + 1)..end]));
    out.extend(strings.filter(|string| is_text(string)));
}

/// The same, of what begins with a slash alone: all that a file can act on which neither loads libraries nor starts
/// programs. Tables of data, of which much is zeros, are gone through ten times faster.
fn absolute_paths<'a>(data: &'a [u8], out: &mut Vec<&'a [u8]>) {
    for start in memchr::memchr_iter(b'/', data) {
        if start > 0 && data[start - 1] != 0 {
            continue;
        }
        let rest = &data[start..data.len().min(start + MAX_STRING_BYTES + 1)];
        let end = memchr::memchr(0, rest).unwrap_or(rest.len());
        out.extend(Some(&rest[..end]).filter(|string| is_text(string)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rule;

    #[test]
    fn names_of_libraries_and_commands_are_told_from_messages() {
        for (string, expected) in [
            ("libssl.so", true),
            ("libGL.so.1", true),
            ("libx-1.2.so.3.4", true),
            ("lib.so", false),
            ("foo.so", false),
        ] {
            assert_eq!(is_library_name(string.as_bytes()), expected, "{string}");
        }
        for (string, expected) in [
            ("gzip -dc %s", Some("gzip")),
            ("mv %s %s", Some("mv")),
            ("cat a | wc", Some("cat")),
            ("sort the list", None),
            ("Usage -x", None),
            ("find", None),
        ] {
            assert_eq!(
                command(string.as_bytes()).map(|word| std::str::from_utf8(word).unwrap()),
                expected,
                "{string}"
            );
        }
        for (string, expected) in
            [("/etc/app.conf", true), ("/%s/x", false), ("/a", false), ("/a b/c", false)]
        {
            assert_eq!(is_path(string.as_bytes()), expected, "{string}");
        }
    }

    #[test]
    fn paths_alone_are_the_strings_that_begin_with_a_slash() {
        let long = [b"/".repeat(MAX_STRING_BYTES + 1), b"\0".to_vec()].concat();
        let longest = [b"/".repeat(MAX_STRING_BYTES), b"\0".to_vec()].concat();
        for data in [
            &b"/etc/a\0b/etc\0\0/etc/b\0x"[..],
            b"/etc\x01\0/etc/\xff\0/\0//\0/end",
            b"\0/a/b",
            b"",
            &long,
            &longest,
        ] {
            let (mut all, mut paths) = (Vec::new(), Vec::new());
            strings(data, &mut all);
            all.retain(|string| string.starts_with(b"/"));
            absolute_paths(data, &mut paths);
            assert_eq!(paths, all);
        }
    }

    /// The real tar calls `execv` and names compressors; it can start them, so it is told that they are there.
    #[test]
    fn hard_36_a_real_program_names_what_it_starts_and_reads() {
        use testkit::{TarBuilder, TarEntry};
        let Ok(tar) = std::fs::read("/usr/bin/tar") else {
            eprintln!("SKIP this machine has no /usr/bin/tar");
            assert!(std::env::var_os("CAREEN_NO_SKIP").is_none());
            return;
        };
        let words = "bin/sh@755 usr/bin/gzip@755 usr/bin/xz@755 usr/bin/perl@755 usr/sbin/rmt@755 etc/rmt->/usr/sbin/rmt";
        let layer =
            TarBuilder::from_text(words).entry(TarEntry::file("usr/bin/tar", tar.clone()).mode(0o755));
        let fixture = crate::fixture::image(layer).uses("exec:/usr/bin/tar");
        let profile = fixture.profile();
        let scene = Scene::new(&fixture.image, &fixture.packages, &profile, &fixture.policy);
        let found = references(&scene, &crate::fixture::path("/usr/bin/tar"), &tar).unwrap();
        assert!(found.contains(&Reference::Path(b"/bin/sh".to_vec())), "{found:?}");
        assert!(!found.contains(&Reference::Command(b"perl".to_vec())), "{found:?}");
        for compressor in [&b"gzip"[..], b"xz"] {
            assert!(found.contains(&Reference::Command(compressor.to_vec())), "{found:?}");
        }
        let by_reference = fixture.by(Rule::Reference);
        assert!(by_reference.contains(&"/usr/bin/gzip".to_owned()), "{by_reference:?}");
    }

    #[test]
    fn broken_files_name_nothing_and_panic_nowhere() {
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for length in [4, 5, 64, 1000, 100_000] {
            let _ = read::<elf::FileHeader64<Endianness>>(&whole[..length]);
            let _ = read::<elf::FileHeader32<Endianness>>(&whole[..length]);
        }
    }
}
