//! `careen db build`: from files, directories and URLs.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use advisories::import::{Import, Limits};
use advisories::{Database, database};
use serde::Serialize;

use crate::cli::DbBuildArgs;
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::fetch::Client;
use crate::{output, registries};

/// What a build or an update made.
#[derive(Serialize)]
pub(super) struct Built {
    pub(super) path: PathBuf,
    pub(super) size_bytes: u64,
    pub(super) built: String,
    pub(super) sources: usize,
    pub(super) records: u64,
    pub(super) broken: u64,
    pub(super) packages: u64,
    pub(super) vulnerabilities: u64,
    /// Of exploitation, for vulnerabilities that the other sources may not know.
    pub(super) scores: u64,
}

/// Builds a database and puts it in place.
pub(super) fn run(context: &Context, args: &DbBuildArgs) -> Result<(), Failure> {
    let path = args.output_db.clone().unwrap_or_else(|| super::path(context, &args.db));
    let mut import = Import::new(&date(args.date.as_deref())?, Limits::default());
    for from in &args.from {
        add(context, &mut import, from)?;
    }
    finish(context, import, &path)
}

/// Adds a file, a directory or an URL.
fn add(context: &Context, import: &mut Import, from: &str) -> Result<(), Failure> {
    let tried = || format!("cannot build the database from {from}");
    if from.starts_with("http://") || from.starts_with("https://") {
        context.progress.stage(format!("fetch {from}"), None);
        let on_bytes = |bytes| context.progress.add_bytes(bytes);
        let limit = Limits::default().file_bytes;
        let client = Client::new(limit, registries::authorities(context)?, &context.interrupt, &on_bytes);
        let bytes = client
            .bytes(from, limit)
            .map_err(|error| Failure::caused_by(ExitCode::Failure, tried(), error))?;
        import.bytes(from, &bytes);
        return Ok(());
    }
    context.progress.stage(format!("read {from}"), None);
    let mut on_file = |name: &str| {
        context.progress.passing(name);
        !context.interrupt.load(Ordering::Relaxed)
    };
    import.path(Path::new(from), &mut on_file).map_err(|error| {
        Failure::caused_by(ExitCode::Document, tried(), error).hint(
            "--from takes files, directories and URLs; `careen db update` fetches what is needed".to_owned(),
        )
    })?;
    interrupted(context)
}

/// Makes the file of what was imported, puts it in place and tells of it.
pub(super) fn finish(context: &Context, import: Import, path: &Path) -> Result<(), Failure> {
    interrupted(context)?;
    context.progress.stage("compress the database", None);
    let bytes = import
        .finish()
        .finish()
        .map_err(|error| Failure::caused_by(ExitCode::Failure, "cannot build the database", error))?;
    let database = Database::from_bytes(bytes.clone())
        .map_err(|error| super::failed("cannot read the database that was just built", error))?;
    let counts = database.counts();
    let used = database.sources().iter().filter(|source| source.unused.is_none());
    if counts.vulnerabilities == 0 && counts.scores == 0 {
        return Err(Failure::new(ExitCode::Document, "none of these files says anything of vulnerabilities")
            .hint(
                "`careen db build --help` names the formats that are read; nothing was written".to_owned(),
            ));
    }
    put(path, &bytes)?;
    let built = Built {
        path: path.to_owned(),
        size_bytes: database.size_bytes(),
        built: database.about().built.clone(),
        sources: used.clone().count(),
        records: used.clone().map(|source| source.records).sum(),
        broken: used.map(|source| source.broken).sum(),
        packages: counts.packages,
        vulnerabilities: counts.vulnerabilities,
        scores: counts.scores,
    };
    context.progress.abandon();
    output::print(context.output, &built, text)
}

/// Writes the database in place of the old one.
pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    database::write(path, bytes).map_err(|error| {
        Failure::caused_by(ExitCode::Output, format!("cannot write the database {}", path.display()), error)
            .hint("choose another place with --db FILE".to_owned())
    })
}

/// The date of a build: as typed, else `SOURCE_DATE_EPOCH`, else now.
pub(super) fn date(typed: Option<&str>) -> Result<String, Failure> {
    if let Some(typed) = typed {
        let day = typed.get(..10).filter(|day| super::day_number(day).is_some()).ok_or_else(|| {
            Failure::new(ExitCode::Usage, format!("cannot use --date {typed}"))
                .hint("write it as 2026-11-22".to_owned())
        })?;
        return Ok(if typed.len() > 10 { typed.to_owned() } else { format!("{day}T00:00:00Z") });
    }
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let time = epoch.and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    Ok(coverage::rfc3339(time.unwrap_or_else(SystemTime::now)))
}

pub(super) fn interrupted(context: &Context) -> Result<(), Failure> {
    if context.interrupt.load(Ordering::Relaxed) {
        return Err(Failure::new(ExitCode::Interrupted, "interrupted; the old database is as it was"));
    }
    Ok(())
}

fn text(built: &Built) -> String {
    let count = output::count_text;
    let mut out = format!(
        "{}: {}, {} of {}, {} of exploitation, from {} of {}\n",
        built.path.display(),
        output::bytes_text(built.size_bytes),
        output::counted(built.vulnerabilities, "vulnerability", "vulnerabilities"),
        output::counted(built.packages, "package", "packages"),
        output::counted(built.scores, "score", "scores"),
        output::counted(built.records, "record", "records"),
        output::counted(built.sources as u64, "source", "sources")
    );
    if built.broken > 0 {
        let records = if built.broken == 1 { "record" } else { "records" };
        out += &format!("{} {records} could not be read: see `careen db status`\n", count(built.broken));
    }
    out
}
