//! `careen scan`: known vulnerabilities, and which of them matter.

pub(crate) mod attached;
mod look;
mod target;
pub(crate) mod vex;

use std::fs;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ::scan::{Format, Gate, IgnoreList};
use advisories::ScanReport;
use advisories::scan::Scan;
use advisories::vex::Document;
use image::{ImageSource, Platform};
use packages::PackageDatabase;

use crate::cli::{DecisionArgs, OutputFormat, ScanArgs, ScanFormat};
use crate::commands::db;
use crate::context::{self, Context};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{output, scanning};

/// A larger list of images or of findings is none.
const MAX_LIST_BYTES: u64 = 16 << 20;
/// Rows of a Markdown table: a comment on a pull request holds some 60,000 characters.
const MARKDOWN_ROWS: usize = 100;

/// Scans images, prints the reports, and fails if that was asked for.
pub(crate) fn run(context: &Context, args: &ScanArgs) -> Result<(), Failure> {
    output::check(&args.destination)?;
    let Decisions { gates, ignored, vex } = Decisions::of(&args.decisions)?;
    let names = names(args)?;
    let format = format(context, args);
    if names.len() > 1 {
        if args.hardened.is_some() {
            return Err(Failure::new(
                ExitCode::Usage,
                format!("--hardened compares one image, not {}", names.len()),
            ));
        }
        if matches!(format, Format::CycloneDx | Format::GitLab) {
            return Err(Failure::new(
                ExitCode::Usage,
                format!("this form describes one image, not {}", names.len()),
            )
            .hint("scan them one by one, or use --format json, sarif or junit".to_owned()));
        }
    }
    let database = db::open(context, &args.db)?;
    let now = coverage::rfc3339(SystemTime::now());
    let today = now.get(..10).unwrap_or_default();
    let mut reports = Vec::new();
    for name in &names {
        let found = target::find(context, args, name)?;
        context.progress.stage(format!("match {name}"), None);
        let kept = found.hardened.as_ref().map(|(subject, kept)| (subject.clone(), kept.as_ref()));
        let report = ScanReport::new(Scan {
            careen_version: env!("CARGO_PKG_VERSION"),
            subject: found.subject,
            packages: &found.packages,
            profile: found.profile.as_ref(),
            hardened: kept,
            database: &database,
        });
        let mut report = report.map_err(|error| db::failed(&format!("cannot scan {name}"), error))?;
        report.warnings.extend(found.warnings);
        report.warnings.extend(age_warning(&report));
        if let Some(image) = &found.image {
            let open = || target::open(context, args, &image.source);
            scanning::look_into_programs(context, &mut report, &image.diff_ids, open)?;
        }
        let platform = context::parse_platform(args.platform.as_deref())?;
        vex.apply(context, found.named.as_ref(), platform, &found.packages, &mut report)?;
        ignored.iter().for_each(|list| list.apply(&mut report, today));
        context.progress.done(&output::counted(report.counts.total, "finding", "findings"));
        reports.push(report);
    }
    context.progress.abandon();
    let text = ::scan::write(&reports, format, &now)
        .map_err(|source| Failure::caused_by(ExitCode::Failure, "cannot write the report", source))?;
    output::write(&args.destination, text.as_bytes())?;
    judge(&reports, &gates)
}

/// Fails if a finding meets a condition.
fn judge(reports: &[ScanReport], gates: &[Gate]) -> Result<(), Failure> {
    let met = gates.iter().filter_map(|gate| {
        let count: usize = reports.iter().map(|report| gate.count(report)).sum();
        (count > 0).then(|| format!("{} {gate}", output::count_text(count as u64)))
    });
    let met: Vec<_> = met.collect();
    if met.is_empty() {
        return Ok(());
    }
    Err(Failure::new(ExitCode::Findings, format!("findings that --fail-on names: {}", met.join(", "))))
}

/// What decides which findings count, and which make a command fail.
pub(crate) struct Decisions {
    pub(crate) gates: Vec<Gate>,
    pub(crate) ignored: Vec<IgnoreList>,
    pub(crate) vex: Vex,
}

impl Decisions {
    /// Reads what was named on the command line.
    pub(crate) fn of(args: &DecisionArgs) -> Result<Self, Failure> {
        Ok(Self {
            gates: args.fail_on.iter().map(|text| gate(text)).collect::<Result<_, _>>()?,
            ignored: args.ignore.iter().map(|file| ignore_list(file)).collect::<Result<_, _>>()?,
            vex: Vex::read(&args.vex, args.vex_key.as_deref())?,
        })
    }
}

/// The VEX that a scan honours: documents that were named, and those attached to each image.
pub(crate) struct Vex {
    named: Vec<Document>,
    is_attached_wanted: bool,
    key: Option<attest::PublicKey>,
}

impl Vex {
    fn read(typed: &[PathBuf], key: Option<&Path>) -> Result<Self, Failure> {
        let (attached, files): (Vec<_>, Vec<_>) =
            typed.iter().cloned().partition(|place| place == Path::new(attached::WORD));
        if key.is_some() && attached.is_empty() {
            return Err(Failure::new(ExitCode::Usage, "--vex-key is for what is attached to an image")
                .hint("add --vex referrers".to_owned()));
        }
        let (named, key) = (vex::read(&files)?, attached::key(key)?);
        Ok(Self { named, is_attached_wanted: !attached.is_empty(), key })
    }

    /// Whether what is attached to an image counts.
    pub(crate) fn is_attached_wanted(&self) -> bool {
        self.is_attached_wanted
    }

    /// Settles what the documents say of an image's findings.
    pub(crate) fn apply(
        &self,
        context: &Context,
        image: Option<&ImageSource>,
        platform: Option<Platform>,
        packages: &PackageDatabase,
        report: &mut ScanReport,
    ) -> Result<(), Failure> {
        let found = match image.filter(|_| self.is_attached_wanted) {
            Some(image) => attached::read(context, image, platform, self.key.as_ref())?,
            None => attached::Attached::default(),
        };
        let documents: Vec<_> = self.named.iter().cloned().chain(found.documents).collect();
        report.warnings.extend(found.warnings);
        vex::apply(report, packages, &documents, &found.digests);
        Ok(())
    }
}

fn gate(text: &str) -> Result<Gate, Failure> {
    text.parse().map_err(|error: ::scan::ParseGateError| {
        let hint = error.hint();
        Failure::caused_by(ExitCode::Usage, "cannot use --fail-on", error).hint(hint)
    })
}

fn ignore_list(file: &Path) -> Result<IgnoreList, Failure> {
    let text = read_text(file)?;
    IgnoreList::parse(&text, &file.display().to_string()).map_err(|error| {
        let hint = error.hint();
        Failure::caused_by(ExitCode::Document, format!("cannot use the list {}", file.display()), error)
            .hint(hint)
    })
}

/// The images as typed, and those of the lists.
fn names(args: &ScanArgs) -> Result<Vec<String>, Failure> {
    let mut names = args.images.clone();
    for file in &args.list {
        let text = read_text(file)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        names.extend(lines.map(str::to_owned));
    }
    if names.is_empty() {
        return Err(Failure::new(ExitCode::Usage, "the list names no image"));
    }
    Ok(names)
}

fn read_text(file: &Path) -> Result<String, Failure> {
    let failed = |source: std::io::Error| {
        Failure::caused_by(ExitCode::Document, format!("cannot read {}", file.display()), source)
    };
    let mut text = String::new();
    fs::File::open(file)
        .and_then(|file| file.take(MAX_LIST_BYTES + 1).read_to_string(&mut text))
        .map_err(failed)?;
    if text.len() as u64 > MAX_LIST_BYTES {
        return Err(failed(std::io::Error::other(format!("it has more than {MAX_LIST_BYTES} bytes"))));
    }
    Ok(text)
}

fn format(context: &Context, args: &ScanArgs) -> Format {
    let rows = |rows: usize| if rows == 0 { usize::MAX } else { rows };
    match (args.format, context.output) {
        (Some(ScanFormat::Table), _) | (None, OutputFormat::Text) => {
            let on_terminal = args.destination.output_file.is_none() && std::io::stdout().is_terminal();
            Format::Table(look::look(on_terminal, rows(args.top)))
        }
        (Some(ScanFormat::Json), _) | (None, OutputFormat::Json) => Format::Json,
        (Some(ScanFormat::Sarif), _) => Format::Sarif,
        (Some(ScanFormat::Cyclonedx), _) => Format::CycloneDx,
        (Some(ScanFormat::Junit), _) => Format::JUnit,
        (Some(ScanFormat::Markdown), _) => Format::Markdown(MARKDOWN_ROWS.min(rows(args.top))),
        (Some(ScanFormat::Gitlab), _) => Format::GitLab,
    }
}

pub(crate) fn age_warning(report: &ScanReport) -> Option<String> {
    match db::age_days(&report.database.built, SystemTime::now())? {
        days @ 8.. => Some(format!("the database is {days} days old: renew it with `careen db update`")),
        // A zone apart is no wrong clock.
        ..=-2 => Some("the database was built on a day yet to come: is this host's clock right?".to_owned()),
        _ => None,
    }
}
