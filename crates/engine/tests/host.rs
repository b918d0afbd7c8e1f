//! Hosts that lack something, and hosts with nothing but cgroup2.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

#[allow(dead_code, unreachable_pub, reason = "each test program uses a part")]
mod common;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use careen_engine::*;
use common::*;

/// Runs an ignored test of this file in mount and PID namespaces of its own, after a shell script has changed it.
fn in_changed_host(script: &str, test: &str) {
    let script = format!("{script}\nexec \"$0\" \"$@\"");
    let namespaces = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-ec", &script];
    testkit::in_changed_host(&namespaces, test);
}

#[test]
fn containers_run_where_there_is_only_cgroup2() {
    if skip() {
        return;
    }
    in_changed_host("umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup", "pure_cgroup2");
}

#[test]
#[ignore = "run by the test above in a changed host"]
fn pure_cgroup2() {
    let bench = Bench::new();
    let mut container = bench.sleeping(&RunOptions::default());
    assert!(container.cgroup_dir().starts_with("/sys/fs/cgroup/careen"), "{:?}", container.cgroup_dir());
    assert_eq!(container.pids(), [container.pid()]);
    // Without a device controller: no making of nodes, and none opened outside /dev.
    assert_eq!(
        output(&container, "busybox mknod /dev/d b 254 0 2>&1; busybox mknod /d c 1 3 2>&1; true")
            .lines()
            .count(),
        2
    );
    assert!(output(&container, "grep ' / ' /proc/self/mountinfo").contains("nodev"));
    assert_eq!(output(&container, "grep ^0:: /proc/self/cgroup"), "0::/exec-3");
    let slow = ExecOptions {
        timeout: std::time::Duration::from_millis(300),
        ..exec(&["sh", "-c", "setsid sleep 500 & sleep 501"])
    };
    assert_eq!(container.exec(&slow).unwrap().end, CommandEnd::TimedOut);
    assert_eq!(container.pids(), [container.pid()]);
    container.restart(std::time::Duration::ZERO).unwrap();
    assert_eq!(output(&container, "echo again"), "again");
    let failed = bench.engine.create(&bench.image(config(&["missing"])), &RunOptions::default());
    assert!(matches!(failed, Err(EngineError::ProgramNotFound { .. })));
    container.remove().unwrap();
    bench.assert_nothing_remains();
}

#[test]
fn a_host_without_cgroup2_is_told_of() {
    if skip() {
        return;
    }
    in_changed_host("umount -l /sys/fs/cgroup", "no_cgroup2");
}

#[test]
#[ignore = "run by the test above in a changed host"]
fn no_cgroup2() {
    let dir = tempfile::tempdir().unwrap();
    let error = Engine::open(options(dir.path(), &std::sync::Arc::default())).unwrap_err();
    assert!(matches!(error, EngineError::NoCgroup2 { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("cgroup2"));
}

#[test]
fn a_data_directory_on_overlayfs_is_told_of() {
    if skip() {
        return;
    }
    let script = "d=$(mktemp -d); mount -t tmpfs none $d; cd $d; mkdir l u w m; \
        mount -t overlay -o lowerdir=l,upperdir=u,workdir=w none m; export ON_OVERLAY=$d/m";
    in_changed_host(script, "on_overlay");
}

#[test]
#[ignore = "run by the test above in a changed host"]
fn on_overlay() {
    let dir = std::env::var_os("ON_OVERLAY").unwrap();
    let error = Engine::open(options(std::path::Path::new(&dir), &std::sync::Arc::default())).unwrap_err();
    assert!(matches!(error, EngineError::Upper { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("XDG_DATA_HOME"));
    assert_eq!(
        std::fs::read_dir(&dir).unwrap().filter(|e| e.as_ref().unwrap().path().is_dir()).count(),
        1,
        "only run is left"
    );
}

#[test]
fn a_kernel_that_executes_nothing_in_memory_is_told_of() {
    if skip() {
        return;
    }
    if !std::path::Path::new("/proc/sys/vm/memfd_noexec").exists() {
        eprintln!("SKIP: this kernel has no vm.memfd_noexec");
        assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here");
        return;
    }
    // The setting is the PID namespace's own.
    in_changed_host("echo 2 > /proc/sys/vm/memfd_noexec", "no_programs_in_memory");
}

#[test]
#[ignore = "run by the test above in a changed host"]
fn no_programs_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let error = Engine::open(options(dir.path(), &std::sync::Arc::default())).unwrap_err();
    assert!(matches!(error, EngineError::StartHelper { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("vm.memfd_noexec"));
}

#[test]
fn who_is_not_root_is_told_of() {
    if skip() {
        return;
    }
    // The test program may lie where nobody else may look, so a copy of it runs.
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let program = dir.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for path in [dir.path(), &program] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new(&program);
    command.args(["--exact", "not_root", "--ignored", "--nocapture"]).uid(65534).gid(65534);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "run by the test above as another user"]
fn not_root() {
    let error =
        Engine::open(options(std::path::Path::new("/nonexistent"), &std::sync::Arc::default())).unwrap_err();
    assert!(matches!(error, EngineError::NotRoot));
    assert!(error.hint().is_some());
}
