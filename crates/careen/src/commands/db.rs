//! `careen db`: build the database of advisories, update it, look at it.

mod build;
mod feeds;
mod show;
mod status;
mod update;

use std::path::PathBuf;
use std::time::SystemTime;

use advisories::Database;

use crate::cli::{DbArgs, DbCommand};
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;

/// Runs the database commands.
pub(crate) fn run(context: &Context, command: &DbCommand) -> Result<(), Failure> {
    match command {
        DbCommand::Build(args) => build::run(context, args),
        DbCommand::Update(args) => update::run(context, args),
        DbCommand::Status { db, check } => status::run(context, db, *check),
        DbCommand::Show { db, name } => show::run(context, db, name),
    }
}

/// The file of the database: the one that was named, else the one in the data directory.
pub(crate) fn path(context: &Context, args: &DbArgs) -> PathBuf {
    args.db.clone().unwrap_or_else(|| context.data_dir.join("db").join("advisories.db"))
}

/// Opens the database.
pub(crate) fn open(context: &Context, args: &DbArgs) -> Result<Database, Failure> {
    let path = path(context, args);
    Database::open(&path)
        .map_err(|error| failed(&format!("cannot use the database {}", path.display()), error))
}

/// A failure to read the database, with what to try next.
pub(crate) fn failed(tried: &str, error: advisories::database::DatabaseError) -> Failure {
    let hint = error.hint();
    Failure::caused_by(ExitCode::Document, tried, error).hint(hint)
}

/// Days since a date `2026-11-22…`, negative for one to come; none for what is no date.
pub(crate) fn age_days(date: &str, now: SystemTime) -> Option<i64> {
    let today = coverage::rfc3339(now);
    Some(day_number(&today)? - day_number(date)?)
}

/// Days since the beginning of the calendar. Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// days_from_civil.
fn day_number(date: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| date.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year < 1 {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_counted_in_days_over_leap_years() {
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_709_251_200); // 2024-03-01
        for (date, days) in [("2024-03-01", 0), ("2024-02-28", 2), ("2023-03-01", 366), ("2024-03-03", -2)] {
            assert_eq!(age_days(date, now), Some(days), "{date}");
        }
        assert_eq!(age_days("", now), None);
        assert_eq!(age_days("2024-13-01", now), None);
    }
}
