//! The `careen` command.
#![forbid(unsafe_code)]

mod activity;
mod artifacts;
mod attesting;
mod carrying;
mod cli;
mod commands;
mod container;
mod context;
mod evaluation;
mod exit;
mod failure;
mod fetch;
mod hardening;
mod hints;
mod output;
mod policy;
mod progress;
mod registries;
mod remains;
mod rootless;
mod scanning;
mod staging;
mod target;
mod verdict;

use std::ffi::OsString;
use std::process;

use clap::Parser as _;

use cli::{Cli, Command};
use context::Context;
use failure::Failure;

fn main() -> process::ExitCode {
    // The helpers must be recognised before anything starts a thread or parses a command line.
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = helper(&arguments) {
        return process::ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    if let Err(error) = engine::rootless::settle() {
        let hint = error.hint();
        let failure = Failure::caused_by(exit::ExitCode::Host, "cannot work without root", error).hint(hint);
        progress::eprint_line(failure.render().trim_end());
        return process::ExitCode::from(failure.code as u8);
    }
    let cli = Cli::parse();
    match rootless::instead(&cli.command, &arguments) {
        Ok(Some(code)) => return process::ExitCode::from(code),
        Ok(None) => {}
        Err(failure) => {
            progress::eprint_line(failure.render().trim_end());
            return process::ExitCode::from(failure.code as u8);
        }
    }
    let code = match run(cli) {
        Ok(()) => exit::ExitCode::Success,
        Err(failure) => {
            progress::eprint_line(failure.render().trim_end());
            failure.code
        }
    };
    process::ExitCode::from(code as u8)
}

fn helper(arguments: &[OsString]) -> Option<i32> {
    let (name, rest) = arguments.get(1..)?.split_first()?;
    match name.to_str()? {
        context::ENGINE_HELPER => Some(engine::helper_main(rest)),
        context::MAPPER => Some(engine::rootless::map_main(rest)),
        context::CANARY_HELPER => Some(sensor::canary_main(rest)),
        _ => None,
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_new(&cli.global.log).map_err(|source| {
        Failure::caused_by(exit::ExitCode::Usage, format!("cannot use --log {}", cli.global.log), source)
    })?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match cli.command {
        Command::Completions { shell } => commands::man::completions(shell),
        Command::Man { dir } => commands::man::pages(&dir),
        command => {
            let context = Context::new(&cli.global)?;
            let result = dispatch(&context, command);
            context.progress.abandon();
            context.tidy();
            result.map_err(|failure| hints::unless_interrupted(&context, failure))
        }
    }
}

fn dispatch(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Harden(args) => commands::harden::run(context, &args),
        Command::Record(args) => commands::record::run(context, &args),
        Command::Verify(args) => commands::verify::run(context, &args),
        Command::Evaluate(args) => commands::evaluate::run(context, &args),
        Command::Profile(command) => commands::profile::run(context, &command),
        Command::Plan(args) => commands::plan::run(context, &args),
        Command::Diff(args) => commands::diff::run(context, &args),
        Command::Report(args) => commands::report::run(context, &args),
        Command::Explain(args) => commands::explain::run(context, &args),
        Command::Coverage(command) => commands::coverage::run(context, &command),
        Command::Policy(command) => commands::policy::run(context, &command),
        Command::Db(command) => commands::db::run(context, &command),
        Command::Run(args) => commands::run::run(context, &args),
        Command::Validate(args) => commands::validate::run(context, &args),
        Command::Scan(args) => commands::scan::run(context, &args),
        Command::Sbom(args) => commands::sbom::run(context, &args),
        Command::Rbom(args) => commands::rbom::run(context, &args),
        Command::Attest(args) => commands::attest::run(context, &args),
        Command::Vex(args) => commands::vex::run(context, &args),
        Command::Registry(command) => commands::registry::run(context, &command),
        Command::Inspect(args) => commands::inspect::run(context, &args),
        Command::Clean(args) => commands::clean::run(context, &args),
        Command::Doctor => commands::doctor::run(context),
        Command::Completions { .. } | Command::Man { .. } => Ok(()),
    }
}
