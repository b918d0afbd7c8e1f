//! The backend that needs no privilege, with the same torture program; as root and as an ordinary user.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod fixture;
mod notified;
mod objects;
mod table;
mod torture_files;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use fixture::{Container, STATIC, compile, kinds, make};
use notified::{Run, listener_of, run, start, watch, watch_with};
use profile::{Incomplete, Step, Verdict};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use sensor::notify::Watcher;
use sensor::{Journal, Record, Unfinished};
use sys::seccomp::{self, Answer};
use testkit::in_changed_host;

fn torture(container: &Container) -> Record {
    let Run { record, output } = run(container, &["/t/torture"], |recording, _| recording.snapshot());
    for line in output.lines() {
        assert!(line.starts_with("uring") && line.contains("Function not implemented"), "{output}");
    }
    assert_eq!(record.verdict(), Verdict::Complete, "{:?}", record.counters);
    assert_eq!(record.backend, "seccomp-notify");
    assert!(record.not_seen.iter().any(|what| what.starts_with("io_uring")) && record.activity.is_none());
    record
}

#[test]
fn every_way_to_use_a_file_but_io_uring_is_recorded_by_notification() {
    if !cfg!(target_arch = "x86_64") {
        eprintln!("SKIP: the torture program speaks i386 too");
        assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here");
        return;
    }
    let Some(container) = Container::new(torture_files::fill) else { return };
    let record = torture(&container);
    let mut wrong = Vec::new();
    for object in objects::objects() {
        let kinds: BTreeSet<_> = kinds(&record, &[b"t/", object.path].concat()).into_iter().collect();
        let is_not_seen = table::through_rings(object) || object.path == table::ELSEWHERE;
        let expected: BTreeSet<_> = object.kinds.iter().copied().filter(|_| !is_not_seen).collect();
        if !kinds.iter().eq(&expected) {
            wrong.push(format!("{}: {kinds:?}, not {expected:?}", object.path.escape_ascii()));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    let exe =
        |path: &str| record.observations.iter().find(|o| o.path == fixture::path(path.as_bytes())).unwrap();
    assert_eq!(exe("t/f_byexec").process.exe, "/t/f_static");
    assert_eq!(exe("t/f_byexec").process.argv0, "x");
    assert_eq!(exe("t/f_open").process.exe, "/t/torture");
    table::check(&record);
}

fn small(lower: &std::path::Path) {
    compile("torture.c", &lower.join("t/torture"), STATIC);
    for name in [&b"t/f_inherit"[..], b"t/f_magic", b"t/f_one"] {
        make(lower, name, "");
    }
}

#[test]
fn a_program_that_nobody_answers_for_makes_the_record_incomplete() {
    let Some(container) = Container::new(small) else { return };
    let (recording, canary) = watch(&container);
    let mut child = start(&container, &recording, &canary, &["/t/torture", "hold"]);
    let record = container.finish_with(|tree| recording.finish(tree));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(
        record.verdict(),
        Verdict::Incomplete { reasons: vec![Incomplete::Skipped { count: 1 }] },
        "{:?}",
        record.counters
    );
}

#[test]
fn hard_68_a_killed_recording_by_notification_is_found_in_its_journal() {
    let fill = |lower: &std::path::Path| {
        small(lower);
        compile("storm.c", &lower.join("t/storm"), STATIC);
    };
    let Some(container) = Container::new(fill) else { return };
    let directory = tempfile::tempdir().unwrap();
    let journal = Arc::new(Journal::create(directory.path()).unwrap());
    let mut watcher = Watcher::new();
    watcher.keep(Arc::clone(&journal));
    let (mut recording, canary) = watch_with(&container, watcher);
    recording.begin_step(Step(1));
    let mut child = start(&container, &recording, &canary, &["/t/storm", "wait", "0", "0", "/t/f_one"]);
    child.wait().unwrap();
    // What a kill at this moment would leave.
    let left = std::fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
    let copy = directory.path().join("0-0.journal");
    std::fs::copy(left, &copy).unwrap();
    let whole = container.finish_with(|tree| recording.finish(tree));
    let record = container.recover(Unfinished::read(&copy).unwrap());
    assert_eq!(kinds(&record, b"t/f_one"), ["open-read"]);
    assert_eq!(record.observations, whole.observations);
    assert!(record.observations.iter().all(|seen| seen.step == Step(1)));
    assert_ne!(record.verdict(), Verdict::Complete);
}

#[test]
fn without_a_listener_nothing_was_proved() {
    let Some(container) = Container::new(small) else { return };
    let (recording, _) = watch(&container);
    let record = container.finish_with(|tree| recording.finish(tree));
    let Verdict::Incomplete { reasons } = record.verdict() else { panic!("complete") };
    assert_eq!(reasons, [Incomplete::Canary { expected: 0, seen: 0 }]);
}

/// A program that asks in special circumstances.
fn asking(lower: &std::path::Path) {
    small(lower);
    compile("asks.c", &lower.join("t/asks"), STATIC);
}

#[test]
fn what_cannot_be_looked_at_for_want_of_descriptors_makes_the_record_incomplete() {
    in_changed_host(&["env"], "want_of_descriptors");
}

#[test]
#[ignore = "run by the test above as the only one of its process"]
fn want_of_descriptors() {
    let fill = |lower: &std::path::Path| {
        asking(lower);
        std::fs::write(lower.join("t/f_script"), "#!/t/torture quit\n").unwrap();
        fixture::set_mode(&lower.join("t/f_script"), 0o755);
    };
    let Some(container) = Container::new(fill) else { return };
    let whole = getrlimit(Resource::Nofile);
    let is_free = |number: &u64| !std::fs::exists(format!("/proc/self/fd/{number}")).unwrap();
    let mut verdicts = Vec::new();
    for room in 0..12 {
        let Run { record, .. } =
            run(&container, &["/t/asks", "later", "/t/f_one", "/t/f_script"], |_, child| {
                child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
                let limit = (0..).filter(is_free).nth(room).unwrap();
                setrlimit(Resource::Nofile, Rlimit { current: Some(limit), ..whole }).unwrap();
                child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
                child.wait().unwrap();
                setrlimit(Resource::Nofile, whole).unwrap();
            });
        let found: Vec<_> =
            [&b"t/f_one"[..], b"t/f_script", b"t/torture"].map(|name| kinds(&record, name).join(" ")).into();
        match record.verdict() {
            Verdict::Complete => assert_eq!(found, ["open-read", "exec", "exec"], "room for {room}"),
            Verdict::Incomplete { reasons } => {
                assert_eq!(reasons, [Incomplete::Faulted { count: record.counters.faulted }]);
            }
        }
        verdicts.push(record.verdict() == Verdict::Complete);
    }
    assert!(!verdicts[0] && verdicts[11] && verdicts.is_sorted(), "{verdicts:?}");
}

/// newfstatat.
const STAT: i32 = if cfg!(target_arch = "aarch64") { 79 } else { 262 };

#[test]
fn a_signal_whose_handler_restarts_nothing_breaks_no_call_that_we_look_at() {
    let Some(container) = Container::new(asking) else { return };
    let (mut child, listener) = listener_of(&container, "/none", &["/t/asks", "signal"]);
    let mut calls = 0;
    let asked = || {
        let mut fds = [PollFd::new(&listener, PollFlags::IN)];
        let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
        poll(&mut fds, Some(&patience)).unwrap() == 1 && fds[0].revents().contains(PollFlags::IN)
    };
    while asked() {
        let call = seccomp::receive(&listener).unwrap();
        if call.number == STAT && calls == 0 {
            calls += 1;
            kill_process(Pid::from_child(&child), Signal::ALARM).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(seccomp::is_waiting(&listener, call.id), "it waits on");
        }
        seccomp::answer(&listener, call.id, Answer::Continue).unwrap();
    }
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    child.wait().unwrap();
    assert_eq!((calls, &*output), (1, "1 signals, 0 broken\n"));
}

/// Not a check: how many calls break before the kernel has handed them over depends on what else the machine does.
#[test]
#[ignore = "measures"]
fn signals_under_a_storm_of_calls() {
    let Some(container) = Container::new(asking) else { return };
    for processes in ["1", "1", "1", "4", "4", "4"] {
        let args = ["/t/asks", "signals", "5000", processes];
        let Run { record, output } = run(&container, &args, |_, _| {});
        eprint!("{processes} processes:\n{output}");
        assert_eq!(record.verdict(), Verdict::Complete, "{:?}", record.counters);
    }
}

#[test]
fn look_ups_after_mounts_have_changed_are_as_fast_as_before() {
    let fill = |lower: &std::path::Path| {
        asking(lower);
        for name in [&b"t/d_one"[..], b"t/d_two", b"t/f_two"] {
            make(lower, name, "");
        }
    };
    let Some(container) = Container::new(fill) else { return };
    let Run { record, output } = run(&container, &["/t/asks", "mounts", "3000"], |_, _| {});
    assert_eq!(record.verdict(), Verdict::Complete, "{:?}", record.counters);
    eprintln!("nanoseconds: {output}");
    assert!(output.ends_with(" ok\n"), "{output}");
    let times: Vec<u64> = output.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(times.len() == 6 && times.iter().all(|&time| time < 3 * times[0]), "{output}");
    // What lies on the moved mount is no file of the image, and what lies beside it is.
    assert_eq!(kinds(&record, b"t/f_two"), ["open-read"]);
    assert_eq!(kinds(&record, b"t/d_two/f_new"), Vec::<String>::new());
}

#[test]
fn a_workload_cannot_have_a_listener_of_its_own_and_the_record_says_so() {
    let Some(container) = Container::new(asking) else { return };
    let Run { record, output } = run(&container, &["/t/asks", "filters"], |_, _| {});
    assert_eq!(output, "on\nDevice or resource busy\n");
    assert!(record.not_seen.iter().any(|what| what.contains("EBUSY")), "{:?}", record.not_seen);
}

#[test]
fn rare_ways_to_name_a_path_are_recorded() {
    let fill = |lower: &std::path::Path| {
        asking(lower);
        for name in [&b"t/d_one/f_bpf"[..], b"t/d_one/f_empty"] {
            make(lower, name, "");
        }
        drop(std::os::unix::net::UnixDatagram::bind(lower.join("t/s_second")).unwrap());
    };
    let Some(container) = Container::new(fill) else { return };
    let Run { record, output } = run(&container, &["/t/asks", "others"], |_, _| {});
    assert_eq!(record.verdict(), Verdict::Complete, "{:?}", record.counters);
    for name in [&b"t/d_one/f_bpf"[..], b"t/d_one/f_empty"] {
        assert_eq!(kinds(&record, name), ["open-read"], "{}", name.escape_ascii());
    }
    if cfg!(target_arch = "x86_64") {
        assert_eq!((&*output, kinds(&record, b"t/s_second")), ("1\n", vec!["connect".to_owned()]));
    }
}

#[test]
fn what_processes_hold_and_cannot_be_listed_makes_the_record_incomplete() {
    in_changed_host(&["env"], "unlisted");
}

#[test]
#[ignore = "run by the test above as the only one of its process"]
fn unlisted() {
    let Some(container) = Container::new(asking) else { return };
    for wants in [false, true] {
        let args = ["/t/asks", "later", "/t/f_one", "/t/torture"];
        let Run { record, .. } = run(&container, &args, |recording, child| {
            child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
            let whole = getrlimit(Resource::Nofile);
            if wants {
                setrlimit(Resource::Nofile, Rlimit { current: Some(4), ..whole }).unwrap();
            }
            recording.snapshot();
            setrlimit(Resource::Nofile, whole).unwrap();
            child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        });
        assert_eq!(kinds(&record, b"t/f_one"), ["open-read"]);
        let reasons = record.verdict().reasons().to_vec();
        // Those are inherited, and nobody used them.
        let held = [Incomplete::Snapshot { count: 2 }];
        match (wants, &*reasons) {
            (false, reasons) => assert_eq!(reasons, held),
            (true, [Incomplete::Unlisted { why }]) => assert!(why.contains("Too many open files"), "{why}"),
            (true, reasons) => panic!("{reasons:?}"),
        }
    }
}
