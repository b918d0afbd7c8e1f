//! `careen profile`: show and merge.

use std::collections::BTreeMap;
use std::path::Path;

use profile::{AccessKind, PathUsage, Profile, Verdict};

use crate::artifacts::write_whole;
use crate::cli::{OutputFormat, ProfileCommand};
use crate::commands::record;
use crate::context::{self, Context};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, output, verdict};

/// Runs the profile commands.
pub(crate) fn run(context: &Context, command: &ProfileCommand) -> Result<(), Failure> {
    match command {
        ProfileCommand::Show { file, paths, missing } => show(context, file, *paths, *missing),
        ProfileCommand::Merge { files, output_profile, force } => {
            context::refuse_existing(output_profile, *force)?;
            let Some(merged) = record::load_profiles(files)? else { return Ok(()) };
            write_whole(output_profile, &record::encode(&merged)?).map_err(|source| {
                hints::plain(ExitCode::Output, format!("cannot write {}", output_profile.display()), source)
            })?;
            let result = serde_json::json!({ "profile": output_profile, "runs": merged.runs.len(), "paths": merged.paths.len() });
            output::print(context.output, &result, |_| {
                format!(
                    "  {} runs, {} paths in {}\n",
                    merged.runs.len(),
                    merged.paths.len(),
                    output_profile.display()
                )
            })
        }
    }
}

fn show(context: &Context, file: &Path, paths: bool, missing: bool) -> Result<(), Failure> {
    let profile = record::load_profile(file)?;
    // As data the document itself is the answer: nothing of it is left out.
    if context.output == OutputFormat::Json {
        return output::print(context.output, &profile, |_| String::new());
    }
    output::write_stdout(text(&profile, paths, missing).as_bytes())
}

fn text(profile: &Profile, paths: bool, missing: bool) -> String {
    let mut out = format!(
        "  image     {} ({})\n  digest    {}\n",
        profile.image.reference, profile.image.platform, profile.image.manifest_digest
    );
    for run in &profile.runs {
        out += &format!(
            "\n  run of {} at {}, sensor {} on {}\n",
            run.coverage, run.started_at, run.sensor.backend, run.sensor.kernel
        );
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
    let is_missing = |usage: &PathUsage| usage.0.keys().all(|kind| !kind.is_use());
    for (path, usage) in &profile.paths {
        if (paths && !is_missing(usage)) || (missing && is_missing(usage)) {
            let kinds: Vec<_> = usage.0.keys().map(|kind| kind.name()).collect();
            out += &format!("  {path}  {}\n", kinds.join(" "));
        }
    }
    out
}
