//! The result of a walk, for people and programs.

use std::collections::{BTreeMap, BTreeSet};

use advisories::Database;
use advisories::matching::Rank;
use serde::Serialize;

use super::row::{FORMAT_VERSION, Row, Status};
use crate::cli::{OutputFormat, RegistryFormat};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::output::{count_text, counted, table};

/// Digits of a digest that tell images apart.
const SHORT: usize = 12;
const HEADER: [&str; 9] =
    ["image", "digest", "packages", "critical", "high", "medium", "low", "other", "exploited"];

/// All that a walk found. Schema: `docs/formats/registry-scan.schema.json`.
#[derive(Serialize)]
pub(super) struct Walked {
    format_version: u32,
    careen_version: &'static str,
    database: DatabaseName,
    totals: Totals,
    /// In the order of what was asked for, repositories by name, tags by version.
    images: Vec<Row>,
}

#[derive(Serialize)]
struct DatabaseName {
    /// When it was built, RFC 3339.
    built: String,
}

#[derive(Serialize, Default)]
struct Totals {
    repositories: u64,
    images: u64,
    scanned: u64,
    unchanged: u64,
    skipped: u64,
    failed: u64,
    /// Over all images: one that two images have counts twice.
    findings: u64,
    exploited: u64,
    /// How many findings meet each condition of `--fail-on`.
    met: BTreeMap<String, u64>,
}

impl Walked {
    pub(super) fn new(database: &Database, images: Vec<Row>) -> Self {
        let mut totals = Totals { images: images.len() as u64, ..Totals::default() };
        totals.repositories = images.iter().map(|row| &row.repository).collect::<BTreeSet<_>>().len() as u64;
        for row in &images {
            *match row.status {
                Status::Scanned => &mut totals.scanned,
                Status::Unchanged => &mut totals.unchanged,
                Status::Skipped => &mut totals.skipped,
                Status::Failed => &mut totals.failed,
            } += 1;
            let Some(found) = &row.found else { continue };
            totals.findings += found.findings;
            totals.exploited += found.exploited;
            for (gate, count) in &found.met {
                *totals.met.entry(gate.clone()).or_default() += count;
            }
        }
        Self {
            format_version: FORMAT_VERSION,
            careen_version: env!("CARGO_PKG_VERSION"),
            database: DatabaseName { built: database.about().built.clone() },
            totals,
            images,
        }
    }

    /// The result in the form that was asked for.
    pub(super) fn text(
        &self,
        format: Option<RegistryFormat>,
        output: OutputFormat,
    ) -> Result<String, Failure> {
        let default = if output == OutputFormat::Json { RegistryFormat::Json } else { RegistryFormat::Table };
        Ok(match format.unwrap_or(default) {
            RegistryFormat::Table => self.table(),
            RegistryFormat::Csv => self.csv(),
            RegistryFormat::Markdown => self.markdown(),
            RegistryFormat::Json => {
                serde_json::to_string_pretty(self).map(|text| text + "\n").map_err(|source| {
                    Failure::caused_by(ExitCode::Failure, "cannot print the result as JSON", source)
                })?
            }
        })
    }

    /// Fails if a finding meets a condition, or if an image was not scanned that should have been.
    pub(super) fn judge(&self) -> Result<(), Failure> {
        let met: Vec<String> = self
            .totals
            .met
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(gate, count)| format!("{} {gate}", count_text(*count)))
            .collect();
        if !met.is_empty() {
            return Err(Failure::new(
                ExitCode::Findings,
                format!("findings that --fail-on names: {}", met.join(", ")),
            ));
        }
        match self.totals.failed {
            0 => Ok(()),
            failed => Err(Failure::new(
                ExitCode::Image,
                format!(
                    "{} of {} not scanned",
                    count_text(failed),
                    counted(self.totals.images, "image was", "images were")
                ),
            )),
        }
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let rows = self.images.iter().filter_map(|row| {
            let found = row.found.as_ref()?;
            let digest = row.digest.map(|digest| digest.hex()[..SHORT].to_owned()).unwrap_or_default();
            let figures = [
                found.packages,
                row.count(Rank::Critical),
                row.count(Rank::High),
                row.count(Rank::Medium),
                row.count(Rank::Low),
                row.count(Rank::Negligible) + row.count(Rank::Unknown),
                found.exploited,
            ];
            Some([row.name(), digest].into_iter().chain(figures.map(count_text)).collect())
        });
        rows.collect()
    }

    /// What was not scanned, and why.
    fn left_out(&self) -> impl Iterator<Item = (&Row, &'static str)> {
        self.images.iter().filter_map(|row| match row.status {
            Status::Scanned | Status::Unchanged => None,
            Status::Skipped => Some((row, "skipped")),
            Status::Failed => Some((row, "failed")),
        })
    }

    fn summary(&self) -> String {
        let totals = &self.totals;
        let mut text = format!(
            "{} in {}: {}, {} of them known to be exploited",
            counted(totals.images, "image", "images"),
            counted(totals.repositories, "repository", "repositories"),
            counted(totals.findings, "finding", "findings"),
            count_text(totals.exploited)
        );
        for (count, word) in
            [(totals.unchanged, "not changed"), (totals.skipped, "skipped"), (totals.failed, "failed")]
        {
            if count > 0 {
                text += &format!("; {} {word}", count_text(count));
            }
        }
        text
    }

    fn table(&self) -> String {
        let rows = self.rows();
        let mut out = if rows.is_empty() { String::new() } else { table(&HEADER, &rows) + "\n" };
        out += &format!("  {}\n", self.summary());
        for (row, word) in self.left_out() {
            out += &format!("  {word} {}: {}\n", row.name(), row.reason);
        }
        out
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut out = line(&HEADER.map(str::to_owned));
        out += &line(&HEADER.map(|name| if name == "image" { "---" } else { "---:" }.to_owned()));
        for row in self.rows() {
            let [name, digest, figures @ ..] = row.as_slice() else { continue };
            let cells: Vec<String> =
                [format!("`{name}`"), format!("`{digest}`")].into_iter().chain(figures.to_vec()).collect();
            out += &line(&cells);
        }
        out += &format!("\n{}\n", self.summary());
        for (row, word) in self.left_out() {
            out += &format!("- {word} `{}`: {}\n", row.name(), row.reason.replace(['|', '`', '<'], " "));
        }
        out
    }

    fn csv(&self) -> String {
        let mut out =
            "repository,tag,digest,status,platform,distribution,packages,findings,critical,high,medium,low,\
                       negligible,unknown,exploited,fixable,settled,reason\r\n"
                .to_owned();
        for row in &self.images {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let status = serde_json::to_value(row.status).ok();
            let mut cells = vec![
                row.repository.clone(),
                text(&row.tag),
                row.digest.map(|digest| digest.to_string()).unwrap_or_default(),
                status.as_ref().and_then(|status| status.as_str()).unwrap_or_default().to_owned(),
            ];
            match &row.found {
                Some(found) => {
                    cells.extend([text(&found.platform), text(&found.distribution)]);
                    cells.extend([found.packages, found.findings].map(|count| count.to_string()));
                    let ranks = [
                        Rank::Critical,
                        Rank::High,
                        Rank::Medium,
                        Rank::Low,
                        Rank::Negligible,
                        Rank::Unknown,
                    ];
                    cells.extend(ranks.map(|rank| row.count(rank).to_string()));
                    cells.extend(
                        [found.exploited, found.fixable, found.settled].map(|count| count.to_string()),
                    );
                }
                None => cells.extend(std::iter::repeat_n(String::new(), 13)),
            }
            cells.push(row.reason.clone());
            out += &(cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\r\n");
        }
        out
    }
}

/// A cell of CSV. One that a spreadsheet would take for a formula begins with a quote. Source: RFC 4180.
fn quoted(cell: &str) -> String {
    let cell =
        if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_csv_are_never_formulas() {
        for (cell, expected) in
            [("a", "a"), ("a,\"b\"", "\"a,\"\"b\"\"\""), ("=1+1", "'=1+1"), ("a\nb", "\"a\nb\""), ("", "")]
        {
            assert_eq!(quoted(cell), expected);
        }
    }
}
