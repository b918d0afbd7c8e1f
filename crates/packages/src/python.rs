//! Python distributions: what pip and its like installed beside the modules.
//!
//! `NAME-VERSION.dist-info/` holds `METADATA` (name, version, licence) and `RECORD` (every file with its checksum);
//! older ones are `NAME.egg-info/` with `PKG-INFO` and `installed-files.txt`, a single file `NAME.egg-info` without
//! a list, or `EGG-INFO/` in a directory `NAME.egg` that holds all of it.
//!
//! A distribution whose metadata a package of the image's distribution owns is that package's, and not a second one.
//!
//! Source: PyPA specifications "Recording installed projects", "Core metadata"; setuptools, "The Internal Structure of
//! Python Eggs".

pub(crate) mod filter;
mod record;

use std::collections::{BTreeSet, HashSet};
use std::io::Read as _;

use image::{Image, ImagePath, NodeKind};

use crate::locate::Locator;
use crate::read::{ReadPackagesError, Reading};
use crate::{Ecosystem, FileList, InstallState, Origin, Package, PackageDatabase, purl};

/// How much of a metadata file is read: its header, and not the description.
const MAX_HEADER_BYTES: u64 = 256 << 10;

/// A place in the image that describes a distribution.
struct Described {
    /// The directory or file that holds the metadata.
    place: ImagePath,
    /// The file that names it.
    metadata: ImagePath,
    /// What it installed, where there is a list.
    record: Option<ImagePath>,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `NAME.dist-info/`.
    DistInfo,
    /// `NAME.egg-info/` or `NAME.egg-info`.
    EggInfo,
    /// `NAME.egg/EGG-INFO/`.
    Egg,
}

/// Where the database lies: all that describes distributions.
pub(crate) fn places(database: &PackageDatabase) -> impl Iterator<Item = ImagePath> {
    database.packages.iter().filter_map(|package| match &package.origin {
        Origin::Python { place, .. } => Some(place.clone()),
        _ => None,
    })
}

/// Reads every distribution whose metadata is not in `owned`; it has no file of `owned` either.
pub(crate) fn read(
    reading: &mut Reading<'_>,
    owned: &HashSet<ImagePath>,
) -> Result<Vec<Package>, ReadPackagesError> {
    let mut packages = Vec::new();
    let mut locator = Locator::new(reading.image.tree());
    for described in describing(reading.image) {
        if owned.contains(&described.metadata) {
            continue;
        }
        let header = header(reading.image, &described.metadata)?;
        let field = |name: &str| field(&header, name).filter(|value| !value.is_empty() && value.len() <= 500);
        let (Some(name), Some(version)) = (field("Name"), field("Version")) else {
            reading.problem(&described.metadata, "metadata without a name and a version");
            continue;
        };
        let (file_list, listed) = files(reading, &described, &mut locator)?;
        reading.count(1, listed.len())?;
        let purl = purl::of("pypi", &[&normal_name(&name)], &version, &[]);
        let licence = field("License-Expression").or_else(|| field("License"));
        packages.push(Package {
            ecosystem: Ecosystem::Python,
            source_name: name.clone(),
            source_version: version.clone(),
            name,
            version,
            architecture: String::new(),
            licence,
            maintainer: maker(&field),
            state: InstallState::Installed,
            purl,
            file_list,
            files: listed.into_iter().filter(|path| !owned.contains(path)).collect(),
            origin: Origin::Python {
                place: described.place,
                metadata: described.metadata,
                record: described.record,
            },
        });
    }
    Ok(packages)
}

/// Everything in the image that describes a distribution, by path.
fn describing(image: &Image) -> Vec<Described> {
    let tree = image.tree();
    let is_file =
        |path: &ImagePath| tree.get(path).is_some_and(|node| matches!(node.kind, NodeKind::File { .. }));
    let at =
        |directory: &ImagePath, name: &str| directory.join(name.as_bytes()).ok().filter(|path| is_file(path));
    let mut found = Vec::new();
    for (path, node) in tree.iter() {
        let name = path.name();
        let (form, metadata, record) = match (&node.kind, name) {
            (NodeKind::Directory, name) if name.ends_with(b".dist-info") => {
                (Form::DistInfo, at(path, "METADATA"), at(path, "RECORD"))
            }
            (NodeKind::Directory, name) if name.ends_with(b".egg-info") => {
                (Form::EggInfo, at(path, "PKG-INFO"), at(path, "installed-files.txt"))
            }
            (NodeKind::Directory, b"EGG-INFO") => (Form::Egg, at(path, "PKG-INFO"), None),
            (NodeKind::File { .. }, name) if name.ends_with(b".egg-info") => {
                (Form::EggInfo, Some(path.clone()), None)
            }
            _ => continue,
        };
        if let Some(metadata) = metadata {
            found.push(Described { place: path.clone(), metadata, record, form });
        }
    }
    found
}

/// The header of a metadata file, lossy.
fn header(image: &Image, path: &ImagePath) -> Result<String, ReadPackagesError> {
    let failed = |source| ReadPackagesError::File { path: path.clone(), source };
    let mut bytes = Vec::new();
    image
        .open_file(path)
        .map_err(failed)?
        .take(MAX_HEADER_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|source| failed(image::ReadFileError::Read { path: path.clone(), source }))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Who maintains a distribution, else who wrote it: `Name <mail>`, the first of several.
fn maker(field: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let known = |key: &str| field(key).filter(|value| value != "UNKNOWN");
    let one = |name: &str, mail: &str| {
        let (name, mail) = (known(name), known(mail));
        match (name, mail) {
            (_, Some(mail)) if mail.contains('<') => {
                mail.split_inclusive('>').next().map(|first| first.trim().to_owned())
            }
            (Some(name), Some(mail)) => Some(format!("{name} <{}>", mail.split(',').next()?.trim())),
            (name, mail) => name.or(mail),
        }
    };
    one("Maintainer", "Maintainer-email").or_else(|| one("Author", "Author-email"))
}

/// The names of what a distribution requires, as indexes know them; what only an extra wants is left out.
///
/// Source: PyPA specifications "Core metadata", `Requires-Dist`; "Dependency specifiers"; setuptools' `requires.txt`.
pub(crate) fn requirements(
    image: &Image,
    place: &ImagePath,
    metadata: &ImagePath,
) -> Result<BTreeSet<String>, ReadPackagesError> {
    let mut text = header(image, metadata)?;
    let list = place.join(b"requires.txt").ok().filter(|path| path != metadata && is_file(image, path));
    let lines: Vec<&str> = match list {
        Some(list) => {
            text = header(image, &list)?;
            // Sections are extras, or hold under a condition.
            text.lines().take_while(|line| !line.starts_with('[')).collect()
        }
        None => {
            let head = text.lines().take_while(|line| !line.trim().is_empty());
            let fields = head.filter_map(|line| line.split_once(':'));
            fields
                .filter(|(key, _)| key.eq_ignore_ascii_case("Requires-Dist"))
                .map(|(_, value)| value)
                .collect()
        }
    };
    Ok(lines.into_iter().filter_map(requirement).collect())
}

/// The name in `Jinja2 (>=3.0)` or `jinja2>=3.0; python_version >= "3.8"`.
fn requirement(line: &str) -> Option<String> {
    let (specifier, condition) = line.split_once(';').unwrap_or((line, ""));
    let specifier = specifier.trim();
    let end = specifier.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c));
    let name = &specifier[..end.unwrap_or(specifier.len())];
    (!name.is_empty() && name.len() <= 200 && !condition.contains("extra")).then(|| normal_name(name))
}

fn is_file(image: &Image, path: &ImagePath) -> bool {
    image.tree().get(path).is_some_and(|node| matches!(node.kind, NodeKind::File { .. }))
}

/// The value of a header's field, on one line.
pub(crate) fn field(header: &str, name: &str) -> Option<String> {
    header.lines().take_while(|line| !line.trim().is_empty()).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        let value = value.trim();
        let good = key.eq_ignore_ascii_case(name) && !value.chars().any(char::is_control);
        good.then(|| value.to_owned())
    })
}

/// The name by which indexes know a distribution.
///
/// Source: PyPA specification "Names and normalization".
pub(crate) fn normal_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for letter in name.chars() {
        let letter = if matches!(letter, '-' | '_' | '.') { '-' } else { letter.to_ascii_lowercase() };
        if letter != '-' || !out.ends_with('-') {
            out.push(letter);
        }
    }
    out
}

/// The files of a distribution that exist, and how they are known.
fn files(
    reading: &mut Reading<'_>,
    described: &Described,
    locator: &mut Locator<'_>,
) -> Result<(FileList, BTreeSet<ImagePath>), ReadPackagesError> {
    let tree = reading.image.tree();
    let beneath = |directory: &ImagePath| {
        let files = tree.within(directory).filter(|(_, node)| node.kind != NodeKind::Directory);
        files.map(|(path, _)| path.clone()).collect::<BTreeSet<_>>()
    };
    let site = described.place.parent().unwrap_or_default();
    if described.form == Form::Egg {
        return Ok((FileList::Directory, beneath(&site)));
    }
    let mut files = beneath(&described.place);
    if let Some(record) = &described.record {
        let bytes = reading.file(record)?;
        let listed: Vec<_> = match described.form {
            Form::DistInfo => record::rows(&bytes).map(|row| row.path).collect(),
            _ => crate::lines::contents(&bytes).map(<[u8]>::to_vec).collect(),
        };
        let base = if described.form == Form::DistInfo { &site } else { &described.place };
        let paths: BTreeSet<_> = listed
            .iter()
            .filter_map(|path| locator.real(&record::path(base, path)?))
            .filter(|path| tree.get(path).is_some_and(|node| node.kind != NodeKind::Directory))
            .collect();
        files.extend(paths.iter().flat_map(|path| bytecode(reading.image, path)));
        files.extend(paths);
        return Ok((FileList::Complete, files));
    }
    let Some(names) = described.place.join(b"top_level.txt").ok().filter(|path| files.contains(path)) else {
        return Ok((FileList::Absent, files));
    };
    for name in crate::lines::contents(&reading.file(&names)?) {
        let name = name.trim_ascii();
        if name.is_empty() || name.contains(&b'/') || name.starts_with(b".") {
            continue;
        }
        let package = site.join(name).ok();
        let modules = [&b".py"[..], b".so"].map(|suffix| site.join(&[name, suffix].concat()).ok());
        files.extend(package.into_iter().flat_map(|package| beneath(&package)));
        for module in modules.into_iter().flatten().filter(|path| tree.get(path).is_some()) {
            files.extend(bytecode(reading.image, &module));
            files.insert(module);
        }
    }
    Ok((FileList::Directory, files))
}

/// The bytecode of a module, which may have been compiled after its list was written.
fn bytecode(image: &Image, source: &ImagePath) -> Vec<ImagePath> {
    let Some(stem) = source.name().strip_suffix(b".py") else { return Vec::new() };
    let cache = source.parent().and_then(|directory| directory.join(b"__pycache__").ok());
    let Some(first) = cache.as_ref().and_then(|cache| cache.join(&[stem, b"."].concat()).ok()) else {
        return Vec::new();
    };
    // `x.cpython-311.pyc`, `x.cpython-311.opt-1.pyc`: looked up by name, not by listing a large directory.
    let levels = ["", ".opt-1", ".opt-2"];
    let names = (6..30).flat_map(|minor| levels.map(|level| format!("cpython-3{minor}{level}.pyc")));
    let directory = first.parent().unwrap_or_default();
    if image.tree().get(&directory).is_none() {
        return Vec::new();
    }
    names
        .filter_map(|name| directory.join(&[first.name(), name.as_bytes()].concat()).ok())
        .filter(|path| image.tree().get(path).is_some())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normal_and_fields_are_of_the_header() {
        assert_eq!(normal_name("Flask_SQLAlchemy.Ext--x"), "flask-sqlalchemy-ext-x");
        let header = "Metadata-Version: 2.1\nname: six\nVersion: 1.16.0\n\nVersion: 2\nLicense: none\n";
        assert_eq!(field(header, "Name").as_deref(), Some("six"));
        assert_eq!(field(header, "Version").as_deref(), Some("1.16.0"));
        assert_eq!(field(header, "License"), None);
    }
}
