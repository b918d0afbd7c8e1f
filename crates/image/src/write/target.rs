//! Where an image is written, as a person writes it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::WriteError;
use super::output::check_target;
use crate::ImageSource;

/// A place to write an image to. The textual forms are those of [`ImageSource`](crate::ImageSource).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageTarget {
    /// `oci:DIR[:TAG]`: an OCI image layout in a new directory.
    OciLayout {
        /// The directory.
        dir: PathBuf,
        /// The image's `org.opencontainers.image.ref.name`.
        tag: Option<String>,
    },
    /// `oci-archive:FILE[:TAG]`: a tar of an OCI image layout.
    OciArchive {
        /// The tar.
        file: PathBuf,
        /// As for a layout.
        tag: Option<String>,
    },
    /// `docker-archive:FILE[:REF]`: what `docker save` writes and `docker load` reads.
    DockerArchive {
        /// The tar.
        file: PathBuf,
        /// The name that `docker load` gives to the image, such as `shop/app:1.4`; `:latest` where it has no tag.
        reference: Option<String>,
    },
}

/// Why a text does not name a place to write an image to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageTargetError {
    /// Another transport, or none.
    #[error("{0:?} does not start with oci:, oci-archive: or docker-archive:")]
    Transport(String),
    /// Nothing after the transport.
    #[error("{0:?} names no file or directory")]
    Empty(String),
    /// Not a tag (OCI layouts) or not a reference (docker-archive).
    #[error("{name:?} is not a name for an image in {text:?}")]
    Name {
        /// What stands where the name belongs.
        name: String,
        /// What was typed.
        text: String,
    },
}

impl ImageTargetError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Transport(text) => format!("write oci:{text} for a directory, docker-archive:{text} for `docker load`"),
            Self::Empty(_) => "write a path after the colon, such as oci:shop-hardened:1.4".to_owned(),
            Self::Name { .. } => {
                "names are letters, digits and `.-_/:`; upper case letters only in the tag after the last colon".to_owned()
            }
        })
    }
}

impl ImageTarget {
    /// Checks that an image read from `source` may be written here, before anything is done for it: there is a
    /// directory to make it in, it is not the source itself, and what is there already may and can be replaced.
    ///
    /// # Errors
    /// `Exists` unless `overwrite`, `NotReplaceable` for what is neither an image nor empty, `IsSource`,
    /// `ParentMissing`, `NoName`.
    pub fn check(&self, source: &ImageSource, overwrite: bool) -> Result<(), WriteError> {
        check_target(self.path(), matches!(self, Self::OciLayout { .. }), source, overwrite)
    }

    /// The file or directory that is made.
    pub fn path(&self) -> &Path {
        match self {
            Self::OciLayout { dir: path, .. }
            | Self::OciArchive { file: path, .. }
            | Self::DockerArchive { file: path, .. } => path,
        }
    }

    /// The name that the image gets there.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::OciLayout { tag: name, .. }
            | Self::OciArchive { tag: name, .. }
            | Self::DockerArchive { reference: name, .. } => name.as_deref(),
        }
    }
}

impl fmt::Display for ImageTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self {
            Self::OciLayout { .. } => "oci",
            Self::OciArchive { .. } => "oci-archive",
            Self::DockerArchive { .. } => "docker-archive",
        };
        write!(f, "{transport}:{}", self.path().display())?;
        self.name().iter().try_for_each(|name| write!(f, ":{name}"))
    }
}

impl FromStr for ImageTarget {
    type Err = ImageTargetError;

    /// The path ends at the first colon, as in skopeo; a path with a colon in it cannot be written this way.
    fn from_str(text: &str) -> Result<Self, ImageTargetError> {
        let transport = || ImageTargetError::Transport(text.to_owned());
        let (transport_name, rest) = text.split_once(':').ok_or_else(transport)?;
        let (path, name) = match rest.split_once(':') {
            Some((path, name)) => (path, Some(name.to_owned())),
            None => (rest, None),
        };
        let target = match transport_name {
            "oci" => Self::OciLayout { dir: path.into(), tag: name },
            "oci-archive" => Self::OciArchive { file: path.into(), tag: name },
            "docker-archive" => Self::DockerArchive { file: path.into(), reference: name },
            _ => return Err(transport()),
        };
        if path.is_empty() {
            return Err(ImageTargetError::Empty(text.to_owned()));
        }
        match target.name() {
            Some(name) if !is_name(name) => {
                Err(ImageTargetError::Name { name: name.to_owned(), text: text.to_owned() })
            }
            _ => Ok(target),
        }
    }
}

/// Whether `docker load` and OCI layouts both take this as a name: `[registry[:port]/]path[:tag]`, no digest.
fn is_name(name: &str) -> bool {
    let tag_start = name.rfind(':').filter(|&colon| !name[colon..].contains('/'));
    let (repository, tag) = match tag_start {
        Some(colon) => (&name[..colon], &name[colon + 1..]),
        None => (name, "latest"),
    };
    let word = |text: &str, extra: &str| {
        !text.is_empty()
            && text.len() <= 255
            && text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    word(repository, "._-/:") && word(tag, "._-") && !repository.split('/').any(str::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_back_as_they_print() {
        for text in [
            "oci:dir",
            "oci:/a/dir:1.4",
            "oci-archive:a.tar:latest",
            "docker-archive:a.tar",
            "docker-archive:a.tar:shop/app:1.4-hardened",
            "docker-archive:a.tar:localhost:5000/app:1",
        ] {
            assert_eq!(text.parse::<ImageTarget>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_target_is_refused_with_a_hint() {
        for text in [
            "",
            "dir",
            "docker:redis",
            "oci:",
            "oci::tag",
            "oci:dir:",
            "oci:dir:a b",
            "docker-archive:f:a@b",
            "oci:d:a//b",
        ] {
            let error = text.parse::<ImageTarget>().unwrap_err();
            assert!(error.hint().is_some(), "{text}: {error}");
        }
    }
}
