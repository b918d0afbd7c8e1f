//! What a bill of materials says of an image, whatever the format.

use std::collections::{BTreeMap, BTreeSet};

use image::{Digest, Image, ImagePath};
use packages::{Origin, OsRelease, Package, PackageDatabase, PackageIndex, Problem, ReadPackagesError, purl};

use crate::checksums::{self, Checksums};
use crate::copyright::Copyrights;
use crate::licence::Licence;
use crate::uuid;

/// All that a document says.
#[derive(Debug)]
pub struct Bill<'a> {
    /// What people call the image: its reference, or the name of its file.
    pub name: String,
    /// The image.
    pub image: &'a Image,
    /// Package URL of the image.
    pub purl: String,
    /// When the document is said to be made, `2026-11-22T13:30:00Z`.
    pub created: String,
    /// A UUID that follows from the image and what is said of it.
    pub uuid: String,
    /// The version of the tool that writes.
    pub tool_version: &'a str,
    /// The distribution.
    pub os: Option<&'a OsRelease>,
    /// Installed packages, in the order of the database.
    pub components: Vec<Component<'a>>,
    /// What the databases say that could not be understood.
    pub problems: &'a [Problem],
    /// Whether documents list the files that packages own.
    pub files: bool,
    /// Who supplies the image, where somebody says so.
    pub supplier: Option<&'a str>,
    /// Digests of the files that packages own; empty where nobody wants them.
    pub checksums: BTreeMap<ImagePath, Checksums>,
}

/// One package.
#[derive(Debug)]
pub struct Component<'a> {
    /// The package.
    pub package: &'a Package,
    /// What other parts of the document call it: its purl, with a number where several have the same.
    pub reference: String,
    /// Its licences.
    pub licence: Licence,
    /// Names of it in the CPE dictionary, guessed, best first.
    pub cpes: Vec<String>,
    /// The files that say that it is there, with the layer of each.
    pub evidence: Vec<(ImagePath, usize)>,
    /// What it needs, as positions in [`Bill::components`].
    pub needs: Vec<usize>,
    /// What a hardening took of it; none where nothing is known or nothing was taken.
    pub lost: Option<Lost>,
}

/// How many files of a package a hardening left, documents and licences not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// Those that are still there.
    pub kept: usize,
    /// Those that are gone.
    pub removed: usize,
}

/// What a document says that the image does not.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// When it is said to be made; as the image where none is given, and 1970 where that says nothing either.
    pub created: Option<String>,
    /// Version of the tool that writes.
    pub tool_version: String,
    /// Leave out the lists of owned files.
    pub no_files: bool,
    /// Read the files that packages own, for their digests.
    pub checksums: bool,
    /// Who supplies the image: `Name <mail>`, or a name.
    pub supplier: Option<String>,
    /// What a hardening took of packages, by [`Package::label`].
    pub lost: BTreeMap<String, Lost>,
}

impl<'a> Bill<'a> {
    /// Gathers what there is to say of an image and its packages.
    ///
    /// # Errors
    /// [`ReadPackagesError`]: a file of a package database cannot be read a second time.
    pub fn new(
        image: &'a Image,
        database: &'a PackageDatabase,
        options: &'a Options,
    ) -> Result<Self, ReadPackagesError> {
        let needs = packages::dependencies(image, database)?;
        let mut copyrights = Copyrights::new(image);
        let installed: Vec<usize> =
            (0..database.packages.len()).filter(|&at| database.packages[at].state.is_installed()).collect();
        let position: BTreeMap<PackageIndex, usize> =
            installed.iter().enumerate().map(|(position, &at)| (PackageIndex(at), position)).collect();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut components = Vec::with_capacity(installed.len());
        for &at in &installed {
            let package = &database.packages[at];
            let times = seen.entry(&package.purl).or_default();
            *times += 1;
            let reference =
                if *times == 1 { package.purl.clone() } else { format!("{}#{times}", package.purl) };
            let needed = needs.get(&PackageIndex(at)).into_iter().flatten();
            components.push(Component {
                package,
                reference,
                licence: copyrights.licence(package),
                cpes: package.cpes(),
                evidence: evidence(image, package),
                needs: needed.filter_map(|index| position.get(index).copied()).collect(),
                lost: options.lost.get(&package.label()).copied().filter(|lost| lost.removed > 0),
            });
        }
        let name = name(image);
        let created = options.created.clone().or_else(|| image.config().created.as_deref().and_then(time));
        let created = created.unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned());
        let digest = image.manifest_digest().to_string();
        Ok(Self {
            purl: image_purl(image, &name),
            uuid: uuid::of(&["careen sbom", &digest, &created, &options.tool_version]),
            name,
            image,
            created,
            tool_version: &options.tool_version,
            os: database.os_release.as_ref(),
            components,
            problems: &database.problems,
            files: !options.no_files,
            supplier: options.supplier.as_deref(),
            checksums: match options.checksums {
                true => checksums::of_owned(image, database)?,
                false => BTreeMap::new(),
            },
        })
    }

    /// The diff ID of a layer.
    pub(crate) fn diff_id(&self, layer: usize) -> Option<Digest> {
        self.image.layers().get(layer).map(|layer| layer.diff_id)
    }

    /// The components of the distribution, and those of languages, by position.
    pub(crate) fn split(&self) -> (Vec<usize>, Vec<usize>) {
        (0..self.components.len()).partition(|&at| self.components[at].package.ecosystem.is_system())
    }
}

impl Component<'_> {
    /// The layer of the first file that speaks of it.
    pub(crate) fn layer(&self) -> Option<usize> {
        self.evidence.first().map(|(_, layer)| *layer)
    }
}

/// The files that say that a package is there, those of its own first: the status of all of dpkg's packages lies in
/// the layer of the last installation, the list of one in the layer that brought it.
fn evidence(image: &Image, package: &Package) -> Vec<(ImagePath, usize)> {
    let files: Vec<&ImagePath> = match &package.origin {
        Origin::Dpkg { file, list, md5sums, .. } => list.iter().chain(md5sums).chain([file]).collect(),
        Origin::Apk { file, .. } | Origin::Rpm { file, .. } | Origin::Embedded { file, .. } => vec![file],
        Origin::Python { metadata, record, .. } => [metadata].into_iter().chain(record).collect(),
        Origin::Npm { manifest } => vec![manifest],
    };
    let layer = |file: &ImagePath| image.tree().get(file).map(|node| node.layer);
    let mut seen = BTreeSet::new();
    let fresh = files.into_iter().filter(|file| seen.insert((*file).clone()));
    fresh.filter_map(|file| Some((file.clone(), layer(file)?))).collect()
}

/// The name of an image, else that of the file or directory that holds it.
fn name(image: &Image) -> String {
    use image::ImageSource::{DockerArchive, OciArchive, OciLayout, Registry, Rootfs};
    let (OciLayout { dir: path, .. }
    | OciArchive { file: path, .. }
    | DockerArchive { file: path, .. }
    | Rootfs { path }
    | Registry { layout: path, .. }) = image.source();
    let plain = image.name().filter(|name| name.contains(['/', ':']) && !name.contains(char::is_whitespace));
    let file = || path.file_name().map(|name| name.to_string_lossy().into_owned());
    plain.map(str::to_owned).or_else(file).unwrap_or_else(|| "image".to_owned())
}

/// `pkg:oci/NAME@DIGEST?arch=…&repository_url=…&tag=…`.
///
/// Source: package-url specification, type "oci".
fn image_purl(image: &Image, name: &str) -> String {
    // The digest of a reference may be that of an index.
    let name = name.split('@').next().unwrap_or(name);
    let (repository, tag) = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, ""),
    };
    let last = repository.rsplit('/').next().unwrap_or(repository).to_ascii_lowercase();
    let url = if repository.contains('/') { repository } else { "" };
    let digest = image.manifest_digest().to_string();
    let qualifiers =
        [("arch", image.platform().architecture.as_str()), ("repository_url", url), ("tag", tag)];
    purl::of("oci", &[&last], &digest, &qualifiers)
}

/// A time in UTC, `2026-11-22T13:30:00.123Z`, cut to the second; none for what is no such time.
pub fn time(text: &str) -> Option<String> {
    let head = text.get(..19)?;
    let shape = head.bytes().zip(b"dddd-dd-ddTdd:dd:dd").all(|(byte, shape)| match shape {
        b'd' => byte.is_ascii_digit(),
        _ => byte == *shape,
    });
    (shape && text.ends_with('Z')).then(|| format!("{head}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_cut_to_seconds() {
        for (text, expected) in [
            ("2026-11-22T13:30:00Z", Some("2026-11-22T13:30:00Z")),
            ("2026-11-22T13:30:00.123456789Z", Some("2026-11-22T13:30:00Z")),
            ("2026-11-22T13:30:00+02:00", None),
            ("yesterday", None),
            ("\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}Z", None),
        ] {
            assert_eq!(time(text).as_deref(), expected, "{text}");
        }
    }
}
