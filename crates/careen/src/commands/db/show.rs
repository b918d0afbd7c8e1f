//! `careen db show`: all that the database knows of a vulnerability.

use advisories::Severity;
use advisories::database::Vulnerability;
use serde::Serialize;

use crate::cli::DbArgs;
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::output;

#[derive(Serialize)]
struct Shown {
    /// As asked for.
    name: String,
    /// What it stands for: one, or those that an advisory fixes.
    vulnerabilities: Vec<Vulnerability>,
}

/// Prints what is known.
pub(super) fn run(context: &Context, args: &DbArgs, name: &str) -> Result<(), Failure> {
    let database = super::open(context, args)?;
    let tried = format!("cannot look up {name}");
    let failed = |error| super::failed(&tried, error);
    // CVE names are often typed in small letters; those of GitHub end in them.
    let upper = name.to_uppercase();
    let mut ids = database.resolve(name).map_err(failed)?;
    if ids.is_empty() {
        ids = database.resolve(&upper).map_err(failed)?;
    }
    if ids.is_empty() {
        return Err(Failure::new(ExitCode::Failure, format!("the database knows nothing of {name}"))
            .hint("`careen db status` lists what it was built from, and how old that is".to_owned()));
    }
    let mut vulnerabilities = Vec::new();
    for id in ids {
        vulnerabilities.extend(database.vulnerability(&id).map_err(failed)?);
    }
    output::print(context.output, &Shown { name: name.to_owned(), vulnerabilities }, text)
}

fn text(shown: &Shown) -> String {
    let one = |vulnerability| one(vulnerability);
    match shown.vulnerabilities.as_slice() {
        [vulnerability] => one(vulnerability),
        several => {
            let head = format!("{} is about {} vulnerabilities\n\n", shown.name, several.len());
            head + &several.iter().map(one).collect::<Vec<_>>().join("\n")
        }
    }
}

fn one(vulnerability: &Vulnerability) -> String {
    let mut out = vulnerability.id.clone();
    let aliases: Vec<_> = vulnerability.aliases.iter().map(String::as_str).collect();
    if !aliases.is_empty() {
        out += &format!(" ({})", aliases.join(", "));
    }
    out.push('\n');
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            out += &format!("  {name:12} {value}\n");
        }
    };
    line("summary", vulnerability.summary.clone());
    line("published", vulnerability.published.clone().unwrap_or_default());
    line("withdrawn", vulnerability.withdrawn.clone().unwrap_or_default());
    for rating in &vulnerability.severities {
        let severity = match &rating.severity {
            Severity::Cvss(text) | Severity::Word(text) => text,
        };
        line("severity", format!("{severity}, says {}", rating.by));
    }
    line("weaknesses", vulnerability.weaknesses.iter().cloned().collect::<Vec<_>>().join(", "));
    if let Some(kev) = &vulnerability.exploited {
        let ransomware = if kev.ransomware { ", by extortionists too" } else { "" };
        line("exploited", format!("known since {}{ransomware}: {}", kev.added, kev.name));
    }
    if let Some(epss) = vulnerability.epss {
        let (score, percentile) = (epss.score * 100.0, epss.percentile * 100.0);
        line("EPSS", format!("{score:.2} % within 30 days, higher than {percentile:.1} % of all"));
    }
    if let Some(ssvc) = &vulnerability.ssvc {
        let (exploitation, automatable) = (&ssvc.exploitation, &ssvc.automatable);
        let impact = &ssvc.technical_impact;
        line("SSVC", format!("exploitation {exploitation}, automatable {automatable}, impact {impact}"));
    }
    for advisory in &vulnerability.advisories {
        line("advisory", format!("{} ({})", advisory.id, advisory.source));
    }
    for reference in &vulnerability.references {
        line("see", reference.clone());
    }
    out
}
