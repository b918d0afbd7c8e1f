//! One container.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use image::ImagePath;

use crate::cgroup::ContainerCgroup;
use crate::layers::LayersInUse;
use crate::options::Network;
use crate::program::HelperProgram;
use crate::protocol::{CommandRequest, FromSupervisor, Plan, ToSupervisor};
use crate::run_dir::{self, RunLock};
use crate::supervision::Supervision;
use crate::watched::{self, Fetcher};
use crate::{
    CommandOutput, EngineError, ExecOptions, Exit, HostCommand, ListenerSink, Standing, Stdin, execution,
    family, helper, log, settings,
};

/// How long killed processes may take to be gone.
const DEATH: Duration = Duration::from_secs(30);

/// A container that was created; dropping it removes it.
#[derive(Debug)]
pub struct Container {
    plan: Plan,
    program: Arc<HelperProgram>,
    interrupt: Arc<AtomicBool>,
    supervision: Mutex<Supervision>,
    rootfs: PathBuf,
    cgroup_dir: PathBuf,
    mounts: Vec<HostMount>,
    commands: AtomicU64,
    removed: bool,
    /// Until somebody wants what comes.
    listeners: Option<UnixListener>,
    fetcher: Option<Fetcher>,
    _lock: RunLock,
    _in_use: Option<Arc<LayersInUse>>,
}

/// A host file or directory mounted over a path of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostMount {
    /// On the host.
    pub host: PathBuf,
    /// In the image.
    pub image_path: ImagePath,
}

impl Container {
    pub(crate) fn create(
        plan: Plan,
        lock: RunLock,
        in_use: Option<Arc<LayersInUse>>,
        program: Arc<HelperProgram>,
        interrupt: Arc<AtomicBool>,
    ) -> Result<Self, EngineError> {
        let mut undo = Undo(Some((plan.run_dir.clone(), plan.cgroup.clone())));
        let failed = |source| EngineError::DataDir { path: plan.run_dir.clone(), source };
        let listeners = plan.options.watch.as_ref().map(|_| watched::bind(&plan.run_dir)).transpose();
        let listeners = listeners.map_err(failed)?;
        let mut supervision = Supervision::start(&plan, &program)?;
        let mounts = host_mounts(supervision.create(&plan)?)?;
        undo.0 = None;
        let in_helper = format!("/proc/{}/root", supervision.helper_pid());
        let rootfs = PathBuf::from(in_helper + &plan.run_dir.join("rootfs").to_string_lossy());
        Ok(Self {
            cgroup_dir: plan.cgroup.dir(),
            plan,
            program,
            interrupt,
            supervision: Mutex::new(supervision),
            rootfs,
            mounts,
            commands: AtomicU64::new(1),
            removed: false,
            listeners,
            fetcher: None,
            _lock: lock,
            _in_use: in_use,
        })
    }

    fn supervision(&self) -> MutexGuard<'_, Supervision> {
        self.supervision.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_interrupt(&self) -> Result<(), EngineError> {
        if self.interrupt.load(Ordering::Relaxed) { Err(EngineError::Interrupted) } else { Ok(()) }
    }

    /// Its name, 12 hex digits; also its host name by default.
    pub fn id(&self) -> &str {
        &self.plan.id
    }

    /// The directory in the cgroup2 tree that holds, itself or in directories beneath it, every process of this
    /// container over all restarts, commands run with [`Container::exec`] included. It exists until the container is
    /// removed.
    pub fn cgroup_dir(&self) -> &Path {
        &self.cgroup_dir
    }

    /// The program that sets the container up from within and then executes the workload, as a path to look it up
    /// by: a copy in memory of the helper. Its doings in the cgroup are ours, not the workload's.
    pub fn set_up_by(&self) -> PathBuf {
        format!("/proc/{}/exe", self.supervision().helper_pid()).into()
    }

    /// The merged overlay mount, reachable from the host through `/proc/PID/root` of the supervisor, which has a
    /// mount namespace of its own.
    pub fn rootfs(&self) -> &Path {
        &self.rootfs
    }

    /// As whom the engine runs it.
    pub fn standing(&self) -> Standing {
        self.plan.standing
    }

    /// What is mounted over image paths from the host: our `/etc/hosts` and its like, and binds. Volumes are not
    /// among them: they lie on the overlay itself.
    pub fn mounts(&self) -> &[HostMount] {
        &self.mounts
    }

    /// Has the listeners of all processes that are started from now on given to `sink`, if the container was created
    /// to be watched. Before it is started: a watched process waits until somebody answers.
    ///
    /// # Errors
    /// `DataDir`.
    pub fn give_listeners(&mut self, sink: ListenerSink) -> Result<(), EngineError> {
        let failed = |source| EngineError::DataDir { path: self.plan.run_dir.clone(), source };
        if let Some(listeners) = self.listeners.take() {
            self.fetcher = Some(Fetcher::start(listeners, sink).map_err(failed)?);
        }
        Ok(())
    }

    /// Lets the main process run.
    ///
    /// # Errors
    /// `Runtime`, `NotRunning`, `HelperGone`.
    pub fn start(&mut self) -> Result<(), EngineError> {
        self.check_interrupt()?;
        let mut supervision = self.supervision();
        supervision
            .ask(&ToSupervisor::Start, DEATH)
            .map_err(|error| self.with_last_words(error, &supervision))?;
        supervision.started = true;
        Ok(())
    }

    /// The main process, as the host counts. Another one after a restart.
    pub fn pid(&self) -> u32 {
        self.supervision().pid
    }

    /// All processes of the container, ascending, as the host counts.
    pub fn pids(&self) -> Vec<u32> {
        match self.plan.cgroup.is_absent() {
            true => family::in_namespace_of(self.pid()),
            false => self.plan.cgroup.pids(),
        }
    }

    /// Runs a command in the container and waits for its end.
    ///
    /// # Errors
    /// `ProgramNotFound`, `ProgramNotExecutable`, `UnknownUser`, `Option`, `NotRunning`, `Runtime`, `HelperGone`,
    /// `Interrupted`. An exit code other than 0 and a timeout are no errors.
    pub fn exec(&self, command: &ExecOptions) -> Result<CommandOutput, EngineError> {
        let request = CommandRequest {
            args: command.args.clone(),
            env: command.env.clone(),
            user: command.user.clone(),
            working_dir: command.working_dir.as_ref().map(PathBuf::from),
            ..self.request(&command.stdin)?
        };
        self.execute(helper::EXEC, &request, &command.stdin, command.timeout)
    }

    /// Runs a program of the host in the container's network namespace and waits for its end.
    ///
    /// # Errors
    /// `ProgramNotFound`, `ProgramNotExecutable`, `NotRunning`, `Runtime`, `HelperGone`, `Interrupted`.
    pub fn host_command(&self, command: &HostCommand) -> Result<CommandOutput, EngineError> {
        let request = CommandRequest {
            args: command.args.clone(),
            env: command.env.clone(),
            working_dir: command.working_dir.clone(),
            ..self.request(&command.stdin)?
        };
        self.execute(helper::HOST, &request, &command.stdin, command.timeout)
    }

    fn request(&self, stdin: &Stdin) -> Result<CommandRequest, EngineError> {
        self.check_interrupt()?;
        let mut supervision = self.supervision();
        supervision.catch_up()?;
        if !supervision.started || supervision.exit.is_some() {
            return Err(self.not_running(&supervision));
        }
        Ok(CommandRequest {
            args: Vec::new(),
            env: Vec::new(),
            user: None,
            working_dir: None,
            stdin_bytes: match stdin {
                Stdin::Null => None,
                Stdin::Bytes(bytes) => Some(bytes.len()),
            },
            number: self.commands.fetch_add(1, Ordering::Relaxed),
            init_pid: supervision.pid,
            plan: self.plan.clone(),
        })
    }

    fn execute(
        &self,
        kind: &str,
        request: &CommandRequest,
        stdin: &Stdin,
        timeout: Duration,
    ) -> Result<CommandOutput, EngineError> {
        let stdin = match stdin {
            Stdin::Null => &[][..],
            Stdin::Bytes(bytes) => bytes,
        };
        let helper = self.program.command(kind)?;
        let result = execution::run(helper, request, stdin, timeout, &self.interrupt);
        result.map_err(|error| {
            let mut supervision = self.supervision();
            let _known_anyway = supervision.catch_up();
            // A command that fails because the container ends under it should say so.
            match error {
                EngineError::Runtime { .. } | EngineError::HelperGone { .. }
                    if supervision.exit.is_some() =>
                {
                    self.not_running(&supervision)
                }
                error => self.with_last_words(error, &supervision),
            }
        })
    }

    fn not_running(&self, supervision: &Supervision) -> EngineError {
        let last_words = last_words(&log::read(&self.plan.run_dir));
        EngineError::NotRunning { id: self.plan.id.clone(), exit: supervision.exit, last_words }
    }

    fn with_last_words(&self, error: EngineError, supervision: &Supervision) -> EngineError {
        if matches!(error, EngineError::NotRunning { .. }) { self.not_running(supervision) } else { error }
    }

    /// Whether a TCP connection to this address, from within the container's network, is accepted. One try of at
    /// most a second.
    pub fn tcp_ready(&self, host: &str, port: u16) -> bool {
        let private = self.plan.options.network == Network::Private;
        let pid = self.pid();
        let connect = || -> std::io::Result<bool> {
            if private {
                let namespace = File::open(format!("/proc/{pid}/ns/net"))?;
                let kind = rustix::thread::LinkNameSpaceType::Network;
                rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(kind))?;
            }
            let addresses = std::net::ToSocketAddrs::to_socket_addrs(&(host, port))?;
            Ok(addresses
                .into_iter()
                .any(|a| std::net::TcpStream::connect_timeout(&a, Duration::from_secs(1)).is_ok()))
        };
        // The thread enters the namespace and ends there.
        std::thread::scope(|scope| scope.spawn(connect).join()).is_ok_and(|result| result.unwrap_or(false))
    }

    /// What the main process wrote to stdout and stderr so far, in the order written, over all restarts. Of more than
    /// 8 MiB at least the last 8 MiB.
    pub fn logs(&self) -> Vec<u8> {
        log::read(&self.plan.run_dir)
    }

    /// How the main process ended; `None` while it runs or before it was started.
    ///
    /// # Errors
    /// `HelperGone`.
    pub fn exited(&mut self) -> Result<Option<Exit>, EngineError> {
        let mut supervision = self.supervision();
        supervision.catch_up()?;
        Ok(supervision.exit)
    }

    /// Sends a signal to the main process.
    ///
    /// # Errors
    /// `NotRunning`, `Option`, `HelperGone`.
    pub fn kill(&self, signal: i32) -> Result<(), EngineError> {
        let mut supervision = self.supervision();
        let sent = supervision.ask(&ToSupervisor::Signal(signal), DEATH);
        sent.map(drop).map_err(|error| self.with_last_words(error, &supervision))
    }

    /// Stops the container: the image's stop signal, then after `grace` SIGKILL. All its processes are gone then. Of
    /// one that has ended already it tells how.
    ///
    /// # Errors
    /// `HelperGone`, `Interrupted`.
    pub fn stop(&mut self, grace: Duration) -> Result<Exit, EngineError> {
        let mut supervision = self.supervision();
        supervision.catch_up()?;
        if supervision.exit.is_none() && supervision.started {
            let signal = settings::stop_signal(&self.plan.defaults.stop_signal);
            match supervision.ask(&ToSupervisor::Signal(signal), DEATH) {
                // It ended by itself at this very moment.
                Ok(_) | Err(EngineError::NotRunning { .. }) => {}
                Err(error) => return Err(error),
            }
            supervision.wait_for_exit(grace, &self.interrupt)?;
        }
        if supervision.exit.is_none() {
            supervision.ask(&ToSupervisor::KillAll, DEATH)?;
            supervision.wait_for_exit(DEATH, &self.interrupt)?;
        }
        supervision.exit.ok_or_else(|| supervision.gone())
    }

    /// Stops it and starts it again on the same writable layer, in the same `cgroup_dir`. Gives how it ended.
    ///
    /// # Errors
    /// As [`Container::stop`] and [`Container::start`].
    pub fn restart(&mut self, grace: Duration) -> Result<Exit, EngineError> {
        let exit = self.stop(grace)?;
        self.check_interrupt()?;
        let mut supervision = self.supervision();
        if let FromSupervisor::Created { pid, .. } = supervision.ask(&ToSupervisor::Recreate, DEATH)? {
            supervision.pid = pid;
            supervision.exit = None;
            supervision.started = false;
        }
        drop(supervision);
        self.start()?;
        Ok(exit)
    }

    /// Kills what still runs and undoes everything: mounts, cgroups, files.
    ///
    /// # Errors
    /// `DataDir`.
    pub fn remove(mut self) -> Result<(), EngineError> {
        self.clean_up()
    }

    fn clean_up(&mut self) -> Result<(), EngineError> {
        if std::mem::replace(&mut self.removed, true) {
            return Ok(());
        }
        self.supervision.get_mut().unwrap_or_else(PoisonError::into_inner).end();
        run_dir::remove(&self.plan.run_dir, &self.plan.cgroup)
            .map_err(|source| EngineError::DataDir { path: self.plan.run_dir.clone(), source })
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Err(error) = self.clean_up() {
            tracing::warn!(container = self.plan.id, %error, "cannot remove all of a container");
        }
    }
}

/// Removes what belongs to a container that did not come to be.
struct Undo(Option<(PathBuf, ContainerCgroup)>);

impl Drop for Undo {
    fn drop(&mut self) {
        if let Some((run_dir, cgroup)) = &self.0
            && let Err(error) = run_dir::remove(run_dir, cgroup)
        {
            tracing::warn!(run_dir = %run_dir.display(), %error, "cannot remove all of a container");
        }
    }
}

fn host_mounts(mounts: Vec<(PathBuf, String)>) -> Result<Vec<HostMount>, EngineError> {
    let mount = |(host, container): (PathBuf, String)| match ImagePath::from_absolute(container.as_bytes()) {
        Ok(image_path) => Ok(HostMount { host, image_path }),
        Err(error) => {
            Err(EngineError::Option { option: "bind".into(), value: container, problem: error.to_string() })
        }
    };
    mounts.into_iter().map(mount).collect()
}

/// The last few lines, for a message.
fn last_words(log: &[u8]) -> String {
    let tail = &log[log.len().saturating_sub(600)..];
    let text = String::from_utf8_lossy(tail);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::last_words;

    #[test]
    fn last_words_are_few() {
        assert_eq!(last_words(b""), "");
        assert_eq!(last_words(b"a\n\nb\nc\nd\n"), "b\nc\nd");
        assert!(last_words(&b"x".repeat(5000)).len() <= 600);
    }
}
