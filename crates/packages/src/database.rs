//! Packages of an image and the files that they own, whichever package manager says so.

use std::collections::{BTreeMap, BTreeSet};

use image::ImagePath;
use serde::{Deserialize, Serialize};

use crate::documents::counts;
use crate::os_release::OsRelease;
use crate::owners::Owners;

/// All packages of an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackageDatabase {
    /// The packages, by name, then architecture, then version, then ecosystem.
    pub packages: Vec<Package>,
    /// What distribution the image says it is.
    pub os_release: Option<OsRelease>,
    /// Links that an alternatives system manages (`/usr/bin/editor`, `/etc/alternatives/editor`), with the name of
    /// the alternative. They belong to no package.
    pub alternatives: BTreeMap<ImagePath, String>,
    /// What could not be understood, in the order found. The packages are those that could.
    pub problems: Vec<Problem>,
    owners: Owners,
}

/// One package: installed, or removed with something left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Who installed it.
    pub ecosystem: Ecosystem,
    /// Its name, such as `libssl3`.
    pub name: String,
    /// Its version, epoch and revision included; empty where the database has none.
    pub version: String,
    /// Its architecture in the package manager's words: `amd64`, `all`.
    pub architecture: String,
    /// The source package it was built from; its own name where the database names none.
    pub source_name: String,
    /// The version of that source package, which differs for rebuilds (`1.2-3` of `1.2-3+b1`).
    pub source_version: String,
    /// What its licence is called, as the database has it; none in dpkg's.
    pub licence: Option<String>,
    /// Who maintains it, as the database has it: tells a distribution's own packages from those of others.
    pub maintainer: Option<String>,
    /// How far it is installed.
    pub state: InstallState,
    /// Package URL, such as `pkg:deb/debian/libssl3@3.0.15-1?arch=amd64&distro=debian-12&upstream=openssl`.
    pub purl: String,
    /// Where its file list comes from.
    pub file_list: FileList,
    /// Owned paths that exist in the tree, links in their directories resolved (`/lib/x` is `/usr/lib/x` on a merged
    /// system), diversions applied; no directories.
    pub files: BTreeSet<ImagePath>,
    /// Where the database speaks of it.
    pub origin: Origin,
}

/// The package manager that a package belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ecosystem {
    /// dpkg: Debian, Ubuntu, distroless.
    Dpkg,
    /// apk: Alpine, Wolfi.
    Apk,
    /// rpm: Fedora, Red Hat, SUSE.
    Rpm,
    /// Python distributions, as pip and its like install them.
    Python,
    /// npm packages in a `node_modules`.
    Npm,
    /// Java archives: Maven coordinates.
    Maven,
    /// Go modules built into a program, the standard library among them.
    Go,
    /// Crates built into a Rust program.
    Cargo,
    /// Ruby gems.
    Gem,
    /// PHP packages that Composer installed.
    Composer,
    /// .NET packages.
    Nuget,
    /// Erlang and Elixir applications.
    Hex,
    /// Perl distributions.
    Cpan,
    /// R packages.
    Cran,
    /// Lua rocks.
    Luarocks,
    /// Store paths of Nix.
    Nix,
    /// Conda packages.
    Conda,
    /// JavaScript libraries that lie among other files for browsers, recognised by what they say of themselves.
    Javascript,
    /// Programs that no package manager brought, recognised by what they say of themselves.
    Generic,
}

/// Position of a package in [`PackageDatabase::packages`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PackageIndex(pub usize);

/// How far a package is installed.
///
/// Source: `dpkg(1)`, "Package states".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstallState {
    /// Unpacked and configured.
    Installed,
    /// Its files are there, but it is not configured, or waits for a trigger.
    Unconfigured,
    /// Some of its files may be there: an installation was cut off.
    HalfInstalled,
    /// Removed, its configuration files left behind.
    ConfigFiles,
    /// Not installed.
    NotInstalled,
}

/// Where the list of a package's files comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileList {
    /// The package manager's own list of all files, links included.
    Complete,
    /// A list of checksums and configuration files: regular files only.
    Checksums,
    /// There is none, and none is needed: what lies in the package's own directory is its own.
    Directory,
    /// There is none: what the package owns is unknown.
    Absent,
}

/// Where a database speaks of a package. Paths are those of the tree, links followed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Origin {
    /// A stanza of dpkg's `status`, or of a file in its `status.d`.
    Dpkg {
        /// The file.
        file: ImagePath,
        /// The stanza's first byte in that file, and the byte after its last line.
        bytes: std::ops::Range<usize>,
        /// The list of all that it owns, where there is one.
        list: Option<ImagePath>,
        /// The list of its regular files with their checksums, where there is one.
        md5sums: Option<ImagePath>,
    },
    /// A stanza of apk's `installed`.
    Apk {
        /// The file.
        file: ImagePath,
        /// The stanza's first byte in that file, and the byte after its last line.
        bytes: std::ops::Range<usize>,
    },
    /// A header in rpm's database.
    Rpm {
        /// The file.
        file: ImagePath,
        /// The number of the header.
        number: u32,
    },
    /// A directory with metadata beside the modules of a distribution, or a single such file.
    Python {
        /// The directory (`NAME.dist-info`, `NAME.egg-info`, `EGG-INFO`) or the file (`NAME.egg-info`).
        place: ImagePath,
        /// The file that names the distribution: `METADATA` or `PKG-INFO`.
        metadata: ImagePath,
        /// `RECORD`, or `installed-files.txt`, where there is one.
        record: Option<ImagePath>,
    },
    /// The `package.json` of a package in a `node_modules`.
    Npm {
        /// The file.
        manifest: ImagePath,
    },
    /// A file that says of itself what it is or holds: an archive, a program, a manifest of its language.
    Embedded {
        /// The file.
        file: ImagePath,
        /// Where in it: names of entries, outermost first (`BOOT-INF/lib/b.jar`); empty for the file itself.
        within: Vec<String>,
    },
}

/// Something in a database that could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{file}, line {line}: {message}")]
pub struct Problem {
    /// The file.
    pub file: ImagePath,
    /// The line, counted from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

/// What is left of a package. Documents, licences and directories do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "presence")]
pub enum Presence {
    /// Every file of it.
    Full,
    /// Some of its files.
    Partial {
        /// Those that are kept: at least one.
        kept: BTreeSet<ImagePath>,
        /// Those that are not: at least one.
        removed: BTreeSet<ImagePath>,
    },
    /// None: nothing that counts is kept, or nothing ever counted (a meta package).
    Gone,
    /// Unknown, since the database does not list its files. It must be taken for present.
    Unlisted,
}

impl Presence {
    /// Whether a database has to list the package: all but [`Presence::Gone`].
    pub fn is_present(&self) -> bool {
        !matches!(self, Self::Gone)
    }
}

impl InstallState {
    /// Whether files of the package itself, and not only its configuration, are expected to be there.
    pub fn is_installed(self) -> bool {
        matches!(self, Self::Installed | Self::Unconfigured | Self::HalfInstalled)
    }
}

impl PackageDatabase {
    /// Packages that another document lists, such as an SBOM.
    pub fn listed(packages: Vec<Package>, os_release: Option<OsRelease>, problems: Vec<Problem>) -> Self {
        Self::new(packages, os_release, BTreeMap::new(), problems)
    }

    /// Puts the packages in order and finds the owners of every file.
    pub(crate) fn new(
        mut packages: Vec<Package>,
        os_release: Option<OsRelease>,
        alternatives: BTreeMap<ImagePath, String>,
        problems: Vec<Problem>,
    ) -> Self {
        packages.sort_by(|a, b| a.order().cmp(&b.order()));
        let owners = Owners::new(&packages);
        Self { packages, os_release, alternatives, problems, owners }
    }

    /// The packages that own this path, by index; empty for directories, unowned files and unknown paths.
    pub fn owners(&self, path: &ImagePath) -> &[PackageIndex] {
        self.owners.of(path)
    }

    /// The package at this index.
    pub fn package(&self, index: PackageIndex) -> Option<&Package> {
        self.packages.get(index.0)
    }

    /// Every path that a package owns, with its owners, in path order.
    pub fn owned(&self) -> impl Iterator<Item = (&ImagePath, &[PackageIndex])> {
        self.owners.iter()
    }

    /// Packages of the distribution whose files are expected to be there.
    pub fn installed_system(&self) -> impl Iterator<Item = &Package> {
        self.installed().filter(|package| package.ecosystem.is_system())
    }

    /// Packages whose files are expected to be there, of the distribution and of languages.
    pub fn installed(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.state.is_installed())
    }

    /// What is left of each package, in the order of [`PackageDatabase::packages`], when only paths for which `kept`
    /// is true remain.
    pub fn presence(&self, kept: &dyn Fn(&ImagePath) -> bool) -> Vec<Presence> {
        self.packages.iter().map(|package| package.presence(kept)).collect()
    }
}

impl Package {
    /// What people call it: the name of a distribution's package, `npm:express` for one of a language.
    pub fn label(&self) -> String {
        if self.ecosystem.is_system() {
            self.name.clone()
        } else {
            format!("{}:{}", self.ecosystem.name(), self.name)
        }
    }

    /// What packages are ordered by: name, architecture, version, ecosystem, place.
    fn order(&self) -> impl Ord {
        (&self.name, &self.architecture, &self.version, self.ecosystem, self.origin.place())
    }

    /// How many of its files speak for its presence: licences and documents do not.
    pub fn counted_files(&self) -> usize {
        self.files.iter().filter(|path| counts(path)).count()
    }

    /// What is left of this package when only paths for which `kept` is true remain.
    pub fn presence(&self, kept: &dyn Fn(&ImagePath) -> bool) -> Presence {
        if self.file_list == FileList::Absent && self.state.is_installed() {
            return Presence::Unlisted;
        }
        let (kept, removed): (BTreeSet<_>, BTreeSet<_>) =
            self.files.iter().filter(|path| counts(path)).cloned().partition(|path| kept(path));
        match (kept.is_empty(), removed.is_empty()) {
            (true, _) => Presence::Gone,
            (false, true) => Presence::Full,
            (false, false) => Presence::Partial { kept, removed },
        }
    }
}

impl Ecosystem {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Dpkg,
        Self::Apk,
        Self::Rpm,
        Self::Python,
        Self::Npm,
        Self::Maven,
        Self::Go,
        Self::Cargo,
        Self::Gem,
        Self::Composer,
        Self::Nuget,
        Self::Hex,
        Self::Cpan,
        Self::Cran,
        Self::Luarocks,
        Self::Nix,
        Self::Conda,
        Self::Javascript,
        Self::Generic,
    ];

    /// Its name: `dpkg`, `apk`, `rpm`, `python`, `npm`, ….
    pub fn name(self) -> &'static str {
        match self {
            Self::Dpkg => "dpkg",
            Self::Apk => "apk",
            Self::Rpm => "rpm",
            Self::Python => "python",
            Self::Npm => "npm",
            Self::Maven => "maven",
            Self::Go => "go",
            Self::Cargo => "cargo",
            Self::Gem => "gem",
            Self::Composer => "composer",
            Self::Nuget => "nuget",
            Self::Hex => "hex",
            Self::Cpan => "cpan",
            Self::Cran => "cran",
            Self::Luarocks => "luarocks",
            Self::Nix => "nix",
            Self::Conda => "conda",
            Self::Javascript => "javascript",
            Self::Generic => "generic",
        }
    }

    /// Whether it is the package manager of a distribution, and not of a language. What a distribution's package
    /// owns is its own, even where a language's package manager would list it too.
    pub fn is_system(self) -> bool {
        matches!(self, Self::Dpkg | Self::Apk | Self::Rpm)
    }
}

impl Origin {
    /// The file that names the package, and where in it.
    pub fn place(&self) -> (&ImagePath, usize) {
        match self {
            Self::Dpkg { file, bytes, .. } | Self::Apk { file, bytes } => (file, bytes.start),
            Self::Rpm { file, number } => (file, usize::try_from(*number).unwrap_or(usize::MAX)),
            Self::Python { metadata, .. } => (metadata, 0),
            Self::Npm { manifest } => (manifest, 0),
            Self::Embedded { file, .. } => (file, 0),
        }
    }
}
