//! The engine's end of a command: feeds it to its helper, collects its output, enforces its time.

use std::io::Read;
use std::os::fd::AsFd;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use crate::protocol::{Channel, CommandRequest, FromCommand, KillCommand, Received, timespec};
use crate::{CommandEnd, CommandOutput, EngineError, Exit, MAX_OUTPUT_BYTES};

/// How often the wait looks for Ctrl-C.
const GLANCE: Duration = Duration::from_millis(50);
/// How long output may still come after the end, from what the command left running.
const AFTERGLOW: Duration = Duration::from_millis(100);

/// Runs a command through the helper that was just started for it.
pub(crate) fn run(
    (child, channel): (Child, Channel),
    request: &CommandRequest,
    stdin: &[u8],
    timeout: Duration,
    interrupt: &AtomicBool,
) -> Result<CommandOutput, EngineError> {
    let mut helper = CommandHelper { channel: Some(channel), child };
    let began = Instant::now();
    let deadline = began.checked_add(timeout);
    let id = &request.plan.id;
    let mut streams = [
        Stream::new(helper.child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Pipe>)),
        Stream::new(helper.child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Pipe>)),
    ];
    let channel = helper.channel.as_mut().expect("set above and taken only by drop");
    // Sending fails only if the helper is gone, which receiving tells too.
    let _told_below = channel.send(request).and_then(|()| channel.send_bytes(stdin));
    let mut timed_out = false;
    let (end, ended) = loop {
        if interrupt.load(Ordering::Relaxed) {
            return Err(EngineError::Interrupted);
        }
        if !timed_out && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            timed_out = true;
            let _told_below = channel.send(&KillCommand);
        }
        match channel.receive(Duration::ZERO) {
            Ok(Received::Message(FromCommand::Ended(end))) => break (end, Instant::now()),
            Ok(Received::Message(FromCommand::Failed(failure))) => return Err(failure.into_error(id)),
            Ok(Received::Nothing) => {}
            Ok(Received::Closed) | Err(_) => {
                let log = String::from_utf8_lossy(&streams[1].bytes).trim().to_owned();
                return Err(EngineError::HelperGone { id: id.clone(), log });
            }
        }
        let until = deadline
            .filter(|_| !timed_out)
            .map_or(GLANCE, |deadline| deadline.saturating_duration_since(Instant::now()).min(GLANCE));
        let mut fds = vec![PollFd::new(channel.socket(), PollFlags::IN)];
        fds.extend(streams.iter().flat_map(Stream::poll_fd));
        let _looked_at_below = poll(&mut fds, Some(&timespec(until)));
        streams.iter_mut().for_each(Stream::read_ready);
    };
    let duration = ended.duration_since(began);
    loop {
        let mut fds: Vec<_> = streams.iter().flat_map(Stream::poll_fd).collect();
        let left = AFTERGLOW.saturating_sub(ended.elapsed());
        if fds.is_empty() || !matches!(poll(&mut fds, Some(&timespec(left))), Ok(ready) if ready > 0) {
            break;
        }
        streams.iter_mut().for_each(Stream::read_ready);
    }
    let [stdout, stderr] = streams;
    Ok(CommandOutput {
        end: match end {
            _ if timed_out => CommandEnd::TimedOut,
            Exit::Code(code) => CommandEnd::Exited(code),
            Exit::Signal(signal) => CommandEnd::Signalled(signal),
        },
        truncated: stdout.truncated || stderr.truncated,
        stdout: stdout.bytes,
        stderr: stderr.bytes,
        duration,
    })
}

/// The helper of one command. Dropped while the command runs, it has it killed; in any case it is waited for.
struct CommandHelper {
    channel: Option<Channel>,
    child: Child,
}

impl Drop for CommandHelper {
    fn drop(&mut self) {
        self.channel = None;
        let _ended = self.child.wait();
    }
}

trait Pipe: Read + AsFd {}
impl<T: Read + AsFd> Pipe for T {}

/// One output stream.
struct Stream {
    pipe: Option<Box<dyn Pipe>>,
    bytes: Vec<u8>,
    truncated: bool,
}

impl Stream {
    fn new(pipe: Option<Box<dyn Pipe>>) -> Self {
        if let Some(pipe) = &pipe {
            let _then_reads_block_briefly = rustix::io::ioctl_fionbio(pipe.as_fd(), true);
        }
        Self { pipe, bytes: Vec::new(), truncated: false }
    }

    fn poll_fd(&self) -> Option<PollFd<'_>> {
        self.pipe.as_ref().map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN))
    }

    /// Takes what is there, so that the command never waits for us, and keeps what fits.
    fn read_ready(&mut self) {
        let mut chunk = [0; 65536];
        for _ in 0..16 {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut chunk) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    let room = MAX_OUTPUT_BYTES - self.bytes.len();
                    self.bytes.extend_from_slice(&chunk[..count.min(room)]);
                    self.truncated |= count > room;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
    }
}
