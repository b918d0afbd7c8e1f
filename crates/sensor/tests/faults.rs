//! Hosts that lack something, and what breaks while a recording goes on.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod fixture;

use std::path::Path;
use std::sync::Arc;

use fixture::{Container, STATIC, assert_complete, compile, kinds, make};
use profile::{Incomplete, Step, Verdict};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sensor::{Backend, Choice, Helper, Journal, LoadError, Sensor, SensorOptions, Unfinished};
use testkit::in_changed_host;

fn options(choice: Choice) -> SensorOptions {
    let program = env!("CARGO_BIN_EXE_sensor-canary").into();
    SensorOptions { choice, ..SensorOptions::new(Helper { program, args: Vec::new() }) }
}

fn container() -> Option<Container> {
    Container::new(|lower| {
        compile("storm.c", &lower.join("t/storm"), STATIC);
        for name in [&b"t/one"[..], b"t/two"] {
            make(lower, name, "");
        }
    })
}

#[test]
fn a_kernel_without_type_information_is_told_of_and_watched_by_notification() {
    let script = "mount -t tmpfs none /sys/kernel/btf; exec \"$0\" \"$@\"";
    in_changed_host(&["unshare", "--mount", "sh", "-ec", script], "no_type_information");
}

#[test]
#[ignore = "run by the test above in a changed host"]
fn no_type_information() {
    let error = Sensor::load(&options(Choice::Ebpf)).unwrap_err();
    assert!(matches!(error, LoadError::NoBtf { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("CONFIG_DEBUG_INFO_BTF"));
    assert_eq!(Backend::load(&options(Choice::Auto)).unwrap().name(), "seccomp-notify");
}

#[test]
fn who_lacks_the_capabilities_for_bpf_is_told_which() {
    let without = "-bpf,-perfmon,-sys_admin";
    let (bounding, inherited) = (format!("--bounding-set={without}"), format!("--inh-caps={without}"));
    in_changed_host(&["setpriv", &bounding, &inherited], "no_capabilities");
}

#[test]
#[ignore = "run by the test above with fewer capabilities"]
fn no_capabilities() {
    let error = Sensor::load(&options(Choice::Ebpf)).unwrap_err();
    assert!(matches!(error, LoadError::Object { .. } | LoadError::Program { .. }), "{error:?}");
    let hint = error.hint().unwrap();
    for word in ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN"] {
        assert!(hint.contains(word), "{hint}");
    }
    let disabled = std::fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled").unwrap_or_default();
    if !["", "0"].contains(&disabled.trim()) {
        assert!(hint.contains(&format!("kernel.unprivileged_bpf_disabled is {}", disabled.trim())), "{hint}");
    }
    assert_eq!(Backend::load(&options(Choice::Auto)).unwrap().name(), "seccomp-notify");
}

#[test]
fn uses_belong_to_their_steps_whatever_the_clock_of_careen_shows() {
    // The clocks of a time namespace are a day ahead of those that the kernel side goes by.
    in_changed_host(&["unshare", "--time", "--monotonic", "86400", "--fork"], "other_clock");
}

#[test]
#[ignore = "run by the test above in a changed host"]
fn other_clock() {
    let offsets = std::fs::read_to_string("/proc/self/timens_offsets").unwrap();
    assert!(offsets.contains("86400"), "{offsets}");
    let Some(container) = container() else { return };
    let mut recording = container.record();
    container.run(&["/t/storm", "wait", "0", "0", "/t/one"]);
    recording.begin_step(Step(1));
    container.run(&["/t/storm", "wait", "0", "0", "/t/two"]);
    recording.begin_step(Step(2));
    let record = container.finish(recording);
    assert_complete(&record);
    for (name, step) in [(&b"t/one"[..], 0), (b"t/two", 1)] {
        let seen = record.observations.iter().find(|o| o.path == fixture::path(name)).unwrap();
        assert_eq!(seen.step, Step(step), "{}", seen.path);
    }
}

#[test]
fn a_full_disk_ends_the_journal_and_not_the_recording() {
    let script = "d=$(mktemp -d); mount -t tmpfs -o size=128k none $d; export SMALL=$d; \"$0\" \"$@\"; e=$?; \
        umount $d; rmdir $d; exit $e";
    in_changed_host(&["unshare", "--mount", "sh", "-c", script], "full_disk");
}

#[test]
#[ignore = "run by the test above in a changed host"]
fn full_disk() {
    let Some(container) = container() else { return };
    let small = std::env::var_os("SMALL").unwrap();
    let journal = Arc::new(Journal::create(Path::new(&small)).unwrap());
    let mut sensor = container.load(16 << 20, 1 << 18);
    sensor.keep(Arc::clone(&journal));
    let recording = container.watch(sensor);
    container.run(&["/t/storm", "wait", "0", "0", "/t/one"]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    container.run(&["/t/storm", "unique", "1", "2000"]);
    let record = container.finish(recording);
    assert_complete(&record);
    assert_eq!(kinds(&record, b"t/one"), ["open-read"]);
    let lookups = |record: &sensor::Record| {
        record.observations.iter().filter(|o| o.path.as_bytes().starts_with(b"t/none")).count()
    };
    assert_eq!(lookups(&record), 1, "they all fail at the directory");
    // What it holds up to there is whole, and nothing else is there.
    let file = std::fs::read_dir(&small).unwrap().next().unwrap().unwrap().path();
    assert!(std::fs::metadata(&file).unwrap().len() > 100 << 10);
    assert_whole(&std::fs::read(&file).unwrap());
    let left = container.recover(Unfinished::read(&file).unwrap());
    assert_eq!(kinds(&left, b"t/one"), ["open-read"]);
}

/// Reads a journal's entries by the description of its format: the last one ends at its end.
fn assert_whole(journal: &[u8]) {
    let mut rest = journal.strip_prefix(b"careen journal 1\n").unwrap();
    while let [kind, a, b, c, d, after @ ..] = rest {
        assert!(b"HESDCPA".contains(kind), "{kind}");
        rest = &after[u32::from_le_bytes([*a, *b, *c, *d]) as usize..];
    }
    assert!(rest.is_empty(), "{} bytes of a torn entry", rest.len());
}

#[test]
fn threads_that_fill_the_disk_together_leave_a_whole_journal() {
    let script = "d=$(mktemp -d); mount -t tmpfs -o size=1m none $d; export SMALL=$d; \"$0\" \"$@\"; e=$?; \
        umount $d; rmdir $d; exit $e";
    in_changed_host(&["unshare", "--mount", "sh", "-c", script], "full_disk_of_many");
}

#[test]
#[ignore = "run by the test above in a changed host"]
fn full_disk_of_many() {
    let small = std::env::var_os("SMALL").unwrap();
    for _ in 0..20 {
        let journal = Journal::create(Path::new(&small)).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let journal = &journal;
                scope.spawn(move || {
                    (0..400).for_each(|n| journal.note(&vec![thread; n * (1 + thread as usize)]));
                });
            }
        });
        let file = std::fs::read_dir(&small).unwrap().next().unwrap().unwrap().path();
        assert_whole(&std::fs::read(&file).unwrap());
        let head = Unfinished::read(&file).unwrap().head;
        let first = head.first().copied().unwrap_or_default();
        assert!(head.iter().all(|byte| *byte == first) && head.len().is_multiple_of(1 + first as usize));
    }
}

#[test]
fn a_list_of_held_files_that_cannot_be_made_costs_the_verdict_and_not_the_record() {
    in_changed_host(&["env"], "no_list");
}

#[test]
#[ignore = "run by the test above as the only one of its process"]
fn no_list() {
    let Some(container) = container() else { return };
    let mut recording = container.record();
    container.run(&["/t/storm", "wait", "0", "0", "/t/one"]);
    let whole = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(4), ..whole }).unwrap();
    recording.snapshot();
    setrlimit(Resource::Nofile, whole).unwrap();
    let record = container.finish(recording);
    assert_eq!(kinds(&record, b"t/one"), ["open-read"]);
    let Verdict::Incomplete { reasons } = record.verdict() else { panic!("complete") };
    let [Incomplete::Unlisted { why }] = &*reasons else { panic!("{reasons:?}") };
    assert!(why.contains("Too many open files"), "{why}");
    assert!(reasons[0].to_string().starts_with("what processes held open could not be listed: "));
}
