//! What files say of themselves: real archives and programs, in images of their own.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use careen_packages as packages;
use common::{have, image_of, open, run, skip};
use packages::{Cache, Ecosystem, Limits, Origin, PackageDatabase, catalog, catalog_within};
use testkit::{TarBuilder, TarEntry};

fn purls(database: &PackageDatabase, ecosystem: Ecosystem) -> BTreeSet<String> {
    let found = database.packages.iter().filter(|package| package.ecosystem == ecosystem);
    found.map(|package| package.purl.clone()).collect()
}

/// Builds a small Go program with these linker flags; none (after a skip) where there is no Go.
fn go_program(dir: &Path, flags: &str) -> Option<PathBuf> {
    if Command::new("go").arg("version").output().is_err() {
        skip("no go");
        return None;
    }
    fs::write(
        dir.join("go.mod"),
        "module example.com/shop\n\ngo 1.18\n\nrequire example.com/dep v0.0.0\n\n\
        replace example.com/dep => ./dep\n",
    )
    .unwrap();
    fs::create_dir_all(dir.join("dep")).unwrap();
    fs::write(dir.join("dep/go.mod"), "module example.com/dep\n").unwrap();
    fs::write(dir.join("dep/dep.go"), "package dep\n\nfunc Name() string { return \"dep\" }\n").unwrap();
    let main = "package main\n\nimport \"example.com/dep\"\n\nvar Version = \"none\"\n\n\
        func main() { println(dep.Name(), Version) }\n";
    fs::write(dir.join("main.go"), main).unwrap();
    let mut go = Command::new("go");
    go.args(["build", "-buildvcs=false", "-ldflags", flags, "-o", "shop", "."]).current_dir(dir);
    let cache = dir.parent().unwrap().join("go-cache");
    let output =
        go.env("GOCACHE", cache).env("GOFLAGS", "-mod=mod").env("CGO_ENABLED", "0").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(dir.join("shop"))
}

#[test]
fn a_go_program_lists_what_go_itself_reads_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir(&source).unwrap();
    let Some(program) = go_program(&source, "-s -w -X main.Version=v1.2.3") else { return };
    let listed = run("go", &["version", "-m", program.to_str().unwrap()]);
    assert!(listed.contains("mod\texample.com/shop\t(devel)"), "{listed}");
    let go = listed.split_whitespace().find_map(|word| word.strip_prefix("go1")).unwrap();

    let root = dir.path().join("root");
    fs::create_dir_all(root.join("srv")).unwrap();
    fs::copy(&program, root.join("srv/shop")).unwrap();
    let (_layout, image) = image_of(&root);
    let database = catalog(&image).unwrap();
    assert_eq!(database.problems, []);
    assert_eq!(
        purls(&database, Ecosystem::Go),
        [
            "pkg:golang/example.com/dep@v0.0.0".to_owned(),
            "pkg:golang/example.com/shop@v1.2.3".to_owned(),
            format!("pkg:golang/stdlib@1{go}"),
        ]
        .into()
    );
    for package in &database.packages {
        assert_eq!(package.files, BTreeSet::from([common::path("/srv/shop")]));
        assert!(
            matches!(&package.origin, Origin::Embedded { file, .. } if *file == common::path("/srv/shop"))
        );
    }
}

#[test]
fn hard_71_a_go_program_of_the_distribution_is_its_package_and_one_of_a_third_party_is_both() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir(&source).unwrap();
    let Some(program) = go_program(&source, "-s -w") else { return };
    let program = fs::read(program).unwrap();
    for (maintainer, modules) in
        [("Debian Go Team <team@tracker.debian.org>", 0), ("Docker <support@docker.com>", 3)]
    {
        let status = format!(
            "Package: shop\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\nMaintainer: {maintainer}\n\n"
        );
        let layer = TarBuilder::new()
            .entry(TarEntry::file("etc/os-release", "ID=debian\nVERSION_ID=12\n"))
            .entry(TarEntry::file("var/lib/dpkg/status", status))
            .entry(TarEntry::file("var/lib/dpkg/info/shop.list", "/usr/bin/shop\n"))
            .entry(TarEntry::file("usr/bin/shop", &program).mode(0o755));
        let (_layout, image) = open(layer);
        let database = catalog(&image).unwrap();
        assert_eq!(purls(&database, Ecosystem::Dpkg).len(), 1);
        assert_eq!(purls(&database, Ecosystem::Go).len(), modules, "{maintainer}");
    }
}

#[test]
fn archives_of_debian_name_their_coordinates() {
    let java = Path::new("/usr/share/java");
    let wanted = ["commons-io", "commons-cli", "guava", "slf4j-api"];
    if !java.join("commons-io.jar").exists() {
        return skip("no Java archives of Debian");
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("opt/app/lib")).unwrap();
    for name in wanted {
        let file = java.join(format!("{name}.jar"));
        if let Ok(real) = file.canonicalize() {
            fs::copy(&real, root.join("opt/app/lib").join(real.file_name().unwrap())).unwrap();
        }
    }
    let (_layout, image) = image_of(&root);
    let database = catalog(&image).unwrap();
    assert_eq!(database.problems, []);
    let found = purls(&database, Ecosystem::Maven);
    let cli = found.iter().find(|purl| purl.starts_with("pkg:maven/commons-cli/commons-cli@"));
    assert!(cli.is_some(), "{found:?}");
    let io = found.iter().find(|purl| purl.starts_with("pkg:maven/commons-io/commons-io@2."));
    assert!(io.is_some(), "{found:?}");
}

#[test]
fn a_cache_gives_the_same_and_a_broken_one_is_as_good_as_none() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir(&source).unwrap();
    let Some(program) = go_program(&source, "-s -w") else { return };
    let layer = TarBuilder::new().entry(TarEntry::file("shop", fs::read(program).unwrap()).mode(0o755));
    let (_layout, image) = open(layer);
    let directory = dir.path().join("cache");
    let cache = Cache::at(&directory);
    let limits = Limits::default();
    let fresh = catalog(&image).unwrap();
    let cached = || catalog_within(&image, &limits, Some(&cache)).unwrap();
    assert_eq!(cached(), fresh);
    let files = || -> Vec<PathBuf> {
        let mut files: Vec<_> =
            fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    };
    assert_eq!(files().len(), 2, "{:?}", files());
    assert_eq!(cached(), fresh);
    // One letter changed: what would be another version is not believed.
    for file in files() {
        let bytes = fs::read(&file).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("stdlib"));
        fs::write(&file, text.replace("stdlib", "stdlob")).unwrap();
    }
    assert_eq!(cached(), fresh);
    fs::write(&files()[0], "").unwrap();
    assert_eq!(cached(), fresh);
    // The layer alone suffices, and it is believed when it is whole.
    let whole = files().into_iter().find(|file| file.to_str().unwrap().contains("image-")).unwrap();
    fs::remove_file(whole).unwrap();
    assert_eq!(cached(), fresh);
    assert!(have(&["go"]));
}

/// The content of a file of a built image; none where that image is not in the cache.
fn of_image(name: &str, path: &str) -> Option<Vec<u8>> {
    let home = std::env::var_os("HOME")?;
    let layout = Path::new(&home).join(".cache/careen/images").join(name);
    let source = format!("oci:{}:latest", layout.display());
    let image = image::Image::open(&source.parse().unwrap(), &image::OpenOptions::new()).ok()?;
    let found = image.tree().resolve(&image::ImagePath::root(), path.as_bytes(), true);
    let image::tree::ResolutionEnd::Found(found) = found.end else {
        panic!("{name} has no {path}: {found:?}")
    };
    Some(image.read_file(&found, 1 << 30).unwrap())
}

#[test]
fn programs_that_no_package_owns_say_their_versions() {
    let programs = [
        ("redis", "/usr/bin/redis-server", "redis-server", "redis"),
        ("nginx", "/usr/sbin/nginx", "nginx", "nginx"),
        ("haproxy", "/usr/sbin/haproxy", "haproxy", "haproxy"),
        ("memcached", "/usr/bin/memcached", "memcached", "memcached"),
        ("mariadb", "/usr/sbin/mariadbd", "mariadbd", "mariadb"),
        ("postgres", "/usr/lib/postgresql/15/bin/postgres", "postgres", "postgresql"),
        ("varnish", "/usr/sbin/varnishd", "varnishd", "varnish"),
        ("mosquitto", "/usr/sbin/mosquitto", "mosquitto", "mosquitto"),
        ("python-flask", "/usr/bin/python3.11", "python3.11", "python"),
        ("redis", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3", "libcrypto.so.3", "openssl"),
        ("busybox", "/bin/busybox", "busybox", "busybox"),
        ("php-apache", "/usr/sbin/apache2", "apache2", "httpd"),
        ("php-apache", "/usr/lib/apache2/modules/libphp8.2.so", "libphp8.2.so", "php"),
        ("perl-mojolicious", "/usr/bin/perl", "perl", "perl"),
        ("ruby-sinatra", "/usr/lib/x86_64-linux-gnu/libruby-3.1.so.3.1", "libruby-3.1.so.3.1", "ruby"),
        ("redis", "/bin/bash", "bash", "bash"),
    ];
    let mut seen = 0;
    let mut wrong = Vec::new();
    for (name, from, to, program) in programs {
        let Some(bytes) = of_image(name, from) else { continue };
        seen += 1;
        let layer = TarBuilder::new().entry(TarEntry::file(format!("opt/{to}"), &bytes).mode(0o755));
        let (_layout, image) = open(layer);
        let found = purls(&catalog(&image).unwrap(), Ecosystem::Generic);
        // What dpkg says of the same file is the oracle.
        let version = dpkg_version(name, from);
        let expected = format!("pkg:generic/{program}@{}", version.as_deref().unwrap_or_default());
        let is_right = found.len() == 1 && found.iter().all(|purl| purl.starts_with(&expected));
        if !is_right {
            wrong.push(format!("{name} {from}: {found:?}, dpkg has {version:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    if seen == 0 {
        skip("no built images");
    }
}

/// The upstream version of the package that owns this file; none where no package does.
fn dpkg_version(name: &str, path: &str) -> Option<String> {
    let home = std::env::var("HOME").unwrap();
    let source = format!("oci:{home}/.cache/careen/images/{name}:latest");
    let image = image::Image::open(&source.parse().unwrap(), &image::OpenOptions::new()).unwrap();
    let database = packages::read(&image).unwrap();
    let found = image.tree().resolve(&image::ImagePath::root(), path.as_bytes(), true);
    let image::tree::ResolutionEnd::Found(found) = found.end else { panic!("{path}") };
    let owner = database.package(*database.owners(&found).first()?)?;
    let version = owner.version.split_once(':').map_or(owner.version.as_str(), |(_, rest)| rest);
    version.split(['-', '+', '~']).next().map(str::to_owned)
}

#[test]
fn debians_gems_are_its_packages_and_the_same_gems_alone_are_gems() {
    let Some(specification) =
        of_image("ruby-sinatra", "/usr/share/rubygems-integration/all/specifications/sinatra-3.0.5.gemspec")
    else {
        return skip("no image of Ruby");
    };
    let layer = TarBuilder::new()
        .entry(TarEntry::file("usr/local/bundle/specifications/sinatra-3.0.5.gemspec", specification))
        .entry(TarEntry::file("usr/local/bundle/gems/sinatra-3.0.5/lib/sinatra.rb", "require 'rack'"));
    let (_layout, image) = open(layer);
    let database = catalog(&image).unwrap();
    assert_eq!(purls(&database, Ecosystem::Gem), ["pkg:gem/sinatra@3.0.5".to_owned()].into());
    assert_eq!(database.packages[0].files.len(), 2);
    let home = std::env::var("HOME").unwrap();
    let source = format!("oci:{home}/.cache/careen/images/ruby-sinatra:latest");
    let image = image::Image::open(&source.parse().unwrap(), &image::OpenOptions::new()).unwrap();
    let database = catalog(&image).unwrap();
    assert_eq!(purls(&database, Ecosystem::Gem), BTreeSet::new());
}

#[test]
fn libraries_as_they_are_published_are_known_wherever_they_are_copied_to() {
    if !have(&["npm"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let published = [
        ("jquery@3.4.1", "dist/jquery.min.js"),
        ("bootstrap@4.1.1", "dist/js/bootstrap.min.js"),
        ("lodash@4.17.15", "lodash.min.js"),
        ("dompurify@2.0.7", "dist/purify.min.js"),
        ("react-dom@16.13.1", "umd/react-dom.production.min.js"),
        ("tinymce@5.10.0", "tinymce.min.js"),
        ("angular@1.5.8", "angular.min.js"),
    ];
    for (number, (package, file)) in published.iter().enumerate() {
        let at = dir.path().join(number.to_string());
        fs::create_dir(&at).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["pack", "--silent", "--pack-destination", at.to_str().unwrap(), package]);
        let output = npm.current_dir(dir.path()).output().unwrap();
        if !output.status.success() {
            return skip(&format!("npm pack {package}: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let archive = fs::read_dir(&at).unwrap().next().unwrap().unwrap().path();
        run("tar", &["-xzf", archive.to_str().unwrap(), "-C", at.to_str().unwrap()]);
        let file = at.join("package").join(file);
        let place = root.join(format!("srv/{number}"));
        fs::create_dir_all(&place).unwrap();
        fs::copy(&file, place.join(file.file_name().unwrap())).unwrap();
        // Below node_modules it has a manifest, and that is asked.
        let installed = root.join(format!("opt/node_modules/{number}"));
        fs::create_dir_all(&installed).unwrap();
        fs::copy(&file, installed.join("index.js")).unwrap();
    }
    let (_layout, image) = image_of(&root);
    let database = catalog(&image).unwrap();
    assert_eq!(database.problems, []);
    let expected = published.iter().map(|(package, _)| format!("pkg:npm/{package}")).collect();
    assert_eq!(purls(&database, Ecosystem::Javascript), expected);
}

#[test]
fn the_scripts_of_one_library_are_one_component_with_all_of_them() {
    let script = |version: &str| {
        format!("/*! Select2 {version} | https://github.com/select2/select2/blob/master/LICENSE.md */")
    };
    let layer = TarBuilder::new()
        .entry(TarEntry::file("srv/static/select2/i18n/af.js", script("4.0.13")))
        .entry(TarEntry::file("srv/static/select2/i18n/de.js", script("4.0.13")))
        .entry(TarEntry::file("srv/static/select2/select2.full.js", script("4.0.13")))
        .entry(TarEntry::file("srv/old/select2.js", script("4.0.5")));
    let (_layout, image) = open(layer);
    let database = catalog(&image).unwrap();
    let expected = ["pkg:npm/select2@4.0.13", "pkg:npm/select2@4.0.5"].map(str::to_owned);
    assert_eq!(purls(&database, Ecosystem::Javascript), expected.into());
    let counted: Vec<_> =
        database.packages.iter().map(|package| (package.version.as_str(), package.files.len())).collect();
    assert_eq!(counted, [("4.0.13", 3), ("4.0.5", 1)]);
    assert_eq!(database.packages[0].origin.place().0, &common::path("/srv/static/select2/i18n/af.js"));
}

#[test]
fn a_program_of_dotnet_names_what_it_was_linked_with() {
    if !have(&["pip", "python3"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let mut pip = Command::new("pip");
    pip.args(["install", "--quiet", "--no-deps", "--no-compile", "--disable-pip-version-check", "--target"]);
    let output = pip.arg(root.join("opt")).args(["pythonnet==3.0.3"]).output().unwrap();
    if !output.status.success() {
        return skip(&format!("pip install: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let manifest = root.join("opt/pythonnet/runtime/Python.Runtime.deps.json");
    let document: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    let libraries = document["libraries"].as_object().unwrap();
    let expected: BTreeSet<String> =
        libraries.keys().map(|name| format!("pkg:nuget/{}", name.replace('/', "@"))).collect();
    assert_eq!(expected.len(), 19);
    let (_layout, image) = image_of(&root);
    let database = catalog(&image).unwrap();
    assert_eq!(database.problems, []);
    assert_eq!(purls(&database, Ecosystem::Nuget), expected);
    // The library itself belongs to its own component.
    let own = database.packages.iter().find(|package| package.name == "Python.Runtime").unwrap();
    assert!(
        own.files.contains(&common::path("/opt/pythonnet/runtime/Python.Runtime.dll")),
        "{:?}",
        own.files
    );
}

/// Unpacks a wheel of the index, as it came; none (after a skip) where the index cannot be reached.
fn wheel(dir: &Path, distribution: &str) -> Option<PathBuf> {
    let mut pip = Command::new("pip");
    pip.args(["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check"]);
    let output = pip.args(["--dest", dir.to_str().unwrap(), distribution]).output().unwrap();
    if !output.status.success() {
        skip(&format!("pip download: {}", String::from_utf8_lossy(&output.stderr)));
        return None;
    }
    let wheels = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let wheel = wheels.into_iter().find(|path| path.extension().is_some_and(|end| end == "whl")).unwrap();
    let root = dir.join("root");
    run("python3", &["-m", "zipfile", "-e", wheel.to_str().unwrap(), root.to_str().unwrap()]);
    Some(root)
}

/// A wheel, and in it a program that its makers build with `cargo auditable`.
const AUDITABLE: (&str, &str) = ("uv==0.13.9", "uv-0.13.9.data/scripts/uv");

/// Reads the section `.dep-v0` of a program for itself, and prints the crates that are in it.
const CRATES: &str = "\
import json, struct, sys, zlib
data = open(sys.argv[1], 'rb').read()
table, = struct.unpack_from('<Q', data, 0x28)
size, count, names = struct.unpack_from('<HHH', data, 0x3a)
sections = [struct.unpack_from('<IIQQQQ', data, table + n * size) for n in range(count)]
for name, _, _, _, offset, length in sections:
    start = sections[names][4] + name
    if data[start:data.index(b'\\0', start)] == b'.dep-v0':
        for crate in json.loads(zlib.decompress(data[offset:offset + length]))['packages']:
            if crate.get('kind', 'runtime') != 'build':
                print(crate['name'], crate['version'], crate['source'])
";

#[test]
fn the_crates_of_a_real_program_are_those_that_another_reader_finds_in_it() {
    if !have(&["pip", "python3"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let Some(root) = wheel(dir.path(), AUDITABLE.0) else { return };
    let program = root.join(AUDITABLE.1);
    // Python unpacks without permissions.
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let (_layout, image) = image_of(&root);
    let database = catalog(&image).unwrap();
    assert_eq!(database.problems, []);
    let crates = database.packages.iter().filter(|package| package.ecosystem == Ecosystem::Cargo);
    let found: BTreeSet<String> =
        crates.map(|package| format!("{} {}", package.name, package.version)).collect();
    let listed = run("python3", &["-c", CRATES, program.to_str().unwrap()]);
    let listed: BTreeSet<String> =
        listed.lines().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect();
    assert!(listed.len() > 100, "{listed:?}");
    assert_eq!(found, listed);
}
