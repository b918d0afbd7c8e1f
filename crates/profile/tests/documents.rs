//! The profile as a document: its form, its schema, its round trip, its merging, and bytes that are no profile.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use careen_profile as profile;
use image::{Digest, ImagePath, Platform};
use profile::file::ParseProfileError;
use profile::{
    AccessKind, Activity, CapabilityUse, Compare, Counters, Endpoint, FewSet, FileFacts, ImageIdentity,
    Incomplete, MergeError, Observation, PackageFiles, Process, Profile, ReadLimits, Run, SensorReport,
    Started, Step, StepOutcome, StepResult, Verdict, merge,
};
use proptest::prelude::*;

fn path(text: &str) -> ImagePath {
    ImagePath::from_text(text).unwrap()
}

fn identity() -> ImageIdentity {
    ImageIdentity {
        reference: "oci:shop".to_owned(),
        manifest_digest: Digest::of(b"manifest"),
        image_id: Digest::of(b"config"),
        platform: Platform { os: "linux".to_owned(), architecture: "amd64".to_owned(), variant: None },
    }
}

fn counters() -> Counters {
    Counters {
        seen: 9,
        duplicate: 5,
        emitted: 4,
        received: 4,
        canaries_expected: 2,
        canaries_seen: 2,
        snapshot_files: 3,
        ..Counters::default()
    }
}

fn step(name: &str, outcome: StepOutcome) -> StepResult {
    StepResult {
        name: name.to_owned(),
        outcome,
        allow_failure: false,
        unmet: None,
        compare: Compare::Outcome,
        stdout: "OK\n".to_owned(),
        stderr: String::new(),
        duration_ms: 12,
    }
}

fn run(coverage: &str, counters: Counters) -> Run {
    Run {
        coverage: coverage.to_owned(),
        started_at: "2026-11-22T13:30:00Z".to_owned(),
        sensor: SensorReport {
            backend: "ebpf-base".to_owned(),
            kernel: "6.18.5".to_owned(),
            passed_over: Vec::new(),
            counters,
            verdict: counters.verdict(),
            not_seen: Vec::new(),
        },
        steps: vec![
            step("set and get", StepOutcome::Exited { code: 0 }),
            step("slow", StepOutcome::TimedOut),
            step("stop", StepOutcome::Signalled { signal: 15 }),
        ],
        tags: BTreeSet::new(),
        carried_from: None,
        activity: None,
    }
}

fn observation(text: &str, kind: AccessKind, errno: i32, exe: &str, step: u32) -> Observation {
    let process = Process { exe: exe.to_owned(), argv0: exe.rsplit('/').next().unwrap().to_owned() }.into();
    Observation { path: path(text), kind, errno, process, step: Step(step) }
}

fn shop() -> Profile {
    let observations = [
        observation("/usr/bin/shop", AccessKind::Exec, 0, "/usr/bin/shop", 0),
        observation("/usr/lib/libc.so.6", AccessKind::MapExec, 0, "/usr/bin/shop", 0),
        observation("/usr/lib/libc.so.6", AccessKind::MapExec, 0, "/usr/bin/get", 1),
        observation("/usr/lib/libc.so.6", AccessKind::OpenRead, 0, "/usr/bin/get", 1),
        observation("/etc/shop.conf", AccessKind::Missing, 2, "/usr/bin/shop", 3),
        observation("/etc/shop.conf", AccessKind::Missing, 20, "/usr/bin/get", 2),
        observation("/srv/caf\\xe9", AccessKind::Stat, 0, "/usr/bin/get", 2),
    ];
    Profile::from_run(identity(), run("shop", counters()), &BTreeSet::from(observations))
}

/// A profile with all that is optional: a package, tags, a run of another version, uses in two runs.
fn annotated() -> Profile {
    let mut first = shop();
    first.runs[0].tags = BTreeSet::from(["ci".to_owned(), "load-test".to_owned()]);
    first.surroundings.packages.insert(PackageFiles {
        name: "libc6".to_owned(),
        version: "2.36-9".to_owned(),
        architecture: "amd64".to_owned(),
        files: BTreeSet::from([path("/usr/lib/libc.so.6"), path("/usr/lib/libm.so.6")]),
    });
    first.runs[0].activity = Some(activity());
    first.runs[0].sensor.not_seen = vec!["io_uring".to_owned()];
    let facts = FileFacts { size_bytes: 7, digest: Some(Digest::of(b"libc")) };
    first.surroundings.files.insert(path("/usr/lib/libc.so.6"), facts);
    first.surroundings.unowned.insert(path("/usr/bin/shop"));
    let mut second = shop();
    second.runs[0].carried_from = Some(identity());
    second.carried.insert(path("/usr/lib/libc.so.6"), path("/lib/libc.so.5"));
    merge(&[first, second]).unwrap()
}

fn activity() -> Activity {
    let started = |parent, exe: &str| Started {
        parent,
        exe: exe.to_owned(),
        argv: vec![exe.to_owned(), "-d".to_owned()],
        users: BTreeSet::from([0, 33]),
        count: 2,
        forks: 0,
        first_step: Step(1),
    };
    let endpoint = Endpoint {
        protocol: "tcp".to_owned(),
        address: "::1".parse().unwrap(),
        port: 80,
        program: "/usr/bin/shop".to_owned(),
    };
    let used = CapabilityUse { granted: BTreeSet::from(["chown".to_owned()]), denied: BTreeSet::new() };
    Activity {
        system_calls: BTreeMap::from([("x86_64".to_owned(), BTreeSet::from(["openat".to_owned()]))]),
        capabilities: Some(BTreeMap::from([("CAP_CHOWN".to_owned(), used)])),
        listening: BTreeSet::from([endpoint]),
        connections: BTreeSet::new(),
        processes: vec![started(None, "/bin/sh"), started(Some(0), "/usr/bin/shop")],
        cut: BTreeSet::from(["processes".to_owned()]),
    }
}

fn json(profile: &Profile) -> serde_json::Value {
    serde_json::from_slice(&profile.to_json().unwrap()).unwrap()
}

fn schema() -> jsonschema::Validator {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/profile.schema.json");
    let schema = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn chain(error: &dyn Error) -> String {
    let mut messages = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        messages.push(error.to_string());
        source = error.source();
    }
    messages.join(": ")
}

#[test]
fn a_profile_as_it_is_written() {
    insta::assert_snapshot!(String::from_utf8(shop().to_json().unwrap()).unwrap());
}

#[test]
fn what_is_written_conforms_to_the_schema_and_what_is_wrong_does_not() {
    let schema = schema();
    let lossy =
        Profile::from_run(identity(), run("lossy", Counters { dropped: 1, ..counters() }), &BTreeSet::new());
    for profile in [shop(), annotated(), lossy] {
        let document = json(&profile);
        let errors: Vec<_> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    let edits: [(&str, serde_json::Value); 11] = [
        ("/runs/0/activity/listening/0/port", 65_536.into()),
        ("/runs/0/activity/processes/0/users", serde_json::json!([0, 0])),
        ("/surroundings/packages/0/files", serde_json::json!(["usr/lib/libc.so.6"])),
        ("/runs/0/tags", serde_json::json!(["ci", "ci"])),
        ("/carried/~1usr~1lib~1libc.so.6", "libc.so.5".into()),
        ("/format_version", 2.into()),
        ("/image/image_id", "sha256:00".into()),
        ("/paths/~1usr~1bin~1shop/exec/errnos", serde_json::json!([2])),
        ("/paths/~1etc~1shop.conf/missing/errnos", serde_json::json!([])),
        ("/runs/0/sensor/verdict", "incomplete".into()),
        ("/runs/0/steps/0/outcome", "gone".into()),
    ];
    for (pointer, value) in edits {
        let mut document = json(&annotated());
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[key] = value;
        assert!(!schema.is_valid(&document), "{pointer}");
    }
}

#[test]
fn what_was_done_beyond_files_is_kept_by_run_and_a_parent_comes_first() {
    let profile = annotated();
    let read = Profile::from_json(&profile.to_json().unwrap()).unwrap();
    assert_eq!(read.runs[0].activity, Some(activity()));
    assert_eq!(read.runs[1].activity, None);
    assert_eq!(
        (&read.runs[0].sensor.not_seen[..], read.runs[1].sensor.not_seen.len()),
        (&["io_uring".to_owned()][..], 0)
    );
    let mut document = json(&profile);
    document["runs"][0]["activity"]["processes"][0]["parent"] = 0.into();
    let error = Profile::from_json(document.to_string().as_bytes()).unwrap_err();
    let message = "field runs[0].activity.processes[0].parent refers to process 0, but there are 0";
    assert_eq!(error.to_string(), message);
}

#[test]
fn questions_are_answered() {
    let profile = shop();
    assert!(profile.verdict().is_complete());
    let uses = |name| {
        profile.first_used_in(name).map(|(path, kind, _)| format!("{path} {kind}")).collect::<Vec<_>>()
    };
    assert_eq!(uses("start"), ["/usr/bin/shop exec", "/usr/lib/libc.so.6 map-exec"]);
    assert_eq!(uses("set and get"), ["/usr/lib/libc.so.6 open-read"]);
    assert_eq!(uses("slow"), ["/etc/shop.conf missing", "/srv/caf\\xe9 stat"]);
    assert_eq!(uses("nothing"), Vec::<String>::new());
    assert_eq!(profile.used().count(), 3);
    let (missing, usage) = profile.missing().next().unwrap();
    assert_eq!((missing, &usage.errnos), (&path("/etc/shop.conf"), &FewSet::from([2, 20])));
    assert_eq!(profile.first_step_name(usage), "slow");
    let exes: Vec<_> = profile.processes_of(usage).map(|process| process.exe.as_str()).collect();
    assert_eq!(exes, ["/usr/bin/get", "/usr/bin/shop"]);
    let totals: Vec<_> =
        profile.totals().into_iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    assert_eq!(totals, ["exec 1", "map-exec 1", "open-read 1", "stat 1", "missing 1"]);
}

#[test]
fn one_run_with_a_loss_makes_the_merged_profile_incomplete() {
    let lossy = Profile::from_run(
        identity(),
        run("lossy", Counters { seen: 10, dropped: 1, ..counters() }),
        &BTreeSet::new(),
    );
    let merged = merge(&[shop(), lossy]).unwrap();
    assert_eq!(merged.verdict().reasons(), [Incomplete::Dropped { count: 1 }]);
    assert_eq!(merge(&[shop(), shop()]).unwrap().verdict(), Verdict::Complete);
}

#[test]
fn a_document_that_calls_itself_complete_is_not_believed_against_its_counters() {
    let mut profile = shop();
    profile.runs[0].sensor.counters.dropped = u64::MAX;
    assert!(!profile.verdict().is_complete());
    profile.runs.clear();
    assert!(!profile.verdict().is_complete());
}

#[test]
fn only_profiles_of_one_image_are_merged() {
    assert_eq!(merge(&[]), Err(MergeError::Empty));
    let mut other = shop();
    other.image.image_id = Digest::of(b"other");
    let error = merge(&[shop(), shop(), other]).unwrap_err();
    assert!(matches!(error, MergeError::DifferentImages { position: 3, .. }), "{error}");
    let mut renamed = shop();
    renamed.image.reference = "oci:elsewhere".to_owned();
    assert!(merge(&[shop(), renamed]).is_ok());
}

#[test]
fn tags_select_runs_and_what_they_used() {
    let tagged = |tag: &str, uses: &[Observation]| {
        let mut run = run(tag, counters());
        run.tags = BTreeSet::from([tag.to_owned()]);
        Profile::from_run(identity(), run, &uses.iter().cloned().collect())
    };
    let shared = observation("/both", AccessKind::OpenRead, 0, "/bin/a", 1);
    let night = [observation("/night", AccessKind::Stat, 0, "/bin/b", 2), shared.clone()];
    let (ci, night) = (tagged("ci", std::slice::from_ref(&shared)), tagged("night", &night));
    let all = merge(&[ci.clone(), night.clone(), shop()]).unwrap();
    assert_eq!(all.tags(), BTreeSet::from(["ci", "night"]));
    let select = |tags: &[&str]| all.tagged(&tags.iter().map(|tag| (*tag).to_owned()).collect());
    assert_eq!(select(&[]).unwrap(), all);
    assert_eq!(select(&["ci"]).unwrap(), ci);
    // What an earlier run saw first is not lost for a later one.
    assert_eq!(select(&["night"]).unwrap(), night);
    assert_eq!(select(&["ci", "night", "other"]).unwrap(), merge(&[ci, night]).unwrap());
    assert_eq!(select(&["other"]), None);
}

#[test]
fn bytes_that_are_no_profile_are_refused_with_the_field_at_fault() {
    let good = String::from_utf8(shop().to_json().unwrap()).unwrap();
    let edited = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    let cases = [
        ("nothing", String::new()),
        ("no JSON", "profile".to_owned()),
        ("cut", good[..good.len() / 2].to_owned()),
        ("no version", "{}".to_owned()),
        ("next version", edited("\"format_version\": 1", "\"format_version\": 2")),
        ("wrong type", edited("\"duration_ms\": 12", "\"duration_ms\": \"12\"")),
        ("unknown kind", edited("\"map-exec\"", "\"mapped\"")),
        ("bad digest", edited("sha256:", "sha512:")),
        ("path that leaves", edited("\"/usr/bin/shop\": {", "\"/../bin/shop\": {")),
        ("path twice", edited("\"/etc/shop.conf\"", "\"/usr/bin/shop\"")),
        (
            "no such process",
            edited("\"processes\": [\n          0,\n          1", "\"processes\": [\n 0,\n 7"),
        ),
        ("no such run", edited("\"first_run\": 0", "\"first_run\": 1")),
        ("no such step", edited("\"first_step\": 2", "\"first_step\": 4")),
        (
            "a later run that is none",
            edited("\"first_step\": 2,", "\"first_step\": 2, \"also_in\": {\"0\": 0},"),
        ),
        ("errnos of a use", edited("\"stat\"", "\"missing\"")),
    ];
    let report: Vec<_> = cases
        .iter()
        .map(|(name, text)| {
            let error = Profile::from_bytes(text.as_bytes(), &ReadLimits::default()).unwrap_err();
            let hint = error.hint().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
            format!("{name}: {}{hint}", chain(&error))
        })
        .collect();
    insta::assert_snapshot!(report.join("\n"));
}

#[test]
fn byte_limits_hold_at_the_bound_and_one_past_it() {
    let profile = shop();
    let (stored, document) = (profile.to_bytes().unwrap(), profile.to_json().unwrap());
    let read = |file_bytes: usize, document_bytes: usize| {
        let limits = ReadLimits { file_bytes: file_bytes as u64, document_bytes: document_bytes as u64 };
        Profile::from_bytes(&stored, &limits)
    };
    assert_eq!(read(stored.len(), document.len()).unwrap(), profile);
    for result in [read(stored.len() - 1, document.len()), read(stored.len(), document.len() - 1)] {
        assert!(matches!(result, Err(ParseProfileError::TooLarge { .. })), "{result:?}");
    }
}

#[test]
fn broken_zstd_is_refused() {
    let stored = shop().to_bytes().unwrap();
    let mut flipped = stored.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for bytes in [&stored[..stored.len() - 1], &stored[..5], &flipped] {
        let error = Profile::from_bytes(bytes, &ReadLimits::default()).unwrap_err();
        assert!(matches!(error, ParseProfileError::Decompress(_)), "{error:?}");
    }
}

#[test]
fn files_are_replaced_as_a_whole_and_errors_name_them() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shop.profile");
    shop().write(&file).unwrap();
    shop().write(&file).unwrap();
    assert_eq!(Profile::read(&file).unwrap(), shop());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);

    let error = Profile::read(&directory.path().join("absent")).unwrap_err();
    assert!(error.hint().unwrap().starts_with("record one first,"));
    let error = shop().write(&directory.path().join("no/such/directory")).unwrap_err();
    assert!(error.to_string().ends_with("no/such/directory"), "{error}");
    std::fs::write(&file, "{\"format_version\": 9}").unwrap();
    let error = Profile::read(&file).unwrap_err();
    assert!(chain(&error).ends_with("its format version is 9, this build reads 1"), "{}", chain(&error));
    assert!(error.hint().unwrap().contains("newer"));
    // A device is written to, never replaced.
    shop().write(std::path::Path::new("/dev/null")).unwrap();
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn reasons_say_one_and_several() {
    let said = [
        (Incomplete::Dropped { count: 1 }, "1 event was dropped"),
        (Incomplete::Dropped { count: 1200 }, "1,200 events were dropped"),
        (Incomplete::Faulted { count: 1 }, "1 path could not be read"),
        (Incomplete::Skipped { count: 1 }, "the kernel skipped the sensor 1 time"),
        (Incomplete::Unreceived { emitted: 1, received: 0 }, "1 event was emitted, 0 received"),
        (Incomplete::Snapshot { count: 1 }, "1 file in use was not in the record"),
        (Incomplete::Canary { expected: 2, seen: 1 }, "of 2 canaries 1 was seen"),
    ];
    for (reason, words) in said {
        assert_eq!(reason.to_string(), words);
    }
}

fn any_observation() -> impl Strategy<Value = Observation> {
    let kinds = prop::sample::select(vec![
        AccessKind::Exec,
        AccessKind::OpenRead,
        AccessKind::Stat,
        AccessKind::Missing,
    ]);
    let paths =
        prop::collection::vec(prop_oneof![Just(b'a'), Just(b'/'), Just(b'\\'), Just(0xff), 1u8..], 0..6);
    (paths, kinds, 1..3i32, 0..3u8, 0..=3u32).prop_filter_map("no path", |(bytes, kind, errno, exe, step)| {
        let errno = if kind == AccessKind::Missing { errno } else { 0 };
        let path = ImagePath::from_absolute(&bytes).ok()?;
        let process = Process { exe: format!("/bin/{exe}"), argv0: exe.to_string() }.into();
        Some(Observation { path, kind, errno, process, step: Step(step) })
    })
}

fn any_profile() -> impl Strategy<Value = Profile> {
    (prop::collection::btree_set(any_observation(), 0..12), 0..100u64).prop_map(|(observations, n)| {
        Profile::from_run(identity(), run(&format!("run {n}"), counters()), &observations)
    })
}

/// A profile without what follows the order of its runs.
fn unordered(profile: &Profile) -> Profile {
    let mut profile = profile.clone();
    profile.runs.sort_by(|a, b| a.coverage.cmp(&b.coverage));
    for usage in profile.paths.values_mut().flat_map(|usages| usages.0.values_mut()) {
        usage.first_run = 0;
        usage.first_step = Step(0);
        usage.also_in.clear();
    }
    profile
}

proptest! {
    #[test]
    fn profiles_round_trip(profile in any_profile()) {
        let bytes = profile.to_bytes().unwrap();
        prop_assert_eq!(Profile::from_bytes(&bytes, &ReadLimits::default()).unwrap(), profile);
    }

    #[test]
    fn merging_is_associative(a in any_profile(), b in any_profile(), c in any_profile()) {
        let flat = merge(&[a.clone(), b.clone(), c.clone()]).unwrap();
        let left = merge(&[merge(&[a.clone(), b.clone()]).unwrap(), c.clone()]).unwrap();
        let right = merge(&[a, merge(&[b, c]).unwrap()]).unwrap();
        prop_assert_eq!(&flat, &left);
        prop_assert_eq!(&flat, &right);
        let bytes = flat.to_bytes().unwrap();
        prop_assert_eq!(Profile::from_bytes(&bytes, &ReadLimits::default()).unwrap(), flat);
    }

    #[test]
    fn merging_is_commutative_but_for_the_order_of_runs(a in any_profile(), b in any_profile()) {
        let one = merge(&[a.clone(), b.clone()]).unwrap();
        let other = merge(&[b, a]).unwrap();
        prop_assert_eq!(unordered(&one), unordered(&other));
    }

    #[test]
    fn merging_one_changes_nothing(a in any_profile()) {
        prop_assert_eq!(merge(std::slice::from_ref(&a)).unwrap(), a);
    }

    #[test]
    fn hostile_bytes_are_an_error_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Profile::from_bytes(&bytes, &ReadLimits::default());
        let _ = Profile::from_bytes(&[&[0x28, 0xb5, 0x2f, 0xfd], &bytes[..]].concat(), &ReadLimits::default());
    }

    #[test]
    fn a_document_with_bytes_changed_never_panics(at in 0..4000usize, byte in 0x20u8..0x7f) {
        let mut document = shop().to_json().unwrap();
        let at = at % document.len();
        document[at] = byte;
        if let Ok(profile) = Profile::from_bytes(&document, &ReadLimits::default()) {
            let _ = profile.verdict();
            let _ = merge(&[profile.clone(), profile]);
        }
    }
}
