//! Every way to use a file that we know of, each on its own object, and what the record must say of it.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod fixture;
mod objects;
mod table;
mod torture_files;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};

use fixture::{Container, STATIC, assert_complete, choice, compile, kinds, make, options};
use sensor::{Record, Sensor, SensorOptions};
use torture_files::fill;

/// What is recorded of the torture program. All its objects must be as they should.
fn torture(options: &SensorOptions) -> Option<Record> {
    if !cfg!(target_arch = "x86_64") {
        eprintln!("SKIP: the torture program speaks i386 too");
        assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here");
        return None;
    }
    let container = Container::new(fill)?;
    let recording = container.watch(Sensor::load(options).unwrap());
    // Descriptors that the process got from outside are opened before it joins the cgroup.
    let script = r#"exec 100< "$1/t/f_inherit" 101< "$1/t/f_magic"; echo 0 > "$0/cgroup.procs"
                    exec chroot "$1" /t/torture"#;
    let output = Command::new("bash")
        .args(["-c", script])
        .args([&container.cgroup, &container.merged()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let record = container.finish(recording);
    assert!(output.status.success(), "{output:?}");
    assert_complete(&record);
    let mut wrong = Vec::new();
    for object in objects::objects() {
        let kinds: BTreeSet<_> = kinds(&record, &[b"t/", object.path].concat()).into_iter().collect();
        if !kinds.iter().eq(object.kinds.iter().copied().collect::<BTreeSet<_>>()) {
            wrong.push(format!("{}: {kinds:?}, not {:?}", object.path.escape_ascii(), object.kinds));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    Some(record)
}

#[test]
fn a_kernel_without_casts_tells_the_same() {
    let Some(record) = torture(&SensorOptions { may_cast: false, ..options(choice()) }) else { return };
    let Some(cast) = torture(&options(choice())) else { return };
    assert_eq!(record.observations, cast.observations);
}

#[test]
fn every_way_to_use_a_file_is_recorded_as_what_it_is() {
    let Some(record) = torture(&options(choice())) else { return };
    table::check(&record);
    assert_eq!(record.not_seen.is_empty(), record.backend != "ebpf-base", "{:?}", record.not_seen);
    for made in ["t/d_new/made", "t/d_mkdir/made", "t/made_link", "t/d_bind/socket"] {
        assert!(kinds(&record, made.as_bytes()).is_empty(), "{made} is not of the image");
    }
    let exe =
        |path: &str| record.observations.iter().find(|o| o.path == fixture::path(path.as_bytes())).unwrap();
    assert_eq!(exe("t/f_byexec").process.exe, "/t/f_static");
    assert_eq!(exe("t/f_byexec").process.argv0, "x");
    assert_eq!(exe("t/f_open").process.exe, "/t/torture");
    assert_eq!(exe("t/f_bymem").process.exe, "memfd:m");
}

#[test]
fn hard_30_names_and_paths_as_long_as_the_kernel_allows_come_out_whole() {
    let name = "n".repeat(255);
    let deep = format!("t/{}", vec![&name[..200]; 19].join("/"));
    let many = format!("t/{}", vec!["directory"; 380].join("/"));
    let Some(container) = Container::new(|lower| {
        compile("torture.c", &lower.join("t/torture"), STATIC);
        make(lower, format!("t/{name}").as_bytes(), "");
        for directory in [&deep, &many] {
            fs::create_dir_all(lower.join(directory)).unwrap();
            make(lower, format!("{directory}/f").as_bytes(), "");
        }
    }) else {
        return;
    };
    let recording = container.record();
    let files = [format!("t/{name}"), format!("{deep}/f"), format!("{many}/f")];
    for file in &files {
        container.run(&["/t/torture", "open", &format!("/{file}")]);
    }
    let record = container.finish(recording);
    assert_complete(&record);
    for file in &files {
        assert_eq!(kinds(&record, file.as_bytes()), ["open-read"], "{} bytes", file.len());
    }
}

#[test]
fn the_record_does_not_depend_on_what_ran_before() {
    let Some(container) = Container::new(fill) else { return };
    let uses = || {
        let recording = container.record();
        container.run(&["/t/f_static", "open", "/t/l_c1"]);
        container.finish(recording).observations
    };
    let first = uses();
    assert!(!first.is_empty());
    assert_eq!(first, uses());
}

#[test]
fn hard_9_a_file_opened_by_handle_is_recorded() {
    let nfs_export = ",index=on,nfs_export=on";
    let Some(container) = Container::mounted(nfs_export, |lower| {
        compile("torture.c", &lower.join("t/torture"), STATIC);
        make(lower, b"t/d_deep/f_handle", "");
    }) else {
        return;
    };
    let recording = container.record();
    container.run(&["/t/torture", "handle", "/t/d_deep/f_handle"]);
    let record = container.finish(recording);
    assert_complete(&record);
    assert_eq!(kinds(&record, b"t/d_deep/f_handle"), ["open-read", "open-write"]);
}

#[test]
fn a_lookup_through_a_bind_mount_made_in_the_container_is_of_what_is_mounted() {
    let Some(container) = Container::new(|lower| {
        compile("torture.c", &lower.join("t/torture"), STATIC);
        make(lower, b"t/from/f_bound", "");
        make(lower, b"t/to/f_bound", "");
    }) else {
        return;
    };
    let mut recording = container.record();
    let mut command = container.command(&["/t/torture", "bind", "/t/from", "/t/to", "/t/to/f_bound"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut word = [0; 6];
    child.stdout.take().unwrap().read_exact(&mut word).unwrap();
    recording.snapshot();
    child.kill().unwrap();
    child.wait().unwrap();
    let record = container.finish(recording);
    assert_complete(&record);
    assert_eq!(kinds(&record, b"t/from/f_bound"), ["stat"]);
}

#[test]
fn files_opened_are_recorded_whatever_a_thread_puts_in_the_place_of_their_descriptors() {
    const FILES: usize = 3000;
    let Some(container) = Container::new(|lower| {
        compile("torture.c", &lower.join("t/torture"), STATIC);
        for number in 0..FILES {
            make(lower, format!("t/many/{number}").as_bytes(), "");
        }
    }) else {
        return;
    };
    let recording = container.record();
    container.run(&["/t/torture", "replaced", "/t/many", &FILES.to_string()]);
    let record = container.finish(recording);
    assert_complete(&record);
    let seen: BTreeSet<_> = record.observations.iter().map(|seen| seen.path.to_text()).collect();
    let lost: Vec<_> =
        (0..FILES).map(|number| format!("/t/many/{number}")).filter(|path| !seen.contains(path)).collect();
    assert!(lost.is_empty(), "{} lost: {lost:?}", lost.len());
}
