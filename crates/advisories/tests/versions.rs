//! The orders of versions against the vectors of others and against the tools whose orders they are.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use careen_advisories::version::{Scheme, compare};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// Which vectors belong to which scheme, with the number of comparisons in them.
const VECTORS: &[(&str, Scheme, usize)] = &[
    ("alpine-versions-generated.txt", Scheme::Apk, 13_979),
    ("alpine-versions.txt", Scheme::Apk, 0),
    ("cran-versions-generated.txt", Scheme::Dotted, 57),
    ("cran-versions.txt", Scheme::Dotted, 0),
    ("debian-versions-generated.txt", Scheme::Debian, 14_442),
    ("debian-versions.txt", Scheme::Debian, 0),
    ("hackage-versions.txt", Scheme::Dotted, 0),
    ("maven-versions-generated.txt", Scheme::Maven, 14_752),
    ("maven-versions.txt", Scheme::Maven, 0),
    ("nuget-versions.txt", Scheme::Nuget, 0),
    ("packagist-versions-generated.txt", Scheme::Composer, 10_630),
    ("packagist-versions.txt", Scheme::Composer, 0),
    ("pub-versions.txt", Scheme::Pub, 0),
    ("pypi-versions-generated.txt", Scheme::Pep440, 12_375),
    ("pypi-versions.txt", Scheme::Pep440, 0),
    ("redhat-versions.txt", Scheme::Rpm, 0),
    ("rubygems-versions-generated.txt", Scheme::Gem, 4_098),
    ("rubygems-versions.txt", Scheme::Gem, 0),
    ("semver-versions.txt", Scheme::Semver, 0),
];

/// The files of the archive, by name.
fn vectors() -> BTreeMap<String, String> {
    let packed = include_bytes!("data/versions/osv-semantic-versions.tar.zst");
    let mut decoder = zstd::stream::read::Decoder::new(&packed[..]).unwrap();
    decoder.window_log_max(27).unwrap();
    let mut tar = Vec::new();
    std::io::Read::read_to_end(&mut decoder, &mut tar).unwrap();
    let mut files = BTreeMap::new();
    let mut rest = &tar[..];
    while rest.len() > 512 && rest[0] != 0 {
        let field = |range: std::ops::Range<usize>| {
            let text = std::str::from_utf8(&rest[range]).unwrap();
            text.trim_end_matches(['\0', ' ']).to_owned()
        };
        let size = usize::from_str_radix(&field(124..136), 8).unwrap();
        let name = field(0..100);
        if let Some(name) =
            name.strip_prefix("semantic/testdata/").or(name.strip_prefix("./semantic/testdata/"))
            && name.ends_with(".txt")
        {
            files.insert(name.to_owned(), String::from_utf8(rest[512..512 + size].to_vec()).unwrap());
        }
        rest = &rest[512 + size.next_multiple_of(512)..];
    }
    files
}

#[test]
fn every_vector_of_every_ecosystem_holds() {
    let files = vectors();
    let known: Vec<&str> = VECTORS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(files.keys().map(String::as_str).collect::<Vec<_>>(), known);
    let (mut wrong, mut total) = (Vec::new(), 0);
    for (name, scheme, expected) in VECTORS {
        let mut held = 0;
        for line in files[*name].lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') || line.starts_with("//") {
                continue;
            }
            let mut words = line.split_whitespace();
            let (a, sign, b) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            let order = match sign {
                "<" => Ordering::Less,
                "=" => Ordering::Equal,
                ">" => Ordering::Greater,
                other => panic!("{name}: {other}"),
            };
            held += 1;
            let got = compare(*scheme, a, b);
            if got != order || compare(*scheme, b, a) != order.reverse() {
                wrong.push(format!("{name}: {line}, not {got:?}"));
            }
        }
        assert!(held > 0 && (*expected == 0 || held == *expected), "{name}: {held} lines");
        total += held;
    }
    assert!(
        wrong.is_empty(),
        "{} of {total} wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(60)].join("\n")
    );
}

/// Pairs of strings that match `regex`, always the same ones.
fn pairs(regex: &str, count: usize) -> Vec<(String, String)> {
    let mut runner = TestRunner::deterministic();
    let strategy =
        (proptest::string::string_regex(regex).unwrap(), proptest::string::string_regex(regex).unwrap());
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// Whether this program is there; says so if not.
fn have(program: &str) -> bool {
    let found =
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    assert!(found || std::env::var_os("CAREEN_NO_SKIP").is_none(), "{program} is not installed");
    if !found {
        eprintln!("SKIP {program} is not installed");
    }
    found
}

/// What a program prints for this script.
fn output(program: &str, arguments: &[&str], script: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let script = script.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn check(scheme: Scheme, pairs: &[(String, String)], answers: &str) {
    let answers: Vec<&str> = answers.split_whitespace().collect();
    assert_eq!(answers.len(), pairs.len());
    for ((a, b), answer) in pairs.iter().zip(answers) {
        let expected = match answer {
            "-1" => Ordering::Less,
            "0" => Ordering::Equal,
            "1" => Ordering::Greater,
            other => panic!("{other}"),
        };
        assert_eq!(compare(scheme, a, b), expected, "{a} and {b}");
    }
}

#[test]
fn random_versions_are_ordered_as_dpkg_orders_them() {
    if !have("dpkg") {
        return;
    }
    let pairs = pairs("([0-9]:)?[0-9](0|1|a|b|Z|[.+~-]){0,7}[01abZ]", 600);
    let mut script = String::new();
    for (a, b) in &pairs {
        script += &format!(
            "if dpkg --compare-versions '{a}' lt '{b}'; then echo -1; \
             elif dpkg --compare-versions '{a}' eq '{b}'; then echo 0; else echo 1; fi\n"
        );
    }
    check(Scheme::Debian, &pairs, &output("sh", &[], &script));
}

#[test]
fn random_versions_are_ordered_as_rpm_orders_them() {
    if !have("rpm") {
        return;
    }
    let pairs = pairs("[0-9a](0|1|a|b|Z|[.+~^_]){0,9}", 4_000);
    let calls: Vec<String> =
        pairs.iter().map(|(a, b)| format!("print(rpm.vercmp('{a}','{b}')..' ')")).collect();
    let answers: String = calls
        .chunks(200)
        .map(|chunk| output("rpm", &["--eval", &format!("%{{lua:{}}}", chunk.join(";"))], ""))
        .collect();
    check(Scheme::Rpm, &pairs, &answers);
}

/// Needs Python's `packaging`, of which pip carries a copy.
#[test]
fn random_versions_are_ordered_as_python_orders_them() {
    const SCRIPT: &str = "
import sys
try:
    from packaging.version import Version
except ImportError:
    from pip._vendor.packaging.version import Version
for line in open(0):
    a, b = map(Version, line.split())
    print((a > b) - (a < b))
";
    if !have("python3") {
        return;
    }
    let regex = "(1!)?[0-2](\\.[0-2]){0,2}([._-]?(a|b|rc|pre|alpha|c)[._-]?[0-2]?)?(-[12]|[._-]?(post|r|rev)[0-2]?)?\
                 ([._-]?dev[0-2]?)?(\\+[0-2a-c]([._-][0-2a-c]){0,2})?";
    let pairs = pairs(regex, 4_000);
    let lines: String = pairs.iter().map(|(a, b)| format!("{a} {b}\n")).collect();
    let answers = output("python3", &["-c", SCRIPT], &lines);
    if answers.is_empty() {
        assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "Python has no packaging");
        eprintln!("SKIP Python has no packaging");
        return;
    }
    check(Scheme::Pep440, &pairs, &answers);
}
