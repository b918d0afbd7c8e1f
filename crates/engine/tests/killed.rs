//! What remains when somebody is killed: nothing.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

#[allow(dead_code, unreachable_pub, reason = "each test program uses a part")]
mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use careen_engine::*;
use common::*;
use rustix::process::{Pid, Signal, kill_process};

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
}

/// A process that owns a container: this test program again, at the test below. Gives the process, the helper and the
/// container's processes.
fn start_victim(bench: &Bench, container: &str) -> (Child, u32, Vec<u32>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim", "--ignored", "--nocapture"])
        .env("VICTIM_DIR", bench.dir.path())
        .env("VICTIM_CONTAINER", container)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.find_map(|line| line.unwrap().strip_prefix("victim: ").map(str::to_owned)).unwrap();
    let mut numbers = line.split(' ').map(|number| number.parse::<u32>().unwrap());
    (child, numbers.next().unwrap(), numbers.collect())
}

#[test]
#[ignore = "run by the other tests, to be killed"]
fn victim() {
    let dir = std::env::var_os("VICTIM_DIR").unwrap();
    let dir = Path::new(&dir);
    let engine = Engine::open(options(&dir.join("data"), &std::sync::Arc::default())).unwrap();
    let layers = ["base", "users", "top"].map(|name| dir.join("layers").join(name)).to_vec();
    let unpacked = Unpacked::from_directories(layers, &shell("sleep 100 & sleep 101 & sleep 102"));
    let mut container = engine.create(&unpacked, &RunOptions::default()).unwrap();
    if std::env::var_os("VICTIM_CONTAINER").unwrap() == "started" {
        container.start().unwrap();
        container.exec(&exec(&["sh", "-c", "setsid sleep 103 &"])).unwrap();
    }
    let helper = container.rootfs().components().nth(2).unwrap().as_os_str().to_str().unwrap().to_owned();
    let pids: Vec<String> = container.pids().iter().map(u32::to_string).collect();
    println!("victim: {helper} {}", pids.join(" "));
    std::io::stdout().flush().unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

fn prepared() -> Bench {
    let bench = Bench::new();
    drop(bench.image(shell("true")));
    bench
}

fn wait_gone(pids: &[u32]) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let alive = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z"))
    };
    while pids.iter().any(alive) {
        assert!(Instant::now() < deadline, "still there: {pids:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_helper_cleans_up_after_a_killed_parent() {
    if skip() {
        return;
    }
    let bench = prepared();
    let (mut child, helper, pids) = start_victim(&bench, "started");
    assert!(pids.len() >= 3, "{pids:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    wait_gone(&pids);
    wait_gone(&[helper]);
    // The files are left to the next start.
    drop(Engine::open(options(&bench.data_dir(), &bench.interrupt)).unwrap());
    bench.assert_nothing_remains();
}

#[test]
fn the_parent_cleans_up_after_a_killed_helper() {
    if skip() {
        return;
    }
    let bench = prepared();
    let mut container = bench.sleeping(&RunOptions::default());
    let helper: u32 =
        container.rootfs().components().nth(2).unwrap().as_os_str().to_str().unwrap().parse().unwrap();
    let pids = container.pids();
    kill(helper);
    wait_gone(&pids);
    let deadline = Instant::now() + Duration::from_secs(10);
    while container.exited().is_ok() {
        assert!(Instant::now() < deadline);
    }
    assert!(matches!(container.exited(), Err(EngineError::HelperGone { .. })));
    assert!(container.exec(&exec(&["true"])).is_err());
    container.remove().unwrap();
    bench.assert_nothing_remains();
}

#[test]
fn the_next_start_cleans_up_when_both_were_killed() {
    if skip() {
        return;
    }
    for container in ["created", "started"] {
        let bench = prepared();
        let (mut child, helper, pids) = start_victim(&bench, container);
        assert!(!pids.is_empty());
        // Stopped, neither can react to the other's death.
        for pid in [child.id(), helper] {
            kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::STOP).unwrap();
        }
        kill(helper);
        child.kill().unwrap();
        child.wait().unwrap();
        let other = Engine::open(options(&bench.data_dir(), &bench.interrupt)).unwrap();
        wait_gone(&pids);
        bench.assert_nothing_remains();
        drop(other);
    }
}

#[test]
fn another_careen_leaves_a_living_container_alone() {
    if skip() {
        return;
    }
    let bench = prepared();
    let container = bench.sleeping(&RunOptions::default());
    drop(Engine::open(options(&bench.data_dir(), &bench.interrupt)).unwrap());
    assert_eq!(output(&container, "echo alive"), "alive");
    container.remove().unwrap();
    bench.assert_nothing_remains();
}

#[test]
fn an_interrupt_ends_every_wait_and_undoes_everything() {
    if skip() {
        return;
    }
    let bench = prepared();
    let container = bench.sleeping(&RunOptions::default());
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            set(&bench.interrupt);
        });
        assert!(matches!(container.exec(&exec(&["sleep", "100"])), Err(EngineError::Interrupted)));
    });
    assert!(began.elapsed() < Duration::from_secs(5));
    let create = bench.engine.create(&bench.image(shell("true")), &RunOptions::default());
    assert!(matches!(create, Err(EngineError::Interrupted)));
    drop(container);
    bench.assert_nothing_remains();
}

#[test]
fn a_panic_undoes_everything() {
    if skip() {
        return;
    }
    let bench = prepared();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _container = bench.sleeping(&RunOptions::default());
        panic!("as a bug would");
    }));
    assert!(result.is_err());
    bench.assert_nothing_remains();
}

#[test]
fn the_terminals_signals_reach_neither_helper_nor_container() {
    if skip() {
        return;
    }
    let bench = prepared();
    let container = bench.sleeping(&RunOptions::default());
    let session = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().split(' ').nth(4).unwrap().to_owned()
    };
    let helper: u32 =
        container.rootfs().components().nth(2).unwrap().as_os_str().to_str().unwrap().parse().unwrap();
    assert_eq!(session(helper), helper.to_string());
    assert_ne!(session(container.pid()), session(std::process::id()));
    drop(container);
    bench.assert_nothing_remains();
}
