//! Every way to use a file that we know of, each on its own object, and what the record must say of it.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod fixture;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};

use fixture::{Container, STATIC, assert_complete, compile, kinds, make, set_mode};

/// Path beneath `t`, where a link leads, and the kinds of use that must be in the record, and no others.
const OBJECTS: &[(&[u8], &str, &[&str])] = &[
    // opens
    (b"f_open", "", &["open-read"]),
    (b"f_openat", "", &["open-read"]),
    (b"f_openat2", "", &["open-read"]),
    (b"d_at/f_at", "", &["open-read"]),
    (b"d_at/l_inroot", "/f_inroot", &["readlink"]),
    (b"d_at/f_inroot", "", &["open-read"]),
    (b"f_opath", "", &["open-read"]),
    (b"f_creat", "", &["open-write"]),
    (b"f_rdwr", "", &["open-read", "open-write"]),
    (b"f_append", "", &["open-write"]),
    (b"l_c1", "l_c2", &["readlink"]),
    (b"l_c2", "/t/l_c3", &["readlink"]),
    (b"l_c3", "f_chain", &["readlink"]),
    (b"f_chain", "", &["open-read"]),
    (b"l_dir", "realdir", &["readlink"]),
    (b"realdir/f_indir", "", &["open-read"]),
    (b"dd/sub/f_unused", "", &[]),
    (b"dd/sub", "", &["stat"]),
    (b"f_dotdot", "", &["open-read"]),
    (b"l_slash", "d_slash", &["readlink"]),
    (b"d_slash", "", &["open-read"]),
    (b"l_nofollow", "f_nofollow", &["readlink"]),
    (b"f_nofollow", "", &[]),
    (b"f_hl1", "", &["open-read"]),
    (b"f_hl2", "", &["open-read"]),
    (b"f_unl", "", &["open-read", "open-write"]),
    (b"f_magic", "", &["open-read"]),
    (b"f_inherit", "", &["open-read"]),
    (b"f_new\nline", "", &["open-read"]),
    (b"f_\xff\xfe", "", &["open-read"]),
    (b"f_i386", "", &["open-read"]),
    (b"f_i386stat", "", &["stat"]),
    (b"f_thread", "", &["open-read"]),
    // lookups
    (b"f_stat", "", &["stat"]),
    (b"l_lstat", "f_nolstat", &["stat"]),
    (b"f_nolstat", "", &[]),
    (b"f_fstatat", "", &["stat"]),
    (b"f_statx", "", &["stat"]),
    (b"l_stat", "f_vialink", &["readlink"]),
    (b"f_vialink", "", &["stat"]),
    (b"f_statfs", "", &["stat"]),
    (b"f_access", "", &["access"]),
    (b"f_faccessat2", "", &["access"]),
    (b"l_readlink", "nowhere", &["readlink"]),
    (b"f_nolink", "", &["stat"]),
    (b"f_xattr", "", &["xattr"]),
    (b"f_lxattr", "", &["xattr"]),
    (b"f_notdir", "", &["stat"]),
    (b"f_noperm", "", &["exec"]),
    (b"f_inotify", "", &["watch"]),
    (b"f_fanmark", "", &["watch"]),
    (b"d_dents", "", &["open-read", "readdir"]),
    (b"d_dents/f_unused", "", &[]),
    (b"f_n2h", "", &["open-read"]),
    (b"f_opentree", "", &["open-read"]),
    (b"d_chdir", "", &["open-read", "stat"]),
    (b"d_chdir/f_rel", "", &["open-read"]),
    (b"d_chdir/f_relstat", "", &["stat"]),
    (b"d_fchdir", "", &["open-read"]),
    (b"d_fchdir/f_infchdir", "", &["access"]),
    // other roots and mounts
    (b"jail/f_chroot", "", &["open-read"]),
    (b"jail/f_jailstat", "", &["stat"]),
    (b"jail/l_jail", "/f_jailed", &["readlink"]),
    (b"jail/f_jailed", "", &["stat"]),
    (b"jail2/old/f_unused", "", &[]),
    (b"jail2/f_pivot", "", &["open-read"]),
    (b"jail2/f_pivotstat", "", &["stat"]),
    (b"bsrc/f_bind", "", &["open-read"]),
    (b"bdst/f_unused", "", &[]),
    (b"f_outof", "", &["stat"]),
    (b"d_tmp", "", &["open-read", "stat"]),
    // programs
    (b"f_exec", "", &["exec"]),
    (b"f_execveat", "", &["exec", "open-read"]),
    (b"f_fexecve", "", &["exec", "open-read"]),
    (b"l_exec", "f_vialexec", &["readlink"]),
    (b"f_vialexec", "", &["exec"]),
    (b"f_script", "", &["exec"]),
    (b"f_interp", "", &["exec"]),
    (b"f_dynamic", "", &["exec"]),
    (b"f_loader", "", &["map-exec"]),
    (b"f_static", "", &["exec"]),
    (b"f_byexec", "", &["open-read"]),
    (b"f_suid", "", &["exec"]),
    (b"f_vfork", "", &["exec"]),
    (b"f_map", "", &["map-exec", "open-read"]),
    // changes
    (b"f_trunc", "", &["open-write"]),
    (b"f_chmod", "", &["open-write"]),
    (b"f_lchown", "", &["open-write"]),
    (b"f_utime", "", &["open-read", "open-write"]),
    (b"f_rnsrc", "", &["open-write"]),
    (b"f_rndst", "", &["open-write"]),
    (b"f_linksrc", "", &["open-read"]),
    (b"d_new", "", &["open-write"]),
    (b"d_rmdir", "", &["open-write"]),
    (b"d_mkdir", "", &["open-write"]),
    (b"d_exists", "", &["stat"]),
    (b"f_viamade", "", &["stat"]),
    (b"d_mknod", "", &["open-write"]),
    (b"f_copyup", "", &["open-read", "open-write"]),
    // sockets
    (b"d_bind", "", &["open-write"]),
    (b"s_conn", "", &["connect"]),
    (b"s_dgram", "", &["connect"]),
    (b"s_msg", "", &["connect"]),
    // io_uring
    (b"f_uringopen", "", &["open-read"]),
    (b"f_uringasync", "", &["open-read"]),
    (b"f_sqpoll", "", &["open-read"]),
    (b"f_uringstat", "", &["stat"]),
    (b"f_uringunlink", "", &["open-write"]),
    // what is not there
    (b"f_noent", "", &["missing 2"]),
    (b"f_noopen", "", &["missing 2"]),
    (b"f_noexec", "", &["missing 2"]),
    (b"d_missing", "", &["missing 2"]),
];

const NOT_THERE: &[&[u8]] = &[b"f_noent", b"f_noopen", b"f_noexec", b"d_missing"];
const PROGRAMS: &[&str] =
    &["f_exec", "f_execveat", "f_fexecve", "f_vialexec", "f_interp", "f_static", "f_suid", "f_vfork"];

fn fill(lower: &Path) {
    let t = lower.join("t");
    for (name, target, _) in OBJECTS.iter().filter(|(name, ..)| !NOT_THERE.contains(name)) {
        if name.starts_with(b"s_") {
            let path = t.join(std::str::from_utf8(name).unwrap());
            // A socket that nobody listens on any more: connecting is refused, but it is found.
            if *name == b"s_conn" {
                drop(UnixListener::bind(path).unwrap());
            } else {
                drop(UnixDatagram::bind(path).unwrap());
            }
        } else if *name == b"f_hl2" {
            fs::hard_link(t.join("f_hl1"), t.join("f_hl2")).unwrap();
        } else if *name != b"dd/sub" {
            make(&t, name, target);
        }
    }
    compile("torture.c", &t.join("torture"), STATIC);
    for name in PROGRAMS {
        fs::copy(t.join("torture"), t.join(name)).unwrap();
    }
    set_mode(&t.join("f_suid"), 0o4755);
    fs::write(t.join("f_script"), "#!/t/f_interp quit\n").unwrap();
    set_mode(&t.join("f_script"), 0o755);
    set_mode(&t.join("f_noperm"), 0o644);
    compile("nothing.c", &t.join("f_dynamic"), &["-nostdlib", "-pie", "-Wl,--dynamic-linker=/t/f_loader"]);
    fs::copy("/lib64/ld-linux-x86-64.so.2", t.join("f_loader")).unwrap();
}

#[test]
fn every_way_to_use_a_file_is_recorded_as_what_it_is() {
    if !cfg!(target_arch = "x86_64") {
        eprintln!("SKIP: the torture program speaks i386 too");
        assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here");
        return;
    }
    let Some(container) = Container::new(fill) else { return };
    let recording = container.record();
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
    assert!(OBJECTS.len() >= 64);
    let mut wrong = Vec::new();
    for (name, _, expected) in OBJECTS {
        let kinds: BTreeSet<_> = kinds(&record, &[b"t/", *name].concat()).into_iter().collect();
        if !kinds.iter().eq(expected.iter().copied().collect::<BTreeSet<_>>()) {
            wrong.push(format!("{}: {kinds:?}, not {expected:?}", name.escape_ascii()));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), OBJECTS.len(), wrong.join("\n"));
    for made in ["t/d_new/made", "t/d_mkdir/made", "t/made_link", "t/d_bind/socket"] {
        assert!(kinds(&record, made.as_bytes()).is_empty(), "{made} is not of the image");
    }
    let exe =
        |path: &str| record.observations.iter().find(|o| o.path == fixture::path(path.as_bytes())).unwrap();
    assert_eq!(exe("t/f_byexec").process.exe, "/t/f_static");
    assert_eq!(exe("t/f_byexec").process.argv0, "x");
    assert_eq!(exe("t/f_open").process.exe, "/t/torture");
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
