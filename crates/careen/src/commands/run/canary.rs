//! `careen run --canary`: a hardened image under the sensor, and what it looks for in vain.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use engine::RunOptions;
use harden::{Ledger, MissingLookup};
use image::Image;
use profile::{AccessKind, Counters, Incomplete, Observation, Profile, Run, SensorReport, Step, Verdict};
use sensor::{Backend, Record};
use serde::Serialize;

use super::Sink;
use crate::artifacts::{Artifacts, ResultStore, source_path};
use crate::cli::{OutputFormat, RunArgs};
use crate::commands::record;
use crate::commands::verify::load_ledger;
use crate::context::{self, Context};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::progress::eprint_text;
use crate::{container, hints, output, verdict};

/// What a canary's run is called in its profile, as coverage and as tag.
const CANARY: &str = "canary";

#[derive(Serialize)]
struct Told {
    image: String,
    original: profile::ImageIdentity,
    profile: PathBuf,
    verdict: Verdict,
    missing_lookups: Vec<MissingLookup>,
}

/// Runs a hardened image until it ends or the user interrupts, and writes what it looked for and had been removed as a
/// profile of the original.
pub(super) fn run(context: &Context, args: &RunArgs, options: &RunOptions) -> Result<(), Failure> {
    let source = context::parse_source(&args.image.image)?;
    let file = args.output_profile.clone().unwrap_or_else(|| {
        let mut name = source_path(&source).file_name().unwrap_or_default().to_owned();
        name.push(".canary.profile");
        name.into()
    });
    context::refuse_existing(&file, args.force)?;
    let image = context.open_image(&args.image)?;
    container::check_user(options.user.as_deref(), &image, ExitCode::Usage)?;
    let (ledger, original) = documents(context, args.ledger.as_deref(), &image)?;

    let mut backend = Backend::load(&context.sensor_options(args.container.sensor)).map_err(|error| {
        let hint = error.hint();
        hints::plain(ExitCode::Host, "cannot load the sensor", error).hint(hint)
    })?;
    // Ctrl-C stops the container with its own signal, so it must not end the wait for that.
    let engine = context.engine_with(Arc::default())?;
    let tried = format!("cannot run {}", image.source());
    let failed = |error| hints::engine(&tried, error);
    let unwatched = |error: sensor::SensorError| {
        let hint = error.hint();
        hints::plain(ExitCode::Host, format!("cannot watch {}", image.source()), error).hint(hint)
    };
    let unpacked = engine.unpack(&image, &|_| {}).map_err(failed)?;
    context.progress.abandon();
    let started_at = coverage::rfc3339(SystemTime::now());
    // Kept until the profile is written.
    let journal = record::journal(context);
    if let Some(journal) = &journal {
        backend.keep(Arc::clone(journal));
        let head = head(&image, backend.name(), &started_at);
        match head.to_json() {
            Ok(head) => journal.note(&head),
            Err(error) => tracing::debug!(%error, "the journal cannot say what is recorded"),
        }
    }
    let options = coverage::watched(options.clone(), &backend);
    let mut container = engine.create(&unpacked, &options).map_err(failed)?;
    let recording = backend.watch(&coverage::target(&container)).map_err(unwatched)?;
    coverage::give_listeners(&mut container, &recording).map_err(failed)?;
    container.start().map_err(failed)?;
    let sink = match context.output {
        OutputFormat::Text => Sink::Stdout,
        OutputFormat::Json => Sink::Stderr,
    };
    let exit = super::to_the_end(context, &mut container, sink, &failed);
    // Whatever became of the container, what it looked for is worth having.
    let recorded = recording.finish(image.tree()).map_err(unwatched);
    let removed = container.remove().map_err(failed);
    let record = recorded?;

    let hardened = of_record(head(&image, record.backend, &started_at), record);
    let missing_lookups = harden::missing_lookups(&ledger, &original, &hardened);
    let canary = of_original(&ledger, &hardened, &missing_lookups);
    record::write_profile(context, &file, &record::encode(&canary)?)?;
    drop(journal);
    let told = Told {
        image: source.to_string(),
        original: ledger.image.clone(),
        profile: file,
        verdict: canary.verdict(),
        missing_lookups,
    };
    match context.output {
        OutputFormat::Text => eprint_text(text(&told).as_bytes()),
        OutputFormat::Json => output::print(context.output, &told, text)?,
    }
    let exit = exit?;
    removed?;
    if !told.missing_lookups.is_empty() {
        let count = told.missing_lookups.len();
        let paths = if count == 1 { "a removed path".to_owned() } else { format!("{count} removed paths") };
        return Err(Failure::new(ExitCode::Verification, format!("{source} looked for {paths}"))
            .hint(format!("merge {} into the original's profile and harden again", told.profile.display())));
    }
    super::as_ours(exit)
}

/// Whether a recording that was cut off, by what its journal says, is one of a canary.
pub(crate) fn is_canary(head: &Profile) -> bool {
    head.runs.iter().any(|run| run.coverage == CANARY && run.tags.contains(CANARY))
}

/// The profile of the original out of what was recorded of a canary until it was cut off.
pub(crate) fn recovered(
    context: &Context,
    ledger: Option<&Path>,
    image: &Image,
    hardened: &Profile,
) -> Result<Profile, Failure> {
    let (ledger, original) = documents(context, ledger, image)?;
    let missing_lookups = harden::missing_lookups(&ledger, &original, hardened);
    Ok(of_original(&ledger, hardened, &missing_lookups))
}

/// The ledger of the hardening, and the profile that it was made of as far as that is there.
fn documents(context: &Context, ledger: Option<&Path>, image: &Image) -> Result<(Ledger, Profile), Failure> {
    let source = image.source();
    let found = ResultStore::new(&context.data_dir).find(source, image.manifest_digest());
    let found = found.as_ref().map(Artifacts::ledger);
    let ledger_file = ledger.map(Path::to_owned).or(found).ok_or_else(|| {
        let tried = format!("cannot find the ledger of the hardening that made {source}");
        Failure::new(ExitCode::Document, tried).hint("name it with --ledger FILE".to_owned())
    })?;
    let ledger = load_ledger(&ledger_file)?;
    if ledger.image.image_id == image.image_id() {
        let tried = format!("{source} is the original of its ledger, from which nothing was removed");
        return Err(Failure::new(ExitCode::Usage, tried).hint("name the hardened image".to_owned()));
    }
    let beside = ledger_file.with_file_name("original.profile");
    let profile = match beside.is_file() {
        true => record::load_profile(&beside)?,
        false => of_nothing(&ledger),
    };
    Ok((ledger, profile))
}

fn of_nothing(ledger: &Ledger) -> Profile {
    Profile {
        format_version: profile::document::FORMAT_VERSION,
        image: ledger.image.clone(),
        runs: Vec::new(),
        processes: Vec::new(),
        paths: BTreeMap::new(),
        surroundings: profile::Surroundings::default(),
        carried: BTreeMap::new(),
    }
}

/// What is known before anything is recorded, as a profile of the image that runs.
fn head(image: &Image, backend: &str, started_at: &str) -> Profile {
    let identity = profile::ImageIdentity {
        reference: image.source().to_string(),
        manifest_digest: image.manifest_digest(),
        image_id: image.image_id(),
        platform: image.platform().clone(),
    };
    let run = Run {
        coverage: CANARY.to_owned(),
        started_at: started_at.to_owned(),
        sensor: SensorReport {
            backend: backend.to_owned(),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            passed_over: Vec::new(),
            counters: Counters::default(),
            verdict: Verdict::from_reasons(vec![Incomplete::CutOff]),
            not_seen: sensor::not_seen(backend),
        },
        steps: Vec::new(),
        tags: BTreeSet::from([CANARY.to_owned()]),
        carried_from: None,
        activity: None,
    };
    Profile::from_run(identity, run, &BTreeSet::new())
}

/// All that was recorded, as a profile of the image that ran.
fn of_record(head: Profile, record: Record) -> Profile {
    let Profile { image, mut runs, .. } = head;
    let verdict = record.verdict();
    let sensor = SensorReport {
        backend: record.backend.to_owned(),
        kernel: record.kernel,
        passed_over: record.passed_over,
        verdict,
        counters: record.counters,
        not_seen: record.not_seen,
    };
    let run = Run { sensor, activity: record.activity, ..runs.remove(0) };
    Profile::from_run(image, run, &record.observations)
}

/// The lookups in terms of the original image: how the paths would have been used nobody knows, so they stand as
/// missing, which keeps them where the image has them.
fn of_original(ledger: &Ledger, hardened: &Profile, lookups: &[MissingLookup]) -> Profile {
    let mut observations = BTreeSet::new();
    for lookup in lookups {
        for path in [&lookup.removed, &lookup.path] {
            for (process, &errno) in
                lookup.processes.iter().flat_map(|p| lookup.errnos.iter().map(move |errno| (p, errno)))
            {
                observations.insert(Observation {
                    path: path.clone(),
                    kind: AccessKind::Missing,
                    errno,
                    process: process.clone().into(),
                    step: Step::default(),
                });
            }
        }
    }
    let run = hardened.runs.first().cloned();
    match run {
        Some(run) => Profile::from_run(ledger.image.clone(), run, &observations),
        None => of_nothing(ledger),
    }
}

fn text(told: &Told) -> String {
    let mut out = match told.missing_lookups.len() {
        0 => "\n  canary    nothing was looked up that hardening had removed\n".to_owned(),
        count => {
            let paths = output::counted(count as u64, "removed path was", "removed paths were");
            format!("\n  canary    {paths} looked up:\n")
        }
    };
    for lookup in &told.missing_lookups {
        out += &format!("    {}{}\n", lookup.path, verdict::by(lookup));
    }
    if let Verdict::Incomplete { reasons } = &told.verdict {
        let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
        out += &format!("  warning   there may be more: {}\n", reasons.join("; "));
    }
    out += &format!("  profile   {}\n", told.profile.display());
    out
}
