//! `careen validate`: every digest, size and diff ID recomputed.

use image::OpenOptions;

use crate::cli::ValidateArgs;
use crate::context::{self, Context};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, output, registries};

#[derive(serde::Serialize)]
struct Validated {
    image: String,
    manifests: Vec<image::Digest>,
}

/// Validates an image with all its platforms.
pub(crate) fn run(context: &Context, args: &ValidateArgs) -> Result<(), Failure> {
    let source = registries::everything(context, context::parse_source(&args.image.image)?)?;
    context.progress.stage(format!("validate {source}"), None);
    let on_bytes = |bytes| context.progress.add_bytes(bytes);
    let options = OpenOptions {
        platform: context::parse_platform(args.image.platform.as_deref())?,
        scratch_dir: context.scratch_dir()?,
        on_bytes: Some(&on_bytes),
        interrupt: Some(&context.interrupt),
        ..OpenOptions::default()
    };
    let validation = image::validate(&source, &options).map_err(|error| {
        let hint = error.hint();
        hints::plain(ExitCode::Image, format!("{source} is not valid"), error).hint(hint)
    })?;
    context.progress.abandon();
    let result = Validated {
        image: source.to_string(),
        manifests: validation.manifests.iter().map(|manifest| manifest.digest).collect(),
    };
    output::print(context.output, &result, |result| {
        let digests: String = result.manifests.iter().map(|digest| format!("  {digest}\n")).collect();
        format!("  {} is valid, with these manifests:\n{digests}", result.image)
    })
}
