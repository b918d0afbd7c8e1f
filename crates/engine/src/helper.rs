//! The helper: this program re-executed, single-threaded, so that it may fork and change namespaces.
//!
//! Three kinds, by the first argument: `supervise` one container over its life, run one command in a container
//! (`exec`), or run one host command in a container's network (`host`). Each is told what to do over a socket that
//! is its standard input, and ends when the other end of that socket is gone, however it went.

mod command;
mod supervisor;

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::process::{WaitOptions, WaitStatus};

use crate::Standing;
use crate::command::Exit;
use crate::protocol::Channel;

/// What a helper is told to be, as its first argument.
pub(crate) const SUPERVISE: &str = "supervise";
pub(crate) const EXEC: &str = "exec";
pub(crate) const HOST: &str = "host";

/// Entry of the re-executed helper: the arguments after [`Helper::leading_args`](crate::Helper::leading_args). Must be
/// called before any thread starts. Gives the exit code.
pub fn helper_main(args: &[OsString]) -> i32 {
    let run = || -> io::Result<()> {
        let channel = settle()?;
        match args.first().and_then(|kind| kind.to_str()) {
            Some(SUPERVISE) => supervisor::run(channel),
            Some(EXEC) => command::run(channel, command::Place::Container),
            Some(HOST) => command::run(channel, command::Place::HostWithContainerNetwork),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "not for use by hand")),
        }
    };
    match run() {
        Ok(()) => 0,
        Err(error) => {
            let _nobody = rustix::io::write(io::stderr(), format!("{error}\n").as_bytes());
            1
        }
    }
}

/// Leaves the terminal's session, so that its Ctrl-C reaches neither us nor the container, and takes the socket
/// from standard input.
fn settle() -> io::Result<Channel> {
    rustix::process::setsid()?;
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let null = std::fs::File::open("/dev/null")?;
    sys::redirect(sys::Standard::Input, &null)?;
    Ok(Channel::new(socket))
}

/// What a container would otherwise inherit from whoever started Careen.
fn shed_inheritance() -> io::Result<()> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    match rustix::thread::set_thread_groups(&[]) {
        // In a user namespace without a range of groups: there are none to shed that could be given back.
        Err(rustix::io::Errno::PERM) if Standing::of_this_process() == Standing::OneUser => Ok(()),
        other => Ok(other?),
    }
}

/// Reaps every child that has ended; tells how `wanted` did if it is among them.
fn reap(wanted: Option<rustix::process::Pid>) -> Option<Exit> {
    let mut found = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if Some(pid) == wanted {
            found = Some(exit(status));
        }
    }
    found
}

fn exit(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(9)),
    }
}
