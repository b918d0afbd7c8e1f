//! Words that several forms share.

use advisories::Heat;
use advisories::matching::Rank;
use advisories::scan::{ScannedFinding, SymbolPresence};

pub(crate) const SEVERITIES: [Rank; 6] =
    [Rank::Critical, Rank::High, Rank::Medium, Rank::Low, Rank::Negligible, Rank::Unknown];

pub(crate) fn heat(heat: Heat) -> &'static str {
    match heat {
        Heat::Hot => "hot",
        Heat::Warm => "warm",
        Heat::Cold => "cold",
        Heat::NotRecorded => "not recorded",
        Heat::Gone => "gone",
    }
}

/// What a reader should know of a finding beside its columns, in a few words each.
pub(crate) fn notes(found: &ScannedFinding) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(kev) = &found.finding.exploited {
        notes.push(if kev.ransomware { "exploited (ransomware)" } else { "exploited" }.to_owned());
    }
    match &found.symbols_in_binary {
        Some(SymbolPresence::NotInBinary { .. }) => notes.push("not in binary".to_owned()),
        Some(SymbolPresence::InBinary { .. }) => notes.push("in binary".to_owned()),
        None => {}
    }
    if found.partial {
        notes.push("partly removed".to_owned());
    }
    notes.extend(found.state_text().map(str::to_owned));
    if found.weak.is_some() {
        notes.push("weak evidence".to_owned());
    }
    notes
}

/// One paragraph on a finding for whoever fixes it.
pub(crate) fn explain(found: &ScannedFinding) -> String {
    let finding = &found.finding;
    let mut text = format!("{} {} is hit by {}", finding.name, finding.installed, finding.vulnerability);
    if !finding.summary.is_empty() {
        text += &format!(": {}", finding.summary.trim_end_matches(|c: char| c == '.' || c.is_whitespace()));
    }
    let end = if text.ends_with(['…', '!', '?']) { "" } else { "." };
    text += &format!("{end} {}", path(found));
    if let Some(presence) = &found.symbols_in_binary {
        text += &format!(" {}", presence.text());
    }
    match finding.fixed.as_slice() {
        [] => text += " No fixed version is known.",
        fixed => text += &format!(" Fixed in {}.", fixed.join(", ")),
    }
    if let Some(epss) = finding.epss {
        text += &format!(" Probability of exploitation within 30 days: {}.", percent(epss.score));
    }
    let notes = notes(found);
    if !notes.is_empty() {
        text += &format!(" Notes: {}.", notes.join(", "));
    }
    text
}

/// What is known of the execution path, as a sentence.
pub(crate) fn path(found: &ScannedFinding) -> &'static str {
    match found.heat {
        Heat::Hot => "Code of the package ran.",
        Heat::Warm => "The workload used data of the package, and none of its code.",
        Heat::Cold => "No recorded run used anything of the package.",
        Heat::NotRecorded => "Whether the workload uses the package was not recorded.",
        Heat::Gone => "The hardening removed the package.",
    }
}

/// `93 %`, `0.04 %`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        _ if percent >= 10.0 => format!("{percent:.0} %"),
        _ if percent >= 1.0 => format!("{percent:.1} %"),
        _ => format!("{percent:.2} %"),
    }
}

/// A text without what would move a terminal's cursor or break a line.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_bidi(c) { '\u{fffd}' } else { c }).collect()
}

fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A digest of a few texts, in hexadecimal: a name that is the same in every run.
pub(crate) fn fingerprint(parts: &[&str]) -> String {
    image::Digest::of(parts.join("\0").as_bytes()).hex()
}
