//! The walk itself: list, look at manifests, then scan, each some images at a time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use ::scan::Format;
use advisories::scan::Scan;
use advisories::{Database, ScanReport};
use image::{Digest, Image, ImageSource, Limits, OpenImageError, PickError, Platform};
use packages::PackageDatabase;
use registry::{PullError, Pulled, Reference};

use super::layers::Layers;
use super::row::{Row, Status};
use super::show::Walked;
use super::state::State;
use super::what::{Tags, What};
use crate::cli::{DecisionArgs, RegistryScanArgs};
use crate::commands::db;
use crate::commands::scan::{Decisions, age_warning};
use crate::context::{self, Context};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::{artifacts, hints, output, registries, scanning};

/// What all images of a walk share.
struct Walk<'a> {
    context: &'a Context,
    platform: Option<Platform>,
    database: Database,
    decisions: Decisions,
    today: String,
    reports: Option<&'a Path>,
    layers: Layers,
    state: Mutex<State>,
}

/// What a look at an image's documents shows.
enum Look {
    /// Nothing more is to be done.
    Done(Box<Row>),
    /// It is to be scanned.
    Scan(Box<Pulled>),
}

/// Scans all that was asked for, prints the result, and fails if that was asked for.
pub(super) fn run(context: &Context, args: &RegistryScanArgs) -> Result<(), Failure> {
    output::check(&args.destination)?;
    let whats = args.what.iter().map(|text| What::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let tags = Tags::new(&args.tags, args.newest.map(usize::from))?;
    let walk = prepare(context, args)?;
    let jobs = usize::from(args.jobs);

    context.progress.stage("list repositories and tags", None);
    let (references, mut rows) = list(context, &whats, &tags, jobs)?;
    context.progress.done(&output::counted(references.len() as u64, "image", "images"));
    context.progress.stage("look at manifests", None);
    let looks = each(jobs, &context.interrupt, &references, &|reference| {
        context.progress.passing(&reference.to_string());
        walk.look(reference)
    });
    let mut pending = Vec::new();
    for (reference, look) in references.iter().zip(looks) {
        match look {
            Some(Some(Look::Done(row))) => rows.push(*row),
            Some(Some(Look::Scan(pulled))) => pending.push((reference, pulled)),
            Some(None) | None => {}
        }
    }
    for (_, pulled) in &pending {
        walk.layers.reserve(&pulled.layers);
    }
    context.progress.done(&format!("{} to scan", output::count_text(pending.len() as u64)));
    context.progress.stage("scan", None);
    let done = AtomicUsize::new(0);
    let scanned = each(jobs, &context.interrupt, &pending, &|(reference, pulled)| {
        let row = walk.scan(reference, pulled);
        walk.layers.release(&pulled.layers);
        let count = done.fetch_add(1, Ordering::Relaxed) + 1;
        context.progress.detail(&format!("{count} of {}: {reference}", pending.len()));
        row
    });
    walk.lock().save()?;
    walk.layers.tidy();
    if context.interrupt.load(Ordering::Relaxed) {
        let kept = args.state.as_ref().map(|file| format!("; what was done is in {}", file.display()));
        return Err(Failure::new(ExitCode::Interrupted, format!("interrupted{}", kept.unwrap_or_default())));
    }
    rows.extend(scanned.into_iter().flatten().flatten());
    let places: BTreeMap<String, usize> =
        references.iter().enumerate().map(|(place, reference)| (reference.to_string(), place)).collect();
    rows.sort_by_key(|row| places.get(&row.name()).copied());
    context.progress.done("");

    let result = Walked::new(&walk.database, rows);
    let text = result.text(args.format, context.output)?;
    output::write(&args.destination, text.as_bytes())?;
    result.judge()
}

fn prepare<'a>(context: &'a Context, args: &'a RegistryScanArgs) -> Result<Walk<'a>, Failure> {
    let decisions = Decisions::of(&args.decisions)?;
    let platform = context::parse_platform(args.platform.as_deref())?;
    let database = db::open(context, &args.db)?;
    let today = coverage::rfc3339(SystemTime::now()).get(..10).unwrap_or_default().to_owned();
    let basis = basis(context, args, &today)?;
    Ok(Walk {
        context,
        platform,
        database,
        decisions,
        today,
        reports: args.reports.as_deref(),
        layers: Layers::new(context, args.keep_layers)?,
        state: Mutex::new(State::open(args.state.as_deref(), basis)?),
    })
}

/// The digest of all that findings depend on beside the image.
fn basis(context: &Context, args: &RegistryScanArgs, today: &str) -> Result<Digest, Failure> {
    let digest = |file: &Path| {
        std::fs::read(file).map(|bytes| Digest::of(&bytes).to_string()).map_err(|source| {
            Failure::caused_by(ExitCode::Document, format!("cannot read {}", file.display()), source)
        })
    };
    let mut parts = vec![env!("CARGO_PKG_VERSION").to_owned(), digest(&db::path(context, &args.db))?];
    let DecisionArgs { fail_on, vex, vex_key, ignore } = &args.decisions;
    parts.push(format!("{:?} {fail_on:?} {vex:?} {vex_key:?}", args.platform));
    for file in ignore.iter().chain(vex_key) {
        parts.push(digest(file)?);
    }
    // What is accepted until a day is not accepted after it; a directory of documents may hold others.
    if !ignore.is_empty() || !vex.is_empty() {
        parts.push(today.to_owned());
    }
    for file in vex.iter().filter(|place| place.is_file()) {
        parts.push(digest(file)?);
    }
    Ok(Digest::of(parts.join("\n").as_bytes()))
}

/// The images that are meant, each once, and repositories that could not be listed.
fn list(
    context: &Context,
    whats: &[What],
    tags: &Tags,
    jobs: usize,
) -> Result<(Vec<Reference>, Vec<Row>), Failure> {
    let mut repositories = Vec::new();
    let (mut references, mut rows) = (Vec::new(), Vec::new());
    for what in whats {
        match what {
            What::Image(reference) => references.push(reference.clone()),
            What::Repository(reference) => repositories.push(reference.clone()),
            What::Catalog { host, repositories: pattern } => {
                let catalog = registries::connect(context, host)?.catalog().map_err(|error| {
                    hints::registry(&format!("cannot list the repositories of {host}"), error)
                        .hint("many registries have no catalog: name the repositories".to_owned())
                })?;
                let matching = catalog.into_iter().filter(|name| pattern.is_match(name));
                repositories.extend(matching.map(|repository| Reference {
                    host: host.clone(),
                    repository,
                    tag: None,
                    digest: None,
                }));
            }
        }
    }
    let listed = each(jobs, &context.interrupt, &repositories, &|repository: &Reference| {
        let registry = registries::connect(context, &repository.host)?;
        registry.tags(&repository.repository).map_err(|error| hints::registry("cannot list its tags", error))
    });
    for (repository, listed) in repositories.iter().zip(listed) {
        match listed {
            Some(Ok(all)) => references.extend(tags.choose(all).iter().map(|tag| repository.tagged(tag))),
            // One that was named must be there.
            Some(Err(failure)) if repositories.len() == 1 => return Err(failure),
            Some(Err(failure)) => {
                let name = format!("{}/{}", repository.host, repository.repository);
                rows.push(Row::unlisted(name, failure.summary()));
            }
            None => return Err(Failure::new(ExitCode::Interrupted, "interrupted")),
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    references.retain(|reference| seen.insert(reference.clone()));
    Ok((references, rows))
}

impl Walk<'_> {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an earlier walk found of an image, if all of it can still be used.
    fn known(&self, reference: &Reference, digest: Digest) -> Option<Row> {
        // Statements come and go without a change of the image.
        if self.decisions.vex.is_attached_wanted() {
            return None;
        }
        let row = self.lock().get(&reference.to_string(), digest)?;
        let has_report = self.report_file(reference).is_none_or(|file| file.is_file());
        (has_report || row.status == Status::Skipped).then_some(row)
    }

    /// Reads the documents of an image, unless it is known. None if interrupted.
    fn look(&self, reference: &Reference) -> Option<Look> {
        let failed = |digest, failure: Failure| {
            (failure.code != ExitCode::Interrupted)
                .then(|| Row::unscanned(reference, digest, Status::Failed, failure.summary()))
                .map(|row| Look::Done(Box::new(row)))
        };
        let registry = match registries::connect(self.context, &reference.host) {
            Ok(registry) => registry,
            Err(failure) => return failed(None, failure),
        };
        let digest =
            match reference.digest.map_or_else(|| registry.digest(reference), |known| Ok(Some(known))) {
                Ok(digest) => digest,
                Err(error) => return failed(None, hints::registry("cannot read it", error)),
            };
        if let Some(row) = digest.and_then(|digest| self.known(reference, digest)) {
            return Some(Look::Done(Box::new(row)));
        }
        let options = match registries::options(self.context, self.platform.clone()) {
            Ok(options) => options,
            Err(failure) => return failed(digest, failure),
        };
        match self.layers.puller(&registry).documents(reference, &options) {
            Ok(pulled) => match self.known(reference, pulled.top.digest) {
                Some(row) => Some(Look::Done(Box::new(row))),
                None => Some(Look::Scan(Box::new(pulled))),
            },
            Err(PullError::Image(OpenImageError::Pick { source, .. })) if is_no_image(&source) => {
                let row = Row::unscanned(reference, digest, Status::Skipped, source.to_string());
                let _ = self.lock().keep(&reference.to_string(), &row);
                Some(Look::Done(Box::new(row)))
            }
            Err(error) => failed(digest, hints::pull("cannot read it", error)),
        }
    }

    /// Scans one image. None if interrupted.
    fn scan(&self, reference: &Reference, pulled: &Pulled) -> Option<Row> {
        let digest = pulled.top.digest;
        let row = match self.report(reference, pulled) {
            Ok(report) => Row::scanned(reference, digest, &report, &self.decisions.gates),
            Err(failure) if failure.code == ExitCode::Interrupted => return None,
            Err(_) if self.context.interrupt.load(Ordering::Relaxed) => return None,
            Err(failure) => Row::unscanned(reference, Some(digest), Status::Failed, failure.summary()),
        };
        match self.lock().keep(&reference.to_string(), &row) {
            Ok(()) => Some(row),
            // Said again, and loudly, when the walk ends.
            Err(failure) => {
                tracing::warn!("{}", failure.summary());
                Some(row)
            }
        }
    }

    fn report(&self, reference: &Reference, pulled: &Pulled) -> Result<ScanReport, Failure> {
        let packages = self.packages(reference, pulled)?;
        let report = ScanReport::new(Scan {
            careen_version: env!("CARGO_PKG_VERSION"),
            subject: scanning::subject(&reference.to_string(), &pulled.outline),
            packages: &packages,
            profile: None,
            hardened: None,
            database: &self.database,
        });
        let mut report = report.map_err(|error| db::failed("cannot match its packages", error))?;
        report.warnings.extend(age_warning(&report));
        let pinned = ImageSource::Registry {
            reference: reference.pinned(pulled.top.digest).to_string(),
            layout: PathBuf::new(),
        };
        self.decisions.vex.apply(
            self.context,
            Some(&pinned),
            self.platform.clone(),
            &packages,
            &mut report,
        )?;
        self.decisions.ignored.iter().for_each(|list| list.apply(&mut report, &self.today));
        if let Some(file) = self.report_file(reference) {
            let failed = |source| {
                Failure::caused_by(ExitCode::Output, format!("cannot write {}", file.display()), source)
            };
            let text = ::scan::write(std::slice::from_ref(&report), Format::Json, "")
                .map_err(|source| Failure::caused_by(ExitCode::Failure, "cannot write the report", source))?;
            std::fs::create_dir_all(file.parent().unwrap_or(Path::new("."))).map_err(failed)?;
            artifacts::write_whole(&file, text.as_bytes()).map_err(failed)?;
        }
        Ok(report)
    }

    /// The packages of an image: as an earlier run listed them, else from its layers.
    fn packages(&self, reference: &Reference, pulled: &Pulled) -> Result<PackageDatabase, Failure> {
        if let Some(known) = scanning::known_packages(self.context, &pulled.outline) {
            return Ok(known);
        }
        let registry = registries::connect(self.context, &reference.host)?;
        let puller = self.layers.puller(&registry);
        let missing = self.layers.missing(&puller, &pulled.layers);
        puller
            .fetch(&reference.repository, &missing, &Limits::default(), &|_| ())
            .map_err(|error| hints::registry("cannot fetch its layers", error))?;
        let options = registries::options(self.context, self.platform.clone())?;
        let image = Image::open(&pulled.source, &options)
            .map_err(|error| hints::open_image("cannot open it", error))?;
        scanning::packages(self.context, &image)
    }

    /// Where the whole report of an image goes. References have no `..`.
    fn report_file(&self, reference: &Reference) -> Option<PathBuf> {
        let name = match (&reference.tag, &reference.digest) {
            (_, Some(digest)) => format!("sha256-{}", digest.hex()),
            (Some(tag), None) => tag.clone(),
            (None, None) => return None,
        };
        let dir = self.reports?.join(&reference.host).join(&reference.repository);
        Some(dir.join(format!("{name}.json")))
    }
}

/// Whether what a tag leads to is something else than an image for this platform, and not a broken one.
fn is_no_image(error: &PickError) -> bool {
    matches!(error, PickError::NotAnImage { .. } | PickError::Empty | PickError::NoSuchPlatform { .. })
}

/// Does the same with all items, so many at a time; what comes after Ctrl-C is left out.
fn each<T: Sync, R: Send>(
    jobs: usize,
    interrupt: &AtomicBool,
    items: &[T],
    work: &(dyn Fn(&T) -> R + Sync),
) -> Vec<Option<R>> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let run = || {
        while !interrupt.load(Ordering::Relaxed) {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            let (Some(item), Some(slot)) = (items.get(nth), results.get(nth)) else { break };
            let result = work(item);
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..jobs.min(items.len()) {
            scope.spawn(run);
        }
        run();
    });
    results.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_done_once_and_the_results_keep_their_order() {
        let items: Vec<usize> = (0..200).collect();
        let interrupt = AtomicBool::new(false);
        for jobs in [1, 3, 500] {
            let calls = AtomicUsize::new(0);
            let results = each(jobs, &interrupt, &items, &|item: &usize| {
                calls.fetch_add(1, Ordering::Relaxed);
                item * 2
            });
            let expected: Vec<Option<usize>> = items.iter().map(|item| Some(item * 2)).collect();
            assert_eq!((results, calls.into_inner()), (expected, items.len()), "{jobs}");
        }
        assert_eq!(each(4, &interrupt, &[] as &[usize], &|item| *item), []);
    }

    #[test]
    fn after_an_interrupt_nothing_new_is_begun() {
        let interrupt = AtomicBool::new(false);
        let items: Vec<usize> = (0..50).collect();
        let results = each(1, &interrupt, &items, &|item: &usize| {
            interrupt.store(*item == 9, Ordering::Relaxed);
            *item
        });
        assert_eq!(results.iter().flatten().copied().collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        assert_eq!(results.len(), items.len());
    }

    #[test]
    fn charts_and_other_platforms_are_passed_over_and_broken_images_are_not() {
        let pick = |layout: &testkit::Layout, platform: &str| {
            let platform = Some(platform.parse().unwrap());
            let options = image::OpenOptions { platform, ..image::OpenOptions::default() };
            match Image::open(&layout.source().parse().unwrap(), &options) {
                Err(OpenImageError::Pick { source, .. }) => Some(is_no_image(&source)),
                Err(_) => Some(false),
                Ok(_) => None,
            }
        };
        let layout = testkit::image(&["a"]);
        assert_eq!(pick(&layout, "linux/amd64"), None);
        assert_eq!(pick(&layout, "linux/s390x"), Some(true));
        std::fs::remove_dir_all(layout.dir().join("blobs")).unwrap();
        assert_eq!(pick(&layout, "linux/amd64"), Some(false));
    }
}
