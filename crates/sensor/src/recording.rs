//! A recording in progress and its result.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, LazyLock};

use image::{ImagePath, Tree};
use profile::{AccessKind, Activity, Counters, Incomplete, Observation, PassedOver, Process, Step, Verdict};

use crate::activity::{Noted, describe_processes};
use crate::bound::Views;
use crate::canary::{Canaries, is_of_canary};
use crate::consumer::Harvest;
use crate::error::root_cause;
use crate::journal::Unfinished;
use crate::observe::{Observer, Use};
use crate::processes::Processes;
use crate::rootfs::Rootfs;
use crate::sensor::Stopped;
use crate::snapshot::{self, Held};
use crate::wire::{Event, Program};
use crate::{Sensor, SensorError, Strength, Target, making, notify, text, told};

/// What the backend of this name cannot see however complete its account is, in words.
pub fn not_seen(backend: &str) -> Vec<String> {
    let not_seen: &[&str] = match backend {
        notify::BACKEND => &notify::NOT_SEEN,
        base if base == Strength::Base.name() => &text::NOT_SEEN,
        _ => &[],
    };
    not_seen.iter().map(|&what| what.to_owned()).collect()
}

/// A recording in progress.
#[derive(Debug)]
pub struct Recording {
    sensor: Sensor,
    target: Target,
    rootfs: Rootfs,
    canaries: Canaries,
    /// Beginnings of steps, in order of time.
    marks: Vec<(u64, Step)>,
    /// Files that processes held, with the earliest time.
    held: BTreeMap<Held, u64>,
    /// What processes had mounted elsewhere.
    views: Views,
    /// Why the first snapshot failed that did; told at the end.
    unlisted: Option<String>,
}

/// What was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Each distinct use, with the first step in which it was seen.
    pub observations: BTreeSet<Observation>,
    /// Of their paths, those that the kernel side named; the others were found by following links, `..` and
    /// interpreters on the image's tree.
    pub named: BTreeSet<ImagePath>,
    /// What was done beyond using files; none from a backend that does not see it.
    pub activity: Option<Activity>,
    /// The account.
    pub counters: Counters,
    /// Why what processes held open or mapped could not be listed, if it could not.
    pub unlisted: Option<String>,
    /// The name of the backend that watched.
    pub backend: &'static str,
    /// Stronger ones that could not, or that lost something.
    pub passed_over: Vec<PassedOver>,
    /// The kernel's release, as `uname -r` gives it.
    pub kernel: String,
    /// What the backend cannot see, in words.
    pub not_seen: Vec<String>,
}

impl Recording {
    pub(crate) fn new(sensor: Sensor, target: Target, rootfs: Rootfs, canaries: Canaries) -> Self {
        let mut this = Self {
            sensor,
            target,
            rootfs,
            canaries,
            marks: Vec::new(),
            held: BTreeMap::new(),
            views: Views::default(),
            unlisted: None,
        };
        this.look_again();
        this
    }

    /// The name in profiles of the backend that watches.
    pub fn backend(&self) -> &'static str {
        self.sensor.backend()
    }

    /// The container may have been restarted on a new mount; while it is not mounted there is nothing to note.
    fn look_again(&mut self) {
        if let Err(error) = self.rootfs.look_again() {
            tracing::debug!(%error, "the root file system is not there now");
        }
        self.views.look(&self.target.cgroup_dir, &self.rootfs);
        let devices = self.rootfs.devices();
        self.sensor.journal(|entries| devices.for_each(|device| entries.add(b'D', &device.to_le_bytes())));
    }

    /// Uses from now on belong to this step.
    pub fn begin_step(&mut self, step: Step) {
        self.look_again();
        let time = now();
        self.marks.push((time, step));
        self.sensor.journal(|entries| entries.step(time, step));
        self.sensor.journal_activity();
    }

    /// Notes which files live processes hold open or mapped, to be compared with the record.
    ///
    /// A failure makes the record incomplete.
    pub fn snapshot(&mut self) {
        self.look_again();
        self.sensor.journal_activity();
        let time = now();
        match snapshot::take(self.sensor.ebpf(), &self.target.cgroup_dir) {
            Ok(held) => {
                for file in held {
                    self.held.entry(file).or_insert(time);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot list the files that processes hold");
                self.unlisted.get_or_insert_with(|| root_cause(&error).unwrap_or_else(|| error.to_string()));
            }
        }
    }

    /// Ends the recording and resolves it on the image's tree.
    ///
    /// Lets out the last canaries, detaches the programs, takes in what is left and compares the counters. The
    /// container's root file system should still be mounted: links that the workload made are looked up there.
    ///
    /// # Errors
    /// [`SensorError`] if the canaries cannot run or the counters cannot be read. Losses are no error: they are in
    /// [`Record::counters`].
    pub fn finish(mut self, tree: &Tree) -> Result<Record, SensorError> {
        self.look_again();
        // The cgroup may be gone with the container. Then nothing shows that it was watched to the end, and the verdict
        // says so, but what was recorded is not thrown away.
        if let Err(error) = self.canaries.run("stop") {
            tracing::warn!(%error, "cannot run the last canaries in {}", self.target.cgroup_dir.display());
            self.canaries.miss();
        }
        let stopped = self.sensor.stop()?;
        let Stopped { counters: kernel, skipped, mut passed_over, harvest, noted, cut, .. } = stopped;
        let strength = judge_hooks(stopped.strength, stopped.hooks_skipped, &mut passed_over);
        let mut counters = Counters {
            seen: kernel.seen,
            duplicate: kernel.duplicate,
            emitted: kernel.emitted,
            dropped: kernel.dropped,
            faulted: kernel.faulted,
            skipped,
            received: harvest.received,
            canaries_expected: self.canaries.expected(),
            ..Counters::default()
        };
        let own = find_canaries(&self.canaries, &harvest, &mut counters);
        let views = std::mem::take(&mut self.views).into_set();
        let mut observer = Observer { views, ..Observer::new(tree, &self.rootfs) };
        let mut events = harvest.events.in_order();
        events.retain(|(event, _)| !own.contains(&event.program.id));
        events.retain(|(event, _)| strength != Strength::Base || !event.flags.hook());
        let (mut uses, named) = resolve(&events, &mut observer);
        for (event, time) in events {
            if let Some(trace) = harvest.traces.get(event) {
                uses.add(&observer, observer.traced(event, trace), &event.program, time);
            }
        }
        self.held.retain(|held, _| !own.contains(&held.program.id));
        compare_held(&self.held, &observer, &mut uses, &mut counters);
        let programs = harvest.events.iter().map(|event| &*event.program);
        let activity = activity(&noted, &harvest.processes, programs, &own, &observer, &self.marks, cut);
        // What is made of them takes as much room again.
        drop(harvest);
        let mut record = Record::new(uses, named, &self.marks, counters, strength.name());
        record.not_seen.extend(observer.not_followed());
        Ok(Record { activity: Some(activity), passed_over, unlisted: self.unlisted, ..record })
    }
}

impl Record {
    /// What was used, by the account of a backend; what else is known of the recording is to be added.
    pub(crate) fn new(
        uses: Uses,
        mut named: BTreeSet<ImagePath>,
        marks: &[(u64, Step)],
        counters: Counters,
        backend: &'static str,
    ) -> Self {
        let observations = uses.into_observations(marks);
        let known: BTreeSet<_> = observations.iter().map(|observation| &observation.path).collect();
        named.retain(|path| known.contains(path));
        tracing::info!(
            observations = observations.len(),
            counters.seen,
            counters.emitted,
            counters.dropped,
            "recorded {} uses of the image",
            observations.len()
        );
        Self {
            observations,
            named,
            activity: None,
            counters,
            unlisted: None,
            backend,
            passed_over: Vec::new(),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            not_seen: not_seen(backend),
        }
    }

    /// Whether it is complete, by the account and by the check that may have failed.
    pub fn verdict(&self) -> Verdict {
        let mut reasons = self.counters.verdict().reasons().to_vec();
        reasons.extend(self.unlisted.clone().map(|why| Incomplete::Unlisted { why }));
        Verdict::from_reasons(reasons)
    }
}

impl Unfinished {
    /// Resolves what the journal of a killed recording holds on the image's tree. The counters say that as many uses
    /// were received as are there; how many were not, nobody knows.
    pub fn into_record(self, tree: &Tree) -> Record {
        let rootfs = Rootfs::gone(self.devices.iter().copied());
        let mut observer = Observer::new(tree, &rootfs);
        let is_canary = |event: &&Event| self.canaries.iter().any(|word| is_of_canary(event, word));
        let own: BTreeSet<_> = self.events.iter().filter(is_canary).map(|event| event.program.id).collect();
        let mut events = self.events.in_order();
        events.retain(|(event, _)| !own.contains(&event.program.id));
        let (uses, named) = resolve(&events, &mut observer);
        let count = self.events.len() as u64;
        let counters = Counters { seen: count, emitted: count, received: count, ..Counters::default() };
        // Since it was last noted down, more may have been done.
        let cut = BTreeSet::from(["activity".to_owned()]);
        let activity = self.noted.map(|noted| {
            let programs = self.events.iter().map(|event| &*event.program);
            activity(&noted, &self.processes, programs, &own, &observer, &self.marks, cut)
        });
        Record { activity, ..Record::new(uses, named, &self.marks, counters, Strength::Base.name()) }
    }
}

/// Which backend the record is of: hooks that the kernel skipped do not count, for nobody knows what they missed.
fn judge_hooks(watched: Strength, skipped: u64, passed_over: &mut Vec<PassedOver>) -> Strength {
    if skipped == 0 {
        return watched;
    }
    passed_over.push(PassedOver {
        backend: watched.name().to_owned(),
        reason: format!("the kernel skipped {skipped} runs of its programs"),
        hint: "boot with bpf among lsm=, or with preempt=voluntary, on the kernel's command line".to_owned(),
    });
    Strength::Base
}

/// The uses that events tell of, and the paths that the kernel side named.
pub(crate) fn resolve(events: &[(&Event, u64)], observer: &mut Observer<'_>) -> (Uses, BTreeSet<ImagePath>) {
    let (mut uses, mut named) = (Uses::default(), BTreeSet::new());
    let events = events.iter().copied();
    making::find(observer, &events.clone().map(|(event, _)| event));
    observer.look_for_places(events.clone().map(|(event, _)| event));
    for (event, time) in events.clone() {
        named.extend(observer.named(event).map(|path| uses.shared(observer.tree, path)));
        if !event.flags.hook() {
            uses.add(observer, observer.uses(event), &event.program, time);
        }
    }
    told::add(events.filter(|(event, _)| event.flags.hook()), observer, &mut uses);
    (uses, named)
}

/// Counts the canaries that were seen; returns the programs that let them out, whose other uses are ours as well.
fn find_canaries(canaries: &Canaries, harvest: &Harvest, counters: &mut Counters) -> BTreeSet<(u32, u64)> {
    let mut seen = BTreeSet::new();
    let mut programs = BTreeSet::new();
    for event in harvest.events.iter() {
        if let Some(canary) = canaries.recognise(event) {
            seen.insert(canary);
            programs.insert(event.program.id);
        }
    }
    counters.canaries_seen = seen.len() as u64;
    programs
}

/// Puts into words what was done beyond using files.
fn activity<'a>(
    noted: &Noted,
    processes: &'a Processes,
    others: impl Iterator<Item = &'a Program>,
    own: &BTreeSet<(u32, u64)>,
    observer: &Observer<'_>,
    marks: &[(u64, Step)],
    cut: BTreeSet<String>,
) -> Activity {
    let nodes = processes.nodes.iter().filter_map(|node| node.program.as_deref());
    let programs: BTreeMap<_, _> = nodes.chain(others).map(|program| (program.id, program)).collect();
    let name = |program: &Program| observer.process(program).exe.clone();
    let mut activity =
        noted.describe(|id| programs.get(&id).map(|program| name(program)).unwrap_or_default());
    activity.processes = describe_processes(processes, own, name, |time| step_at(marks, time));
    activity.cut = cut;
    activity
}

/// The step that ran at a time.
fn step_at(marks: &[(u64, Step)], time: u64) -> Step {
    let step = marks.partition_point(|(begin, _)| *begin <= time);
    step.checked_sub(1).map_or(Step::default(), |index| marks[index].1)
}

/// Looks for files of the image that processes held and the record lacks, and adds them.
pub(crate) fn compare_held(
    held: &BTreeMap<Held, u64>,
    observer: &Observer<'_>,
    uses: &mut Uses,
    counters: &mut Counters,
) {
    let place =
        |held: &Held| observer.image_path(&held.file).filter(|path| observer.tree.get(path).is_some());
    let recorded = uses.among(&held.keys().filter_map(place).collect());
    let mut files = BTreeSet::new();
    let mut unrecorded = BTreeSet::new();
    // What lies in a mount over a path of the image, such as the engine's /dev/null, is no file of the image.
    for (held, time) in held.iter().filter(|(held, _)| !held.file.mounted) {
        let Some(path) = place(held) else { continue };
        // Whoever joins a process to the container holds its root until that executes something of the image.
        if path.is_root() && held.program.exe.is_none() {
            continue;
        }
        if !recorded.contains(&path) {
            tracing::warn!(path = %path, "a process held {path}, which the record lacks");
            unrecorded.insert(path.clone());
            uses.add(observer, vec![(path.clone(), AccessKind::OpenRead, 0)], &held.program, *time);
        }
        files.insert(path);
    }
    counters.snapshot_files = files.len() as u64;
    counters.snapshot_unrecorded = unrecorded.len() as u64;
}

/// Distinct uses with the time of the first.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    firsts: BTreeMap<(Use, Arc<Process>), u64>,
    /// Each path that is not in the image once: most have several uses.
    paths: HashSet<ImagePath>,
}

impl Uses {
    pub(crate) fn add(&mut self, observer: &Observer<'_>, uses: Vec<Use>, program: &Program, time: u64) {
        let process = observer.process(program);
        for (path, kind, errno) in uses {
            let path = self.shared(observer.tree, path);
            self.note((path, kind, errno), &process, time);
        }
    }

    fn note(&mut self, each: Use, process: &Arc<Process>, time: u64) {
        let first = self.firsts.entry((each, Arc::clone(process))).or_insert(time);
        *first = time.min(*first);
    }

    /// The same path, its bytes those of the image's tree, or of others that are alike.
    pub(crate) fn shared(&mut self, tree: &Tree, path: ImagePath) -> ImagePath {
        if let Some((known, _)) = tree.entry(&path) {
            return known.clone();
        }
        if let Some(known) = self.paths.get(&path) {
            return known.clone();
        }
        self.paths.insert(path.clone());
        path
    }

    /// How each path was used.
    pub(crate) fn kinds(&self) -> BTreeMap<ImagePath, BTreeSet<AccessKind>> {
        let mut kinds = BTreeMap::<_, BTreeSet<_>>::new();
        for (path, kind, _) in self.firsts.keys().map(|(each, _)| each) {
            kinds.entry(path.clone()).or_default().insert(*kind);
        }
        kinds
    }

    /// Which of these paths were used.
    fn among(&self, paths: &BTreeSet<ImagePath>) -> BTreeSet<ImagePath> {
        let used = self.firsts.keys().filter(|((_, kind, _), _)| kind.is_use()).map(|((path, ..), _)| path);
        used.filter(|path| paths.contains(path)).cloned().collect()
    }

    pub(crate) fn into_observations(self, marks: &[(u64, Step)]) -> BTreeSet<Observation> {
        self.firsts
            .into_iter()
            .map(|(((path, kind, errno), process), time)| {
                let step = step_at(marks, time);
                Observation { path, kind, errno, process, step }
            })
            .collect()
    }
}

/// Now, in nanoseconds of the clock that the kernel side uses: the monotonic one, whatever somebody sets the host's time
/// to, without the offset that a time namespace gives it for this process.
pub(crate) fn now() -> u64 {
    static OFFSET: LazyLock<i128> = LazyLock::new(|| {
        parse_offset(&std::fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default()).unwrap_or(0)
    });
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let shown = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
    u64::try_from(shown - *OFFSET).unwrap_or(0)
}

/// The offset of the monotonic clock, in nanoseconds.
///
/// Source: time_namespaces(7).
fn parse_offset(timens_offsets: &str) -> Option<i128> {
    let mut words =
        timens_offsets.lines().find_map(|line| line.strip_prefix("monotonic"))?.split_whitespace();
    let [seconds, nanoseconds]: [i128; 2] = [words.next()?.parse().ok()?, words.next()?.parse().ok()?];
    Some(seconds * 1_000_000_000 + nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_of_a_time_namespace_is_read() {
        let offsets = "monotonic     -86400       500\nboottime           0         0\n";
        assert_eq!(parse_offset(offsets), Some(-86_400_000_000_000 + 500));
        assert_eq!(parse_offset(""), None);
    }

    #[test]
    fn hooks_that_were_skipped_do_not_count_and_the_record_says_so() {
        let mut passed_over = Vec::new();
        assert_eq!(judge_hooks(Strength::Fentry, 0, &mut passed_over), Strength::Fentry);
        assert!(passed_over.is_empty());
        assert_eq!(judge_hooks(Strength::Fentry, 3, &mut passed_over), Strength::Base);
        assert_eq!(passed_over[0].backend, "ebpf-fentry");
        assert_eq!(passed_over[0].reason, "the kernel skipped 3 runs of its programs");
    }

    #[test]
    fn a_use_belongs_to_the_step_of_its_first_time_whatever_the_order() {
        let path = ImagePath::from_absolute(b"etc/hosts").unwrap();
        let process = Process { exe: "/bin/sh".into(), argv0: "sh".into() }.into();
        let marks = [(100, Step(1)), (200, Step(2))];
        for (times, step) in [([250, 150], 1), ([150, 250], 1), ([99, 300], 0), ([200, 201], 2)] {
            let mut uses = Uses::default();
            for time in times {
                uses.note((path.clone(), AccessKind::Stat, 0), &process, time);
            }
            let steps: Vec<_> = uses.into_observations(&marks).into_iter().map(|o| o.step).collect();
            assert_eq!(steps, [Step(step)]);
        }
    }
}
