//! The literals of a class. Source: The Java Virtual Machine Specification, 4.4, "The Constant Pool".

use std::collections::BTreeSet;

/// What a class names, and what of it could act on that.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Class<'a> {
    pub(super) literals: BTreeSet<&'a [u8]>,
    /// It calls `System.loadLibrary`.
    pub(super) loads: bool,
    /// It starts processes.
    pub(super) starts: bool,
}

/// Reads a class; `None` for what is none.
pub(super) fn read(content: &[u8]) -> Option<Class<'_>> {
    if content.get(..4)? != b"\xca\xfe\xba\xbe" {
        return None;
    }
    let count = usize::from(short(content, 8)?);
    let mut texts: Vec<&[u8]> = vec![b""; count];
    let mut strings = Vec::new();
    let (mut at, mut index) = (10, 1);
    while index < count {
        let tag = *content.get(at)?;
        at += 1;
        match tag {
            1 => {
                let length = usize::from(short(content, at)?);
                texts[index] = content.get(at + 2..at + 2 + length)?;
                at += 2 + length;
            }
            3 | 4 | 9..=12 | 17 | 18 => at += 4,
            // Numbers of eight bytes take two places.
            5 | 6 => (at, index) = (at + 8, index + 1),
            7 | 16 | 19 | 20 => at += 2,
            8 => {
                strings.push(usize::from(short(content, at)?));
                at += 2;
            }
            15 => at += 3,
            _ => return None,
        }
        index += 1;
    }
    let literals = strings.into_iter().filter_map(|index| texts.get(index).copied()).collect();
    let has = |name: &[u8]| texts.contains(&name);
    let starts = has(b"java/lang/ProcessBuilder") || (has(b"java/lang/Runtime") && has(b"exec"));
    Some(Class { literals, loads: has(b"loadLibrary"), starts })
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A class with these literals, and these names beside them.
    pub(in crate::rules::java) fn class(literals: &[&str], names: &[&str]) -> Vec<u8> {
        let mut out = b"\xca\xfe\xba\xbe\0\0\0\x3d".to_vec();
        // A number of eight bytes in front shifts the places.
        out.extend((3 + 2 * literals.len() as u16 + names.len() as u16).to_be_bytes());
        out.extend([5, 0, 0, 0, 0, 0, 0, 0, 1]);
        let text = |text: &str| [&[1][..], &(text.len() as u16).to_be_bytes(), text.as_bytes()].concat();
        for (nth, literal) in literals.iter().enumerate() {
            out.extend(text(literal));
            out.push(8);
            out.extend((3 + 2 * nth as u16).to_be_bytes());
        }
        names.iter().for_each(|name| out.extend(text(name)));
        out
    }

    #[test]
    fn literals_are_told_from_names() {
        let bytes = class(&["/etc/app.conf", "git"], &["java/lang/ProcessBuilder", "/etc/not"]);
        let class = read(&bytes).unwrap();
        assert_eq!(class.literals, BTreeSet::from([&b"/etc/app.conf"[..], b"git"]));
        assert!(class.starts && !class.loads);
        for length in 0..bytes.len() {
            let _ = read(&bytes[..length]);
        }
    }
}
