//! `careen inspect`: what an image holds.

use std::collections::BTreeSet;

use harden::Decision;
use image::Image;
use packages::{Ecosystem, Problem};
use serde::Serialize;

use crate::artifacts::ResultStore;
use crate::cli::InspectArgs;
use crate::commands::verify::load_ledger;
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
    packages: Vec<InstalledPackage>,
    /// What the databases say that could not be understood.
    package_problems: Vec<Problem>,
}

/// A package that the image's databases list as installed.
#[derive(Serialize)]
struct InstalledPackage {
    ecosystem: Ecosystem,
    name: String,
    version: String,
    architecture: String,
    purl: String,
    licence: Option<String>,
    /// Files of it in this image.
    files: usize,
    /// Whether it has lost files; none where that is unknown, since the image was not hardened here.
    partial: Option<bool>,
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
    let lost = lost_files(context, &image)?;
    let installed = packages.installed().map(|package| InstalledPackage {
        ecosystem: package.ecosystem,
        name: package.name.clone(),
        version: package.version.clone(),
        architecture: package.architecture.clone(),
        purl: package.purl.clone(),
        licence: package.licence.clone(),
        files: package.files.len(),
        partial: lost.as_ref().map(|lost| lost.contains(&package.label())),
    });
    let inspection = Inspection {
        image: image.source().to_string(),
        manifest_digest: image.manifest_digest(),
        image_id: image.image_id(),
        platform: image.platform().clone(),
        layers: image.layers().len(),
        metrics,
        packages: installed.collect(),
        package_problems: packages.problems.clone(),
    };
    output::print(context.output, &inspection, text)
}

/// The packages of a hardened image that lost files other than licences and documents, by what its ledger says; none
/// where no ledger is known.
fn lost_files(context: &Context, image: &Image) -> Result<Option<BTreeSet<String>>, Failure> {
    let found = ResultStore::new(&context.data_dir).find(image.source(), image.manifest_digest());
    let Some(artifacts) = found else { return Ok(None) };
    let ledger = load_ledger(&artifacts.ledger())?;
    if ledger.image.manifest_digest == image.manifest_digest() {
        return Ok(Some(BTreeSet::new()));
    }
    let lost = ledger.entries.iter().filter(|(path, entry)| {
        entry.decision == Decision::Remove && !packages::is_document(path) && !packages::is_licence(path)
    });
    Ok(Some(lost.flat_map(|(_, entry)| entry.packages.iter().cloned()).collect()))
}

fn text(inspection: &Inspection) -> String {
    let mut rows = vec![
        vec!["image".to_owned(), inspection.image.clone()],
        vec!["digest".to_owned(), inspection.manifest_digest.to_string()],
        vec!["platform".to_owned(), inspection.platform.to_string()],
        vec!["layers".to_owned(), output::count_text(inspection.layers as u64)],
    ];
    let partial = inspection.packages.iter().filter(|package| package.partial == Some(true)).count();
    for metric in report::metric_values(&inspection.metrics) {
        let show = if metric.is_bytes { output::bytes_text } else { output::count_text };
        if metric.name != report::LANGUAGE_PACKAGES || metric.value > 0 {
            rows.push(vec![metric.name.to_owned(), show(metric.value)]);
        }
    }
    if partial > 0 {
        rows.push(vec!["in part only".to_owned(), output::counted(partial as u64, "package", "packages")]);
    }
    for problem in inspection.package_problems.iter().take(5) {
        rows.push(vec!["problem".to_owned(), problem.to_string()]);
    }
    let width = rows.iter().map(|row| row[0].len()).max().unwrap_or(0);
    rows.iter().map(|row| format!("  {:width$}  {}\n", row[0], row[1])).collect()
}
