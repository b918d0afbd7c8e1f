//! Images made to hurt whoever reads them: bounded time and memory, and a word that names the file.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]

mod common;

use std::io::Write as _;
use std::time::{Duration, Instant};

use careen_packages as packages;
use common::open;
use packages::{Ecosystem, PackageDatabase, catalog, dependencies};
use testkit::{TarBuilder, TarEntry};

const GIGABYTE: u64 = 1 << 30;
/// What reading a hostile image may cost at most: far more than it takes, far less than what it asks for.
const MOST_TIME: Duration = Duration::from_secs(30);

/// The largest resident set of this process so far, in bytes. Each test is a process of its own under nextest.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() << 10
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A zip archive of these deflated entries.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        let body = encoder.finish().unwrap();
        let word = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
        let offset = word(out.len());
        let mut common = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend(word(body.len()));
        common.extend(word(content.len()));
        common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        common.extend([0; 2]);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.bytes());
        out.extend(body);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset);
        directory.extend(name.bytes());
    }
    let ends = [directory.len(), out.len()].map(|number| u32::try_from(number).unwrap().to_le_bytes());
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0\0\0\0\0");
    out.extend(ends.concat());
    out.extend([0; 2]);
    out
}

fn problems_of(database: &PackageDatabase, file: &str) -> Vec<String> {
    let of_file = database.problems.iter().filter(|problem| problem.file.to_text() == file);
    of_file.map(|problem| problem.message.clone()).collect()
}

#[test]
fn a_database_of_two_gigabytes_is_refused_by_its_name() {
    let status = b"Package: a\nStatus: install ok installed\nVersion: 1\n";
    for file in
        ["var/lib/dpkg/status", "var/lib/dpkg/status.d/a", "lib/apk/db/installed", "var/lib/rpm/Packages"]
    {
        let started = Instant::now();
        let sparse = TarEntry::gnu_sparse(file, &[(0, status)], 2 * GIGABYTE);
        let (_layout, image) = open(TarBuilder::new().entry(&sparse));
        let error = catalog(&image).unwrap_err();
        let said = chain(&error);
        assert!(said.contains(&format!("/{file}")) && said.contains("2147483648 bytes"), "{said}");
        assert!(error.hint().is_some());
        assert!(started.elapsed() < MOST_TIME, "{file}: {:?}", started.elapsed());
    }
    assert!(peak_bytes() < GIGABYTE / 4, "{} bytes", peak_bytes());
}

#[test]
fn files_of_two_gigabytes_that_are_no_database_are_warnings_that_name_them() {
    let started = Instant::now();
    let mut tar = TarBuilder::new();
    for file in ["srv/app.jar", "srv/package-lock.json", "srv/app.deps.json", "srv/nginx", "srv/x.egg"] {
        let head: &[u8] = if file == "srv/nginx" { b"\x7fELF\x02\x01\x01" } else { b"PK\x03\x04" };
        tar = tar.entry(TarEntry::gnu_sparse(file, &[(0, head)], 2 * GIGABYTE).mode(0o755));
    }
    let (_layout, image) = open(tar);
    let database = catalog(&image).unwrap();
    assert_eq!(database.packages, []);
    for file in ["/srv/app.jar", "/srv/package-lock.json", "/srv/app.deps.json", "/srv/x.egg"] {
        assert_eq!(problems_of(&database, file).len(), 1, "{file}: {:?}", database.problems);
    }
    assert!(started.elapsed() < MOST_TIME, "{:?}", started.elapsed());
    assert!(peak_bytes() < GIGABYTE / 4, "{} bytes", peak_bytes());
}

#[test]
fn a_zip_bomb_in_an_image_is_a_warning_that_names_it() {
    let started = Instant::now();
    let zeros = vec![0; 64 << 20];
    let inner = archive(&[("META-INF/MANIFEST.MF", &zeros[..16 << 20]), ("z.jar", &zeros)]);
    let names: Vec<String> = (0..40).map(|nth| format!("{nth}.jar")).collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), inner.as_slice())).collect();
    let bomb = archive(&entries);
    assert!(bomb.len() < 8 << 20, "40 times 80 MB, told in {} bytes", bomb.len());
    drop(zeros);
    let (_layout, image) = open(TarBuilder::new().entry(TarEntry::file("srv/bomb.jar", bomb)));
    let database = catalog(&image).unwrap();
    let said = problems_of(&database, "/srv/bomb.jar");
    assert!(said.iter().any(|text| text.contains("inflates to more than we read")), "{said:?}");
    assert!(started.elapsed() < MOST_TIME, "{:?}", started.elapsed());
    assert!(peak_bytes() < GIGABYTE, "{} bytes", peak_bytes());
}

#[test]
fn archives_more_than_twenty_deep_are_a_warning_that_names_the_outermost() {
    let pom = b"version=1.0\ngroupId=g\nartifactId=core\n";
    let mut deep = archive(&[("META-INF/maven/g/core/pom.properties", pom)]);
    for _ in 0..20 {
        deep = archive(&[("in.jar", &deep)]);
    }
    let deeper = archive(&[("in.jar", &deep)]);
    let tar = TarBuilder::new()
        .entry(TarEntry::file("srv/deep.jar", deep))
        .entry(TarEntry::file("srv/deeper.jar", deeper));
    let (_layout, image) = open(tar);
    let database = catalog(&image).unwrap();
    let cores = database.packages.iter().filter(|package| package.name == "g:core");
    assert_eq!(cores.count(), 1);
    assert_eq!(problems_of(&database, "/srv/deep.jar"), [""; 0]);
    let said = problems_of(&database, "/srv/deeper.jar");
    assert!(said.len() == 1 && said[0].contains("more than 20 deep"), "{said:?}");
}

#[test]
fn packages_that_need_each_other_and_links_in_a_circle_come_to_an_end() {
    let status = "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nDepends: b, a\n\n\
                  Package: b\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nPre-Depends: c\n\n\
                  Package: c\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nDepends: a | b\n";
    let npm = |name: &str, needs: &str| {
        format!(r#"{{"name":"{name}","version":"1.0.0","dependencies":{{"{needs}":"*"}}}}"#)
    };
    let tar = TarBuilder::new()
        .entry(TarEntry::file("var/lib/dpkg/status", status))
        .entry(TarEntry::file("app/node_modules/x/package.json", npm("x", "y")))
        .entry(TarEntry::file("app/node_modules/y/package.json", npm("y", "x")))
        .entry(TarEntry::symlink("app/node_modules/y/node_modules", "../../node_modules"))
        .entry(TarEntry::symlink("lib/apk/db", "../apk/db"))
        .entry(TarEntry::symlink("usr/lib/sysimage/rpm", "/var/lib/rpm"))
        .entry(TarEntry::symlink("var/lib/rpm", "/usr/lib/sysimage/rpm"));
    let (_layout, image) = open(tar);
    let database = catalog(&image).unwrap();
    let of =
        |ecosystem| database.packages.iter().filter(move |package| package.ecosystem == ecosystem).count();
    assert_eq!((of(Ecosystem::Dpkg), of(Ecosystem::Npm)), (3, 2));
    let needed = dependencies(&image, &database).unwrap();
    assert!(!needed.is_empty());
}

#[test]
fn broken_utf_8_everywhere_loses_nothing_that_is_whole() {
    let broken: &[u8] = b"\xff\xfe\x80";
    let mut status = b"Package: good\nStatus: install ok installed\nVersion: 1\nDescription: ".to_vec();
    status.extend(broken);
    status.extend(b"\n\nPackage: bad");
    status.extend(broken);
    status.extend(b"\nStatus: install ok installed\nVersion: 1\n");
    let with = |text: &str| [text.as_bytes(), broken].concat();
    let tar = TarBuilder::new()
        .entry(TarEntry::file("etc/os-release", with("ID=debian\nVERSION_ID=12\nNAME=")))
        .entry(TarEntry::file("var/lib/dpkg/status", status))
        .entry(TarEntry::file("var/lib/dpkg/info/good.list", with("/usr/bin/good\n/usr/bin/odd")))
        .entry(TarEntry::file("usr/bin/good", "x"))
        .entry(TarEntry::file(with("usr/bin/odd"), "x"))
        .entry(TarEntry::file(with("srv/odd.jar"), archive(&[("a", broken)])))
        .entry(TarEntry::file("srv/app.jar", archive(&[("META-INF/MANIFEST.MF", broken)])))
        .entry(TarEntry::file("app/node_modules/z/package.json", with(r#"{"name":"z","version":"1""#)))
        .entry(TarEntry::file("srv/composer.lock", broken));
    let (_layout, image) = open(tar);
    let database = catalog(&image).unwrap();
    let good = database.packages.iter().find(|package| package.name == "good").unwrap();
    assert_eq!(good.files.len(), 2);
    assert!(database.packages.iter().all(|package| package.name != "z"));
    for file in ["/var/lib/dpkg/status", "/srv/composer.lock"] {
        assert!(!problems_of(&database, file).is_empty(), "{file}: {:?}", database.problems);
    }
}
