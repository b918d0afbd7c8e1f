//! `cargo xtask test --all-images`: hardens every declared image, runs its checks, and writes `docs/results.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{evaluations, images, test, workspace};

const HEAD: &str = "\
# Results

Written by `cargo xtask test --all-images` from what its own runs measured; do not edit.

Each image under `images/` is hardened with the coverage beside its declaration (Redis and nginx: with the built-in
one), under the default policy. Then come its **own checks**: steps that this coverage does not have, such as other
commands, other code paths, errors, a reload, a second start on existing data. All of them pass on the original image;
a check counts as passed if the hardened image ends it in the same way. The declarations are look-alikes of official
images, made of packages from Debian, PyPI and npm.

";

/// What the test of one image leaves behind.
#[derive(Debug, Deserialize)]
struct Figures {
    image: String,
    original: Metrics,
    hardened: Metrics,
    coverage_steps: u64,
    checks: u64,
    checks_passed: u64,
    failed: Vec<String>,
    missed: Vec<String>,
    seconds: f64,
}

/// Images that are others on the next Debian release; profiles are carried to them.
const NEXT_VERSIONS: [&str; 2] = ["python-flask-trixie", "redis-trixie"];

#[derive(Debug, Deserialize)]
struct Metrics {
    uncompressed_bytes: u64,
    compressed_bytes: u64,
    files: u64,
    packages: u64,
}

/// Builds and tests the images of these names, all that are declared if there is none, and writes the table.
///
/// # Errors
/// If a test failed; the table is written all the same, and tells which checks did.
pub(crate) fn main(names: &[String]) -> Result<()> {
    let declared = images::declared()?;
    let is_all = names.is_empty();
    let names = if is_all { &declared } else { names };
    images::build(names, false)?;
    let dir = workspace::target_dir()?.join("image-results");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for name in names {
        // Absent for an image that is tested for the first time.
        let _ = fs::remove_file(dir.join(format!("{name}.json")));
        let _ = fs::remove_file(dir.join(format!("{name}.evaluation.json")));
    }
    // One after the other: the seconds in the table are those of a machine that does nothing else.
    let mut filter: Vec<String> =
        names.iter().map(|name| format!("test(/^images::{}_/)", name.replace('-', "_"))).collect();
    if is_all {
        // What else is only tested on images that are not always built.
        filter.push("test(/^(carry|databases|languages|packages|runtimes)::/)".to_owned());
        images::build(&NEXT_VERSIONS.map(str::to_owned), false)?;
    }
    let mut nextest = test::nextest();
    nextest.args(["--package", "careen", "--run-ignored", "all", "--no-fail-fast", "--test-threads", "1"]);
    nextest.arg("-E").arg(filter.join(" | ")).env("CAREEN_IMAGE_RESULTS", &dir).env("CAREEN_NO_SKIP", "1");
    let tested = test::step("images", nextest);
    evaluations::run(names, &dir)?;
    let page = workspace::root().join("docs/results.md");
    let tables = table(&read(&dir, &declared)?) + &evaluations::table(&evaluations::read(&dir, &declared)?);
    fs::write(&page, tables).with_context(|| format!("cannot write {}", page.display()))?;
    tested
}

/// The figures of those of the images that were tested, by name.
fn read(dir: &Path, names: &[String]) -> Result<BTreeMap<String, Figures>> {
    let mut found = BTreeMap::new();
    for name in names {
        let file = dir.join(format!("{name}.json"));
        match fs::read(&file) {
            Ok(text) => {
                let figures: Figures = serde_json::from_slice(&text)
                    .with_context(|| format!("{} holds something else", file.display()))?;
                found.insert(name.clone(), figures);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }
    Ok(found)
}

fn table(all: &BTreeMap<String, Figures>) -> String {
    let mut page = HEAD.to_owned();
    page += "| image | size, MB | | compressed, MB | | files | packages | coverage | own checks passed | seconds |\n\
             |---|---|---|---|---|---|---|---|---|---|\n";
    for row in all.values() {
        let Figures { original, hardened, .. } = row;
        let _ = writeln!(
            page,
            "| {} | {} → {} | {} | {} → {} | {} | {} → {} | {} → {} | {} steps | {}/{} | {:.1} |",
            row.image,
            megabytes(original.uncompressed_bytes),
            megabytes(hardened.uncompressed_bytes),
            change(original.uncompressed_bytes, hardened.uncompressed_bytes),
            megabytes(original.compressed_bytes),
            megabytes(hardened.compressed_bytes),
            change(original.compressed_bytes, hardened.compressed_bytes),
            original.files,
            hardened.files,
            original.packages,
            hardened.packages,
            row.coverage_steps,
            row.checks_passed,
            row.checks,
            row.seconds
        );
    }
    page += "\nSizes are those of all regular files in the merged image, and of the layers as stored. The seconds are those of\n\
             the whole hardening on two cores: reading, running, planning, writing, and running again to verify.\n";
    page += &list("What fails", all, |row| &row.failed);
    page += &list("What was looked for in vain in checks that passed", all, |row| &row.missed);
    page
}

/// A section with what each image has to say; nothing if none has.
fn list(title: &str, all: &BTreeMap<String, Figures>, of: fn(&Figures) -> &[String]) -> String {
    let lines: String = all
        .values()
        .flat_map(|row| of(row).iter().map(|what| format!("- {}: {what}\n", row.image)))
        .collect();
    if lines.is_empty() { lines } else { format!("\n## {title}\n\n{lines}") }
}

fn megabytes(bytes: u64) -> String {
    let tenths = (bytes + 50_000) / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The change in percent; only nothing at all is 100 % less.
fn change(before: u64, after: u64) -> String {
    let (sign, difference) = if after > before { ('+', after - before) } else { ('−', before - after) };
    let percent = ((difference * 200 + before) / (before.max(1) * 2)).min(if after > 0 && after < before {
        99
    } else {
        u64::MAX
    });
    if percent == 0 { "0 %".to_owned() } else { format!("{sign}{percent} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_size_before_and_after_and_what_failed() {
        let metrics = |uncompressed_bytes, compressed_bytes, files, packages| Metrics {
            uncompressed_bytes,
            compressed_bytes,
            files,
            packages,
        };
        let row = Figures {
            image: "shop".to_owned(),
            original: metrics(100_000_000, 40_000_000, 3000, 90),
            hardened: metrics(25_940_000, 40_000_000, 150, 9),
            coverage_steps: 7,
            checks: 8,
            checks_passed: 7,
            failed: vec!["\"sell\" ended otherwise".to_owned()],
            missed: vec!["plan: /lib/jit.so is gone".to_owned()],
            seconds: 2.46,
        };
        let page = table(&BTreeMap::from([("shop".to_owned(), row)]));
        assert!(
            page.contains(
                "| shop | 100.0 → 25.9 | −74 % | 40.0 → 40.0 | 0 % | 3000 → 150 | 90 → 9 | 7 steps | 7/8 | 2.5 |\n"
            ),
            "{page}"
        );
        let end = "## What fails\n\n- shop: \"sell\" ended otherwise\n\n\
                   ## What was looked for in vain in checks that passed\n\n- shop: plan: /lib/jit.so is gone\n";
        assert!(page.ends_with(end), "{page}");
    }

    #[test]
    fn growth_is_not_hidden() {
        assert_eq!(
            [change(100, 103), change(0, 0), change(1000, 999), change(1000, 1), change(9, 0)],
            ["+3 %", "0 %", "0 %", "−99 %", "−100 %"]
        );
    }
}
