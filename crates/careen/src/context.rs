//! What every command shares: where things are kept, how progress is told, whether the user pressed Ctrl-C.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::{Engine, EngineOptions, Helper, LayerStore};
use image::{Image, ImageSource, OpenOptions, Platform, Unread};
use sensor::{Choice, SensorOptions, Unfinished};

use crate::cli::{Global, ImageArgs, OutputFormat, SensorArg};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::registries::Registries;
use crate::{hints, output, registries, staging};

/// Resolved global settings.
pub(crate) struct Context {
    pub(crate) output: OutputFormat,
    pub(crate) progress: Progress,
    pub(crate) data_dir: PathBuf,
    pub(crate) interrupt: Arc<AtomicBool>,
    pub(crate) registries: Registries,
    /// Whether containers could run in this command.
    has_engine: AtomicBool,
}

impl Context {
    /// Resolves the global options and takes over SIGINT, SIGTERM and SIGHUP: the first asks to end, a second ends at
    /// once (the engine's helpers then clean up by themselves).
    pub(crate) fn new(global: &Global) -> Result<Self, Failure> {
        let interrupt = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP]
        {
            signal_hook::flag::register_conditional_shutdown(
                signal,
                ExitCode::Interrupted as i32,
                Arc::clone(&interrupt),
            )
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&interrupt)))
            .map_err(|source| Failure::caused_by(ExitCode::Host, "cannot take over signals", source))?;
        }
        let data_dir = match &global.data_dir {
            Some(dir) => dir.clone(),
            None => default_data_dir()?,
        };
        let registries = Registries::new(global);
        Ok(Self {
            output: global.output,
            progress: Progress::new(global.quiet),
            data_dir,
            interrupt,
            registries,
            has_engine: AtomicBool::new(false),
        })
    }

    /// Opens the embedded engine, which sweeps up what killed runs left behind.
    pub(crate) fn engine(&self) -> Result<Engine, Failure> {
        self.engine_with(Arc::clone(&self.interrupt))
    }

    /// The same, with waits that end on another flag: for who stops its container in peace when interrupted.
    pub(crate) fn engine_with(&self, interrupt: Arc<AtomicBool>) -> Result<Engine, Failure> {
        staging::sweep(&self.data_dir);
        for left in Unfinished::list(&self.journal_dir()) {
            let id = left.file_stem().unwrap_or_default().to_string_lossy();
            tracing::warn!("a recording was cut off: see `careen profile recover {id}`");
        }
        let helper = Helper { program: "/proc/self/exe".into(), leading_args: vec![ENGINE_HELPER.into()] };
        let options = EngineOptions { data_dir: self.data_dir.clone(), helper, interrupt };
        self.has_engine.store(true, Ordering::Relaxed);
        Engine::open(options).map_err(|source| hints::engine("cannot open the embedded engine", source))
    }

    /// Makes room at the end of a command that could run containers: unpacked layers that no command used for a month
    /// go. Whatever hinders that hinders nothing else.
    pub(crate) fn tidy(&self) {
        if !self.has_engine.load(Ordering::Relaxed) || self.interrupt.load(Ordering::Relaxed) {
            return;
        }
        let store = LayerStore::of(&self.data_dir);
        match store.remove_unused(registries::UNUSED, false, false, &self.interrupt) {
            Ok(removed) if removed.layers.is_empty() => {}
            Ok(removed) => {
                let (count, bytes) = (removed.layers.len(), removed.bytes());
                let text = output::bytes_text(bytes);
                tracing::info!(count, bytes, "removed {count} unpacked layers, {text}, unused for a month");
            }
            Err(error) => tracing::debug!(%error, "unpacked layers cannot be looked through"),
        }
    }

    /// Where recordings are kept while they go on.
    pub(crate) fn journal_dir(&self) -> PathBuf {
        self.data_dir.join("journal")
    }

    /// Settings of the sensor.
    pub(crate) fn sensor_options(&self, sensor: SensorArg) -> SensorOptions {
        let helper = sensor::Helper { program: "/proc/self/exe".into(), args: vec![CANARY_HELPER.into()] };
        let choice = match sensor {
            SensorArg::Auto => Choice::Auto,
            SensorArg::Ebpf => Choice::Ebpf,
            SensorArg::Notify => Choice::Notify,
            SensorArg::EbpfBase => Choice::Base,
            SensorArg::EbpfFentry => Choice::Fentry,
            SensorArg::EbpfLsm => Choice::Lsm,
        };
        SensorOptions { choice, ..SensorOptions::new(helper) }
    }

    /// A directory for temporary files that need room, beneath the data directory.
    pub(crate) fn scratch_dir(&self) -> Result<PathBuf, Failure> {
        let dir = self.data_dir.join("scratch");
        std::fs::create_dir_all(&dir).map_err(|source| {
            Failure::caused_by(ExitCode::Host, format!("cannot make the directory {}", dir.display()), source)
                .hint("choose another place with --data-dir".to_owned())
        })?;
        Ok(dir)
    }

    /// Opens the image that the user named.
    pub(crate) fn open_image(&self, args: &ImageArgs) -> Result<Image, Failure> {
        self.open_named(args, None)
    }

    /// The same for who does not read files of this kind.
    pub(crate) fn open_named(&self, args: &ImageArgs, unread: Option<Unread>) -> Result<Image, Failure> {
        let source = parse_source(&args.image)?;
        let platform = parse_platform(args.platform.as_deref())?;
        self.progress.stage(format!("open {source}"), None);
        self.open_without(&source, platform, unread)
    }

    /// Opens an image without a progress stage of its own; one of a registry is brought here first, which has one.
    pub(crate) fn open_source(
        &self,
        source: &ImageSource,
        platform: Option<Platform>,
    ) -> Result<Image, Failure> {
        self.open_without(source, platform, None)
    }

    /// The same for who does not read files of this kind.
    pub(crate) fn open_without(
        &self,
        source: &ImageSource,
        platform: Option<Platform>,
        unread: Option<Unread>,
    ) -> Result<Image, Failure> {
        if let ImageSource::Registry { .. } = source {
            return registries::open(self, source, platform);
        }
        let on_bytes = |bytes| self.progress.add_bytes(bytes);
        let options = OpenOptions {
            platform,
            scratch_dir: self.scratch_dir()?,
            on_bytes: Some(&on_bytes),
            interrupt: Some(&self.interrupt),
            unread,
            ..OpenOptions::default()
        };
        Image::open(source, &options)
            .map_err(|error| hints::open_image(&format!("cannot open {source}"), error))
    }
}

/// First argument of the re-executed engine helper; never typed by a person.
pub(crate) const ENGINE_HELPER: &str = "__engine";

/// First argument of the re-executed canary of the sensor.
pub(crate) const CANARY_HELPER: &str = "__canary";

/// First argument of the re-executed program that maps users into a user namespace.
pub(crate) const MAPPER: &str = "__map-users";

/// Reads an image reference as typed.
pub(crate) fn parse_source(text: &str) -> Result<ImageSource, Failure> {
    let source = text
        .parse()
        .map_err(|error| hints::parse_source(&format!("cannot find an image at {text}"), error))?;
    registries::canonical(source)
}

/// Reads a platform as typed.
pub(crate) fn parse_platform(text: Option<&str>) -> Result<Option<Platform>, Failure> {
    text.map(str::parse)
        .transpose()
        .map_err(|error| Failure::caused_by(ExitCode::Usage, "cannot use --platform", error))
}

fn default_data_dir() -> Result<PathBuf, Failure> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|dir| dir.join("careen"))
        .ok_or_else(|| {
            Failure::new(
                ExitCode::Host,
                "cannot find a place for data: neither XDG_DATA_HOME nor HOME is set",
            )
            .hint("name one with --data-dir DIR".to_owned())
        })
}

/// Refuses an existing path unless `force`.
pub(crate) fn refuse_existing(path: &Path, force: bool) -> Result<(), Failure> {
    if !force && std::fs::symlink_metadata(path).is_ok() {
        return Err(Failure::new(ExitCode::Output, format!("{} exists already", path.display()))
            .hint("choose another output, or replace it with --force".to_owned()));
    }
    Ok(())
}
