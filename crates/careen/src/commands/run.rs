//! `careen run`: an image in the embedded engine, in the foreground.

pub(crate) mod canary;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::{Container, EngineError, Exit, RunOptions};

use crate::cli::RunArgs;
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::progress::eprint_text;
use crate::{container, hints, output};

/// How long the container has between its stop signal and SIGKILL, as in other engines.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// The same where nobody reads what it writes any more: whoever did waits for the end.
const UNREAD_GRACE: Duration = Duration::from_secs(2);

/// Where the container's output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sink {
    Stdout,
    Stderr,
}

impl Sink {
    fn write(self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Stdout => output::write_stdout(bytes),
            Self::Stderr => {
                eprint_text(bytes);
                Ok(())
            }
        }
    }

    fn is_unread(self) -> bool {
        self == Self::Stdout && output::is_unread()
    }
}

/// Runs a container until it ends, the user interrupts, or nobody reads what it writes; its exit code becomes ours.
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
    container::check_user(options.user.as_deref(), &image, ExitCode::Usage)?;
    // Ctrl-C stops the container with its own signal, so it must not end the wait for that.
    let engine = context.engine_with(Arc::default())?;
    let tried = format!("cannot run {}", image.source());
    let failed = |error| hints::engine(&tried, error);
    let unpacked = engine.unpack(&image, &|_| {}).map_err(failed)?;
    context.progress.abandon();
    let mut container = engine.create(&unpacked, &options).map_err(failed)?;
    container.start().map_err(failed)?;
    let exit = to_the_end(context, &mut container, Sink::Stdout, &failed)?;
    container.remove().map_err(failed)?;
    as_ours(exit)
}

/// Passes on what a started container writes until it ends by itself, or is stopped because the user interrupts. `None`:
/// it was stopped because nobody reads that any more, which is an end like any other.
fn to_the_end(
    context: &Context,
    container: &mut Container,
    sink: Sink,
    failed: &dyn Fn(EngineError) -> Failure,
) -> Result<Option<Exit>, Failure> {
    let mut printed = 0;
    let mut print_new = |log: &[u8]| {
        let new = log.get(printed..).unwrap_or_default();
        printed = log.len().max(printed);
        if new.is_empty() { Ok(()) } else { sink.write(new) }
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
        if sink.is_unread() {
            return container.stop(UNREAD_GRACE).map(|_| None).map_err(failed);
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    print_new(&container.logs())?;
    Ok(Some(exit))
}

fn as_ours(exit: Option<Exit>) -> Result<(), Failure> {
    match exit {
        None | Some(Exit::Code(0)) => Ok(()),
        Some(Exit::Code(code)) => {
            Err(Failure::new(ExitCode::Failure, format!("the container ended with exit code {code}")))
        }
        Some(Exit::Signal(signal)) => {
            Err(Failure::new(ExitCode::Failure, format!("signal {signal} ended the container")))
        }
    }
}
