//! What may be said of findings, and on what it rests.
//!
//! Of what was removed it is certain that it is gone. Of what is there and was not seen in use nothing is certain: a
//! profile is as good as the coverage that made it, so such a finding stays open unless the user takes it upon himself.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;

use image::{Digest, ImagePath};
use packages::purl::Purl;
use profile::Profile;

use super::{Fix, Justification, Product, Statement, Status};
use crate::matching::Finding;
use crate::scan::SymbolPresence;
use crate::{FixState, Heat, PackageUse};

/// How many paths a statement names at most.
pub const MAX_PATHS: usize = 20;

/// What there is to know of one package.
#[derive(Debug, Clone)]
pub struct Ground {
    /// How it was used, and whether it is gone.
    pub usage: PackageUse,
    /// What a hardening left of it.
    pub remains: Remains,
    /// Whether vulnerable functions are in the program that it is in, by vulnerability.
    pub symbols: BTreeMap<String, SymbolPresence>,
}

/// What a hardening left of a package.
#[derive(Debug, Clone, Default)]
pub struct Remains {
    /// Whether there was a hardening, and its ledger tells of this package.
    pub known: bool,
    /// Files that are gone and may hold code, each with the digest of its content where it was read.
    pub removed_code: BTreeMap<ImagePath, Option<Digest>>,
    /// Other files that are gone.
    pub removed_other: u64,
    /// Files that are left and may hold code.
    pub kept_code: u64,
    /// Other files that are left.
    pub kept_other: u64,
}

/// What the runs behind a profile covered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Names of the coverages, in order of the runs.
    pub names: Vec<String>,
    /// Runs.
    pub runs: u64,
    /// Steps of all runs.
    pub steps: u64,
    /// The last of these steps, counted from 1, that used anything for the first time; 0 for the start.
    pub last_new: u64,
    /// Paths that were used.
    pub paths: u64,
    /// Whether every run was recorded without loss.
    pub complete: bool,
}

/// What the user decides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// Claim that code which no run executed is not in the execution path.
    pub claim_not_executed: bool,
    /// Name packages as products of their own too: for scans that do not know the image's digest.
    pub bare_packages: bool,
}

/// What can be said of findings, in order of vulnerability, then package.
///
/// `findings` are those of the original; `grounds` are in the order of the packages that were searched. `images`
/// are names of the image that is spoken of, after a hardening of the hardened one. One package
/// version makes one statement, wherever and for however many architectures it lies there.
pub fn claims(
    findings: &[Finding],
    grounds: &[Ground],
    coverage: &Coverage,
    images: &[String],
    wishes: Wishes,
) -> Vec<Statement> {
    let mut statements: BTreeMap<(String, String), Statement> = BTreeMap::new();
    // A notice that nobody maintains a package is no vulnerability to state anything of.
    for finding in findings.iter().filter(|finding| finding.state != FixState::Informational) {
        let Some(ground) = grounds.get(finding.package.0) else { continue };
        let statement = claim(finding, ground, coverage, images, wishes);
        match statements.entry((finding.vulnerability.clone(), bare(&finding.purl))) {
            Entry::Vacant(place) => drop(place.insert(statement)),
            Entry::Occupied(mut place) => join(place.get_mut(), statement),
        }
    }
    statements.into_values().collect()
}

/// Joins what is said of the same package version in another place: the worst holds, and of what is alike both grounds.
fn join(known: &mut Statement, other: Statement) {
    let weight = |one: &Statement| (one.status.weight(), one.justification);
    match weight(&other).cmp(&weight(known)) {
        Ordering::Greater => *known = other,
        Ordering::Equal if !known.impact.contains(&other.impact) => {
            known.impact.push(' ');
            known.impact.push_str(&other.impact);
        }
        _ => {}
    }
}

fn claim(
    finding: &Finding,
    ground: &Ground,
    coverage: &Coverage,
    images: &[String],
    wishes: Wishes,
) -> Statement {
    let (status, justification, impact) = verdict(finding, ground, coverage, wishes);
    let package = bare(&finding.purl);
    let names = spellings(package);
    let whole = |image: &String| Product { names: vec![image.clone()], subcomponents: names.clone() };
    let mut products: Vec<Product> = images.iter().map(whole).collect();
    if wishes.bare_packages {
        // As a part of itself: what a product has no parts named of, Trivy takes for all that the product depends on, and
        // a package of which a setting is left would settle the library that it needs.
        let alone = |name: String| Product { names: vec![name.clone()], subcomponents: vec![name] };
        products.extend(names.into_iter().map(alone));
    }
    let fix = match finding.state {
        _ if !finding.fixed.is_empty() => Fix::Known,
        FixState::Ignored | FixState::EndOfLife => Fix::Refused,
        _ => Fix::None,
    };
    let action = if status == Status::Affected { action(finding) } else { String::new() };
    Statement {
        vulnerability: finding.vulnerability.clone(),
        aliases: finding.aliases.clone(),
        products,
        status,
        justification,
        impact,
        action,
        fix,
        timestamp: String::new(),
    }
}

fn verdict(
    finding: &Finding,
    ground: &Ground,
    coverage: &Coverage,
    wishes: Wishes,
) -> (Status, Option<Justification>, String) {
    let name = format!("{} {}", finding.name, finding.installed);
    let Ground { usage, remains, symbols } = ground;
    if usage.heat == Heat::Gone && remains.known {
        let impact = format!(
            "All {} of {name} were removed from the image; nothing but documents and licences of it is left. {}",
            files(usage.files_before),
            listed(remains)
        );
        return (Status::NotAffected, Some(Justification::ComponentNotPresent), impact.trim_end().to_owned());
    }
    if remains.known && remains.kept_code == 0 && !remains.removed_code.is_empty() {
        let impact = format!(
            "Every file of {name} that can hold code was removed from the image; what is left is data: {}. {}",
            files(remains.kept_other),
            listed(remains)
        );
        return (Status::NotAffected, Some(Justification::VulnerableCodeNotPresent), impact);
    }
    if let Some(presence @ SymbolPresence::NotInBinary { .. }) = symbols.get(&finding.vulnerability) {
        return (Status::NotAffected, Some(Justification::VulnerableCodeNotPresent), presence.text());
    }
    let left = match remains.removed_code.len() as u64 + remains.removed_other {
        0 => String::new(),
        removed => format!(" {} of it were removed, {} are left.", files(removed), usage.files_left),
    };
    match usage.heat {
        Heat::Hot => {
            let hot = usage.used.first().map(|used| {
                let process =
                    used.processes.first().map(|process| process.exe.as_str()).unwrap_or("a process");
                let kinds: Vec<_> = used.kinds.iter().map(|kind| kind.name()).collect();
                format!(
                    ": {} ({}) by {process} in step {} of coverage {}",
                    used.path,
                    kinds.join(", "),
                    used.step,
                    used.coverage
                )
            });
            let text = format!("Code of {name} was seen in use{}.{left}", hot.unwrap_or_default());
            (Status::Affected, None, text)
        }
        Heat::Warm => {
            let text = format!(
                "{name} is in the image; data of it was read or looked up, no code of it was seen to run. {}{left}",
                covered(coverage)
            );
            (Status::UnderInvestigation, None, text)
        }
        Heat::Cold if wishes.claim_not_executed && coverage.complete && coverage.runs > 0 => {
            let text = format!(
                "{name} is in the image, and no run executed, mapped or read any file of it. {} That it is never used \
                 otherwise is the author's claim.{left}",
                covered(coverage)
            );
            (Status::NotAffected, Some(Justification::VulnerableCodeNotInExecutePath), text)
        }
        Heat::Cold => {
            let text = format!(
                "{name} is in the image, and no run executed, mapped or read any file of it. {} That is no proof that it \
                 is never used.{left}",
                covered(coverage)
            );
            (Status::UnderInvestigation, None, text)
        }
        Heat::NotRecorded | Heat::Gone => {
            let text = format!("{name} is in the image; nobody has recorded what of it is used.{left}");
            (Status::UnderInvestigation, None, text)
        }
    }
}

/// The removed code by name, with digests of what it was.
fn listed(remains: &Remains) -> String {
    let mut text = String::new();
    for (path, digest) in remains.removed_code.iter().take(MAX_PATHS) {
        let separator = if text.is_empty() { "Removed: " } else { ", " };
        let _ = write!(text, "{separator}{path}");
        if let Some(digest) = digest {
            let _ = write!(text, " ({digest})");
        }
    }
    let unnamed = remains.removed_code.len().saturating_sub(MAX_PATHS) as u64 + remains.removed_other;
    match (text.is_empty(), unnamed) {
        (true, _) => text,
        (false, 0) => text + ".",
        (false, more) => format!("{text}, and {more} more."),
    }
}

/// What the runs covered, and whether they still brought news at the end.
fn covered(coverage: &Coverage) -> String {
    let Coverage { names, runs, steps, last_new, paths, complete } = coverage;
    let plural = |count: &u64, word: &str| format!("{count} {word}{}", if *count == 1 { "" } else { "s" });
    let news = match last_new {
        0 => "nothing new after the start".to_owned(),
        last if last == steps => "the last step still used something new".to_owned(),
        last => format!("nothing new after step {last}"),
    };
    let lost = if *complete { "recorded without loss" } else { "the record has gaps" };
    let (runs, steps, paths) = (plural(runs, "run"), plural(steps, "step"), plural(paths, "path"));
    format!("Coverage {}: {runs}, {steps}, {paths} used, {news}, {lost}.", names.join(", "))
}

fn action(finding: &Finding) -> String {
    let asked = finding.evidence.first();
    let package = asked.map_or(finding.name.as_str(), |evidence| evidence.package.as_str());
    match (finding.fixed.last(), finding.state) {
        (Some(fixed), _) => format!("Update {package} to {fixed} or later."),
        (None, FixState::Ignored) => {
            format!("The source will not fix {package} in this release; replace or confine it.")
        }
        (None, FixState::EndOfLife) => {
            format!("The release is no longer looked after: move {package} to a newer one.")
        }
        (None, _) => format!("No fixed version of {package} is known yet; watch for one."),
    }
}

fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// The package URL without qualifiers: each scanner has others, and what is not there always matches.
pub fn bare(purl: &str) -> String {
    let Some(parsed) = Purl::parse(purl) else { return purl.to_owned() };
    let mut names: Vec<&str> = parsed.namespace.split('/').collect();
    names.push(&parsed.name);
    packages::purl::of(&parsed.kind, &names, &parsed.version, &[])
}

/// The package URL, and as Trivy writes it where the version has an epoch: as a qualifier.
fn spellings(package: String) -> Vec<String> {
    let other =
        Purl::parse(&package).filter(|purl| matches!(purl.kind.as_str(), "deb" | "rpm")).and_then(|purl| {
            let (epoch, version) = purl.version.split_once(':')?;
            let mut names: Vec<&str> = purl.namespace.split('/').collect();
            names.push(&purl.name);
            Some(packages::purl::of(&purl.kind, &names, version, &[("epoch", epoch)]))
        });
    [package].into_iter().chain(other).collect()
}

impl Coverage {
    /// What the runs of a profile covered.
    pub fn of(profile: &Profile) -> Self {
        let mut starts = Vec::with_capacity(profile.runs.len());
        let mut steps = 0_u64;
        for run in &profile.runs {
            starts.push(steps);
            steps += run.steps.len() as u64;
        }
        let firsts = profile.used().filter_map(|(_, usage)| usage.first());
        let number = |usage: &profile::Usage| match usage.first_step.0 {
            // The start of a later run comes after the steps of the one before.
            0 => starts.get(usage.first_run as usize).copied(),
            step => starts.get(usage.first_run as usize).map(|start| start + u64::from(step)),
        };
        let last_new = firsts.filter_map(|(_, usage)| number(usage)).max().unwrap_or(0);
        let mut names: Vec<String> = Vec::new();
        for run in &profile.runs {
            if !names.contains(&run.coverage) {
                names.push(run.coverage.clone());
            }
        }
        Self {
            names,
            runs: profile.runs.len() as u64,
            steps,
            last_new,
            paths: profile.used().count() as u64,
            complete: profile.verdict().is_complete(),
        }
    }
}
