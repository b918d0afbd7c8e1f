//! From the errors of the crates to failures: exit code and hint in one place.

use std::error::Error;

use crate::exit::ExitCode;
use crate::failure::Failure;

pub(crate) fn open_image(tried: &str, error: image::OpenImageError) -> Failure {
    let hint = error.hint();
    Failure::caused_by(ExitCode::Image, tried, error).hint(hint)
}

pub(crate) fn parse_source(tried: &str, error: image::ImageSourceError) -> Failure {
    let hint = error.hint();
    Failure::caused_by(ExitCode::Image, tried, error).hint(hint)
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
