//! Documents of made-up and real images, checked against official schemas and by other people's validators.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what cannot be made fails its test; a skip is told"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use careen_sbom as sbom;
use image::{Image, OpenOptions};
use jsonschema::Registry;
use packages::PackageDatabase;
use sbom::{Bill, Format, Lost, Options};
use serde_json::{Value, json};
use testkit::{ImageBuilder, Layout, TarBuilder, TarEntry};

const STATUS: &str = "\
Package: login
Status: install ok installed
Maintainer: Some One <some@one.example>
Architecture: amd64
Version: 1:4.13-1+b1
Source: shadow (1:4.13-1)
Pre-Depends: libc6 (>= 2.36), never-there | awk
Depends: odd:any

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9
Source: glibc

Package: mawk
Status: install ok installed
Architecture: amd64
Version: 1.3.4-1
Provides: awk (= 1)

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
";

/// A Debian image with four packages of dpkg's, of which one is removed, one of pip's and two of npm's.
fn made_up() -> (Layout, Image) {
    let copyright = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n\
                     License: GPL-2+\n\nFiles: x\nLicense: odd words\n";
    let files = [
        (
            "etc/os-release",
            "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nPRETTY_NAME=\"Debian 12\"\n",
        ),
        ("var/lib/dpkg/status", STATUS),
        ("var/lib/dpkg/info/login.list", "/.\n/bin/login\n/usr/share/doc/login/copyright\n"),
        ("var/lib/dpkg/info/libc6:amd64.list", "/lib/libc.so.6\n"),
        ("bin/login", "x"),
        ("lib/libc.so.6", "x"),
        ("usr/share/doc/login/copyright", copyright),
        (
            "usr/lib/python3/site-packages/flask-3.0.dist-info/METADATA",
            "Name: Flask\nVersion: 3.0\nLicense: BSD\nAuthor: Ann\nAuthor-email: ann@a.example\n\
             Requires-Dist: Click_It>=8; python_version >= \"3\"\nRequires-Dist: extra-only; extra == \"x\"\n\n",
        ),
        ("usr/lib/python3/site-packages/click_it-8.dist-info/METADATA", "Name: Click-It\nVersion: 8\n"),
        ("usr/lib/python3/site-packages/extra_only-1.dist-info/METADATA", "Name: extra-only\nVersion: 1\n"),
        (
            "app/node_modules/@a/b/package.json",
            r#"{"name": "@a/b", "version": "1.0.0", "dependencies": {"c": "*"}}"#,
        ),
        (
            "app/node_modules/c/package.json",
            r#"{"name": "c", "version": "2.0.0", "license": "(MIT OR Apache-2.0)"}"#,
        ),
        ("lib2/node_modules/c/package.json", r#"{"name": "c", "version": "2.0.0", "license": "MIT"}"#),
    ];
    let tar =
        files.iter().fold(TarBuilder::new(), |tar, (name, content)| tar.entry(TarEntry::file(name, content)));
    let layout = ImageBuilder::new().layer(tar).oci_layout();
    let image = open(&layout.source());
    (layout, image)
}

fn open(source: &str) -> Image {
    Image::open(&source.parse().unwrap(), &OpenOptions::new()).unwrap()
}

fn options() -> Options {
    let lost = BTreeMap::from([("login".to_owned(), Lost { kept: 1, removed: 7 })]);
    let supplier = Some("Shop <we@shop.example>".into());
    Options { tool_version: "1.2.3".into(), lost, supplier, checksums: true, ..Options::default() }
}

fn written(image: &Image, database: &PackageDatabase, options: &Options, format: Format) -> Vec<u8> {
    let bill = Bill::new(image, database, options).unwrap();
    let mut out = Vec::new();
    sbom::write(&bill, format, &mut out).unwrap();
    out
}

fn document(image: &Image, format: Format) -> Value {
    let database = packages::catalog(image).unwrap();
    serde_json::from_slice(&written(image, &database, &options(), format)).unwrap()
}

fn component<'d>(document: &'d Value, name: &str) -> &'d Value {
    let list = document["components"].as_array().or_else(|| document["packages"].as_array()).unwrap();
    list.iter().find(|component| component["name"] == name).unwrap()
}

fn property<'d>(component: &'d Value, name: &str) -> Option<&'d str> {
    let all = component["properties"].as_array().unwrap();
    all.iter().find(|property| property["name"] == name).and_then(|property| property["value"].as_str())
}

/// The images at hand that were built from real packages.
fn real() -> Vec<(String, Image)> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/images");
    let mut found = Vec::new();
    for name in ["redis", "nginx", "python-flask", "node-express"] {
        let dirs = [root.join(name), cache.join("careen/images").join(name)];
        match dirs.iter().find(|dir| dir.join("index.json").is_file()) {
            Some(dir) => found.push((name.to_owned(), open(&format!("oci:{}", dir.display())))),
            None => skip(&format!("image {name} is not built: cargo xtask images {name}")),
        }
    }
    found
}

fn skip(reason: &str) {
    println!("SKIP {reason}");
    assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here: {reason}");
}

fn cyclonedx_schema() -> jsonschema::Validator {
    let read = |name: &str| -> Value {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/cyclonedx/");
        let bytes = zstd::decode_all(&fs::read(format!("{dir}{name}.schema.json.zst")).unwrap()[..]).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let mut registry = Registry::new();
    for name in ["jsf-0.82", "spdx"] {
        registry =
            registry.add(format!("http://cyclonedx.org/schema/{name}.schema.json"), read(name)).unwrap();
    }
    let registry = registry.prepare().unwrap();
    jsonschema::options().with_registry(&registry).build(&read("bom-1.6")).unwrap()
}

fn conforms(schema: &jsonschema::Validator, document: &Value, what: &str) {
    let errors: Vec<_> =
        schema.iter_errors(document).take(5).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}");
}

#[test]
fn cyclonedx_conforms_to_the_official_schema() {
    let schema = cyclonedx_schema();
    let (_layout, image) = made_up();
    let mut document = document(&image, Format::CycloneDx);
    conforms(&schema, &document, "made up");
    document["components"][0]["type"] = json!("no type");
    assert!(!schema.is_valid(&document));
    for (name, image) in real() {
        conforms(&schema, &self::document(&image, Format::CycloneDx), &name);
    }
}

#[test]
fn our_own_form_conforms_to_its_schema() {
    let text = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/sbom.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&serde_json::from_slice(&text).unwrap()).unwrap();
    let (_layout, image) = made_up();
    let document = document(&image, Format::Json);
    conforms(&schema, &document, "made up");
    assert_eq!(component(&document, "login")["partial"], json!({"kept": 1, "removed": 7}));
    for (name, image) in real() {
        conforms(&schema, &self::document(&image, Format::Json), &name);
    }
}

#[test]
fn the_source_package_stands_in_every_place() {
    let (_layout, image) = made_up();
    let document = document(&image, Format::CycloneDx);
    let login = component(&document, "login");
    assert!(login["purl"].as_str().unwrap().ends_with("&upstream=shadow%401:4.13-1"));
    for (name, value) in [
        ("aquasecurity:trivy:PkgID", "login@1:4.13-1+b1"),
        ("aquasecurity:trivy:PkgType", "debian"),
        ("aquasecurity:trivy:SrcEpoch", "1"),
        ("aquasecurity:trivy:SrcName", "shadow"),
        ("aquasecurity:trivy:SrcRelease", "1"),
        ("aquasecurity:trivy:SrcVersion", "4.13"),
        ("syft:metadata:source", "shadow"),
        ("syft:metadata:sourceVersion", "1:4.13-1"),
        ("syft:package:type", "deb"),
        ("careen:partial", "true"),
        ("careen:files:removed", "7"),
    ] {
        assert_eq!(property(login, name), Some(value), "{name}");
    }
    let spdx = self::document(&image, Format::Spdx2);
    assert_eq!(component(&spdx, "login")["sourceInfo"], "built package from: shadow 1:4.13-1");
}

#[test]
fn needs_that_are_met_become_dependencies() {
    let (_layout, image) = made_up();
    let document = document(&image, Format::CycloneDx);
    let needs = |name: &str| -> BTreeSet<String> {
        let reference = &component(&document, name)["bom-ref"];
        let all = document["dependencies"].as_array().unwrap();
        let entry = all.iter().find(|entry| entry["ref"] == *reference).unwrap();
        let needed = entry["dependsOn"].as_array().unwrap().iter().map(|one| one.as_str().unwrap());
        needed.map(|purl| purl.split(['@', '?']).next().unwrap().to_owned()).collect()
    };
    assert_eq!(needs("login"), ["pkg:deb/debian/libc6", "pkg:deb/debian/mawk"].map(String::from).into());
    assert_eq!(needs("b"), ["pkg:npm/c"].map(String::from).into());
    assert_eq!(needs("mawk"), BTreeSet::new());
    assert_eq!(needs("Flask"), ["pkg:pypi/click-it"].map(String::from).into());
    // Packages of the same purl have names of their own.
    let references: Vec<_> =
        document["components"].as_array().unwrap().iter().map(|one| one["bom-ref"].to_string()).collect();
    assert_eq!(references.iter().collect::<BTreeSet<_>>().len(), references.len());
}

#[test]
fn everything_has_a_supplier_who_can_be_asked() {
    let (_layout, image) = made_up();
    let spdx = document(&image, Format::Spdx2);
    for (name, expected) in [
        ("login", "Organization: Some One (some@one.example)"),
        ("libc6", "Organization: Debian 12"),
        ("Flask", "Organization: Ann (ann@a.example)"),
        ("Click-It", "Organization: PyPI"),
        ("@a/b", "Organization: @a"),
        ("debian", "Organization: Debian 12"),
    ] {
        assert_eq!(component(&spdx, name)["supplier"], expected, "{name}");
    }
    assert_eq!(spdx["packages"][0]["supplier"], "Organization: Shop (we@shop.example)");
    let cyclonedx = document(&image, Format::CycloneDx);
    assert_eq!(cyclonedx["metadata"]["component"]["supplier"]["name"], "Shop");
    assert_eq!(component(&cyclonedx, "libc6")["supplier"], json!({"name": "Debian 12"}));
}

#[test]
fn files_with_their_digests_stand_in_spdx_only_when_asked_for() {
    let (_layout, image) = made_up();
    let spdx = document(&image, Format::Spdx2);
    let files = spdx["files"].as_array().unwrap();
    let login = files.iter().find(|file| file["fileName"] == "./bin/login").unwrap();
    // Of the one byte "x", by sha1sum and sha256sum.
    assert_eq!(login["checksums"][0]["checksumValue"], "11f6ad8ec52a2984abaafd7c3b516503785c2072");
    assert!(login["checksums"][1]["checksumValue"].as_str().unwrap().starts_with("2d711642b726b044"));
    let package = component(&spdx, "login");
    assert_eq!(package["filesAnalyzed"], true);
    let contains = json!({
        "spdxElementId": package["SPDXID"], "relationshipType": "CONTAINS", "relatedSpdxElement": login["SPDXID"],
    });
    assert!(spdx["relationships"].as_array().unwrap().contains(&contains));
    assert_eq!(component(&spdx, "mawk")["filesAnalyzed"], false);

    let database = packages::catalog(&image).unwrap();
    let options = Options { checksums: false, ..options() };
    let plain: Value = serde_json::from_slice(&written(&image, &database, &options, Format::Spdx2)).unwrap();
    assert_eq!(plain["files"], Value::Null);
    assert_eq!(component(&plain, "login")["filesAnalyzed"], false);
}

#[test]
fn licences_are_spdx_where_it_has_a_word() {
    let (_layout, image) = made_up();
    let spdx = document(&image, Format::Spdx2);
    let odd = sbom::licence::reference("odd words");
    assert_eq!(component(&spdx, "login")["licenseDeclared"], format!("GPL-2.0-or-later AND {odd}"));
    assert_eq!(spdx["hasExtractedLicensingInfos"][0]["licenseId"], odd);
    let cyclonedx = document(&image, Format::CycloneDx);
    assert_eq!(
        component(&cyclonedx, "login")["licenses"],
        json!([{"license": {"id": "GPL-2.0-or-later"}}, {"license": {"name": "odd words"}}])
    );
    assert_eq!(component(&cyclonedx, "c")["licenses"], json!([{"expression": "(MIT OR Apache-2.0)"}]));
}

#[test]
fn the_same_image_gives_the_same_bytes() {
    let (layout, image) = made_up();
    let database = packages::catalog(&image).unwrap();
    for format in [Format::CycloneDx, Format::Spdx2, Format::Spdx3, Format::Json, Format::Table] {
        let again = open(&layout.source());
        let other = packages::catalog(&again).unwrap();
        let first = written(&image, &database, &options(), format);
        assert_eq!(first, written(&again, &other, &options(), format));
        let later = Options { created: Some("2030-01-01T00:00:00Z".into()), ..options() };
        assert_eq!(first == written(&image, &database, &later, format), format == Format::Table);
    }
}

#[test]
fn what_is_written_is_read_back() {
    let mut images = real();
    let (_layout, image) = made_up();
    images.push(("made up".into(), image));
    for (name, image) in images {
        let database = packages::catalog(&image).unwrap();
        // A purl has the names of PyPI in lower case.
        let lower = |name: &str| name.to_lowercase();
        let facts = |p: &packages::Package| {
            let source = (lower(&p.source_name), p.source_version.clone());
            (p.ecosystem, lower(&p.name), p.version.clone(), source)
        };
        let expected: BTreeSet<_> = database.installed().map(facts).collect();
        for format in [Format::CycloneDx, Format::Spdx2, Format::Spdx3] {
            let list = sbom::read(&written(&image, &database, &options(), format)).unwrap();
            assert_eq!(list.problems, Vec::<String>::new(), "{name}");
            assert_eq!(list.digest, Some(image.manifest_digest().to_string()), "{name}");
            let os = |os: Option<&packages::OsRelease>| os.map(packages::OsRelease::distro);
            assert_eq!(os(list.os.as_ref()), os(database.os_release.as_ref()), "{name}");
            let found: BTreeSet<_> = list.packages.iter().map(facts).collect();
            let differing: Vec<_> = found.symmetric_difference(&expected).collect();
            assert!(differing.is_empty(), "{name} {format:?}: {differing:?}");
        }
    }
}

/// A Python with the validators that PyPI offers; none (after a skip) where they cannot be had.
fn validators() -> Option<PathBuf> {
    const WANTED: [&str; 4] = [
        "cyclonedx-python-lib[validation]==11.12.0",
        "spdx-tools==0.8.5",
        "ntia-conformance-checker==6.0.0",
        "spdx-python-model==0.0.6",
    ];
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("validators");
    fs::create_dir_all(&dir).unwrap();
    let lock = fs::File::create(dir.join("lock")).unwrap();
    lock.lock().unwrap();
    let python = dir.join("venv/bin/python");
    if dir.join("done").exists() {
        return Some(python);
    }
    let run = |program: &Path, args: &[&str]| {
        Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
    };
    let venv = dir.join("venv").display().to_string();
    let made = run(Path::new("python3"), &["-m", "venv", &venv])
        && run(&python, &[&["-m", "pip", "install", "--quiet"], &WANTED[..]].concat());
    if !made {
        skip("the validators of CycloneDX and SPDX cannot be installed from PyPI");
        return None;
    }
    fs::write(dir.join("done"), "").unwrap();
    Some(python)
}

const CHECK: &str = r#"
import json, sys
cdx, spdx2, spdx3 = sys.argv[1:4]
from cyclonedx.validation.json import JsonStrictValidator
from cyclonedx.schema import SchemaVersion
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(cdx).read())
assert error is None, error
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
messages = validate_full_spdx_document(parse_file(spdx2))
assert not messages, [m.validation_message for m in messages[:5]]
import ntia_conformance_checker as ntia
checker = ntia.SbomChecker(spdx2, compliance="ntia")
for part in ("get_components_without_names", "get_components_without_versions", "get_components_without_identifiers", "get_components_without_suppliers"):
    found = getattr(checker, part)()
    assert not found, (part, found[:5])
assert checker.doc_author and checker.doc_timestamp and checker.dependency_relationships
assert checker.compliant, "NTIA minimum elements"
from spdx_python_model import v3_0_1 as model
objects = model.SHACLObjectSet()
model.JSONLDDeserializer().read(open(spdx3, "rb"), objects)
elements = list(objects.foreach())
assert len(elements) >= len(json.load(open(spdx3))["@graph"]), len(elements)
missing = objects.link()
assert not missing, sorted(missing)[:5]
print("checked")
"#;

#[test]
fn other_peoples_validators_accept_the_documents() {
    let Some(python) = validators() else { return };
    let (_layout, image) = made_up();
    let mut images = vec![("made up".to_owned(), image)];
    images.extend(real().into_iter().take(1));
    for (name, image) in images {
        let database = packages::catalog(&image).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(&python);
        command.args(["-c", CHECK]);
        for (file, format) in [
            ("bom.cdx.json", Format::CycloneDx),
            ("bom.spdx.json", Format::Spdx2),
            ("bom.spdx3.json", Format::Spdx3),
        ] {
            let path = dir.path().join(file);
            fs::write(&path, written(&image, &database, &options(), format)).unwrap();
            command.arg(path);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.trim().ends_with("checked"),
            "{name}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn runtime() -> sbom::operations::RuntimeRecord {
    let used = |is_code, kind: &str, process: &str, order| sbom::operations::UsedFile {
        is_code,
        kinds: BTreeSet::from([kind.to_owned()]),
        processes: BTreeSet::from([process.to_owned()]),
        coverage: "shop".into(),
        step: if order == 0 { "start".into() } else { format!("step {order}") },
        order,
    };
    let path = |text: &str| image::ImagePath::from_absolute(text.as_bytes()).unwrap();
    let files = BTreeMap::from([
        (path("/bin/login"), used(true, "exec", "/bin/login", 1)),
        (path("/lib/libc.so.6"), used(true, "map-exec", "/bin/login", 0)),
        (path("/etc/os-release"), used(false, "open-read", "/bin/login", 2)),
        (path("/not/in/the/image"), used(true, "exec", "/bin/login", 2)),
    ]);
    let run = sbom::operations::RecordedRun {
        coverage: "shop".into(),
        started: "2026-11-22T13:30:00Z".into(),
        sensor: "ebpf-base".into(),
        kernel: "6.18".into(),
        steps: vec!["ask".into()],
    };
    sbom::operations::RuntimeRecord { files, runs: vec![run], complete: true }
}

#[test]
fn only_what_ran_is_in_the_bill_of_operations() {
    let (_layout, image) = made_up();
    let database = packages::catalog(&image).unwrap();
    let options = options();
    let bill = Bill::new(&image, &database, &options).unwrap();
    let mut document = sbom::operations(&bill, &runtime());
    conforms(&cyclonedx_schema(), &document, "operations");
    let names: Vec<&str> = document["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|component| component["name"].as_str().unwrap())
        .collect();
    // mawk and the packages of languages did not run; a file of nobody did.
    assert_eq!(names, ["libc6", "login", "/etc/os-release"]);
    assert_eq!(document["metadata"]["lifecycles"], json!([{"phase": "operations"}]));
    let libc = component(&document, "libc6");
    assert_eq!(property(libc, "careen:heat"), Some("hot"));
    assert_eq!(property(libc, "careen:first-step"), Some("start"));
    let context = "map-exec by /bin/login; first in step start of coverage shop";
    assert_eq!(libc["evidence"]["occurrences"][0]["additionalContext"], context);
    assert_eq!(property(component(&document, "/etc/os-release"), "careen:heat"), Some("warm"));
    let login = component(&document, "login")["bom-ref"].clone();
    let needs =
        document["dependencies"].as_array().unwrap().iter().find(|entry| entry["ref"] == login).unwrap();
    assert_eq!(needs["dependsOn"].as_array().unwrap().len(), 2);
    assert_eq!(sbom::operations(&bill, &runtime()), document);
    document["metadata"]["lifecycles"][0]["phase"] = json!("running");
    assert!(!cyclonedx_schema().is_valid(&document));
}

#[test]
fn a_runtime_trace_has_the_digests_of_files_as_they_are_in_the_image() {
    let (_layout, image) = made_up();
    let database = packages::catalog(&image).unwrap();
    let options = options();
    let bill = Bill::new(&image, &database, &options).unwrap();
    let trace = sbom::runtime_trace(&bill, &runtime()).unwrap();
    assert_eq!(trace["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(trace["subject"][0]["digest"]["sha256"], image.manifest_digest().hex());
    assert_eq!(trace["predicateType"], "https://in-toto.io/attestation/runtime-trace/v0.1");
    let log = &trace["predicate"]["monitorLog"];
    let files = log["fileAccess"].as_array().unwrap();
    assert_eq!(files.len(), 3);
    assert_eq!(files[0]["name"], "/bin/login");
    assert_eq!(files[0]["digest"]["sha256"], image::Digest::of(b"x").hex());
    assert_eq!(log["process"][0]["processBinary"], "/bin/login");
    assert_eq!(log["process"][0]["firstStep"], "start");
}
