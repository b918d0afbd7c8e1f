//! An image of busybox, an engine over it, and a look at what must be as before afterwards.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use careen_coverage as coverage;
use coverage::{Coverage, Observer, RecordError, RecordEvent, RecordOptions};
use engine::{Engine, EngineOptions, Unpacked};
use image::{Edits, Image, ImagePath, OpenOptions, Tree};
use profile::{AccessKind, Profile};
use sensor::SensorOptions;
use testkit::{ImageBuilder, TarBuilder, TarEntry};

const BUSYBOX: &str = "/bin/busybox";
const APPLETS: &[&str] = &["cat", "echo", "false", "httpd", "kill", "nc", "sh", "sleep", "touch", "true"];

/// Why nothing can be recorded here, if so. Printed, so that no skipped test looks like a passed one.
pub fn skip() -> bool {
    let reason = if !rustix::process::geteuid().is_root() {
        "not root"
    } else if !Path::new(BUSYBOX).exists() {
        "no /bin/busybox (install busybox-static)"
    } else {
        return false;
    };
    eprintln!("SKIP: {reason}");
    true
}

/// Where workloads of the busybox image are recorded.
pub struct Bench {
    directory: tempfile::TempDir,
    image: Image,
    engine: Engine,
    unpacked: Unpacked,
    pub interrupt: Arc<AtomicBool>,
}

impl Bench {
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("careen-coverage-").tempdir().unwrap();
        let mut tar = TarBuilder::new();
        for name in ["bin", "etc", "proc", "sys", "dev", "tmp", "srv"] {
            tar = tar.entry(TarEntry::dir(name));
        }
        tar = tar.entry(TarEntry::file("bin/busybox", std::fs::read(BUSYBOX).unwrap()).mode(0o755));
        for applet in APPLETS {
            tar = tar.entry(TarEntry::symlink(format!("bin/{applet}"), "busybox"));
        }
        tar = tar
            .entry(TarEntry::file("etc/passwd", "root:x:0:0::/:/bin/sh\n"))
            .entry(TarEntry::file("srv/index.html", "hello\n"))
            .entry(TarEntry::file("srv/only-at-stop", "x"));
        let layout = ImageBuilder::new().layer(tar).oci_layout();
        let options = OpenOptions { scratch_dir: directory.path().to_owned(), ..OpenOptions::new() };
        let image = Image::open(&layout.source().parse().unwrap(), &options).unwrap();
        let interrupt = Arc::new(AtomicBool::new(false));
        let helper = engine::Helper { program: helper(), leading_args: vec!["engine".into()] };
        let options = EngineOptions {
            data_dir: directory.path().join("data"),
            helper,
            interrupt: Arc::clone(&interrupt),
        };
        let engine = Engine::open(options).unwrap();
        let unpacked = engine.unpack(&image, &|_| {}).unwrap();
        Self { directory, image, engine, unpacked, interrupt }
    }

    /// Writes files beside the coverage, reads it and runs it.
    pub fn coverage(&self, name: &str, text: &str) -> Coverage {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        coverage::check(&path).unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    pub fn record(&self, coverage: &Coverage) -> Result<Profile, RecordError> {
        self.record_with(coverage, false, &coverage::Silent)
    }

    pub fn record_with(
        &self,
        coverage: &Coverage,
        keep_going: bool,
        observer: &dyn Observer,
    ) -> Result<Profile, RecordError> {
        let options = RecordOptions { keep_going, ..self.options() };
        let result =
            coverage::record(&self.engine, &self.image, &self.unpacked, coverage, &options, observer);
        self.assert_nothing_remains();
        result
    }

    /// Runs a coverage to its end on the image without these paths.
    pub fn record_without(&self, coverage: &Coverage, removed: &[&str]) -> Result<Profile, RecordError> {
        let removed: Vec<_> = removed.iter().map(|path| ImagePath::from_text(path).unwrap()).collect();
        let stays = |path: &ImagePath| !removed.iter().any(|removed| path.is_within(removed));
        let nodes = self.image.tree().iter().filter(|(path, _)| stays(path));
        let tree: Tree = nodes.map(|(path, node)| (path.clone(), node.clone())).collect();
        let keep = tree.iter().map(|(path, _)| path.clone()).collect();
        let edits = Edits { keep, ..Edits::default() };
        let edited = self.engine.edited(&self.image, &self.unpacked, &edits).unwrap();
        let options = RecordOptions { keep_going: true, ..self.options() };
        let silent = &coverage::Silent;
        let (engine, image) = (&self.engine, &self.image);
        let result = coverage::record_on(engine, image, &tree, edited.unpacked(), coverage, &options, silent);
        drop(edited);
        self.assert_nothing_remains();
        result
    }

    fn options(&self) -> RecordOptions {
        RecordOptions {
            sensor: SensorOptions::new(sensor::Helper { program: helper(), args: vec!["canary".into()] }),
            reference: Some("oci:busybox".to_owned()),
            started_at: SystemTime::UNIX_EPOCH,
            interrupt: Arc::clone(&self.interrupt),
            keep_going: false,
            journal: None,
        }
    }

    /// Whatever came of a run, its container is gone.
    fn assert_nothing_remains(&self) {
        let runs: Vec<_> = std::fs::read_dir(self.directory.path().join("data/run"))
            .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default();
        assert_eq!(runs, Vec::<PathBuf>::new());
        let data = self.directory.path().join("data").display().to_string();
        // No process, this one included, has a mount of ours.
        let holders: Vec<_> = std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(|entry| {
                std::fs::read_to_string(entry.path().join("mountinfo"))
                    .is_ok_and(|mounts| mounts.contains(&data))
            })
            .map(|entry| entry.path())
            .collect();
        assert_eq!(holders, Vec::<PathBuf>::new());
    }
}

fn helper() -> PathBuf {
    env!("CARGO_BIN_EXE_coverage-helper").into()
}

/// Notes what happens, one line an event.
#[derive(Default)]
pub struct Notes(RefCell<Vec<String>>);

impl Notes {
    pub fn lines(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

impl Observer for Notes {
    fn event(&self, event: &RecordEvent<'_>) {
        self.0.borrow_mut().push(match event {
            RecordEvent::SensorLoaded => "sensor loaded".to_owned(),
            RecordEvent::Created { .. } => "created".to_owned(),
            RecordEvent::Started => "started".to_owned(),
            RecordEvent::Waiting { condition } => format!("waiting for {condition}"),
            RecordEvent::Ready { .. } => "ready".to_owned(),
            RecordEvent::StepStarted { n, of, name } => format!("{n}/{of} {name}"),
            RecordEvent::StepEnded { n, of, name, outcome, tolerated, .. } => {
                format!("{n}/{of} {name}: {outcome:?}{}", if *tolerated { ", tolerated" } else { "" })
            }
            RecordEvent::Stopping => "stopping".to_owned(),
            RecordEvent::Finished { .. } => "finished".to_owned(),
            other => format!("{other:?}"),
        });
    }
}

/// In which step a path was first used so.
pub fn first_step<'p>(profile: &'p Profile, path: &str, kind: AccessKind) -> Option<&'p str> {
    let usage = profile.usage(&ImagePath::from_text(path).unwrap())?;
    Some(profile.first_step_name(usage.0.get(&kind)?))
}

/// An error as its user reads it, durations and ids aside.
pub fn report(error: &RecordError) -> String {
    let mut lines = vec![error.to_string()];
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        lines.push(format!("caused by: {error}"));
        source = error.source();
    }
    lines.extend(error.hint().map(|hint| format!("hint: {hint}")));
    lines.join("\n")
}

pub const SECOND: Duration = Duration::from_secs(1);
