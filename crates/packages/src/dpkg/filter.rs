//! dpkg's database of a hardened image.
//!
//! `status` and the files of `status.d` keep the stanzas of the packages that are still there, byte for byte but for
//! the lines of `Conffiles` whose file is gone. Of `info/` the lists of these packages stay, without the lines of
//! what is gone. What dpkg needs to read the rest goes along: `info/format`, `arch`, and `diversions` where a kept
//! file is a diverted one. All else goes unless the workload used it: maintainer scripts, triggers, templates,
//! `available`, `status-old`, `alternatives`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use image::{Image, ImagePath, NodeKind};

use super::locate::Locator;
use super::{ADMIN_DIRECTORY, below, diversions, lists, parse_status};
use crate::read::{self, Limits, Problems, ReadPackagesError};
use crate::{FilteredDatabase, Origin, Package, PackageDatabase};

const LISTS: &str = "package database: lists the packages that are still there";
const FILES: &str = "package database: lists the files of a package that is still there";
const READABLE: &str = "package database: dpkg needs it to read the rest";

/// Filters the database for the packages that `present` names by position, when `kept` is all that stays besides.
pub(crate) fn filter(
    database: &PackageDatabase,
    image: &Image,
    kept: &BTreeSet<ImagePath>,
    present: &[bool],
    filtered: &mut FilteredDatabase,
) -> Result<(), ReadPackagesError> {
    let Some(admin) = read::directory(image, ADMIN_DIRECTORY) else { return Ok(()) };
    let limits = Limits::default();
    let mut locator = Locator::new(image.tree());
    for (from, diversion) in diversions::read(image, &admin, &limits, &mut Problems::default())? {
        locator.divert(&from, diversion);
    }
    let packages: Vec<_> =
        database.packages.iter().zip(present).map(|(package, present)| (package, *present)).collect();

    // Which files stay is decided before what they say, since they are themselves files of packages.
    for (package, present) in &packages {
        let Origin::Dpkg { file, list, md5sums, .. } = &package.origin;
        if *present {
            filtered.keep.insert(file.clone(), LISTS.into());
            for file in [list, md5sums].into_iter().flatten() {
                filtered.keep.insert(file.clone(), FILES.into());
            }
        }
    }
    let status = read::regular(image, &below(&admin, b"status"));
    filtered.keep.extend(status.iter().map(|status| (status.clone(), LISTS.into())));
    for name in [&b"info/format"[..], b"arch"] {
        let file = read::regular(image, &below(&admin, name));
        filtered.keep.extend(file.map(|file| (file, READABLE.into())));
    }

    let mut remaining =
        Remaining { image, kept, ours: filtered.keep.keys().cloned().collect(), locator, diverted: false };
    for (package, _) in packages.iter().filter(|(_, present)| *present) {
        let Origin::Dpkg { list, md5sums, .. } = &package.origin;
        if let Some(list) = list {
            let path = |line: &[u8]| Some(lists::content(line).to_vec());
            remaining.filter_list(package, list, path, &limits, filtered)?;
        }
        if let Some(md5sums) = md5sums {
            let path = |line: &[u8]| lists::md5sums_path(line).map(<[u8]>::to_vec);
            remaining.filter_list(package, md5sums, path, &limits, filtered)?;
        }
    }
    let mut files: BTreeMap<&ImagePath, Vec<(&Package, bool)>> = BTreeMap::new();
    if let Some(status) = &status {
        files.insert(status, Vec::new());
    }
    for (package, present) in packages {
        let Origin::Dpkg { file, .. } = &package.origin;
        files.entry(file).or_default().push((package, present));
    }
    for (file, packages) in files {
        if filtered.keep.contains_key(file) || kept.contains(file) {
            remaining.filter_status(file, &packages, &limits, filtered)?;
        }
    }
    if remaining.diverted
        && let Some(diversions) = read::regular(image, &below(&admin, b"diversions"))
    {
        filtered.keep.insert(diversions, READABLE.into());
    }
    Ok(())
}

/// Tells which listed paths remain.
struct Remaining<'a> {
    image: &'a Image,
    kept: &'a BTreeSet<ImagePath>,
    ours: BTreeSet<ImagePath>,
    locator: Locator<'a>,
    diverted: bool,
}

impl Remaining<'_> {
    /// Whether the path that this package lists is still there: a file that is kept, a directory that is kept or
    /// holds something that is.
    fn has(&mut self, package: &str, path: &[u8]) -> bool {
        let Some(path) = ImagePath::from_absolute(path).ok().filter(|_| !path.is_empty()) else {
            return false;
        };
        let Some(located) = self.locator.locate(package, &path) else { return false };
        let directory =
            self.image.tree().get(&located.path).is_some_and(|node| node.kind == NodeKind::Directory);
        let within = |paths: &BTreeSet<ImagePath>| {
            let first = paths.range(&located.path..).next();
            first.is_some_and(
                |first| if directory { first.is_within(&located.path) } else { *first == located.path },
            )
        };
        let remains = located.path.is_root() || within(self.kept) || within(&self.ours);
        self.diverted |= located.diverted && remains;
        remains
    }

    /// Drops the lines of a list whose path is gone.
    fn filter_list(
        &mut self,
        package: &Package,
        list: &ImagePath,
        path: impl Fn(&[u8]) -> Option<Vec<u8>>,
        limits: &Limits,
        filtered: &mut FilteredDatabase,
    ) -> Result<(), ReadPackagesError> {
        let bytes = read::file(self.image, list, limits.list_bytes)?;
        let mut out = Vec::with_capacity(bytes.len());
        for line in lists::lines(&bytes) {
            let line = &bytes[line];
            if path(line).is_some_and(|path| self.has(&package.name, &path)) {
                out.extend_from_slice(line);
            }
        }
        if out != bytes {
            filtered.replace.insert(list.clone(), out);
        }
        Ok(())
    }

    /// Drops the stanzas of packages that are gone, and of those that stay the conffiles that are gone.
    fn filter_status(
        &mut self,
        file: &ImagePath,
        packages: &[(&Package, bool)],
        limits: &Limits,
        filtered: &mut FilteredDatabase,
    ) -> Result<(), ReadPackagesError> {
        let bytes = read::file(self.image, file, limits.status_bytes)?;
        let mut present = BTreeSet::new();
        for (package, _) in packages.iter().filter(|(_, present)| *present) {
            let Origin::Dpkg { bytes, .. } = &package.origin;
            present.insert((bytes.start, bytes.end));
        }
        let entries = parse_status(&bytes).entries;
        let mut out = Vec::with_capacity(bytes.len());
        for entry in entries.iter().filter(|entry| present.contains(&(entry.bytes.start, entry.bytes.end))) {
            let gone: Vec<_> = entry
                .conffiles
                .iter()
                .filter(|conffile| !self.has(&entry.name, &conffile.path))
                .map(|conffile| conffile.line.clone())
                .collect();
            let field =
                (gone.len() == entry.conffiles.len()).then(|| entry.conffiles_heading.clone()).flatten();
            copy_without(&bytes, entry.bytes.clone(), field.filter(|_| !gone.is_empty()), gone, &mut out);
        }
        if !same_lines(&out, &bytes) {
            filtered.replace.insert(file.clone(), out);
        }
        Ok(())
    }
}

/// Whether two texts differ in nothing but empty lines and the last newline.
fn same_lines(a: &[u8], b: &[u8]) -> bool {
    let lines =
        |bytes| <[u8]>::split(bytes, |&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    lines(a).eq(lines(b))
}

/// Copies a stanza without some of its lines, and ends it with an empty line.
fn copy_without(
    bytes: &[u8],
    stanza: Range<usize>,
    heading: Option<Range<usize>>,
    lines: Vec<Range<usize>>,
    out: &mut Vec<u8>,
) {
    let mut position = stanza.start;
    for gone in heading.into_iter().chain(lines) {
        out.extend_from_slice(&bytes[position..gone.start]);
        position = gone.end;
    }
    out.extend_from_slice(&bytes[position..stanza.end]);
    if out.last() != Some(&b'\n') {
        out.push(b'\n');
    }
    out.push(b'\n');
}
