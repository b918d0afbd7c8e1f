//! What scanning and hardening share: the list of an image's packages, kept between runs, and the database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use advisories::matching::{Finding, Rank};
use advisories::scan::{Kept, Scan, Subject, SymbolPresence};
use advisories::{Database, Heat, ScanReport};
use harden::{Policy, Preset};
use image::{Digest, Image, ImagePath, ImageSource, OpenOptions, Outline, Platform};
use packages::symbols::{self, Question};
use packages::{Cache, Limits, PackageDatabase};
use profile::Profile;

use crate::cli::DbArgs;
use crate::commands::db;
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, registries};

/// Reads manifest and config of an image, and none of its layers.
pub(crate) fn outline(
    context: &Context,
    source: &ImageSource,
    platform: Option<Platform>,
) -> Result<Outline, Failure> {
    if let ImageSource::Registry { .. } = source {
        return Ok(registries::documents(context, source, platform)?.outline);
    }
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

/// Opens the database if there is one. One that was named must be there.
pub(crate) fn database_at_hand(context: &Context, args: &DbArgs) -> Result<Option<Database>, Failure> {
    if args.db.is_none() && !db::path(context, args).exists() {
        return Ok(None);
    }
    db::open(context, args).map(Some)
}

/// What a report says of an opened image.
pub(crate) fn subject_of(reference: &str, image: &Image) -> Subject {
    Subject {
        reference: reference.to_owned(),
        manifest_digest: Some(image.manifest_digest()),
        image_id: Some(image.image_id()),
        platform: Some(image.platform().to_string()),
        distribution: None,
    }
}

/// Scans the original of a hardening; `hardened` is the result, and what of the original it still has.
pub(crate) fn scan(
    database: &Database,
    subject: Subject,
    packages: &PackageDatabase,
    profile: &Profile,
    hardened: Option<(Subject, Kept<'_>)>,
) -> Result<ScanReport, Failure> {
    let name = subject.reference.clone();
    let careen_version = env!("CARGO_PKG_VERSION");
    ScanReport::new(Scan { careen_version, subject, packages, profile: Some(profile), hardened, database })
        .map_err(|error| db::failed(&format!("cannot scan {name}"), error))
}

/// Looks for the vulnerable functions of a report's findings in the programs of the image. What programs answered before
/// is kept, so that the image need be opened only for what is new.
pub(crate) fn look_into_programs(
    context: &Context,
    report: &mut ScanReport,
    diff_ids: &[Digest],
    open: impl FnOnce() -> Result<Image, Failure>,
) -> Result<(), Failure> {
    let questions = report.questions();
    if questions.is_empty() {
        return Ok(());
    }
    let cache = cache(&context.data_dir);
    let mut answers = cache.answers(diff_ids);
    let new: Vec<Question> =
        questions.into_iter().filter(|question| !answers.contains_key(question)).collect();
    if !new.is_empty() {
        let image = open()?;
        context.progress.stage("look into programs for vulnerable functions", None);
        answers.extend(symbols::look(&image, &new));
        cache.keep_answers(diff_ids, &answers);
    }
    report.answer(&answers);
    Ok(())
}

/// Whether the vulnerable functions of findings are in their programs, by package and vulnerability.
pub(crate) fn symbols_of(
    packages: &PackageDatabase,
    findings: &[Finding],
    image: &Image,
) -> BTreeMap<usize, BTreeMap<String, SymbolPresence>> {
    let ask = |finding: &Finding| {
        let package = packages.packages.get(finding.package.0)?;
        advisories::symbols::question(finding, package.ecosystem)
    };
    let questions: Vec<Question> = findings.iter().filter_map(ask).collect();
    let answers = symbols::look(image, &questions);
    let mut found: BTreeMap<usize, BTreeMap<String, SymbolPresence>> = BTreeMap::new();
    for finding in findings {
        let presence = ask(finding)
            .and_then(|question| advisories::symbols::presence(&question, answers.get(&question)?));
        if let Some(presence) = presence {
            found.entry(finding.package.0).or_default().insert(finding.vulnerability.clone(), presence);
        }
    }
    found
}

/// Finds the files that the policy's preset lets go, if it asks for findings: those of unused packages that have some.
pub(crate) fn apply_preset(
    context: &Context,
    args: &DbArgs,
    image: &Image,
    profile: &Profile,
    policy: &mut Policy,
) -> Result<(), Failure> {
    let least = match policy.preset {
        Preset::Aggressive => return Ok(()),
        Preset::Standard => Rank::Unknown,
        Preset::Light => Rank::High,
    };
    let database = db::open(context, args)?;
    context.progress.stage("look for findings", None);
    let packages = packages(context, image)?;
    let report = scan(&database, subject_of(&image.source().to_string(), image), &packages, profile, None)?;
    policy.removable = removable(&report, &packages, least);
    context.progress.done(&crate::output::counted(
        policy.removable.len() as u64,
        "file may go",
        "files may go",
    ));
    Ok(())
}

/// The files of which all owners are unused packages with a finding that is at least so severe.
fn removable(report: &ScanReport, packages: &PackageDatabase, least: Rank) -> BTreeSet<ImagePath> {
    let hit: BTreeSet<usize> = report
        .open()
        .filter(|found| found.finding.severity >= least)
        .map(|found| found.finding.package.0)
        .collect();
    // The report lists the installed ones.
    let installed = packages.packages.iter().enumerate().filter(|(_, package)| package.state.is_installed());
    let goes: BTreeSet<usize> = installed
        .zip(&report.packages)
        .enumerate()
        .filter(|(place, (_, scanned))| hit.contains(place) && scanned.usage.heat != Heat::Hot)
        .map(|(_, ((index, _), _))| index)
        .collect();
    let owned = packages.owned().filter(|(_, owners)| owners.iter().all(|owner| goes.contains(&owner.0)));
    owned.map(|(path, _)| path.clone()).collect()
}
