//! Where the Ruby of an image looks for features: `$LOAD_PATH` and gems, told from the image's directories.

use std::collections::{BTreeMap, BTreeSet};

use image::{ImagePath, NodeKind};

use crate::scene::Scene;

/// Directories of features, and what describes gems.
#[derive(Debug, Default)]
pub(crate) struct Library {
    /// The image's own first, then gems, what administrators and packages add, Ruby's own.
    directories: Vec<ImagePath>,
    /// Directories of gems, such as `/var/lib/gems/3.1.0/gems/rack-2.2.4`.
    gems: BTreeSet<ImagePath>,
    /// Specifications by the name and version of their gem.
    specifications: BTreeMap<String, BTreeSet<ImagePath>>,
}

impl Library {
    /// Looks over the image once.
    pub(crate) fn new(scene: &Scene<'_>) -> Self {
        let mut all = Self::default();
        let mut found: BTreeSet<(u8, ImagePath)> = BTreeSet::new();
        for (path, node) in scene.tree().iter() {
            let parts: Vec<&str> =
                path.components().map(|part| std::str::from_utf8(part).unwrap_or_default()).collect();
            if node.kind == NodeKind::Directory {
                found.extend(rank(&parts).map(|rank| (rank, path.clone())));
                if let [.., "gems", name] = parts[..]
                    && name
                        .rsplit_once('-')
                        .is_some_and(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit()))
                {
                    all.gems.insert(path.clone());
                }
            } else if let Some(gem) = parts.last().and_then(|name| name.strip_suffix(".gemspec"))
                && parts.contains(&"specifications")
            {
                all.specifications.entry(gem.to_owned()).or_default().insert(path.clone());
            }
        }
        let named = scene.environment.get("RUBYLIB").copied().unwrap_or_default().split(':');
        all.directories = named
            .filter(|part| part.starts_with('/'))
            .filter_map(|part| scene.find(part.as_bytes()))
            .collect();
        let beneath_gems = all.gems.iter().filter_map(|gem| gem.join(b"lib").ok());
        all.directories.extend(beneath_gems.filter(|lib| scene.is_directory(lib)));
        all.directories.extend(found.into_iter().map(|(_, path)| path));
        all
    }

    /// The files that a feature may mean for the code in this file: the first on the way, with or without an ending.
    pub(super) fn feature(&self, scene: &Scene<'_>, from: &ImagePath, name: &str) -> Option<ImagePath> {
        if name.is_empty() || name.len() > 500 || name.contains(['#', '\0', '*']) {
            return None;
        }
        if name.starts_with('/') {
            return file(scene, &ImagePath::root(), name.trim_start_matches('/'));
        }
        if name.starts_with("./") || name.starts_with("../") {
            return file(scene, &scene.working_directory(), name);
        }
        let own = from
            .ancestors()
            .take(4)
            .flat_map(|above| [above.join(b"lib").ok(), Some(above)].into_iter().flatten());
        let own = own.filter(|_| self.directory_of(from).is_none()).filter(|directory| !directory.is_root());
        own.chain(self.directories.iter().cloned()).find_map(|directory| file(scene, &directory, name))
    }

    /// The innermost directory of features that holds this path.
    pub(super) fn directory_of(&self, path: &ImagePath) -> Option<&ImagePath> {
        let holds = |directory: &&ImagePath| path.is_within(directory) && *directory != path;
        self.directories.iter().filter(holds).max_by_key(|directory| directory.as_bytes().len())
    }

    /// The gem that holds this path: its directory.
    pub(super) fn gem_of(&self, path: &ImagePath) -> Option<ImagePath> {
        path.ancestors().find(|above| self.gems.contains(above))
    }

    /// What describes the gem of this name and version.
    pub(super) fn specifications(&self, gem: &str) -> impl Iterator<Item = &ImagePath> {
        self.specifications.get(gem).into_iter().flatten()
    }
}

/// A feature's file in a directory.
pub(super) fn file(scene: &Scene<'_>, directory: &ImagePath, name: &str) -> Option<ImagePath> {
    ["", ".rb", ".so"]
        .iter()
        .filter(|ending| !ending.is_empty() || name.ends_with(".rb") || name.ends_with(".so"))
        .filter_map(|ending| {
            scene.find(&[&directory.to_absolute()[..], b"/", name.as_bytes(), ending.as_bytes()].concat())
        })
        .find(|path| scene.file_size(path).is_some())
}

/// Where in `$LOAD_PATH` a directory comes, if it is in it: `site_ruby`, `vendor_ruby`, `lib/ruby/3.1.0`, each also with
/// a version or an architecture beneath.
fn rank(parts: &[&str]) -> Option<u8> {
    let is_version = |part: &str| {
        part.split('.').count() == 3 && part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    let is_architecture = |part: &str| part.contains("-linux");
    let base = |parts: &[&str]| match parts {
        [.., "site_ruby"] => Some(0),
        [.., "vendor_ruby"] => Some(1),
        [.., "site_ruby", version] if is_version(version) => Some(0),
        [.., "vendor_ruby", version] if is_version(version) => Some(1),
        [.., "ruby", version] if is_version(version) => Some(2),
        _ => None,
    };
    base(parts).or_else(|| match parts {
        [above @ .., last] if is_architecture(last) => base(above),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_features_are_told_from_others() {
        for (directory, expected) in [
            ("usr/local/lib/site_ruby", Some(0)),
            ("usr/lib/ruby/vendor_ruby", Some(1)),
            ("usr/lib/x86_64-linux-gnu/ruby/vendor_ruby/3.1.0", Some(1)),
            ("usr/lib/ruby/3.1.0", Some(2)),
            ("usr/local/lib/ruby/3.3.0/x86_64-linux", Some(2)),
            ("usr/lib/ruby/gems", None),
            ("usr/lib/ruby/gems/3.1.0", None),
            ("usr/lib/ruby", None),
        ] {
            assert_eq!(rank(&directory.split('/').collect::<Vec<_>>()), expected, "{directory}");
        }
    }
}
