//! The table on a terminal.

use advisories::matching::Rank;
use advisories::scan::{ScanReport, ScannedFinding};

use crate::words::{self, SEVERITIES, percent, plain};

/// What the terminal can do, and how much to show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Columns; none for no limit.
    pub width: Option<usize>,
    /// Whether to colour severities and heats.
    pub colour: bool,
    /// Whether names of vulnerabilities may be links.
    pub links: bool,
    /// At most so many findings.
    pub rows: usize,
}

/// A cell: what it shows, how it is coloured, and where it leads.
struct Cell {
    text: String,
    colour: &'static str,
    link: Option<String>,
}

const PLAIN: &str = "";
const BOLD: &str = "1";

/// The counts, the findings to look at first, and what the user should know.
pub(crate) fn text(report: &ScanReport, look: Look) -> String {
    let mut out = format!("\n  scanned   {}\n", plain(&report.subject.reference));
    if let Some(hardened) = &report.hardened {
        out += &format!("  hardened  {}\n", plain(&hardened.reference));
    }
    if let Some(distribution) = &report.subject.distribution {
        out += &format!("  system    {}\n", plain(distribution));
    }
    out += &format!("  packages  {}\n", report.packages.len());
    out +=
        &format!("  database  of {}\n", plain(report.database.built.get(..10).unwrap_or("an unknown date")));
    if let Some(profile) = &report.profile {
        out += &format!("  profile   {}\n", plain(&profile.coverages.join(", ")));
    }
    out += &counts(report, look);
    let open: Vec<&ScannedFinding> = report.open().collect();
    if open.is_empty() {
        out += "\n  No known vulnerabilities.\n";
    } else {
        out.push('\n');
        out += &findings(&open[..open.len().min(look.rows)], look);
        if open.len() > look.rows {
            out += &format!("  … and {} more: --top 0 lists all\n", open.len() - look.rows);
        }
    }
    if report.counts.weak > 0 {
        out += &format!(
            "\n  {} of these rest on weak evidence: {}\n",
            report.counts.weak,
            "only changelogs name them, and no annotation says whether this release is hit."
        );
    }
    if report.counts.settled > 0 {
        out += &format!("\n  {} more are settled by a list or a VEX document.\n", report.counts.settled);
    }
    for warning in &report.warnings {
        out += &format!("\n  warning   {}\n", plain(warning));
    }
    out
}

fn counts(report: &ScanReport, look: Look) -> String {
    let mut out = String::new();
    if let Some(change) = &report.change {
        let fewer = change.percent_fewer().map(|fewer| format!(", {fewer:.0} % fewer")).unwrap_or_default();
        out += &format!("  findings  {} before, {} after{fewer}\n", change.before, change.after);
    } else {
        out += &format!("  findings  {}\n", report.counts.total);
    }
    if report.counts.by_severity.is_empty() {
        return out;
    }
    let number = |value: u64, colour| Cell { text: value.to_string(), colour, link: None };
    let by_heat = report.counts.by_heat;
    let all = [
        ("hot", by_heat.hot),
        ("warm", by_heat.warm),
        ("cold", by_heat.cold),
        ("not recorded", by_heat.not_recorded),
        ("gone", by_heat.gone),
    ];
    let columns: Vec<usize> = (0..all.len()).filter(|column| all[*column].1 > 0).collect();
    let mut rows = vec![
        std::iter::once(cell(""))
            .chain(columns.iter().map(|column| cell(all[*column].0)))
            .collect::<Vec<_>>(),
    ];
    for severity in SEVERITIES {
        let Some(count) = report.counts.by_severity.get(&severity) else { continue };
        let values = [count.hot, count.warm, count.cold, count.not_recorded, count.gone];
        let mut row = vec![Cell { text: severity.name().to_owned(), colour: colour(severity), link: None }];
        row.extend(columns.iter().map(|column| number(values[*column], PLAIN)));
        rows.push(row);
    }
    out + "\n" + &grid(&rows, look, true)
}

fn findings(findings: &[&ScannedFinding], look: Look) -> String {
    let header =
        ["vulnerability", "severity", "cvss", "epss", "heat", "package", "installed", "fixed", "notes"];
    let mut rows: Vec<Vec<Cell>> = vec![header.iter().map(|name| cell(name)).collect()];
    for found in findings {
        let finding = &found.finding;
        // In context, and of what.
        let cvss = found.contextual.as_ref().map(|context| match context.score == context.base {
            true => format!("{:.1}", context.score),
            false => format!("{:.1} of {:.1}", context.score, context.base),
        });
        let heat_colour = match found.heat {
            advisories::Heat::Hot => "31",
            advisories::Heat::Warm => "33",
            advisories::Heat::Cold => "36",
            _ => PLAIN,
        };
        let bold = if finding.exploited.is_some() { BOLD } else { PLAIN };
        rows.push(vec![
            Cell { text: finding.vulnerability.clone(), colour: bold, link: Some(found.url()) },
            Cell { text: finding.severity.name().to_owned(), colour: colour(finding.severity), link: None },
            cell(&cvss.unwrap_or_default()),
            cell(&finding.epss.map(|epss| percent(epss.score)).unwrap_or_default()),
            Cell { text: words::heat(found.heat).to_owned(), colour: heat_colour, link: None },
            cell(&finding.name),
            cell(&finding.installed),
            cell(finding.fixed.first().map_or("", String::as_str)),
            cell(&words::notes(found).join(", ")),
        ]);
    }
    grid(&rows, look, false)
}

fn cell(text: &str) -> Cell {
    Cell { text: plain(text), colour: PLAIN, link: None }
}

fn colour(severity: Rank) -> &'static str {
    match severity {
        Rank::Critical => "1;31",
        Rank::High => "31",
        Rank::Medium => "33",
        Rank::Low => "36",
        Rank::Negligible | Rank::Unknown => "2",
    }
}

/// Aligned rows, the first being the header. Where a line would be too wide, the widest columns of names and versions
/// give way; where numbers stand, they stand to the right.
fn grid(rows: &[Vec<Cell>], look: Look, numbers: bool) -> String {
    const GAP: usize = 2;
    const LEAST: usize = 8;
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width_of = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count()).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..columns).map(width_of).collect();
    if let Some(limit) = look.width {
        loop {
            let total: usize = widths.iter().filter(|width| **width > 0).map(|width| width + GAP).sum();
            // The first two columns say what it is, and stay.
            let widest = widths.iter().enumerate().skip(2).max_by_key(|(_, width)| **width);
            match widest {
                Some((column, width)) if total > limit && *width > LEAST => widths[column] -= 1,
                _ => break,
            }
        }
    }
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        let mut line = String::new();
        let last = (0..row.len()).rev().find(|column| !row[*column].text.is_empty());
        for (column, cell) in row.iter().enumerate().filter(|(column, _)| widths[*column] > 0) {
            if last.is_none_or(|last| column > last) {
                break;
            }
            let width = widths[column];
            let shown = cut(&cell.text, width);
            let padding = " ".repeat(width - shown.chars().count());
            let painted = paint(cell, &shown, look, number == 0);
            line += "  ";
            line += &match numbers && column > 0 {
                true => format!("{padding}{painted}"),
                false if Some(column) == last => painted,
                false => format!("{painted}{padding}"),
            };
        }
        out += &line;
        out.push('\n');
    }
    out
}

/// At most so many characters; what is cut ends in a mark.
fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

fn paint(cell: &Cell, shown: &str, look: Look, is_header: bool) -> String {
    let code = if is_header { BOLD } else { cell.colour };
    let mut text = shown.to_owned();
    if look.colour && !code.is_empty() {
        text = format!("\u{1b}[{code}m{text}\u{1b}[0m");
    }
    match &cell.link {
        // OSC 8: terminals that do not know it show the text alone.
        Some(link) if look.links => format!("\u{1b}]8;;{}\u{1b}\\{text}\u{1b}]8;;\u{1b}\\", plain(link)),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::tests::report;

    const BARE: Look = Look { width: None, colour: false, links: false, rows: 100 };

    #[test]
    fn what_to_look_at_first_stands_first() {
        let text = text(&report(), BARE);
        let rows: Vec<_> = text.lines().filter(|line| line.trim_start().starts_with("CVE")).collect();
        assert_eq!(rows.len(), 3, "{text}");
        assert!(rows[0].contains("CVE-2026-1") && rows[0].contains("exploited"), "{text}");
        assert!(text.contains("4 before, 3 after, 25 % fewer"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn no_line_of_a_table_is_wider_than_the_terminal() {
        let mut report = report();
        report.findings[0].finding.installed = "1".repeat(200);
        report.findings[1].finding.name = "n".repeat(90);
        for width in [90, 100, 140] {
            let text = text(&report, Look { width: Some(width), ..BARE });
            let rows = text.lines().filter(|line| line.contains("CVE-") || line.contains("vulnerability"));
            for line in rows {
                assert!(line.chars().count() <= width, "{} > {width}: {line}", line.chars().count());
            }
        }
    }

    #[test]
    fn foreign_text_cannot_move_the_cursor_nor_end_a_link() {
        let mut report = report();
        report.findings[0].finding.name = "a\u{1b}[2Jb\n\u{202e}c".into();
        let text = text(&report, Look { links: true, ..BARE });
        assert!(text.contains("a\u{fffd}[2Jb\u{fffd}\u{fffd}c"), "{text:?}");
    }
}
