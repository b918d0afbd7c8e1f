//! What is recorded beyond uses of files: system calls, capabilities, sockets, processes.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod fixture;

use std::collections::BTreeSet;

use fixture::{Container, STATIC, assert_complete, compile};
use profile::{Activity, Step};

fn recorded(run: impl FnOnce(&Container, &mut sensor::Recording)) -> Option<Activity> {
    if !cfg!(target_arch = "x86_64") {
        eprintln!("SKIP: the program speaks i386 too");
        assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here");
        return None;
    }
    let container = Container::new(|lower| compile("active.c", &lower.join("t/active"), STATIC))?;
    let mut recording = container.record();
    run(&container, &mut recording);
    let record = container.finish(recording);
    assert_complete(&record);
    let activity = record.activity.unwrap();
    assert!(activity.cut.is_empty(), "{:?}", activity.cut);
    Some(activity)
}

#[test]
fn calls_capabilities_and_sockets_are_noted_as_what_they_are() {
    let Some(activity) = recorded(|container, _| {
        container.run(&["/t/active"]);
    }) else {
        return;
    };
    let calls = &activity.system_calls["x86_64"];
    for name in ["chown", "bind", "listen", "connect", "sendto", "wait4", "exit_group", "execve", "setresuid"]
    {
        assert!(calls.contains(name), "{name} is not in {calls:?}");
    }
    for name in ["ptrace", "mount", "inotify_add_watch", "clock_settime"] {
        assert!(!calls.contains(name), "{name} is in {calls:?}");
    }
    assert_eq!(activity.system_calls["i386"], BTreeSet::from(["getppid".to_owned()]));
    match &activity.capabilities {
        Some(capabilities) => {
            let chown = &capabilities["CAP_CHOWN"];
            let called = BTreeSet::from(["chown".to_owned()]);
            assert_eq!((&chown.granted, &chown.denied), (&called, &called), "{capabilities:?}");
            assert!(capabilities["CAP_SETUID"].granted.contains("setresuid"), "{capabilities:?}");
            assert!(!capabilities.contains_key("CAP_SYS_ADMIN"), "{capabilities:?}");
        }
        None => eprintln!("SKIP: the kernel does not tell of capabilities"),
    }
    let texts = |endpoints: &BTreeSet<profile::Endpoint>| -> Vec<String> {
        endpoints.iter().map(|endpoint| format!("{endpoint} {}", endpoint.program)).collect()
    };
    assert_eq!(
        texts(&activity.listening),
        ["tcp 127.0.0.1:38491 /t/active", "udp 127.0.0.1:38492 /t/active"]
    );
    assert_eq!(
        texts(&activity.connections),
        ["tcp 127.0.0.1:38491 /t/active", "udp 127.0.0.2:38493 /t/active", "udp [::1]:38494 /t/active"]
    );
}

#[test]
fn processes_stand_under_the_one_that_started_them() {
    let Some(activity) = recorded(|container, recording| {
        container.run(&["/t/active"]);
        recording.begin_step(Step(1));
        container.run(&["/t/active", "quit"]);
    }) else {
        return;
    };
    // The shell and chroot that start it are no programs of the image, but of the container.
    let shown: Vec<_> = activity
        .processes
        .iter()
        .filter(|started| started.exe == "/t/active")
        .map(|started| {
            let parent = started.parent.map(|parent| activity.processes[parent as usize].exe.clone());
            let argv = started.argv.join(" ");
            (argv, parent.unwrap_or_default(), started.count, started.forks, started.first_step.0)
        })
        .collect();
    let of = |argv: &str| shown.iter().find(|(shown, ..)| shown == argv).unwrap().clone();
    assert_eq!(of("child quit with"), ("child quit with".into(), "/t/active".into(), 2, 0, 0));
    let (_, _, count, forks, step) = of("/t/active");
    assert_eq!((count, forks, step), (1, 1, 0), "{shown:?}");
    assert_eq!(of("/t/active quit").4, 1);
    let worker = activity.processes.iter().find(|started| started.argv == ["/t/active"]).unwrap();
    assert_eq!(worker.users, BTreeSet::from([0, 1000]));
}

#[test]
fn a_call_that_never_returns_is_noted() {
    let Some(activity) = recorded(|container, _| {
        let mut child = container.spawn(&["/t/active", "pause"]);
        std::thread::sleep(std::time::Duration::from_millis(500));
        child.kill().unwrap();
        child.wait().unwrap();
    }) else {
        return;
    };
    assert!(activity.system_calls["x86_64"].contains("pause"), "{:?}", activity.system_calls);
}
