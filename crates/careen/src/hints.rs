//! From the errors of the crates to failures: exit code and hint in one place.

use std::error::Error;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use crate::exit::ExitCode;
use crate::failure::Failure;

pub(crate) fn open_image(tried: &str, error: image::OpenImageError) -> Failure {
    let hint = error.hint();
    if is_disk_full(&error) {
        return Failure::caused_by(ExitCode::Host, tried, error).hint(
            "the data directory is on a full disk: free some space, or name another with --data-dir"
                .to_owned(),
        );
    }
    Failure::caused_by(ExitCode::Image, tried, error).hint(hint)
}

fn is_disk_full(error: &(dyn Error + 'static)) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::StorageFull)
        || error.source().is_some_and(is_disk_full)
}

pub(crate) fn parse_source(tried: &str, error: image::ImageSourceError) -> Failure {
    let of_content = match &error {
        image::ImageSourceError::NotAnImage { path } => no_image(path),
        _ => None,
    };
    let hint = of_content.map(str::to_owned).or_else(|| error.hint());
    Failure::caused_by(ExitCode::Image, tried, error).hint(hint)
}

/// What a file may be instead, that is no image.
fn no_image(path: &Path) -> Option<&'static str> {
    let mut start = Vec::new();
    let file = fs::File::open(path).ok().filter(|_| path.is_file())?;
    file.take(64).read_to_end(&mut start).ok()?;
    match start.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => Some("the file is empty: whatever was to write it did not"),
        Some(b'{' | b'[') => Some(
            "an image is no file of JSON; `careen scan` reads bills of materials (CycloneDX or SPDX), `careen report` \
             the result.json of a hardening",
        ),
        Some(_) => None,
    }
}

pub(crate) fn registry(tried: &str, error: registry::RegistryError) -> Failure {
    let hint = error.hint();
    let code = match error {
        registry::RegistryError::Interrupted => ExitCode::Interrupted,
        registry::RegistryError::Store { .. } => ExitCode::Host,
        registry::RegistryError::Logins { .. } | registry::RegistryError::Certificates { .. } => {
            ExitCode::Document
        }
        _ => ExitCode::Image,
    };
    Failure::caused_by(code, tried, error).hint(hint)
}

pub(crate) fn pull(tried: &str, error: registry::PullError) -> Failure {
    match error {
        registry::PullError::Registry(error) => registry(tried, error),
        registry::PullError::Image(error) => open_image(tried, error),
        other => {
            let hint = other.hint();
            Failure::caused_by(ExitCode::Host, tried, other).hint(hint)
        }
    }
}

pub(crate) fn engine(tried: &str, error: engine::EngineError) -> Failure {
    let hint = error.hint();
    let code = match error {
        engine::EngineError::Interrupted => ExitCode::Interrupted,
        _ => ExitCode::Host,
    };
    Failure::caused_by(code, tried, error).hint(hint)
}

/// Ends with the interrupt's own code if that is what it was, whatever failed because of it.
pub(crate) fn unless_interrupted(context: &crate::context::Context, failure: Failure) -> Failure {
    if context.interrupt.load(std::sync::atomic::Ordering::SeqCst) && failure.code != ExitCode::Interrupted {
        return Failure::new(ExitCode::Interrupted, "interrupted; everything was undone");
    }
    failure
}

/// Any other error, without a hint of its own.
pub(crate) fn plain(
    code: ExitCode,
    tried: impl Into<String>,
    error: impl Error + Send + Sync + 'static,
) -> Failure {
    Failure::caused_by(code, tried, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_image_is_told_apart_by_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let hint = |content: &str| {
            let file = dir.path().join("file");
            fs::write(&file, content).unwrap();
            no_image(&file).unwrap_or_default()
        };
        assert!(hint(" \n").contains("empty"));
        assert!(hint("[1]").contains("careen scan"));
        assert_eq!(hint("text"), "");
        assert_eq!(no_image(dir.path()), None);
    }
}
