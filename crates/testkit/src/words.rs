//! The short text for a layer: words with blanks between them, one for each entry, in order.
//!
//! | word | entry |
//! |---|---|
//! | `a/b` | empty file |
//! | `a/b:text` | file with this content |
//! | `a/` | directory |
//! | `link->target` | symbolic link |
//! | `name=>target` | hard link |
//! | `pipe!p`, `null!c1,3`, `sda!b8,0` | FIFO, character device, block device |
//! | `a/.wh.b`, `a/.wh..wh..opq` | whiteout, opaque whiteout |
//!
//! `@MODE[,UID[,GID[,MTIME]]]` after the name sets the metadata: `bin/su@4755:x`, `home/@700,1000,1000`. Directories
//! above an entry are not made; a name with a blank or one of these signs needs [`TarEntry`].

use crate::tar::{TarBuilder, TarEntry};

impl TarBuilder {
    /// A tar of these words.
    pub fn from_text(text: &str) -> Self {
        text.split_whitespace().map(entry).fold(Self::new(), Self::entry)
    }
}

impl From<&str> for TarBuilder {
    fn from(text: &str) -> Self {
        Self::from_text(text)
    }
}

/// Reads one word.
pub fn entry(word: &str) -> TarEntry {
    let signs = ["->", "=>", ":", "!"];
    let sign = signs.iter().filter_map(|sign| Some((word.find(sign)?, *sign))).min_by_key(|(at, _)| *at);
    let (head, sign, value) = match sign {
        Some((at, sign)) => (&word[..at], sign, &word[at + sign.len()..]),
        None => (word, "", ""),
    };
    let (name, attributes) = head.split_once('@').unwrap_or((head, ""));
    let numbers = |text: &str| -> (u32, u32) {
        let (major, minor) = text.split_once(',').unwrap();
        (major.parse().unwrap(), minor.parse().unwrap())
    };
    let mut entry = match (sign, value.as_bytes()) {
        ("->", target) => TarEntry::symlink(name, target),
        ("=>", target) => TarEntry::hardlink(name, target),
        (":", content) => TarEntry::file(name, content),
        ("!", b"p") => TarEntry::fifo(name),
        ("!", [b'c', ..]) => TarEntry::device(name, b'3', numbers(&value[1..])),
        ("!", [b'b', ..]) => TarEntry::device(name, b'4', numbers(&value[1..])),
        ("!", _) => panic!("{word:?} is no word for an entry"),
        _ if name.ends_with('/') => TarEntry::dir(name),
        _ => TarEntry::file(name, b""),
    };
    for (nth, value) in attributes.split(',').filter(|value| !value.is_empty()).enumerate() {
        match nth {
            0 => entry.mode = u64::from_str_radix(value, 8).unwrap(),
            1 => entry.uid = value.parse().unwrap(),
            2 => entry.gid = value.parse().unwrap(),
            _ => entry.mtime = value.parse().unwrap(),
        }
    }
    entry
}
