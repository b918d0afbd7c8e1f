//! `careen profile`: show, merge and carry.

use std::collections::BTreeMap;

use harden::CarryError;
use profile::{AccessKind, PathUsage, Profile, Verdict};

use crate::activity::Wanted;
use crate::artifacts::write_whole;
use crate::cli::{CarryArgs, OutputFormat, ProfileCommand};
use crate::commands::{record, recover};
use crate::context::{self, Context};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{activity, carrying, hints, output, verdict};

/// Runs the profile commands.
pub(crate) fn run(context: &Context, command: &ProfileCommand) -> Result<(), Failure> {
    match command {
        ProfileCommand::Show { file, paths, missing, system_calls, processes, network, tag } => {
            let wanted = Wanted { system_calls: *system_calls, processes: *processes, network: *network };
            let profiles = record::load_profiles(std::slice::from_ref(file), tag)?;
            show(context, &record::merge_profiles(&profiles)?, *paths, *missing, wanted)
        }
        ProfileCommand::Carry(args) => carry(context, args),
        ProfileCommand::Recover(args) => recover::run(context, args),
        ProfileCommand::Merge { files, tag, output_profile, force } => {
            context::refuse_existing(output_profile, *force)?;
            let merged = record::merge_profiles(&record::load_profiles(files, tag)?)?;
            write_whole(output_profile, &record::encode(&merged)?).map_err(|source| {
                hints::plain(ExitCode::Output, format!("cannot write {}", output_profile.display()), source)
            })?;
            let result = serde_json::json!({ "profile": output_profile, "runs": merged.runs.len(), "paths": merged.paths.len() });
            output::print(context.output, &result, |_| {
                format!(
                    "  {}, {} in {}\n",
                    output::counted(merged.runs.len() as u64, "run", "runs"),
                    output::counted(merged.paths.len() as u64, "path", "paths"),
                    output_profile.display()
                )
            })
        }
    }
}

fn show(
    context: &Context,
    profile: &Profile,
    paths: bool,
    missing: bool,
    wanted: Wanted,
) -> Result<(), Failure> {
    // As data the document itself is the answer: nothing of it is left out.
    if context.output == OutputFormat::Json {
        return output::print(context.output, profile, |_| String::new());
    }
    output::write_stdout(text(profile, paths, missing, wanted).as_bytes())
}

fn carry(context: &Context, args: &CarryArgs) -> Result<(), Failure> {
    if let Some(file) = &args.output_profile {
        context::refuse_existing(file, args.force)?;
    }
    let profiles = record::load_profiles(std::slice::from_ref(&args.file), &args.tag)?;
    let image = context.open_image(&args.image)?;
    context.progress.abandon();
    let packages = packages::read(&image)
        .map_err(|source| hints::plain(ExitCode::Image, "cannot read the package database", source))?;
    let fitted = harden::fit(&profiles, &image, &packages, args.max_uncertain);
    // The report is wanted most where the profile will not do.
    if let Err(CarryError::TooUncertain { report, .. }) = &fitted {
        output::print(context.output, report.as_ref(), carrying::text)?;
    }
    let (profile, reports) = fitted.map_err(|error| {
        let hint = error.hint();
        let tried = format!("cannot carry {} to {}", args.file.display(), image.source());
        hints::plain(ExitCode::Profile, tried, error).hint(hint)
    })?;
    if let Some(file) = &args.output_profile {
        write_whole(file, &record::encode(&profile)?).map_err(|source| {
            hints::plain(ExitCode::Output, format!("cannot write {}", file.display()), source)
        })?;
    }
    match reports.first() {
        Some(report) => output::print(context.output, report, carrying::text),
        None => output::print(context.output, &serde_json::Value::Null, |_| {
            format!("  {} is of this very image: nothing to carry\n", args.file.display())
        }),
    }
}

fn text(profile: &Profile, paths: bool, missing: bool, wanted: Wanted) -> String {
    let mut out = format!(
        "  image     {} ({})\n  digest    {}\n",
        profile.image.reference, profile.image.platform, profile.image.manifest_digest
    );
    for run in &profile.runs {
        out += &format!(
            "\n  run of {} at {}, sensor {} on {}\n",
            run.coverage, run.started_at, run.sensor.backend, run.sensor.kernel
        );
        if !run.tags.is_empty() {
            let tags: Vec<_> = run.tags.iter().map(String::as_str).collect();
            out += &format!("    tags: {}\n", tags.join(", "));
        }
        if let Some(other) = &run.carried_from {
            out += &format!("    carried over from {} ({})\n", other.reference, other.manifest_digest);
        }
        for others in run.sensor.passed_over.chunk_by(|one, next| one.reason == next.reason) {
            let names: Vec<_> = others.iter().map(|other| other.backend.as_str()).collect();
            out += &format!("    not {}: {}\n", names.join(", "), others[0].reason);
        }
        run.sensor.not_seen.iter().for_each(|what| out += &format!("    not seen: {what}\n"));
        let counters = &run.sensor.counters;
        out += &match &run.sensor.verdict {
            Verdict::Complete => format!(
                "    complete: {} uses seen, {} already known, {} recorded, none lost\n",
                output::count_text(counters.seen),
                output::count_text(counters.duplicate),
                output::count_text(counters.received)
            ),
            Verdict::Incomplete { reasons } => {
                reasons.iter().map(|reason| format!("    INCOMPLETE: {reason}\n")).collect::<String>()
            }
        };
        for step in &run.steps {
            out += &format!("    {:12} {}\n", verdict::outcome_text(step.outcome), step.name);
        }
    }
    let mut kinds: BTreeMap<AccessKind, u64> = BTreeMap::new();
    for usage in profile.paths.values() {
        usage.0.keys().for_each(|kind| *kinds.entry(*kind).or_default() += 1);
    }
    let rows: Vec<_> =
        kinds.iter().map(|(kind, count)| vec![kind.to_string(), output::count_text(*count)]).collect();
    out += "\n";
    out += &output::table(&["kind of use", "paths"], &rows);
    out += &activity::text(profile, wanted);
    let is_missing = |usage: &PathUsage| usage.0.keys().all(|kind| !kind.is_use());
    for (path, usage) in &profile.paths {
        if (paths && !is_missing(usage)) || (missing && is_missing(usage)) {
            let kinds: Vec<_> = usage.0.keys().map(|kind| kind.name()).collect();
            out += &format!("  {path}  {}\n", kinds.join(" "));
        }
    }
    out
}
