//! Of processes: execution, signals, namespaces.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

/// Replaces this process by a program. `path` is not searched on any `PATH`, and a file that the kernel does not
/// know how to execute is not handed to a shell. Returns only if it fails.
///
/// # Errors
/// Always: why execve(2) failed.
pub fn execve(path: &CStr, args: &[CString], env: &[CString]) -> io::Error {
    let pointers =
        |texts: &[CString]| texts.iter().map(|t| t.as_ptr()).chain([ptr::null()]).collect::<Vec<_>>();
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: `path` is NUL-terminated; both arrays end with a null pointer and hold pointers into strings that the
    // caller's borrow keeps alive over the call.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Gives every signal its default action. SIGPIPE is ignored by Rust's runtime, others perhaps by whoever started us
/// (`nohup`), and an ignored signal stays ignored over exec: a program that does not expect that may never end.
pub fn restore_default_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL installs no handler, so there is none whose code could be unsound. The kernel and libc
        // refuse the few signals whose action is fixed.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Gives this thread a mount namespace of its own, a copy of the present one.
///
/// # Errors
/// What unshare(2) says.
pub fn unshare_mount_namespace() -> io::Result<()> {
    // SAFETY: only a file descriptor table shared with other threads would be dangerous to unshare; CLONE_NEWNS
    // leaves descriptors alone.
    Ok(unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }?)
}

/// Gives this process namespaces of its own. Of a new PID namespace its next child becomes the first process.
///
/// # Errors
/// What unshare(2) says.
pub fn unshare(namespaces: rustix::thread::UnshareFlags) -> io::Result<()> {
    // SAFETY: only a file descriptor table shared with other threads would be dangerous to unshare, so that is left out.
    Ok(unsafe { rustix::thread::unshare_unsafe(namespaces - rustix::thread::UnshareFlags::FILES) }?)
}

/// Sends a signal by number, for the real-time ones that rustix has no names for.
///
/// # Errors
/// What kill(2) says.
pub fn kill_process(pid: rustix::process::Pid, signal: i32) -> io::Result<()> {
    // SAFETY: kill(2) takes two numbers and touches no memory of ours.
    if unsafe { libc::kill(pid.as_raw_nonzero().get(), signal) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// One of the three descriptors that every process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standard {
    /// Descriptor 0.
    Input = 0,
    /// Descriptor 1.
    Output = 1,
    /// Descriptor 2.
    Error = 2,
}

/// Makes a standard descriptor stand for another open file.
///
/// # Errors
/// What dup2(2) says.
pub fn redirect(standard: Standard, to: impl AsFd) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed and therefore open. The target is one of the three that std treats as
    // always open and never owns, so nobody else's file is closed.
    if unsafe { libc::dup2(to.as_fd().as_raw_fd(), standard as libc::c_int) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
