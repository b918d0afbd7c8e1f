//! From container options as typed to the settings of a coverage, or of a plain run.

use coverage::ContainerSettings;
use engine::{EngineError, Network, RunOptions};
use image::Image;

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

/// What was typed, as options of a run without a coverage; refused if no container can be made with it.
pub(crate) fn run_options(args: &ContainerArgs) -> Result<RunOptions, Failure> {
    let options = RunOptions {
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
    };
    options.check().map_err(|error| unusable(ExitCode::Usage, error))?;
    Ok(options)
}

/// The same of what a coverage says.
pub(crate) fn check(settings: &ContainerSettings) -> Result<(), Failure> {
    let options = RunOptions {
        cap_drop: settings.cap_drop.clone(),
        cap_add: settings.cap_add.clone(),
        tmpfs: settings.tmpfs.clone(),
        ..RunOptions::default()
    };
    options.check().map_err(|error| unusable(ExitCode::Document, error))
}

/// Refuses a user that the image does not know, whoever asks for it.
pub(crate) fn check_user(user: Option<&str>, image: &Image, code: ExitCode) -> Result<(), Failure> {
    let options = RunOptions { user: user.map(str::to_owned), ..RunOptions::default() };
    options.check_user(image).map_err(|error| unusable(code, error))
}

fn unusable(code: ExitCode, error: EngineError) -> Failure {
    let tried = match (&error, code) {
        (EngineError::UnknownUser { user }, ExitCode::Usage) => format!("cannot use --user {user}"),
        (EngineError::Option { option, value, .. }, ExitCode::Usage) => {
            format!("cannot use --{} {value}", option.replace('_', "-"))
        }
        _ => "cannot use the coverage's settings of the container".to_owned(),
    };
    let hint = error.hint();
    Failure::caused_by(code, tried, error).hint(hint)
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
