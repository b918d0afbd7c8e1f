//! Which backend watches: chosen by the user, or by trying.

use std::sync::Arc;

use image::Tree;
use profile::Step;
use sys::seccomp::Instruction;

use crate::notify::{self, Sink, Watcher};
use crate::{Journal, LoadError, Record, Recording, Sensor, SensorError, SensorOptions, Target};

/// What the user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// eBPF, and where it does not load, notification.
    #[default]
    Auto,
    /// eBPF or nothing, the strongest backend that loads.
    Ebpf,
    /// eBPF without hooks.
    Base,
    /// eBPF with hooks at the entry of functions.
    Fentry,
    /// eBPF with hooks of the BPF security module.
    Lsm,
    /// Seccomp user notification, which needs no privilege.
    Notify,
}

/// A backend that is ready.
#[derive(Debug)]
pub enum Backend {
    /// eBPF.
    Ebpf(Box<Sensor>),
    /// Seccomp user notification.
    Notify(Watcher),
}

impl Backend {
    /// The one that was chosen.
    ///
    /// # Errors
    /// [`LoadError`] if eBPF was asked for by name and does not load.
    pub fn load(options: &SensorOptions) -> Result<Self, LoadError> {
        match options.choice {
            Choice::Notify => Ok(Self::Notify(Watcher::new())),
            Choice::Ebpf | Choice::Base | Choice::Fentry | Choice::Lsm => {
                Sensor::load(options).map(Box::new).map(Self::Ebpf)
            }
            Choice::Auto => {
                let mut passed_over = Vec::new();
                match Sensor::load_noting(options, &mut passed_over) {
                    Ok(sensor) => Ok(Self::Ebpf(Box::new(sensor))),
                    Err(error) => {
                        tracing::info!(%error, "eBPF does not load here, system calls are watched by notification");
                        Ok(Self::Notify(Watcher::in_place_of(passed_over)))
                    }
                }
            }
        }
    }

    /// Keeps what is recorded in this journal too.
    pub fn keep(&mut self, journal: Arc<Journal>) {
        match self {
            Self::Ebpf(sensor) => sensor.keep(journal),
            Self::Notify(watcher) => watcher.keep(journal),
        }
    }

    /// Its name in profiles.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ebpf(sensor) => sensor.backend(),
            Self::Notify(_) => notify::BACKEND,
        }
    }

    /// The filter that must be on every process before it executes the workload, and the path that it then looks up;
    /// none if the backend sees without.
    pub fn filter(&self) -> Option<(Vec<Instruction>, String)> {
        match self {
            Self::Ebpf(_) => None,
            Self::Notify(watcher) => Some((watcher.filter(), watcher.canary().path.clone())),
        }
    }

    /// Watches a container from now on.
    ///
    /// # Errors
    /// [`SensorError`].
    pub fn watch(self, target: &Target) -> Result<Watching, SensorError> {
        match self {
            Self::Ebpf(sensor) => sensor.watch(target).map(Box::new).map(Watching::Ebpf),
            Self::Notify(watcher) => watcher.watch(target).map(Box::new).map(Watching::Notify),
        }
    }
}

/// A recording in progress, by either backend.
#[derive(Debug)]
pub enum Watching {
    /// eBPF.
    Ebpf(Box<Recording>),
    /// Seccomp user notification.
    Notify(Box<notify::Recording>),
}

impl Watching {
    /// The name in profiles of the backend that was chosen.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ebpf(recording) => recording.backend(),
            Self::Notify(_) => notify::BACKEND,
        }
    }

    /// Where the listeners of the processes go, if the backend wants them.
    pub fn sink(&self) -> Option<Sink> {
        match self {
            Self::Ebpf(_) => None,
            Self::Notify(recording) => Some(recording.sink()),
        }
    }

    /// Uses from now on belong to this step.
    pub fn begin_step(&mut self, step: Step) {
        match self {
            Self::Ebpf(recording) => recording.begin_step(step),
            Self::Notify(recording) => recording.begin_step(step),
        }
    }

    /// Notes which files live processes hold open or mapped, to be compared with the record.
    pub fn snapshot(&mut self) {
        match self {
            Self::Ebpf(recording) => recording.snapshot(),
            Self::Notify(recording) => recording.snapshot(),
        }
    }

    /// Ends the recording and resolves it on the image's tree.
    ///
    /// # Errors
    /// [`SensorError`].
    pub fn finish(self, tree: &Tree) -> Result<Record, SensorError> {
        match self {
            Self::Ebpf(recording) => recording.finish(tree),
            Self::Notify(recording) => recording.finish(tree),
        }
    }
}
