//! `careen record`, and recording for the commands that need a run.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use coverage::{Coverage, Observer, RecordError, RecordEvent, RecordOptions};
use engine::{Engine, EngineError, Unpacked};
use harden::{CarryReport, Ledger, Verification};
use image::{Image, Platform};
use packages::PackageDatabase;
use profile::{Profile, Verdict};
use sensor::Journal;

use crate::artifacts::{source_path, write_whole};
use crate::cli::{ContainerArgs, RecordArgs, SensorArg};
use crate::container;
use crate::context::{self, Context};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::{hints, output};

/// Records a profile and writes it.
pub(crate) fn run(context: &Context, args: &RecordArgs) -> Result<(), Failure> {
    let tags = check_tags(&args.tag)?;
    let coverage = load_coverage(&args.coverage)?;
    let source = context::parse_source(&args.image.image)?;
    let file = args.output_profile.clone().unwrap_or_else(|| {
        let mut name = source_path(&source).file_stem().unwrap_or_default().to_owned();
        name.push(".profile");
        PathBuf::from(name)
    });
    context::refuse_existing(&file, args.force)?;
    let image = context.open_image(&args.image)?;
    let recorder = Recorder::new(context, coverage, &args.container)?;
    let packages = packages::read(&image)
        .map_err(|source| hints::plain(ExitCode::Image, "cannot read the package database", source))?;
    let profile = recorder.record(&image)?;
    context.progress.done("");
    let profile = annotated(profile, &image, &packages, &tags)?;
    write_profile(context, &file, &encode(&profile)?)?;
    let result = serde_json::json!({ "profile": file, "verdict": profile.verdict(), "image": profile.image });
    output::print(context.output, &result, |_| {
        let verdict = match profile.verdict() {
            Verdict::Complete => "complete".to_owned(),
            Verdict::Incomplete { reasons } => {
                format!(
                    "INCOMPLETE: {}",
                    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
                )
            }
        };
        format!("  profile  {}\n  verdict  {verdict}\n", file.display())
    })?;
    judge(&file, &profile.verdict())
}

/// What the user has is written, but is not what they asked for where the sensor may have missed something.
fn judge(file: &Path, verdict: &Verdict) -> Result<(), Failure> {
    let reasons: Vec<_> = verdict.reasons().iter().map(ToString::to_string).collect();
    if reasons.is_empty() {
        return Ok(());
    }
    let tried = format!("the profile {} is incomplete: {}", file.display(), reasons.join("; "));
    Err(Failure::new(ExitCode::Partly, tried).hint(
        "it is written, but `careen harden` refuses it without --accept-incomplete: record again, on a less busy host"
            .to_owned(),
    ))
}

/// Writes a recorded profile. Where there is no room for it, it goes into the data directory: it took a run to make.
pub(crate) fn write_profile(context: &Context, file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let Err(source) = write_whole(file, bytes) else { return Ok(()) };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let kept = context.data_dir.join("unsaved").join(format!("{}-{name}", std::process::id()));
    let is_kept =
        kept.parent().is_some_and(|dir| fs::create_dir_all(dir).is_ok()) && write_whole(&kept, bytes).is_ok();
    let hint = if is_kept {
        format!("the profile is whole, and lies in {} until you move it", kept.display())
    } else {
        "free some space, or name another place with -o, and record again".to_owned()
    };
    Err(hints::plain(ExitCode::Output, format!("cannot write {}", file.display()), source).hint(hint))
}

/// Reads a coverage by built-in name or path.
pub(crate) fn load_coverage(reference: &str) -> Result<Coverage, Failure> {
    coverage::load(reference).map_err(|error| {
        let hint = error.hint();
        hints::plain(ExitCode::Document, format!("cannot use the coverage {reference}"), error).hint(hint)
    })
}

/// Reads profiles and takes the runs with these tags, all runs where there is no tag.
pub(crate) fn load_profiles(files: &[PathBuf], tags: &[String]) -> Result<Vec<Profile>, Failure> {
    let mut profiles = Vec::new();
    let mut known = BTreeSet::new();
    for file in files {
        let profile = load_profile(file)?;
        known.extend(profile.tags().into_iter().map(str::to_owned));
        profiles.extend(profile.tagged(&tags.iter().cloned().collect()));
    }
    if let Some(idle) = tags.iter().find(|tag| !known.contains(*tag)) {
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        let hint =
            if known.is_empty() { "no run has a tag".to_owned() } else { format!("there are {known}") };
        let tried = format!("no run of the profiles has the tag {idle}");
        return Err(Failure::new(ExitCode::Profile, tried)
            .hint(format!("{hint}; a run gets its tags with `careen record --tag`")));
    }
    Ok(profiles)
}

/// Joins profiles of one image.
pub(crate) fn merge_profiles(profiles: &[Profile]) -> Result<Profile, Failure> {
    profile::merge(profiles).map_err(|error| {
        let hint = error.hint();
        hints::plain(ExitCode::Profile, "cannot join the profiles", error).hint(hint)
    })
}

/// Brings profiles to an image, carrying those of other versions of it.
pub(crate) fn fit_profiles(
    profiles: &[Profile],
    image: &Image,
    packages: &PackageDatabase,
    max_uncertain: u8,
) -> Result<(Profile, Vec<CarryReport>), Failure> {
    harden::fit(profiles, image, packages, max_uncertain).map_err(|error| {
        let hint = error.hint();
        let tried = format!("cannot use the profile for {}", image.source());
        hints::plain(ExitCode::Profile, tried, error).hint(hint)
    })
}

/// A recorded profile with its tags and with what another version of the image is recognised by.
pub(crate) fn annotated(
    mut profile: Profile,
    image: &Image,
    packages: &PackageDatabase,
    tags: &BTreeSet<String>,
) -> Result<Profile, Failure> {
    profile.surroundings = harden::surroundings(&profile, image, packages)
        .map_err(|source| hints::plain(ExitCode::Image, "cannot describe the used files", source))?;
    profile.runs.iter_mut().for_each(|run| run.tags.clone_from(tags));
    Ok(profile)
}

/// Reads tags as typed.
pub(crate) fn check_tags(tags: &[String]) -> Result<BTreeSet<String>, Failure> {
    let is_word = |tag: &String| {
        !tag.is_empty() && tag.chars().all(|c| c.is_alphanumeric() || "-_.:/".contains(c)) && tag.len() <= 100
    };
    match tags.iter().find(|tag| !is_word(tag)) {
        Some(bad) => Err(Failure::new(ExitCode::Usage, format!("cannot use --tag {bad:?}"))
            .hint("a tag is one word of letters, digits and - _ . : /".to_owned())),
        None => Ok(tags.iter().cloned().collect()),
    }
}

/// Reads one profile.
pub(crate) fn load_profile(file: &Path) -> Result<Profile, Failure> {
    Profile::read(file).map_err(|error| {
        let hint = error.hint();
        hints::plain(ExitCode::Document, format!("cannot read the profile {}", file.display()), error)
            .hint(hint)
    })
}

/// A profile as it lies on disk.
pub(crate) fn encode(profile: &Profile) -> Result<Vec<u8>, Failure> {
    profile.to_bytes().map_err(|source| hints::plain(ExitCode::Output, "cannot write the profile", source))
}

/// A new journal, so that a recording survives the end of this process; without one it goes on all the same.
pub(crate) fn journal(context: &Context) -> Option<Arc<Journal>> {
    match Journal::create(&context.journal_dir()) {
        Ok(journal) => Some(Arc::new(journal)),
        Err(error) => {
            let dir = context.journal_dir();
            tracing::warn!(%error, "cannot keep a journal in {}: a killed recording will be lost", dir.display());
            None
        }
    }
}

/// Runs one coverage on images.
pub(crate) struct Recorder<'a> {
    context: &'a Context,
    coverage: Coverage,
    /// As whom to run, where that was typed.
    user: Option<String>,
    sensor: SensorArg,
    engine: Engine,
    /// Journals of recordings that are to be written; kept until this is dropped, when the profiles have been written.
    journals: RefCell<Vec<Arc<Journal>>>,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(
        context: &'a Context,
        mut coverage: Coverage,
        container: &ContainerArgs,
    ) -> Result<Self, Failure> {
        container::check(&coverage.container)?;
        container::run_options(container)?;
        container::apply(container, &mut coverage.container)?;
        let (user, sensor, journals) = (container.user.clone(), container.sensor, RefCell::default());
        Ok(Self { context, coverage, user, sensor, engine: context.engine()?, journals })
    }

    /// Runs the coverage on an original image under the sensor; a step that fails ends it.
    pub(crate) fn record(&self, image: &Image) -> Result<Profile, Failure> {
        let unpacked = self.unpack(image)?;
        self.run(image, &unpacked, "run", None).map_err(|error| self.failed(image, error))
    }

    /// Runs the coverage on a hardened image to the end, whatever fails, and holds it against the original's run.
    /// Where the workload broke down, what was recorded until then still tells which removed file it asked for.
    pub(crate) fn verify(
        &self,
        image: &Image,
        reference: &str,
        ledger: &Ledger,
        original: &Profile,
    ) -> Result<(Verification, Profile), Failure> {
        let unpacked = self.unpack(image)?;
        let recorded = self.run(image, &unpacked, "verify", Some(reference));
        let profile = self.whatever_was_recorded(image, recorded)?;
        Ok((harden::verify(ledger, original, &profile), profile))
    }

    /// Whether a profile has a run of all the steps of this coverage.
    pub(crate) fn is_in(&self, profile: &Profile) -> bool {
        profile.runs.iter().any(|run| {
            let has = |name: &str| run.steps.iter().any(|step| step.name == name);
            run.coverage == self.coverage.name && self.coverage.steps.iter().all(|step| has(&step.name))
        })
    }

    /// Unpacks the layers of an image, if it can run here at all.
    pub(crate) fn unpack(&self, image: &Image) -> Result<Unpacked, Failure> {
        let progress = &self.context.progress;
        let host = Platform::host();
        if !image.platform().serves(&host) {
            let tried =
                format!("cannot run {}: it is for {}, this host is {host}", image.source(), image.platform());
            return Err(Failure::new(ExitCode::Host, tried)
                .hint("record its profile on such a host, and harden with --profile here".to_owned()));
        }
        let asked_by = if self.user.is_some() { ExitCode::Usage } else { ExitCode::Document };
        container::check_user(self.coverage.container.user.as_deref(), image, asked_by)?;
        progress.stage("unpack", None);
        let layers = image.layers().len();
        self.engine
            .unpack(image, &|layer| progress.detail(&format!("layer {} of {layers}", layer + 1)))
            .map_err(|error| hints::engine(&format!("cannot unpack {}", image.source()), error))
    }

    /// `verified` is what the user calls the image whose verification this is; then a failed step does not end it.
    fn run(
        &self,
        image: &Image,
        unpacked: &Unpacked,
        stage: &str,
        verified: Option<&str>,
    ) -> Result<Profile, RecordError> {
        let progress = &self.context.progress;
        progress.stage(format!("{stage} {}", self.coverage.name), None);
        let journal = self.journal();
        if verified.is_none() {
            self.journals.borrow_mut().extend(journal.clone());
        }
        let options = RecordOptions {
            reference: verified.map(str::to_owned),
            keep_going: verified.is_some(),
            journal,
            ..self.options()
        };
        let observer = Told(progress);
        let profile = coverage::record(&self.engine, image, unpacked, &self.coverage, &options, &observer)?;
        progress.done(&output::counted(profile.used().count() as u64, "path used", "paths used"));
        Ok(profile)
    }

    /// A new journal for a run.
    pub(crate) fn journal(&self) -> Option<Arc<Journal>> {
        journal(self.context)
    }

    /// How a run is recorded unless there is more to say: its first failed step ends it.
    pub(crate) fn options(&self) -> RecordOptions {
        RecordOptions {
            sensor: self.context.sensor_options(self.sensor),
            reference: None,
            started_at: SystemTime::now(),
            interrupt: Arc::clone(&self.context.interrupt),
            keep_going: false,
            journal: None,
        }
    }

    /// The coverage that this runs, with what was typed about its container.
    pub(crate) fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// What it runs on.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A run as a profile, also one that the workload itself ended early; what the host failed at is a failure.
    pub(crate) fn whatever_was_recorded(
        &self,
        image: &Image,
        recorded: Result<Profile, RecordError>,
    ) -> Result<Profile, Failure> {
        match recorded {
            Ok(profile) => Ok(profile),
            Err(error) => match error.partial_profile() {
                Some(partial) if is_about_the_workload(&error) => {
                    tracing::info!("the coverage broke down: {error}");
                    Ok(partial.clone())
                }
                _ => Err(self.failed(image, error)),
            },
        }
    }

    /// A run that gave no profile, as the user reads it.
    pub(crate) fn failed(&self, image: &Image, error: RecordError) -> Failure {
        let mut hint = error.hint();
        if let RecordError::LoadSensor(_) = &error {
            let without =
                "without --sensor ebpf, system calls are watched by notification, which needs no privilege";
            hint = Some(hint.map_or_else(|| without.to_owned(), |hint| format!("{hint}; {without}")));
        }
        let code = match &error {
            RecordError::Interrupted => ExitCode::Interrupted,
            RecordError::NotReady { .. } | RecordError::Ended { .. } | RecordError::StepFailed(_) => {
                ExitCode::Coverage
            }
            RecordError::LoadSensor(_)
            | RecordError::Create(_)
            | RecordError::Sensor(_)
            | RecordError::Start { .. }
            | RecordError::Engine { .. }
            | RecordError::DiskFull { .. } => ExitCode::Host,
        };
        hints::plain(
            code,
            format!("cannot run the coverage {} on {}", self.coverage.name, image.source()),
            error,
        )
        .hint(hint)
    }
}

/// Whether the workload failed, not the host beneath it.
pub(crate) fn is_about_the_workload(error: &RecordError) -> bool {
    matches!(
        error,
        RecordError::NotReady { .. }
            | RecordError::Ended { .. }
            | RecordError::StepFailed(_)
            | RecordError::Engine { source: EngineError::ProgramNotFound { .. }, .. }
    )
}

struct Told<'a>(&'a Progress);

impl Observer for Told<'_> {
    fn event(&self, event: &RecordEvent<'_>) {
        match event {
            RecordEvent::Waiting { condition } => self.0.detail(&format!("waiting for {condition}")),
            RecordEvent::StepStarted { n, of, name } => self.0.detail(&format!("step {n} of {of}, {name}")),
            _ => {}
        }
    }
}
