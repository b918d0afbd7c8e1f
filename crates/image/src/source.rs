//! Where an image comes from, as a person writes it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::Digest;
use crate::digest::DigestError;
use crate::limits::{Limits, Tally};
use crate::store::{is_root, open_file};

/// A place that holds an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// `oci:DIR[:TAG][@DIGEST]`: an OCI image layout in a directory.
    OciLayout {
        /// The directory that holds `oci-layout`.
        dir: PathBuf,
        /// The image's `org.opencontainers.image.ref.name`, `@` and the digest of its manifest or index, or both; needed
        /// where the layout has several images.
        tag: Option<String>,
    },
    /// `oci-archive:FILE[:TAG][@DIGEST]`: a tar of an OCI image layout.
    OciArchive {
        /// The tar, plain or gzip.
        file: PathBuf,
        /// As for a layout.
        tag: Option<String>,
    },
    /// `docker-archive:FILE[:REF]`: what `docker save` writes.
    DockerArchive {
        /// The tar, plain or gzip.
        file: PathBuf,
        /// One of the image's `RepoTags`; needed where the archive has several images.
        reference: Option<String>,
    },
    /// `dir:PATH`: an unpacked root file system, or a tar of one. Nothing says how it is to be started.
    Rootfs {
        /// The directory, or the tar: plain, gzip or zstd.
        path: PathBuf,
    },
    /// `[docker://]HOST/REPOSITORY[:TAG][@DIGEST]`: an image of a registry, once it was brought here.
    Registry {
        /// The reference, read by whoever speaks to registries.
        reference: String,
        /// The OCI layout that it was brought to; empty before that.
        layout: PathBuf,
    },
}

/// Why a text does not name a place that holds an image.
#[derive(Debug, thiserror::Error)]
pub enum ImageSourceError {
    /// Nothing is there.
    #[error("there is no file or directory {}", path.display())]
    NotFound {
        /// What was looked for.
        path: PathBuf,
    },
    /// Another transport, that we do not speak yet.
    #[error("{transport} images are not read in this version (asked for {text:?})")]
    UnsupportedTransport {
        /// `docker:`, `registry`, ….
        transport: String,
        /// What was typed.
        text: String,
    },
    /// It exists but is not an image.
    #[error("{} is neither an OCI layout nor an archive of an image", path.display())]
    NotAnImage {
        /// What was looked at.
        path: PathBuf,
    },
    /// It exists but cannot be read.
    #[error("cannot look at {}", path.display())]
    Read {
        /// What was looked at.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What follows `@` is no digest.
    #[error("cannot tell which image is meant")]
    Digest(#[source] DigestError),
    /// Nothing after the transport.
    #[error("{0:?} names no file or directory")]
    Empty(String),
}

impl ImageSourceError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { path } => {
                format!(
                    "write oci:DIR, oci-archive:FILE, docker-archive:FILE, dir:ROOTFS or docker://REFERENCE; is {} spelled right?",
                    path.display()
                )
            }
            Self::UnsupportedTransport { .. } => {
                "save the image first: `docker save IMAGE -o image.tar`, then use docker-archive:image.tar"
                    .to_owned()
            }
            Self::NotAnImage { path } if is_root(|name| path.join(name).symlink_metadata().is_ok()) => {
                format!("it looks like an unpacked root file system: write dir:{}", path.display())
            }
            Self::NotAnImage { .. } => {
                "an OCI layout has a file `oci-layout`, an archive of `docker save` a file `manifest.json`"
                    .to_owned()
            }
            Self::Digest(_) => {
                "a digest is `sha256:` and 64 digits, such as `careen inspect` shows of an image".to_owned()
            }
            Self::Read { .. } => return None,
            Self::Empty(_) => "write oci:DIR, oci-archive:FILE, docker-archive:FILE or dir:ROOTFS".to_owned(),
        })
    }
}

impl ImageSource {
    /// The name of the image within the place: a tag, a digest after `@`, or a docker reference.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::OciLayout { tag: name, .. }
            | Self::OciArchive { tag: name, .. }
            | Self::DockerArchive { reference: name, .. } => name.as_deref(),
            // Its layout has one image.
            Self::Rootfs { .. } | Self::Registry { .. } => None,
        }
    }

    /// An image of the same place, by its name, or `@` and its digest.
    pub(crate) fn named(&self, name: &str) -> String {
        format!("{}{}{name}", self.without_name(), if name.starts_with('@') { "" } else { ":" })
    }

    /// The place itself.
    pub(crate) fn without_name(&self) -> Self {
        let mut place = self.clone();
        match &mut place {
            Self::OciLayout { tag: name, .. }
            | Self::OciArchive { tag: name, .. }
            | Self::DockerArchive { reference: name, .. } => *name = None,
            Self::Rootfs { .. } | Self::Registry { .. } => {}
        }
        place
    }
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transport, path, name) = match self {
            Self::OciLayout { dir, tag } => ("oci", dir, tag),
            Self::OciArchive { file, tag } => ("oci-archive", file, tag),
            Self::DockerArchive { file, reference } => ("docker-archive", file, reference),
            Self::Rootfs { path } => ("dir", path, &None),
            Self::Registry { reference, .. } => return f.write_str(reference),
        };
        write!(f, "{transport}:{}", path.display())?;
        name.iter().try_for_each(|name| write!(f, "{}{name}", if name.starts_with('@') { "" } else { ":" }))
    }
}

impl FromStr for ImageSource {
    type Err = ImageSourceError;

    /// Reads `TRANSPORT:PATH[:NAME]`, or a bare path, whose kind is then found by looking at it. Anything else that could
    /// be one is taken for a reference.
    ///
    /// The name is what follows the first colon of the rest. A path that has colons itself is taken whole if it
    /// exists.
    fn from_str(text: &str) -> Result<Self, ImageSourceError> {
        if let Some(rest) = text.strip_prefix("oci:") {
            let (dir, tag) = path_and_image(text, rest)?;
            return Ok(Self::OciLayout { dir, tag });
        }
        if let Some(rest) = text.strip_prefix("oci-archive:") {
            let (file, tag) = path_and_image(text, rest)?;
            return Ok(Self::OciArchive { file, tag });
        }
        if let Some(rest) = text.strip_prefix("docker-archive:") {
            let (file, reference) = path_and_name(text, rest)?;
            return Ok(Self::DockerArchive { file, reference });
        }
        if let Some(path) = text.strip_prefix("dir:") {
            if path.is_empty() {
                return Err(ImageSourceError::Empty(text.to_owned()));
            }
            return Ok(Self::Rootfs { path: path.into() });
        }
        if text.is_empty() {
            return Err(ImageSourceError::Empty(text.to_owned()));
        }
        if Path::new(text).symlink_metadata().is_ok() {
            return detect(Path::new(text));
        }
        if let Some(reference) = text.strip_prefix("docker://") {
            return Ok(Self::Registry { reference: reference.to_owned(), layout: PathBuf::new() });
        }
        for transport in ["docker", "docker-daemon", "podman", "containerd", "containers-storage"] {
            if text.strip_prefix(transport).is_some_and(|rest| rest.starts_with(':')) {
                return Err(ImageSourceError::UnsupportedTransport {
                    transport: format!("{transport}:"),
                    text: text.to_owned(),
                });
            }
        }
        if looks_like_path(text) {
            return Err(ImageSourceError::NotFound { path: text.into() });
        }
        Ok(Self::Registry { reference: text.to_owned(), layout: PathBuf::new() })
    }
}

/// Splits `PATH[:NAME][@DIGEST]`; what is not the path is the name.
fn path_and_image(text: &str, rest: &str) -> Result<(PathBuf, Option<String>), ImageSourceError> {
    match rest.rsplit_once('@').filter(|(_, end)| end.starts_with("sha256:")) {
        Some((before, digest)) if !Path::new(rest).exists() => {
            digest.parse::<Digest>().map_err(ImageSourceError::Digest)?;
            let (path, name) = path_and_name(text, before)?;
            Ok((path, Some(format!("{}@{digest}", name.unwrap_or_default()))))
        }
        _ => path_and_name(text, rest),
    }
}

/// Splits `PATH[:NAME]`.
pub(crate) fn path_and_name(text: &str, rest: &str) -> Result<(PathBuf, Option<String>), ImageSourceError> {
    if Path::new(rest).exists() {
        return Ok((rest.into(), None));
    }
    let (path, name) = match rest.split_once(':') {
        Some((path, name)) => (path, Some(name)),
        None => (rest, None),
    };
    if path.is_empty() || name == Some("") {
        return Err(ImageSourceError::Empty(text.to_owned()));
    }
    Ok((path.into(), name.map(str::to_owned)))
}

fn looks_like_path(text: &str) -> bool {
    text.starts_with(['/', '.', '~'])
        || [".tar", ".tgz", ".tar.gz", ".json"].iter().any(|end| text.ends_with(end))
}

/// Finds out what kind of image lies at an existing path.
fn detect(path: &Path) -> Result<ImageSource, ImageSourceError> {
    let read_error = |source| ImageSourceError::Read { path: path.to_owned(), source };
    let not_an_image = || ImageSourceError::NotAnImage { path: path.to_owned() };
    let metadata = path.metadata().map_err(read_error)?;
    if metadata.is_dir() {
        let has_layout = path.join("oci-layout").exists();
        return has_layout
            .then(|| ImageSource::OciLayout { dir: path.to_owned(), tag: None })
            .ok_or_else(not_an_image);
    }
    if !metadata.is_file() {
        return Err(not_an_image());
    }
    // Compressed archives are not looked into: the names that tell are often the last ones.
    let blob = open_file(path).map_err(read_error)?;
    let limits = Limits::default();
    let entries = crate::tar::list(&blob, &limits, &Tally::new(&limits)).map_err(|_| not_an_image())?;
    let has = |name: &[u8]| entries.iter().any(|entry| entry.path.as_bytes() == name);
    let file = path.to_owned();
    // New archives of `docker save` are OCI layouts too; only `manifest.json` has the full names of their images.
    if has(b"manifest.json") {
        Ok(ImageSource::DockerArchive { file, reference: None })
    } else if has(b"oci-layout") {
        Ok(ImageSource::OciArchive { file, tag: None })
    } else if is_root(|name| has(name.as_bytes())) {
        Ok(ImageSource::Rootfs { path: file })
    } else {
        Err(not_an_image())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_written_as_they_are_read() {
        for text in [
            "oci:/a/b",
            "oci:/a/b:tag",
            "oci-archive:x.tar:v1",
            "oci:/a/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "oci-archive:x.tar:v1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "docker-archive:x.tar:reg.test:5000/a/b:v1",
            "dir:/a:b",
        ] {
            assert_eq!(text.parse::<ImageSource>().unwrap().to_string(), text);
        }
        let source: ImageSource = "docker-archive:x.tar:reg.test:5000/a/b:v1".parse().unwrap();
        assert_eq!(source.name(), Some("reg.test:5000/a/b:v1"));
    }

    #[test]
    fn what_is_no_path_is_a_reference() {
        for (text, expected) in [
            ("redis:7", "redis:7"),
            ("docker://localhost:5000/shop:1", "localhost:5000/shop:1"),
            ("ghcr.io/a/b", "ghcr.io/a/b"),
        ] {
            let expected = ImageSource::Registry { reference: expected.into(), layout: PathBuf::new() };
            assert_eq!(text.parse::<ImageSource>().unwrap(), expected);
            assert_eq!(expected.to_string().parse::<ImageSource>().unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_source_says_what_to_do() {
        for (text, message) in [
            ("shop.cdx.json", "there is no file or directory shop.cdx.json"),
            ("docker:redis", "docker: images are not read in this version (asked for \"docker:redis\")"),
            ("podman:redis", "podman: images are not read in this version (asked for \"podman:redis\")"),
            ("./nowhere.tar", "there is no file or directory ./nowhere.tar"),
            ("/dev/null", "/dev/null is neither an OCI layout nor an archive of an image"),
            ("", "\"\" names no file or directory"),
            ("oci:", "\"oci:\" names no file or directory"),
            ("oci:dir:", "\"oci:dir:\" names no file or directory"),
            ("oci:dir@sha256:0123", "cannot tell which image is meant"),
        ] {
            let error = text.parse::<ImageSource>().unwrap_err();
            assert_eq!(error.to_string(), message);
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn a_path_with_colons_is_taken_whole_if_it_exists() {
        let dir = tempfile::Builder::new().prefix("with:colon").tempdir().unwrap();
        let text = format!("oci:{}", dir.path().display());
        assert_eq!(
            text.parse::<ImageSource>().unwrap(),
            ImageSource::OciLayout { dir: dir.path().into(), tag: None }
        );
    }
}
