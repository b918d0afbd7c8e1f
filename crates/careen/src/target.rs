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
    let name = match (path.is_dir(), path.file_stem(), path.extension()) {
        (false, Some(stem), Some(ending)) => {
            format!("{}-hardened.{}", stem.to_string_lossy(), ending.to_string_lossy())
        }
        _ => format!("{}-hardened", path.file_name().unwrap_or_default().to_string_lossy()),
    };
    let path = path.with_file_name(name);
    Ok(match source {
        ImageSource::OciLayout { tag, .. } => ImageTarget::OciLayout { dir: path, tag: tag.clone() },
        ImageSource::OciArchive { tag, .. } => ImageTarget::OciArchive { file: path, tag: tag.clone() },
        ImageSource::DockerArchive { reference, .. } => {
            ImageTarget::DockerArchive { file: path, reference: reference.clone() }
        }
    })
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
