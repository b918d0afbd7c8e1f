//! `careen coverage`: list, show, check.

use crate::cli::CoverageCommand;
use crate::commands::record;
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{hints, output};

#[derive(serde::Serialize)]
struct Listed {
    name: &'static str,
    summary: &'static str,
}

/// Runs the coverage commands.
pub(crate) fn run(context: &Context, command: &CoverageCommand) -> Result<(), Failure> {
    match command {
        CoverageCommand::List => {
            let builtins: Vec<_> =
                coverage::builtins().iter().map(|b| Listed { name: b.name, summary: b.summary }).collect();
            output::print(context.output, &builtins, |builtins| {
                let width = builtins.iter().map(|builtin| builtin.name.len()).max().unwrap_or(0);
                builtins.iter().map(|b| format!("  {:width$}  {}\n", b.name, b.summary)).collect()
            })
        }
        CoverageCommand::Show { name } => {
            let builtin = coverage::show(name).map_err(|error| {
                hints::plain(ExitCode::Document, format!("cannot show the coverage {name}"), error)
                    .hint("list them with `careen coverage list`".to_owned())
            })?;
            output::write_stdout(builtin.yaml.as_bytes())
        }
        CoverageCommand::Check { file } => {
            let coverage = record::load_coverage(file)?;
            let steps: Vec<_> = coverage.steps.iter().map(|step| step.name.as_str()).collect();
            let summary = serde_json::json!({ "name": coverage.name, "steps": steps });
            output::print(context.output, &summary, |_| {
                let lines: String = steps.iter().map(|name| format!("  {name}\n")).collect();
                format!(
                    "{file} is a coverage of {}:\n{lines}",
                    output::counted(steps.len() as u64, "step", "steps")
                )
            })
        }
    }
}
