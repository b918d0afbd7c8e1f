//! Several images hardened at once, so that the layers which they share stay shared.

use harden::{HealedPath, Policy, Subject};
use image::{Image, Share, WriteOptions, Written};
use serde::Serialize;

use super::{Finished, compression, image_args, read_packages, summary};
use crate::artifacts::Artifacts;
use crate::attesting::Wish;
use crate::cli::HardenArgs;
use crate::commands::record::{self, Recorder};
use crate::context::{self, Context};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::hardening::{Attempt, failed_verification, shrinks, stay};
use crate::staging::Staging;
use crate::{hints, output, policy, scanning, staging, target, verdict};

/// What hardening several images gave.
#[derive(Serialize)]
struct Together {
    /// In the order in which they were named.
    images: Vec<report::Hardening>,
    /// Layers that several of the results have.
    shared_layers: Vec<SharedLayer>,
}

/// A layer that several images have.
#[derive(Serialize)]
struct SharedLayer {
    digest: image::Digest,
    size_bytes: u64,
    /// The results that have it, by their position.
    images: Vec<usize>,
}

/// One of the images, with what its rounds need.
struct Member<'a> {
    finished: Finished,
    staging: Staging,
    recorder: Option<Recorder<'a>>,
    policy: Policy,
}

/// Hardens several images and prints what that changed.
pub(super) fn run(context: &Context, args: &HardenArgs) -> Result<(), Failure> {
    if !args.share_layers {
        return Err(Failure::new(ExitCode::Usage, "several images, but not --share-layers").hint(
            "add --share-layers to keep their common layers common, or harden one after the other".to_owned(),
        ));
    }
    if args.evaluate {
        return Err(Failure::new(ExitCode::Usage, "several images cannot be evaluated together")
            .hint("use `careen evaluate` with each of them".to_owned()));
    }
    let members = members(context, args)?;
    let attempts = rounds(context, args, &members)?;
    let mut results = Vec::new();
    let shared_layers = shared(&attempts);
    for (member, attempt) in members.into_iter().zip(attempts) {
        results.push(member.finished.publish(context, args, attempt, None, member.staging)?);
    }
    let result = Together { images: results, shared_layers };
    output::print(context.output, &result, |result| {
        let mut out: String = result.images.iter().map(summary::text).collect();
        out += "\n";
        if result.shared_layers.is_empty() {
            out += "  shared    no layer: the images have no common base\n";
        }
        for layer in &result.shared_layers {
            let images = output::counted(layer.images.len() as u64, "image", "images");
            let bytes = output::bytes_text(layer.size_bytes);
            out += &format!("  shared    {} by {images}, {bytes}\n", layer.digest);
        }
        out
    })
}

/// Opens everything, refusing what is wrong before a container runs.
fn members<'a>(context: &'a Context, args: &HardenArgs) -> Result<Vec<Member<'a>>, Failure> {
    let images = args.images.len();
    let fits = |what: &str, typed: usize| {
        if typed == 0 || typed == images {
            return Ok(());
        }
        Err(Failure::new(
            ExitCode::Usage,
            format!("{images} images, but {}", output::counted(typed as u64, what, &format!("{what}s"))),
        )
        .hint(format!("name one {what} for each image, in their order")))
    };
    fits("coverage", args.coverage.len())?;
    fits("output", args.output_image.len())?;
    let policy = policy::resolve(&args.policy)?;
    policy::refuse_preset(&policy, "--share-layers")?;
    let tags = record::check_tags(&args.tag)?;
    let coverages =
        args.coverage.iter().map(|name| record::load_coverage(name)).collect::<Result<Vec<_>, _>>()?;
    let profiles = record::load_profiles(&args.profile, &args.tag)?;
    let mut places = Vec::new();
    for (nth, image) in args.images.iter().enumerate() {
        let source = context::parse_source(image)?;
        let target = target::resolve(&source, args.output_image.get(nth).map(String::as_str))?;
        staging::check(&target, &source, args.force)?;
        if places.iter().any(|(_, other, _): &(_, image::ImageTarget, _)| other.path() == target.path()) {
            return Err(Failure::new(ExitCode::Usage, format!("{target} is the output of two images"))
                .hint("name one output for each image, with -o".to_owned()));
        }
        let wish = Wish::of(args, &target)?;
        places.push((source, target, wish));
    }
    let mut members = Vec::new();
    for (nth, (source, target, wish)) in places.into_iter().enumerate() {
        let staging = Staging::beside(target.path(), &context.data_dir)?;
        let original = context.open_image(&image_args(args, &args.images[nth]))?;
        context.progress.done(&output::bytes_text(original.compressed_bytes()));
        let artifacts = Artifacts::beside(target.path());
        let target = target::named(target, original.name());
        let packages = read_packages(&original)?;
        let recorder = match coverages.get(nth) {
            Some(coverage) => Some(Recorder::new(context, coverage.clone(), &args.container)?),
            None => None,
        };
        let own: Vec<_> = profiles
            .iter()
            .filter(|profile| profile.image.image_id == original.image_id())
            .cloned()
            .collect();
        let (profile, carry) = match &recorder {
            _ if !own.is_empty() => record::fit_profiles(&own, &original, &packages, policy.max_uncertain)?,
            Some(recorder) => {
                let recorded = recorder.record(&original)?;
                (record::annotated(recorded, &original, &packages, &tags)?, Vec::new())
            }
            None => {
                let tried = format!("none of the profiles is of {source}");
                return Err(Failure::new(ExitCode::Profile, tried)
                    .hint("record one for each image, or name a coverage for each".to_owned()));
            }
        };
        let database = scanning::database_at_hand(context, &args.policy.db)?;
        let finished =
            Finished { source, target, artifacts, original, packages, profile, carry, database, wish };
        members.push(Member { finished, staging, recorder, policy: policy.clone() });
    }
    Ok(members)
}

/// Rounds of plans, images and verifications until all results pass.
fn rounds(context: &Context, args: &HardenArgs, members: &[Member<'_>]) -> Result<Vec<Attempt>, Failure> {
    let mut policies: Vec<Policy> = members.iter().map(|member| member.policy.clone()).collect();
    let mut healed: Vec<Vec<HealedPath>> = members.iter().map(|_| Vec::new()).collect();
    let mut round = 0;
    loop {
        round += 1;
        let mut attempts = attempt(context, args, members, &policies)?;
        let mut more = 0;
        for (nth, attempt) in attempts.iter().enumerate() {
            let Some((verification, profile)) = &attempt.verified else { continue };
            if verdict::passed(verification) {
                continue;
            }
            let (ledger, original) = (&attempt.plan.ledger, &members[nth].finished.profile);
            let found = harden::heal(ledger, verification, original, profile, round);
            if found.is_empty() || round > args.heal_rounds {
                return Err(failed_verification(ledger, verification, &healed[nth], args.heal_rounds));
            }
            more += found.len();
            policies[nth].heal.extend(found.keys().cloned());
            healed[nth].extend(found.into_values());
        }
        if more == 0 {
            for (attempt, mut healed) in attempts.iter_mut().zip(healed) {
                healed.sort_by(|one, other| one.path.cmp(&other.path));
                attempt.healed = healed;
            }
            return Ok(attempts);
        }
        context
            .progress
            .stage(format!("heal: keep {}", output::counted(more as u64, "more path", "more paths")), None);
    }
}

fn attempt(
    context: &Context,
    args: &HardenArgs,
    members: &[Member<'_>],
    policies: &[Policy],
) -> Result<Vec<Attempt>, Failure> {
    let progress = &context.progress;
    progress.stage("plan", None);
    let subjects: Vec<_> = members
        .iter()
        .zip(policies)
        .map(|(Member { finished, .. }, policy)| Subject {
            image: &finished.original,
            packages: &finished.packages,
            profile: &finished.profile,
            policy,
        })
        .collect();
    let plans = harden::plan_together(&subjects).map_err(|(nth, error)| {
        let hint = error.hint();
        let tried = format!("cannot plan the hardening of {}", members[nth].finished.source);
        hints::plain(ExitCode::Profile, tried, error).hint(hint)
    })?;
    let kept: usize = plans.iter().map(|plan| plan.edits.keep.len()).sum();
    let all: usize = plans.iter().map(|plan| plan.ledger.entries.len()).sum();
    progress.done(&stay(kept as u64, all as u64));

    let staged: Vec<_> =
        members.iter().map(|member| target::moved(&member.finished.target, &member.staging.image)).collect();
    let written = write(context, args, members, &plans, &staged)?;
    let mut attempts = Vec::new();
    for (((member, plan), staged), (written, unchanged)) in
        members.iter().zip(plans).zip(&staged).zip(written)
    {
        let finished = &member.finished;
        let platform = Some(finished.original.platform().clone());
        let hardened = context.open_source(&target::as_source(staged), platform)?;
        let recorder = member.recorder.as_ref().filter(|_| !args.no_verify);
        let verified = recorder
            .map(|recorder| {
                recorder.verify(&hardened, &finished.target.to_string(), &plan.ledger, &finished.profile)
            })
            .transpose()?;
        attempts.push(Attempt { plan, written, unchanged, hardened, verified, healed: Vec::new() });
    }
    Ok(attempts)
}

/// Writes all images; one that would not shrink is the original.
fn write(
    context: &Context,
    args: &HardenArgs,
    members: &[Member<'_>],
    plans: &[harden::Plan],
    staged: &[image::ImageTarget],
) -> Result<Vec<(Written, bool)>, Failure> {
    let progress = &context.progress;
    let failed = |error: image::WriteError| {
        let hint = error.hint();
        let code = match error {
            image::WriteError::Interrupted => ExitCode::Interrupted,
            _ => ExitCode::Output,
        };
        hints::plain(code, "cannot write the hardened images", error).hint(hint)
    };
    progress.stage("write", None);
    let on_bytes = |bytes| progress.add_bytes(bytes);
    let options = WriteOptions {
        compression: compression(args),
        overwrite: true,
        on_bytes: Some(&on_bytes),
        interrupt: Some(&context.interrupt),
        ..WriteOptions::default()
    };
    let originals: Vec<&Image> = members.iter().map(|member| &member.finished.original).collect();
    let shares: Vec<_> = originals
        .iter()
        .zip(plans)
        .zip(staged)
        .map(|((image, plan), target)| Share { image, edits: &plan.edits, target })
        .collect();
    let mut out = Vec::new();
    for ((written, original), target) in
        image::write_shared(&shares, &options).map_err(failed)?.into_iter().zip(originals).zip(staged)
    {
        let grows = !shrinks(original, &written) && options.compression != image::OutputCompression::None;
        out.push(match grows {
            true => (image::copy(original, target, &options).map_err(failed)?, true),
            false => (written, false),
        });
    }
    progress.done(&output::bytes_text(out.iter().map(|(written, _)| written.compressed_bytes).sum()));
    Ok(out)
}

/// The layers that several results have, by digest.
fn shared(attempts: &[Attempt]) -> Vec<SharedLayer> {
    let mut layers = std::collections::BTreeMap::<_, SharedLayer>::new();
    for (nth, attempt) in attempts.iter().enumerate() {
        for layer in &attempt.written.layers {
            let (digest, size_bytes) = (layer.descriptor.digest, layer.descriptor.size_bytes);
            let images = &mut layers
                .entry(digest)
                .or_insert_with(|| SharedLayer { digest, size_bytes, images: Vec::new() })
                .images;
            if images.last() != Some(&nth) {
                images.push(nth);
            }
        }
    }
    layers.into_values().filter(|layer| layer.images.len() > 1).collect()
}
