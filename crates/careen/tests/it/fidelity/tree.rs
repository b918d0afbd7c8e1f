//! A directory with every kind of entry and metadata, and layers of such, made by GNU tar in its dialects.

use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};

/// The dialects of tar that the layers are in, with GNU tar's options for them.
const DIALECTS: [(&str, &[&str]); 4] = [
    ("gnu", &["--format=gnu"]),
    ("posix00", &["--format=posix", "--sparse-version=0.0"]),
    ("posix01", &["--format=posix", "--sparse-version=0.1"]),
    ("posix10", &["--format=posix", "--sparse-version=1.0"]),
];

/// Makes a layer in each dialect; each has something to remove, and all but the first change what lies beneath.
pub(super) fn layers(work: &Path) -> Vec<PathBuf> {
    DIALECTS
        .iter()
        .enumerate()
        .map(|(nth, (name, options))| {
            let root = work.join(name);
            kinds(&root.join(format!("kept-{name}")));
            kinds(&root.join(format!("drop-{name}")));
            fs::write(root.join(format!("drop-{name}/target")), "linked from above").unwrap();
            overrides(&root.join("over"), nth);
            let tar = work.join(format!("{name}.tar"));
            let mut command = Command::new("tar");
            command.args(["--create", "--sparse"]);
            if *name != "gnu" {
                // Only POSIX tars have a place for these.
                command.args(["--acls", "--selinux", "--xattrs", "--xattrs-include=*"]);
            }
            command.args(["--sort=name", "--numeric-owner"]).args(*options);
            command.arg("--file").arg(&tar).arg("--directory").arg(&root);
            command.arg(format!("kept-{name}")).arg(format!("drop-{name}")).arg("over");
            let output = command.env("LC_ALL", "C").output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            tar
        })
        .collect()
}

/// What each layer does to the others' files.
fn overrides(dir: &Path, layer: usize) {
    fs::create_dir_all(dir).unwrap();
    let write = |name: &str, text: &str| fs::write(dir.join(name), text).unwrap();
    let mkdir = |name: &str| fs::create_dir(dir.join(name)).unwrap();
    match layer {
        0 => {
            for name in ["file", "to-directory", "to-link", "gone", "mode"] {
                write(name, "of the first layer");
            }
            for name in ["to-file", "opaque", "gone-directory"] {
                mkdir(name);
                write(&format!("{name}/inside"), "of the first layer");
            }
        }
        1 => {
            write("file", "of the second layer");
            mkdir("to-directory");
            write("to-directory/inside", "of the second layer");
            symlink("file", dir.join("to-link")).unwrap();
            write("mode", "of the first layer");
            chmod(&dir.join("mode"), 0o4711);
        }
        2 => {
            write(".wh.gone", "");
            write(".wh.gone-directory", "");
            mkdir("opaque");
            write("opaque/.wh..wh..opq", "");
            write("opaque/new", "of the third layer");
            write(".wh.to-file", "");
            write("to-file", "of the third layer");
        }
        _ => write("gone", "again"),
    }
    set_mtime(dir, 1_000_000_000 + i64::try_from(layer).unwrap(), 0);
}

/// One of each kind.
fn kinds(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    let at = |name: &str| dir.join(name);
    let file = |name: &str| {
        fs::write(at(name), format!("content of {name}")).unwrap();
        at(name)
    };
    for (name, mode) in
        [("setuid", 0o4755), ("setgid", 0o2755), ("both", 0o6711), ("none", 0o000), ("empty", 0o640)]
    {
        fs::write(at(name), if name == "empty" { "" } else { name }).unwrap();
        chmod(&at(name), mode);
    }
    for (name, mode, owner) in [
        ("sticky", 0o1777, 0),
        ("setgid-directory", 0o2775, 50),
        ("private", 0o700, 1000),
        ("empty-directory", 0o711, 0),
    ] {
        fs::create_dir(at(name)).unwrap();
        chown(&at(name), owner, owner + 1);
        chmod(&at(name), mode);
    }
    fs::write(at("private/inside"), "x").unwrap();
    chown(&at("private/inside"), 1000, 1000);

    let xattr = |path: &Path, name: &str, value: &[u8]| {
        rustix::fs::lsetxattr(path, name, value, XattrFlags::empty())
            .unwrap_or_else(|error| panic!("{name} of {}: {error}", path.display()));
    };
    xattr(&file("capability-2"), "security.capability", b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    xattr(
        &file("capability-3"),
        "security.capability",
        b"\x01\0\0\x03\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\x27\0\0",
    );
    xattr(&file("user"), "user.comment", b"a=b\n\0\xff");
    xattr(&file("user-empty"), "user.empty", b"");
    xattr(&file("trusted"), "trusted.note", b"x");
    xattr(&file("ima"), "security.ima", b"\x04\x04\x01\x02\x03\x04\x05\x06\x07\x08");
    xattr(&file("selinux"), "security.selinux", b"system_u:object_r:bin_t:s0\0");
    let entry = |tag: u16, mode: u16, id: u32| {
        [&tag.to_le_bytes()[..], &mode.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    let none = u32::MAX;
    let acl = [
        2_u32.to_le_bytes().to_vec(),
        entry(1, 6, none),
        entry(2, 4, 1000),
        entry(4, 4, none),
        entry(16, 6, none),
        entry(32, 0, none),
    ]
    .concat();
    xattr(&file("acl"), "system.posix_acl_access", &acl);
    fs::create_dir(at("acl-directory")).unwrap();
    xattr(&at("acl-directory"), "system.posix_acl_default", &acl);
    xattr(&at("acl-directory"), "user.of-a-directory", b"x");

    for name in ["hard-two", "private/hard-three"] {
        if name == "hard-two" {
            file("hard-one");
        }
        fs::hard_link(at("hard-one"), at(name)).unwrap();
    }
    for (name, target) in [
        ("link-1", "link-2"),
        ("link-2", "private/../link-3"),
        ("link-3", "setuid"),
        ("absolute", "/usr/bin/env"),
        ("dangling", "no/such/file"),
        ("loop-1", "loop-2"),
        ("loop-2", "loop-1"),
        ("over-the-root", "../../../../../../etc/passwd"),
        ("itself", "itself"),
        ("to-a-directory", "private/"),
    ] {
        symlink(target, at(name)).unwrap();
    }
    symlink("t/".repeat(90) + "long", at("long-target")).unwrap();
    rustix::fs::chownat(CWD, at("link-1"), uid(1234), gid(5678), AtFlags::SYMLINK_NOFOLLOW).unwrap();

    for (name, kind, device) in [
        ("pipe", FileType::Fifo, 0),
        ("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
        ("disk", FileType::BlockDevice, rustix::fs::makedev(8, 17)),
        ("large-numbers", FileType::CharacterDevice, rustix::fs::makedev(240, 70_000)),
    ] {
        rustix::fs::mknodat(CWD, at(name), kind, Mode::RUSR | Mode::WUSR | Mode::RGRP, device).unwrap();
    }

    for (name, size, parts) in [
        (
            "sparse",
            1 << 20,
            &[(4096, "a"), (65_536, "b"), (200_000, "c"), (400_000, "d"), (900_000, "e")][..],
        ),
        ("only-a-hole", 1 << 20, &[]),
        ("more-than-8-gib", (9 << 30) + 3, &[(0, "start"), (9 << 30, "end")]),
    ] {
        let file = File::create(at(name)).unwrap();
        file.set_len(size).unwrap();
        for (offset, text) in parts {
            file.write_all_at(text.as_bytes(), *offset).unwrap();
        }
    }

    let long = "a-directory-with-a-long-name/".repeat(9);
    fs::create_dir_all(at(&long)).unwrap();
    fs::write(at(&(long.clone() + &"f".repeat(200))), "x").unwrap();
    fs::hard_link(at("hard-one"), at(&(long + "hard-four"))).unwrap();
    fs::write(dir.join(std::ffi::OsString::from_vec(b"not-\xff-utf8 and\tblank".to_vec())), "x").unwrap();
    file("not-a-whiteout.wh.");

    for (name, seconds, nanoseconds) in [
        ("before-1970", -1_234_567, 0),
        ("before-1970-and-a-bit", -2, 250_000_000),
        ("nanoseconds", 1_600_000_000, 123_456_789),
        ("far-away", 9_000_000_000, 1),
        ("at-0", 0, 0),
    ] {
        set_mtime(&file(name), seconds, nanoseconds);
    }
    for (name, owner, group) in
        [("large-owner", 3_000_000, 4_000_000), ("largest-owner", 4_294_967_294, 4_294_967_294)]
    {
        let path = file(name);
        chown(&path, owner, group);
    }
    for name in ["sticky", "private", "empty-directory", "setgid-directory"] {
        set_mtime(&at(name), 1_111_111_111, 500);
    }
    set_mtime(dir, 999_999_999, 7);
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn uid(id: u32) -> Option<rustix::fs::Uid> {
    Some(rustix::fs::Uid::from_raw(id))
}

fn gid(id: u32) -> Option<rustix::fs::Gid> {
    Some(rustix::fs::Gid::from_raw(id))
}

fn chown(path: &Path, owner: u32, group: u32) {
    rustix::fs::chownat(CWD, path, uid(owner), gid(group), AtFlags::empty()).unwrap();
}

fn set_mtime(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}
