//! dpkg's database of a hardened image.
//!
//! `status` and the files of `status.d` keep the stanzas of the packages that are still there, byte for byte but for
//! the lines of `Conffiles` whose file is gone. Of `info/` the lists of these packages stay, without the lines of
//! what is gone. What dpkg needs to read the rest goes along: `info/format`, `arch`, and those of `diversions`,
//! `statoverride` and `alternatives/` that speak of a kept file. All else goes unless the workload used it:
//! maintainer scripts (they run when a package is installed or removed), triggers, symbols, templates, `available`,
//! `status-old`; what the workload used is cut down in the same way.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use image::{ImagePath, NodeKind};

use super::{ADMIN_DIRECTORY, alternatives, below, diversions, lists, overrides, parse_status, triggers};
use crate::cut::{Cut, FilteredDatabase, Remaining};
use crate::locate::Locator;
use crate::read::{self, Problems, ReadPackagesError};
use crate::{Ecosystem, Origin, Package, lines};

const LISTS: &str = "package database: lists the packages that are still there";
const FILES: &str = "package database: lists the files of a package that is still there";
const READABLE: &str = "package database: dpkg needs it to read the rest";
const SETTINGS: &str = "package database: says how a file that is still there came to its place or mode";

/// Filters the database for the packages that are present, when what is kept is all that stays besides.
pub(crate) fn filter(cut: &Cut<'_>, filtered: &mut FilteredDatabase) -> Result<(), ReadPackagesError> {
    let Some(admin) = read::directory(cut.image, ADMIN_DIRECTORY) else { return Ok(()) };
    let mut locator = Locator::new(cut.image.tree());
    for (from, diversion) in diversions::read(cut.image, &admin, &cut.limits, &mut Problems::default())? {
        locator.divert(&from, diversion);
    }
    let packages: Vec<_> = cut.packages(Ecosystem::Dpkg).collect();

    // Which files stay is decided before what they say, since they are themselves files of packages.
    for (package, _) in packages.iter().filter(|(_, present)| *present) {
        let Origin::Dpkg { file, list, md5sums, .. } = &package.origin else { continue };
        filtered.keep(file, LISTS);
        for file in [list, md5sums].into_iter().flatten() {
            filtered.keep(file, FILES);
        }
    }
    let status = read::regular(cut.image, &below(&admin, b"status"));
    filtered.keep.extend(status.iter().map(|status| (status.clone(), LISTS.into())));
    for name in [&b"info/format"[..], b"arch"] {
        let file = read::regular(cut.image, &below(&admin, name));
        filtered.keep.extend(file.map(|file| (file, READABLE.into())));
    }

    let ours = filtered.keep.keys().cloned().collect();
    let mut filter = Filter { cut, admin, remaining: cut.remaining(locator, ours), filtered };
    for (package, present) in &packages {
        filter.lists(package, *present)?;
    }
    let mut files: BTreeMap<&ImagePath, Vec<(&Package, bool)>> = BTreeMap::new();
    if let Some(status) = &status {
        files.insert(status, Vec::new());
    }
    for &(package, present) in &packages {
        files.entry(package.origin.place().0).or_default().push((package, present));
    }
    for (file, packages) in files {
        if filter.stays(file) {
            filter.status(file, &packages)?;
        }
    }
    filter.info()?;
    filter.copies_of_status()?;
    filter.settings()
}

/// The database while it is filtered.
struct Filter<'c, 'a> {
    cut: &'c Cut<'a>,
    admin: ImagePath,
    remaining: Remaining<'a>,
    filtered: &'c mut FilteredDatabase,
}

impl Filter<'_, '_> {
    fn stays(&self, file: &ImagePath) -> bool {
        self.filtered.keep.contains_key(file) || self.cut.kept.contains(file)
    }

    /// Drops the lines of a package's lists whose path is gone.
    fn lists(&mut self, package: &Package, present: bool) -> Result<(), ReadPackagesError> {
        let Origin::Dpkg { list, md5sums, .. } = &package.origin else { return Ok(()) };
        type PathOf = fn(&[u8]) -> Option<&[u8]>;
        let kinds: [(&Option<ImagePath>, PathOf); 2] =
            [(list, |line| Some(line)), (md5sums, lists::md5sums_path)];
        for (list, path) in kinds {
            if let Some(list) = list
                && (present || self.cut.kept.contains(list))
            {
                let bytes = self.cut.read(list)?;
                let remaining = &mut self.remaining;
                let out = lines::only(&bytes, |line| {
                    path(line).is_some_and(|path| remaining.has(&package.name, path))
                });
                self.filtered.replace(list, &bytes, out);
            }
        }
        Ok(())
    }

    /// Drops the stanzas of packages that are gone, and of those that stay the conffiles that are gone. What is no
    /// stanza of a package stays: nobody can tell what it was.
    fn status(&mut self, file: &ImagePath, packages: &[(&Package, bool)]) -> Result<(), ReadPackagesError> {
        let old = self.cut.read(file)?;
        let bytes = super::merged(self.cut.image, &self.admin, file, &self.cut.limits)?;
        let mut present = BTreeSet::new();
        for (package, _) in packages.iter().filter(|(_, present)| *present) {
            if let Origin::Dpkg { bytes, .. } = &package.origin {
                present.insert((bytes.start, bytes.end));
            }
        }
        let mut out = Vec::with_capacity(bytes.len());
        let mut position = 0;
        for entry in parse_status(&bytes).entries {
            lines::copy_unknown(&bytes[position..entry.bytes.start], &mut out);
            position = entry.bytes.end;
            if !present.contains(&(entry.bytes.start, entry.bytes.end)) {
                continue;
            }
            let gone: Vec<_> = entry
                .conffiles
                .iter()
                .filter(|conffile| !self.remaining.has(&entry.name, &conffile.path))
                .map(|conffile| conffile.line.clone())
                .collect();
            let heading =
                (gone.len() == entry.conffiles.len()).then(|| entry.conffiles_heading.clone()).flatten();
            copy_without(&bytes, entry.bytes, heading.filter(|_| !gone.is_empty()), gone, &mut out);
        }
        lines::copy_unknown(&bytes[position..], &mut out);
        if !lines::same(&out, &old) {
            self.filtered.replace.insert(file.clone(), out);
        }
        Ok(())
    }

    /// Cuts the lists of configuration files that something else keeps.
    fn info(&mut self) -> Result<(), ReadPackagesError> {
        let directory = below(&self.admin, b"info");
        for (file, name) in self.kept_files(&directory) {
            let Some(package) = name.strip_suffix(b".conffiles") else { continue };
            let package = String::from_utf8_lossy(package).into_owned();
            let package = package.split(':').next().unwrap_or_default();
            let bytes = self.cut.read(&file)?;
            let remaining = &mut self.remaining;
            let out = lines::only(&bytes, |line| remaining.has(package, line));
            self.filtered.replace(&file, &bytes, out);
        }
        Ok(())
    }

    /// Cuts what looks like `status` and lists the same packages, and the journals, where something else keeps them.
    fn copies_of_status(&mut self) -> Result<(), ReadPackagesError> {
        let names = self.cut.present_names(Ecosystem::Dpkg);
        let copies = ["status-old", "available", "available-old"];
        let copies: Vec<_> = copies.iter().map(|name| below(&self.admin, name.as_bytes())).collect();
        let journals = super::journals(self.cut.image, &self.admin);
        for file in copies.iter().chain(&journals) {
            if !self.cut.kept.contains(file) || read::regular(self.cut.image, file).as_ref() != Some(file) {
                continue;
            }
            let bytes = self.cut.read(file)?;
            let is_journal = journals.contains(file);
            let mut out = Vec::with_capacity(bytes.len());
            for entry in parse_status(&bytes).entries {
                if names.contains(entry.name.as_str()) {
                    copy_without(&bytes, entry.bytes, None, Vec::new(), &mut out);
                } else if is_journal {
                    let gone = format!(
                        "Package: {}\nStatus: purge ok not-installed\nArchitecture: {}\n\n",
                        entry.name, entry.architecture
                    );
                    out.extend_from_slice(gone.as_bytes());
                }
            }
            if !lines::same(&out, &bytes) {
                self.filtered.replace.insert(file.clone(), out);
            }
        }
        Ok(())
    }

    /// Diversions, overridden modes, alternatives and triggers, as far as they speak of what is still there.
    fn settings(&mut self) -> Result<(), ReadPackagesError> {
        for (name, filter) in [
            ("diversions", diversions::filter as fn(&[u8], &mut dyn FnMut(&[u8]) -> bool) -> Vec<u8>),
            ("statoverride", overrides::filter),
        ] {
            let Some(file) = read::regular(self.cut.image, &below(&self.admin, name.as_bytes())) else {
                continue;
            };
            let bytes = self.cut.read(&file)?;
            let users = overrides::Users::of(self.cut.image, self.cut.kept)?;
            let remaining = &mut self.remaining;
            let known = |line: &[u8]| name != "statoverride" || users.know(line);
            let out = lines::only(&filter(&bytes, &mut |path| remaining.has(":", path)), known);
            if !out.is_empty() {
                self.filtered.keep(&file, SETTINGS);
            }
            if self.stays(&file) {
                self.filtered.replace(&file, &bytes, out);
            }
        }
        let directory = below(&self.admin, b"alternatives");
        for (file, node) in self.cut.image.tree().children(&directory) {
            if !matches!(node.kind, NodeKind::File { .. }) {
                continue;
            }
            let bytes = self.cut.read(file)?;
            let remaining = &mut self.remaining;
            let has = &mut |path: &[u8]| remaining.has(":", path);
            let Some(left) = alternatives::filter(file.name(), &bytes, has) else { continue };
            if left.is_used {
                self.filtered.keep(file, SETTINGS);
            }
            if self.stays(file) {
                self.filtered.replace(file, &bytes, left.bytes);
            }
        }
        let names = self.cut.present_names(Ecosystem::Dpkg);
        for (file, name) in self.kept_files(&below(&self.admin, b"triggers")) {
            let bytes = self.cut.read(&file)?;
            self.filtered.replace(&file, &bytes, triggers::filter(&name, &bytes, &names));
        }
        Ok(())
    }

    /// The regular files of a directory that something else keeps, with their names.
    fn kept_files(&self, directory: &ImagePath) -> Vec<(ImagePath, Vec<u8>)> {
        let files = self.cut.image.tree().children(directory);
        let kept = files.filter(|(path, node)| {
            matches!(node.kind, NodeKind::File { .. }) && self.cut.kept.contains(*path)
        });
        kept.map(|(path, _)| (path.clone(), path.name().to_vec())).collect()
    }
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
