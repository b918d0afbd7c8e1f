//! Recording: a workload runs under the sensor while its coverage exercises it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use engine::{
    Bind, Container, Engine, EngineError, ListenerSink, Network, RunOptions, Standing, Unpacked, Watch,
};
use image::{Image, Tree};
use profile::{ImageIdentity, Profile};
use sensor::{Backend, Journal, SensorOptions, Target, Watching};

use crate::coverage::{ContainerSettings, Coverage};
use crate::run::Run;
use crate::{Observer, RecordError, RecordEvent};

/// How to record.
#[derive(Debug, Clone)]
pub struct RecordOptions {
    /// How to load the sensor.
    pub sensor: SensorOptions,
    /// The image as the user wrote it; its source when absent.
    pub reference: Option<String>,
    /// The time to write into the profile.
    pub started_at: SystemTime,
    /// Set by Ctrl-C; the one that the engine has, too.
    pub interrupt: Arc<AtomicBool>,
    /// Whether a failed step is recorded as a result and the run goes on, as a verification wants it. Otherwise it
    /// ends the run, unless the coverage lets it fail.
    pub keep_going: bool,
    /// Where the recording is kept while it goes on.
    pub journal: Option<Arc<Journal>>,
}

/// Runs an image under the sensor, exercises it, stops it, and gives the profile of the run.
///
/// The container is gone when this returns, however it returns. Uses of files belong to the step that was running;
/// [`profile::START`] comes before the first step, and the stop is a step of its own.
///
/// # Errors
/// [`RecordError`]. A failed step, a condition that does not come to hold and a container that ends early show the end
/// of what was written, and carry what was recorded until then ([`RecordError::partial_profile`]).
pub fn record(
    engine: &Engine,
    image: &Image,
    unpacked: &Unpacked,
    coverage: &Coverage,
    options: &RecordOptions,
    observer: &dyn Observer,
) -> Result<Profile, RecordError> {
    record_on(engine, image, image.tree(), unpacked, coverage, options, observer)
}

/// The same on an edited image: `unpacked` is what runs, `tree` what it holds, while settings and identity are those
/// of `image`.
///
/// # Errors
/// As [`record`].
pub fn record_on(
    engine: &Engine,
    image: &Image,
    tree: &Tree,
    unpacked: &Unpacked,
    coverage: &Coverage,
    options: &RecordOptions,
    observer: &dyn Observer,
) -> Result<Profile, RecordError> {
    let mut backend = Backend::load(&options.sensor).map_err(RecordError::LoadSensor)?;
    if let Some(journal) = &options.journal {
        backend.keep(Arc::clone(journal));
    }
    observer.event(&RecordEvent::SensorLoaded);
    let run_options = watched(run_options(&coverage.container), &backend);
    let mut container = engine.create(unpacked, &run_options).map_err(|error| match error {
        EngineError::Interrupted => RecordError::Interrupted,
        error => RecordError::Create(error).on(engine.full_disk()),
    })?;
    observer.event(&RecordEvent::Created { id: container.id(), cgroup_dir: container.cgroup_dir() });
    let recording = backend.watch(&target(&container)).map_err(RecordError::Sensor)?;
    give_listeners(&mut container, &recording).map_err(RecordError::Create)?;
    let mut run = Run {
        engine,
        coverage,
        options,
        observer,
        container,
        recording,
        log_before_start: Vec::new(),
        ended_as_expected: false,
        results: Vec::new(),
        in_step: false,
        not_found: Vec::new(),
        identity: identity(image, options),
    };
    run.keep_results();
    let result = run.exercise();
    run.finish(tree, result)
}

fn identity(image: &Image, options: &RecordOptions) -> ImageIdentity {
    ImageIdentity {
        reference: options.reference.clone().unwrap_or_else(|| image.source().to_string()),
        manifest_digest: image.manifest_digest(),
        image_id: image.image_id(),
        platform: image.platform().clone(),
    }
}

/// Has processes put on themselves what the backend needs.
pub fn watched(options: RunOptions, backend: &Backend) -> RunOptions {
    let watch = backend.filter().map(|(filter, canary)| Watch { filter, canary });
    RunOptions { watch, ..options }
}

/// Brings the listeners of a container's processes to the recording, if it wants them.
///
/// # Errors
/// As [`Container::give_listeners`].
pub fn give_listeners(container: &mut Container, recording: &Watching) -> Result<(), EngineError> {
    let Some(sink) = recording.sink() else { return Ok(()) };
    container.give_listeners(ListenerSink::new(move |listener, process| sink.give(listener, process)))
}

/// What a sensor watches of a container.
pub fn target(container: &Container) -> Target {
    Target {
        cgroup_dir: container.cgroup_dir().to_owned(),
        rootfs: container.rootfs().to_owned(),
        mounts: container
            .mounts()
            .iter()
            .map(|mount| (mount.host.clone(), mount.image_path.clone()))
            .collect(),
        set_up_by: Some(container.set_up_by()),
        one_user: container.standing() == Standing::OneUser,
    }
}

fn run_options(settings: &ContainerSettings) -> RunOptions {
    let bind = |bind: &crate::coverage::Bind| Bind {
        host: bind.host.clone(),
        container: bind.container.clone(),
        read_only: bind.read_only,
    };
    RunOptions {
        entrypoint: settings.entrypoint.clone(),
        cmd: settings.cmd.clone(),
        env: settings.env.clone().into_iter().collect(),
        user: settings.user.clone(),
        working_dir: settings.working_dir.clone(),
        hostname: settings.hostname.clone(),
        network: if settings.host_network { Network::Host } else { Network::Private },
        read_only: settings.read_only,
        cap_drop: settings.cap_drop.clone(),
        cap_add: settings.cap_add.clone(),
        no_new_privileges: settings.no_new_privileges,
        binds: settings.binds.iter().map(bind).collect(),
        tmpfs: settings.tmpfs.clone(),
        watch: None,
    }
}
