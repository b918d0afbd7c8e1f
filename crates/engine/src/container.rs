//! One container.

use std::path::{Path, PathBuf};
use std::time::Duration;

use image::ImagePath;

use crate::{CommandOutput, EngineError, ExecOptions, Exit, HostCommand};

/// A container that was created; dropping it removes it.
#[derive(Debug)]
pub struct Container {
    id: String,
    cgroup_dir: PathBuf,
    rootfs: PathBuf,
    mounts: Vec<HostMount>,
    pid: u32,
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
    /// Its name: `careen-` and hex digits, also its default host name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The directory in the cgroup2 tree that holds, itself or in directories beneath it, every process of this
    /// container over all restarts, commands run with [`Container::exec`] included. It exists until the container is removed.
    pub fn cgroup_dir(&self) -> &Path {
        &self.cgroup_dir
    }

    /// The merged overlay mount, reachable from the host (through `/proc/PID/root` of the supervisor, which has a
    /// mount namespace of its own).
    pub fn rootfs(&self) -> &Path {
        &self.rootfs
    }

    /// What is mounted over image paths from the host.
    pub fn mounts(&self) -> &[HostMount] {
        &self.mounts
    }

    /// Lets the main process run.
    ///
    /// # Errors
    /// `Runtime`, `HelperGone`.
    pub fn start(&mut self) -> Result<(), EngineError> {
        Err(EngineError::Interrupted)
    }

    /// The main process, as the host counts. Another one after a restart.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// All processes of the container, ascending, as the host counts.
    pub fn pids(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Runs a command in the container and waits for its end.
    ///
    /// # Errors
    /// `ProgramNotFound`, `ProgramNotExecutable`, `UnknownUser`, `NotRunning`, `Runtime`, `Interrupted`. An exit code
    /// other than 0 and a timeout are no errors.
    pub fn exec(&self, _command: &ExecOptions) -> Result<CommandOutput, EngineError> {
        Err(EngineError::Interrupted)
    }

    /// Runs a program of the host in the container's network namespace and waits for its end.
    ///
    /// # Errors
    /// `HostCommand`, `NotRunning`, `Interrupted`.
    pub fn host_command(&self, _command: &HostCommand) -> Result<CommandOutput, EngineError> {
        Err(EngineError::Interrupted)
    }

    /// Whether a TCP connection to this address, from within the container's network, is accepted. One try of at
    /// most a second.
    pub fn tcp_ready(&self, _host: &str, _port: u16) -> bool {
        false
    }

    /// What the main process wrote to stdout and stderr so far, in the order written, over all restarts; the last
    /// 8 MiB at least if it is more.
    pub fn logs(&self) -> Vec<u8> {
        Vec::new()
    }

    /// How the main process ended; `None` while it runs or before it was started.
    ///
    /// # Errors
    /// `HelperGone`.
    pub fn exited(&mut self) -> Result<Option<Exit>, EngineError> {
        Ok(None)
    }

    /// Sends a signal to the main process.
    ///
    /// # Errors
    /// `NotRunning`, `HelperGone`.
    pub fn kill(&self, _signal: i32) -> Result<(), EngineError> {
        Err(EngineError::Interrupted)
    }

    /// Stops the container: the image's stop signal, then after `grace` SIGKILL. All its processes are gone then.
    ///
    /// # Errors
    /// `HelperGone`, `Interrupted`.
    pub fn stop(&mut self, _grace: Duration) -> Result<Exit, EngineError> {
        Err(EngineError::Interrupted)
    }

    /// Stops it and starts it again on the same writable layer, in the same `cgroup_dir`. Gives how it ended.
    ///
    /// # Errors
    /// As [`Container::stop`] and [`Container::start`].
    pub fn restart(&mut self, _grace: Duration) -> Result<Exit, EngineError> {
        Err(EngineError::Interrupted)
    }

    /// Kills what still runs and undoes everything: mounts, cgroups, files.
    ///
    /// # Errors
    /// `DataDir`, `Runtime`.
    pub fn remove(self) -> Result<(), EngineError> {
        Ok(())
    }
}
