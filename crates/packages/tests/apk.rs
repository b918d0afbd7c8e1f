//! apk's database, read from images and filtered for what is left of them. The fixture is as apk writes it; apk itself
//! is not on the machines that test this.

mod common;

use careen_packages as packages;
use common::{names, open, owned, path, paths, texts};
use packages::{Ecosystem, filter, read};
use testkit::{TarBuilder, TarEntry};

const INSTALLED: &str = "\
C:Q1Zk0WLDvDgzWq3mxUYtLBl2pOjVk=
P:alpine-baselayout-data
V:3.6.5-r0
A:x86_64
L:GPL-2.0-only
o:alpine-baselayout
F:etc
R:group
a:0:0:644
Z:Q1group=
R:passwd
a:0:0:644
Z:Q1passwd=

C:Q1busybox=
P:busybox
V:1.36.1-r29
A:x86_64
L:GPL-2.0-only
o:busybox
r:busybox-initscripts
F:bin
R:busybox
a:0:0:755
Z:Q1bin=
F:etc
R:securetty
a:0:0:600
Z:Q1tty=
F:etc/logrotate.d
R:acpid
Z:Q1log=
F:tmp
M:0:0:1777
F:var
F:var/cache

C:Q1docs=
P:busybox-doc
V:1.36.1-r29
A:x86_64
o:busybox
F:usr
F:usr/share
F:usr/share/man
F:usr/share/man/man1
R:busybox.1.gz

C:Q1ssl=
P:libssl3
V:3.3.2-r1
A:x86_64
L:Apache-2.0
o:openssl
F:usr
F:usr/lib
R:libssl.so.3
a:0:0:755
Z:Q1ssl=
R:engines-3
Z:Q1eng=

C:Q1virtual=
P:.build-deps
V:20240101.000000
A:noarch
D:gcc

";

const WORLD: &str = "busybox\nlibssl3>=3.3\n.build-deps\nnginx@edge\n!uclibc\n";
const TRIGGERS: &str = "Q1busybox= /bin /usr/bin\nQ1ssl= /usr/lib\n";

fn alpine(directory: &str) -> TarBuilder {
    let files = [
        ("etc/os-release", "ID=alpine\nVERSION_ID=3.20.3\n"),
        ("etc/group", "root:x:0:\n"),
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
        ("etc/securetty", ""),
        ("etc/logrotate.d/acpid", ""),
        ("etc/apk/world", WORLD),
        ("bin/busybox", "busybox"),
        ("usr/lib/libssl.so.3", "ssl"),
        ("usr/lib/engines-3", "engines"),
        ("usr/share/man/man1/busybox.1.gz", "man"),
    ];
    let tar =
        files.iter().fold(TarBuilder::new(), |tar, (name, content)| tar.entry(TarEntry::file(name, content)));
    let database = [("installed", INSTALLED), ("triggers", TRIGGERS), ("scripts.tar", "tar"), ("lock", "")];
    let tar = database
        .iter()
        .fold(tar, |tar, (name, content)| tar.entry(TarEntry::file(format!("{directory}/{name}"), content)));
    tar.entry(TarEntry::dir("tmp")).entry(TarEntry::symlink("bin/sh", "/bin/busybox"))
}

#[test]
fn hard_71_apk_lists_exactly_the_packages_that_still_have_files() {
    for (directory, old) in [("lib/apk/db", None), ("usr/lib/apk/db", Some("lib"))] {
        let mut tar = alpine(directory);
        if let Some(old) = old {
            tar = tar.entry(TarEntry::symlink(old, "usr/lib"));
        }
        let (_layout, image) = open(tar);
        let database = read(&image).unwrap();
        assert_eq!(database.problems, []);
        let all = [".build-deps", "alpine-baselayout-data", "busybox", "busybox-doc", "libssl3"];
        assert_eq!(names(&database), all, "{directory}");
        assert!(database.packages.iter().all(|package| package.ecosystem == Ecosystem::Apk));
        let ssl = &database.packages[4];
        assert_eq!(
            ssl.purl,
            "pkg:apk/alpine/libssl3@3.3.2-r1?arch=x86_64&distro=alpine-3.20.3&upstream=openssl"
        );
        assert_eq!((ssl.source_name.as_str(), ssl.licence.as_deref()), ("openssl", Some("Apache-2.0")));
        assert_eq!(owned(&database, "busybox"), ["/bin/busybox", "/etc/logrotate.d/acpid", "/etc/securetty"]);

        let kept =
            paths(&["/bin/busybox", "/bin/sh", "/etc/passwd", "/tmp", "/usr/share/man/man1/busybox.1.gz"]);
        let filtered = filter(&database, &image, &kept).unwrap();
        let installed = path(&format!("/{directory}/installed"));
        let mut keeps = vec![path("/etc/apk/world"), path("/etc/os-release"), installed.clone()];
        keeps.extend(old.map(path_of));
        keeps.sort();
        assert_eq!(filtered.keep.keys().cloned().collect::<Vec<_>>(), keeps);
        let text = String::from_utf8(filtered.replace[&installed].clone()).unwrap();
        let expected = "\
C:Q1Zk0WLDvDgzWq3mxUYtLBl2pOjVk=\nP:alpine-baselayout-data\nV:3.6.5-r0\nA:x86_64\nL:GPL-2.0-only\n\
o:alpine-baselayout\nF:etc\nR:passwd\na:0:0:644\nZ:Q1passwd=\n\n\
C:Q1busybox=\nP:busybox\nV:1.36.1-r29\nA:x86_64\nL:GPL-2.0-only\no:busybox\nr:busybox-initscripts\n\
F:bin\nR:busybox\na:0:0:755\nZ:Q1bin=\nF:etc\nF:tmp\nM:0:0:1777\n\n";
        assert_eq!(text, expected);
        let world = String::from_utf8(filtered.replace[&path("/etc/apk/world")].clone()).unwrap();
        assert_eq!(world, "busybox\n!uclibc\n");
    }
}

fn path_of(name: &str) -> image::ImagePath {
    path(&format!("/{name}"))
}

#[test]
fn what_the_workload_used_of_apks_own_is_cut_down_too() {
    let (_layout, image) = open(alpine("lib/apk/db"));
    let kept = paths(&["/usr/lib/libssl.so.3", "/lib/apk/db/triggers", "/lib/apk/db/scripts.tar"]);
    let filtered = filter(&read(&image).unwrap(), &image, &kept).unwrap();
    assert_eq!(filtered.replace[&path("/lib/apk/db/triggers")], b"Q1ssl= /usr/lib\n");
    assert!(!filtered.replace.contains_key(&path("/lib/apk/db/scripts.tar")));
    assert_eq!(texts(filtered.replace.keys()).len(), 3);
}

#[test]
fn a_hostile_list_is_told_and_names_nothing_outside_of_the_image() {
    let stanza =
        "P:evil\nV:1\nF:../../..\nR:etc/passwd\nF:/etc\nR:../etc/passwd\nR:passwd\n\nP:a/b\nV:1\n\n\0\u{1}\n";
    let tar = TarBuilder::new()
        .entry(TarEntry::file("etc/passwd", "root"))
        .entry(TarEntry::file("lib/apk/db/installed", stanza));
    let (_layout, image) = open(tar);
    let database = read(&image).unwrap();
    assert_eq!(owned(&database, "evil"), ["/etc/passwd"]);
    assert_eq!(database.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [9, 12]);
    // What is no package stays as it was.
    let filtered = filter(&database, &image, &paths(&["/bin"])).unwrap();
    assert_eq!(filtered.replace[&path("/lib/apk/db/installed")], b"P:a/b\nV:1\n\n\0\x01\n\n");
}
