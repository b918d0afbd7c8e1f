//! The supervisor of one container, from the mounting of its layers to the removal of its cgroups.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::{reap, shed_inheritance};
use crate::cgroup::Joined;
use crate::executor::{DirectExecutor, reported};
use crate::inside::Inside;
use crate::log::LogWriter;
use crate::options::Network;
use crate::overlay::{self, Dirs};
use crate::protocol::{Channel, Failure, FromSupervisor, Plan, Received, ToSupervisor};
use crate::run_dir::RunLock;
use crate::watched::Harness;
use crate::{bundle, cgroup, family, users};

/// Where in the run directory libcontainer keeps its state.
pub(crate) fn state_root(plan: &Plan) -> PathBuf {
    plan.run_dir.join("state")
}

/// Supervises the container that the first message describes until the engine is gone; then undoes all of it.
pub(super) fn run(mut channel: Channel) -> io::Result<()> {
    let Received::Message(ToSupervisor::Create(plan)) = channel.receive(Duration::MAX)? else {
        return Ok(());
    };
    // While this lock is held nobody sweeps the container up.
    let _lock = RunLock::share(&plan.run_dir)?;
    let mut supervisor = Supervisor {
        log: LogWriter::create(&plan.run_dir)?,
        plan: *plan,
        dirs: None,
        init: None,
        output: None,
    };
    let result = supervisor.converse(&mut channel);
    supervisor.kill_all();
    supervisor.collect_output(true);
    reap(None);
    let removed = supervisor.plan.cgroup.remove();
    result.and(removed)
}

struct Supervisor {
    plan: Plan,
    log: LogWriter,
    /// Once the layers are mounted.
    dirs: Option<Dirs>,
    init: Option<Init>,
    /// What the main process writes to.
    output: Option<OwnedFd>,
}

struct Init {
    pid: Pid,
    pidfd: OwnedFd,
    container: Container,
}

impl Supervisor {
    fn converse(&mut self, channel: &mut Channel) -> io::Result<()> {
        let created = self.create();
        self.answer(channel, created)?;
        loop {
            // Messages may be buffered beside those that poll knows of.
            match channel.receive(Duration::ZERO)? {
                Received::Message(message) => {
                    let answer = self.handle(&message);
                    self.answer(channel, answer)?;
                    continue;
                }
                Received::Closed => return Ok(()),
                Received::Nothing => {}
            }
            let mut fds = vec![PollFd::new(channel.socket(), PollFlags::IN)];
            fds.extend(self.output.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
            fds.extend(self.init.iter().map(|init| PollFd::new(&init.pidfd, PollFlags::IN)));
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            self.collect_output(false);
            if let Some(exit) = reap(self.init.as_ref().map(|init| init.pid)) {
                self.ended();
                channel.send(&FromSupervisor::Exited(exit))?;
            }
        }
    }

    fn answer(&self, channel: &mut Channel, result: Result<FromSupervisor, Failure>) -> io::Result<()> {
        channel.send(&result.unwrap_or_else(FromSupervisor::Failed))
    }

    fn handle(&mut self, message: &ToSupervisor) -> Result<FromSupervisor, Failure> {
        match message {
            ToSupervisor::Create(_) | ToSupervisor::Recreate => self.create(),
            ToSupervisor::Start => {
                let init = self.init.as_mut().ok_or(Failure::NotRunning)?;
                init.container.start().map_err(|error| Failure::step("start", &error))?;
                Ok(FromSupervisor::Done)
            }
            ToSupervisor::Signal(number) => {
                let init = self.init.as_ref().ok_or(Failure::NotRunning)?;
                let unknown = || Failure::Option {
                    option: "signal".into(),
                    value: number.to_string(),
                    problem: "is not a signal".into(),
                };
                // Until we reap it the number is taken, so this reaches no other process.
                send_signal(init.pid, *number)
                    .ok_or_else(unknown)?
                    .map_err(|error| Failure::step("signal", &error))?;
                Ok(FromSupervisor::Done)
            }
            ToSupervisor::KillAll => {
                self.kill_all();
                Ok(FromSupervisor::Done)
            }
        }
    }

    /// Without cgroups the main process takes all others of its PID namespace with it.
    fn kill_all(&self) {
        match &self.init {
            Some(init) if self.plan.cgroup.is_absent() => family::kill(init.pid),
            _ => self.plan.cgroup.kill_all(),
        }
    }

    /// Mounts the layers the first time, and makes a main process that waits to be started.
    fn create(&mut self) -> Result<FromSupervisor, Failure> {
        if self.dirs.is_none() {
            self.dirs = Some(self.mount()?);
        }
        let dirs = self.dirs.as_ref().ok_or(Failure::NotRunning)?;
        let mounts = bundle::write(&self.plan, dirs)?;
        self.plan.cgroup.create().map_err(|error| Failure::step("make the cgroup of", &error))?;
        let container = match self.build() {
            Ok(container) => container,
            Err(failure) => {
                reap(None);
                return Err(failure);
            }
        };
        let failed = |error: io::Error| Failure::step("watch", &error);
        let pid = container.pid().and_then(|pid| Pid::from_raw(pid.as_raw())).ok_or(Failure::NotRunning)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| failed(error.into()))?;
        self.init = Some(Init { pid, pidfd, container });
        if self.plan.options.network == Network::Private {
            loopback_up(pid).map_err(|error| Failure::step("switch on the loopback device of", &error))?;
        }
        Ok(FromSupervisor::Created { pid: pid.as_raw_nonzero().get().cast_unsigned(), mounts })
    }

    /// In a mount namespace of our own: the mounts go with the last of our processes, whatever happens to us.
    fn mount(&self) -> Result<Dirs, Failure> {
        let failed = |error: io::Error| Failure::step("mount the layers of", &error);
        shed_inheritance().map_err(failed)?;
        std::env::set_current_dir("/").map_err(failed)?;
        sys::unshare_mount_namespace().map_err(failed)?;
        mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
            .map_err(|error| failed(error.into()))?;
        let dirs = Dirs::make(&self.plan.run_dir).map_err(failed)?;
        let nodev = !self.plan.cgroup.has_device_controller();
        overlay::mount_layers(&self.plan.layers, self.plan.root, &dirs, nodev).map_err(failed)?;
        Ok(dirs)
    }

    fn build(&mut self) -> Result<Container, Failure> {
        let failed = |error: io::Error| Failure::step("create", &error);
        let state_root = state_root(&self.plan);
        // What an earlier main process left.
        let _absent = fs::remove_dir_all(state_root.join(&self.plan.id));
        fs::create_dir_all(&state_root).map_err(failed)?;
        let stdin = fs::File::open("/dev/null").map_err(failed)?;
        let (reader, writer) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
        self.let_user_open(&writer);
        rustix::io::ioctl_fionbio(&reader, true).map_err(|error| failed(error.into()))?;
        self.output = Some(reader);
        let joined = match self.plan.cgroup.runtime_joins() {
            true => None,
            false => Some(Joined::join(&self.plan.cgroup, &self.plan.cgroup.dir()).map_err(failed)?),
        };
        let harness = self.harness().map_err(failed)?;
        let builder = ContainerBuilder::new(self.plan.id.clone(), SyscallType::default())
            .with_executor(DirectExecutor { harness })
            .with_root_path(state_root)
            .and_then(ContainerBuilder::validate_id);
        let duplicate = writer.try_clone().map_err(failed)?;
        let built = builder.and_then(|builder| {
            let builder = builder.with_stdin(stdin).with_stdout(writer).with_stderr(duplicate);
            builder.as_init(bundle::dir(&self.plan.run_dir)).with_systemd(false).with_detach(true).build()
        });
        let left = joined.map_or(Ok(()), Joined::leave);
        let container = built.map_err(|error| {
            let causes = crate::error::chain(&error);
            reported(&causes).unwrap_or(Failure::Step { step: "create".into(), causes })
        })?;
        left.map_err(failed)?;
        self.plan.cgroup.deny_devices_beyond_dockers();
        Ok(container)
    }

    /// What the main process puts on itself, by what the bundle says of it.
    fn harness(&self) -> io::Result<Harness> {
        let inside = Inside::open(&self.plan.run_dir.join("rootfs"))?;
        let user = self.plan.options.user.as_deref().unwrap_or(&self.plan.defaults.user);
        let refused = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let user = users::look_up(&inside, user).map_err(refused)?;
        let capabilities = bundle::capabilities(&self.plan, &user).map_err(refused)?;
        bundle::harness(&self.plan, &capabilities, user.standing(self.plan.standing).uid)
    }

    /// A main process that is not root may reopen its output as `/dev/stdout`, as many images have it in their
    /// logging setup.
    fn let_user_open(&self, pipe: &OwnedFd) {
        let config = fs::read(bundle::dir(&self.plan.run_dir).join("config.json")).unwrap_or_default();
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap_or_default();
        let uid = config["process"]["user"]["uid"].as_u64().and_then(|uid| u32::try_from(uid).ok());
        if let Some(uid) = uid {
            let _at_worst_closed = rustix::fs::fchown(pipe, Some(rustix::fs::Uid::from_raw(uid)), None);
        }
    }

    /// The main process is gone, and with it its PID namespace. Wait for the rest to have left the cgroups, too.
    fn ended(&mut self) {
        self.init = None;
        cgroup::kill_tree(&self.plan.cgroup.dir());
        self.collect_output(true);
        self.output = None;
    }

    /// Moves what there is from the pipe to the log; all of it, if it is the last time.
    fn collect_output(&mut self, last: bool) {
        let mut chunk = vec![0; 65536];
        while let Some(output) = &self.output {
            match rustix::io::read(output, &mut chunk) {
                Ok(0) => self.output = None,
                // A full disk costs the log, not the container.
                Ok(count) => drop(self.log.write(&chunk[..count])),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
            if !last {
                break;
            }
        }
    }
}

/// Sends a signal by number; `None` if there is none of that number.
fn send_signal(pid: Pid, number: i32) -> Option<io::Result<()>> {
    match Signal::from_named_raw(number) {
        Some(signal) => Some(kill_process(pid, signal).map_err(io::Error::from)),
        None if (34..=64).contains(&number) => Some(sys::kill_process(pid, number)),
        None => None,
    }
}

/// In the network namespace of the main process. A thread enters it and ends there: in a user namespace there would be no
/// way back to the host's.
fn loopback_up(pid: Pid) -> io::Result<()> {
    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
    let up = || -> io::Result<()> {
        let theirs = fs::File::open(format!("/proc/{}/ns/net", pid.as_raw_nonzero()))?;
        move_into_link_name_space(theirs.as_fd(), Some(LinkNameSpaceType::Network))?;
        let family = rustix::net::AddressFamily::INET;
        sys::loopback_up(rustix::net::socket(family, rustix::net::SocketType::DGRAM, None)?)
    };
    let ended = std::thread::scope(|scope| scope.spawn(up).join());
    ended.unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
}
