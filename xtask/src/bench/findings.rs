//! `cargo xtask bench findings`: what hardening does to the findings of Redis and nginx, with and without Debian's
//! security updates, and whether Syft and Trivy see the same. Writes `docs/findings.md`.

mod counting;
mod page;
mod seen;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use super::harden::oci;
use super::peers;
use crate::{apt, command, images, workspace};
use seen::{Finding, Report, Seen};

/// The images, and the built-in coverage of each.
const IMAGES: [(&str, &str); 4] =
    [("redis-release", "redis"), ("redis", "redis"), ("nginx-release", "nginx"), ("nginx", "nginx")];
/// The release that all of them have as base.
const RELEASE: &str = "12";

/// Measures; `--vulndata DIR` names upstream's data, without it the excerpts in the repository are used.
///
/// # Errors
/// If two scanners do not list the same packages, or a finding of ours is missing elsewhere for no reason that our VEX
/// gives; the page is written all the same.
pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let data = match arguments {
        [] => workspace::excerpts(),
        [option, dir] if option == "--vulndata" => PathBuf::from(dir),
        _ => bail!("`bench findings` takes `--vulndata DIR`"),
    };
    apt::ensure(&["umoci"])?;
    let careen = workspace::build_careen()?;
    let names: Vec<String> = IMAGES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let layouts = images::build(&names, false)?;
    let dir = workspace::target_dir()?.join("bench/findings");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let database = dir.join("advisories.db");
    let mut build = Command::new(&careen);
    command::run(build.args(["db", "build", "--quiet", "--from"]).arg(&data).arg("-o").arg(&database))?;
    let trivy_cache = dir.join("trivy");
    peers::trivy_database(&trivy_cache, &database, RELEASE)?;
    let bench = Bench { careen, database, syft: peers::syft()?, trivy: peers::trivy()?, trivy_cache, dir };
    let mut rows = Vec::new();
    for ((name, coverage), layout) in IMAGES.iter().zip(&layouts) {
        eprintln!("{name}");
        rows.push(bench.measure(name, coverage, layout)?);
    }
    let file = workspace::root().join("docs/findings.md");
    fs::write(&file, page::render(&rows)).with_context(|| format!("cannot write {}", file.display()))?;
    println!("wrote {}", file.display());
    let faults: Vec<String> = rows.iter().flat_map(Row::faults).collect();
    if faults.is_empty() { Ok(()) } else { bail!("scanners disagree:\n  {}", faults.join("\n  ")) }
}

struct Bench {
    careen: PathBuf,
    database: PathBuf,
    syft: PathBuf,
    trivy: PathBuf,
    trivy_cache: PathBuf,
    dir: PathBuf,
}

/// What one image showed.
struct Row {
    image: String,
    /// The original, with what is gone by the ledger and the files.
    report: Report,
    before: Scanners,
    after: Scanners,
    /// Of the hardened image, what our VEX says is not affected.
    claimed: BTreeSet<Finding>,
    /// What Trivy finds in the hardened image when it is given our VEX.
    trivy_with_vex: BTreeSet<Finding>,
}

/// The same image under three scanners.
struct Scanners {
    ours: Seen,
    /// What Syft lists, and what we find in that list.
    syft: Seen,
    trivy: Seen,
}

impl Row {
    /// What must not be: each as a sentence.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (state, scanners) in [("original", &self.before), ("hardened", &self.after)] {
            for (peer, seen) in [("Syft", &scanners.syft), ("Trivy", &scanners.trivy)] {
                let difference: Vec<&(String, String)> =
                    seen.packages.symmetric_difference(&scanners.ours.packages).collect();
                if !difference.is_empty() {
                    faults.push(format!(
                        "{}, {state}: {peer} lists other packages: {difference:?}",
                        self.image
                    ));
                }
                let lost: Vec<&Finding> = scanners
                    .ours
                    .findings
                    .difference(&seen.findings)
                    .filter(|finding| !self.claimed.contains(finding))
                    .collect();
                if !lost.is_empty() {
                    faults.push(format!("{}, {state}: {peer} does not find {lost:?}", self.image));
                }
            }
        }
        if self.report.left() != self.after.ours.findings {
            faults.push(format!(
                "{}: the files left give {} findings, the hardened image by itself {}",
                self.image,
                self.report.left().len(),
                self.after.ours.findings.len()
            ));
        }
        let dropped: BTreeSet<&Finding> =
            self.after.trivy.findings.difference(&self.trivy_with_vex).collect();
        let claimed: BTreeSet<&Finding> = self.after.trivy.findings.intersection(&self.claimed).collect();
        if dropped != claimed {
            faults.push(format!("{}: Trivy with our VEX drops {dropped:?}, and not {claimed:?}", self.image));
        }
        faults
    }
}

impl Bench {
    fn measure(&self, name: &str, coverage: &str, layout: &Path) -> Result<Row> {
        let (original, output) = (oci(layout), self.dir.join(name));
        let hardened = oci(&output);
        command::run(
            self.careen(&["harden", &original, "--coverage", coverage, "-o", &hardened])
                .args(["--force", "--quiet"]),
        )?;
        let mut profile = output.clone().into_os_string();
        profile.push(".careen/original.profile");
        let report: Report = self.json(
            self.careen(&["scan", &original, "--hardened", &hardened, "--format", "json", "--profile"])
                .arg(&profile),
        )?;
        let vex = self.dir.join(format!("{name}.vex.json"));
        command::run(
            self.careen(&[
                "vex",
                &original,
                "--hardened",
                &hardened,
                "--bare-packages",
                "--force",
                "--quiet",
            ])
            .arg("-o")
            .arg(&vex),
        )?;
        let text = fs::read(&vex).with_context(|| format!("cannot read {}", vex.display()))?;
        let claimed = seen::claims(&serde_json::from_slice(&text)?, &report)?;
        let before = self.scanners(layout)?;
        let after = self.scanners(&output)?;
        let trivy_with_vex = self.trivy(&output, Some(&vex))?.findings;
        Ok(Row { image: name.to_owned(), report, before, after, claimed, trivy_with_vex })
    }

    fn scanners(&self, layout: &Path) -> Result<Scanners> {
        // Elsewhere, with nothing of a hardening beside it: the image must speak for itself.
        let unknowing = tempfile::tempdir_in(&self.dir).context("cannot make a temporary folder")?;
        let alone = unknowing.path().join("image");
        command::run(Command::new("cp").arg("-a").arg(layout).arg(&alone))?;
        let scan = |image: &str| -> Result<Seen> {
            let mut scan = self.careen(&["scan", image, "--format", "json", "--quiet"]);
            let report: Report = self.json(scan.env("CAREEN_DATA_DIR", unknowing.path()))?;
            Ok(report.seen())
        };
        let list = self.dir.join("syft.cdx.json");
        let mut syft = Command::new(&self.syft);
        syft.env("SYFT_CHECK_FOR_APP_UPDATE", "false").args(["--quiet", "--output", "cyclonedx-json"]);
        let text = command::output(syft.arg(format!("oci-dir:{}", layout.display())))?;
        fs::write(&list, &text).with_context(|| format!("cannot write {}", list.display()))?;
        let found = scan(&list.display().to_string())?.findings;
        let syft = Seen { packages: seen::syft_packages(&serde_json::from_str(&text)?), findings: found };
        Ok(Scanners { ours: scan(&oci(&alone))?, syft, trivy: self.trivy(layout, None)? })
    }

    /// Trivy on the unpacked image.
    fn trivy(&self, layout: &Path, vex: Option<&Path>) -> Result<Seen> {
        let scratch = tempfile::tempdir_in(&self.dir).context("cannot make a temporary folder")?;
        let (bundle, log) = (scratch.path().join("bundle"), scratch.path().join("log"));
        let mut unpack = Command::new("umoci");
        unpack.args(["unpack", "--image"]).arg(format!("{}:latest", layout.display())).arg(&bundle);
        command::run_logged(&mut unpack, &log)?;
        let mut trivy = Command::new(&self.trivy);
        trivy.args(["rootfs", "--quiet", "--format", "json", "--list-all-pkgs", "--pkg-types", "os"]);
        trivy.args(["--scanners", "vuln", "--skip-db-update", "--offline-scan", "--skip-version-check"]);
        trivy.arg("--cache-dir").arg(&self.trivy_cache);
        if let Some(vex) = vex {
            trivy.arg("--vex").arg(vex);
        }
        Ok(seen::trivy(&self.json(trivy.arg(bundle.join("rootfs")))?))
    }

    /// Our program with its database and a data directory of the bench's own.
    fn careen(&self, arguments: &[&str]) -> Command {
        let mut careen = Command::new(&self.careen);
        careen.env("CAREEN_DATA_DIR", self.dir.join("data")).env("CAREEN_DB", &self.database);
        careen.current_dir(&self.dir).args(arguments);
        careen
    }

    fn json<T: DeserializeOwned>(&self, command: &mut Command) -> Result<T> {
        serde_json::from_str(&command::output(command)?).context("a scanner printed something else than JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(packages: &[&str], findings: &[&str]) -> Seen {
        let pair = |text: &&str| ((*text).to_owned(), "1".to_owned());
        Seen {
            packages: packages.iter().map(pair).collect(),
            findings: findings.iter().map(|id| ((*id).to_owned(), "a".to_owned())).collect(),
        }
    }

    fn row(ours: &Seen, trivy: &Seen, claimed: &[&str], with_vex: &[&str]) -> Row {
        let scanners =
            |trivy: &Seen| Scanners { ours: ours.clone(), syft: ours.clone(), trivy: trivy.clone() };
        Row {
            image: "shop".to_owned(),
            report: seen::tests::report(&ours.findings),
            before: scanners(ours),
            after: scanners(trivy),
            claimed: seen(&[], claimed).findings,
            trivy_with_vex: seen(&[], with_vex).findings,
        }
    }

    #[test]
    fn a_package_or_a_finding_that_another_scanner_lacks_is_a_fault_unless_our_vex_names_it() {
        let ours = seen(&["a"], &["CVE-1", "CVE-2"]);
        assert_eq!(row(&ours, &ours, &[], &["CVE-1", "CVE-2"]).faults(), Vec::<String>::new());
        let other = seen(&["a", "b"], &["CVE-1", "CVE-2"]);
        assert_eq!(row(&ours, &other, &[], &["CVE-1", "CVE-2"]).faults().len(), 1);
        let fewer = seen(&["a"], &["CVE-1"]);
        assert_eq!(row(&ours, &fewer, &[], &["CVE-1"]).faults().len(), 1);
        assert_eq!(row(&ours, &fewer, &["CVE-2"], &["CVE-1"]).faults(), Vec::<String>::new());
        let more = seen(&["a"], &["CVE-1", "CVE-2", "CVE-3"]);
        assert_eq!(row(&ours, &more, &[], &["CVE-1", "CVE-2", "CVE-3"]).faults(), Vec::<String>::new());
    }

    #[test]
    fn a_vex_that_drops_more_or_less_than_it_claims_is_a_fault() {
        let ours = seen(&["a"], &["CVE-1", "CVE-2"]);
        assert_eq!(row(&ours, &ours, &["CVE-2"], &["CVE-1"]).faults(), Vec::<String>::new());
        assert_eq!(row(&ours, &ours, &["CVE-2"], &["CVE-1", "CVE-2"]).faults().len(), 1);
        assert_eq!(row(&ours, &ours, &[], &["CVE-1"]).faults().len(), 1);
    }
}
