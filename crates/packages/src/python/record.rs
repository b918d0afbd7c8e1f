//! `RECORD`: comma-separated rows of path, checksum and size.
//!
//! Source: PEP 376, and PyPA specification "Recording installed projects".

use std::ops::Range;

use image::ImagePath;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Its bytes in the file, with the newline.
    pub(super) bytes: Range<usize>,
    /// Its first field, quotes removed.
    pub(super) path: Vec<u8>,
}

/// All rows. A quoted field may hold commas, newlines, and quotes written twice.
pub(super) fn rows(bytes: &[u8]) -> impl Iterator<Item = Row> {
    let mut position = 0;
    std::iter::from_fn(move || {
        let start = position;
        if start >= bytes.len() {
            return None;
        }
        let mut path = Vec::new();
        let (mut quoted, mut first_field) = (false, true);
        while let Some(&byte) = bytes.get(position) {
            position += 1;
            match byte {
                b'"' if quoted && bytes.get(position) == Some(&b'"') => {
                    position += 1;
                    if first_field {
                        path.push(b'"');
                    }
                }
                b'"' => quoted = !quoted,
                b'\n' if !quoted => break,
                b'\r' if !quoted => {}
                b',' if !quoted => first_field = false,
                _ if first_field => path.push(byte),
                _ => {}
            }
        }
        Some(Row { bytes: start..position, path })
    })
}

/// The path that a row names: absolute, or relative to `base`, where `..` leads up.
pub(super) fn path(base: &ImagePath, listed: &[u8]) -> Option<ImagePath> {
    let mut path = if listed.starts_with(b"/") { ImagePath::root() } else { base.clone() };
    for name in listed.split(|&byte| byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => path = path.parent()?,
            name => path = path.join(name).ok()?,
        }
    }
    (!path.is_root() && !listed.is_empty()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quoted_paths_are_read() {
        let text = b"a/b.py,sha256=x,1\r\n\"a, \"\"b\"\".py\",sha256=y,2\na.dist-info/RECORD,,\n\"open\n,x";
        let paths: Vec<_> = rows(text).map(|row| String::from_utf8(row.path).unwrap()).collect();
        assert_eq!(paths, ["a/b.py", "a, \"b\".py", "a.dist-info/RECORD", "open\n,x"]);
    }

    #[test]
    fn paths_lead_up_but_not_out() {
        let base = ImagePath::from_text("/usr/lib/python3/site").unwrap();
        for (listed, expected) in [
            ("../../../bin/flask", Some("/usr/bin/flask")),
            ("a/./b.py", Some("/usr/lib/python3/site/a/b.py")),
            ("/opt/x", Some("/opt/x")),
            ("../../../../../etc/passwd", None),
            ("", None),
            ("../../../..", None),
        ] {
            let found = path(&base, listed.as_bytes()).map(|path| path.to_text());
            assert_eq!(found.as_deref(), expected, "{listed}");
        }
    }

    proptest! {
        #[test]
        fn rows_hold_every_byte(text in "[a\",\\r\\n/.]{0,60}") {
            let held: Vec<u8> = rows(text.as_bytes()).flat_map(|row| text.as_bytes()[row.bytes].to_vec()).collect();
            prop_assert_eq!(held, text.as_bytes());
        }
    }
}
