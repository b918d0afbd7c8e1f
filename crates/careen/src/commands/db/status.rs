//! `careen db status`: what the database was built from, and how old it is.

use std::path::PathBuf;
use std::time::SystemTime;

use advisories::database::{Counts, FORMAT_VERSION, Source};
use serde::Serialize;

use crate::cli::DbArgs;
use crate::context::Context;
use crate::failure::Failure;
use crate::output;

/// From this age on, what became known since matters.
pub(crate) const OLD_DAYS: i64 = 7;

#[derive(Serialize)]
struct Status {
    path: PathBuf,
    format_version: u32,
    size_bytes: u64,
    built: String,
    /// Since it was built; negative where that is yet to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_days: Option<i64>,
    /// Whether that is more than a week, or nobody knows.
    is_old: bool,
    /// Whether the whole file was compared with its checksum.
    checked: bool,
    #[serde(flatten)]
    counts: Counts,
    sources: Vec<Source>,
}

/// Prints the status.
pub(super) fn run(context: &Context, args: &DbArgs, check: bool) -> Result<(), Failure> {
    let path = super::path(context, args);
    let database = super::open(context, args)?;
    if check {
        context.progress.stage("check the database", None);
        database
            .check()
            .map_err(|error| super::failed(&format!("cannot use the database {}", path.display()), error))?;
        context.progress.abandon();
    }
    let built = database.about().built.clone();
    let age_days = super::age_days(&built, SystemTime::now());
    let status = Status {
        path,
        format_version: FORMAT_VERSION,
        size_bytes: database.size_bytes(),
        is_old: age_days.is_none_or(|days| days > OLD_DAYS),
        age_days,
        built,
        checked: check,
        counts: database.counts(),
        sources: database.sources().to_vec(),
    };
    output::print(context.output, &status, text)
}

fn text(status: &Status) -> String {
    let count = output::count_text;
    let mut out = format!(
        "{}\n  built {}{}, {}{}\n  {}, {}, {} of exploitation\n\n",
        status.path.display(),
        status.built,
        match status.age_days {
            Some(0) => " (today)".to_owned(),
            Some(1) => " (yesterday)".to_owned(),
            Some(..0) => " (yet to come)".to_owned(),
            Some(days) => format!(" ({days} days ago)"),
            None => String::new(),
        },
        output::bytes_text(status.size_bytes),
        if status.checked { ", every byte as it was written" } else { "" },
        output::counted(status.counts.packages, "package", "packages"),
        output::counted(status.counts.vulnerabilities, "vulnerability", "vulnerabilities"),
        output::counted(status.counts.scores, "score", "scores"),
    );
    let (used, unused): (Vec<_>, Vec<_>) = status.sources.iter().partition(|source| source.unused.is_none());
    let rows: Vec<Vec<String>> = used
        .iter()
        .map(|source| {
            vec![
                source.name.clone(),
                count(source.records),
                if source.broken == 0 { "-".into() } else { count(source.broken) },
                source.newest.clone().unwrap_or_else(|| "-".into()),
                source.location.clone(),
            ]
        })
        .collect();
    out += &output::table(&["source", "records", "broken", "newest", "from"], &rows);
    for source in used.iter().filter(|source| source.broken > 0) {
        out += &format!("\n  not read in {}:\n", source.location);
        source.problems.iter().for_each(|problem| out += &format!("    {problem}\n"));
        let more = source.broken.saturating_sub(source.problems.len() as u64);
        if more > 0 {
            out += &format!("    and {} more\n", count(more));
        }
    }
    let useless = unused.iter().filter(|source| source.not_fetched.is_none()).count();
    if useless > 0 {
        let useless = output::counted(
            useless as u64,
            "file holds no advisories, and was left out",
            "files hold no advisories, and were left out",
        );
        out += &format!("\n  {useless}\n");
    }
    for source in status.sources.iter().filter(|source| source.not_fetched.is_some()) {
        let why = source.not_fetched.as_deref().unwrap_or_default();
        let instead =
            if source.unused.is_some() { "nothing of it is in here" } else { "an older copy was used" };
        out += &format!("\nwarning: {} was not fetched ({why}): {instead}\n", source.location);
    }
    if status.age_days.is_some_and(|days| days < -1) {
        out += "\nwarning: this database was built on a day yet to come: is this host's clock right?\n";
    }
    if status.is_old {
        out += "\nwarning: this database is more than a week old: renew it with `careen db update`\n";
    }
    out
}
