//! Known vulnerabilities on the page: what the scan found in the original, and how each fares after the hardening.

use advisories::Heat;
use advisories::matching::Rank;
use advisories::scan::{ScanReport, SymbolPresence};
use serde::Serialize;

use crate::shown::visible;
use crate::text::count_text;

/// Most findings that stand in the page without its script.
const MOST: usize = 100;

/// The findings of a scan of the original.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// What was searched, in one line for each source: its name and its date.
    pub sources: Vec<String>,
    /// The findings, the most pressing first; what is settled is left out.
    pub rows: Vec<Row>,
    /// How many are settled by the user's list or by a VEX document.
    pub settled: usize,
}

/// One vulnerability in one package.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name: `CVE-2024-1234`.
    pub vulnerability: String,
    /// What it is about, in one line; empty if nobody says.
    pub summary: String,
    /// The package's name.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// Versions that fix it.
    pub fixed: Vec<String>,
    /// How bad it is.
    pub severity: Rank,
    /// How likely it is to be exploited within 30 days, 0 to 1.
    pub epss: Option<f64>,
    /// Whether it is known to be exploited.
    pub exploited: bool,
    /// How far the package is in the execution path; gone if nothing of it is left.
    pub heat: Heat,
    /// Whether only a part of the package is left.
    pub partial: bool,
    /// Whether its vulnerable functions are in the program, as a sentence; empty where that cannot be told.
    pub symbols: String,
    /// Whether they are not.
    pub not_in_binary: bool,
    /// What of the package was used, by what, in which step; empty if nothing was, or nobody looked.
    pub used: Vec<String>,
}

impl Findings {
    /// How many are left after the hardening.
    pub fn left(&self) -> usize {
        self.rows.iter().filter(|row| row.heat != Heat::Gone).count()
    }
}

/// Most used files of a package that a finding names.
const MOST_USED: usize = 5;

impl From<&ScanReport> for Findings {
    fn from(report: &ScanReport) -> Self {
        let source = |source: &advisories::database::Source| {
            let dated = source.newest.as_deref().map(|date| format!(" of {date}")).unwrap_or_default();
            format!("{}{dated}", source.name)
        };
        let open = report.findings.iter().filter(|finding| finding.settled.is_none());
        let rows: Vec<Row> = open
            .map(|scanned| {
                let finding = &scanned.finding;
                let usage =
                    report.packages.get(finding.package.0).map(|package| package.usage.used.as_slice());
                Row {
                    vulnerability: finding.vulnerability.clone(),
                    summary: finding.summary.clone(),
                    package: finding.name.clone(),
                    version: finding.installed.clone(),
                    fixed: finding.fixed.clone(),
                    severity: finding.severity,
                    epss: finding.epss.as_ref().map(|epss| epss.score),
                    exploited: finding.exploited.is_some(),
                    heat: scanned.heat,
                    partial: scanned.partial,
                    symbols: scanned.symbols_in_binary.as_ref().map(SymbolPresence::text).unwrap_or_default(),
                    not_in_binary: matches!(
                        scanned.symbols_in_binary,
                        Some(SymbolPresence::NotInBinary { .. })
                    ),
                    used: usage.unwrap_or_default().iter().take(MOST_USED).map(used_text).collect(),
                }
            })
            .collect();
        Self {
            sources: report.database.sources.iter().map(source).collect(),
            settled: report.findings.len() - rows.len(),
            rows,
        }
    }
}

/// A used file, how, by what, when.
fn used_text(used: &advisories::heat::UsedFile) -> String {
    let kinds: Vec<_> = used.kinds.iter().map(|kind| kind.name()).collect();
    let by = used.processes.first().map(|process| format!(" by {}", process.exe)).unwrap_or_default();
    format!("{}: {}{by} in step {}", used.path, kinds.join(", "), used.step)
}

/// The findings as the template shows them.
pub(crate) struct FindingsText {
    pub(crate) account: String,
    pub(crate) sources: Vec<String>,
    pub(crate) heats: Vec<&'static str>,
    pub(crate) severities: Vec<SeverityText>,
    pub(crate) rows: Vec<RowText>,
    /// How many findings are not among the rows; empty if none.
    pub(crate) more: String,
}

/// How many findings of one severity there are, by heat.
pub(crate) struct SeverityText {
    pub(crate) name: &'static str,
    pub(crate) cells: Vec<CellText>,
    pub(crate) total: String,
}

/// One field of that table.
pub(crate) struct CellText {
    pub(crate) heat: &'static str,
    pub(crate) count: String,
    pub(crate) is_empty: bool,
}

/// One finding.
#[derive(Serialize)]
pub(crate) struct RowText {
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) package: String,
    pub(crate) version: String,
    pub(crate) fixed: String,
    pub(crate) severity: &'static str,
    /// Of the severity, for sorting; the worst is the highest.
    pub(crate) rank: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) epss: Option<f64>,
    #[serde(skip)]
    pub(crate) epss_text: String,
    pub(crate) exploited: bool,
    pub(crate) heat: &'static str,
    pub(crate) partial: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) symbols: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) not_in_binary: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) used: Vec<String>,
}

/// All findings for the script.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Packed(Vec<RowText>);

impl From<&Findings> for Packed {
    fn from(findings: &Findings) -> Self {
        Self(findings.rows.iter().map(RowText::from).collect())
    }
}

impl From<&Row> for RowText {
    fn from(row: &Row) -> Self {
        Self {
            name: visible(&row.vulnerability),
            summary: visible(&row.summary),
            package: visible(&row.package),
            version: visible(&row.version),
            fixed: visible(&row.fixed.join(", ")),
            severity: severity_name(row.severity),
            rank: SEVERITIES.iter().rev().position(|severity| *severity == row.severity).unwrap_or(0),
            epss: row.epss,
            epss_text: row.epss.map_or_else(|| "–".to_owned(), |score| format!("{:.1} %", score * 100.0)),
            exploited: row.exploited,
            heat: heat_name(row.heat),
            partial: row.partial,
            symbols: visible(&row.symbols),
            not_in_binary: row.not_in_binary,
            used: row.used.iter().map(|used| visible(used)).collect(),
        }
    }
}

const HEATS: [Heat; 5] = [Heat::Hot, Heat::Warm, Heat::Cold, Heat::NotRecorded, Heat::Gone];
const SEVERITIES: [Rank; 6] =
    [Rank::Critical, Rank::High, Rank::Medium, Rank::Low, Rank::Negligible, Rank::Unknown];

fn heat_name(heat: Heat) -> &'static str {
    match heat {
        Heat::Hot => "hot",
        Heat::Warm => "warm",
        Heat::Cold => "cold",
        Heat::NotRecorded => "not recorded",
        Heat::Gone => "gone",
    }
}

fn severity_name(severity: Rank) -> &'static str {
    match severity {
        Rank::Critical => "critical",
        Rank::High => "high",
        Rank::Medium => "medium",
        Rank::Low => "low",
        Rank::Negligible => "negligible",
        Rank::Unknown => "unknown",
    }
}

impl From<&Findings> for FindingsText {
    fn from(findings: &Findings) -> Self {
        let rows = &findings.rows;
        let count = |severity: Option<Rank>, heat: Option<Heat>| {
            let fits =
                |row: &&Row| severity.is_none_or(|s| s == row.severity) && heat.is_none_or(|h| h == row.heat);
            rows.iter().filter(fits).count() as u64
        };
        let heats: Vec<Heat> = HEATS
            .into_iter()
            .filter(|heat| *heat != Heat::NotRecorded || count(None, Some(*heat)) > 0)
            .collect();
        let line = |name, severity| SeverityText {
            name,
            cells: heats
                .iter()
                .map(|heat| {
                    let count = count(severity, Some(*heat));
                    CellText { heat: heat_name(*heat), count: count_text(count), is_empty: count == 0 }
                })
                .collect(),
            total: count_text(count(severity, None)),
        };
        let mut severities: Vec<_> = SEVERITIES
            .into_iter()
            .filter(|severity| count(Some(*severity), None) > 0)
            .map(|severity| line(severity_name(severity), Some(severity)))
            .collect();
        severities.push(line("all", None));
        let (gone, exploited) =
            (count(None, Some(Heat::Gone)), rows.iter().filter(|row| row.exploited).count() as u64);
        let more = rows.len().saturating_sub(MOST) as u64;
        let mut account = format!(
            "{} in the original, {} of them in packages that are gone now; {} in packages whose code ran; {} known to be \
             exploited.",
            count_text(rows.len() as u64),
            count_text(gone),
            count_text(count(None, Some(Heat::Hot))),
            count_text(exploited)
        );
        if findings.settled > 0 {
            account += &format!(
                " {} more are settled by a list or a VEX document.",
                count_text(findings.settled as u64)
            );
        }
        Self {
            account,
            sources: findings.sources.clone(),
            heats: heats.into_iter().map(heat_name).collect(),
            severities,
            rows: rows.iter().take(MOST).map(RowText::from).collect(),
            more: if more > 0 { count_text(more) } else { String::new() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(severity: Rank, heat: Heat) -> Row {
        Row {
            vulnerability: "CVE-1".into(),
            summary: String::new(),
            package: "zlib1g".into(),
            version: "1".into(),
            fixed: Vec::new(),
            severity,
            epss: None,
            exploited: false,
            heat,
            partial: false,
            symbols: String::new(),
            not_in_binary: false,
            used: Vec::new(),
        }
    }

    #[test]
    fn findings_are_counted_by_severity_and_heat() {
        let rows = vec![row(Rank::High, Heat::Hot), row(Rank::High, Heat::Gone), row(Rank::Low, Heat::Cold)];
        let findings = Findings { sources: Vec::new(), rows, settled: 0 };
        assert_eq!(findings.left(), 2);
        let text = FindingsText::from(&findings);
        assert_eq!(text.heats, ["hot", "warm", "cold", "gone"]);
        let table: Vec<_> = text
            .severities
            .iter()
            .map(|line| {
                (line.name, line.cells.iter().map(|cell| cell.count.as_str()).collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(
            table,
            [("high", "1 0 0 1".into()), ("low", "0 0 1 0".into()), ("all", "1 0 1 1".to_owned())]
        );
    }
}
