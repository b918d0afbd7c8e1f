//! Runs a program in a root directory under the filter of the backend by notification, for tests: ROOT CANARY PROGRAM.
//! The number of the listener comes out as the first line of standard output.
#![forbid(unsafe_code)]

use std::ffi::CString;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;

fn main() -> io::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [root, canary, program @ ..] = &*arguments else { return Err(io::ErrorKind::InvalidInput.into()) };
    std::os::unix::fs::chroot(root)?;
    std::env::set_current_dir("/")?;
    let program: Vec<_> = program.iter().filter_map(|text| CString::new(text.as_bytes()).ok()).collect();
    let first = program.first().ok_or(io::ErrorKind::InvalidInput)?;
    let listener = sys::seccomp::listen(&sensor::notify::filter())?;
    io::stdout().write_all(format!("{}\n", listener.as_raw_fd()).as_bytes())?;
    io::stdout().flush()?;
    let _does_not_exist = std::fs::metadata(canary);
    Err(sys::execve(first, &program, &[]))
}
