//! The list of packages: lines of a letter, a colon and a value; an empty line after each package.
//!
//! Of a package: `P` name, `V` version, `A` architecture, `o` origin (the source package), `L` licence, `C` checksum of the
//! package. Of what it owns: `F` a directory and `M` its owner and mode, then for each file in it `R` its name, `a`
//! its owner and mode, `Z` its checksum.

use std::ops::Range;

use crate::lines;

/// How many problems are told.
const MAX_PROBLEMS: usize = 20;

/// One package of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stanza {
    /// Its lines, the empty one after them excluded.
    pub(super) bytes: Range<usize>,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) architecture: String,
    /// The source package, where one is named.
    pub(super) origin: Option<String>,
    /// What its licence is called.
    pub(super) licence: Option<String>,
    /// Who maintains it.
    pub(super) maintainer: Option<String>,
}

/// Problems as (line from 1, what is wrong).
type Problems = Vec<(usize, String)>;

/// The packages of a list, in its order.
pub(super) fn parse(bytes: &[u8]) -> (Vec<Stanza>, Problems) {
    let mut stanzas = Vec::new();
    let mut problems = Problems::new();
    let mut start: Option<(usize, usize)> = None;
    let mut end = |first: &mut Option<(usize, usize)>, end: usize, problems: &mut Problems| {
        let Some((start, line)) = first.take() else { return };
        match stanza(bytes, start..end) {
            Some(stanza) => stanzas.push(stanza),
            None if problems.len() >= MAX_PROBLEMS => {}
            None => problems.push((line, "a package without a usable name".to_owned())),
        }
    };
    for (number, line) in lines::lines(bytes).enumerate() {
        if lines::content(&bytes[line.clone()]).trim_ascii().is_empty() {
            end(&mut start, line.start, &mut problems);
        } else {
            start.get_or_insert((line.start, number + 1));
        }
    }
    end(&mut start, bytes.len(), &mut problems);
    (stanzas, problems)
}

fn stanza(bytes: &[u8], range: Range<usize>) -> Option<Stanza> {
    let (mut name, mut version, mut architecture, mut origin, mut licence, mut maintainer) = <_>::default();
    for (letter, value) in fields(&bytes[range.clone()]) {
        let field: &mut Option<String> = match letter {
            b'P' => &mut name,
            b'V' => &mut version,
            b'A' => &mut architecture,
            b'o' => &mut origin,
            b'L' => &mut licence,
            b'm' => &mut maintainer,
            b'F' => break,
            _ => continue,
        };
        let good = !value.is_empty()
            && value.len() <= 200
            && value.iter().all(|byte| byte.is_ascii_graphic() || (b"Lm".contains(&letter) && *byte == b' '));
        if good && field.is_none() {
            *field = Some(String::from_utf8_lossy(value).into_owned());
        }
    }
    Some(Stanza {
        bytes: range,
        name: name.filter(|name| !name.contains('/'))?,
        version: version.unwrap_or_default(),
        architecture: architecture.unwrap_or_default(),
        origin,
        licence,
        maintainer,
    })
}

/// The lines as letter and value; others are passed over.
fn fields(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    lines::contents(bytes).filter_map(|line| match line {
        [letter, b':', value @ ..] => Some((*letter, value)),
        _ => None,
    })
}

fn beneath(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

impl Stanza {
    /// What the package owns, directories excluded, as written: relative to the root.
    pub(super) fn files(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut directory: &[u8] = b"";
        let mut files = Vec::new();
        for (letter, value) in fields(&bytes[self.bytes.clone()]) {
            match letter {
                b'F' => directory = value,
                b'R' => files.push(beneath(directory, value)),
                _ => {}
            }
        }
        files
    }

    /// The values of the lines with this letter, up to the first directory.
    pub(super) fn values<'b>(&self, bytes: &'b [u8], letter: u8) -> impl Iterator<Item = &'b [u8]> {
        let heading = fields(&bytes[self.bytes.clone()]).take_while(|(letter, _)| *letter != b'F');
        heading.filter(move |(found, _)| *found == letter).map(|(_, value)| value)
    }

    /// The checksum of the package, by which `triggers` and `scripts.tar` name it.
    pub(super) fn checksum<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        fields(&bytes[self.bytes.clone()]).find(|(letter, _)| *letter == b'C').map(|(_, value)| value)
    }

    /// The lines of the package without the directories and files that are gone.
    pub(super) fn only(&self, bytes: &[u8], mut has: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len());
        let mut directory: &[u8] = b"";
        // The lines of a directory wait until it or a file in it is seen to stay.
        let mut waiting: Option<Vec<u8>> = None;
        let mut stays = true;
        for line in bytes[self.bytes.clone()].split_inclusive(|&byte| byte == b'\n') {
            match lines::content(line) {
                [b'F', b':', value @ ..] => {
                    directory = value;
                    stays = has(value);
                    waiting = (!stays).then(Vec::new);
                }
                [b'R', b':', value @ ..] => {
                    stays = has(&beneath(directory, value));
                    if stays && let Some(lines) = waiting.take() {
                        out.extend(lines);
                    }
                }
                _ => {}
            }
            match &mut waiting {
                Some(lines) if matches!(line, [b'F' | b'M', b':', ..]) => lines.extend_from_slice(line),
                _ if stays => out.extend_from_slice(line),
                _ => {}
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MUSL: &str = "C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:x86_64\no:musl\nF:lib\nM:0:0:755\nR:ld-musl-x86_64.so.1\n\
        a:0:0:755\nZ:Q1def=\nR:libc.musl-x86_64.so.1\nF:usr\nF:usr/share\nF:etc/musl\nM:0:0:700\nR:conf\nZ:Q1ghi=\n";

    #[test]
    fn packages_and_their_files_are_read() {
        let text = format!("{MUSL}\n\nP:.virtual\nV:0\n\nV:1\n\nP:a/b\n");
        let (stanzas, problems) = parse(text.as_bytes());
        let names: Vec<_> = stanzas.iter().map(|stanza| stanza.name.as_str()).collect();
        assert_eq!(names, ["musl", ".virtual"]);
        assert_eq!(problems.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [23, 25]);
        let files: Vec<_> = stanzas[0]
            .files(text.as_bytes())
            .into_iter()
            .map(|file| String::from_utf8(file).unwrap())
            .collect();
        assert_eq!(files, ["lib/ld-musl-x86_64.so.1", "lib/libc.musl-x86_64.so.1", "etc/musl/conf"]);
        assert_eq!(stanzas[0].checksum(text.as_bytes()), Some(&b"Q1abc="[..]));
    }

    #[test]
    fn lines_of_what_is_gone_go() {
        let (stanzas, _) = parse(MUSL.as_bytes());
        let only = |kept: &[&[u8]]| {
            String::from_utf8(stanzas[0].only(MUSL.as_bytes(), |path| kept.contains(&path))).unwrap()
        };
        let head = "C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:x86_64\no:musl\n";
        assert_eq!(only(&[]), head);
        let loader = "F:lib\nM:0:0:755\nR:ld-musl-x86_64.so.1\na:0:0:755\nZ:Q1def=\n";
        assert_eq!(only(&[b"lib", b"lib/ld-musl-x86_64.so.1"]), format!("{head}{loader}"));
        // The directory's lines come back with its file.
        let conf = "F:etc/musl\nM:0:0:700\nR:conf\nZ:Q1ghi=\n";
        assert_eq!(only(&[b"etc/musl/conf"]), format!("{head}{conf}"));
        assert_eq!(only(&[b"usr"]), format!("{head}F:usr\n"));
    }

    proptest! {
        #[test]
        fn any_lines_are_parsed(lines in proptest::collection::vec("([PVAoFMRaZC]:)?[a-z/. ]{0,6}", 0..40)) {
            let text = lines.join("\n");
            let (stanzas, _) = parse(text.as_bytes());
            for stanza in stanzas {
                prop_assert_eq!(&stanza.only(text.as_bytes(), |_| true), &text.as_bytes()[stanza.bytes.clone()]);
                stanza.files(text.as_bytes());
            }
        }
    }
}
