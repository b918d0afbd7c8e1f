//! Containers as they run.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

#[allow(dead_code, unreachable_pub, reason = "each test program uses a part")]
mod common;

use std::fs;
use std::time::{Duration, Instant};

use careen_engine::*;
use common::*;
use image::ContainerConfig;

#[test]
fn a_container_runs_and_leaves_nothing() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let mut container = bench.container(
        shell("echo out; echo err >&2; cat /etc/motd; ls /removed; exit 3"),
        &RunOptions::default(),
    );
    assert_eq!(container.exited().unwrap(), None);
    assert_eq!(container.pids(), [container.pid()]);
    assert!(container.rootfs().join("bin/busybox").exists());
    container.start().unwrap();
    assert_eq!(wait_exit(&mut container), Exit::Code(3));
    let log = String::from_utf8(container.logs()).unwrap();
    assert_eq!(log, "out\nerr\nhello\nls: /removed: No such file or directory\n");
    assert!(container.pids().is_empty());
    assert!(container.cgroup_dir().exists());
    container.remove().unwrap();
    bench.assert_nothing_remains();
}

#[test]
fn the_first_process_sees_what_docker_shows_it() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let image = ContainerConfig {
        env: texts(&["A=1", "PATH=/bin"]),
        working_dir: "/new/shop/../dir".into(),
        user: "app".into(),
        ..config(&["sleep", "1000"])
    };
    let options = RunOptions {
        env: vec![("B".into(), "two words".into())],
        hostname: Some("named".into()),
        ..RunOptions::default()
    };
    let mut container = bench.container(image, &options);
    container.start().unwrap();
    let sees = |script: &str| output(&container, script);
    assert_eq!(sees("id"), "uid=1000(app) gid=1001(app) groups=44(extra),1001(app)");
    assert_eq!(
        sees("cat /proc/1/environ | tr '\\0' '\\n' 2>/dev/null || busybox tr '\\0' '\\n' < /proc/1/environ"),
        "PATH=/bin\nHOSTNAME=named\nA=1\nB=two words\nHOME=/home/app"
    );
    assert_eq!(
        sees("readlink /proc/1/cwd; pwd; hostname; cat /etc/hostname"),
        "/new/dir\n/new/dir\nnamed\nnamed"
    );
    assert_eq!(sees("stat -c '%u %a' /new/dir"), "0 755");
    assert_eq!(
        sees("ls /dev | grep -v core"),
        "fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero"
    );
    assert_eq!(
        sees("grep -E '^(Cap|NoNewPrivs|Groups)' /proc/1/status"),
        "Groups:\t44 1001 \nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t0"
    );
    assert_eq!(
        sees("grep -c . /proc/keys /proc/timer_list 2>&1; ls /sys/firmware | wc -l"),
        "/proc/keys:0\n/proc/timer_list:0\n0"
    );
    assert_eq!(
        sees("grep lo: /proc/net/dev | wc -l; ls /sys/class/net; cat /sys/class/net/lo/flags"),
        "1\nlo\n0x9"
    );
    assert_eq!(sees("cat /proc/sys/net/ipv4/ip_unprivileged_port_start"), "0");
    assert_eq!(sees("umask"), "0022");
    let root = container
        .exec(&ExecOptions {
            user: Some("0:44".into()),
            ..exec(&["sh", "-c", "id; grep CapEff /proc/self/status; echo $HOME"])
        })
        .unwrap();
    assert_eq!(
        String::from_utf8(root.stdout).unwrap(),
        "uid=0(root) gid=44(extra) groups=44(extra)\nCapEff:\t00000000a80425fb\n/root\n"
    );
    // Existing files: what the attempt to make one says depends on the kernel. As root, whom no mode keeps out.
    let written = ExecOptions {
        user: Some("0".into()),
        ..exec(&["sh", "-c", "true >> /proc/sys/kernel/hostname; true >> /sys/kernel/fscaps"])
    };
    let refused = String::from_utf8(container.exec(&written).unwrap().stderr).unwrap();
    assert_eq!(
        refused.lines().filter(|line| line.ends_with("Read-only file system")).count(),
        2,
        "{refused}"
    );
    container.remove().unwrap();
    bench.assert_nothing_remains();
}

/// What the descriptors of a process stand for.
fn open_files(pid: u32) -> Vec<String> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = fds.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    links.map(|link| link.to_string_lossy().into_owned()).collect()
}

#[test]
fn no_process_holds_more_files_than_it_needs() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let mut container = bench.container(shell("echo begun; exec sleep 1000"), &RunOptions::default());
    let other = Engine::open(options(&bench.dir.path().join("other"), &bench.interrupt)).unwrap();
    let copies = |pid| open_files(pid).iter().filter(|file| file.starts_with("/memfd:")).count();
    assert_eq!(copies(std::process::id()), 1, "one copy of the program serves all engines of a process");
    drop(other);
    container.start().unwrap();
    // Until it is the image's program it still holds what is closed by executing that.
    wait_log(&container, "begun");
    let helper: u32 =
        container.rootfs().components().nth(2).unwrap().as_os_str().to_str().unwrap().parse().unwrap();
    assert_eq!(copies(helper), 0);
    let program = fs::read_link(format!("/proc/{helper}/exe")).unwrap();
    assert!(program.starts_with("/memfd:careen (deleted)"), "{program:?}");
    let main = open_files(container.pid());
    assert_eq!(
        (main.len(), &*main[0], main[1].starts_with("pipe:"), &main[1]),
        (3, "/dev/null", true, &main[2])
    );
    // The shell's own three, and the directory that `ls` reads.
    assert_eq!(output(&container, "ls /proc/$$/fd; ls /proc/self/fd"), "0\n1\n2\n0\n1\n2\n3");
    container.remove().unwrap();
    bench.assert_nothing_remains();
}

#[test]
fn commands_run_inside_and_say_how_they_ended() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let container = bench.sleeping(&RunOptions::default());
    let run = |args: &[&str]| container.exec(&exec(args)).unwrap();
    let ok = run(&["sh", "-c", "cat; echo e >&2; exit 7"]);
    assert_eq!(
        (ok.end, &ok.stdout[..], &ok.stderr[..], ok.truncated),
        (CommandEnd::Exited(7), &b""[..], &b"e\n"[..], false)
    );
    assert_eq!(run(&["sh", "-c", "kill -9 $$"]).end, CommandEnd::Signalled(9));
    // A reader that goes away ends its writer: SIGPIPE is not ignored.
    assert_eq!(run(&["sh", "-c", "yes | head -n 1"]).stdout, b"y\n");
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
    let piped =
        container.exec(&ExecOptions { stdin: Stdin::Bytes(bytes.clone()), ..exec(&["cat"]) }).unwrap();
    assert!(piped.stdout == bytes);
    let unread = container.exec(&ExecOptions { stdin: Stdin::Bytes(bytes), ..exec(&["true"]) }).unwrap();
    assert_eq!(unread.end, CommandEnd::Exited(0));
    let much = run(&["dd", "if=/dev/zero", "bs=1M", "count=17"]);
    assert_eq!((much.stdout.len(), much.truncated), (MAX_OUTPUT_BYTES, true));
    let set = container
        .exec(&ExecOptions {
            env: vec![("X".into(), "1".into())],
            user: Some("app".into()),
            working_dir: Some("/var/data".into()),
            ..exec(&["sh", "-c", "echo $X $HOME $PWD; echo reopened > /dev/stdout"])
        })
        .unwrap();
    assert_eq!(String::from_utf8(set.stdout).unwrap(), "1 /home/app /var/data\nreopened\n");
    let fails = |args: &[&str]| container.exec(&exec(args)).unwrap_err();
    assert!(
        matches!(fails(&["nothing"]), EngineError::ProgramNotFound { program, .. } if program == "nothing")
    );
    assert!(matches!(fails(&["/no/such"]), EngineError::ProgramNotFound { .. }));
    assert!(matches!(fails(&["/not-executable"]), EngineError::ProgramNotExecutable { .. }));
    assert!(matches!(fails(&["/bin"]), EngineError::ProgramNotExecutable { .. }));
    assert_eq!(run(&["/no-shebang"]).end, CommandEnd::Exited(126));
    let bad_user = ExecOptions { user: Some("nobody".into()), ..exec(&["true"]) };
    assert!(matches!(container.exec(&bad_user), Err(EngineError::UnknownUser { .. })));
    let bad_dir = ExecOptions { working_dir: Some("/nowhere".into()), ..exec(&["true"]) };
    assert!(matches!(container.exec(&bad_dir), Err(EngineError::Option { .. })));
    container.remove().unwrap();
    bench.assert_nothing_remains();
}

#[test]
fn a_timeout_kills_the_whole_tree_of_a_command() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let container = bench.sleeping(&RunOptions::default());
    let began = Instant::now();
    let slow = ExecOptions {
        timeout: Duration::from_millis(500),
        ..exec(&["sh", "-c", "setsid sleep 500 & (setsid sh -c 'sleep 501; true' &) ; echo begun; sleep 502"])
    };
    let output = container.exec(&slow).unwrap();
    assert_eq!((output.end, &output.stdout[..]), (CommandEnd::TimedOut, &b"begun\n"[..]));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(container.pids(), [container.pid()], "only the main process is left");
    // What a command leaves running is the container's, and does not hold the command up.
    let daemon = container.exec(&exec(&["sh", "-c", "sleep 300 & echo done"])).unwrap();
    assert_eq!((daemon.end, &daemon.stdout[..]), (CommandEnd::Exited(0), &b"done\n"[..]));
    assert_eq!(container.pids().len(), 2);
    container.remove().unwrap();
    bench.assert_nothing_remains();
}

#[test]
fn host_commands_share_the_network_alone() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let script = "while true; do echo answer | nc -l -p 80; done";
    let mut container = bench.container(shell(script), &RunOptions::default());
    let host = |args: &[&str], timeout| HostCommand {
        args: texts(args),
        env: vec![("V".into(), "w".into())],
        working_dir: Some("/".into()),
        stdin: Stdin::Bytes(b"in".to_vec()),
        timeout: Duration::from_millis(timeout),
    };
    assert!(matches!(
        container.host_command(&host(&["true"], 1000)),
        Err(EngineError::NotRunning { exit: None, .. })
    ));
    container.start().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !container.tcp_ready("127.0.0.1", 80) {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!container.tcp_ready("127.0.0.1", 81));
    while !container.tcp_ready("localhost", 80) {
        assert!(Instant::now() < deadline);
    }
    let mut said = Vec::new();
    while said != b"answer\n" {
        assert!(Instant::now() < deadline);
        said = container.host_command(&host(&["busybox", "nc", "127.0.0.1", "80"], 2000)).unwrap().stdout;
    }
    let output = container
        .host_command(&host(
            &["sh", "-c", "cat; echo $V $PWD; ls /proc/self/root/etc/debian_version; exit 4"],
            5000,
        ))
        .unwrap();
    assert_eq!(
        (output.end, String::from_utf8(output.stdout).unwrap()),
        (CommandEnd::Exited(4), "inw /\n/proc/self/root/etc/debian_version\n".into())
    );
    assert!(matches!(
        container.host_command(&host(&["no-such-program"], 1000)),
        Err(EngineError::ProgramNotFound { .. })
    ));
    let slow = container.host_command(&host(&["sh", "-c", "setsid sleep 400 & sleep 401"], 300)).unwrap();
    assert_eq!(slow.end, CommandEnd::TimedOut);
    let before = container.pids().len();
    assert!(before <= 3, "host commands are not the container's processes");
    container.remove().unwrap();
    bench.assert_nothing_remains();
}

#[test]
fn stopping_uses_the_images_signal_then_kills() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let script =
        "trap 'echo quit; exit 5' QUIT; trap 'echo term' TERM; echo ready; while true; do sleep 0.1; done";
    let config = ContainerConfig { stop_signal: Some("SIGQUIT".into()), ..shell(script) };
    let mut container = bench.container(config, &RunOptions::default());
    container.start().unwrap();
    wait_log(&container, "ready");
    assert_eq!(container.stop(Duration::from_secs(10)).unwrap(), Exit::Code(5));
    assert_eq!(
        container.stop(Duration::from_secs(10)).unwrap(),
        Exit::Code(5),
        "stopping again tells the same"
    );
    assert!(matches!(container.kill(15), Err(EngineError::NotRunning { exit: Some(Exit::Code(5)), .. })));
    let error = container.exec(&exec(&["true"])).unwrap_err();
    assert_eq!(error.to_string(), format!("container {} has ended with exit code 5", container.id()));
    assert!(error.hint().unwrap().contains("quit"), "{:?}", error.hint());
    drop(container);
    // The first process of a PID namespace ignores signals that it has no handler for.
    let mut stubborn = bench.sleeping(&RunOptions::default());
    let began = Instant::now();
    assert_eq!(stubborn.stop(Duration::from_millis(300)).unwrap(), Exit::Signal(9));
    assert!(began.elapsed() >= Duration::from_millis(300));
    drop(stubborn);
    let mut never_started = bench.container(shell("true"), &RunOptions::default());
    assert_eq!(never_started.stop(Duration::from_secs(9)).unwrap(), Exit::Signal(9));
    drop(never_started);
    bench.assert_nothing_remains();
}

#[test]
fn a_restart_keeps_the_writable_layer_and_the_cgroup() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let script = "trap 'exit 0' TERM; echo run >> /var/data/runs; wc -l < /var/data/runs; while true; do sleep 0.1; done";
    let mut container = bench.container(shell(script), &RunOptions::default());
    container.start().unwrap();
    wait_log(&container, "1\n");
    let (pid, cgroup) = (container.pid(), container.cgroup_dir().to_owned());
    let inode = |path: &std::path::Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let before = inode(&cgroup);
    assert_eq!(container.restart(Duration::from_secs(10)).unwrap(), Exit::Code(0));
    wait_log(&container, "2\n");
    assert_ne!(container.pid(), pid);
    assert_eq!((container.cgroup_dir(), inode(container.cgroup_dir())), (&*cgroup, before));
    assert_eq!(container.exited().unwrap(), None);
    assert_eq!(output(&container, "cat /var/data/runs"), "run\nrun");
    container.remove().unwrap();
    bench.assert_nothing_remains();
}

#[test]
fn zombies_are_the_main_processs_business_and_logs_keep_their_tail() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let script = "seq 1 3000000; (sleep 0.1 &) ; echo end > /dev/stderr";
    let mut container =
        bench.container(shell(script), &RunOptions { user: Some("app".into()), ..RunOptions::default() });
    container.start().unwrap();
    assert_eq!(wait_exit(&mut container), Exit::Code(0));
    let log = container.logs();
    assert!(log.len() >= 8 << 20, "{}", log.len());
    assert!(log.ends_with(b"2999999\n3000000\nend\n"));
    drop(container);
    bench.assert_nothing_remains();
}

#[test]
fn read_only_roots_keep_volumes_and_tmpfs_writable() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    fs::write(bench.dir.path().join("bound"), "host\n").unwrap();
    let image = ContainerConfig {
        volumes: [("/var/data", serde_json::json!({})), ("/var/new", serde_json::json!({}))]
            .map(|(k, v)| (k.to_owned(), v))
            .into(),
        ..config(&["sleep", "1000"])
    };
    let options = RunOptions {
        read_only: true,
        tmpfs: texts(&["/run", "/tmp:size=1m"]),
        binds: vec![Bind {
            host: bench.dir.path().join("bound"),
            container: "/etc/bound".into(),
            read_only: true,
        }],
        cap_drop: texts(&["ALL"]),
        cap_add: texts(&["NET_BIND_SERVICE"]),
        no_new_privileges: true,
        ..RunOptions::default()
    };
    let mut container = bench.container(image, &options);
    container.start().unwrap();
    let sees = |script: &str| output(&container, script);
    assert_eq!(
        sees("cat /var/data/seed; echo x > /var/data/f; echo x > /var/new/f; cat /var/data/f /var/new/f"),
        "seed\nx\nx"
    );
    assert_eq!(
        sees(
            "for f in /x /etc/x /etc/hosts /etc/bound; do echo x 2>&1 > $f; done 2>&1 | grep -c 'Read-only'"
        ),
        "4"
    );
    assert_eq!(
        sees("echo x > /run/x; echo x > /tmp/x; stat -c %a /tmp /run; cat /etc/bound"),
        "1777\n1777\nhost"
    );
    assert_eq!(
        sees("grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status"),
        "CapEff:\t0000000000000400\nCapBnd:\t0000000000000400\nNoNewPrivs:\t1"
    );
    let paths: Vec<String> = container.mounts().iter().map(|mount| mount.image_path.to_text()).collect();
    assert_eq!(paths, ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/etc/bound"]);
    container.remove().unwrap();
    bench.assert_nothing_remains();
}

#[test]
fn host_devices_stay_out_of_reach() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let container = bench.sleeping(&RunOptions::default());
    let script = "for d in 'b 254 0' 'c 1 1' 'c 10 200'; do rm -f /d /dev/d; \
        busybox mknod /d $d 2>/dev/null; busybox mknod /dev/d $d 2>/dev/null; \
        for f in /d /dev/d; do dd if=$f of=/dev/null count=1 2>/dev/null && echo opened $f $d; done; done; true";
    assert_eq!(output(&container, script), "");
    assert_eq!(
        output(&container, "head -c 4 /dev/urandom | wc -c; echo x > /dev/null; echo fine"),
        "4\nfine"
    );
    container.remove().unwrap();
    bench.assert_nothing_remains();
}

#[test]
fn what_cannot_run_is_said_and_undone() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let create = |config: ContainerConfig, options: &RunOptions| {
        bench.engine.create(&bench.image(config), options).map(drop).unwrap_err()
    };
    let plain = RunOptions::default();
    assert!(matches!(create(ContainerConfig::default(), &plain), EngineError::NoCommand));
    let missing = create(config(&["no such"]), &plain);
    assert!(
        matches!(&missing, EngineError::ProgramNotFound { program, .. } if program == "no such"),
        "{missing:?}"
    );
    assert!(missing.hint().is_some());
    assert!(matches!(create(config(&["/not-executable"]), &plain), EngineError::ProgramNotExecutable { .. }));
    assert!(matches!(
        create(ContainerConfig { user: "ghost".into(), ..shell("true") }, &plain),
        EngineError::UnknownUser { .. }
    ));
    for options in [
        RunOptions { cap_add: texts(&["FLY"]), ..RunOptions::default() },
        RunOptions { tmpfs: texts(&["relative"]), ..RunOptions::default() },
        RunOptions { working_dir: Some("/bin/sh".into()), ..RunOptions::default() },
        RunOptions {
            binds: vec![Bind { host: "/no/such".into(), container: "/x".into(), read_only: false }],
            ..RunOptions::default()
        },
    ] {
        let error = create(shell("true"), &options);
        assert!(matches!(error, EngineError::Option { .. }), "{error:?}");
    }
    bench.assert_nothing_remains();
}

#[test]
fn many_layers_stack() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    // As deep in the file system as to make option strings long.
    let deep = bench.dir.path().join("a-rather-long-name-for-a-directory-that-holds-layers");
    let mut layers: Vec<_> = (0..120).map(|n| deep.join(format!("sha256-{n:064}"))).collect();
    for (n, layer) in layers.iter().enumerate() {
        fs::create_dir_all(layer).unwrap();
        fs::write(layer.join("last"), n.to_string()).unwrap();
        fs::write(layer.join(format!("file-{n}")), "").unwrap();
    }
    let base = bench.dir.path().join("layers/base");
    drop(bench.image(ContainerConfig::default()));
    layers.insert(0, base);
    let mut container = bench
        .engine
        .create(
            &Unpacked::from_directories(layers, &shell("cat /last; ls / | grep -c file-")),
            &RunOptions::default(),
        )
        .unwrap();
    container.start().unwrap();
    assert_eq!(wait_exit(&mut container), Exit::Code(0));
    assert_eq!(container.logs(), b"119120\n");
    drop(container);
    bench.assert_nothing_remains();
}

#[test]
fn the_hosts_network_is_there_when_asked_for() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let container = bench.sleeping(&RunOptions { network: Network::Host, ..RunOptions::default() });
    let ours = fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(output(&container, "readlink /proc/self/ns/net"), ours.to_str().unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(container.tcp_ready("127.0.0.1", listener.local_addr().unwrap().port()));
    container.remove().unwrap();
    bench.assert_nothing_remains();
}
