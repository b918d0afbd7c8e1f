//! From container options as typed to the settings of a coverage, or of a plain run.

use coverage::ContainerSettings;
use engine::{Network, RunOptions};

use crate::cli::{ContainerArgs, NetworkArg};
use crate::exit::ExitCode;
use crate::failure::Failure;

/// Lays what was typed over the settings of a coverage.
pub(crate) fn apply(args: &ContainerArgs, settings: &mut ContainerSettings) -> Result<(), Failure> {
    settings.env.extend(environment(args)?);
    if let Some(network) = args.network {
        settings.host_network = network == NetworkArg::Host;
    }
    settings.user = args.user.clone().or_else(|| settings.user.take());
    settings.read_only |= args.read_only;
    settings.cap_drop.extend(args.cap_drop.iter().cloned());
    settings.cap_add.extend(args.cap_add.iter().cloned());
    settings.tmpfs.extend(args.tmpfs.iter().cloned());
    Ok(())
}

/// What was typed, as options of a run without a coverage.
pub(crate) fn run_options(args: &ContainerArgs) -> Result<RunOptions, Failure> {
    Ok(RunOptions {
        env: environment(args)?,
        network: match args.network {
            Some(NetworkArg::Host) => Network::Host,
            Some(NetworkArg::Private) | None => Network::Private,
        },
        user: args.user.clone(),
        read_only: args.read_only,
        cap_drop: args.cap_drop.clone(),
        cap_add: args.cap_add.clone(),
        tmpfs: args.tmpfs.clone(),
        ..RunOptions::default()
    })
}

fn environment(args: &ContainerArgs) -> Result<Vec<(String, String)>, Failure> {
    args.env
        .iter()
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(Failure::new(ExitCode::Usage, format!("cannot use --env {pair}"))
                .hint("write NAME=VALUE".to_owned())),
        })
        .collect()
}
