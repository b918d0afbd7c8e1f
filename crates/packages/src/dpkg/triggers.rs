//! Triggers: which packages want to hear when a file changes.
//!
//! Source: `deb-triggers(5)` and dpkg's `triggers.txt`. `File` has lines `PATH PACKAGE[/OPTION]`, `Unincorp` lines
//! `TRIGGER PACKAGE…` where `-` stands for nobody, and every other file, named after a trigger, lines
//! `PACKAGE[/OPTION]`.

use std::collections::BTreeSet;

use crate::lines;

/// What this file of the directory says of the packages that are still there.
pub(super) fn filter(name: &[u8], bytes: &[u8], present: &BTreeSet<&str>) -> Vec<u8> {
    let is_present = |word: &[u8]| {
        let end = word.iter().position(|byte| matches!(byte, b'/' | b':')).unwrap_or(word.len());
        word == b"-" || std::str::from_utf8(&word[..end]).is_ok_and(|name| present.contains(name))
    };
    let words = |line: &[u8]| line.split(|&byte| byte == b' ').map(<[u8]>::to_vec).collect::<Vec<_>>();
    match name {
        b"File" => lines::only(bytes, |line| words(line).get(1).is_some_and(|word| is_present(word))),
        b"Unincorp" => {
            let mut out = Vec::new();
            for line in lines::contents(bytes) {
                let words = words(line);
                let Some((trigger, packages)) = words.split_first() else { continue };
                let left: Vec<_> = packages.iter().filter(|package| is_present(package)).collect();
                if !left.is_empty() {
                    out.extend_from_slice(trigger);
                    left.iter().for_each(|package| out.extend([b" ", &package[..]].concat()));
                    out.push(b'\n');
                }
            }
            out
        }
        _ => lines::only(bytes, is_present),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_that_are_there_want_to_hear() {
        let present = BTreeSet::from(["libc-bin", "libc6"]);
        for (name, text, expected) in [
            (
                "File",
                "/usr/lib man-db/noawait\n/lib libc-bin\n/x libc6:amd64/await\nbroken\n",
                "/lib libc-bin\n/x libc6:amd64/await\n",
            ),
            ("Unincorp", "ldconfig libc-bin man-db\n/a man-db\n/b -\n", "ldconfig libc-bin\n/b -\n"),
            ("ldconfig", "libc-bin\nman-db/noawait\n", "libc-bin\n"),
        ] {
            let left = filter(name.as_bytes(), text.as_bytes(), &present);
            assert_eq!(String::from_utf8(left).unwrap(), expected, "{name}");
        }
    }
}
