//! `careen sbom`: what components an image has.

use std::collections::BTreeMap;
use std::env;
use std::time::{Duration, UNIX_EPOCH};

use harden::Decision;
use image::{Image, Unread};
use sbom::{Bill, Format, Lost};

use crate::artifacts::ResultStore;
use crate::cli::{OutputFormat, SbomArgs, SbomFormat};
use crate::commands::verify::load_ledger;
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, output};

/// Lists the components of one image.
pub(crate) fn run(context: &Context, args: &SbomArgs) -> Result<(), Failure> {
    output::check(&args.document.destination)?;
    let created = created(args.document.created.as_deref())?;
    // Checksums are of everything that packages own.
    let unread: Option<Unread> = if args.checksums { None } else { Some(packages::is_unread) };
    let image = context.open_named(&args.image, unread)?;
    let failed = |source: packages::ReadPackagesError| {
        let hint = source.hint();
        hints::plain(ExitCode::Image, format!("cannot list the packages of {}", image.source()), source)
            .hint(hint)
    };
    let database = packages::catalog(&image).map_err(failed)?;
    let options = sbom::Options {
        created,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        no_files: args.no_files,
        checksums: args.checksums,
        supplier: args.supplier.clone(),
        lost: lost_files(context, &image)?,
    };
    let bill = Bill::new(&image, &database, &options).map_err(failed)?;
    context.progress.abandon();
    let format = match (args.format, context.output) {
        (Some(SbomFormat::Table), _) | (None, OutputFormat::Text) => Format::Table,
        (Some(SbomFormat::Cyclonedx), _) => Format::CycloneDx,
        (Some(SbomFormat::Spdx), _) => Format::Spdx2,
        (Some(SbomFormat::Spdx3), _) => Format::Spdx3,
        (Some(SbomFormat::Json), _) | (None, OutputFormat::Json) => Format::Json,
    };
    let mut bytes = Vec::new();
    sbom::write(&bill, format, &mut bytes).map_err(|source| {
        Failure::caused_by(ExitCode::Failure, "cannot write the list of components", source)
    })?;
    output::write(&args.document.destination, &bytes)
}

/// What was typed, else `SOURCE_DATE_EPOCH`; none where the image is to say it.
pub(crate) fn created(typed: Option<&str>) -> Result<Option<String>, Failure> {
    if let Some(text) = typed {
        return sbom::bill::time(text).map(Some).ok_or_else(|| {
            Failure::new(ExitCode::Usage, format!("--created {text} is no time in UTC"))
                .hint("write it as 2026-11-22T13:30:00Z".to_owned())
        });
    }
    let Some(text) = env::var_os("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    let time = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    // The year 9999 ends there; later ones have no such form.
    let time = time.filter(|_| seconds < Some(253_402_300_800)).ok_or_else(|| {
        Failure::new(ExitCode::Usage, "SOURCE_DATE_EPOCH is no number of seconds since 1970")
            .hint("unset it, or use --created".to_owned())
    })?;
    Ok(Some(coverage::rfc3339(time)))
}

/// How many files of each package a hardening left, by the ledger of the image; empty where none is known, or where
/// the image is the original.
fn lost_files(context: &Context, image: &Image) -> Result<BTreeMap<String, Lost>, Failure> {
    let mut lost: BTreeMap<String, Lost> = BTreeMap::new();
    let found = ResultStore::new(&context.data_dir).find(image.source(), image.manifest_digest());
    let Some(artifacts) = found else { return Ok(lost) };
    let ledger = load_ledger(&artifacts.ledger())?;
    if ledger.image.manifest_digest == image.manifest_digest() {
        return Ok(lost);
    }
    for (path, entry) in &ledger.entries {
        if packages::is_document(path) || packages::is_licence(path) {
            continue;
        }
        for label in &entry.packages {
            let lost = lost.entry(label.clone()).or_default();
            match entry.decision {
                Decision::Remove => lost.removed += 1,
                Decision::Keep => lost.kept += 1,
            }
        }
    }
    Ok(lost)
}
