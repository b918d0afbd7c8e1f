//! Every way to name a path that we know of with every operation, each pair on an object of its own; the way is taken away
//! again right after. Which of these cells are lost stands in `matrix/lost-BACKEND.txt`, and none may be added.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod cells;
mod fixture;
mod notified;

use std::fs;
use std::path::Path;
use std::process::Command;

use cells::{Lost, Plan};
use fixture::{Container, STATIC, assert_complete, compile, options, set_mode};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use sensor::{Choice, Record, Sensor};

/// Cells that a machine may be unable to set up: two ways, an overlay that takes descriptors and a user namespace, and one
/// more.
const MAY_SKIP: usize = 121;
/// Where a list is written, what is lost in one of so many runs is lost.
const ROUNDS: usize = 3;
/// How many ways are recorded together. Where a path begins at a directory that the base backend does not know, it tries
/// the first thousand that processes were in.
const AT_A_TIME: usize = 4;

/// What the program says that there is to do, and the container to do it in.
fn set_up() -> Option<(Plan, Container)> {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("matrix");
    compile("matrix.c", &program, STATIC);
    let plan = Plan::read(&Command::new(&program).arg("list").output().unwrap().stdout);
    let container = Container::new(|lower| {
        fs::copy(&program, lower.join("t/matrix")).unwrap();
        for inherited in ["t/f_inherit", "t/f_magic"] {
            fs::write(lower.join(inherited), "data").unwrap();
        }
        make(lower, &plan);
    })?;
    Some((plan, container))
}

fn make(lower: &Path, plan: &Plan) {
    let program = lower.join("t/nothing");
    compile("nothing.c", &program, &["-static", "-nostdlib"]);
    for thing in &plan.things {
        let path = lower.join(thing.path.trim_start_matches('/'));
        match thing.kind.as_str() {
            "d" => fs::create_dir_all(path).unwrap(),
            "f" => fs::write(path, "data").unwrap(),
            "l" => std::os::unix::fs::symlink(&thing.target, path).unwrap(),
            "p" => drop(fs::copy(&program, path).unwrap()),
            "s" => {
                fs::write(&path, "#!/i\n").unwrap();
                set_mode(&path, 0o755);
            }
            kind => panic!("{kind}"),
        }
    }
}

/// Some ways at a time, for a recording of thousands of directories would be another matter.
fn check(backend: &str, run: fn(&Container, &[&str]) -> (Record, String)) {
    let mut lost = Lost::default();
    let rounds = if cells::is_update() { ROUNDS } else { 1 };
    for round in 0..rounds {
        let Some((plan, container)) = set_up() else { return };
        let mut skipped = Vec::new();
        for ways in plan.ways.chunks(AT_A_TIME) {
            let ways: Vec<_> = ways.iter().map(|(name, _)| name.as_str()).collect();
            let (record, output) = run(&container, &[&["/t/matrix"], &*ways].concat());
            assert_eq!(record.backend, backend);
            assert_complete(&record);
            let cells = plan.cells_of(&ways);
            let not_done = cells::check(&cells, &output);
            lost.add(&cells, &record, &not_done);
            skipped.extend(not_done);
        }
        eprintln!("{} of {} cells could not be set up here", skipped.len(), plan.cells.len());
        skipped.iter().for_each(|line| eprintln!("{line}"));
        assert!(skipped.len() <= MAY_SKIP, "{}", skipped.join("\n"));
        if round + 1 == rounds {
            lost.compare(&plan, backend);
        }
    }
}

#[test]
fn what_is_lost_of_ways_to_name_a_path_is_listed() {
    check("ebpf-base", |container, args| {
        let may = sched_getaffinity(None).unwrap();
        let mut one = CpuSet::new();
        one.set((0..CpuSet::MAX_CPU).find(|&number| may.is_set(number)).unwrap());
        sched_setaffinity(None, &one).unwrap();
        let recording = container.watch(Sensor::load(&options(Choice::Base)).unwrap());
        let output = container.run(args);
        (container.finish(recording), String::from_utf8(output.stdout).unwrap())
    });
}

#[test]
fn what_is_lost_by_notification_of_ways_to_name_a_path_is_listed() {
    check("seccomp-notify", |container, args| {
        let run = notified::run(container, args, |_, _| {});
        (run.record, run.output)
    });
}
