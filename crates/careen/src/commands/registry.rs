//! `careen registry`: all that a registry has.

mod layers;
mod row;
mod show;
mod state;
mod walk;
mod what;

use crate::cli::RegistryCommand;
use crate::context::Context;
use crate::failure::Failure;

/// Runs the registry commands.
pub(crate) fn run(context: &Context, command: &RegistryCommand) -> Result<(), Failure> {
    match command {
        RegistryCommand::Scan(args) => walk::run(context, args),
    }
}
