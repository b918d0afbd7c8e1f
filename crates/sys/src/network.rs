//! Of network devices.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Switches the loopback device on, in the network namespace that `socket` belongs to. The kernel then gives it
/// 127.0.0.1 and ::1 by itself.
///
/// # Errors
/// What the ioctl SIOCSIFFLAGS says.
///
/// Source: `netdevice(7)`.
pub fn loopback_up(socket: impl AsFd) -> io::Result<()> {
    let up = libc::IFF_UP | libc::IFF_RUNNING;
    let mut name = [0; libc::IFNAMSIZ];
    name[0] = b'l' as libc::c_char;
    name[1] = b'o' as libc::c_char;
    let request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_flags: libc::c_short::try_from(up).unwrap_or(libc::c_short::MAX),
        },
    };
    // SAFETY: SIOCSIFFLAGS reads one ifreq through the pointer, which is valid for the call; the descriptor is
    // borrowed and therefore open.
    if unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
