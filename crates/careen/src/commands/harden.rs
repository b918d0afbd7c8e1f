//! `careen harden`: the whole way from an image to a verified smaller one.

mod summary;

use harden::{Decision, Plan, Policy, Rule, Verification};
use image::{Edits, Image, ImageSource, ImageTarget, OutputCompression, WriteOptions, Written};
use packages::PackageDatabase;
use profile::Profile;
use report::{Hardening, ImageSummary};

use crate::artifacts::{Artifacts, ResultStore};
use crate::cli::{CompressionArg, HardenArgs};
use crate::commands::record::{self, Recorder};
use crate::context::{self, Context};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::staging::Staging;
use crate::{hints, output, policy, staging, target, verdict};

/// How often a verification may find something missing that is then kept.
const HEALING_ROUNDS: u32 = 3;

/// Hardens an image and prints what that changed.
pub(crate) fn run(context: &Context, args: &HardenArgs) -> Result<(), Failure> {
    let source = context::parse_source(&args.image.image)?;
    let target = target::resolve(&source, args.output_image.as_deref())?;
    let target_path = target.path();
    staging::check(&target, &source, args.force)?;
    let artifacts = match &args.artifacts {
        Some(dir) => Artifacts::at(dir),
        None => Artifacts::beside(target_path),
    };
    // Whatever can be wrong with the input is found before a container runs for minutes.
    let coverage = args.coverage.as_deref().map(record::load_coverage).transpose()?;
    let policy = policy::of(&args.policy);
    policy
        .check()
        .map_err(|source| hints::plain(ExitCode::Usage, "cannot use --keep and --remove", source))?;
    let given_profile = record::load_profiles(&args.profile)?;
    // Built and verified beside its final place, so that nothing unverified ever bears the final name.
    let staging = Staging::beside(target_path, &context.data_dir)?;

    let original = context.open_image(&args.image)?;
    let target = target::named(target.clone(), original.name());
    context.progress.done(&output::bytes_text(original.compressed_bytes()));
    let packages = read_packages(&original)?;

    let recorder = coverage.map(|coverage| Recorder::new(context, coverage, &args.container)).transpose()?;
    let profile = match (given_profile, &recorder) {
        (Some(profile), _) => profile,
        (None, Some(recorder)) => recorder.record(&original)?,
        (None, None) => {
            return Err(Failure::new(ExitCode::Usage, "neither a coverage nor a profile was given"));
        }
    };

    let job = Job {
        context,
        args,
        original: &original,
        packages: &packages,
        profile: &profile,
        recorder: recorder.as_ref().filter(|_| !args.no_verify),
        staged: target::moved(&target, &staging.image),
        reference: target.to_string(),
    };
    let Attempt { plan, written, unchanged, hardened, verified } = job.harden(policy)?;

    let hardened_packages = read_packages(&hardened)?;
    let result = Hardening {
        format_version: report::FORMAT_VERSION,
        careen_version: env!("CARGO_PKG_VERSION").to_owned(),
        original: figures(&source, &original, &packages)?,
        hardened: figures(&target::as_source(&target), &hardened, &hardened_packages)?,
        unchanged,
        layers_reused: written.layers.iter().filter(|layer| layer.reused).count(),
        layers: written.layers.len(),
        runs: profile.runs.clone(),
        verification: verified.as_ref().map(|(verification, _)| verification.clone()),
        healed: plan.ledger.policy.heal.len(),
        warnings: plan.warnings.clone(),
        report: artifacts.report(),
        ledger: artifacts.ledger(),
        profile: artifacts.profile(),
    };
    let mut ledger = Vec::new();
    plan.ledger
        .write(&mut ledger)
        .map_err(|source| hints::plain(ExitCode::Output, "cannot write the ledger", source))?;
    let encoded_profile = record::encode(&profile)?;
    let html = report::render(&result, &plan.ledger)
        .map_err(|source| hints::plain(ExitCode::Output, "cannot write the report", source))?;
    let json = serde_json::to_vec_pretty(&result)
        .map_err(|source| hints::plain(ExitCode::Output, "cannot write the result", source))?;
    let manifests = [original.manifest_digest(), hardened.manifest_digest()];
    drop(hardened);

    ResultStore::new(&context.data_dir).remember(&manifests, &ledger, &encoded_profile)?;
    let mut files = vec![
        (artifacts.report(), html.into_bytes()),
        (artifacts.ledger(), ledger),
        (artifacts.profile(), encoded_profile),
        (artifacts.result(), json),
    ];
    if let Some((_, hardened_profile)) = &verified {
        files.push((artifacts.verify_profile(), record::encode(hardened_profile)?));
    }
    staging.publish(&target, &source, args.force)?;
    artifacts.write(&files)?;
    output::print(context.output, &result, summary::text)
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

/// One hardening: plan, write, verify, and once more with what the verification found missing.
struct Job<'a> {
    context: &'a Context,
    args: &'a HardenArgs,
    original: &'a Image,
    packages: &'a PackageDatabase,
    profile: &'a Profile,
    /// Verifies, where that is wanted.
    recorder: Option<&'a Recorder<'a>>,
    /// Where the image is written.
    staged: ImageTarget,
    /// What the user calls the output.
    reference: String,
}

/// What one round made.
struct Attempt {
    plan: Plan,
    written: Written,
    unchanged: bool,
    hardened: Image,
    verified: Option<(Verification, Profile)>,
}

impl Job<'_> {
    /// Rounds until the result passes; refuses one that healing cannot help.
    fn harden(&self, mut policy: Policy) -> Result<Attempt, Failure> {
        let mut round = 0;
        loop {
            let attempt = self.attempt(&policy)?;
            let Some((verification, _)) = &attempt.verified else { return Ok(attempt) };
            if verdict::passed(verification) {
                return Ok(attempt);
            }
            let missing: Vec<_> = verification
                .missing_lookups
                .iter()
                .flat_map(|lookup| [lookup.removed.clone(), lookup.path.clone()])
                .filter(|path| {
                    // What the user wants removed is not for us to keep.
                    let entry = attempt.plan.ledger.entries.get(path);
                    entry.is_some_and(|e| e.decision == Decision::Remove && e.rule != Rule::PolicyRemove)
                })
                .collect();
            if missing.is_empty() || round == HEALING_ROUNDS {
                return Err(failed_verification(verification));
            }
            round += 1;
            self.context.progress.stage(format!("heal: {} paths were missed", missing.len()), None);
            policy.heal.extend(missing);
        }
    }

    fn attempt(&self, policy: &Policy) -> Result<Attempt, Failure> {
        let progress = &self.context.progress;
        progress.stage("plan", None);
        let plan = harden::plan(self.original, self.packages, self.profile, policy).map_err(|error| {
            let hint = error.hint();
            let tried = format!("cannot plan the hardening of {}", self.original.source());
            hints::plain(ExitCode::Profile, tried, error).hint(hint)
        })?;
        let (kept, all) = (plan.edits.keep.len() as u64, self.original.tree().len() as u64);
        progress.done(&format!("{} of {} paths stay", output::count_text(kept), output::count_text(all)));

        let (written, unchanged) = self.write(&plan)?;
        let platform = Some(self.original.platform().clone());
        let hardened = self.context.open_source(&target::as_source(&self.staged), platform)?;
        let verified = self
            .recorder
            .map(|recorder| recorder.verify(&hardened, &self.reference, &plan.ledger, self.profile))
            .transpose()?;
        Ok(Attempt { plan, written, unchanged, hardened, verified })
    }

    /// Writes the image; where that would not shrink it, the original with all its layers untouched.
    fn write(&self, plan: &Plan) -> Result<(Written, bool), Failure> {
        let progress = &self.context.progress;
        let failed = |error: image::WriteError| {
            let hint = error.hint();
            let code = match error {
                image::WriteError::Interrupted => ExitCode::Interrupted,
                _ => ExitCode::Output,
            };
            hints::plain(code, format!("cannot write {}", self.reference), error).hint(hint)
        };
        progress.stage("write", None);
        let on_bytes = |bytes| progress.add_bytes(bytes);
        let options = WriteOptions {
            compression: match self.args.compression {
                CompressionArg::Gzip => OutputCompression::default(),
                CompressionArg::Zstd => OutputCompression::Zstd { level: 3 },
                CompressionArg::None => OutputCompression::None,
            },
            overwrite: true,
            on_bytes: Some(&on_bytes),
            interrupt: Some(&self.context.interrupt),
            ..WriteOptions::default()
        };
        let write = |edits| image::write(self.original, edits, &self.staged, &options).map_err(failed);
        let written = write(&plan.edits)?;
        let asked_for_larger = self.args.compression == CompressionArg::None;
        if written.compressed_bytes < self.original.compressed_bytes() || asked_for_larger {
            progress.done(&output::bytes_text(written.compressed_bytes));
            return Ok((written, false));
        }
        let keep = self.original.tree().iter().map(|(path, _)| path.clone()).collect();
        let written = write(&Edits { keep, ..Edits::default() })?;
        progress.done("would not shrink: all layers stay as they are");
        Ok((written, true))
    }
}

fn failed_verification(verification: &Verification) -> Failure {
    let tried =
        format!("the hardened image does not do what the original did\n{}", verdict::text(verification));
    Failure::new(ExitCode::Verification, tried).hint(
        "nothing was written; keep what is missing with --keep, or see what differs in the coverage"
            .to_owned(),
    )
}
