//! The result as a document: its form, and that it conforms to its schema.
#![expect(clippy::unwrap_used, reason = "tests")]

use careen_report::{Hardening, ImageSummary};
use harden::verify::outputs::OutputDifference;
use harden::{
    CarriedPath, CarryReport, DroppedPath, Evaluation, Generalize, HealCause, HealedPath, LeftOver, Metrics,
    MissingLookup, NewPath, PackageCount, PackageLeft, PackagesLeft, StepEvaluation, StepVerification, Total,
    Trial, TrialVerdict, Verification, VerificationFailure, VerificationVerdict,
};
use image::{Digest, ImagePath};
use jsonschema::{Registry, Validator};
use packages::Ecosystem;
use profile::{
    Compare, Counters, ImageIdentity, Incomplete, Process, Run, SensorReport, StepOutcome, StepResult,
};
use serde_json::{Value, json};

fn path(text: &str) -> ImagePath {
    ImagePath::from_text(text).unwrap()
}

fn run(counters: Counters) -> Run {
    let step = |name: &str, outcome| StepResult {
        name: name.to_owned(),
        outcome,
        allow_failure: false,
        unmet: None,
        compare: Compare::Outcome,
        stdout: "PONG\n".to_owned(),
        stderr: String::new(),
        duration_ms: 12,
    };
    Run {
        coverage: "shop".to_owned(),
        started_at: "2026-01-02T03:04:05Z".to_owned(),
        sensor: SensorReport {
            backend: "ebpf-base".to_owned(),
            kernel: "6.12".to_owned(),
            passed_over: Vec::new(),
            counters,
            verdict: counters.verdict(),
            not_seen: Vec::new(),
        },
        steps: vec![
            step("ping", StepOutcome::Exited { code: 0 }),
            step("slow", StepOutcome::TimedOut),
            step("stop", StepOutcome::Signalled { signal: 15 }),
        ],
        tags: Default::default(),
        carried_from: None,
        activity: None,
    }
}

fn counters() -> Counters {
    Counters {
        seen: 10,
        duplicate: 4,
        emitted: 6,
        received: 6,
        canaries_expected: 2,
        canaries_seen: 2,
        ..Counters::default()
    }
}

fn summary(reference: &str, files: u64) -> ImageSummary {
    ImageSummary {
        reference: reference.to_owned(),
        manifest_digest: Digest::of(reference.as_bytes()),
        image_id: Digest::of(b"config"),
        platform: "linux/arm64/v8".parse().unwrap(),
        metrics: Metrics {
            files,
            uncompressed_bytes: files * 26_000,
            shells: 1,
            shell_paths: vec![path("/usr/bin/dash")],
            privileged_paths: vec![path("/usr/bin/caf\\xe9")],
            ..Metrics::default()
        },
    }
}

fn passed() -> Verification {
    Verification {
        verdict: VerificationVerdict::Passed,
        failures: Vec::new(),
        steps: vec![StepVerification {
            coverage: "shop".to_owned(),
            name: "ping".to_owned(),
            passed: true,
            original: Some(StepOutcome::Exited { code: 0 }),
            hardened: StepOutcome::Exited { code: 0 },
            unmet: None,
            differences: vec![OutputDifference {
                stream: "stdout".to_owned(),
                original: vec!["up for 1 day".to_owned()],
                hardened: vec!["up for 2 days".to_owned()],
                more: 0,
            }],
        }],
        missing_lookups: Vec::new(),
        notes: vec!["coverage night was not run on the hardened image".to_owned()],
    }
}

/// One of everything that can go wrong.
fn failed() -> Verification {
    let coverage = || "shop".to_owned();
    let reasons = [
        Incomplete::Dropped { count: 1 },
        Incomplete::Unbalanced { seen: 9, accounted: 8 },
        Incomplete::Canary { expected: 2, seen: 1 },
        Incomplete::CutOff,
    ];
    let mut failures = vec![
        VerificationFailure::NoRun,
        VerificationFailure::OtherImage,
        VerificationFailure::NoOriginal { coverage: coverage() },
        VerificationFailure::StepNotRun { coverage: coverage(), step: "ping".to_owned() },
    ];
    failures.extend(reasons.map(|reason| VerificationFailure::Incomplete { coverage: coverage(), reason }));
    let mut step = passed().steps.remove(0);
    step.passed = false;
    step.original = None;
    step.hardened = StepOutcome::Signalled { signal: 11 };
    Verification {
        verdict: VerificationVerdict::Failed,
        failures,
        steps: vec![step],
        missing_lookups: vec![MissingLookup {
            path: path("/usr/share/shop/page"),
            removed: path("/usr/share/shop"),
            errnos: vec![2],
            processes: vec![Process { exe: "/usr/bin/shop".to_owned(), argv0: "shop".to_owned() }],
            coverage: coverage(),
            step: "start".to_owned(),
        }],
        notes: Vec::new(),
    }
}

fn hardening(counters: Counters, verification: Option<Verification>) -> Hardening {
    Hardening {
        format_version: careen_report::FORMAT_VERSION,
        careen_version: "0.0.0".to_owned(),
        original: summary("oci:shop", 3490),
        hardened: summary("oci:shop-hardened", 170),
        unchanged: false,
        layers: 2,
        layers_reused: 1,
        packages: PackagesLeft {
            counts: [(Ecosystem::Dpkg, PackageCount { before: 96, after: 26, partial: 1 })].into(),
            left: vec![PackageLeft {
                ecosystem: Ecosystem::Dpkg,
                name: "libssl3".to_owned(),
                version: "3.0.15-1".to_owned(),
                purl: "pkg:deb/debian/libssl3@3.0.15-1?arch=amd64".to_owned(),
                presence: LeftOver::Partial,
                kept_files: 2,
                removed_files: 7,
            }],
        },
        runs: vec![run(counters)],
        verification,
        healed: 1,
        healed_paths: vec![HealedPath {
            path: path("/usr/share/shop/page"),
            round: 1,
            cause: HealCause::LookedUp,
            coverage: "shop".to_owned(),
            step: "ping".to_owned(),
            processes: vec![Process { exe: "/usr/bin/shop".to_owned(), argv0: "shop".to_owned() }],
        }],
        evaluation: None,
        findings: None,
        warnings: vec!["the profile is incomplete".to_owned()],
        carry: Vec::new(),
        report: "shop-hardened.careen/report.html".into(),
        ledger: "shop-hardened.careen/ledger.json.zst".into(),
        profile: "shop-hardened.careen/original.profile".into(),
        attestations: Vec::new(),
    }
}

/// What became of a profile, with every reason.
fn carry() -> CarryReport {
    use harden::{CarryReason, DropReason};
    let moved =
        |why| CarriedPath { from: path("/usr/lib/liba.so.1"), to: vec![path("/usr/lib/liba.so.2")], why };
    let lost = |why| DroppedPath {
        from: path("/usr/bin/shopctl"),
        why,
        packages: if why == DropReason::FileGone { vec!["shop".to_owned()] } else { Vec::new() },
        was_executed: true,
    };
    CarryReport {
        from: ImageIdentity {
            reference: "oci:shop-1.4".to_owned(),
            manifest_digest: Digest::of(b"manifest"),
            image_id: Digest::of(b"old"),
            platform: "linux/amd64".parse().unwrap(),
        },
        used: 20,
        unchanged: 9,
        carried: [
            CarryReason::SamePackage,
            CarryReason::SameName,
            CarryReason::MovedInPackage,
            CarryReason::SameContent,
        ]
        .map(moved)
        .into(),
        uncertain: [CarryReason::Several, CarryReason::OtherPackage, CarryReason::ThereBefore]
            .map(moved)
            .into(),
        dropped: [
            DropReason::PackageGone,
            DropReason::FileGone,
            DropReason::NothingLikeIt,
            DropReason::TooMany,
        ]
        .map(lost)
        .into(),
        new: vec![
            NewPath { path: path("/srv/shop/3.sql"), package: None, kept: true },
            NewPath { path: path("/usr/share/shop/x"), package: Some("shop".to_owned()), kept: false },
        ],
    }
}

/// A step of each fate.
fn evaluation() -> Evaluation {
    let total = |files| Total { files, directories: 2, bytes: files * 1000 };
    let trial = |generalize, verdict| Trial {
        generalize,
        kept: total(20),
        verdict,
        original: Some(StepOutcome::Exited { code: 0 }),
        hardened: (verdict != TrialVerdict::Broken).then_some(StepOutcome::Exited { code: 0 }),
        differences: passed().steps.remove(0).differences,
        missing_lookups: failed().missing_lookups,
        others: vec!["slow".to_owned()],
        failures: failed().failures,
    };
    let step = |name: &str, verdicts: [TrialVerdict; 2]| StepEvaluation {
        name: name.to_owned(),
        cannot: None,
        trials: vec![trial(Generalize::None, verdicts[0]), trial(Generalize::References, verdicts[1])],
    };
    let cannot = StepEvaluation {
        name: "fill".to_owned(),
        cannot: Some("without it the original fails".to_owned()),
        trials: Vec::new(),
    };
    let steps = vec![
        step("ping", [TrialVerdict::Lacks, TrialVerdict::Works]),
        step("slow", [TrialVerdict::Broken, TrialVerdict::Works]),
        cannot,
    ];
    let image = ImageIdentity {
        reference: "oci:shop".to_owned(),
        manifest_digest: Digest::of(b"manifest"),
        image_id: Digest::of(b"config"),
        platform: "linux/arm64/v8".parse().unwrap(),
    };
    let kept = [(Generalize::None, total(30)), (Generalize::References, total(31))];
    Evaluation::new(image, "shop", total(90), &kept, steps)
}

#[test]
fn evaluations_conform_to_the_schema_which_misses_every_field_that_is_taken_away() {
    let schema = schema("evaluation.schema.json");
    let document = serde_json::to_value(evaluation()).unwrap();
    assert_conforms(&schema, &document);
    assert_misses_each_field(&schema, &document);
    assert_eq!(serde_json::from_value::<Evaluation>(document.clone()).unwrap(), evaluation());
    for (at, wrong) in [
        ("/format_version", json!(2)),
        ("/policies/0/generalize", json!("some")),
        ("/steps/0/trials/0/verdict", json!("ok")),
        ("/steps/0/trials", json!([])),
        ("/steps/2/cannot", json!(null)),
    ] {
        let mut changed = document.clone();
        *changed.pointer_mut(at).unwrap() = wrong;
        assert!(!schema.is_valid(&changed), "{at}");
    }
    let mut result = hardening(counters(), Some(passed()));
    result.evaluation = Some(evaluation());
    assert_conforms(&self::schema("result.schema.json"), &serde_json::to_value(result).unwrap());
}

#[test]
fn a_result_without_the_newer_fields_is_read() {
    let mut old = serde_json::to_value(hardening(counters(), None)).unwrap();
    for name in ["healed_paths", "evaluation"] {
        old.as_object_mut().unwrap().remove(name).unwrap();
    }
    let read: Hardening = serde_json::from_value(old).unwrap();
    assert!(read.healed_paths.is_empty() && read.evaluation.is_none());
}

/// The schema of this name; the others are found beside it, as its references say.
fn schema(name: &str) -> Validator {
    let read = |name: &str| -> Value {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/");
        serde_json::from_slice(&std::fs::read(format!("{dir}{name}")).unwrap()).unwrap()
    };
    let mut registry = Registry::new();
    for name in [
        "profile.schema.json",
        "verification.schema.json",
        "evaluation.schema.json",
        "result.schema.json",
        "scan.schema.json",
    ] {
        registry = registry.add(format!("https://formats.invalid/{name}"), read(name)).unwrap();
    }
    let registry = registry.prepare().unwrap();
    jsonschema::options()
        .with_registry(&registry)
        .build(&json!({ "$ref": format!("https://formats.invalid/{name}") }))
        .unwrap()
}

fn assert_conforms(schema: &Validator, document: &Value) {
    let errors: Vec<_> =
        schema.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// Every object in a document, as JSON pointers to its fields.
fn fields(value: &Value, at: &str, out: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                out.push((at.to_owned(), name.clone()));
                fields(value, &format!("{at}/{name}"), out);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                fields(item, &format!("{at}/{index}"), out);
            }
        }
        _ => {}
    }
}

/// Fields whose absence is no error.
const OPTIONAL: [&str; 2] = ["variant", "dpkg"];

/// Takes away one field after the other, wherever it stands, and expects the schema to miss it.
fn assert_misses_each_field(schema: &Validator, document: &Value) {
    let mut all = Vec::new();
    fields(document, "", &mut all);
    for (at, name) in all {
        // The numbers of a reason are for people; the schema names the reasons only.
        let of_a_reason = at.contains("/reason") && name != "reason";
        let owner_of_a_path = at.starts_with("/carry/") && name.starts_with("package");
        if OPTIONAL.contains(&name.as_str()) || of_a_reason || owner_of_a_path {
            continue;
        }
        let mut lacking = document.clone();
        lacking.pointer_mut(&at).unwrap().as_object_mut().unwrap().remove(&name);
        assert!(!schema.is_valid(&lacking), "{at} without {name} is valid");
    }
}

#[test]
fn a_result_as_it_is_written() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&hardening(counters(), Some(passed()))).unwrap());
}

#[test]
fn a_failed_verification_as_it_is_printed() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&failed()).unwrap());
}

#[test]
fn results_conform_to_the_schema_which_misses_every_field_that_is_taken_away() {
    let schema = schema("result.schema.json");
    let lossy = Counters { dropped: 1, ..counters() };
    for (counters, verification) in
        [(counters(), None), (counters(), Some(passed())), (lossy, Some(passed())), (lossy, Some(failed()))]
    {
        let mut result = hardening(counters, verification);
        result.carry = vec![carry()];
        let document = serde_json::to_value(&result).unwrap();
        assert_conforms(&schema, &document);
        assert_misses_each_field(&schema, &document);
        let mut newer = document.clone();
        newer["something_new"] = json!(1);
        assert_conforms(&schema, &newer);
        newer["format_version"] = json!(2);
        assert!(!schema.is_valid(&newer));
    }
}

#[test]
fn verifications_conform_to_the_schema_which_misses_every_field_that_is_taken_away() {
    let schema = schema("verification.schema.json");
    for verification in [passed(), failed()] {
        let document = serde_json::to_value(verification).unwrap();
        assert_conforms(&schema, &document);
        assert_misses_each_field(&schema, &document);
    }
    let mut contradicting = serde_json::to_value(failed()).unwrap();
    contradicting["verdict"] = json!("passed");
    assert!(!schema.is_valid(&contradicting), "failures in a passed verification");
}

#[test]
fn a_result_reads_back_as_it_was_written() {
    let written = serde_json::to_value(hardening(counters(), Some(failed()))).unwrap();
    let read: Hardening = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), written);
}
