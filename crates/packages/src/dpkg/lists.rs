//! Lists of a package's files: `.list`, `.md5sums`, and the lines of `Conffiles`.

use crate::lines::{content, lines};

/// The lines of a `.list`: absolute paths, directories and `/.` among them. dpkg quotes nothing.
pub(super) fn parse_list(bytes: &[u8]) -> Vec<Vec<u8>> {
    lines(bytes)
        .map(|line| content(&bytes[line]))
        .filter(|path| !path.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

/// The paths of a `.md5sums`, relative as written, and the lines that are none.
pub(super) fn parse_md5sums(bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<(usize, String)>) {
    let mut paths = Vec::new();
    let mut problems = Vec::new();
    for (number, line) in lines(bytes).enumerate() {
        match md5sums_path(&bytes[line.clone()]) {
            Some(path) => paths.push(path.to_vec()),
            None if bytes[line].trim_ascii().is_empty() || problems.len() >= 10 => {}
            None => problems.push((number + 1, "a line that is no checksum and path".to_owned())),
        }
    }
    (paths, problems)
}

/// The path of one line of a `.md5sums`: 32 hex digits, a space, a space or `*`, the path.
pub(super) fn md5sums_path(line: &[u8]) -> Option<&[u8]> {
    let (sum, rest) = content(line).split_at_checked(32)?;
    let path = rest.strip_prefix(b"  ").or_else(|| rest.strip_prefix(b" *"))?;
    (sum.iter().all(u8::is_ascii_hexdigit) && !path.is_empty()).then_some(path)
}

/// The path of one continuation line of `Conffiles`: a space, the path, a space, the checksum, flags.
pub(super) fn conffile_path(line: &[u8]) -> Option<&[u8]> {
    let mut line = line.trim_ascii();
    for flag in [&b" remove-on-upgrade"[..], b" obsolete"] {
        line = line.strip_suffix(flag).unwrap_or(line).trim_ascii_end();
    }
    let space = line.iter().rposition(|&byte| byte == b' ')?;
    let path = line[..space].trim_ascii_end();
    path.starts_with(b"/").then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_keep_odd_bytes() {
        let paths = parse_list(b"/.\n/usr\n\n/usr/a b\n/usr/\xff\n/last");
        assert_eq!(paths, [&b"/."[..], b"/usr", b"/usr/a b", b"/usr/\xff", b"/last"]);
    }

    #[test]
    fn checksums_need_32_hex_digits() {
        let sum = "0123456789abcdef0123456789abcdef";
        let text = format!("{sum}  usr/bin/a\n{sum} *usr/a b\n\nshort  usr/x\n{sum}usr/y\n{sum}  \n");
        let (paths, problems) = parse_md5sums(text.as_bytes());
        assert_eq!(paths, [&b"usr/bin/a"[..], b"usr/a b"]);
        assert_eq!(problems.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [4, 5, 6]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            parse_list(&bytes);
            parse_md5sums(&bytes);
            conffile_path(&bytes);
            prop_assert_eq!(lines(&bytes).map(|line| line.len()).sum::<usize>(), bytes.len());
        }
    }
}
