//! rpm's databases: read from images, filtered for what is left of them, and asked by rpm itself.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use careen_packages as packages;
use common::{cut, have, image_of, names, owned, paths, run, skip, texts};
use packages::{Ecosystem, Presence, read};

const SPEC: &str = "\
Name: demo
Version: 1.2
Release: 3
Epoch: 1
Summary: A demo
License: MIT and BSD
BuildArch: noarch
%description
A demo.
%package libs
Summary: Libraries
%description libs
Libraries.
%package gone
Summary: Gone
%description gone
Gone.
%install
cd %{buildroot}
mkdir -p usr/bin usr/lib/demo etc usr/share/licenses/demo usr/share/doc/demo var/log
for file in usr/bin/demo usr/bin/demo-tool usr/lib/demo/libdemo.so etc/demo.conf usr/share/licenses/demo/LICENSE \\
    usr/share/doc/demo/README usr/bin/gone; do echo $file > $file; done
ln -s demo usr/bin/demo-link
%files
/usr/bin/demo
/usr/bin/demo-link
/usr/bin/demo-tool
%config(noreplace) /etc/demo.conf
%license /usr/share/licenses/demo/LICENSE
%doc /usr/share/doc/demo/README
%ghost /var/log/demo.log
%files libs
%dir /usr/lib/demo
/usr/lib/demo/libdemo.so
%files gone
/usr/bin/gone
";

const DB: &str = "/usr/lib/sysimage/rpm";

/// A root with three packages, made by rpm.
fn rooted(dir: &Path) -> std::path::PathBuf {
    rooted_of(dir, SPEC)
}

fn rooted_of(dir: &Path, text: &str) -> std::path::PathBuf {
    let spec = dir.join("demo.spec");
    fs::write(&spec, text).unwrap();
    let top = dir.join("top");
    let define = format!("_topdir {}", top.display());
    run("rpmbuild", &["-bb", "--quiet", "--define", &define, spec.to_str().unwrap()]);
    let root = dir.join("root");
    fs::create_dir_all(root.join(&DB[1..])).unwrap();
    let mut rpms: Vec<_> =
        fs::read_dir(top.join("RPMS/noarch")).unwrap().map(|entry| entry.unwrap().path()).collect();
    rpms.sort();
    let mut install = Command::new("rpm");
    install.args(["--root", root.to_str().unwrap(), "--dbpath", DB]);
    install.args(["-i", "--nodeps", "--noscripts", "--ignoreos", "--ignorearch"]).args(rpms);
    let output = install.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    root
}

/// Asks rpm itself; it must succeed.
fn rpm(root: &Path, args: &[&str]) -> String {
    run("rpm", &[&["--root", root.to_str().unwrap(), "--dbpath", DB], args].concat())
}

fn sorted(lines: &str) -> Vec<&str> {
    let mut lines: Vec<_> = lines.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn hard_71_rpm_itself_reads_the_filtered_database() {
    if !have(&["rpm", "rpmbuild"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = rooted(dir.path());
    let (_layout, image) = image_of(&root);
    let database = read(&image).unwrap();
    assert_eq!(database.problems, []);
    assert_eq!(names(&database), ["demo", "demo-gone", "demo-libs"]);
    let demo = &database.packages[0];
    assert_eq!((demo.ecosystem, demo.version.as_str()), (Ecosystem::Rpm, "1:1.2-3"));
    assert_eq!(demo.licence.as_deref(), Some("MIT and BSD"));
    assert_eq!((demo.source_name.as_str(), demo.source_version.as_str()), ("demo", "1.2-3"));
    assert_eq!(demo.purl, "pkg:rpm/rpm/demo@1.2-3?arch=noarch&epoch=1&upstream=demo-1.2-3.src.rpm");
    // The ghost is not there, and a directory is nobody's.
    let files = [
        "/etc/demo.conf",
        "/usr/bin/demo",
        "/usr/bin/demo-link",
        "/usr/bin/demo-tool",
        "/usr/share/doc/demo/README",
        "/usr/share/licenses/demo/LICENSE",
    ];
    assert_eq!(owned(&database, "demo"), files);
    assert_eq!(owned(&database, "demo-libs"), ["/usr/lib/demo/libdemo.so"]);

    let kept = paths(&["/etc/demo.conf", "/usr/bin/demo", "/usr/lib/demo/libdemo.so"]);
    assert!(matches!(demo.presence(&|path| kept.contains(path)), Presence::Partial { .. }));
    let left = dir.path().join("left");
    let filtered = cut(&image, &kept, &left);
    assert_eq!(texts(filtered.keep.keys()), [format!("{DB}/rpmdb.sqlite")]);
    assert_eq!(filtered.warnings, [""; 0]);

    assert_eq!(sorted(&rpm(&left, &["-qa"])), ["demo-1.2-3.noarch", "demo-libs-1.2-3.noarch"]);
    // Nothing is missing, nothing is changed, and no header is damaged.
    assert_eq!(rpm(&left, &["-V", "--nomtime", "demo", "demo-libs"]), "");
    let states = rpm(&left, &["-qs", "demo"]);
    let states: Vec<_> =
        states.lines().map(|line| line.split_at(14)).map(|(s, f)| (s.trim(), f.trim())).collect();
    let expected = [
        ("normal", "/etc/demo.conf"),
        ("normal", "/usr/bin/demo"),
        ("not installed", "/usr/bin/demo-link"),
        ("not installed", "/usr/bin/demo-tool"),
        ("not installed", "/usr/share/doc/demo/README"),
        ("normal", "/usr/share/licenses/demo/LICENSE"),
        ("normal", "/var/log/demo.log"),
    ];
    assert_eq!(states, expected);
    assert_eq!(rpm(&left, &["-qf", "/usr/bin/demo"]), "demo-1.2-3.noarch\n");
    assert_eq!(sorted(&rpm(&left, &["-q", "--whatprovides", "demo-libs"])), ["demo-libs-1.2-3.noarch"]);
    run("rpmdb", &["--root", left.to_str().unwrap(), "--dbpath", DB, "--verifydb"]);

    // And we read what we wrote: the states say which files are there.
    let (_layout, again) = image_of(&left);
    let database = read(&again).unwrap();
    assert_eq!(names(&database), ["demo", "demo-libs"]);
    assert_eq!(owned(&database, "demo"), [files[0], files[1], files[5]]);
}

#[test]
fn what_a_package_needs_by_name_version_file_or_capability_is_found_in_both_forms_of_today() {
    if !have(&["rpm", "rpmbuild"]) {
        return;
    }
    let text = SPEC
        .replacen(
            "%description\n",
            "Requires: demo-libs = 1:1.2-3\nRequires: /usr/bin/gone\nRequires: nobody\n%description\n",
            1,
        )
        .replace("Summary: Libraries\n", "Summary: Libraries\nRequires: shop(till) >= 2\n")
        .replace("Summary: Gone\n", "Summary: Gone\nProvides: shop(till) = 3\n");
    let dir = tempfile::tempdir().unwrap();
    let root = rooted_of(dir.path(), &text);
    // rpm's own word: which of the packages answers to what the others ask for.
    for (asked, answer) in
        [("demo-libs", "demo-libs"), ("/usr/bin/gone", "demo-gone"), ("shop(till)", "demo-gone")]
    {
        assert_eq!(rpm(&root, &["-q", "--whatprovides", asked, "--qf", "%{NAME}"]), answer);
    }
    let needs = |root: &Path| -> BTreeMap<String, Vec<String>> {
        let (_layout, image) = image_of(root);
        let database = read(&image).unwrap();
        let name = |index: packages::PackageIndex| database.packages[index.0].name.clone();
        let found = packages::dependencies(&image, &database).unwrap();
        found
            .into_iter()
            .filter(|(_, needed)| !needed.is_empty())
            .map(|(own, needed)| (name(own), needed.into_iter().map(name).collect()))
            .collect()
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let expected: BTreeMap<String, Vec<String>> =
        [("demo".to_owned(), words("demo-gone demo-libs")), ("demo-libs".to_owned(), words("demo-gone"))]
            .into();
    assert_eq!(needs(&root), expected);
    let headers = headers(&root);
    let place = root.join(&DB[1..]);
    fs::remove_dir_all(&place).unwrap();
    fs::create_dir(&place).unwrap();
    fs::write(place.join("Packages.db"), ndb(&headers)).unwrap();
    assert_eq!(needs(&root), expected, "rpm's own form");
}

#[test]
fn a_database_that_says_the_truth_is_left_as_it_was() {
    if !have(&["rpm", "rpmbuild"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = rooted(dir.path());
    // rpm leaves an empty log behind.
    let log = root.join(&DB[1..]).join("rpmdb.sqlite-wal");
    assert!(!log.exists() || log.metadata().unwrap().len() == 0);
    let (_layout, image) = image_of(&root);
    let all = common::matching(&image, |path| !path.starts_with(DB));
    let filtered = cut(&image, &all, &dir.path().join("left"));
    assert!(filtered.replace.is_empty());
    assert_eq!(texts(filtered.keep.keys()), [format!("{DB}/rpmdb.sqlite")]);
}

/// The headers of rpm's database in SQLite.
fn headers(root: &Path) -> Vec<(u32, Vec<u8>)> {
    let database = rusqlite::Connection::open(root.join(&DB[1..]).join("rpmdb.sqlite")).unwrap();
    let mut statement = database.prepare("SELECT hnum, blob FROM Packages").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The same as a dump of Berkeley DB, with the count of headers that rpm keeps under the number 0.
fn dump(headers: &[(u32, Vec<u8>)]) -> String {
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut out, byte| {
            write!(out, "{byte:02x}").unwrap();
            out
        })
    };
    let mut text = "VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize=4096\nHEADER=END\n".to_owned();
    writeln!(text, " 00000000\n 09000000").unwrap();
    for (number, blob) in headers {
        writeln!(text, " {}\n {}", hex(&number.to_le_bytes()), hex(blob)).unwrap();
    }
    text + "DATA=END\n"
}

/// The same in rpm's own form: slots, then the headers in blocks of 16 bytes.
fn ndb(headers: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let word = |text: &[u8; 4]| u32::from_le_bytes(*text);
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut slots = words(&[word(b"RpmP"), 0, 1, 1, 9, 0, 0, 0]);
    let mut blobs = Vec::new();
    for (number, blob) in headers {
        let block = u32::try_from((4096 + blobs.len()) / 16).unwrap();
        slots.extend(words(&[word(b"Slot"), *number, block, 0]));
        blobs.extend(words(&[word(b"BlbS"), *number, 1, u32::try_from(blob.len()).unwrap()]));
        blobs.extend_from_slice(blob);
        blobs.resize(blobs.len().next_multiple_of(16), 0);
    }
    while slots.len() < 4096 {
        slots.extend(words(&[word(b"Slot"), 0, 0, 0]));
    }
    [slots, blobs].concat()
}

#[test]
fn other_forms_are_read_and_stay_whole_with_a_warning() {
    if !have(&["rpm", "rpmbuild"]) || Command::new("db5.3_load").arg("-V").output().is_err() {
        return skip("no db5.3_load");
    }
    let dir = tempfile::tempdir().unwrap();
    let root = rooted(dir.path());
    let (_layout, image) = image_of(&root);
    let sqlite = read(&image).unwrap();
    let headers = headers(&root);
    let place = root.join(&DB[1..]);
    for form in ["Packages", "Packages.db"] {
        fs::remove_dir_all(&place).unwrap();
        fs::create_dir(&place).unwrap();
        if form == "Packages" {
            let text = dir.path().join("dump");
            fs::write(&text, dump(&headers)).unwrap();
            run("db5.3_load", &["-f", text.to_str().unwrap(), place.join(form).to_str().unwrap()]);
            let theirs = rpm(&root, &["--define", "_db_backend bdb_ro", "-qa"]);
            assert_eq!(theirs.lines().count(), 3, "{theirs}");
        } else {
            fs::write(place.join(form), ndb(&headers)).unwrap();
        }
        let (_layout, image) = image_of(&root);
        let database = read(&image).unwrap();
        assert_eq!(database.problems, [], "{form}");
        assert_eq!(names(&database), names(&sqlite), "{form}");
        for name in names(&sqlite) {
            assert_eq!(owned(&database, name), owned(&sqlite, name), "{form}");
        }
        let filtered = cut(&image, &paths(&["/usr/bin/demo"]), &dir.path().join(format!("left-{form}")));
        assert!(filtered.replace.is_empty());
        let warning = "stays whole: only SQLite's form can be filtered; it lists 2 packages that are gone";
        assert_eq!(filtered.warnings, [format!("{DB}/{form} {warning}")]);
    }
}
