//! `careen harden`: the whole way from an image to a verified smaller one.

mod summary;
mod together;

use advisories::Database;
use harden::{CarryReport, Evaluation};
use image::{Image, ImagePath, ImageSource, ImageTarget, OutputCompression};
use packages::PackageDatabase;
use profile::Profile;
use report::{Findings, FindingsSummary, Hardening, ImageSummary};

use crate::artifacts::{Artifacts, Known, ResultStore};
use crate::attesting::{self, Wish};
use crate::cli::{CompressionArg, HardenArgs, ImageArgs};
use crate::commands::record::{self, Recorder};
use crate::context::{self, Context};
use crate::evaluation::{self, Evaluator};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::hardening::{Attempt, Job};
use crate::staging::Staging;
use crate::{carrying, hints, output, policy, scanning, staging, target};

/// Hardens an image and prints what that changed.
pub(crate) fn run(context: &Context, args: &HardenArgs) -> Result<(), Failure> {
    let [image] = args.images.as_slice() else { return together::run(context, args) };
    let (coverage, output_image) = (only("coverage", &args.coverage)?, only("output", &args.output_image)?);
    let source = context::parse_source(image)?;
    let target = target::resolve(&source, output_image)?;
    let target_path = target.path();
    staging::check(&target, &source, args.force)?;
    let wish = Wish::of(args, &target)?;
    let artifacts = match &args.artifacts {
        Some(dir) => Artifacts::at(dir),
        None => Artifacts::beside(target_path),
    };
    // Whatever can be wrong with the input is found before a container runs for minutes.
    let coverage = coverage.map(record::load_coverage).transpose()?;
    let mut policy = policy::resolve(&args.policy)?;
    if args.evaluate {
        policy::refuse_preset(&policy, "--evaluate")?;
    }
    // A database that cannot be used is told of now, too.
    let database = scanning::database_at_hand(context, &args.policy.db)?;
    let tags = record::check_tags(&args.tag)?;
    let given = record::load_profiles(&args.profile, &args.tag)?;
    // Built and verified beside its final place, so that nothing unverified ever bears the final name.
    let staging = Staging::beside(target_path, &context.data_dir)?;

    let original = context.open_image(&image_args(args, image))?;
    let target = target::named(target.clone(), original.name());
    context.progress.done(&output::bytes_text(original.compressed_bytes()));
    let packages = read_packages(&original)?;

    let recorder = coverage.map(|coverage| Recorder::new(context, coverage, &args.container)).transpose()?;
    let (profile, carry) = match &recorder {
        _ if !given.is_empty() => record::fit_profiles(&given, &original, &packages, policy.max_uncertain)?,
        Some(recorder) => {
            let recorded = recorder.record(&original)?;
            (record::annotated(recorded, &original, &packages, &tags)?, Vec::new())
        }
        None => return Err(Failure::new(ExitCode::Usage, "neither a coverage nor a profile was given")),
    };

    scanning::apply_preset(context, &args.policy.db, &original, &profile, &mut policy)?;

    let verifier = recorder.as_ref().filter(|_| !args.no_verify);
    let compared = match verifier.or(recorder.as_ref().filter(|_| args.evaluate)) {
        // The profile decides what stays; how a step should end only the original can tell.
        Some(recorder) if !recorder.is_in(&profile) => join(&profile, recorder.record(&original)?)?,
        _ => profile.clone(),
    };
    let job = Job {
        context,
        original: &original,
        packages: &packages,
        profile: &profile,
        compared: &compared,
        recorder: verifier,
        staged: target::moved(&target, &staging.image),
        reference: target.to_string(),
        compression: compression(args),
        squash: args.squash,
        heal_rounds: args.heal_rounds,
    };
    let attempt = job.harden(policy.clone())?;
    let evaluation = match recorder.as_ref().filter(|_| args.evaluate) {
        Some(recorder) => {
            let evaluator = Evaluator {
                context,
                recorder,
                original: &original,
                packages: &packages,
                policy: &policy,
                generalize: &evaluation::ALL,
                only: &[],
            };
            Some(evaluator.evaluate(&compared)?)
        }
        None => None,
    };
    let finished = Finished { source, target, artifacts, original, packages, profile, carry, database, wish };
    let result = finished.publish(context, args, attempt, evaluation, staging)?;
    output::print(context.output, &result, summary::text)
}

/// An image and where its result goes.
struct Finished {
    source: ImageSource,
    target: ImageTarget,
    artifacts: Artifacts,
    original: Image,
    packages: PackageDatabase,
    profile: Profile,
    /// What became of profiles of other versions.
    carry: Vec<CarryReport>,
    /// Knows the vulnerabilities, where there is one.
    database: Option<Database>,
    /// What is to be attested.
    wish: Option<Wish>,
}

impl Finished {
    /// Gives the image its final name and writes the documents about it.
    fn publish(
        &self,
        context: &Context,
        args: &HardenArgs,
        attempt: Attempt,
        evaluation: Option<Evaluation>,
        staging: Staging,
    ) -> Result<Hardening, Failure> {
        let Self { source, target, artifacts, original, packages, profile, carry, database, wish } = self;
        let Attempt { plan, written, unchanged, hardened, verified, healed } = attempt;

        let hardened_packages = read_packages(&hardened)?;
        let left = harden::packages_left(packages, &plan.ledger);
        let mut after = figures(&target::as_source(target), &hardened, &hardened_packages)?;
        if !unchanged {
            // By the files that are there, so that no policy on the databases changes a count.
            after.metrics.packages = left.system();
            after.metrics.language_packages = left.language();
        }
        let kept = |path: &ImagePath| unchanged || plan.edits.keep.contains(path);
        let scan = match database {
            Some(database) => {
                context.progress.stage("look for findings", None);
                let all = scanning::packages(context, original)?;
                let subject = scanning::subject_of(&source.to_string(), original);
                let of_result = scanning::subject_of(&target::as_source(target).to_string(), &hardened);
                let mut scan = scanning::scan(database, subject, &all, profile, Some((of_result, &kept)))?;
                scan.answer(&packages::symbols::look(original, &scan.questions()));
                context.progress.abandon();
                Some(scan)
            }
            None => None,
        };
        let verification = verified.as_ref().map(|(verification, _)| verification.clone());
        let attested = match wish {
            Some(wish) => {
                let version = env!("CARGO_PKG_VERSION").to_owned();
                let name = target::as_source(target).to_string();
                let facts = attesting::make_facts(
                    &hardened,
                    &name,
                    &plan.ledger,
                    profile,
                    verification.clone(),
                    version,
                )?;
                let attested = wish.fulfil(&facts, &staging.image, hardened.manifest_digest())?;
                attested.files(artifacts.dir())
            }
            None => Vec::new(),
        };
        let result = Hardening {
            format_version: report::FORMAT_VERSION,
            careen_version: env!("CARGO_PKG_VERSION").to_owned(),
            original: figures(source, original, packages)?,
            hardened: after,
            unchanged,
            layers_reused: written.layers.iter().filter(|layer| layer.reused).count(),
            layers: written.layers.len(),
            packages: left,
            runs: profile.runs.clone(),
            verification,
            healed: healed.len(),
            healed_paths: healed,
            evaluation,
            findings: scan.as_ref().and_then(FindingsSummary::of),
            warnings: carry.iter().flat_map(carrying::warnings).chain(plan.warnings.clone()).collect(),
            carry: carry.clone(),
            report: artifacts.report(),
            ledger: artifacts.ledger(),
            profile: artifacts.profile(),
            attestations: attested.iter().map(|(file, _)| file.clone()).collect(),
        };
        let mut ledger = Vec::new();
        plan.ledger
            .write(&mut ledger)
            .map_err(|source| hints::plain(ExitCode::Output, "cannot write the ledger", source))?;
        let encoded_profile = record::encode(profile)?;
        let findings = scan.as_ref().map(Findings::from);
        let parts = report::Parts {
            result: &result,
            ledger: &plan.ledger,
            profile: Some(profile),
            findings: findings.as_ref(),
        };
        let html = report::render(&parts)
            .map_err(|source| hints::plain(ExitCode::Output, "cannot write the report", source))?;
        let json = serde_json::to_vec_pretty(&result)
            .map_err(|source| hints::plain(ExitCode::Output, "cannot write the result", source))?;
        let scan = scan
            .map(|scan| serde_json::to_vec_pretty(&scan))
            .transpose()
            .map_err(|source| hints::plain(ExitCode::Output, "cannot write the scan", source))?;
        let manifests = [original.manifest_digest(), hardened.manifest_digest()];
        drop(hardened);

        let known =
            Known { ledger: &ledger, profile: &encoded_profile, result: &json, scan: scan.as_deref() };
        ResultStore::new(&context.data_dir).remember(&manifests, &known)?;
        let mut files = vec![
            (artifacts.report(), html.into_bytes()),
            (artifacts.ledger(), ledger),
            (artifacts.profile(), encoded_profile),
            (artifacts.result(), json),
        ];
        files.extend(scan.map(|json| (artifacts.scan(), json)));
        files.extend(attested);
        if let Some((_, hardened_profile)) = &verified {
            files.push((artifacts.verify_profile(), record::encode(hardened_profile)?));
        }
        staging.publish(target, source, args.force)?;
        artifacts.write(&files)?;
        Ok(result)
    }
}

/// What was typed for the one image.
fn only<'a>(what: &str, typed: &'a [String]) -> Result<Option<&'a str>, Failure> {
    match typed {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        several => Err(Failure::new(ExitCode::Usage, format!("{} {what}s for one image", several.len()))
            .hint("name one; a coverage file may have the steps of several".to_owned())),
    }
}

fn image_args(args: &HardenArgs, image: &str) -> ImageArgs {
    ImageArgs { image: image.to_owned(), platform: args.platform.clone() }
}

fn compression(args: &HardenArgs) -> OutputCompression {
    match args.compression {
        CompressionArg::Gzip => OutputCompression::default(),
        CompressionArg::Zstd => OutputCompression::Zstd { level: 3 },
        CompressionArg::None => OutputCompression::None,
    }
}

/// Two profiles of one image as one.
fn join(profile: &Profile, more: Profile) -> Result<Profile, Failure> {
    profile::merge(&[profile.clone(), more]).map_err(|error| {
        let hint = error.hint();
        hints::plain(ExitCode::Profile, "cannot use the profile for this image", error).hint(hint)
    })
}

fn read_packages(image: &Image) -> Result<PackageDatabase, Failure> {
    packages::read(image)
        .map_err(|source| hints::plain(ExitCode::Image, "cannot read the package database", source))
}

fn figures(
    reference: &ImageSource,
    image: &Image,
    packages: &PackageDatabase,
) -> Result<ImageSummary, Failure> {
    Ok(ImageSummary {
        reference: reference.to_string(),
        manifest_digest: image.manifest_digest(),
        image_id: image.image_id(),
        platform: image.platform().clone(),
        metrics: harden::metrics(image, packages)
            .map_err(|source| hints::plain(ExitCode::Image, format!("cannot measure {reference}"), source))?,
    })
}
