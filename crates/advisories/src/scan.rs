//! The result of a scan: which vulnerabilities an image has, which of them matter, and what a hardening changed.
//!
//! [`ScanReport::new`] looks at the packages of the original, whatever was removed since: a finding is gone when no file
//! of its package is left, and not when a database stops to list it. Schema: `docs/formats/scan.schema.json`.

mod count;

use std::collections::BTreeMap;

use image::{Digest, ImagePath};
use packages::{FileList, PackageDatabase};
use profile::Profile;
use serde::{Deserialize, Serialize};

use crate::context::{Contextual, contextual};
use crate::database::{Database, DatabaseError, Source};
use crate::heat::{PackageUse, uses};
use crate::matching::{self, Finding};
use crate::{FixState, Heat, rank};

pub use count::{BeforeAfter, Change, Counts, HeatCounts};

/// The version of the document that this build writes.
pub const FORMAT_VERSION: u32 = 1;

/// What a scan found. Schema: `docs/formats/scan.schema.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScanReport {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The version of Careen that made it.
    pub careen_version: String,
    /// What was scanned.
    pub subject: Subject,
    /// What became of it, where a hardening is spoken of: findings are those of `subject`, and gone in this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardened: Option<Subject>,
    /// The database that was asked.
    pub database: Provenance,
    /// The profile that tells hot from cold; none where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileSummary>,
    /// The installed packages of the subject, in their order.
    pub packages: Vec<ScannedPackage>,
    /// The findings, what to look at first standing first.
    pub findings: Vec<ScannedFinding>,
    /// The findings by severity and heat, what is settled left out.
    pub counts: Counts,
    /// Before and after the hardening, where one is spoken of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// An image, or a list of packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The reference as the user wrote it.
    pub reference: String,
    /// Digest of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_digest: Option<Digest>,
    /// Digest of the config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<Digest>,
    /// Its platform, `linux/amd64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The distribution, `Debian GNU/Linux 12 (bookworm)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<String>,
}

/// The database that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Provenance {
    /// When it was built, RFC 3339.
    pub built: String,
    /// What built it.
    pub generator: String,
    /// What it was built from; those of which nothing was used are left out.
    pub sources: Vec<Source>,
}

/// The profile that a scan went by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileSummary {
    /// The coverages that ran, in order, each once.
    pub coverages: Vec<String>,
    /// How many runs.
    pub runs: u64,
    /// Whether nothing that ran can have been missed.
    pub complete: bool,
}

/// An installed package, how far it was used, and what was found in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannedPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Who installed it: `dpkg`, `python`, ….
    pub ecosystem: packages::Ecosystem,
    /// Its URL.
    pub purl: String,
    /// The source package that it was built from.
    pub source_name: String,
    /// How far it was used, and what is left of it.
    #[serde(flatten)]
    pub usage: PackageUse,
    /// How many findings it has, what is settled left out.
    pub findings: u64,
}

/// A finding, and what is known of it beyond the advisories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScannedFinding {
    /// What the advisories say. [`Finding::package`] is a place in [`ScanReport::packages`].
    #[serde(flatten)]
    pub finding: Finding,
    /// How far its package is in the execution path.
    pub heat: Heat,
    /// How hot it was on the original, where it is gone now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<Heat>,
    /// Whether only a part of its package is left.
    #[serde(default)]
    pub partial: bool,
    /// CVSS in context; none where no source has a vector of version 3 or 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contextual: Option<Contextual>,
    /// Why the evidence is weak, where it is: a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weak: Option<String>,
    /// Whether a vulnerable function is in the program at all, where that could be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbols_in_binary: Option<SymbolPresence>,
    /// Why nobody need look at it, where a list or a VEX document says so. It does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
}

/// Whether the vulnerable functions of a finding are in the program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "presence")]
pub enum SymbolPresence {
    /// Some are.
    InBinary {
        /// The program.
        file: ImagePath,
        /// The table of its functions that was read.
        table: String,
        /// Those that are, in order; not all if there are many.
        symbols: Vec<String>,
    },
    /// None is, and the program's table of functions is whole.
    NotInBinary {
        /// The program.
        file: ImagePath,
        /// The table of its functions that was read.
        table: String,
        /// Every function that was looked for.
        looked_for: Vec<String>,
    },
}

/// Who settled a finding, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Settled {
    /// The list or document.
    pub by: String,
    /// The status in the words of VEX: `not_affected`, `fixed`; `ignored` for the user's own list; `informational` for
    /// what its source does not call a vulnerability.
    pub status: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Until when it holds, `2027-01-31`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// Which paths of an image are left in another one.
pub type Kept<'a> = &'a dyn Fn(&ImagePath) -> bool;

/// What a scan looks at.
pub struct Scan<'a> {
    /// The version of Careen.
    pub careen_version: &'a str,
    /// What is scanned: the original, where there is a hardened image.
    pub subject: Subject,
    /// Its packages.
    pub packages: &'a PackageDatabase,
    /// What its workload used.
    pub profile: Option<&'a Profile>,
    /// The hardened image, and which paths of the subject it still has.
    pub hardened: Option<(Subject, Kept<'a>)>,
    /// The database to ask.
    pub database: &'a Database,
}

impl ScanReport {
    /// Scans.
    ///
    /// # Errors
    /// [`DatabaseError`] if a part of the database that is needed is damaged.
    pub fn new(scan: Scan<'_>) -> Result<Self, DatabaseError> {
        let Scan { careen_version, mut subject, packages, profile, hardened, database } = scan;
        let found = matching::find(packages, database)?;
        let everything = |_: &ImagePath| true;
        let kept = hardened.as_ref().map_or(&everything as &dyn Fn(&ImagePath) -> bool, |(_, kept)| *kept);
        let uses = uses(packages, profile, kept);
        let mut places = BTreeMap::new();
        let mut listed = Vec::new();
        for (index, (package, usage)) in packages.packages.iter().zip(uses).enumerate() {
            if !package.state.is_installed() {
                continue;
            }
            places.insert(index, listed.len());
            listed.push(ScannedPackage {
                name: package.name.clone(),
                version: package.version.clone(),
                ecosystem: package.ecosystem,
                purl: package.purl.clone(),
                source_name: package.source_name.clone(),
                usage,
                findings: 0,
            });
        }
        let findings = found.into_iter().filter_map(|mut finding| {
            let place = *places.get(&finding.package.0)?;
            finding.package.0 = place;
            let usage = &listed[place].usage;
            Some(ScannedFinding {
                heat: usage.heat,
                was: usage.was,
                partial: usage.partial,
                contextual: contextual(&finding, usage.heat),
                weak: weak(&finding),
                symbols_in_binary: None,
                settled: notice(&finding),
                finding,
            })
        });
        let findings: Vec<_> = findings.collect();
        let mut warnings = warnings(packages, database);
        let profile = profile.map(|profile| summary(profile, &mut warnings));
        subject.distribution = packages.os_release.as_ref().map(|os| {
            let version = os.version_id.as_deref().unwrap_or_default();
            os.pretty_name.clone().unwrap_or_else(|| format!("{} {version}", os.id).trim().to_owned())
        });
        let about = database.about();
        let mut report = Self {
            format_version: FORMAT_VERSION,
            careen_version: careen_version.to_owned(),
            subject,
            hardened: hardened.map(|(subject, _)| subject),
            database: Provenance {
                built: about.built.clone(),
                generator: about.generator.clone(),
                sources: about.sources.iter().filter(|source| source.unused.is_none()).cloned().collect(),
            },
            profile,
            packages: listed,
            findings,
            counts: Counts::default(),
            change: None,
            warnings,
        };
        report.recount();
        Ok(report)
    }

    /// Puts the findings in order and counts them again: to be called by who changed [`ScannedFinding::settled`] or
    /// [`ScannedFinding::symbols_in_binary`].
    pub fn recount(&mut self) {
        self.findings.sort_by(rank::order);
        for package in &mut self.packages {
            package.findings = 0;
        }
        let open = |found: &&ScannedFinding| found.settled.is_none();
        for found in self.findings.iter().filter(open) {
            if let Some(package) = self.packages.get_mut(found.finding.package.0) {
                package.findings += 1;
            }
        }
        self.counts = Counts::of(self.findings.iter());
        self.change = self.hardened.is_some().then(|| Change::of(self.findings.iter().filter(open)));
    }

    /// The findings that count: neither settled nor gone.
    pub fn open(&self) -> impl Iterator<Item = &ScannedFinding> {
        self.findings.iter().filter(|found| found.is_open())
    }
}

impl ScannedFinding {
    /// Whether it counts: it is neither settled nor gone.
    pub fn is_open(&self) -> bool {
        self.settled.is_none() && self.heat != Heat::Gone
    }

    /// Where to read about the vulnerability.
    pub fn url(&self) -> String {
        let finding = &self.finding;
        let id = &finding.vulnerability;
        let is_debian = finding.evidence.iter().any(|evidence| evidence.ecosystem.starts_with("Debian"));
        match is_debian && (id.starts_with("CVE-") || id.starts_with("TEMP-")) {
            true => format!("https://security-tracker.debian.org/tracker/{id}"),
            false => format!("https://osv.dev/vulnerability/{id}"),
        }
    }

    /// The state in words, where it is more than affected.
    pub fn state_text(&self) -> Option<&'static str> {
        match self.finding.state {
            FixState::NoAdvisory => Some("no advisory planned"),
            FixState::Postponed => Some("postponed"),
            FixState::Ignored => Some("will not be fixed"),
            FixState::Unimportant => Some("unimportant"),
            FixState::EndOfLife => Some("end of life"),
            FixState::Informational => Some("a notice"),
            FixState::Affected | FixState::NotAffected | FixState::Undetermined => None,
        }
    }
}

/// What its own source does not call a vulnerability is settled from the start.
fn notice(finding: &Finding) -> Option<Settled> {
    (finding.state == FixState::Informational).then(|| Settled {
        by: finding.evidence.first().map(|evidence| evidence.source.clone()).unwrap_or_default(),
        status: "informational".to_owned(),
        reason: "A notice about the package, such as that nobody maintains it, and no vulnerability."
            .to_owned(),
        until: None,
    })
}

/// Says why the evidence of a finding is weak, if it is: all that is known is that a later changelog of the source
/// names the vulnerability, and nobody has said of this release whether it is hit.
fn weak(finding: &Finding) -> Option<String> {
    let is_guess = |evidence: &matching::Evidence| {
        evidence.source == "debian/changelogs" && evidence.range == "all versions"
    };
    finding.evidence.iter().all(is_guess).then(|| {
        "Only changelogs of the source package name it, and no annotation says whether this release is hit."
            .to_owned()
    })
}

fn summary(profile: &Profile, warnings: &mut Vec<String>) -> ProfileSummary {
    let mut coverages: Vec<String> = Vec::new();
    for run in &profile.runs {
        if !coverages.contains(&run.coverage) {
            coverages.push(run.coverage.clone());
        }
    }
    let complete = profile.verdict().is_complete();
    if !complete {
        warnings
            .push("the profile is incomplete: what it calls cold may have been used all the same".to_owned());
    }
    ProfileSummary { coverages, runs: profile.runs.len() as u64, complete }
}

fn warnings(packages: &PackageDatabase, database: &Database) -> Vec<String> {
    let mut warnings: Vec<String> = packages.problems.iter().map(ToString::to_string).collect();
    let installed = || packages.installed();
    let unlisted = installed().filter(|package| package.file_list == FileList::Absent).count();
    if unlisted > 0 {
        warnings.push(format!(
            "the files of {} not known: how far these were used cannot be told",
            profile::counted(unlisted as u64, "package are", "packages are")
        ));
    }
    let systems = installed().filter(|package| package.ecosystem.is_system());
    let asked: Vec<_> =
        systems.flat_map(|package| matching::questions(package, packages.os_release.as_ref())).collect();
    let has_data = |question: &matching::Question| {
        !question.is_distribution
            || database.about().sources.is_empty()
            || knows(database, &question.ecosystem)
    };
    let distribution = packages.os_release.as_ref();
    let name = distribution.map(|os| os.pretty_name.clone().unwrap_or_else(|| os.distro()));
    let has_system = installed().any(|package| package.ecosystem.is_system());
    if let Some(name) = name.as_ref().filter(|_| !has_system) {
        warnings.push(format!(
            "{name} names no package here, for want of its package database: what of it there is was compared with nothing"
        ));
    } else if installed().next().is_none() {
        warnings.push(
            "no package was found: nothing was compared, and no finding does not mean that there is none"
                .to_owned(),
        );
    }
    if has_system && !asked.iter().any(has_data) {
        let name = name.unwrap_or_else(|| "this distribution".to_owned());
        warnings.push(format!(
            "the database has no data of {name}: no finding in its packages does not mean that there is none"
        ));
    }
    warnings
}

/// Whether a database has anything of an ecosystem's release.
fn knows(database: &Database, ecosystem: &str) -> bool {
    database.release(ecosystem).is_some() || database.has_ecosystem(ecosystem)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use packages::{Ecosystem, InstallState, Origin, OsRelease, Package, PackageIndex};

    use super::*;
    use crate::database::Epss;
    use crate::matching::{Evidence, FoundIn, Rank};
    use crate::{Advisory, Affected, DatabaseBuilder, Range};

    pub(crate) fn deb(name: &str, version: &str) -> Package {
        Package {
            ecosystem: Ecosystem::Dpkg,
            name: name.into(),
            version: version.into(),
            architecture: "amd64".into(),
            source_name: name.into(),
            source_version: version.into(),
            licence: None,
            maintainer: None,
            state: InstallState::Installed,
            purl: format!("pkg:deb/debian/{name}@{version}?distro=debian-12"),
            file_list: FileList::Complete,
            files: BTreeSet::new(),
            origin: Origin::Embedded { file: ImagePath::root(), within: Vec::new() },
        }
    }

    pub(crate) fn finding(id: &str, name: &str) -> Finding {
        Finding {
            vulnerability: id.into(),
            aliases: BTreeSet::new(),
            summary: String::new(),
            package: PackageIndex(0),
            name: name.into(),
            purl: format!("pkg:deb/debian/{name}@1.0"),
            installed: "1.0".into(),
            fixed: Vec::new(),
            state: FixState::Affected,
            severity: Rank::Medium,
            ratings: Vec::new(),
            epss: None,
            exploited: None,
            symbols: Vec::new(),
            found_in: FoundIn { file: ImagePath::root(), within: Vec::new() },
            evidence: Vec::new(),
        }
    }

    pub(crate) fn scanned(finding: Finding, heat: Heat) -> ScannedFinding {
        ScannedFinding {
            finding,
            heat,
            was: None,
            partial: false,
            contextual: None,
            weak: None,
            symbols_in_binary: None,
            settled: None,
        }
    }

    fn path(text: &str) -> ImagePath {
        ImagePath::from_absolute(text.as_bytes()).unwrap()
    }

    fn image(packages: &[(&str, &str)]) -> PackageDatabase {
        let mut database = PackageDatabase::default();
        database.packages = packages
            .iter()
            .map(|(name, files)| Package {
                files: files.split_whitespace().map(path).collect(),
                ..deb(name, "1.0")
            })
            .collect();
        database.os_release = Some(OsRelease::parse(b"ID=debian\nVERSION_ID=12\nPRETTY_NAME=Debian\n"));
        database
    }

    fn database(rows: &[(&str, &str, &str)]) -> Database {
        let mut builder = DatabaseBuilder::new();
        for (id, package, severity) in rows {
            builder.advisory(Advisory {
                id: (*id).into(),
                source: "debian/tracker".into(),
                affected: vec![Affected {
                    ecosystem: "Debian:12".into(),
                    package: (*package).into(),
                    ranges: vec![Range { fixed: Some("2.0".into()), ..Range::default() }],
                    severity: Some((*severity).into()),
                    ..Affected::default()
                }],
                ..Advisory::default()
            });
            builder.epss(*id, Epss { score: 0.2, percentile: 0.9 });
        }
        Database::from_bytes(builder.finish().unwrap()).unwrap()
    }

    fn subject(name: &str) -> Subject {
        Subject {
            reference: name.into(),
            manifest_digest: None,
            image_id: None,
            platform: None,
            distribution: None,
        }
    }

    fn scan(
        packages: &PackageDatabase,
        database: &Database,
        kept: Option<&dyn Fn(&ImagePath) -> bool>,
    ) -> ScanReport {
        ScanReport::new(Scan {
            careen_version: "0",
            subject: subject("before"),
            packages,
            profile: None,
            hardened: kept.map(|kept| (subject("after"), kept)),
            database,
        })
        .unwrap()
    }

    #[test]
    fn a_finding_goes_with_the_last_file_of_its_package_and_never_with_a_database() {
        let packages = image(&[
            ("curl", "/usr/bin/curl /usr/share/doc/curl/copyright"),
            ("perl", "/usr/bin/perl /usr/lib/perl/a.pm"),
            ("tar", "/usr/bin/tar"),
        ]);
        let database =
            database(&[("CVE-1", "curl", "high"), ("CVE-2", "perl", "low"), ("CVE-3", "tar", "critical")]);
        let before = scan(&packages, &database, None);
        assert_eq!((before.counts.total, before.change.is_some()), (3, false));
        // The package database itself is no file of these packages: whether it stays changes nothing.
        let kept = ["/usr/share/doc/curl/copyright", "/usr/bin/perl", "/usr/bin/tar"].map(path);
        let after = scan(&packages, &database, Some(&|path| kept.contains(path)));
        let change = after.change.unwrap();
        assert_eq!((change.before, change.after), (3, 2));
        assert_eq!(change.by_severity[&Rank::High], (1, 0).into());
        let row = |id: &str| after.findings.iter().find(|found| found.finding.vulnerability == id).unwrap();
        assert_eq!((row("CVE-1").heat, row("CVE-1").was), (Heat::Gone, Some(Heat::NotRecorded)));
        assert_eq!((row("CVE-2").heat, row("CVE-2").partial), (Heat::NotRecorded, true));
        assert_eq!((row("CVE-3").heat, row("CVE-3").partial), (Heat::NotRecorded, false));
        assert_eq!(after.findings.last().unwrap().finding.vulnerability, "CVE-1", "what is gone comes last");
    }

    #[test]
    fn what_is_settled_stays_in_the_list_and_counts_no_more() {
        let packages = image(&[("curl", "/usr/bin/curl"), ("tar", "/usr/bin/tar")]);
        let database = database(&[("CVE-1", "curl", "high"), ("CVE-2", "tar", "high")]);
        let mut report = scan(&packages, &database, None);
        report.findings[0].settled =
            Some(Settled { by: "x".into(), status: "ignored".into(), reason: "r".into(), until: None });
        report.recount();
        assert_eq!((report.findings.len(), report.counts.total, report.counts.settled), (2, 1, 1));
        assert_eq!(report.findings[0].finding.vulnerability, "CVE-2");
        assert_eq!(report.packages.iter().map(|package| package.findings).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn the_document_can_be_read_back() {
        let packages = image(&[("curl", "/usr/bin/curl")]);
        let report = scan(&packages, &database(&[("CVE-1", "curl", "high")]), Some(&|_| true));
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<ScanReport>(&text).unwrap(), report);
    }

    #[test]
    fn a_changelogs_word_alone_is_weak() {
        let evidence = |source: &str, range: &str| Evidence {
            source: source.into(),
            advisory: "CVE-1".into(),
            ecosystem: "Debian:12".into(),
            package: "curl".into(),
            version: "1".into(),
            range: range.into(),
        };
        let changelog = || evidence("debian/changelogs", "all versions");
        for (all, expected) in [
            (vec![changelog()], true),
            (vec![evidence("debian/changelogs", "< 2")], false),
            (vec![changelog(), evidence("debian/tracker", "all versions")], false),
        ] {
            let found = Finding { evidence: all, ..finding("CVE-1", "curl") };
            assert_eq!(weak(&found).is_some(), expected, "{:?}", found.evidence);
        }
    }

    #[test]
    fn a_distribution_without_data_is_told() {
        let mut packages = image(&[("curl", "/usr/bin/curl")]);
        packages.os_release = Some(OsRelease::parse(b"ID=void\nPRETTY_NAME=Void\n"));
        let report = scan(&packages, &database(&[("CVE-1", "curl", "high")]), None);
        assert_eq!(report.findings.len(), 0);
        assert!(
            report.warnings.iter().any(|warning| warning.contains("no data of Void")),
            "{:?}",
            report.warnings
        );
    }

    #[test]
    fn nothing_to_compare_is_told_and_is_no_good_news() {
        let mut nothing = image(&[]);
        nothing.os_release = None;
        let database = database(&[("CVE-1", "curl", "high")]);
        let warned = |packages: &PackageDatabase| scan(packages, &database, None).warnings.join("; ");
        assert!(warned(&nothing).contains("no package was found"), "{}", warned(&nothing));
        nothing.os_release = Some(OsRelease::parse(b"ID=debian\nVERSION_ID=12\n"));
        assert!(warned(&nothing).contains("debian-12 names no package here"), "{}", warned(&nothing));
        let some = image(&[("curl", "/usr/bin/curl")]);
        assert!(!warned(&some).contains("names no package"), "{}", warned(&some));
    }
}
