//! dpkg's database, read from images and filtered for what is left of them.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use careen_packages as packages;
use image::{Image, ImagePath, NodeKind, OpenOptions};
use packages::{
    FileList, FilteredDatabase, InstallState, Limits, PackageDatabase, Presence, ReadPackagesError, filter,
    licences, read, read_within,
};
use proptest::prelude::*;
use testkit::{ImageBuilder, Layout, TarBuilder, TarEntry};

/// An image of one layer with these files; a name that ends with a slash is a directory, content that begins with
/// `->` a link.
fn image(files: &[(&str, &str)]) -> (Layout, Image) {
    let entry = |(name, content): &(&str, &str)| match content.strip_prefix("->") {
        Some(target) => TarEntry::symlink(name, target),
        None if name.ends_with('/') => TarEntry::dir(name),
        None => TarEntry::file(name, content),
    };
    let tar = files.iter().map(entry).fold(TarBuilder::new(), TarBuilder::entry);
    let layout = ImageBuilder::new().layer(tar).oci_layout();
    let image = Image::open(&layout.source().parse().unwrap(), &OpenOptions::new()).unwrap();
    (layout, image)
}

fn path(text: &str) -> ImagePath {
    ImagePath::from_text(text).unwrap()
}

fn paths(texts: &[&str]) -> BTreeSet<ImagePath> {
    texts.iter().map(|text| path(text)).collect()
}

fn texts<'a>(paths: impl IntoIterator<Item = &'a ImagePath>) -> Vec<String> {
    paths.into_iter().map(ImagePath::to_text).collect()
}

const OS_RELEASE: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n";
const SUM: &str = "0123456789abcdef0123456789abcdef";

const STATUS: &str = "\
Package: base-files
Essential: yes
Status: install ok installed
Maintainer: Some One <some@one.example>
Architecture: amd64
Version: 12.4+deb12u8
Conffiles:
 /etc/debian_version 0123456789abcdef0123456789abcdef
 /etc/issue 0123456789abcdef0123456789abcdef
Description: Debian base system miscellaneous files

Package: bash
Status: install ok installed
Maintainer: Some One <some@one.example>
Architecture: amd64
Version: 5.2.15-2+b7
Source: bash (5.2.15-2)
Description: GNU Bourne Again SHell
 Bash is an sh-compatible command language interpreter.

Package: dash
Status: install ok installed
Maintainer: Some One <some@one.example>
Architecture: amd64
Version: 0.5.12-2
Description: POSIX-compliant shell

Package: everything
Status: install ok installed
Maintainer: Some One <some@one.example>
Architecture: all
Version: 1
Description: meta package

Package: libc6
Status: install ok installed
Multi-Arch: same
Maintainer: Some One <some@one.example>
Architecture: amd64
Version: 2.36-9+deb12u8
Source: glibc
Description: GNU C Library

Package: old
Status: deinstall ok config-files
Maintainer: Some One <some@one.example>
Architecture: amd64
Version: 3
Conffiles:
 /etc/old.conf 0123456789abcdef0123456789abcdef
Description: an old tool

Package: tool
Status: install ok installed
Maintainer: Some One <some@one.example>
Architecture: amd64
Version: 1.0
Conffiles:
 /etc/tool.conf 0123456789abcdef0123456789abcdef
Description: a tool

";

/// A little Debian with merged directories, a diversion, an alternative, shared documents and a removed package.
fn debian() -> (Layout, Image) {
    let sums = format!("{SUM}  lib/x86_64-linux-gnu/libc.so.6\n{SUM}  usr/share/doc/libc6/copyright\n");
    image(&[
        ("bin", "->usr/bin"),
        ("lib", "->usr/lib"),
        ("etc/", ""),
        ("etc/debian_version", "12.8\n"),
        ("etc/issue", "Debian\n"),
        ("etc/old.conf", "old\n"),
        ("etc/os-release", "->../usr/lib/os-release"),
        ("etc/tool.conf", "tool\n"),
        ("etc/alternatives/pager", "->/usr/bin/tool"),
        ("usr/bin/bash", "bash"),
        ("usr/bin/dash", "dash"),
        ("usr/bin/local", "no package's"),
        ("usr/bin/pager", "->/etc/alternatives/pager"),
        ("usr/bin/rbash", "->bash"),
        ("usr/bin/sh", "->dash"),
        ("usr/bin/sh.distrib", "->bash"),
        ("usr/bin/tool", "tool"),
        ("usr/lib/os-release", OS_RELEASE),
        ("usr/lib/x86_64-linux-gnu/libc.so.6", "libc"),
        ("usr/share/common-licenses/GPL", "->GPL-3"),
        ("usr/share/common-licenses/GPL-2", "the GPL 2"),
        ("usr/share/common-licenses/GPL-3", "the GPL 3"),
        ("usr/share/doc/base-files/copyright", "mine"),
        ("usr/share/doc/bash/copyright", "see /usr/share/common-licenses/GPL."),
        ("usr/share/doc/bash/README", "read me"),
        ("usr/share/doc/dash", "->bash"),
        ("usr/share/doc/everything/copyright", "see /usr/share/common-licenses/GPL-2"),
        ("usr/share/doc/libc6/copyright", "see /usr/share/common-licenses/Nothing"),
        ("usr/share/doc/tool/copyright", "see /usr/share/common-licenses/GPL-2"),
        ("var/lib/dpkg/alternatives/pager", "auto\n/usr/bin/pager\n\n/usr/bin/tool\n10\n\n"),
        ("var/lib/dpkg/arch", "amd64\n"),
        ("var/lib/dpkg/diversions", "/bin/sh\n/bin/sh.distrib\ndash\n"),
        ("var/lib/dpkg/status", STATUS),
        ("var/lib/dpkg/status-old", STATUS),
        (
            "var/lib/dpkg/info/base-files.list",
            "/.\n/bin\n/etc\n/etc/debian_version\n/etc/issue\n/etc/os-release\n/lib\n/usr\n/usr/lib/os-release\n\
             /usr/share/common-licenses/GPL-3\n/usr/share/doc/base-files/copyright\n/var/lib/dpkg\n",
        ),
        (
            "var/lib/dpkg/info/bash.list",
            "/.\n/bin\n/bin/bash\n/bin/rbash\n/bin/sh\n/usr\n/usr/share\n/usr/share/doc\n/usr/share/doc/bash\n\
             /usr/share/doc/bash/README\n/usr/share/doc/bash/copyright\n/usr/share/man/man1/bash.1.gz\n",
        ),
        ("var/lib/dpkg/info/bash.postinst", "#!/bin/sh\n"),
        ("var/lib/dpkg/info/dash.list", "/.\n/bin\n/bin/dash\n/bin/sh\n/usr/share/doc/dash\n"),
        (
            "var/lib/dpkg/info/everything.list",
            "/.\n/usr/share/doc/everything\n/usr/share/doc/everything/copyright\n",
        ),
        ("var/lib/dpkg/info/format", "1\n"),
        (
            "var/lib/dpkg/info/libc6:amd64.list",
            "/.\n/lib\n/lib/x86_64-linux-gnu\n/lib/x86_64-linux-gnu/libc.so.6\n/usr/share/doc/libc6/copyright\n",
        ),
        ("var/lib/dpkg/info/libc6:amd64.md5sums", &sums),
        ("var/lib/dpkg/info/old.list", "/etc/old.conf\n"),
        ("var/lib/dpkg/info/tool.list", "/.\n/etc/tool.conf\n/usr/bin/tool\n/usr/share/doc/tool/copyright\n"),
    ])
}

fn owned(database: &PackageDatabase, name: &str) -> Vec<String> {
    texts(&database.packages.iter().find(|package| package.name == name).unwrap().files)
}

fn replaced(filtered: &FilteredDatabase, file: &str) -> String {
    String::from_utf8(filtered.replace[&path(file)].clone()).unwrap()
}

#[test]
fn hard_77_owned_paths_are_those_of_the_tree() {
    let (_layout, image) = debian();
    let database = read(&image).unwrap();
    assert_eq!(database.problems, []);
    let bash = ["/usr/bin/bash", "/usr/bin/rbash", "/usr/bin/sh.distrib"];
    assert_eq!(owned(&database, "bash")[..3], bash);
    assert_eq!(owned(&database, "dash"), ["/usr/bin/dash", "/usr/bin/sh", "/usr/share/doc/dash"]);
    // It lists /lib, a link in the tree that stands where the package has a directory.
    assert_eq!(
        owned(&database, "libc6"),
        ["/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/share/doc/libc6/copyright"]
    );
    let names = |text: &str| {
        let owners = database.owners(&path(text));
        owners.iter().map(|index| database.package(*index).unwrap().name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(names("/usr/bin/sh"), ["dash"]);
    assert_eq!(names("/usr/bin/local"), [""; 0]);
    assert_eq!(names("/usr/lib"), [""; 0]);
    assert_eq!(texts(database.alternatives.keys()), ["/etc/alternatives/pager", "/usr/bin/pager"]);
    let states: Vec<_> =
        database.packages.iter().filter(|package| !package.state.is_installed()).map(|p| p.state).collect();
    assert_eq!(states, [InstallState::ConfigFiles]);
}

#[test]
fn hard_74_purls_carry_the_source() {
    let (_layout, image) = debian();
    let purls: Vec<_> = read(&image).unwrap().packages.into_iter().map(|package| package.purl).collect();
    insta::assert_snapshot!(purls.join("\n"));
}

#[test]
fn hard_71_the_database_lists_exactly_the_packages_that_still_have_files() {
    let (_layout, image) = debian();
    let database = read(&image).unwrap();
    let kept =
        paths(&["/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/bin/sh", "/usr/bin/dash", "/etc/tool.conf"]);
    let kept = &kept | &licences(&database, &image, &kept).unwrap();
    let filtered = filter(&database, &image, &kept).unwrap();
    insta::assert_snapshot!("status", replaced(&filtered, "/var/lib/dpkg/status"));
    let lines: Vec<_> = filtered.keep.iter().map(|(path, reason)| format!("{path}  {reason}")).collect();
    insta::assert_snapshot!("kept", lines.join("\n"));
    let others: Vec<_> = filtered
        .replace
        .iter()
        .filter(|(path, _)| path.name() != b"status")
        .map(|(path, content)| format!("{path}\n{}", String::from_utf8_lossy(content)))
        .collect();
    insta::assert_snapshot!("lists", others.join("\n"));
}

#[test]
fn what_is_complete_is_left_as_it_was() {
    let (_layout, image) = image(&[
        ("usr/bin/a", "a"),
        ("var/lib/dpkg/status", "Package: a\nVersion: 1\nArchitecture: all\n"),
        ("var/lib/dpkg/info/a.list", "/.\n/usr\n/usr/bin\n/usr/bin/a\n"),
    ]);
    let filtered = filter(&read(&image).unwrap(), &image, &paths(&["/usr/bin/a"])).unwrap();
    assert_eq!(filtered.replace, BTreeMap::new());
    assert_eq!(texts(filtered.keep.keys()), ["/var/lib/dpkg/info/a.list", "/var/lib/dpkg/status"]);
}

#[test]
fn hard_73_a_package_is_full_partial_or_gone() {
    let (_layout, image) = debian();
    let database = read(&image).unwrap();
    let presence = |name: &str, kept: &[&str]| {
        let kept = paths(kept);
        let all = database.presence(&|path| kept.contains(path));
        let at = database.packages.iter().position(|package| package.name == name).unwrap();
        all[at].clone()
    };
    let partial = Presence::Partial {
        kept: paths(&["/usr/bin/bash"]),
        removed: paths(&["/usr/bin/rbash", "/usr/bin/sh.distrib"]),
    };
    for (name, kept, expected) in [
        ("bash", &["/usr/bin/bash", "/usr/bin/rbash", "/usr/bin/sh.distrib"][..], Presence::Full),
        ("bash", &["/usr/bin/bash", "/usr/bin/sh"], partial),
        ("bash", &["/usr/share/doc/bash/copyright", "/usr/share/doc/bash/README"], Presence::Gone),
        ("everything", &["/usr/share/doc/everything/copyright"], Presence::Gone),
        ("libc6", &["/lib", "/usr/lib"], Presence::Gone),
        ("old", &["/etc/old.conf"], Presence::Full),
    ] {
        assert_eq!(presence(name, kept), expected, "{name} {kept:?}");
    }
}

#[test]
fn licences_stay_for_packages_that_stay() {
    let (_layout, image) = debian();
    let database = read(&image).unwrap();
    // base-files is always there, since scanners know the distribution by its files.
    let base = "/usr/share/doc/base-files/copyright";
    for (kept, expected) in [
        (&[][..], &[base][..]),
        // Through the link of its directory to bash's, and from there through the link GPL.
        (
            &["/usr/bin/dash"],
            &[
                "/usr/share/common-licenses/GPL",
                "/usr/share/common-licenses/GPL-3",
                base,
                "/usr/share/doc/bash/copyright",
                "/usr/share/doc/dash",
            ],
        ),
        (&["/usr/share/doc/bash/README"], &[base]),
        (&["/etc/tool.conf"], &["/usr/share/common-licenses/GPL-2", base, "/usr/share/doc/tool/copyright"]),
    ] {
        assert_eq!(texts(&licences(&database, &image, &paths(kept)).unwrap()), expected, "{kept:?}");
    }
}

#[test]
fn hard_71_distroless_images_have_one_file_for_each_package() {
    let sums = format!("{SUM}  usr/lib/libssl.so.3\n{SUM}  usr/lib/libcrypto.so.3\nbroken\n");
    let (_layout, image) = image(&[
        ("etc/os-release", "ID=debian\nVERSION_ID=12\n"),
        ("usr/lib/libssl.so.3", "ssl"),
        ("usr/lib/libcrypto.so.3", "crypto"),
        ("usr/share/zoneinfo/UTC", "utc"),
        (
            "var/lib/dpkg/status.d/libssl3",
            "Package: libssl3\nVersion: 3.0.15-1\nSource: openssl\nArchitecture: amd64",
        ),
        ("var/lib/dpkg/status.d/libssl3.md5sums", &sums),
        ("var/lib/dpkg/status.d/netbase", "Package: netbase\nVersion: 6.4\nArchitecture: all\n"),
        ("var/lib/dpkg/status.d/tzdata", "Package: tzdata\nVersion: 2024a\nArchitecture: all\n"),
        ("var/lib/dpkg/status.d/tzdata.md5sums", &format!("{SUM}  usr/share/zoneinfo/UTC\n")),
    ]);
    let database = read(&image).unwrap();
    let lists: Vec<_> = database.packages.iter().map(|p| (p.name.as_str(), p.file_list)).collect();
    let expected =
        [("libssl3", FileList::Checksums), ("netbase", FileList::Absent), ("tzdata", FileList::Checksums)];
    assert_eq!(lists, expected);
    assert_eq!(database.problems.len(), 1);
    let kept = paths(&["/usr/lib/libssl.so.3"]);
    let presence = database.presence(&|path| kept.contains(path));
    // Nothing says what netbase owns, so nobody may say that it is gone.
    assert_eq!(presence[1..], [Presence::Unlisted, Presence::Gone]);
    let filtered = filter(&database, &image, &kept).unwrap();
    let stays = [
        "/etc/os-release",
        "/var/lib/dpkg/status.d/libssl3",
        "/var/lib/dpkg/status.d/libssl3.md5sums",
        "/var/lib/dpkg/status.d/netbase",
    ];
    assert_eq!(texts(filtered.keep.keys()), stays);
    let list = "/var/lib/dpkg/status.d/libssl3.md5sums";
    assert_eq!(texts(filtered.replace.keys()), [list]);
    assert_eq!(replaced(&filtered, list), format!("{SUM}  usr/lib/libssl.so.3\n"));
    // The stanza of a package that is gone is emptied where the workload needs the file itself.
    let kept = &kept | &paths(&["/var/lib/dpkg/status.d/tzdata"]);
    let filtered = filter(&database, &image, &kept).unwrap();
    assert_eq!(replaced(&filtered, "/var/lib/dpkg/status.d/tzdata"), "");
}

#[test]
fn an_image_without_a_database_has_no_packages() {
    let (_layout, image) = image(&[("app", "app"), ("etc/alpine-release", "3.20")]);
    let database = read(&image).unwrap();
    assert_eq!(database, PackageDatabase::default());
    let filtered = filter(&database, &image, &paths(&["/app"])).unwrap();
    assert_eq!(texts(filtered.keep.keys()), ["/etc/alpine-release"]);
}

#[test]
fn what_is_no_package_stays_since_nobody_can_tell_what_it_was() {
    let status = "Package: ../x\nVersion: 1\n\nPackage: gone\nVersion: 1\n\n\0\u{1}\n";
    let (_layout, image) =
        image(&[("var/lib/dpkg/status", status), ("var/lib/dpkg/info/gone.list", "/.\n/usr/bin/gone\n")]);
    let database = read(&image).unwrap();
    assert_eq!((database.packages.len(), database.problems.len()), (1, 3));
    let left = replaced(&filter(&database, &image, &BTreeSet::new()).unwrap(), "/var/lib/dpkg/status");
    assert_eq!(left, "Package: ../x\nVersion: 1\n\n\0\u{1}\n\n");
}

#[test]
fn an_emptied_list_does_not_make_a_package_vanish() {
    let (_layout, image) = image(&[
        ("usr/bin/a", "a"),
        ("usr/bin/b", "b"),
        ("var/lib/dpkg/status", "Package: a\nVersion: 1\n\nPackage: b\nVersion: 1\n"),
        ("var/lib/dpkg/info/a.list", ""),
        ("var/lib/dpkg/info/b.list", ""),
        ("var/lib/dpkg/info/b.md5sums", &format!("{SUM}  usr/bin/b\n")),
    ]);
    let presence = read(&image).unwrap().presence(&|_| true);
    assert_eq!(presence, [Presence::Unlisted, Presence::Full]);
}

#[test]
fn databases_are_read_up_to_their_limits_and_no_further() {
    let (_layout, image) = debian();
    let all = Limits::default();
    let size = u64::try_from(STATUS.len()).unwrap();
    for (limits, fits) in [
        (Limits { status_bytes: size, ..all }, true),
        (Limits { status_bytes: size - 1, ..all }, false),
        (Limits { packages: 7, ..all }, true),
        (Limits { packages: 6, ..all }, false),
        (Limits { files: 42, ..all }, true),
        (Limits { files: 41, ..all }, false),
        (Limits { list_bytes: 10, ..all }, false),
    ] {
        let read = read_within(&image, &limits);
        assert_eq!(read.is_ok(), fits, "{limits:?}: {:?}", read.err());
        if let Err(error) = read_within(&image, &limits) {
            assert!(error.hint().is_some(), "{error}");
        }
    }
    let error = read_within(&image, &Limits { packages: 6, ..all }).unwrap_err();
    assert!(matches!(error, ReadPackagesError::Packages { limit: 6 }));
}

#[test]
fn links_of_hostile_images_are_followed_within_the_image() {
    let (_layout, image) = image(&[
        ("var/lib/dpkg", "->../../../../opt/dpkg"),
        ("opt/dpkg/status", "->../loop"),
        ("opt/loop", "->loop"),
        ("opt/dpkg/status.d/a", "Package: a\nVersion: 1\n"),
        (
            "opt/dpkg/status.d/a.md5sums",
            &format!("{SUM}  ../../etc/passwd\n{SUM}  loop/x\n{SUM}  opt/loop\n"),
        ),
        ("etc/os-release", "->/opt/loop"),
    ]);
    let database = read(&image).unwrap();
    assert_eq!(owned(&database, "a"), ["/opt/loop"]);
    assert_eq!(database.os_release, None);
}

#[test]
fn dpkg_itself_reads_the_filtered_database() {
    if Command::new("dpkg").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "no dpkg");
        eprintln!("skipped: no dpkg");
        return;
    }
    let (_layout, image) = debian();
    let database = read(&image).unwrap();
    let kept = paths(&[
        "/lib",
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
        "/usr/bin/sh",
        "/usr/bin/sh.distrib",
        "/etc/old.conf",
    ]);
    let filtered = filter(&database, &image, &kept).unwrap();
    let root = tempfile::tempdir().unwrap();
    for file in filtered.keep.keys() {
        let NodeKind::File { size_bytes, .. } = image.tree().get(file).unwrap().kind else { continue };
        let content = match filtered.replace.get(file) {
            Some(content) => content.clone(),
            None => image.read_file(file, size_bytes).unwrap(),
        };
        let place = root.path().join(std::str::from_utf8(file.as_bytes()).unwrap());
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, content).unwrap();
    }
    let admin = root.path().join("var/lib/dpkg");
    let format =
        "${Package} ${Version} ${Architecture} ${source:Package} ${source:Version} ${db:Status-Status}\n";
    insta::assert_snapshot!("dpkg-query", dpkg(&admin, "dpkg-query", &["-W", "-f", format]));
    let found = dpkg(&admin, "dpkg-query", &["-S", "/bin/sh"]);
    assert!(
        found.starts_with("diversion by dash from: /bin/sh\ndiversion by dash to: /bin/sh.distrib\n"),
        "{found}"
    );
    assert_eq!(
        dpkg(&admin, "dpkg-query", &["-L", "libc6"]),
        "/.\n/lib\n/lib/x86_64-linux-gnu\n/lib/x86_64-linux-gnu/libc.so.6\n"
    );
    // The fixture gives most packages no md5sums; dpkg has nothing else to complain of.
    let audit = dpkg(&admin, "dpkg", &["--audit"]);
    assert!(audit.starts_with("The following packages are missing the md5sums control file"), "{audit}");
    assert_eq!(audit.matches("following packages").count(), 1, "{audit}");
}

/// Runs a command of dpkg on a database; it must succeed and complain of nothing.
fn dpkg(admin: &Path, command: &str, args: &[&str]) -> String {
    let output =
        Command::new(command).arg("--admindir").arg(admin).args(args).env("LC_ALL", "C").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{command} {args:?}");
    assert!(output.status.success(), "{command} {args:?}");
    String::from_utf8(output.stdout).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn hard_72_whatever_is_kept_the_status_lists_what_is_present(choice in proptest::collection::vec(any::<bool>(), 64)) {
        let (_layout, image) = debian();
        let database = read(&image).unwrap();
        let files = image.tree().iter().filter(|(_, node)| node.kind != NodeKind::Directory);
        let kept: BTreeSet<_> =
            files.zip(choice.iter().cycle()).filter(|(_, keep)| **keep).map(|((path, _), _)| path.clone()).collect();
        let filtered = filter(&database, &image, &kept).unwrap();
        let stays: BTreeSet<_> = kept.iter().chain(filtered.keep.keys()).cloned().collect();
        let present = database.presence(&|path| stays.contains(path));
        let expected: Vec<_> = database
            .packages
            .iter()
            .zip(present)
            .filter(|(_, presence)| presence.is_present())
            .map(|(package, _)| package.name.clone())
            .collect();
        let status = path("/var/lib/dpkg/status");
        let status = filtered.replace.get(&status).map_or(STATUS.as_bytes(), Vec::as_slice);
        let listed: Vec<_> =
            packages::dpkg::parse_status(status).entries.into_iter().map(|entry| entry.name).collect();
        prop_assert_eq!(listed, expected);
        prop_assert!(filtered.replace.keys().all(|path| stays.contains(path)));
    }
}

#[test]
fn hard_77_settings_of_dpkg_name_what_is_left() {
    let stanza = |name: &str| {
        format!("Package: {name}\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n")
    };
    let status = ["editor", "gone", "mailer"].map(stanza).concat();
    let alternative = "auto\n/usr/bin/editor\neditor.1.gz\n/usr/share/man/man1/editor.1.gz\n\n\
        /usr/bin/nano\n40\n/man/nano.1.gz\n/usr/bin/vim\n50\n/man/vim.1.gz\n\n";
    let (_layout, image) = image(&[
        ("etc/alternatives/editor", "->/usr/bin/vim"),
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\nmail:x:8:8::/:/bin/false\n"),
        ("etc/group", "root:x:0:\n"),
        ("usr/bin/editor", "->/etc/alternatives/editor"),
        ("usr/bin/vim", "vim"),
        ("usr/bin/nano", "nano"),
        ("usr/bin/mailer", "mailer"),
        ("usr/bin/mailer.real", "mailer"),
        ("usr/bin/gone", "gone"),
        ("usr/bin/gone.real", "gone"),
        ("var/lib/dpkg/status", &status),
        ("var/lib/dpkg/available", &status),
        ("var/lib/dpkg/status-old", &status),
        ("var/lib/dpkg/info/editor.list", "/usr/bin/vim\n/usr/bin/nano\n"),
        ("var/lib/dpkg/info/editor.conffiles", "/etc/vimrc\n/usr/bin/vim\n"),
        ("var/lib/dpkg/info/gone.list", "/usr/bin/gone\n"),
        ("var/lib/dpkg/info/mailer.list", "/usr/bin/mailer\n"),
        ("var/lib/dpkg/alternatives/editor", alternative),
        (
            "var/lib/dpkg/diversions",
            "/usr/bin/mailer\n/usr/bin/mailer.real\n:\n/usr/bin/gone\n/usr/bin/gone.real\n:\n",
        ),
        (
            "var/lib/dpkg/statoverride",
            "mail root 2755 /usr/bin/mailer.real\nmail #0 755 /usr/bin/gone\nmail mail 755 /usr/bin/vim\n",
        ),
        ("var/lib/dpkg/triggers/File", "/usr/share/man gone\n/usr/bin editor/noawait\n"),
        ("var/lib/dpkg/triggers/Unincorp", "/usr/bin editor gone\n"),
    ]);
    let database = read(&image).unwrap();
    let ours = ["alternatives/editor", "diversions", "status", "statoverride"];
    let used =
        paths(&["/usr/bin/vim", "/usr/bin/editor", "/etc/alternatives/editor", "/usr/bin/mailer.real"]);
    let used = &used | &paths(&["/etc/passwd", "/etc/group"]);
    let filtered = filter(&database, &image, &used).unwrap();
    let mut kept: Vec<_> = ours.iter().map(|name| format!("/var/lib/dpkg/{name}")).collect();
    kept.extend(["editor", "mailer"].map(|name| format!("/var/lib/dpkg/info/{name}.list")));
    kept.sort();
    assert_eq!(texts(filtered.keep.keys()), kept);
    let left = |file: &str| replaced(&filtered, &format!("/var/lib/dpkg/{file}"));
    assert_eq!(left("alternatives/editor"), "auto\n/usr/bin/editor\n\n/usr/bin/vim\n50\n\n");
    assert_eq!(left("diversions"), "/usr/bin/mailer\n/usr/bin/mailer.real\n:\n");
    assert_eq!(left("statoverride"), "mail root 2755 /usr/bin/mailer.real\n");

    // What the workload used of the rest is cut down in the same way.
    let more = [
        "available",
        "status-old",
        "info/editor.conffiles",
        "info/gone.list",
        "triggers/File",
        "triggers/Unincorp",
    ];
    let more: Vec<_> = more.iter().map(|name| format!("/var/lib/dpkg/{name}")).collect();
    let used = &used | &paths(&more.iter().map(String::as_str).collect::<Vec<_>>());
    let filtered = filter(&database, &image, &used).unwrap();
    let left = |file: &str| replaced(&filtered, &format!("/var/lib/dpkg/{file}"));
    let present = ["editor", "mailer"].map(stanza).concat();
    assert_eq!((left("available"), left("status-old")), (present.clone(), present));
    assert_eq!(left("info/editor.conffiles"), "/usr/bin/vim\n");
    assert_eq!(left("info/gone.list"), "");
    assert_eq!(left("triggers/File"), "/usr/bin editor/noawait\n");
    assert_eq!(left("triggers/Unincorp"), "/usr/bin editor\n");
}

#[test]
fn journals_of_an_interrupted_dpkg_are_merged() {
    let stanza = |name: &str, version: &str, status: &str| {
        format!("Package: {name}\nStatus: {status}\nVersion: {version}\nArchitecture: all\n\n")
    };
    let installed = "install ok installed";
    let status = stanza("a", "1", installed) + &stanza("b", "1", installed);
    let (_layout, image) = image(&[
        ("usr/bin/a", "a"),
        ("usr/bin/b", "b"),
        ("usr/bin/c", "c"),
        ("var/lib/dpkg/status", &status),
        ("var/lib/dpkg/info/a.list", "/usr/bin/a\n"),
        ("var/lib/dpkg/info/b.list", "/usr/bin/b\n"),
        ("var/lib/dpkg/info/c.list", "/usr/bin/c\n"),
        ("var/lib/dpkg/updates/0000", &stanza("a", "2", "install ok unpacked")),
        ("var/lib/dpkg/updates/0001", &(stanza("a", "3", installed) + &stanza("c", "1", installed))),
        ("var/lib/dpkg/updates/tmp.i", "half a stan"),
    ]);
    let database = read(&image).unwrap();
    let versions: Vec<_> = database.packages.iter().map(|p| (p.name.as_str(), p.version.as_str())).collect();
    assert_eq!(versions, [("a", "3"), ("b", "1"), ("c", "1")]);
    let filtered = filter(&database, &image, &paths(&["/usr/bin/a", "/usr/bin/c"])).unwrap();
    let left = stanza("a", "3", installed) + &stanza("c", "1", installed);
    assert_eq!(replaced(&filtered, "/var/lib/dpkg/status"), left);
    assert!(texts(filtered.keep.keys()).iter().all(|path| !path.contains("updates")));
    // Where the workload reads the journals, they do not bring back what is gone.
    let used = paths(&["/usr/bin/b", "/var/lib/dpkg/updates/0001"]);
    let filtered = filter(&database, &image, &used).unwrap();
    let journal = replaced(&filtered, "/var/lib/dpkg/updates/0001");
    assert!(journal.starts_with("Package: a\nStatus: purge ok not-installed\n"), "{journal}");
}
