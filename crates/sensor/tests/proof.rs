//! The proof of completeness under load: many threads, a stopped consumer, many processes, little memory, a cgroup that
//! vanishes, and a recording that is killed.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod fixture;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fixture::{Container, STATIC, assert_complete, compile, kinds, make};
use profile::{Incomplete, Step, Verdict};
use sensor::{Journal, Unfinished};

const THREADS: usize = 64;
/// The ring of ordinary recordings.
const RING: u32 = 64 << 20;

fn container(files_per_thread: usize) -> Option<Container> {
    Container::new(|lower| {
        compile("storm.c", &lower.join("t/storm"), STATIC);
        for thread in 0..THREADS {
            let directory = lower.join(format!("t/many/{thread}"));
            fs::create_dir_all(&directory).unwrap();
            for file in 0..files_per_thread {
                fs::File::create(directory.join(format!("f{file}"))).unwrap();
            }
        }
        make(lower, b"t/many/f1", "");
    })
}

fn is_incomplete(verdict: &Verdict, wanted: impl Fn(&Incomplete) -> bool) -> bool {
    matches!(verdict, Verdict::Incomplete { reasons } if reasons.iter().any(wanted))
}

#[test]
fn hard_21_two_hundred_thousand_files_opened_by_64_threads_are_all_recorded() {
    let each = 200_000 / THREADS;
    let Some(container) = container(each) else { return };
    let recording = container.watch(container.load(RING, 1 << 18));
    container.run(&["/t/storm", "distinct", &THREADS.to_string(), &each.to_string()]);
    let record = container.finish(recording);
    assert_complete(&record);
    assert_eq!(record.counters.dropped, 0);
    let deep = |path: &[u8]| path.starts_with(b"t/many/") && path.iter().filter(|&&b| b == b'/').count() == 3;
    let files = record.observations.iter().filter(|o| deep(o.path.as_bytes())).count();
    assert_eq!(files, 200_000);

    let recording = container.watch(container.load(64 << 10, 1 << 18));
    container.run(&["/t/storm", "distinct", &THREADS.to_string(), &each.to_string()]);
    let record = container.finish(recording);
    let files = record.observations.iter().filter(|o| deep(o.path.as_bytes())).count() as u64;
    let counters = record.counters;
    assert_eq!(counters.seen, counters.duplicate + counters.emitted + counters.dropped + counters.faulted);
    assert_eq!(counters.received, counters.emitted);
    // Whoever is told that it is complete has it all.
    assert!(
        files == 200_000 || is_incomplete(&counters.verdict(), |r| matches!(r, Incomplete::Dropped { .. }))
    );
    assert!(files + counters.dropped >= 200_000, "{counters:?}");
}

/// Runs a storm while this whole process, with the thread that takes events in, is stopped.
fn stopped(container: &Container, count: &str) {
    let script = r#"kill -STOP "$PPID"; (echo 0 > "$0/cgroup.procs" && exec chroot "$1" /t/storm unique 4 "$2"); kill -CONT "$PPID""#;
    let status = std::process::Command::new("bash")
        .args(["-c", script])
        .args([container.cgroup.as_path(), &container.merged()])
        .arg(count)
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn a_consumer_that_is_stopped_loses_nothing_or_the_verdict_says_so() {
    let Some(container) = container(0) else { return };
    let recording = container.watch(container.load(RING, 1 << 18));
    stopped(&container, "8000");
    let record = container.finish(recording);
    assert_complete(&record);
    assert!(record.counters.emitted >= 32_000, "{:?}", record.counters);

    let recording = container.watch(container.load(64 << 10, 1 << 18));
    stopped(&container, "8000");
    let counters = container.finish(recording).counters;
    assert_eq!(counters.seen, counters.duplicate + counters.emitted + counters.dropped + counters.faulted);
    assert!(is_incomplete(&counters.verdict(), |reason| *reason
        == Incomplete::Dropped { count: counters.dropped }));
    assert!(counters.dropped > 20_000, "{counters:?}");
}

#[test]
fn hard_13_fifty_thousand_short_lived_processes_are_all_seen() {
    let Some(container) = container(0) else { return };
    let recording = container.watch(container.load(RING, 1 << 18));
    container.run(&["/t/storm", "fork", "0", "50000"]);
    let record = container.finish(recording);
    assert_complete(&record);
    let mut uses = record.counters.seen;
    uses -= record.counters.duplicate;
    assert!(uses >= 50_000, "{:?}", record.counters);
    let activity = record.activity.as_ref().unwrap();
    assert!(activity.cut.is_empty(), "{:?}", activity.cut);
    let of =
        |argv0: &str| activity.processes.iter().find(|s| s.argv.first().is_some_and(|a| a == argv0)).unwrap();
    assert_eq!((of("/t/storm").forks, of("again").count), (49_000, 1000));
}

#[test]
fn a_cgroup_made_beneath_the_target_meanwhile_is_watched() {
    let Some(container) = container(0) else { return };
    let recording = container.record();
    let beneath = container.cgroup.join("later");
    fs::create_dir_all(beneath.join("still")).unwrap();
    let run =
        container.command_in(&beneath.join("still"), &["/t/storm", "wait", "0", "0", "/t/many/f1"]).status();
    assert!(run.unwrap().success());
    fs::remove_dir(beneath.join("still")).unwrap();
    fs::remove_dir(&beneath).unwrap();
    let record = container.finish(recording);
    assert_complete(&record);
    assert_eq!(kinds(&record, b"t/many/f1"), ["open-read"]);
}

/// A cgroup with little memory, where a hierarchy has the controller.
struct LittleMemory(PathBuf);

impl LittleMemory {
    fn new(name: &str) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let version1 = mounts.lines().find(|line| line.contains(" - cgroup ") && line.contains("memory"))?;
        let path = Path::new(version1.split(' ').nth(4)?).join(name);
        fs::create_dir(&path).ok()?;
        let this = Self(path);
        fs::write(this.0.join("memory.limit_in_bytes"), (8 << 20).to_string()).ok()?;
        Some(this)
    }
}

impl Drop for LittleMemory {
    fn drop(&mut self) {
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[test]
fn a_workload_short_of_memory_is_recorded_or_the_verdict_says_what_was_not_readable() {
    let Some(little) = LittleMemory::new(&format!("careen-little-{}", std::process::id())) else {
        eprintln!("SKIP: no memory controller of version 1");
        assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here");
        return;
    };
    let each = 500;
    let Some(container) = container(each) else { return };
    let recording = container.record();
    let script = r#"echo 0 > "$2/cgroup.procs"; echo 0 > "$0/cgroup.procs"; exec chroot "$1" /t/storm distinct 64 500"#;
    let status = std::process::Command::new("bash")
        .args(["-c", script])
        .args([&container.cgroup, &container.merged(), &little.0])
        .status();
    let record = container.finish(recording);
    let counters = record.counters;
    assert_eq!(counters.seen, counters.duplicate + counters.emitted + counters.dropped + counters.faulted);
    let files = record.observations.iter().filter(|o| o.path.as_bytes().starts_with(b"t/many/")).count();
    if status.unwrap().success() && counters.verdict() == Verdict::Complete {
        assert_eq!(files, THREADS * each);
    }
}

#[test]
fn a_cgroup_that_is_gone_at_the_end_leaves_a_record_that_says_so() {
    let Some(container) = container(0) else { return };
    let recording = container.record();
    container.run(&["/t/storm", "wait", "0", "0", "/t/many/f1"]);
    fs::remove_dir(&container.cgroup).unwrap();
    let record = container.finish(recording);
    assert_eq!(kinds(&record, b"t/many/f1"), ["open-read"]);
    let verdict = record.counters.verdict();
    assert!(is_incomplete(&verdict, |r| *r == Incomplete::Canary { expected: 10, seen: 5 }), "{verdict:?}");
}

#[test]
fn hard_68_a_killed_recording_is_found_in_its_journal() {
    let Some(container) = container(0) else { return };
    let directory = tempfile::tempdir().unwrap();
    let journal = Arc::new(Journal::create(directory.path()).unwrap());
    journal.note(b"head");
    let mut sensor = container.load(RING, 1 << 18);
    sensor.keep(Arc::clone(&journal));
    let mut recording = container.watch(sensor);
    recording.begin_step(Step(1));
    container.run(&["/t/storm", "wait", "0", "0", "/t/many/f1"]);
    recording.begin_step(Step(2));
    std::thread::sleep(std::time::Duration::from_millis(500));
    // What a kill at this moment would leave.
    let left = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
    let copy = directory.path().join("0-0.journal");
    fs::copy(left, &copy).unwrap();
    let whole = container.finish(recording);
    drop(journal);
    let unfinished = Unfinished::read(&copy).unwrap();
    assert_eq!((&*unfinished.head, unfinished.last_step()), (&b"head"[..], 2));
    let record = container.recover(unfinished);
    assert_eq!(kinds(&record, b"t/many/f1"), ["open-read"]);
    assert_eq!(record.observations, whole.observations);
    let activity = record.activity.unwrap();
    assert!(activity.cut.contains("activity"), "{:?}", activity.cut);
    assert!(activity.system_calls.values().any(|calls| calls.contains("clock_nanosleep")));
    let of_workload = |started: &profile::Started| started.exe == "/t/storm";
    assert!(activity.processes.iter().any(of_workload), "{:?}", activity.processes);
    assert!(activity.processes.iter().all(|started| !started.argv[0].starts_with("careen-canary")));
    assert_ne!(record.counters.verdict(), Verdict::Complete);
}
