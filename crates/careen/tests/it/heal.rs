//! What only a verification finds is kept, told of, and enough; or nothing is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::support::{can_run, careen, careen_json, document, image, workdir};

const THIN: &str = "\
version: 1
name: shop
wait_for:
  - tcp: 6379
steps:
  - name: ping
    exec: [redis-cli, PING]
";

const FULL: &str = "  - name: list
    exec: [ls, /usr/share/zoneinfo/Europe]
    compare: exact
  - name: perl
    exec: [perl, -MPOSIX, -e, 'print POSIX::floor(3.7)']
    expect: '3'
";

/// A plan of a recording without two steps, and the coverage that has them.
struct Thin {
    dir: tempfile::TempDir,
    source: String,
}

impl Thin {
    fn new() -> Option<Self> {
        let source = image("redis").filter(|_| can_run())?.display().to_string();
        let thin = Self { dir: workdir(), source };
        thin.write("thin.yaml", THIN);
        careen_json(&[
            "record",
            &thin.source,
            "-q",
            "-c",
            &thin.path("thin.yaml"),
            "-o",
            &thin.path("profile"),
        ]);
        Some(thin)
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Hardens by the thin profile, seen and no more, and verifies with this coverage.
    fn harden(&self, coverage: &str, more: &[&str]) -> Output {
        self.write("full.yaml", coverage);
        let target = format!("oci:{}", self.path("out"));
        let (profile, coverage) = (self.path("profile"), self.path("full.yaml"));
        let args = ["harden", &self.source, "-q", "-p", &profile, "-c", &coverage, "-o", &target];
        careen(&[&args[..], &["--generalize", "none"], more].concat())
    }

    #[track_caller]
    fn refuses(&self, coverage: &str, more: &[&str], words: &[&str]) {
        let output = self.harden(coverage, more);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(8), "{text}");
        for word in words {
            assert!(text.contains(word), "no {word:?} in:\n{text}");
        }
        assert!(!Path::new(&self.path("out")).exists(), "nothing may be written");
    }
}

#[test]
fn a_verification_heals_programs_libraries_and_listings_and_says_so() {
    let Some(thin) = Thin::new() else { return };
    let output = thin.harden(&format!("{THIN}{FULL}"), &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("yes: 4 of 4 steps as before"), "{text}");
    assert!(text.contains("in 2 rounds") && text.contains("/usr/bin/perl: looked up in step perl"), "{text}");

    let artifacts = PathBuf::from(thin.path("out.careen"));
    let result = document(&artifacts.join("result.json"));
    let healed = result["healed_paths"].as_array().unwrap();
    assert_eq!(result["healed"], healed.len());
    let found = |path: &str| -> &Value { healed.iter().find(|healed| healed["path"] == path).unwrap() };
    for (path, cause, round, step, exe) in [
        ("/usr/bin/perl", "looked-up", 1, "perl", "perl"),
        ("/usr/bin/ls", "looked-up", 1, "list", "ls"),
        ("/usr/lib/x86_64-linux-gnu/perl-base/POSIX.pm", "used", 1, "perl", "/usr/bin/perl"),
        ("/usr/share/zoneinfo/Europe/Berlin", "listed", 2, "list", "/usr/bin/ls"),
    ] {
        let healed = found(path);
        assert_eq!(
            (&healed["cause"], &healed["round"], &healed["step"]),
            (&cause.into(), &round.into(), &step.into())
        );
        assert_eq!(healed["processes"][0]["exe"], exe, "{path}");
    }
    let paths: Vec<_> = healed.iter().map(|healed| healed["path"].as_str().unwrap()).collect();
    assert!(!paths.contains(&"/usr/bin/redis-server"));
    assert!(
        !paths.iter().any(|path| path.starts_with("/usr/share/zoneinfo/America")),
        "no more than was listed"
    );

    let ledger = document(&artifacts.join("ledger.json.zst"));
    let rule = |path: &str| ledger["entries"][path]["rule"].clone();
    assert_eq!(rule("/usr/bin/perl"), "healed");
    let library = &ledger["entries"]["/usr/lib/x86_64-linux-gnu/libcrypt.so.1.1.0"];
    assert_eq!(library["decision"], "keep", "perl is linked against it");
    assert_eq!(ledger["entries"]["/usr/share/zoneinfo/America"]["decision"], "remove");
    let report = fs::read_to_string(artifacts.join("report.html")).unwrap();
    assert!(
        report.contains("<h2 id=\"healed-title\">Healed</h2>") && report.contains("/usr/bin/perl</code>")
    );
}

#[test]
fn healing_can_be_forbidden_cut_short_and_overruled() {
    let Some(thin) = Thin::new() else { return };
    let full = format!("{THIN}{FULL}");
    thin.refuses(
        &full,
        &["--heal-rounds", "0"],
        &["/usr/bin/perl", "let --heal-rounds keep it", "step perl"],
    );
    thin.refuses(
        &full,
        &["--heal-rounds", "1"],
        &["healing kept", "in 1 round, which was not enough", "step list"],
    );
    thin.refuses(&full, &["--remove", "/usr/bin/perl"], &["the policy removes /usr/bin/perl", "/usr/bin/ls"]);
}

#[test]
fn healing_that_does_not_help_is_no_success() {
    let Some(thin) = Thin::new() else { return };
    let changing = "  - name: clock\n    exec: [date, '+%N']\n    compare: exact\n";
    thin.refuses(
        &format!("{THIN}{changing}"),
        &[],
        &[
            "step clock: ok before, ok now",
            "/usr/bin/date: looked up",
            "which was not enough",
            "see what differs",
        ],
    );
}
