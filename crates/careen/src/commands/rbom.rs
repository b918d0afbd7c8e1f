//! `careen rbom`: what of an image ran.

use std::collections::{BTreeMap, BTreeSet};

use advisories::heat::{self, Role};
use image::{Image, NodeKind};
use packages::{PackageDatabase, is_document, is_licence};
use profile::{AccessKind, Profile};
use sbom::operations::{RecordedRun, RuntimeRecord, UsedFile};
use sbom::{Bill, Options};

use crate::cli::{RbomArgs, RbomFormat};
use crate::commands::{record, sbom as listing};
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, output};

/// Lists what ran.
pub(crate) fn run(context: &Context, args: &RbomArgs) -> Result<(), Failure> {
    output::check(&args.document.destination)?;
    let profiles = record::load_profiles(&args.profile, &[])?;
    let profile = record::merge_profiles(&profiles)?;
    let created = listing::created(args.document.created.as_deref())?;
    let image = context.open_image(&args.image)?;
    same_image(&profile, &image)?;
    let database = catalog(&image)?;
    let options =
        Options { created, tool_version: env!("CARGO_PKG_VERSION").to_owned(), ..Options::default() };
    let bill = bill(&image, &database, &options)?;
    let runtime = runtime_record(&profile, &image);
    context.progress.abandon();
    let document = match args.format {
        RbomFormat::Cyclonedx => sbom::operations(&bill, &runtime),
        RbomFormat::RuntimeTrace => sbom::runtime_trace(&bill, &runtime).map_err(|source| {
            Failure::caused_by(ExitCode::Image, format!("cannot read files of {}", image.source()), source)
        })?,
    };
    let mut bytes = serde_json::to_vec_pretty(&document)
        .map_err(|source| Failure::caused_by(ExitCode::Failure, "cannot write what ran", source))?;
    bytes.push(b'\n');
    output::write(&args.document.destination, &bytes)
}

/// Refuses a profile of another image: what ran there may not be here.
fn same_image(profile: &Profile, image: &Image) -> Result<(), Failure> {
    if profile.image.image_id == image.image_id() {
        return Ok(());
    }
    let tried = format!(
        "the profile is of image {}, and {} is {}",
        profile.image.image_id,
        image.source(),
        image.image_id()
    );
    Err(Failure::new(ExitCode::Profile, tried)
        .hint("name the image that ran; a hardened one has its own profile, hardened.profile".to_owned()))
}

/// The packages of an image, those within files too.
pub(crate) fn catalog(image: &Image) -> Result<PackageDatabase, Failure> {
    packages::catalog(image).map_err(|source| cannot_list(image, source))
}

/// What there is to say of an image's components.
pub(crate) fn bill<'a>(
    image: &'a Image,
    database: &'a PackageDatabase,
    options: &'a Options,
) -> Result<Bill<'a>, Failure> {
    Bill::new(image, database, options).map_err(|source| cannot_list(image, source))
}

fn cannot_list(image: &Image, source: packages::ReadPackagesError) -> Failure {
    let hint = source.hint();
    hints::plain(ExitCode::Image, format!("cannot list the packages of {}", image.source()), source)
        .hint(hint)
}

/// What a profile says of the files of an image, without what was only looked up.
fn runtime_record(profile: &Profile, image: &Image) -> RuntimeRecord {
    const USES: [AccessKind; 4] =
        [AccessKind::Exec, AccessKind::MapExec, AccessKind::OpenRead, AccessKind::OpenWrite];
    let mut offsets = Vec::with_capacity(profile.runs.len());
    let mut steps = 0_u64;
    for run in &profile.runs {
        offsets.push(steps);
        steps += run.steps.len() as u64 + 1;
    }
    let mut files = BTreeMap::new();
    for (path, usage) in profile.used() {
        let is_file = image.tree().get(path).is_some_and(|node| matches!(node.kind, NodeKind::File { .. }));
        let used: Vec<_> = USES.iter().filter_map(|kind| Some((kind, usage.0.get(kind)?))).collect();
        let first =
            used.iter().map(|(_, usage)| *usage).min_by_key(|usage| (usage.first_run, usage.first_step));
        let (true, Some(first)) = (is_file, first) else { continue };
        let processes: BTreeSet<String> = used
            .iter()
            .flat_map(|(_, usage)| profile.processes_of(usage))
            .map(|process| process.exe.clone())
            .collect();
        let run = profile.run(first.first_run);
        let offset = offsets.get(first.first_run as usize).copied().unwrap_or_default();
        let is_text = is_document(path) || is_licence(path);
        files.insert(
            path.clone(),
            UsedFile {
                is_code: !is_text && heat::role(path, usage) == Role::Code,
                kinds: used.iter().map(|(kind, _)| kind.name().to_owned()).collect(),
                processes,
                coverage: run.map(|run| run.coverage.clone()).unwrap_or_default(),
                step: profile.first_step_name(first).to_owned(),
                order: offset + u64::from(first.first_step.0),
            },
        );
    }
    let runs = profile.runs.iter().map(|run| RecordedRun {
        coverage: run.coverage.clone(),
        started: run.started_at.clone(),
        sensor: run.sensor.backend.clone(),
        kernel: run.sensor.kernel.clone(),
        steps: run.steps.iter().map(|step| step.name.clone()).collect(),
    });
    RuntimeRecord { files, runs: runs.collect(), complete: profile.verdict().is_complete() }
}
