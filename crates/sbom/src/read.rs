//! Reading bills of materials, whoever wrote them: what packages they list.
//!
//! Lenient: what is not understood is passed over, and told. Only a document that is none is refused.

mod cyclonedx;
mod other;
mod spdx;
mod spdx3;

pub use other::OtherDocument;

use std::collections::BTreeSet;

use image::ImagePath;
use packages::purl::Purl;
use packages::{Ecosystem, FileList, InstallState, Origin, OsRelease, Package, PackageDatabase};
use serde_json::Value;

/// What a bill of materials lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackageList {
    /// What the document is about, where it says so.
    pub name: Option<String>,
    /// Digest of the image that it is about, `sha256:…`, where it says so.
    pub digest: Option<String>,
    /// The distribution.
    pub os: Option<OsRelease>,
    /// The packages, in the order of the document. One that two places list is there once.
    pub packages: Vec<Package>,
    /// What could not be understood.
    pub problems: Vec<String>,
}

/// Why a document cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadSbomError {
    /// It is larger than we read.
    #[error("the document has more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// It is no JSON.
    #[error("the document is no JSON")]
    Json(#[source] serde_json::Error),
    /// It is JSON of another kind.
    #[error("the document is {}", .0.map_or("neither CycloneDX nor SPDX", OtherDocument::name))]
    Kind(Option<OtherDocument>),
    /// A version of a format that we do not know.
    #[error("{format} {version} is not known")]
    Version {
        /// The format.
        format: &'static str,
        /// What the document says of its version.
        version: String,
    },
    /// It lists more packages than we read.
    #[error("the document lists more than {limit} packages")]
    Packages {
        /// The limit.
        limit: usize,
    },
}

impl ReadSbomError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Kind(Some(other)) => Some(other.hint().to_owned()),
            Self::Json(_) | Self::Kind(None) | Self::Version { .. } => Some(
                "give CycloneDX 1.4 to 1.7, SPDX 2.3 or SPDX 3.0 as JSON; `careen sbom IMAGE --format cyclonedx` writes it"
                    .to_owned(),
            ),
            Self::TooLarge { .. } | Self::Packages { .. } => None,
        }
    }
}

/// Larger documents are refused: one of 30,000 files has some 10 MB.
pub const MAX_BYTES: usize = 256 << 20;
/// More packages are refused.
pub const MAX_PACKAGES: usize = 200_000;
const MAX_PROBLEMS: usize = 100;
/// Longer words are no names.
const MAX_WORD: usize = 500;

/// Reads CycloneDX 1.4 to 1.7, SPDX 2.2 and 2.3 or SPDX 3.0, in JSON.
///
/// # Errors
/// [`ReadSbomError`]: it is none of these.
pub fn read(bytes: &[u8]) -> Result<PackageList, ReadSbomError> {
    if bytes.len() > MAX_BYTES {
        return Err(ReadSbomError::TooLarge { limit: MAX_BYTES });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let document: Value = serde_json::from_slice(bytes).map_err(ReadSbomError::Json)?;
    let version = |key: &str| document[key].as_str().unwrap_or_default().to_owned();
    let found = if document["bomFormat"] == "CycloneDX" {
        let version = version("specVersion");
        if !matches!(version.as_str(), "1.4" | "1.5" | "1.6" | "1.7") {
            return Err(ReadSbomError::Version { format: "CycloneDX", version });
        }
        cyclonedx::list(&document)?
    } else if document["spdxVersion"].is_string() {
        let version = version("spdxVersion");
        if !matches!(version.as_str(), "SPDX-2.2" | "SPDX-2.3") {
            return Err(ReadSbomError::Version { format: "SPDX", version });
        }
        spdx::list(&document)?
    } else if let Some(version) = spdx3::version(&document) {
        if !version.starts_with("3.0") {
            return Err(ReadSbomError::Version { format: "SPDX", version });
        }
        spdx3::list(&document)?
    } else {
        return Err(ReadSbomError::Kind(OtherDocument::of(&document)));
    };
    Ok(found.finish())
}

impl PackageList {
    /// The same as a database, for whatever asks one about packages.
    pub fn into_database(self) -> PackageDatabase {
        PackageDatabase::listed(self.packages, self.os, Vec::new())
    }

    fn problem(&mut self, message: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(message);
        }
    }

    fn add(&mut self, listed: Listed) -> Result<(), ReadSbomError> {
        if self.packages.len() >= MAX_PACKAGES {
            return Err(ReadSbomError::Packages { limit: MAX_PACKAGES });
        }
        match listed.package() {
            Ok(package) => self.packages.push(package),
            Err(message) => self.problem(message),
        }
        Ok(())
    }

    /// Each package once; the distribution by what its packages say, where no component does.
    fn finish(mut self) -> Self {
        if self.os.is_none() {
            let distro = self.packages.iter().find_map(|package| {
                let purl = Purl::parse(&package.purl).filter(|_| package.ecosystem.is_system())?;
                purl.qualifier("distro").map(str::to_owned)
            });
            self.os = distro.as_deref().map(distribution);
        }
        let mut seen = BTreeSet::new();
        self.packages.retain(|package| seen.insert((package.purl.clone(), package.files.clone())));
        self
    }
}

/// `debian-12` as a distribution.
fn distribution(distro: &str) -> OsRelease {
    let (id, version) = distro.rsplit_once('-').unwrap_or((distro, ""));
    OsRelease {
        id: id.to_ascii_lowercase(),
        version_id: Some(version.to_owned()).filter(|version| !version.is_empty()),
        ..OsRelease::default()
    }
}

/// One package as a document lists it.
#[derive(Debug, Default)]
struct Listed {
    /// What the document calls it.
    reference: String,
    name: String,
    version: String,
    purl: String,
    licence: Option<String>,
    supplier: Option<String>,
    /// Name and version of the source package, where a property says it.
    source: Option<(String, String)>,
    files: Vec<String>,
}

/// A word of a document; none if it is empty, too long or has control characters.
fn word(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    let good = !text.is_empty() && text.len() <= MAX_WORD && !text.chars().any(char::is_control);
    good.then(|| text.to_owned())
}

impl Listed {
    fn package(self) -> Result<Package, String> {
        let purl = Purl::parse(&self.purl)
            .ok_or_else(|| format!("{:?} has no package URL that can be read", self.name))?;
        let ecosystem =
            ecosystem(&purl.kind).ok_or_else(|| format!("{} is of an unknown type", self.purl))?;
        let name = name(ecosystem, &purl);
        let mut version = if purl.version.is_empty() { self.version } else { purl.version.clone() };
        if let Some(epoch) =
            purl.qualifier("epoch").filter(|epoch| ecosystem == Ecosystem::Rpm && *epoch != "0")
        {
            version = format!("{epoch}:{version}");
        }
        let source = self.source.or_else(|| upstream(&purl));
        let (source_name, source_version) = source.unwrap_or_default();
        let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
        let file = |path: &String| {
            let absolute = if path.starts_with('/') { path.clone() } else { format!("/{path}") };
            ImagePath::from_absolute(absolute.as_bytes()).ok().filter(|path| !path.is_root())
        };
        Ok(Package {
            ecosystem,
            source_name: or(source_name, &name),
            source_version: or(source_version, &version),
            name,
            version,
            architecture: purl.qualifier("arch").unwrap_or_default().to_owned(),
            licence: self.licence,
            maintainer: self.supplier,
            state: InstallState::Installed,
            file_list: if self.files.is_empty() { FileList::Absent } else { FileList::Complete },
            files: self.files.iter().filter_map(file).collect(),
            purl: self.purl,
            origin: Origin::Embedded { file: ImagePath::root(), within: vec![self.reference] },
        })
    }
}

fn ecosystem(kind: &str) -> Option<Ecosystem> {
    Some(match kind {
        "deb" => Ecosystem::Dpkg,
        "apk" => Ecosystem::Apk,
        "rpm" => Ecosystem::Rpm,
        "pypi" => Ecosystem::Python,
        "npm" => Ecosystem::Npm,
        "maven" => Ecosystem::Maven,
        "golang" => Ecosystem::Go,
        "cargo" => Ecosystem::Cargo,
        "gem" => Ecosystem::Gem,
        "composer" => Ecosystem::Composer,
        "nuget" => Ecosystem::Nuget,
        "hex" => Ecosystem::Hex,
        "cpan" => Ecosystem::Cpan,
        "cran" => Ecosystem::Cran,
        "luarocks" => Ecosystem::Luarocks,
        "nix" => Ecosystem::Nix,
        "conda" => Ecosystem::Conda,
        "generic" | "bitnami" | "github" => Ecosystem::Generic,
        _ => return None,
    })
}

/// What its own ecosystem calls a package.
fn name(ecosystem: Ecosystem, purl: &Purl) -> String {
    let joint = match ecosystem {
        Ecosystem::Maven => ":",
        Ecosystem::Npm | Ecosystem::Go | Ecosystem::Composer => "/",
        _ => return purl.name.clone(),
    };
    let parts = [purl.namespace.as_str(), purl.name.as_str()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(joint)
}

/// `upstream=NAME@VERSION`, `upstream=NAME`, and for rpm `upstream=NAME-VERSION-RELEASE.src.rpm`.
fn upstream(purl: &Purl) -> Option<(String, String)> {
    let upstream = purl.qualifier("upstream")?;
    if let Some(stem) = upstream.strip_suffix(".src.rpm") {
        let (rest, release) = stem.rsplit_once('-')?;
        let (name, version) = rest.rsplit_once('-')?;
        return Some((name.to_owned(), format!("{version}-{release}")));
    }
    let (name, version) = upstream.split_once('@').unwrap_or((upstream, ""));
    Some((name.to_owned(), version.to_owned()))
}

/// The source package from what Trivy keeps of it: `get` finds a property by Trivy's name.
fn trivy_source(get: impl Fn(&str) -> Option<String>) -> Option<(String, String)> {
    let name = get("SrcName")?;
    let mut version = get("SrcVersion").unwrap_or_default();
    if let Some(release) = get("SrcRelease") {
        version = format!("{version}-{release}");
    }
    if let Some(epoch) = get("SrcEpoch").filter(|epoch| epoch != "0") {
        version = format!("{epoch}:{version}");
    }
    Some((name, version))
}

#[cfg(test)]
mod tests;
