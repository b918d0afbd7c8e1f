//! Diversions: files of one package that are elsewhere because another package, or the administrator, wanted their
//! place.
//!
//! Source: `dpkg-divert(1)`; the file has three lines for each: from, to, and the package that diverts, `:` for the
//! administrator.

use image::{Image, ImagePath};

use crate::lines;
use crate::locate::Diversion;
use crate::read::{self, Limits, Problems, ReadPackagesError};

/// Reads the diversions of an image, if it has any.
pub(super) fn read(
    image: &Image,
    admin: &ImagePath,
    limits: &Limits,
    problems: &mut Problems,
) -> Result<Vec<(ImagePath, Diversion)>, ReadPackagesError> {
    let Some(file) = read::regular(image, &super::below(admin, b"diversions")) else { return Ok(Vec::new()) };
    let (diversions, broken) = parse(&read::file(image, &file, limits.list_bytes)?);
    problems.extend(&file, broken);
    Ok(diversions)
}

/// The diversions of which one end is still there.
pub(super) fn filter(bytes: &[u8], has: &mut dyn FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let lines: Vec<_> = lines::lines(bytes).map(|line| &bytes[line]).collect();
    for group in lines.chunks(3) {
        if group[..group.len().min(2)].iter().any(|end| has(lines::content(end))) {
            out.extend(group.concat());
        }
    }
    out
}

/// Diversions by the path that is diverted, and the lines that are none.
type Parsed = (Vec<(ImagePath, Diversion)>, Vec<(usize, String)>);

fn parse(bytes: &[u8]) -> Parsed {
    let lines: Vec<_> = lines::contents(bytes).collect();
    let mut diversions = Vec::new();
    let mut problems = Vec::new();
    for (number, group) in lines.chunks(3).enumerate() {
        let diversion = match group {
            [from, to, by] => ImagePath::from_absolute(from)
                .ok()
                .zip(ImagePath::from_absolute(to).ok())
                .map(|(from, to)| (from, Diversion { to, by: String::from_utf8_lossy(by).into_owned() })),
            _ => None,
        };
        match diversion {
            Some(diversion) => diversions.push(diversion),
            None if problems.len() >= 10 => {}
            None => problems.push((number * 3 + 1, "a diversion that is none".to_owned())),
        }
    }
    (diversions, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diversions_are_three_lines_each() {
        let (diversions, problems) =
            parse(b"/bin/sh\n/bin/sh.distrib\ndash\n/a\n/../b\n:\n/usr/bin/x\n/usr/bin/x.real\n:\n/cut\n");
        let by: Vec<_> = diversions.iter().map(|(_, diversion)| diversion.by.as_str()).collect();
        assert_eq!(by, ["dash", ":"]);
        assert_eq!(problems.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [4, 10]);
    }
}
