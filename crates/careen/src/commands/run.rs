//! `careen run`: an image in the embedded engine, in the foreground.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::{Exit, RunOptions};

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
    let image = context.open_image(&args.image)?;
    // Ctrl-C stops the container with its own signal, so it must not end the wait for that.
    let engine = context.engine_with(Arc::default())?;
    let tried = format!("cannot run {}", image.source());
    let failed = |error| hints::engine(&tried, error);
    let unpacked = engine.unpack(&image, &|_| {}).map_err(failed)?;
    context.progress.abandon();
    let mut container = engine.create(&unpacked, &options).map_err(failed)?;
    container.start().map_err(failed)?;

    let mut printed = 0;
    let exit = loop {
        let exited = container.exited().map_err(failed)?;
        printed = print_new(&container.logs(), printed)?;
        if let Some(exit) = exited {
            break exit;
        }
        if context.interrupt.load(Ordering::SeqCst) {
            break container.stop(STOP_GRACE).map_err(failed)?;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    print_new(&container.logs(), printed)?;
    container.remove().map_err(failed)?;
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

fn print_new(log: &[u8], printed: usize) -> Result<usize, Failure> {
    if let Some(new) = log.get(printed..).filter(|new| !new.is_empty()) {
        output::write_stdout(new)?;
    }
    Ok(log.len().max(printed))
}
