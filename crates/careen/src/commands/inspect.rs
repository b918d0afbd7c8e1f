//! `careen inspect`: what an image holds.

use serde::Serialize;

use crate::cli::InspectArgs;
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, output};

#[derive(Serialize)]
struct Inspection {
    image: String,
    manifest_digest: image::Digest,
    image_id: image::Digest,
    platform: image::Platform,
    layers: usize,
    metrics: harden::Metrics,
}

/// Prints counts and sizes of one image.
pub(crate) fn run(context: &Context, args: &InspectArgs) -> Result<(), Failure> {
    let image = context.open_image(&args.image)?;
    let packages = packages::read(&image)
        .map_err(|source| hints::plain(ExitCode::Image, "cannot read the package database", source))?;
    let metrics = harden::metrics(&image, &packages).map_err(|source| {
        hints::plain(ExitCode::Image, format!("cannot measure {}", image.source()), source)
    })?;
    context.progress.abandon();
    let inspection = Inspection {
        image: image.source().to_string(),
        manifest_digest: image.manifest_digest(),
        image_id: image.image_id(),
        platform: image.platform().clone(),
        layers: image.layers().len(),
        metrics,
    };
    output::print(context.output, &inspection, text)
}

fn text(inspection: &Inspection) -> String {
    let mut rows = vec![
        vec!["image".to_owned(), inspection.image.clone()],
        vec!["digest".to_owned(), inspection.manifest_digest.to_string()],
        vec!["platform".to_owned(), inspection.platform.to_string()],
        vec!["layers".to_owned(), output::count_text(inspection.layers as u64)],
    ];
    rows.extend(report::metric_values(&inspection.metrics).into_iter().map(|metric| {
        let show = if metric.is_bytes { output::bytes_text } else { output::count_text };
        vec![metric.name.to_owned(), show(metric.value)]
    }));
    let width = rows.iter().map(|row| row[0].len()).max().unwrap_or(0);
    rows.iter().map(|row| format!("  {:width$}  {}\n", row[0], row[1])).collect()
}
