//! `careen evaluate`: whether the steps of a coverage work on an image that was hardened without them.

use crate::cli::EvaluateArgs;
use crate::commands::record::{self, Recorder};
use crate::context::Context;
use crate::evaluation::{self, Evaluator};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, output, policy};

/// Evaluates a coverage and prints the table.
pub(crate) fn run(context: &Context, args: &EvaluateArgs) -> Result<(), Failure> {
    let coverage = record::load_coverage(&args.coverage)?;
    Evaluator::check(&coverage, &args.step)?;
    let policy = policy::resolve(&args.policy)?;
    policy::refuse_preset(&policy, "careen evaluate")?;
    let chosen = [policy.generalize];
    let original = context.open_image(&args.image)?;
    context.progress.done(&output::bytes_text(original.compressed_bytes()));
    let packages = packages::read(&original)
        .map_err(|source| hints::plain(ExitCode::Image, "cannot read the package database", source))?;
    let recorder = Recorder::new(context, coverage, &args.container)?;
    let whole = recorder.record(&original)?;
    let evaluator = Evaluator {
        context,
        recorder: &recorder,
        original: &original,
        packages: &packages,
        policy: &policy,
        generalize: if args.policy.generalize.is_some() { &chosen } else { &evaluation::ALL },
        only: &args.step,
    };
    let evaluation = evaluator.evaluate(&whole)?;
    output::print(context.output, &evaluation, evaluation::text)
}
