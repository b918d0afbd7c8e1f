//! `careen profile recover`: what is left of recordings whose careen was killed.

use std::fs;
use std::path::Path;

use coverage::Leftover;
use profile::Profile;
use sensor::Unfinished;
use serde::Serialize;

use crate::artifacts::write_whole;
use crate::cli::RecoverArgs;
use crate::commands::record;
use crate::commands::run::canary;
use crate::context::{self, Context};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, output};

/// A recording that was cut off.
#[derive(Debug, Serialize)]
struct Left {
    id: String,
    image: String,
    coverage: String,
    started_at: String,
    steps_done: usize,
    bytes: u64,
}

/// Lists them, or saves or discards one.
pub(crate) fn run(context: &Context, args: &RecoverArgs) -> Result<(), Failure> {
    let paths = Unfinished::list(&context.journal_dir());
    let Some(id) = &args.id else {
        let left: Vec<Left> = paths.iter().map(|path| describe(path)).collect();
        return output::print(context.output, &left, |left| text(left));
    };
    let Some(path) = paths.into_iter().find(|path| id_of(path) == *id) else {
        return Err(Failure::new(ExitCode::Usage, format!("no recording {id} was cut off"))
            .hint("`careen profile recover` lists those that were".to_owned()));
    };
    if args.discard {
        fs::remove_file(&path).map_err(|source| {
            hints::plain(ExitCode::Output, format!("cannot remove {}", path.display()), source)
        })?;
        return output::print(context.output, &serde_json::json!({ "discarded": id }), |_| {
            format!("  recording {id} is thrown away\n")
        });
    }
    let Some(file) = &args.output_profile else {
        let left = [describe(&path)];
        return output::print(context.output, &left, |left| text(left));
    };
    context::refuse_existing(file, args.force)?;
    let leftover = Leftover::read(&path)
        .map_err(|source| hints::plain(ExitCode::Document, format!("cannot recover {id}"), source))?;
    let image = open_image(context, &leftover.head, id)?;
    let is_canary = canary::is_canary(&leftover.head);
    let recorded = leftover.into_profile(image.tree());
    let profile = match is_canary {
        true => canary::recovered(context, args.ledger.as_deref(), &image, &recorded)?,
        false => recorded,
    };
    write_whole(file, &record::encode(&profile)?).map_err(|source| {
        hints::plain(ExitCode::Output, format!("cannot write {}", file.display()), source)
    })?;
    if let Err(error) = fs::remove_file(&path) {
        tracing::warn!(%error, "cannot remove {}", path.display());
    }
    let result = serde_json::json!({ "profile": file, "verdict": profile.verdict(), "image": profile.image });
    output::print(context.output, &result, |_| {
        let reasons: Vec<_> = profile.verdict().reasons().iter().map(ToString::to_string).collect();
        format!(
            "  profile  {}\n  verdict  INCOMPLETE: {}\n  paths    {}\n",
            file.display(),
            reasons.join("; "),
            profile.paths.len()
        )
    })
}

/// The image that ran, if it still lies where it was and is the same.
fn open_image(context: &Context, head: &Profile, id: &str) -> Result<image::Image, Failure> {
    let source = context::parse_source(&head.image.reference)?;
    let image = context.open_source(&source, Some(head.image.platform.clone())).map_err(|failure| {
        let advice = format!("put the image back there, or --discard recording {id}");
        failure.hint(advice)
    })?;
    context.progress.abandon();
    if image.image_id() == head.image.image_id {
        return Ok(image);
    }
    Err(Failure::new(ExitCode::Profile, format!("{source} is no longer the image that recording {id} is of"))
        .hint(format!("put the image {} back there, or --discard the recording", head.image.image_id)))
}

fn id_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn describe(path: &Path) -> Left {
    let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let id = id_of(path);
    let unknown = || "unknown".to_owned();
    match Leftover::read(path) {
        Ok(Leftover { head, .. }) => {
            let run = head.runs.first();
            Left {
                id,
                image: head.image.reference.clone(),
                coverage: run.map_or_else(unknown, |run| run.coverage.clone()),
                started_at: run.map_or_else(unknown, |run| run.started_at.clone()),
                steps_done: run.map_or(0, |run| run.steps.len()),
                bytes,
            }
        }
        Err(error) => {
            tracing::debug!(%error, "a journal cannot be read");
            Left { id, image: unknown(), coverage: unknown(), started_at: unknown(), steps_done: 0, bytes }
        }
    }
}

fn text(left: &[Left]) -> String {
    if left.is_empty() {
        return "  no recording was cut off\n".to_owned();
    }
    let row = |left: &Left| {
        vec![
            left.id.clone(),
            left.image.clone(),
            left.coverage.clone(),
            left.started_at.clone(),
            left.steps_done.to_string(),
            output::bytes_text(left.bytes),
        ]
    };
    let rows: Vec<_> = left.iter().map(row).collect();
    output::table(&["recording", "image", "coverage", "started", "steps", "size"], &rows)
        + "  careen profile recover RECORDING -o FILE saves one, --discard throws it away\n"
}
