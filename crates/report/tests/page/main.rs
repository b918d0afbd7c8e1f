//! The page in a real browser: it draws, it searches, and names from an image stay text.
#![expect(clippy::unwrap_used, reason = "tests")]

mod browser;
mod large;

use std::collections::{BTreeMap, BTreeSet};

use careen_report::{Findings, Hardening, ImageSummary, Parts};
use harden::{
    CarriedPath, CarryReason, CarryReport, Decision, DropReason, DroppedPath, Evidence, Ledger, LedgerEntry,
    Metrics, PathKind, Policy, Rule,
};
use image::{Digest, ImagePath, Platform};
use profile::{AccessKind, Counters, ImageIdentity, Process, Run, SensorReport, StepOutcome, StepResult};
use serde_json::json;

use browser::Browser;

fn platform() -> Platform {
    "linux/amd64".parse().unwrap()
}

fn path(text: &str) -> ImagePath {
    ImagePath::from_absolute(text.as_bytes()).unwrap()
}

fn entry(decision: Decision, rule: Rule, size_bytes: u64) -> LedgerEntry {
    LedgerEntry {
        decision,
        rule,
        because: None,
        evidence: None,
        packages: vec!["redis-server".into()],
        kind: PathKind::File,
        size_bytes,
        layer: 0,
    }
}

/// A ledger with a chain of reasons, many removed files, and names that would do harm as markup.
fn ledger() -> Ledger {
    let mut entries = BTreeMap::new();
    let mut server = entry(Decision::Keep, Rule::Observed, 4_000_000);
    server.evidence = Some(Evidence {
        kinds: BTreeSet::from([AccessKind::Exec]),
        processes: BTreeSet::from([Process { exe: "/usr/sbin/gosu".into(), argv0: "gosu".into() }]),
        coverage: "redis".into(),
        step: "start".into(),
        carried_from: None,
    });
    entries.insert(path("/usr/bin/redis-server"), server);
    let mut library = entry(Decision::Keep, Rule::ElfNeeded, 3_000_000);
    library.because = Some(path("/usr/bin/redis-server"));
    entries.insert(path("/usr/lib/libssl.so.3"), library);
    for number in 0..450 {
        entries.insert(
            path(&format!("/usr/share/unused/{number:03}")),
            entry(Decision::Remove, Rule::Unused, 10),
        );
    }
    entries.insert(
        path("/opt/<img src=x onerror=document.title='hacked'>"),
        entry(Decision::Remove, Rule::Unused, 1),
    );
    entries.insert(
        path(
            "/opt/<\u{2f}script><script>document.title='hacked'<\u{2f}script>"
                .replace('/', "\u{2215}")
                .as_str(),
        ),
        entry(Decision::Remove, Rule::Unused, 1),
    );
    Ledger { format_version: 1, image: identity(), policy: Policy::default(), entries }
}

fn identity() -> ImageIdentity {
    ImageIdentity {
        reference: "oci:redis".into(),
        manifest_digest: Digest::of(b"manifest"),
        image_id: Digest::of(b"config"),
        platform: platform(),
    }
}

/// A step that is broken under one policy and works under the one of the ledger, and one that could not be left out.
fn evaluation() -> harden::Evaluation {
    use harden::{Generalize, StepEvaluation, Total, Trial, TrialVerdict};
    let total = |files| Total { files, directories: 1, bytes: files * 1000 };
    let trial = |generalize, verdict| Trial {
        generalize,
        kept: total(10),
        verdict,
        original: Some(StepOutcome::Exited { code: 0 }),
        hardened: None,
        differences: Vec::new(),
        missing_lookups: Vec::new(),
        others: Vec::new(),
        failures: Vec::new(),
    };
    let trials = vec![
        trial(Generalize::None, TrialVerdict::Broken),
        trial(Generalize::References, TrialVerdict::Works),
    ];
    let cannot = Some("it only <i>waits".to_owned());
    let steps = vec![
        StepEvaluation { name: "ping <i>".into(), cannot: None, trials },
        StepEvaluation { name: "pause".into(), cannot, trials: Vec::new() },
    ];
    let kept = [(Generalize::None, total(20)), (Generalize::References, total(21))];
    harden::Evaluation::new(identity(), "redis", total(90), &kept, steps)
}

fn hardening() -> Hardening {
    let summary = |reference: &str, files| ImageSummary {
        reference: reference.into(),
        manifest_digest: Digest::of(reference.as_bytes()),
        image_id: Digest::of(b"config"),
        platform: platform(),
        metrics: Metrics {
            files,
            uncompressed_bytes: files * 26_000,
            packages: files / 36,
            ..Metrics::default()
        },
    };
    let counters = Counters {
        seen: 10,
        duplicate: 4,
        emitted: 6,
        received: 6,
        canaries_expected: 2,
        canaries_seen: 2,
        ..Counters::default()
    };
    Hardening {
        format_version: 1,
        careen_version: "0.0.0".into(),
        original: summary("oci:<b>redis", 3490),
        hardened: summary("oci:redis-hardened", 170),
        unchanged: false,
        layers: 2,
        layers_reused: 0,
        packages: Default::default(),
        runs: vec![Run {
            coverage: "redis".into(),
            started_at: "2026-01-02T03:04:05Z".into(),
            sensor: SensorReport {
                backend: "ebpf-base".into(),
                kernel: "6.12".into(),
                passed_over: Vec::new(),
                counters,
                verdict: counters.verdict(),
                not_seen: Vec::new(),
            },
            steps: vec![StepResult {
                name: "ping <i>".into(),
                outcome: StepOutcome::Exited { code: 0 },
                allow_failure: false,
                unmet: None,
                compare: profile::Compare::Outcome,
                stdout: "PONG\n".into(),
                stderr: String::new(),
                duration_ms: 12,
            }],
            tags: Default::default(),
            carried_from: None,
            activity: None,
        }],
        verification: None,
        healed: 1,
        healed_paths: vec![harden::HealedPath {
            path: path("/opt/<i>healed"),
            round: 1,
            cause: harden::HealCause::LookedUp,
            coverage: "redis".into(),
            step: "ping <i>".into(),
            processes: vec![Process { exe: "/usr/bin/<i>".into(), argv0: "i".into() }],
        }],
        evaluation: Some(evaluation()),
        findings: None,
        warnings: Vec::new(),
        carry: Vec::new(),
        report: "report.html".into(),
        ledger: "ledger.json.zst".into(),
        profile: "original.profile".into(),
        attestations: Vec::new(),
    }
}

/// The page without profile and findings.
fn html(result: &Hardening) -> String {
    careen_report::render(&Parts { result, ledger: &ledger(), profile: None, findings: None }).unwrap()
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = html(&hardening());
    for word in ["http://", "https://", "src=\"", "<link", "@import", "url("] {
        assert!(!page.contains(word), "{word} in the page");
    }
    assert!(
        page.contains("oci:&#60;b&#62;redis") || page.contains("oci:&lt;b&gt;redis"),
        "names are escaped"
    );
    assert!(!page.contains("<i>"), "also in what was healed and left out");
}

#[test]
fn the_page_tells_what_was_healed_and_how_unseen_steps_fare() {
    let page = html(&hardening());
    let text: String = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "healed</code></th><td>1</td>",
        "<th scope=\"col\">none</th><th scope=\"col\">references (this image)</th>",
        "<td>broken</td><td>ok</td>",
        "<td>0 of 1</td><td>1 of 1</td>",
        "could not be left out: it only",
    ] {
        assert!(text.contains(words), "{words} is not in the page");
    }
    let plain = Hardening { healed_paths: Vec::new(), evaluation: None, ..hardening() };
    let page = html(&plain);
    assert!(!page.contains("healed-title") && !page.contains("unseen-title"));
}

#[test]
fn what_was_carried_lost_and_uncertain_stands_on_the_page_as_text() {
    let mut result = hardening();
    assert!(!html(&result).contains("Carried over from"));
    result.carry = vec![CarryReport {
        from: ImageIdentity { reference: "oci:redis-<i>6".into(), ..identity() },
        used: 10,
        unchanged: 8,
        carried: Vec::new(),
        uncertain: vec![CarriedPath {
            from: path("/usr/lib/<b>.so.1"),
            to: vec![path("/usr/lib/<b>.so.2")],
            why: CarryReason::OtherPackage,
        }],
        dropped: vec![DroppedPath {
            from: path("/usr/bin/gone"),
            why: DropReason::PackageGone,
            packages: Vec::new(),
            was_executed: true,
        }],
        new: Vec::new(),
    }];
    let page = html(&result);
    for text in [
        "Of 10 used paths 8 are at the same place; 20 % are uncertain or lost.",
        "Lost: 1",
        "Uncertain, and kept: 1",
        "its package is gone; it had been executed",
        "the name fits, the package differs",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(
        !page.contains("<b>.so") && !page.contains("redis-<i>6") && !page.contains("New beside used files")
    );
}

#[test]
fn the_ledger_can_be_searched_and_names_stay_text() {
    let Some(mut browser) = Browser::start_or_skip() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.html");
    std::fs::write(&file, html(&hardening())).unwrap();
    browser.open(&file);

    let count = "return document.getElementById('count').textContent";
    assert_eq!(browser.run(count), json!("454 paths, 7.0 MB"));
    let rows = browser.run("return document.querySelectorAll('#rows tr').length").as_u64().unwrap();
    assert!((20..80).contains(&rows), "only what is in sight exists: {rows} rows");
    let last = "const list = document.getElementById('list'); list.focus();
        const key = key => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
        key('End'); return document.activeElement.textContent";
    let end = "/∕opt∕<∕script><script>document.title='hacked'<∕script>";
    assert_eq!(browser.run(last), json!(end), "the keyboard reaches the end");
    assert_eq!(
        browser.run(&last.replace("key('End')", "key('Home'); key('ArrowDown')")),
        json!("/usr/bin/redis-server")
    );

    let search = "const box = document.getElementById('search'); box.value = 'LIBSSL';
        box.dispatchEvent(new Event('input', {bubbles: true}));";
    assert_eq!(browser.run(&format!("{search} {count}")), json!("1 path, 3.0 MB"));
    let reasons = browser.run(
        "document.querySelector('#rows button').click(); return document.getElementById('detail').textContent",
    );
    let reasons = reasons.as_str().unwrap();
    assert!(
        reasons.contains("/usr/lib/libssl.so.3") && reasons.contains("/usr/bin/redis-server"),
        "{reasons}"
    );
    assert!(reasons.contains("exec by /usr/sbin/gosu in step start"), "{reasons}");

    let click = |button: &str| format!("document.querySelector(\"{button}\").click(); {count}");
    assert_eq!(browser.run(&click("[data-rule=unused]")), json!("452 paths, 4.5 kB"));
    assert_eq!(browser.run(&click("[data-process='/usr/sbin/gosu']")), json!("1 path, 4.0 MB"));
    assert_eq!(browser.run(&click("[data-package=redis-server]")), json!("454 paths, 7.0 MB"));

    // The map: into a directory by a click, out by the keyboard.
    let crumbs =
        "return [...document.querySelectorAll('#crumbs li')].map(crumb => crumb.textContent).join(' ')";
    let enter =
        "[...document.querySelectorAll('.tile')].find(tile => tile.title.startsWith('/usr/lib')).click();";
    assert_eq!(browser.run(&format!("{enter} {crumbs}")), json!("/ usr lib"));
    let out =
        "document.getElementById('map').dispatchEvent(new KeyboardEvent('keydown', {key: 'Backspace'}));";
    assert_eq!(browser.run(&format!("{out} {crumbs}")), json!("/ usr"));

    assert_eq!(browser.run("return document.title"), json!("Careen: oci:<b>redis"));
    assert_eq!(
        browser.run("return document.querySelectorAll('main img, header b, tbody i').length"),
        json!(0)
    );
}

#[test]
fn a_checker_of_accessibility_finds_nothing_serious_in_either_colour() {
    let Some(mut browser) = Browser::start_or_skip() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.html");
    std::fs::write(&file, html(&hardening())).unwrap();
    browser.open(&file);
    browser.run("document.querySelectorAll('details').forEach(details => { details.open = true; })");
    browser.is_accessible();
}

#[test]
fn names_that_reorder_text_or_end_the_script_do_neither() {
    let mut ledger = ledger();
    let evil = "/opt/cod\u{202e}txt.exe";
    let mut entry = entry(Decision::Remove, Rule::Unused, 1);
    entry.packages = vec!["</script><b>\"'&".into()];
    ledger.entries.insert(path(evil), entry);
    let result = hardening();
    let page =
        careen_report::render(&Parts { result: &result, ledger: &ledger, profile: None, findings: None })
            .unwrap();
    assert!(!page.contains('\u{202e}') && page.contains("cod\\\\u{202e}txt.exe"));
    assert_eq!(page.matches("</script>").count(), 2, "those of the page itself");
    assert!(!page.contains("<b>\"'&"));
}

#[test]
fn findings_stand_on_the_page_and_can_be_filtered() {
    use careen_report::findings::Row;
    let row = |name: &str, severity: &str, heat, epss| Row {
        vulnerability: name.into(),
        summary: "a <i>summary".into(),
        package: "libssl3".into(),
        version: "3.0".into(),
        fixed: Vec::new(),
        severity: advisories::matching::Rank::of_word(severity),
        epss: Some(epss),
        exploited: heat == advisories::Heat::Hot,
        heat,
        partial: false,
        symbols: String::new(),
        not_in_binary: false,
        used: vec!["/usr/lib/libssl.so.3: map-exec by /usr/bin/<i> in step start".into()],
    };
    let rows = vec![
        row("CVE-2026-1", "high", advisories::Heat::Hot, 0.4),
        row("CVE-2026-2", "critical", advisories::Heat::Gone, 0.2),
        row("CVE-2026-3", "low", advisories::Heat::Cold, 0.0001),
    ];
    let findings = Findings { sources: vec!["debian/tracker of 2026-08-21".into()], rows, settled: 1 };
    let result = hardening();
    let page = careen_report::render(&Parts {
        result: &result,
        ledger: &ledger(),
        profile: None,
        findings: Some(&findings),
    })
    .unwrap();
    assert!(page.contains("3 in the original, 1 of them in packages that are gone now"));
    assert!(page.contains("1 more are settled") && page.contains("40.0 %") && !page.contains("<i>summary"));
    let Some(mut browser) = Browser::start_or_skip() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.html");
    std::fs::write(&file, page).unwrap();
    browser.open(&file);
    let found = "return [...document.querySelectorAll('#finding-list tbody button')].map(b => b.textContent).join(' ')";
    let set = |id: &str, value: &str| {
        format!(
            "const box = document.getElementById('finding-{id}'); box.value = '{value}';
            box.dispatchEvent(new Event('input', {{bubbles: true}})); {found}"
        )
    };
    assert_eq!(browser.run(found), json!("CVE-2026-1 CVE-2026-2 CVE-2026-3"));
    assert_eq!(browser.run(&set("heat", "left")), json!("CVE-2026-1 CVE-2026-3"));
    assert_eq!(browser.run(&set("epss", "0.01")), json!("CVE-2026-1"));
    assert_eq!(browser.run(&set("heat", "")), json!("CVE-2026-1 CVE-2026-2"));
    assert_eq!(browser.run(&set("severity", "critical")), json!("CVE-2026-2"));
}
