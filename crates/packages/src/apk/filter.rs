//! apk's database of a hardened image.
//!
//! `installed` keeps the packages that are still there, of their directories and files the lines of what is. `world`
//! keeps the names of these packages, or the next `apk add` would install the others again. `triggers` and
//! `scripts.tar` are for installing and removing: they go, unless the workload used them; then `triggers` is cut down.

use std::collections::BTreeSet;

use super::{WORLD, directories, installed};
use crate::cut::{Cut, FilteredDatabase};
use crate::locate::Locator;
use crate::read::{self, ReadPackagesError};
use crate::{Ecosystem, Origin, lines};

const LISTS: &str = "package database: lists the packages that are still there";
const WANTED: &str = "package database: apk would remove packages that nobody asked for";

pub(crate) fn filter(cut: &Cut<'_>, filtered: &mut FilteredDatabase) -> Result<(), ReadPackagesError> {
    let mut remaining = cut.remaining(Locator::new(cut.image.tree()), BTreeSet::new());
    let places = directories(cut.image);
    for place in &places {
        let file = place.path.join(b"installed").ok().and_then(|file| read::regular(cut.image, &file));
        let Some(file) = file else { continue };
        place.symlinks.iter().for_each(|link| filtered.keep(link, LISTS));
        filtered.keep(&file, LISTS);
        let present: BTreeSet<usize> = cut
            .packages(Ecosystem::Apk)
            .filter(|(package, present)| *present && package.origin.place().0 == &file)
            .filter_map(|(package, _)| match &package.origin {
                Origin::Apk { bytes, .. } => Some(bytes.start),
                _ => None,
            })
            .collect();
        let bytes = cut.read(&file)?;
        let (stanzas, _) = installed::parse(&bytes);
        let mut out = Vec::with_capacity(bytes.len());
        let mut position = 0;
        let mut checksums = BTreeSet::new();
        for stanza in &stanzas {
            // What is no package stays: nobody can tell what it was.
            lines::copy_unknown(&bytes[position..stanza.bytes.start], &mut out);
            position = stanza.bytes.end;
            if present.contains(&stanza.bytes.start) {
                out.extend(stanza.only(&bytes, |path| remaining.has(&stanza.name, path)));
                out.push(b'\n');
                checksums.extend(stanza.checksum(&bytes));
            }
        }
        lines::copy_unknown(&bytes[position..], &mut out);
        if !lines::same(&out, &bytes) {
            filtered.replace.insert(file.clone(), out);
        }
        if let Some(triggers) = place.path.join(b"triggers").ok().filter(|path| cut.kept.contains(path))
            && read::regular(cut.image, &triggers).as_ref() == Some(&triggers)
        {
            let bytes = cut.read(&triggers)?;
            let named = |line: &[u8]| {
                line.split(|&byte| byte == b' ').next().is_some_and(|word| checksums.contains(word))
            };
            filtered.replace(&triggers, &bytes, lines::only(&bytes, named));
        }
    }
    if let Some(place) = read::place(cut.image, WORLD).filter(|_| !places.is_empty())
        && read::regular(cut.image, &place.path).is_some()
    {
        let names = cut.present_names(Ecosystem::Apk);
        let bytes = cut.read(&place.path)?;
        let out = lines::only(&bytes, |line| wanted(line).is_none_or(|name| names.contains(name)));
        place.symlinks.iter().for_each(|link| filtered.keep(link, WANTED));
        filtered.keep(&place.path, WANTED);
        filtered.replace(&place.path, &bytes, out);
    }
    Ok(())
}

/// The package that a line of `world` wants, `a` of `a>=1@edge`; none for a conflict (`!a`) and for what any of
/// several packages may provide (`so:libx.so.1`).
fn wanted(line: &[u8]) -> Option<&str> {
    let line = line.trim_ascii();
    let end = line.iter().position(|byte| b"<>=~@".contains(byte)).unwrap_or(line.len());
    let name = std::str::from_utf8(&line[..end]).ok()?.trim();
    (!name.is_empty() && !name.starts_with('!') && !name.contains(':')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_packages_are_told_from_constraints() {
        for (line, name) in [
            ("busybox", Some("busybox")),
            ("nginx>=1.26", Some("nginx")),
            ("foo@edge", Some("foo")),
            ("bar~1.2", Some("bar")),
            ("!uclibc", None),
            ("so:libx.so.1", None),
            ("", None),
        ] {
            assert_eq!(wanted(line.as_bytes()), name, "{line}");
        }
    }
}
