//! Outputs as typed or derived, moved to where they are staged, and read back.

use std::path::Path;

use image::{ImageSource, ImageTarget};

use crate::artifacts::source_path;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::hints;

/// The output as typed, or the input's path with `-hardened` before its ending.
pub(crate) fn resolve(source: &ImageSource, typed: Option<&str>) -> Result<ImageTarget, Failure> {
    if let Some(text) = typed {
        return text.parse().map_err(|error: image::ImageTargetError| {
            let hint = error.hint();
            hints::plain(ExitCode::Usage, format!("cannot write an image to {text}"), error).hint(hint)
        });
    }
    let path = source_path(source);
    let is_file = !path.is_dir() && !matches!(source, ImageSource::Registry { .. });
    let name = match (is_file, path.file_stem(), path.extension()) {
        (true, Some(stem), Some(ending)) => {
            format!("{}-hardened.{}", stem.to_string_lossy(), ending.to_string_lossy())
        }
        _ => format!("{}-hardened", path.file_name().unwrap_or_default().to_string_lossy()),
    };
    let path = path.with_file_name(name);
    Ok(match source {
        ImageSource::Rootfs { .. } => ImageTarget::OciLayout { dir: path, tag: None },
        ImageSource::OciLayout { tag, .. } => ImageTarget::OciLayout { dir: path, tag: tag.clone() },
        ImageSource::Registry { .. } => ImageTarget::OciLayout { dir: path, tag: None },
        ImageSource::OciArchive { tag, .. } => ImageTarget::OciArchive { file: path, tag: tag.clone() },
        ImageSource::DockerArchive { reference, .. } => {
            ImageTarget::DockerArchive { file: path, reference: reference.clone() }
        }
    })
}

/// The output with a name for the image, where none was typed: the one that it has, as far as its new home allows.
pub(crate) fn named(mut target: ImageTarget, name: Option<&str>) -> ImageTarget {
    match &mut target {
        ImageTarget::OciLayout { tag: tag @ None, .. } | ImageTarget::OciArchive { tag: tag @ None, .. } => {
            // A layout's names are tags; a full reference ends in one, unless a port comes last.
            let last = name.and_then(|name| name.rsplit('/').next()).unwrap_or_default();
            let ending =
                last.rsplit_once(':').map(|(_, ending)| ending).or(name.filter(|name| *name == last));
            *tag = Some(ending.filter(|ending| is_tag(ending)).unwrap_or("latest").to_owned());
        }
        // A bare tag is no reference.
        ImageTarget::DockerArchive { reference: reference @ None, .. } => {
            *reference = name.filter(|name| name.contains([':', '/'])).map(str::to_owned);
        }
        _ => {}
    }
    target
}

/// Source: OCI distribution-spec 1.1, "Pulling manifests".
fn is_tag(text: &str) -> bool {
    let ok = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !text.is_empty() && text.len() <= 128 && text.chars().all(ok) && !text.starts_with(['.', '-'])
}

/// The same output at another path.
pub(crate) fn moved(target: &ImageTarget, path: &Path) -> ImageTarget {
    let mut moved = target.clone();
    match &mut moved {
        ImageTarget::OciLayout { dir: at, .. }
        | ImageTarget::OciArchive { file: at, .. }
        | ImageTarget::DockerArchive { file: at, .. } => *at = path.to_owned(),
    }
    moved
}

/// What was written, as something to read.
pub(crate) fn as_source(target: &ImageTarget) -> ImageSource {
    match target.clone() {
        ImageTarget::OciLayout { dir, tag } => ImageSource::OciLayout { dir, tag },
        ImageTarget::OciArchive { file, tag } => ImageSource::OciArchive { file, tag },
        ImageTarget::DockerArchive { file, reference } => ImageSource::DockerArchive { file, reference },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_a_registry_is_hardened_into_this_directory() {
        for (text, expected) in [
            ("localhost:5000/shop/app:1.4", "oci:app-hardened"),
            ("docker.io/library/node.js:7@sha256:0", "oci:node.js-hardened"),
        ] {
            assert_eq!(resolve(&text.parse().unwrap(), None).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn an_image_keeps_its_name_as_far_as_its_new_home_allows() {
        for (target, name, expected) in [
            ("oci:out", Some("7.0"), "oci:out:7.0"),
            ("oci:out:mine", Some("7.0"), "oci:out:mine"),
            ("oci:out", None, "oci:out:latest"),
            ("oci:out", Some("localhost:5000/shop/app:1.4"), "oci:out:1.4"),
            ("oci-archive:out.tar", Some("localhost:5000/shop"), "oci-archive:out.tar:latest"),
            ("docker-archive:out.tar", Some("shop/app:1.4"), "docker-archive:out.tar:shop/app:1.4"),
            ("docker-archive:out.tar", Some("latest"), "docker-archive:out.tar"),
        ] {
            assert_eq!(named(target.parse().unwrap(), name).to_string(), expected);
        }
    }
}
