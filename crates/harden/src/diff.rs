//! How two images differ: layers, paths, packages and settings.

mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use image::{Digest, Image, ImagePath, Metadata, Node, NodeKind, ReadFileError, Timestamp};
use packages::PackageDatabase;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::PathKind;
pub use settings::SettingChange;

/// How an image `b` differs from an image `a`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageDiff {
    /// Every layer of either: those of `a` in their order, then those that only `b` has.
    pub layers: Vec<LayerDiff>,
    /// Every path that is not the same in both.
    pub paths: BTreeMap<ImagePath, PathDiff>,
    /// Paths that are the same in both, with content and all metadata.
    pub unchanged_paths: u64,
    /// Every installed package that is not the same in both, by name and architecture.
    pub packages: Vec<PackageDiff>,
    /// Differences of the config document; its layers and history left out.
    pub settings: Vec<SettingChange>,
}

/// A layer of either image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerDiff {
    /// Which of the images has it.
    pub side: Side,
    /// Digest of its blob.
    pub digest: Digest,
    /// Digest of its tar.
    pub diff_id: Digest,
    /// Length of its blob.
    pub compressed_bytes: u64,
}

/// Which of the images has something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Both.
    Both,
    /// The first only: removed.
    A,
    /// The second only: added.
    B,
}

/// How a path differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum PathDiff {
    /// Only `b` has it.
    Added {
        /// What it is.
        kind: PathKind,
        /// Size of a regular file.
        size_bytes: u64,
    },
    /// Only `a` has it.
    Removed {
        /// What it was.
        kind: PathKind,
        /// Size of a regular file.
        size_bytes: u64,
    },
    /// Both have it, and not the same.
    Changed {
        /// What differs, in a fixed order.
        fields: Vec<FieldChange>,
    },
}

/// One thing that differs about a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// `type`, `target`, `size`, `content`, `mode`, `owner`, `mtime`, `device`, `hardlinks` or `xattr NAME`.
    pub field: String,
    /// In `a`; empty where it has none.
    pub before: String,
    /// In `b`.
    pub after: String,
}

/// How a package differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PackageDiff {
    /// Its name; of a language's package with its ecosystem, such as `npm:express`.
    pub name: String,
    /// Its architecture.
    pub architecture: String,
    /// Its version in `a`.
    pub before: Option<String>,
    /// Its version in `b`.
    pub after: Option<String>,
    /// Files that it owns in `a`.
    pub files_before: usize,
    /// Files that it owns in `b`.
    pub files_after: usize,
}

impl ImageDiff {
    /// Whether the images are the same in all that is compared.
    pub fn is_empty(&self) -> bool {
        self.layers.iter().all(|layer| layer.side == Side::Both)
            && self.paths.is_empty()
            && self.packages.is_empty()
            && self.settings.is_empty()
    }
}

/// Compares two images. Contents are read only where layer and size leave it open whether they are the same.
///
/// # Errors
/// A file that cannot be read.
pub fn diff(
    (a, a_packages): (&Image, &PackageDatabase),
    (b, b_packages): (&Image, &PackageDatabase),
) -> Result<ImageDiff, ReadFileError> {
    let mut paths = BTreeMap::new();
    let mut unchanged_paths = 0;
    let all: BTreeSet<&ImagePath> = a.tree().iter().chain(b.tree().iter()).map(|(path, _)| path).collect();
    for path in all {
        let difference = match (a.tree().get(path), b.tree().get(path)) {
            (Some(node), None) => {
                PathDiff::Removed { kind: PathKind::from(&node.kind), size_bytes: size_bytes(node) }
            }
            (None, Some(node)) => {
                PathDiff::Added { kind: PathKind::from(&node.kind), size_bytes: size_bytes(node) }
            }
            (Some(before), Some(after)) => {
                let fields = fields(path, (a, before), (b, after))?;
                if fields.is_empty() {
                    unchanged_paths += 1;
                    continue;
                }
                PathDiff::Changed { fields }
            }
            (None, None) => continue,
        };
        paths.insert(path.clone(), difference);
    }
    Ok(ImageDiff {
        layers: layers(a, b),
        paths,
        unchanged_paths,
        packages: package_diffs(a_packages, b_packages),
        settings: settings::compare(a.config_bytes(), b.config_bytes()),
    })
}

fn layers(a: &Image, b: &Image) -> Vec<LayerDiff> {
    let digests =
        |image: &Image| -> BTreeSet<Digest> { image.layers().iter().map(|layer| layer.diff_id).collect() };
    let (in_a, in_b) = (digests(a), digests(b));
    let of = |image: &'_ Image, others: &BTreeSet<Digest>, alone: Side| -> Vec<LayerDiff> {
        let layers = image.layers().iter();
        layers
            .map(|layer| LayerDiff {
                side: if others.contains(&layer.diff_id) { Side::Both } else { alone },
                digest: layer.descriptor.digest,
                diff_id: layer.diff_id,
                compressed_bytes: layer.descriptor.size_bytes,
            })
            .collect()
    };
    let mut layers = of(a, &in_b, Side::A);
    layers.extend(of(b, &in_a, Side::B).into_iter().filter(|layer| layer.side == Side::B));
    layers
}

fn size_bytes(node: &Node) -> u64 {
    match node.kind {
        NodeKind::File { size_bytes, .. } => size_bytes,
        _ => 0,
    }
}

/// What differs between two nodes at the same path.
fn fields(
    path: &ImagePath,
    (a, before): (&Image, &Node),
    (b, after): (&Image, &Node),
) -> Result<Vec<FieldChange>, ReadFileError> {
    let mut fields = Vec::new();
    let mut compare = |field: &str, before: String, after: String| {
        if before != after {
            fields.push(FieldChange { field: field.to_owned(), before, after });
        }
    };
    let (kind_before, kind_after) = (PathKind::from(&before.kind), PathKind::from(&after.kind));
    compare("type", kind_before.to_string(), kind_after.to_string());
    match (&before.kind, &after.kind) {
        (NodeKind::Symlink { target: x }, NodeKind::Symlink { target: y }) => {
            compare("target", image::path::escape(x), image::path::escape(y));
        }
        (NodeKind::File { size_bytes: x, .. }, NodeKind::File { size_bytes: y, .. }) => {
            compare("size", x.to_string(), y.to_string());
            if x == y && !is_same_entry((a, before), (b, after)) {
                compare("content", content_digest(path, a)?, content_digest(path, b)?);
            }
            let names = |image: &Image| {
                let names = image.tree().hardlinks(path);
                names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            };
            compare("hardlinks", names(a), names(b));
        }
        (
            NodeKind::CharDevice(x, y) | NodeKind::BlockDevice(x, y),
            NodeKind::CharDevice(v, w) | NodeKind::BlockDevice(v, w),
        ) => compare("device", format!("{x}:{y}"), format!("{v}:{w}")),
        _ => {}
    }
    // A directory without an entry of its own has no metadata to compare.
    if before.entry.is_some() || after.entry.is_some() {
        metadata(&before.metadata, &after.metadata, &mut compare);
    }
    Ok(fields)
}

fn metadata(before: &Metadata, after: &Metadata, compare: &mut impl FnMut(&str, String, String)) {
    compare("mode", format!("{:04o}", before.mode), format!("{:04o}", after.mode));
    let owner = |metadata: &Metadata| format!("{}:{}", metadata.uid, metadata.gid);
    compare("owner", owner(before), owner(after));
    let time = |Timestamp { seconds, nanoseconds }: Timestamp| match nanoseconds {
        0 => seconds.to_string(),
        nanoseconds => format!("{seconds}.{nanoseconds:09}"),
    };
    compare("mtime", time(before.mtime), time(after.mtime));
    let names: BTreeSet<_> = before.xattrs.keys().chain(after.xattrs.keys()).collect();
    for name in names {
        let value = |metadata: &Metadata| {
            metadata.xattrs.get(name).map(|value| image::path::escape(value)).unwrap_or_default()
        };
        compare(&format!("xattr {}", image::path::escape(name)), value(before), value(after));
    }
}

/// Whether both names lead to the same bytes of the same layer.
fn is_same_entry((a, before): (&Image, &Node), (b, after): (&Image, &Node)) -> bool {
    let place = |image: &Image, node: &Node| match node.kind {
        NodeKind::File { content: (layer, entry), .. } => {
            image.layers().get(layer).map(|layer| (layer.diff_id, entry))
        }
        _ => None,
    };
    place(a, before).is_some_and(|place_before| place(b, after) == Some(place_before))
}

fn content_digest(path: &ImagePath, image: &Image) -> Result<String, ReadFileError> {
    let mut file = image.open_file(path)?;
    let failed = |source| ReadFileError::Read { path: path.clone(), source };
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Digest::from_hasher(hasher).to_string()),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

fn package_diffs(a: &PackageDatabase, b: &PackageDatabase) -> Vec<PackageDiff> {
    type Versions<'p> = BTreeMap<(String, &'p str), Vec<(&'p str, usize)>>;
    fn versions(database: &PackageDatabase) -> Versions<'_> {
        let mut out = Versions::new();
        for package in database.installed() {
            let versions = out.entry((package.label(), package.architecture.as_str())).or_default();
            versions.push((package.version.as_str(), package.files.len()));
        }
        out
    }
    let (before, after) = (versions(a), versions(b));
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let mut diffs = Vec::new();
    for key in keys {
        let none = Vec::new();
        let (x, y) = (before.get(key).unwrap_or(&none), after.get(key).unwrap_or(&none));
        for position in 0..x.len().max(y.len()) {
            let (old, new) = (x.get(position), y.get(position));
            if old == new {
                continue;
            }
            diffs.push(PackageDiff {
                name: key.0.clone(),
                architecture: key.1.to_owned(),
                before: old.map(|(version, _)| (*version).to_owned()),
                after: new.map(|(version, _)| (*version).to_owned()),
                files_before: old.map_or(0, |(_, files)| *files),
                files_after: new.map_or(0, |(_, files)| *files),
            });
        }
    }
    diffs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, configured, image, path};
    use testkit::{TarBuilder, TarEntry};

    fn compare(a: &Fixture, b: &Fixture) -> ImageDiff {
        diff((&a.image, &a.packages), (&b.image, &b.packages)).unwrap()
    }

    fn changed(diff: &ImageDiff, at: &str) -> Vec<String> {
        match &diff.paths[&path(at)] {
            PathDiff::Changed { fields } => fields
                .iter()
                .map(|change| format!("{} {} -> {}", change.field, change.before, change.after))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_image_does_not_differ_from_itself() {
        let words = "a:5 b/c:7 d->a e!p dev/null!c1,3 f=>a";
        let diff = compare(&image(words), &image(words));
        assert!(diff.is_empty(), "{diff:?}");
        assert_eq!(diff.unchanged_paths, image(words).image.tree().len() as u64);
    }

    #[test]
    fn additions_removals_and_changes_of_every_field_are_told() {
        let file = |name: &str, text: &str| TarEntry::file(name, text);
        let a = image(
            TarBuilder::from_text("gone:123456789 link->x dir/ d!c1,3")
                .entry(file("same-size", "aa"))
                .entry(file("mode", "x").mode(0o644))
                .entry(file("size", "x"))
                .entry(file("kind", "x")),
        );
        let b = image(
            TarBuilder::from_text("new:123 link->y dir/ kind->x d!c1,5")
                .entry(file("same-size", "bb"))
                .entry(file("mode", "x").mode(0o4755))
                .entry(file("size", "xyz")),
        );
        let diff = compare(&a, &b);
        assert_eq!(diff.paths[&path("/gone")], PathDiff::Removed { kind: PathKind::File, size_bytes: 9 });
        assert_eq!(diff.paths[&path("/new")], PathDiff::Added { kind: PathKind::File, size_bytes: 3 });
        assert_eq!(changed(&diff, "/link"), ["target x -> y"]);
        assert_eq!(changed(&diff, "/mode"), ["mode 0644 -> 4755"]);
        assert_eq!(changed(&diff, "/size"), ["size 1 -> 3"]);
        assert_eq!(changed(&diff, "/d"), ["device 1:3 -> 1:5"]);
        assert_eq!(changed(&diff, "/kind")[0], "type file -> symlink");
        let expected = format!("content {} -> {}", Digest::of(b"aa"), Digest::of(b"bb"));
        assert_eq!(changed(&diff, "/same-size"), [expected]);
        assert!(!diff.paths.contains_key(&path("/dir")));
        assert!(diff.layers.iter().map(|layer| layer.side).eq([Side::A, Side::B]));
    }

    #[test]
    fn settings_that_differ_are_named_by_their_place() {
        let a = configured("a", serde_json::json!({ "Env": ["A=1"], "Cmd": ["x"] }));
        let b = configured("a", serde_json::json!({ "Env": ["A=2"], "Cmd": ["x"], "User": "1" }));
        let diff = compare(&a, &b);
        let settings: Vec<_> = diff.settings.iter().map(ToString::to_string).collect();
        assert_eq!(settings, [r#"config.Env[0]: "A=1" -> "A=2""#, r#"config.User: none -> "1""#]);
        assert!(diff.layers.iter().all(|layer| layer.side == Side::Both));
    }
}
