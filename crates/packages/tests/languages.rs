//! Packages of languages, installed by pip and npm, filtered, and asked by pip, Python and npm themselves.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use careen_packages as packages;
use common::{cut, have, image_of, matching, names, open, owned, path, paths, run, skip, texts};
use packages::{Ecosystem, FileList, Presence, filter, licences, read};
use testkit::{TarBuilder, TarEntry};

/// Installs distributions below `/usr/local` of a root; none (after a skip) where no index can be reached.
fn pip_install(root: &Path, distributions: &[&str]) -> Option<std::path::PathBuf> {
    let mut pip = Command::new("pip");
    pip.args(["install", "--quiet", "--no-deps", "--ignore-installed", "--disable-pip-version-check"]);
    pip.args(["--root", root.to_str().unwrap(), "--prefix", "/usr/local"]).args(distributions);
    let output = pip.env("PIP_ROOT_USER_ACTION", "ignore").output().unwrap();
    if !output.status.success() {
        skip(&format!("pip install: {}", String::from_utf8_lossy(&output.stderr)));
        return None;
    }
    let lib = fs::read_dir(root.join("usr/local/lib")).unwrap().next().unwrap().unwrap().path();
    Some(lib.join("site-packages"))
}

#[test]
fn hard_71_pip_and_importlib_find_what_is_left_and_only_that() {
    if !have(&["pip", "python3"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let distributions = ["click==8.1.7", "itsdangerous==2.2.0", "Flask==3.0.3"];
    let Some(site) = pip_install(&root, &distributions) else { return };
    let (_layout, image) = image_of(&root);
    let database = read(&image).unwrap();
    assert_eq!(database.problems, []);
    assert_eq!(names(&database), ["Flask", "click", "itsdangerous"]);
    let purls: Vec<_> = database.packages.iter().map(|package| package.purl.as_str()).collect();
    assert_eq!(purls, ["pkg:pypi/flask@3.0.3", "pkg:pypi/click@8.1.7", "pkg:pypi/itsdangerous@2.2.0"]);
    // RECORD leads out of the site directory, and to the bytecode that pip compiled.
    let flask = owned(&database, "Flask");
    assert!(flask.contains(&"/usr/local/bin/flask".to_owned()), "{flask:?}");
    assert!(flask.iter().any(|path| path.contains("__pycache__")), "{flask:?}");
    assert!(database.packages.iter().all(|package| package.file_list == FileList::Complete));
    let unowned = matching(&image, |path| database.owners(&common::path(path)).is_empty());
    assert_eq!(unowned, BTreeSet::new());

    // Of click two modules are used, of itsdangerous all, of Flask nothing.
    let kept = matching(&image, |path| {
        path.ends_with("/click/core.py")
            || path.ends_with("/click/utils.py")
            || (path.contains("/itsdangerous/") && path.ends_with(".py"))
    });
    let left = dir.path().join("left");
    let filtered = cut(&image, &kept, &left);
    assert_eq!(filtered.warnings, [""; 0]);
    let left_site = left.join(site.strip_prefix(&root).unwrap());
    let list = run(
        "pip",
        &["list", "--path", left_site.to_str().unwrap(), "--format", "freeze", "--disable-pip-version-check"],
    );
    assert_eq!(list, "click==8.1.7\nitsdangerous==2.2.0\n");
    // Every file that Python's own reader of RECORD lists is there, with the checksum that stands beside it.
    let script = "\
import base64, hashlib, importlib.metadata as m, sys
for d in sorted(m.distributions(path=[sys.argv[1]]), key=lambda d: d.name):
    for f in d.files:
        data = f.locate().read_bytes()
        if f.hash:
            found = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')
            assert found == f.hash.value, f
        print(d.name, f)
";
    let files = run("python3", &["-c", script, left_site.to_str().unwrap()]);
    let click: Vec<_> = files.lines().filter_map(|line| line.strip_prefix("click ")).collect();
    let info = "click-8.1.7.dist-info";
    let expected = [
        format!("{info}/INSTALLER"),
        format!("{info}/LICENSE.rst"),
        format!("{info}/METADATA"),
        format!("{info}/RECORD"),
        format!("{info}/REQUESTED"),
        format!("{info}/WHEEL"),
        format!("{info}/top_level.txt"),
        "click/core.py".to_owned(),
        "click/utils.py".to_owned(),
    ];
    assert_eq!(click.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), expected.into());
    // pip checks an environment that has nothing else.
    let venv = dir.path().join("venv");
    run("python3", &["-m", "venv", "--without-pip", venv.to_str().unwrap()]);
    let venv_site =
        fs::read_dir(venv.join("lib")).unwrap().next().unwrap().unwrap().path().join("site-packages");
    fs::remove_dir_all(&venv_site).unwrap();
    std::os::unix::fs::symlink(&left_site, &venv_site).unwrap();
    let python = venv.join("bin/python");
    let check = run("pip", &["--python", python.to_str().unwrap(), "check", "--disable-pip-version-check"]);
    assert_eq!(check.trim(), "No broken requirements found.");
}

#[test]
fn hard_71_npm_lists_what_is_left_and_only_that() {
    if !have(&["npm"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let app = root.join("app");
    fs::create_dir_all(&app).unwrap();
    let manifest = r#"{"name":"app","version":"1.0.0","dependencies":{"debug":"4.3.7"}}"#;
    fs::write(app.join("package.json"), manifest).unwrap();
    for args in [&["install"][..], &["install", "--no-save", "once@1.4.0"]] {
        let mut npm = Command::new("npm");
        npm.args(args).args(["--no-audit", "--no-fund", "--no-update-notifier"]).current_dir(&app);
        let output = npm.output().unwrap();
        if !output.status.success() {
            skip(&format!("npm install: {}", String::from_utf8_lossy(&output.stderr)));
            return;
        }
    }
    let (_layout, image) = image_of(&root);
    let database = read(&image).unwrap();
    assert_eq!(names(&database), ["debug", "ms", "once", "wrappy"]);
    assert!(database.packages.iter().all(|package| package.ecosystem == Ecosystem::Npm));
    assert_eq!(database.packages[0].purl, "pkg:npm/debug@4.3.7");
    assert_eq!(database.packages[0].licence.as_deref(), Some("MIT"));
    let lockfile = path("/app/node_modules/.package-lock.json");
    let unowned = matching(&image, |path| database.owners(&common::path(path)).is_empty());
    assert_eq!(
        texts(&unowned),
        ["/app/node_modules/.package-lock.json", "/app/package-lock.json", "/app/package.json"]
    );

    let used = |text: &str| {
        text == "/app/package.json" || text.contains("/debug/src/") || text.ends_with("/ms/index.js")
    };
    for with_lockfile in [false, true] {
        let mut kept = matching(&image, used);
        if with_lockfile {
            kept.insert(lockfile.clone());
        }
        let left = dir.path().join(format!("left-{with_lockfile}"));
        let filtered = cut(&image, &kept, &left);
        let manifests = ["/app/node_modules/debug/package.json", "/app/node_modules/ms/package.json"];
        assert_eq!(texts(filtered.keep.keys()), manifests);
        assert_eq!(texts(filtered.replace.keys()).len(), usize::from(with_lockfile));
        let prefix = left.join("app");
        let list = run("npm", &["--prefix", prefix.to_str().unwrap(), "ls", "--all", "--parseable"]);
        let listed: Vec<_> = list.lines().skip(1).map(|line| line.rsplit('/').next().unwrap()).collect();
        assert_eq!(listed, ["debug", "ms"]);
        if with_lockfile {
            let text = String::from_utf8(filtered.replace[&lockfile].clone()).unwrap();
            assert!(text.contains("\"node_modules/ms\"") && !text.contains("wrappy"), "{text}");
            assert!(text.starts_with("{\n  \"name\": \"app\",\n"), "{text}");
        }
    }
}

const METADATA: &str = "Metadata-Version: 2.1\nName: Six\nVersion: 1.16.0\nLicense: MIT\n\nVersion: 9\n";

#[test]
fn hard_77_what_the_distribution_owns_is_no_second_package() {
    let site = "usr/lib/python3/dist-packages";
    let list = format!(
        "/.\n/{site}/six.py\n/{site}/six-1.16.0.dist-info\n/{site}/six-1.16.0.dist-info/METADATA\n\
         /usr/share/nodejs/node_modules/a/package.json\n/{site}/shared.py\n"
    );
    let record = "mine.py,,\nshared.py,,\nmine-1.dist-info/METADATA,,\nmine-1.dist-info/RECORD,,\n";
    let tar = TarBuilder::new()
        .entry(TarEntry::file(format!("{site}/six.py"), ""))
        .entry(TarEntry::file(format!("{site}/six-1.16.0.dist-info/METADATA"), METADATA))
        .entry(TarEntry::file(format!("{site}/shared.py"), ""))
        .entry(TarEntry::file(format!("{site}/mine.py"), ""))
        .entry(TarEntry::file(format!("{site}/__pycache__/mine.cpython-311.pyc"), ""))
        .entry(TarEntry::file(format!("{site}/mine-1.dist-info/METADATA"), "Name: mine\nVersion: 1\n"))
        .entry(TarEntry::file(format!("{site}/mine-1.dist-info/RECORD"), record))
        .entry(TarEntry::file(
            "usr/share/nodejs/node_modules/a/package.json",
            r#"{"name":"a","version":"1"}"#,
        ))
        .entry(TarEntry::file("var/lib/dpkg/status", "Package: python3-six\nVersion: 1.16.0-4\n"))
        .entry(TarEntry::file("var/lib/dpkg/info/python3-six.list", list));
    let (_layout, image) = open(tar);
    let database = read(&image).unwrap();
    assert_eq!(names(&database), ["mine", "python3-six"]);
    // A file of both is the distribution's.
    assert!(!owned(&database, "mine").iter().any(|path| path.ends_with("shared.py")));
    assert!(owned(&database, "mine").iter().any(|path| path.ends_with("mine.cpython-311.pyc")));
    let labels: Vec<_> = database.packages.iter().map(packages::Package::label).collect();
    assert_eq!(labels, ["python:mine", "python3-six"]);
}

#[test]
fn older_forms_of_distributions_are_read() {
    let site = "usr/lib/python2.7/site-packages";
    let file = |name: &str, content: &str| TarEntry::file(format!("{site}/{name}"), content);
    let tar = TarBuilder::new()
        .entry(file("a.egg-info/PKG-INFO", "Name: a\nVersion: 1\n"))
        .entry(file(
            "a.egg-info/installed-files.txt",
            "../a/__init__.py\n../a/gone.py\nPKG-INFO\n../../../../bin/a\n",
        ))
        .entry(file("a/__init__.py", ""))
        .entry(TarEntry::file("usr/bin/a", ""))
        .entry(file("b-2.egg-info", "Name: b\nVersion: 2\n"))
        .entry(file("c.egg-info/PKG-INFO", "Name: c\nVersion: 3\n"))
        .entry(file("c.egg-info/top_level.txt", "c\n_c\n../../evil\n"))
        .entry(file("c/x.py", ""))
        .entry(file("_c.py", ""))
        .entry(file("d-4.egg/EGG-INFO/PKG-INFO", "Name: d\nVersion: 4\n"))
        .entry(file("d-4.egg/d.py", ""))
        .entry(file("e-5.dist-info/METADATA", "no header"));
    let (_layout, image) = open(tar);
    let database = read(&image).unwrap();
    let lists: Vec<_> = database.packages.iter().map(|p| (p.name.as_str(), p.file_list)).collect();
    let expected = [
        ("a", FileList::Complete),
        ("b", FileList::Absent),
        ("c", FileList::Directory),
        ("d", FileList::Directory),
    ];
    assert_eq!(lists, expected);
    assert_eq!(database.problems.len(), 1);
    let info = format!("/{site}/a.egg-info");
    assert_eq!(
        owned(&database, "a"),
        [
            "/usr/bin/a".to_owned(),
            format!("/{site}/a/__init__.py"),
            format!("{info}/PKG-INFO"),
            format!("{info}/installed-files.txt")
        ]
    );
    assert!(owned(&database, "c").contains(&format!("/{site}/_c.py")));
    assert_eq!(owned(&database, "d").len(), 2);
    // Nothing says what b owns, so nobody may say that it is gone.
    let kept = paths(&[&format!("/{site}/a/__init__.py")]);
    let presence = database.presence(&|path| kept.contains(path));
    assert_eq!(presence[1..], [Presence::Unlisted, Presence::Gone, Presence::Gone]);
    let filtered = filter(&database, &image, &kept).unwrap();
    let stays =
        [format!("{info}/PKG-INFO"), format!("{info}/installed-files.txt"), format!("/{site}/b-2.egg-info")];
    assert_eq!(texts(filtered.keep.keys()), stays);
    let list = &filtered.replace[&path(&format!("{info}/installed-files.txt"))];
    assert_eq!(list, b"../a/__init__.py\nPKG-INFO\n");
}

#[test]
fn licences_stay_with_the_packages_of_languages() {
    let manifest = |name: &str| format!(r#"{{"name":"{name}","version":"1.0.0"}}"#);
    let mut tar = TarBuilder::new();
    for name in ["x", "y"] {
        let place = format!("app/node_modules/{name}");
        tar = tar
            .entry(TarEntry::file(format!("{place}/package.json"), manifest(name)))
            .entry(TarEntry::file(format!("{place}/index.js"), ""))
            .entry(TarEntry::file(format!("{place}/LICENSE"), "licence"));
    }
    let (_layout, image) = open(tar);
    let database = read(&image).unwrap();
    let kept = paths(&["/app/node_modules/x/index.js", "/app/node_modules/y/LICENSE"]);
    assert_eq!(texts(&licences(&database, &image, &kept).unwrap()), ["/app/node_modules/x/LICENSE"]);
    let filtered = filter(&database, &image, &kept).unwrap();
    assert_eq!(texts(filtered.keep.keys()), ["/app/node_modules/x/package.json"]);
}

#[test]
fn hostile_metadata_leads_nowhere() {
    let record =
        "../../../../../etc/passwd,,\n/etc/shadow,,\n\"open quote,,\n".to_owned() + &"a/".repeat(5000);
    let tar = TarBuilder::new()
        .entry(TarEntry::file("etc/passwd", ""))
        .entry(TarEntry::file("site/a-1.dist-info/METADATA", METADATA))
        .entry(TarEntry::file("site/a-1.dist-info/RECORD", record))
        .entry(TarEntry::file("site/b-1.dist-info/METADATA", "Name: \u{1}\nVersion: 1\n"))
        .entry(TarEntry::symlink("site/c-1.dist-info", "c-1.dist-info"))
        .entry(TarEntry::file("n/node_modules/a/package.json", "[".repeat(10_000)))
        .entry(TarEntry::file("n/node_modules/b/package.json", r#"{"name":"../../x","version":"1"}"#));
    let (_layout, image) = open(tar);
    let database = read(&image).unwrap();
    assert_eq!(names(&database), ["Six"]);
    assert!(!owned(&database, "Six").contains(&"/etc/passwd".to_owned()));
}
