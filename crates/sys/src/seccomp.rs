//! Of seccomp filters whose system calls another process is asked about.
//!
//! Source: `seccomp_unotify(2)`.

mod owners;
mod program;

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

pub use owners::{changes_owner, pretended_owners};
pub use program::{AARCH64, Fate, I386, X86_64, program};

/// One instruction of a classic BPF program: code, jump if true, jump if false, constant.
pub type Instruction = (u16, u8, u8, u32);

/// A system call that waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification {
    /// Names it in the answer.
    pub id: u64,
    /// The thread, as the receiver's PID namespace numbers it; 0 if it has none there.
    pub thread: u32,
    /// `AUDIT_ARCH_…` of the way it came.
    pub arch: u32,
    /// Its number in that architecture.
    pub number: i32,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// What becomes of a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The kernel carries it out.
    Continue,
    /// It is not carried out and returns this: 0 or more, or a negative errno.
    Return(i64),
}

/// Puts a filter on this thread and all that it will fork and execute; gives the listener for the calls that the
/// filter wants to be asked about.
///
/// The caller has `CAP_SYS_ADMIN` in its user namespace, or has given up new privileges.
///
/// Once a call was received, only a signal that kills breaks its wait (Linux 5.19). Before that, and before Linux 5.19
/// at any time, a signal whose handler does not restart calls makes it fail with EINTR.
///
/// # Errors
/// What seccomp(2) says: EBUSY if a filter with a listener is there already.
pub fn listen(filter: &[Instruction]) -> io::Result<OwnedFd> {
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    let listener = match install(filter, flags | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => install(filter, flags)?,
        listener => listener?,
    };
    let listener = libc::c_int::try_from(listener).map_err(io::Error::other)?;
    // SAFETY: with NEW_LISTENER the call returned a new descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(listener) })
}

/// Puts a filter on this thread and all that it will fork and execute.
///
/// # Errors
/// What seccomp(2) says.
pub fn confine(filter: &[Instruction]) -> io::Result<()> {
    install(filter, 0).map(drop)
}

fn install(filter: &[Instruction], flags: libc::c_ulong) -> io::Result<libc::c_long> {
    let mut filter: Vec<_> =
        filter.iter().map(|&(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k }).collect();
    let len = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    // SAFETY: `program` and the instructions that it points to live over the call, which only reads them.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Takes the next waiting call. Blocks while there is none: poll first.
///
/// # Errors
/// What the ioctl says: ENOENT if the caller was killed meanwhile, EINTR.
pub fn receive(listener: impl AsFd) -> io::Result<Notification> {
    // SAFETY: all of its fields are integers, for which zero is a value.
    let mut raw: libc::seccomp_notif = unsafe { zeroed() };
    let request = ioctl(3, 0, size_of::<libc::seccomp_notif>());
    // SAFETY: the kernel writes one `seccomp_notif`, of the size that the request states, through a valid pointer.
    if unsafe { libc::ioctl(listener.as_fd().as_raw_fd(), request, &raw mut raw) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(Notification {
        id: raw.id,
        thread: raw.pid,
        arch: raw.data.arch,
        number: raw.data.nr,
        arguments: raw.data.args,
    })
}

/// Answers a call.
///
/// # Errors
/// What the ioctl says: ENOENT if the caller is gone.
pub fn answer(listener: impl AsFd, id: u64, answer: Answer) -> io::Result<()> {
    let mut raw = libc::seccomp_notif_resp { id, val: 0, error: 0, flags: 0 };
    match answer {
        Answer::Continue => raw.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
        Answer::Return(value) if value < 0 => raw.error = i32::try_from(value).unwrap_or(-libc::EINVAL),
        Answer::Return(value) => raw.val = value,
    }
    let request = ioctl(3, 1, size_of::<libc::seccomp_notif_resp>());
    // SAFETY: the kernel reads one `seccomp_notif_resp`, of the size that the request states.
    if unsafe { libc::ioctl(listener.as_fd().as_raw_fd(), request, &raw mut raw) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Whether a call still waits, and its thread is therefore still the same one.
pub fn is_waiting(listener: impl AsFd, id: u64) -> bool {
    let request = ioctl(1, 2, size_of::<u64>());
    // SAFETY: the kernel reads one `u64`.
    unsafe { libc::ioctl(listener.as_fd().as_raw_fd(), request, &raw const id) == 0 }
}

/// Asks the kernel to wake the asker at once on the same processor, which halves the cost of a question. Kernels before
/// 6.6 do not know it.
///
/// # Errors
/// What the ioctl says.
pub fn wake_synchronously(listener: impl AsFd) -> io::Result<()> {
    const SYNC_WAKE_UP: libc::c_ulong = 1;
    let request = ioctl(1, 4, size_of::<u64>());
    // SAFETY: this request takes its argument by value.
    if unsafe { libc::ioctl(listener.as_fd().as_raw_fd(), request, SYNC_WAKE_UP) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// `_IOC(direction, '!', number, size)`: direction 1 is write, 3 both.
const fn ioctl(direction: libc::c_ulong, number: libc::c_ulong, size: usize) -> libc::c_ulong {
    direction << 30 | (size as libc::c_ulong) << 16 | 0x21 << 8 | number
}

/// Copies bytes out of another process's memory; gives how many there were in one piece.
///
/// # Errors
/// What process_vm_readv(2) says: EFAULT if not even the first is there.
pub fn read_memory(process: u32, address: u64, into: &mut [u8]) -> io::Result<usize> {
    let pid = libc::pid_t::try_from(process).map_err(|_| io::ErrorKind::InvalidInput)?;
    let base = usize::try_from(address).map_err(|_| io::ErrorKind::InvalidInput)? as *mut libc::c_void;
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = libc::iovec { iov_base: base, iov_len: into.len() };
    // SAFETY: the local vector is the buffer, borrowed for the call; the remote address is only ever resolved by the
    // kernel in the other process.
    let read = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}
