//! Ctrl-C and SIGTERM, for commands that leave something behind unless they end in order.

use std::io;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How soon a signal is noticed.
pub(crate) const GLANCE: Duration = Duration::from_millis(50);
/// What a second signal ends us with, and the first in the end.
pub(crate) const EXIT_CODE: u8 = 130;

/// Set by the first signal, once they were taken over.
static CAME: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// The user wants an end.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// From now on the first signal asks for an end in order; a second one ends us at once.
pub(crate) fn take_over() -> Result<()> {
    let came = CAME.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_shutdown(signal, EXIT_CODE.into(), Arc::clone(came))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(came)))
            .context("cannot take over signals")?;
    }
    Ok(())
}

/// Whether a signal came.
fn came() -> bool {
    CAME.get().is_some_and(|came| came.load(Ordering::SeqCst))
}

/// Fails once a signal came.
pub(crate) fn check() -> Result<()> {
    if came() { Err(Interrupted.into()) } else { Ok(()) }
}

/// Waits for the end of a child. When a signal comes it is told to end, too.
pub(crate) fn wait(child: &mut Child) -> io::Result<ExitStatus> {
    if CAME.get().is_none() {
        return child.wait();
    }
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let mut is_told = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if let Some(pid) = pid.filter(|_| came() && !is_told) {
            let _ended_just_now = kill_process(pid, Signal::TERM);
            is_told = true;
        }
        std::thread::sleep(GLANCE);
    }
}
