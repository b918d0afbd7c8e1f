//! `careen plan`: what a hardening would remove, and nothing written.

use harden::{Breakdown, CarryReport, DirectoryShare, PackageShare, Rule};
use image::Digest;
use serde::Serialize;

use crate::artifacts::write_whole;
use crate::cli::PlanArgs;
use crate::commands::record::{self, Recorder};
use crate::context::{self, Context};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{carrying, hints, output, policy, scanning};

/// Grows when an old reader would misunderstand a new document; see `docs/formats/plan.md`.
const FORMAT_VERSION: u32 = 1;

#[derive(Serialize)]
struct Planned {
    format_version: u32,
    image: String,
    manifest_digest: Digest,
    #[serde(flatten)]
    breakdown: Breakdown,
    warnings: Vec<String>,
    /// What became of each profile of another version of the image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    carry: Vec<CarryReport>,
}

/// Plans and prints what would stay and go.
pub(crate) fn run(context: &Context, args: &PlanArgs) -> Result<(), Failure> {
    let coverage = args.coverage.as_deref().map(record::load_coverage).transpose()?;
    let mut policy = policy::resolve(&args.policy)?;
    let tags = record::check_tags(&args.tag)?;
    let given = record::load_profiles(&args.profile, &args.tag)?;
    if let Some(file) = &args.ledger {
        context::refuse_existing(file, args.force)?;
    }
    let image = context.open_image(&args.image)?;
    context.progress.done(&output::bytes_text(image.compressed_bytes()));
    let packages = packages::read(&image)
        .map_err(|source| hints::plain(ExitCode::Image, "cannot read the package database", source))?;
    let (profile, carry) = match coverage {
        _ if !given.is_empty() => record::fit_profiles(&given, &image, &packages, policy.max_uncertain)?,
        Some(coverage) => {
            let recorded = Recorder::new(context, coverage, &args.container)?.record(&image)?;
            (record::annotated(recorded, &image, &packages, &tags)?, Vec::new())
        }
        None => return Err(Failure::new(ExitCode::Usage, "neither a coverage nor a profile was given")),
    };
    scanning::apply_preset(context, &args.policy.db, &image, &profile, &mut policy)?;
    context.progress.stage("plan", None);
    let plan = harden::plan(&image, &packages, &profile, &policy).map_err(|error| {
        let hint = error.hint();
        let tried = format!("cannot plan the hardening of {}", image.source());
        hints::plain(ExitCode::Profile, tried, error).hint(hint)
    })?;
    context.progress.abandon();
    if let Some(file) = &args.ledger {
        let mut bytes = Vec::new();
        let written = plan.ledger.write(&mut bytes).and_then(|()| write_whole(file, &bytes));
        written.map_err(|source| {
            hints::plain(ExitCode::Output, format!("cannot write {}", file.display()), source)
        })?;
    }
    let planned = Planned {
        format_version: FORMAT_VERSION,
        image: image.source().to_string(),
        manifest_digest: image.manifest_digest(),
        breakdown: plan.ledger.breakdown(),
        warnings: carry.iter().flat_map(carrying::warnings).chain(plan.warnings).collect(),
        carry,
    };
    let top = if args.top == 0 { usize::MAX } else { args.top };
    output::print(context.output, &planned, |planned| text(planned, top))
}

fn text(planned: &Planned, top: usize) -> String {
    let Breakdown { kept, removed, packages, directories, rules } = &planned.breakdown;
    let totals = [("stays", kept), ("goes", removed)].map(|(name, total)| {
        vec![name.to_owned(), output::count_text(total.files), output::bytes_text(total.bytes)]
    });
    let mut out =
        planned.carry.iter().map(|report| format!("  {}\n", carrying::summary(report))).collect::<String>();
    out += &format!("\n{}", output::table(&["", "files", "bytes"], &totals));

    let losers: Vec<_> = packages.iter().filter(|share| share.removed.files > 0).collect();
    out += "\nWhat would go, by package:\n";
    let rows: Vec<_> = losers.iter().take(top).map(|share| package_row(share)).collect();
    out += &output::table(&["", "bytes", "files", "left", "left files"], &rows);
    out += &more(losers.len(), rows.len(), "packages");

    out += "\nWhat would go, by directory (those that end in / go whole):\n";
    let rows: Vec<_> = directories.iter().take(top).map(directory_row).collect();
    out += &output::table(&["", "bytes", "files"], &rows);
    out += &more(directories.len(), rows.len(), "directories");

    out += "\nWhat stays, by rule:\n";
    let keeping = rules.iter().filter(|share| !matches!(share.rule, Rule::PolicyRemove | Rule::Unused));
    let rows: Vec<_> = keeping
        .map(|share| {
            let total = share.total;
            let (files, directories) =
                (output::count_text(total.files), output::count_text(total.directories));
            vec![share.rule.to_string(), output::bytes_text(total.bytes), files, directories]
        })
        .collect();
    out += &output::table(&["", "bytes", "files", "directories"], &rows);
    for warning in &planned.warnings {
        out += &format!("\n  warning   {warning}");
    }
    out + "\n"
}

fn package_row(share: &PackageShare) -> Vec<String> {
    let name = share.name.as_deref().unwrap_or("(of no package)");
    vec![
        name.to_owned(),
        output::bytes_text(share.removed.bytes),
        output::count_text(share.removed.files),
        output::bytes_text(share.kept.bytes),
        output::count_text(share.kept.files),
    ]
}

fn directory_row(share: &DirectoryShare) -> Vec<String> {
    let slash = if share.whole { "/" } else { "" };
    vec![
        format!("{}{slash}", share.path),
        output::bytes_text(share.removed.bytes),
        output::count_text(share.removed.files),
    ]
}

fn more(all: usize, shown: usize, what: &str) -> String {
    match all.saturating_sub(shown) {
        0 => String::new(),
        hidden => format!("  … and {} more {what}: --top 0 lists all\n", output::count_text(hidden as u64)),
    }
}
