//! `careen policy`: check policy files, print an example.

use std::path::PathBuf;

use harden::{Policy, RuleKind, RuleUse};
use serde::Serialize;

use crate::cli::{PolicyArgs, PolicyCommand};
use crate::context::{self, Context};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, output, policy};

/// A policy with every key.
const EXAMPLE: &str = include_str!("../example-policy.toml");

#[derive(Serialize)]
struct Checked {
    files: Vec<PathBuf>,
    policy: Policy,
    /// Of the image given.
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<Vec<RuleUse>>,
}

/// Runs the policy commands.
pub(crate) fn run(context: &Context, command: &PolicyCommand) -> Result<(), Failure> {
    let (files, image, platform) = match command {
        PolicyCommand::Example => return output::write_stdout(EXAMPLE.as_bytes()),
        PolicyCommand::Check { files, image, platform } => (files, image, platform),
    };
    let args = PolicyArgs { policy: files.clone(), ..PolicyArgs::default() };
    let policy = policy::resolve(&args)?;
    let rules = image
        .as_deref()
        .map(|image| {
            let source = context::parse_source(image)?;
            context.progress.stage(format!("open {source}"), None);
            let image = context.open_source(&source, context::parse_platform(platform.as_deref())?)?;
            let packages = packages::read(&image)
                .map_err(|error| hints::plain(ExitCode::Image, "cannot read the package database", error))?;
            context.progress.abandon();
            harden::rule_uses(&image, &packages, &policy)
                .map_err(|error| hints::plain(ExitCode::Document, "cannot apply the policy", error))
        })
        .transpose()?;
    output::print(context.output, &Checked { files: files.clone(), policy, rules }, text)
}

fn text(checked: &Checked) -> String {
    let Checked { files, policy, rules } = checked;
    let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    let mut out = match names.as_slice() {
        [name] => format!("{name} is a policy:\n"),
        _ => format!("{} are a policy together:\n", names.join(", ")),
    };
    out += &settings(policy);
    let Some(rules) = rules else {
        for (kind, list) in [
            (RuleKind::Keep, &policy.keep),
            (RuleKind::Remove, &policy.remove),
            (RuleKind::KeepPackage, &policy.keep_packages),
            (RuleKind::RemovePackage, &policy.remove_packages),
        ] {
            out += &list.iter().map(|rule| format!("  {:16} {rule}\n", word(kind))).collect::<String>();
        }
        out += &policy.kits.iter().map(|kit| format!("  {:16} {}\n", "kit", kit.name())).collect::<String>();
        return out;
    };
    let rows: Vec<_> = rules
        .iter()
        .map(|rule| {
            let (paths, bytes) = (output::count_text(rule.paths), output::bytes_text(rule.bytes));
            vec![format!("{} {}", word(rule.kind), rule.rule), paths, bytes]
        })
        .collect();
    out += "\n";
    out += &output::table(&["rule", "paths", "bytes"], &rows);
    for idle in rules.iter().filter(|rule| rule.paths == 0) {
        let place = idle.place.as_deref().map(|place| format!("{place}: ")).unwrap_or_default();
        out += &format!("\n  warning   {place}{} matches nothing in the image", idle.rule);
    }
    out + "\n"
}

/// The settings that are not the default's.
fn settings(policy: &Policy) -> String {
    let default = Policy::default();
    let mut out = String::new();
    let mut line = |name: &str, value: String, differs: bool| {
        if differs {
            out += &format!("  {name:24} {value}\n");
        }
    };
    let generalize = format!("{:?}", policy.generalize).to_lowercase();
    line("generalize", generalize, policy.generalize != default.generalize);
    line("preset", policy.preset.name().to_owned(), policy.preset != default.preset);
    line("keep-packages-coherent", "true".to_owned(), policy.keep_packages_coherent);
    line("keep-data-files", "true".to_owned(), policy.keep_data_files);
    line("keep-licenses", "false".to_owned(), !policy.keep_licenses);
    let package_db = format!("{:?}", policy.package_db).to_lowercase();
    line("package-db", package_db, policy.package_db != default.package_db);
    let percent = format!("{} %", policy.max_uncertain);
    line("max-uncertain", percent, policy.max_uncertain != default.max_uncertain);
    out
}

fn word(kind: RuleKind) -> &'static str {
    match kind {
        RuleKind::Keep => "keep",
        RuleKind::Remove => "remove",
        RuleKind::KeepPackage => "keep package",
        RuleKind::RemovePackage => "remove package",
        RuleKind::Kit => "kit",
    }
}
