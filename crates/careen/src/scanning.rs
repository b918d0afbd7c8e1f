//! What scanning and hardening share: the list of an image's packages, kept between runs, and the database.

use std::path::Path;

use advisories::scan::Subject;
use image::{Image, ImageSource, OpenOptions, Outline, Platform};
use packages::{Cache, Limits, PackageDatabase};

use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::hints;

/// Reads manifest and config of an image, and none of its layers.
pub(crate) fn outline(
    context: &Context,
    source: &ImageSource,
    platform: Option<Platform>,
) -> Result<Outline, Failure> {
    let options = OpenOptions {
        platform,
        scratch_dir: context.scratch_dir()?,
        interrupt: Some(&context.interrupt),
        ..OpenOptions::default()
    };
    image::outline(source, &options)
        .map_err(|error| hints::open_image(&format!("cannot open {source}"), error))
}

/// The catalog of an image as an earlier run kept it.
pub(crate) fn known_packages(context: &Context, outline: &Outline) -> Option<PackageDatabase> {
    cache(&context.data_dir).of_layers(&outline.diff_ids, &Limits::default())
}

/// All packages of an image; what files embed, too.
pub(crate) fn packages(context: &Context, image: &Image) -> Result<PackageDatabase, Failure> {
    let cache = cache(&context.data_dir);
    packages::catalog_within(image, &Limits::default(), Some(&cache)).map_err(|source| {
        let hint = source.hint();
        hints::plain(ExitCode::Image, format!("cannot list the packages of {}", image.source()), source)
            .hint(hint)
    })
}

fn cache(data_dir: &Path) -> Cache {
    Cache::at(data_dir.join("catalog"))
}

/// What a report says of an image.
pub(crate) fn subject(reference: &str, outline: &Outline) -> Subject {
    Subject {
        reference: reference.to_owned(),
        manifest_digest: Some(outline.manifest_digest),
        image_id: Some(outline.image_id),
        platform: Some(outline.platform.to_string()),
        distribution: None,
    }
}
