//! Commands that run containers, started by a user who is not root: the program again, in a user namespace.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::{Standing, rootless};
use rustix::process::{Pid, Signal, kill_process};

use crate::cli::Command;
use crate::context::MAPPER;
use crate::exit::ExitCode;
use crate::failure::Failure;

/// How soon a signal is passed on, and an end noticed.
const GLANCE: Duration = Duration::from_millis(10);

/// Runs the command in a user namespace if that is the way for it: the exit code then. Before any thread starts.
pub(crate) fn instead(command: &Command, arguments: &[OsString]) -> Result<Option<u8>, Failure> {
    let (needs, can_do_without) = match command {
        Command::Record(_) | Command::Verify(_) | Command::Evaluate(_) | Command::Run(_) => (true, false),
        // Of a recorded profile it can make an image; the examination tells what is wrong; and what was unpacked in a
        // user namespace is removed in one.
        Command::Harden(_) | Command::Doctor | Command::Clean(_) => (true, true),
        _ => (false, false),
    };
    if !needs || Standing::of_this_process() != Standing::Ordinary {
        return Ok(None);
    }
    let arguments = arguments.get(1..).unwrap_or_default();
    match rootless::enter(arguments, &[MAPPER.into()]) {
        Ok(child) => Ok(Some(to_the_end(child)?)),
        Err(_) if can_do_without => Ok(None),
        Err(error) => {
            let hint = error.hint();
            Err(Failure::caused_by(ExitCode::Host, "cannot run containers without root", error).hint(hint))
        }
    }
}

/// Passes signals on until the program has ended.
fn to_the_end(mut child: Child) -> Result<u8, Failure> {
    let failed =
        |source| Failure::caused_by(ExitCode::Host, "cannot wait for the program without root", source);
    let mut signals = Vec::new();
    for (number, signal) in [
        (signal_hook::consts::SIGINT, Signal::INT),
        (signal_hook::consts::SIGTERM, Signal::TERM),
        (signal_hook::consts::SIGHUP, Signal::HUP),
    ] {
        let came = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(number, Arc::clone(&came)).map_err(failed)?;
        signals.push((came, signal));
    }
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(9));
            return Ok(u8::try_from(code).unwrap_or(1));
        }
        for (came, signal) in &signals {
            if let Some(pid) = pid.filter(|_| came.swap(false, Ordering::SeqCst)) {
                let _ended_just_now = kill_process(pid, *signal);
            }
        }
        std::thread::sleep(GLANCE);
    }
}
