//! The promise of no silent loss: what the sensor counts, and what it says when something was lost.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod fixture;

use std::fs;
use std::path::Path;

use fixture::{Container, STATIC, assert_complete, choice, compile, kinds, make, options};
use profile::{Incomplete, Step, Verdict};
use sensor::{Choice, Sensor, SensorOptions};

fn container(files: usize) -> Option<Container> {
    Container::new(|lower| {
        compile("storm.c", &lower.join("t/storm"), STATIC);
        for file in 0..files {
            make(lower, format!("t/many/f{file}").as_bytes(), "");
        }
    })
}

fn reasons(verdict: Verdict) -> Vec<Incomplete> {
    match verdict {
        Verdict::Complete => Vec::new(),
        Verdict::Incomplete { reasons } => reasons,
    }
}

#[test]
fn hard_18_the_first_instruction_of_the_first_process_is_seen() {
    let Some(container) = container(0) else { return };
    let recording = container.record();
    container.run(&["/t/storm", "unique", "0", "0"]);
    let record = container.finish(recording);
    assert_complete(&record);
    assert_eq!(kinds(&record, b"t/storm"), ["exec"]);
}

#[test]
fn hard_21_sixteen_threads_are_counted_to_the_last_use() {
    let Some(container) = container(1000) else { return };
    let seen = |count: &str| {
        let recording = container.record();
        container.run(&["/t/storm", "open", "16", count]);
        let record = container.finish(recording);
        assert_complete(&record);
        assert_eq!(record.counters.dropped, 0);
        let files = record.observations.iter().filter(|o| o.path.as_bytes().starts_with(b"t/many/")).count();
        assert_eq!(files, 1000);
        for other in &record.passed_over {
            eprintln!("passed over: {}: {}", other.backend, other.reason);
        }
        (record.counters.seen, record.backend)
    };
    let ((more, backend), (less, before)) = (seen("6000"), seen("1000"));
    let opens = 16 * 5000;
    match (choice(), backend, before) {
        (Choice::Base, ..) => assert_eq!(more - less, opens),
        // The hooks lost something, so they do not count.
        (_, "ebpf-base", _) | (.., "ebpf-base") => assert!(more - less >= opens),
        // The call, and the hook within it.
        _ => assert_eq!(more - less, 2 * opens),
    }
}

#[test]
fn the_strongest_backend_that_loads_watches_and_those_before_it_say_why_they_do_not() {
    let Some(_container) = container(0) else { return };
    let sensor = Sensor::load(&options(Choice::Ebpf)).unwrap();
    let mut tried: Vec<_> = sensor.passed_over().iter().map(|other| other.backend.as_str()).collect();
    tried.push(sensor.backend());
    assert_eq!(tried, ["ebpf-lsm", "ebpf-fentry", "ebpf-base"][..tried.len()]);
    for other in sensor.passed_over() {
        assert!(!other.reason.is_empty() && !other.hint.is_empty(), "{other:?}");
        let choice = if other.backend == "ebpf-lsm" { Choice::Lsm } else { Choice::Fentry };
        let error = Sensor::load(&options(choice)).unwrap_err();
        assert_eq!(error.hint().as_ref(), Some(&other.hint));
    }
}

#[test]
fn a_backend_that_lacks_one_hook_is_passed_over_whole_and_the_next_one_watches() {
    let Some(container) = container(1) else { return };
    // Of one backend the first hook, before which nothing is attached, of the other the last but one.
    for (absent, backend, forced) in
        [("fentry_file_open", "ebpf-fentry", Choice::Fentry), ("lsm_unix_connect", "ebpf-lsm", Choice::Lsm)]
    {
        let faulty = |choice| SensorOptions { absent_hook: Some(absent), ..options(choice) };
        assert!(Sensor::load(&faulty(forced)).unwrap_err().hint().is_some());
        let sensor = Sensor::load(&faulty(Choice::Ebpf)).unwrap();
        assert_ne!(sensor.backend(), backend);
        if let Some(other) = sensor.passed_over().iter().find(|other| other.backend == backend) {
            let is_told = other.reason.contains(&format!("no place for `{absent}`"));
            // Some kernels refuse the whole backend before that.
            assert!(is_told || Sensor::load(&options(forced)).is_err(), "{other:?}");
            let of_backend = |name: &str| name.starts_with(&absent[..absent.find('_').unwrap()]);
            let loaded = aya::programs::loaded_programs().flatten();
            let left: Vec<_> = loaded
                .filter_map(|program| program.name_as_str().map(str::to_owned))
                .filter(|n| of_backend(n))
                .collect();
            assert_eq!(left, Vec::<String>::new());
        } else {
            assert_eq!(sensor.backend(), "ebpf-lsm", "a stronger one watches");
        }
        let recording = container.watch(sensor);
        container.run(&["/t/storm", "wait", "0", "0", "/t/many/f0"]);
        let record = container.finish(recording);
        assert_complete(&record);
        assert_eq!(kinds(&record, b"t/many/f0"), ["open-read"]);
    }
}

#[test]
fn a_ring_too_small_makes_the_record_incomplete() {
    let Some(container) = container(0) else { return };
    let recording = container.watch(container.load(4096, 1 << 18));
    container.run(&["/t/storm", "unique", "16", "4000"]);
    let record = container.finish(recording);
    let counters = record.counters;
    assert!(counters.dropped > 0, "{counters:?}");
    assert!(counters.seen >= 64_000);
    assert_eq!(counters.seen, counters.duplicate + counters.emitted + counters.dropped + counters.faulted);
    assert_eq!(counters.received, counters.emitted);
    assert!(reasons(counters.verdict()).contains(&Incomplete::Dropped { count: counters.dropped }));
}

#[test]
fn a_use_that_found_no_room_is_reported_at_its_next_time() {
    let Some(container) = container(1000) else { return };
    let recording = container.watch(container.load(8192, 1 << 18));
    container.run(&["/t/storm", "stat", "8", "20000"]);
    let record = container.finish(recording);
    let files = record.observations.iter().filter(|o| o.path.as_bytes().starts_with(b"t/many/")).count();
    assert_eq!(files, 1000, "{:?}", record.counters);
}

#[test]
fn a_full_dedup_map_gives_duplicates_and_loses_nothing() {
    let Some(container) = container(1000) else { return };
    let recording = container.watch(container.load(16 << 20, 64));
    container.run(&["/t/storm", "stat", "4", "5000"]);
    let record = container.finish(recording);
    assert_complete(&record);
    assert!(record.counters.emitted > 10_000, "{:?}", record.counters);
    let files = record.observations.iter().filter(|o| o.path.as_bytes().starts_with(b"t/many/")).count();
    assert_eq!(files, 1000);
}

#[test]
fn hard_13_processes_that_live_less_than_a_millisecond_are_seen() {
    let Some(container) = Container::new(|lower| {
        for name in 0..50 {
            compile_first(&lower.join(format!("t/first{name}")));
        }
    }) else {
        return;
    };
    let recording = container.record();
    for name in 0..50 {
        container.run(&[&format!("/t/first{name}"), "quit"]);
    }
    let record = container.finish(recording);
    assert_complete(&record);
    for name in 0..50 {
        assert_eq!(kinds(&record, format!("t/first{name}").as_bytes()), ["exec"]);
    }
}

/// The torture program, which quits at once when told so; compiled once, then copied.
fn compile_first(to: &Path) {
    let first = to.with_file_name("first0");
    if to == first {
        compile("torture.c", to, STATIC);
    } else {
        fs::copy(first, to).unwrap();
    }
}

#[test]
fn a_cgroup_beneath_the_target_is_watched_and_one_beside_it_is_not() {
    let Some(container) = container(10) else { return };
    let beneath = container.cgroup.join("beneath");
    fs::create_dir(&beneath).unwrap();
    let beside = container.cgroup.with_extension("beside");
    fs::create_dir(&beside).unwrap();
    let recording = container.record();
    let wait = |cgroup: &Path, file: &str| {
        let command = container.command_in(cgroup, &["/t/storm", "wait", "0", "0", file]).status();
        assert!(command.unwrap().success());
    };
    wait(&beneath, "/t/many/f1");
    wait(&beside, "/t/many/f2");
    fs::read(container.merged().join("t/many/f3")).unwrap();
    let record = container.finish(recording);
    fs::remove_dir(&beneath).unwrap();
    fs::remove_dir(&beside).unwrap();
    assert_complete(&record);
    assert_eq!(kinds(&record, b"t/many/f1"), ["open-read"]);
    assert!(kinds(&record, b"t/many/f2").is_empty());
    assert!(kinds(&record, b"t/many/f3").is_empty());
}

#[test]
fn held_files_are_compared_with_the_record_and_added() {
    let Some(container) = container(10) else { return };
    let mut early = container.spawn(&["/t/storm", "wait", "0", "60", "/t/many/f1"]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    let mut recording = container.record();
    let mut late = container.spawn(&["/t/storm", "wait", "0", "60", "/t/many/f2"]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    recording.begin_step(Step(1));
    recording.snapshot();
    for child in [&mut early, &mut late] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let record = container.finish(recording);
    let expected = [Incomplete::Snapshot { count: 1 }];
    assert_eq!(reasons(record.counters.verdict()), expected, "{:?}", record.counters);
    assert_eq!(record.counters.snapshot_files, 3);
    assert_eq!(kinds(&record, b"t/many/f1"), ["open-read"]);
    assert_eq!(fixture::step_of(&record, b"t/many/f1"), Some(Step(1)));
    assert_eq!(fixture::step_of(&record, b"t/many/f2"), Some(Step(0)));
}

#[test]
fn a_file_held_in_a_mount_over_the_image_is_not_missed() {
    let Some(container) = container(10) else { return };
    let mounted = container.merged().join("t/many");
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("none", &mounted, "tmpfs", flags, None).unwrap();
    fs::write(mounted.join("f1"), "").unwrap();
    let mut early = container.spawn(&["/t/storm", "wait", "0", "60", "/t/many/f1"]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    let mut recording = container.record();
    container.run(&["/t/storm", "unique", "0", "0"]);
    recording.snapshot();
    early.kill().unwrap();
    early.wait().unwrap();
    rustix::mount::unmount(&mounted, rustix::mount::UnmountFlags::empty()).unwrap();
    let record = container.finish(recording);
    assert_complete(&record);
    assert_eq!(record.counters.snapshot_files, 1);
}

#[test]
fn canaries_that_are_not_seen_make_the_record_incomplete() {
    let Some(container) = container(0) else { return };
    let record = container.finish(container.record());
    assert_complete(&record);
    let mut counters = record.counters;
    assert_eq!((counters.canaries_expected, counters.canaries_seen), (10, 10));
    assert!(record.observations.is_empty(), "{:?}", record.observations);
    counters.canaries_seen = 9;
    assert_eq!(reasons(counters.verdict()), [Incomplete::Canary { expected: 10, seen: 9 }]);
}
