//! What the torture program finds beneath `/t`.
#![allow(unreachable_pub, reason = "each test program uses its part")]

use std::fs;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

use crate::fixture::{STATIC, compile, make, set_mode};
use crate::objects;

const NOT_THERE: &[&[u8]] = &[b"f_noent", b"f_noopen", b"f_noexec", b"d_missing", b"d_there/f_behind"];
const PROGRAMS: &[&str] = &[
    "f_exec",
    "f_execveat",
    "f_fexecve",
    "f_vialexec",
    "f_interp",
    "f_static",
    "f_suid",
    "f_vfork",
    "f_relexec",
    "f_threadexec",
    "f_memsrc",
    "f_spawn",
];

pub fn fill(lower: &Path) {
    let t = lower.join("t");
    for (name, target) in
        objects::objects().map(|o| (o.path, o.target)).filter(|(path, _)| !NOT_THERE.contains(path))
    {
        if name.starts_with(b"s_") {
            let path = t.join(std::str::from_utf8(name).unwrap());
            // A socket that nobody listens on any more: connecting is refused, but it is found.
            if name == b"s_conn" {
                drop(UnixListener::bind(path).unwrap());
            } else {
                drop(UnixDatagram::bind(path).unwrap());
            }
        } else if name == b"f_hl2" {
            fs::hard_link(t.join("f_hl1"), t.join("f_hl2")).unwrap();
        } else if name != b"dd/sub" {
            make(&t, name, target);
        }
    }
    compile("torture.c", &t.join("torture"), STATIC);
    for name in PROGRAMS {
        fs::copy(t.join("torture"), t.join(name)).unwrap();
    }
    set_mode(&t.join("f_suid"), 0o4755);
    for (script, interpreter) in
        [("f_script", "/t/f_interp quit"), ("f_mid", "/t/f_interp quit"), ("f_script2", "/t/f_mid")]
    {
        fs::write(t.join(script), format!("#!{interpreter}\n")).unwrap();
        set_mode(&t.join(script), 0o755);
    }
    set_mode(&t.join("f_denied"), 0o600);
    set_mode(&t.join("f_noperm"), 0o644);
    compile("nothing.c", &t.join("f_dynamic"), &["-nostdlib", "-pie", "-Wl,--dynamic-linker=/t/f_loader"]);
    fs::copy("/lib64/ld-linux-x86-64.so.2", t.join("f_loader")).unwrap();
    compile(
        "nothing32.c",
        &t.join("f_dynamic32"),
        &["-m32", "-nostdlib", "-pie", "-Wl,--dynamic-linker=/t/f_loader32"],
    );
    fs::copy(t.join("f_dynamic32"), t.join("f_loader32")).unwrap();
}
