//! `careen run`: an image in the embedded engine, in the foreground.

mod canary;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::{Container, EngineError, Exit, RunOptions};

use crate::cli::RunArgs;
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{container, hints, output};

/// How long the container has between its stop signal and SIGKILL, as in other engines.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// Runs a container until it ends or the user interrupts; its exit code becomes ours.
pub(crate) fn run(context: &Context, args: &RunArgs) -> Result<(), Failure> {
    let options = RunOptions {
        entrypoint: args.entrypoint.clone().map(|program| vec![program]),
        cmd: (!args.cmd.is_empty()).then(|| args.cmd.clone()),
        ..container::run_options(&args.container)?
    };
    if args.canary {
        return canary::run(context, args, &options);
    }
    let image = context.open_image(&args.image)?;
    // Ctrl-C stops the container with its own signal, so it must not end the wait for that.
    let engine = context.engine_with(Arc::default())?;
    let tried = format!("cannot run {}", image.source());
    let failed = |error| hints::engine(&tried, error);
    let unpacked = engine.unpack(&image, &|_| {}).map_err(failed)?;
    context.progress.abandon();
    let mut container = engine.create(&unpacked, &options).map_err(failed)?;
    container.start().map_err(failed)?;
    let exit = to_the_end(context, &mut container, &output::write_stdout, &failed)?;
    container.remove().map_err(failed)?;
    as_ours(exit)
}

/// Passes on what a started container writes until it ends by itself, or is stopped because the user interrupts.
fn to_the_end(
    context: &Context,
    container: &mut Container,
    write: &dyn Fn(&[u8]) -> Result<(), Failure>,
    failed: &dyn Fn(EngineError) -> Failure,
) -> Result<Exit, Failure> {
    let mut printed = 0;
    let mut print_new = |log: &[u8]| {
        let new = log.get(printed..).unwrap_or_default();
        printed = log.len().max(printed);
        if new.is_empty() { Ok(()) } else { write(new) }
    };
    let exit = loop {
        let exited = container.exited().map_err(failed)?;
        print_new(&container.logs())?;
        if let Some(exit) = exited {
            break exit;
        }
        if context.interrupt.load(Ordering::SeqCst) {
            break container.stop(STOP_GRACE).map_err(failed)?;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    print_new(&container.logs())?;
    Ok(exit)
}

fn as_ours(exit: Exit) -> Result<(), Failure> {
    match exit {
        Exit::Code(0) => Ok(()),
        Exit::Code(code) => {
            Err(Failure::new(ExitCode::Failure, format!("the container ended with exit code {code}")))
        }
        Exit::Signal(signal) => {
            Err(Failure::new(ExitCode::Failure, format!("signal {signal} ended the container")))
        }
    }
}
