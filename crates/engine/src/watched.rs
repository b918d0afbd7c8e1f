//! Watched processes: each puts a system call filter on itself before it executes the workload, and its listener comes
//! out to us.
//!
//! The process cannot send the descriptor: sending is among the calls that wait for whoever has the listener. So it
//! only writes the number over a socket that it got before, the kernel adds the process's own number, and we fetch the
//! descriptor with pidfd_getfd(2). Until then the process waits in its first filtered call.

use std::fmt;
use std::fs::File;
use std::io::{self, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::{Deserialize, Serialize};
use sys::seccomp::Instruction;

use crate::protocol::readable;

const SOCKET: &str = "listeners";
const GLANCE: Duration = Duration::from_millis(100);
/// A process that was told to write writes at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is put on each process before it executes the workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// A filter that wants to be asked.
    pub filter: Vec<Instruction>,
    /// A path that is looked up under it first.
    pub canary: String,
}

/// Where listeners go: the descriptor, and the process that made it.
#[derive(Clone)]
pub struct ListenerSink(Arc<dyn Fn(OwnedFd, u32) + Send + Sync>);

impl ListenerSink {
    /// What to call with each listener.
    pub fn new(give: impl Fn(OwnedFd, u32) + Send + Sync + 'static) -> Self {
        Self(Arc::new(give))
    }
}

impl fmt::Debug for ListenerSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListenerSink")
    }
}

/// The thread that fetches listeners.
#[derive(Debug)]
pub(crate) struct Fetcher {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Makes the socket, before the first process is made that will write to it.
pub(crate) fn bind(run_dir: &Path) -> io::Result<UnixListener> {
    let (_dir, address) = socket_address(run_dir)?;
    let listener = UnixListener::bind(address)?;
    // Whoever connects gives its number along with what it writes: connections inherit this.
    sockopt::set_socket_passcred(&listener, true)?;
    Ok(listener)
}

impl Fetcher {
    pub(crate) fn start(listener: UnixListener, sink: ListenerSink) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("listeners".to_owned()).spawn(move || {
            let mut waiting: Vec<UnixStream> = Vec::new();
            while !stopped.load(Ordering::Acquire) {
                let pause = if waiting.is_empty() { GLANCE } else { Duration::from_millis(1) };
                if readable(&listener, pause).unwrap_or(false) {
                    waiting.extend(listener.accept().map(|(socket, _)| socket));
                }
                waiting.retain(|socket| match fetch(socket) {
                    Ok(Some((fd, process))) => {
                        (sink.0)(fd, process);
                        false
                    }
                    Ok(None) => true,
                    Err(error) => {
                        tracing::debug!(%error, "a process gave no listener");
                        false
                    }
                });
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Takes the listener of the process at the other end, once it has written.
fn fetch(socket: &UnixStream) -> io::Result<Option<(OwnedFd, u32)>> {
    if !readable(socket, Duration::ZERO)? {
        return Ok(None);
    }
    let mut number = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let message =
        recvmsg(socket, &mut [IoSliceMut::new(&mut number)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let pid = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmCredentials(credentials) => Some(credentials.pid),
        _ => None,
    });
    let (Some(pid), 4) = (pid, message.bytes) else { return Err(io::ErrorKind::UnexpectedEof.into()) };
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let fd = pidfd_getfd(&pidfd, i32::from_ne_bytes(number), PidfdGetfdFlags::empty())?;
    Ok(Some((fd, pid.as_raw_nonzero().get().cast_unsigned())))
}

/// The address of the socket in a directory whose path may be longer than an address can be; valid while the
/// directory is open.
fn socket_address(run_dir: &Path) -> io::Result<(File, std::path::PathBuf)> {
    let dir = File::open(run_dir)?;
    let address = format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()).into();
    Ok((dir, address))
}

/// What a process in the container does to itself before it executes the workload.
#[derive(Debug, Clone, Default)]
pub(crate) struct Harness {
    /// Calls that shall only seem to succeed.
    pretend: Option<Vec<Instruction>>,
    watch: Option<(Arc<UnixStream>, Watch)>,
    /// The capabilities that it is to have, where it has more until then.
    capabilities: Option<(CapabilitySet, CapabilitySet)>,
}

/// The capabilities that putting a filter on without giving up new privileges takes, by number.
pub(crate) const NEEDED: [&str; 2] = ["CAP_SYS_ADMIN", "CAP_SETPCAP"];

impl Harness {
    /// Before the process is forked. `bounding` and `effective` are what it shall have in the end.
    pub(crate) fn prepare(
        run_dir: &Path,
        watch: Option<&Watch>,
        one_user: bool,
        bounding: u64,
        effective: u64,
    ) -> io::Result<Self> {
        let watch = match watch {
            Some(watch) => {
                let (_dir, address) = socket_address(run_dir)?;
                let socket = UnixStream::connect(address)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Some((Arc::new(socket), watch.clone()))
            }
            None => None,
        };
        let pretend = one_user.then(|| sys::seccomp::pretended_owners(watch.is_none()));
        let set = CapabilitySet::from_bits_retain;
        let capabilities = (watch.is_some() || one_user).then(|| (set(bounding), set(effective)));
        Ok(Self { pretend, watch, capabilities })
    }

    /// In the process, last of all.
    pub(crate) fn put_on(&self) -> io::Result<()> {
        if let Some(filter) = &self.pretend {
            sys::seccomp::confine(filter)?;
        }
        let listener = match &self.watch {
            Some((_, watch)) => Some(sys::seccomp::listen(&watch.filter)?),
            None => None,
        };
        if let Some((bounding, effective)) = self.capabilities {
            for capability in CapabilitySet::from_bits_retain((1 << 41) - 1).difference(bounding).iter() {
                let _unknown_here = rustix::thread::remove_capability_from_bounding_set(capability);
            }
            let none = CapabilitySet::empty();
            let sets = CapabilitySets { effective, permitted: effective, inheritable: none };
            rustix::thread::set_capabilities(None::<Pid>, sets)?;
        }
        if let (Some(listener), Some((socket, watch))) = (listener, &self.watch) {
            (&**socket).write_all(&listener.as_raw_fd().to_ne_bytes())?;
            // Waits until there is somebody who answers.
            let _does_not_exist = rustix::fs::stat(watch.canary.as_str());
            // It closes when the workload is executed.
            std::mem::forget(listener);
        }
        Ok(())
    }
}
