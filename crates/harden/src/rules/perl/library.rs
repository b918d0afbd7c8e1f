//! Where the Perl of an image looks for modules: `@INC`, told from the image's directories.

use std::collections::BTreeSet;

use image::{ImagePath, NodeKind};

use crate::scene::Scene;

/// Directories of modules.
#[derive(Debug, Default)]
pub(crate) struct Library {
    /// In the order of `@INC`: the image's own, what administrators and packages add, Perl's own.
    directories: Vec<ImagePath>,
}

impl Library {
    /// Looks over the image once.
    pub(crate) fn new(scene: &Scene<'_>) -> Self {
        let mut found: BTreeSet<(u8, ImagePath)> = BTreeSet::new();
        for (path, node) in scene.tree().iter() {
            if node.kind == NodeKind::Directory
                && let Some(rank) = rank(path)
            {
                found.insert((rank, path.clone()));
            }
        }
        let named = scene.environment.get("PERL5LIB").copied().unwrap_or_default().split(':');
        let named = named.filter(|part| part.starts_with('/')).filter_map(|part| scene.find(part.as_bytes()));
        let mut directories: Vec<ImagePath> = named.collect();
        directories.extend(found.into_iter().map(|(_, path)| path));
        let used = scene.profile.used().map(|(path, _)| path).filter(|path| path.name().ends_with(b".pm"));
        let own: BTreeSet<ImagePath> = used
            .filter(|path| !directories.iter().any(|directory| path.is_within(directory)))
            .map(root_of)
            .filter(|root| !root.is_root())
            .collect();
        Self { directories: own.into_iter().chain(directories).collect() }
    }

    /// The directories that a file's modules are looked up in: those beside it first.
    pub(super) fn of(&self, scene: &Scene<'_>, from: &ImagePath, named: &[ImagePath]) -> Vec<ImagePath> {
        let mut path: Vec<ImagePath> = named.to_vec();
        if self.directory_of(from).is_none() {
            let beside = from.parent().into_iter().flat_map(|parent| {
                let above = parent.parent().and_then(|above| above.join(b"lib").ok());
                [parent.join(b"lib").ok(), above, Some(parent)].into_iter().flatten()
            });
            path.extend(beside.filter(|directory| !directory.is_root() && scene.is_directory(directory)));
        }
        path.extend(self.directories.iter().cloned());
        path
    }

    /// The innermost directory of modules that holds this path.
    pub(super) fn directory_of(&self, path: &ImagePath) -> Option<&ImagePath> {
        let holds = |directory: &&ImagePath| path.is_within(directory) && *directory != path;
        self.directories.iter().filter(holds).max_by_key(|directory| directory.as_bytes().len())
    }

    pub(super) fn directories(&self) -> &[ImagePath] {
        &self.directories
    }
}

/// Where in `@INC` a directory of this path comes, if it is one. Debian has `/etc/perl`, `/usr/share/perl5`,
/// `/usr/lib/ARCHITECTURE/perl-base` and versions beneath `perl` and `perl5`; a Perl built from source
/// `lib/perl5/site_perl/5.36.0`; Alpine `vendor_perl` and `core_perl`.
fn rank(path: &ImagePath) -> Option<u8> {
    let parts: Vec<&str> =
        path.components().map(|part| std::str::from_utf8(part).unwrap_or_default()).collect();
    let is_version = |part: &str| {
        part.starts_with('5')
            && part.contains('.')
            && part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    let is_home = |part: &str| matches!(part, "perl" | "perl5" | "site_perl" | "vendor_perl" | "core_perl");
    let is_architecture = |part: &str| part.contains("-linux") || part.contains("linux-");
    let is_library = match parts[..] {
        ["etc", "perl"] => true,
        [.., "lib" | "share", "perl5"] => true,
        [.., "site_perl" | "vendor_perl" | "core_perl" | "perl-base"] => true,
        [.., home, version] if is_home(home) && is_version(version) => true,
        [.., home, version, architecture]
            if is_home(home) && is_version(version) && is_architecture(architecture) =>
        {
            true
        }
        _ => false,
    };
    let holds = |name: &str| parts.contains(&name);
    is_library.then(|| match () {
        () if parts[0] == "etc" => 0,
        () if holds("local") && (holds("site_perl") || parts[parts.len() - 2] == "perl") => 1,
        () if holds("site_perl") => 2,
        () if holds("vendor_perl")
            || holds("share") && holds("perl5")
            || holds("perl5") && !holds("local") =>
        {
            3
        }
        () if holds("perl-base") => 4,
        () => 5,
    })
}

/// The directory that a module of the image's own was found in: above the names that begin with a capital letter.
fn root_of(module: &ImagePath) -> ImagePath {
    let mut directory = module.parent().unwrap_or_default();
    while directory.name().first().is_some_and(u8::is_ascii_uppercase) {
        directory = directory.parent().unwrap_or_default();
    }
    directory
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::path;

    #[test]
    fn the_directories_of_distributions_are_told_from_others() {
        for (directory, expected) in [
            ("/etc/perl", Some(0)),
            ("/usr/local/share/perl/5.36.0", Some(1)),
            ("/usr/local/lib/x86_64-linux-gnu/perl/5.36.0", Some(1)),
            ("/usr/local/lib/perl5/site_perl/5.36.0/x86_64-linux-gnu", Some(1)),
            ("/usr/lib/x86_64-linux-gnu/perl5/5.36", Some(3)),
            ("/usr/share/perl5", Some(3)),
            ("/usr/share/perl5/vendor_perl", Some(3)),
            ("/usr/lib/x86_64-linux-gnu/perl-base", Some(4)),
            ("/usr/lib/x86_64-linux-gnu/perl/5.36.0", Some(5)),
            ("/usr/local/lib/perl5/5.36.0", Some(5)),
            ("/usr/share/perl/5.36.0", Some(5)),
            ("/usr/share/perl", None),
            ("/usr/share/perl5/Mojo", None),
            ("/usr/lib/python3.11", None),
        ] {
            assert_eq!(rank(&path(directory)), expected, "{directory}");
        }
        assert_eq!(root_of(&path("/srv/app/lib/Shop/Report.pm")), path("/srv/app/lib"));
    }
}
