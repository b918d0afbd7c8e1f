//! One command: in the container, or on the host within the container's network.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::supervisor::state_root;
use super::{reap, shed_inheritance};
use crate::cgroup::{Joined, kill_tree};
use crate::executor::{DirectExecutor, reported};
use crate::inside::{Inside, clean};
use crate::options::Network;
use crate::protocol::{Channel, CommandRequest, Failure, FromCommand, KillCommand, Received};
use crate::{bundle, family, settings, users};

/// Where a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Container,
    HostWithContainerNetwork,
}

/// Runs the command that the first message describes, its output going to ours.
pub(super) fn run(mut channel: Channel, place: Place) -> io::Result<()> {
    let Received::Message::<CommandRequest>(request) = channel.receive(Duration::MAX)? else { return Ok(()) };
    let stdin_bytes = match request.stdin_bytes {
        Some(count) => match channel.receive_bytes(count)? {
            Some(bytes) => Some(bytes),
            None => return Ok(()),
        },
        None => None,
    };
    let cgroup = match place {
        Place::Container => request.plan.cgroup.exec_dir(request.number).0,
        Place::HostWithContainerNetwork => request.plan.cgroup.host_command_dir(request.number),
    };
    let (stdin, feed) = match stdin_bytes.map(Feed::new).transpose()? {
        Some((stdin, feed)) => (stdin, Some(feed)),
        None => (fs::File::open("/dev/null")?.into(), None),
    };
    let started =
        request.plan.cgroup.create_dir(&cgroup).map_err(|error| Failure::step("make a cgroup for", &error));
    let started = started.and_then(|()| match place {
        Place::Container => start_in_container(&request, &cgroup, stdin),
        Place::HostWithContainerNetwork => start_on_host(&request, &cgroup, stdin),
    });
    let last = match started {
        Ok(pid) => {
            // Ours must not keep the pipes of the command's output open.
            let null = fs::OpenOptions::new().write(true).open("/dev/null")?;
            sys::redirect(sys::Standard::Output, &null)?;
            sys::redirect(sys::Standard::Error, &null)?;
            let kill = || match request.plan.cgroup.is_absent() {
                true => family::kill(pid),
                false => kill_tree(&cgroup),
            };
            wait(&mut channel, pid, &kill, feed)?.map(FromCommand::Ended)
        }
        Err(failure) => {
            reap(None);
            Some(FromCommand::Failed(failure))
        }
    };
    // Stays, if something that the command started still runs; goes with the container then.
    let _in_use = fs::remove_dir(&cgroup);
    last.map_or(Ok(()), |last| channel.send(&last))
}

/// Waits for the end while feeding standard input. `None` if the engine is gone; the command is killed then.
fn wait(
    channel: &mut Channel,
    pid: Pid,
    kill: &dyn Fn(),
    mut feed: Option<Feed>,
) -> io::Result<Option<crate::Exit>> {
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let mut gone = false;
    loop {
        if !gone {
            match channel.receive::<KillCommand>(Duration::ZERO)? {
                Received::Message(KillCommand) => kill(),
                Received::Closed => {
                    gone = true;
                    kill();
                }
                Received::Nothing => {}
            }
        }
        if let Some(exit) = reap(Some(pid)) {
            return Ok((!gone).then_some(exit));
        }
        let mut fds = vec![PollFd::new(&pidfd, PollFlags::IN)];
        if !gone {
            fds.push(PollFd::new(channel.socket(), PollFlags::IN));
        }
        fds.extend(feed.iter().map(|feed| PollFd::new(&feed.pipe, PollFlags::OUT)));
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        feed = feed.and_then(Feed::step);
    }
}

/// Bytes on their way into a pipe.
struct Feed {
    pipe: OwnedFd,
    bytes: Vec<u8>,
    done: usize,
}

impl Feed {
    /// The end to read from, and the rest.
    fn new(bytes: Vec<u8>) -> io::Result<(OwnedFd, Self)> {
        let (reader, pipe) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok((reader, Self { pipe, bytes, done: 0 }))
    }

    /// Writes what fits. `None` once all is written or nobody reads any more.
    fn step(mut self) -> Option<Self> {
        loop {
            if self.done == self.bytes.len() {
                return None;
            }
            match rustix::io::write(&self.pipe, &self.bytes[self.done..]) {
                Ok(count) => self.done += count,
                Err(rustix::io::Errno::AGAIN) => return Some(self),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return None,
            }
        }
    }
}

fn start_in_container(request: &CommandRequest, cgroup: &Path, stdin: OwnedFd) -> Result<Pid, Failure> {
    let plan = &request.plan;
    let failed = |error: io::Error| Failure::step("run a command in", &error);
    shed_inheritance().map_err(failed)?;
    std::env::set_current_dir("/").map_err(failed)?;
    let inside = Inside::open(&PathBuf::from(format!("/proc/{}/root", request.init_pid)))
        .map_err(|_| Failure::NotRunning)?;
    let user = request.user.as_deref().or(plan.options.user.as_deref()).unwrap_or(&plan.defaults.user);
    let user = users::look_up(&inside, user)?;
    let env = settings::environment(&plan.defaults, &plan.options, &bundle::hostname(plan));
    let env = settings::extend(env, &request.env, &user.home);
    let working_dir = match &request.working_dir {
        Some(dir) => clean(&dir.to_string_lossy()),
        None => settings::working_dir(&plan.defaults, &plan.options),
    };
    if inside.directory(&working_dir).is_none() {
        let problem = "is not a directory in the container".to_owned();
        return Err(Failure::Option { option: "working directory".into(), value: working_dir, problem });
    }
    let capabilities = bundle::capabilities(plan, &user)?;
    let user = user.standing(plan.standing);
    let harness = bundle::harness(plan, &capabilities, user.uid).map_err(failed)?;
    let nnp = plan.options.no_new_privileges;
    let process = settings::process(
        &request.args,
        &env,
        &working_dir,
        &user,
        &capabilities,
        nnp,
        bundle::is_harnessed(plan),
    );
    let process_file = plan.run_dir.join(format!("exec-{}.json", request.number));
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&process_file)
        .and_then(|mut file| file.write_all(process.to_string().as_bytes()))
        .map_err(failed)?;
    // So that the command may reopen /dev/stdin, /dev/stdout and /dev/stderr.
    let uid = Some(rustix::fs::Uid::from_raw(user.uid));
    let _at_worst_closed = rustix::fs::fchown(&stdin, uid, None);
    let _at_worst_closed = rustix::fs::fchown(io::stdout(), uid, None);
    let _at_worst_closed = rustix::fs::fchown(io::stderr(), uid, None);

    let joins = plan.cgroup.runtime_joins();
    let joined = if joins { None } else { Some(Joined::join(&plan.cgroup, cgroup).map_err(failed)?) };
    let built = ContainerBuilder::new(plan.id.clone(), SyscallType::default())
        .with_executor(DirectExecutor { harness })
        .with_stdin(stdin)
        .with_root_path(state_root(plan))
        .and_then(|builder| {
            let sub_cgroup =
                (joins && !plan.cgroup.is_absent()).then(|| plan.cgroup.exec_dir(request.number).1);
            let tenant = builder.as_tenant().with_detach(true).with_sub_cgroup(sub_cgroup);
            tenant.with_process(Some(&process_file)).build()
        });
    let left = joined.map_or(Ok(()), Joined::leave);
    let _absent = fs::remove_file(&process_file);
    let pid = built.map_err(|error| {
        let causes = crate::error::chain(&error);
        reported(&causes).unwrap_or(Failure::Step { step: "run a command in".into(), causes })
    })?;
    left.map_err(failed)?;
    Pid::from_raw(pid.as_raw()).ok_or(Failure::NotRunning)
}

fn start_on_host(request: &CommandRequest, cgroup: &Path, stdin: OwnedFd) -> Result<Pid, Failure> {
    let plan = &request.plan;
    let failed = |error: io::Error| Failure::step("enter the network of", &error);
    if plan.options.network == Network::Private {
        use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
        let path = format!("/proc/{}/ns/net", request.init_pid);
        let namespace = fs::File::open(path).map_err(|_| Failure::NotRunning)?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|error| failed(error.into()))?;
    }
    let program = request.args.first().ok_or(Failure::NoCommand)?;
    let mut command = Command::new(program);
    command.args(&request.args[1..]).stdin(Stdio::from(stdin));
    command.envs(request.env.iter().map(|(name, value)| (name, value)));
    if let Some(dir) = &request.working_dir {
        command.current_dir(dir);
    }
    let joined = match plan.cgroup.is_absent() {
        true => None,
        false => Some(Joined::join(&plan.cgroup, cgroup).map_err(failed)?),
    };
    let spawned = command.spawn();
    joined.map_or(Ok(()), Joined::leave).map_err(failed)?;
    match spawned {
        Ok(child) => i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(Failure::NotRunning),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => {
                Err(Failure::ProgramNotFound { program: program.clone(), tried: Vec::new() })
            }
            _ => Err(Failure::ProgramNotExecutable { program: program.clone(), reason: error.to_string() }),
        },
    }
}
