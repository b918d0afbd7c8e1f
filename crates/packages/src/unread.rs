//! Files of a layer whose content no reader of this crate is likely to ask for.
//!
//! A guess by name and mode, made before anything else is known of the image: who opens it hands this on as
//! [`image::OpenOptions::unread`]. A wrong guess costs time and changes nothing.

/// Where distributions put what their packages own: programs elsewhere are looked into.
const DIRECTORIES: [&[u8]; 11] = [
    b"usr/lib/",
    b"usr/lib32/",
    b"usr/lib64/",
    b"usr/libexec/",
    b"usr/bin/",
    b"usr/sbin/",
    b"lib/",
    b"lib64/",
    b"bin/",
    b"sbin/",
    b"usr/share/",
];
/// Endings of data that is no manifest, archive or script: static libraries, caches, texts of locales, headers.
const ENDINGS: [&[u8]; 8] = [b".a", b".gz", b".h", b".jsa", b".mo", b".o", b".pyc", b"/modules"];
/// Endings of what is read whatever its mode is.
const READ: [&[u8]; 6] = [b".jar", b".war", b".egg", b".js", b".mjs", b".json"];

/// Whether the content of a file of this name in a tar, with these permission bits, will hardly be asked for.
pub fn is_unread(name: &[u8], mode: u32) -> bool {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let ends = |endings: &[&[u8]]| endings.iter().any(|ending| name.ends_with(ending));
    let is_program = || mode & 0o111 != 0 || memchr::memmem::find(name, b".so").is_some();
    DIRECTORIES.iter().any(|directory| name.starts_with(directory))
        && (ends(&ENDINGS) || (is_program() && !ends(&READ)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_the_distribution_are_left_out_and_those_of_others_are_not() {
        for (name, mode, expected) in [
            ("usr/lib/x86_64-linux-gnu/libc.so.6", 0o755, true),
            ("./usr/lib/x86_64-linux-gnu/libicudata.so.72.1", 0o644, true),
            ("usr/lib/jvm/java-17/lib/modules", 0o644, true),
            ("usr/bin/perl", 0o755, true),
            ("usr/local/bin/redis-server", 0o755, false),
            ("opt/app/server", 0o755, false),
            ("usr/share/java/app.jar", 0o755, false),
            ("usr/lib/node_modules/npm/lib/npm.js", 0o755, false),
            ("usr/share/doc/perl/copyright", 0o644, false),
            ("var/lib/dpkg/status", 0o644, false),
            ("usr/lib/sysimage/rpm/rpmdb.sqlite", 0o644, false),
        ] {
            assert_eq!(is_unread(name.as_bytes(), mode), expected, "{name}");
        }
    }
}
