//! What became of a profile of another version of an image, for people.

use harden::CarryReport;

use crate::output;

/// Most lines of each list.
const MOST: usize = 40;

/// One line.
pub(crate) fn summary(report: &CarryReport) -> String {
    let kept = report.new.iter().filter(|new| new.kept).count();
    format!(
        "carried over from {}: {}, {} under a new name, {} uncertain, {} lost; {} new, {kept} of them kept",
        report.from.reference,
        output::counted(report.unchanged, "path as it was", "paths as they were"),
        output::count_text(report.carried.len() as u64),
        output::count_text(report.uncertain.len() as u64),
        output::count_text(report.dropped.len() as u64),
        output::count_text(report.new.len() as u64),
    )
}

/// What a hardening should not pass over in silence.
pub(crate) fn warnings(report: &CarryReport) -> Vec<String> {
    let mut warnings = Vec::new();
    let executed: Vec<_> = report.dropped.iter().filter(|dropped| dropped.was_executed).collect();
    if let Some(first) = executed.first() {
        warnings.push(format!(
            "{} that ran in {}, with nothing like it in this version, such as {}",
            output::counted(executed.len() as u64, "program or library", "programs or libraries"),
            report.from.reference,
            first.from
        ));
    }
    let left = report.new.iter().filter(|new| !new.kept).count();
    if left > 0 {
        warnings.push(format!(
            "{} beside used ones, to be kept only if a rule finds that they are needed; a new run would tell",
            output::counted(
                left as u64,
                "file that is new in this version lies",
                "files that are new in this version lie"
            )
        ));
    }
    warnings
}

/// The whole report.
pub(crate) fn text(report: &CarryReport) -> String {
    let mut out = format!(
        "  {}\n  {} % of {} uncertain or lost\n",
        summary(report),
        report.doubtful_percent(),
        output::counted(report.used, "used path is", "used paths are")
    );
    let moved = |paths: &[harden::CarriedPath]| {
        let line = |path: &harden::CarriedPath| {
            let to: Vec<_> = path.to.iter().map(ToString::to_string).collect();
            format!("{} -> {} ({})", path.from, to.join(", "), path.why)
        };
        paths.iter().map(line).collect::<Vec<_>>()
    };
    let lost = report.dropped.iter().map(|dropped| {
        let package = dropped.packages.iter().map(|name| format!(" of {name}")).collect::<String>();
        let executed = if dropped.was_executed { ", and it ran" } else { "" };
        format!("{}{package} ({}{executed})", dropped.from, dropped.why)
    });
    let new = report.new.iter().map(|new| {
        let package = new.package.iter().map(|name| format!(" of {name}")).collect::<String>();
        let kept = if new.kept { " (kept: all of its sort had been used)" } else { "" };
        format!("{}{package}{kept}", new.path)
    });
    out += &list("Lost", &lost.collect::<Vec<_>>());
    out += &list("Uncertain, kept", &moved(&report.uncertain));
    out += &list("Carried under a new name", &moved(&report.carried));
    out += &list("New beside used files", &new.collect::<Vec<_>>());
    out
}

fn list(title: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{title}:\n");
    out += &lines.iter().take(MOST).map(|line| format!("  {line}\n")).collect::<String>();
    if lines.len() > MOST {
        out += &format!("  … and {} more (all with --output json)\n", lines.len() - MOST);
    }
    out
}
